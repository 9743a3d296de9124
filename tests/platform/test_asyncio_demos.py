"""The demos on asyncio and uvloop."""
from __future__ import absolute_import, division, print_function

import unittest

from tests.bridgecase import DemosOnBridge
from tests.bridges import available_bridges

for _name, _class in available_bridges().items():
    if _name in ("asyncio", "uvloop"):
        # B293
        _full_name = str("%sDemosTest" % _name.title())
        globals()[_full_name] = type(_full_name, (DemosOnBridge, unittest.TestCase), {
            "bridge": "%s.%s" % (_class.__module__, _class.__name__)})
