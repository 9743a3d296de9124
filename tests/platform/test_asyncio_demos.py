"""The demos, and the programs of website/docs/how-to/asyncio.rst, on asyncio and uvloop."""
from __future__ import absolute_import, division, print_function

import os
import subprocess
import sys
import unittest

from six.moves.urllib.request import urlopen

from tests import PATIENCE, ROOT
from tests.bridgecase import DemosOnBridge, Programs
from tests.bridges import available_bridges
from tests.docscase import program_text
from tests.services import free_port

BRIDGES = dict((name, loop_class) for name, loop_class in available_bridges().items()
               if name in ("asyncio", "uvloop"))

for _name, _class in BRIDGES.items():
    # B293
    _full_name = str("%sDemosTest" % _name.title())
    globals()[_full_name] = type(_full_name, (DemosOnBridge, unittest.TestCase), {
        "bridge": "%s.%s" % (_class.__module__, _class.__name__)})


class PageTest(Programs, unittest.TestCase):
    if "uvloop" in BRIDGES:     # The Pythons that also have aiohttp.
        def test_b294_programs_of_the_page(self):
            server, client = [program_text("how-to/asyncio.rst", number) for number in (0, 1)]
            port = free_port()
            self.launch(port, "-c", server.replace("8888", str(port)))
            answer = urlopen("http://127.0.0.1:%d/" % port, timeout=PATIENCE)
            self.addCleanup(answer.close)
            self.assertEqual(b"done by a coroutine\n", answer.read())
            self.assertEqual(b"200\n", subprocess.check_output(
                [sys.executable, "-c", client.replace("8888", str(port))], cwd=self.folder,
                env=dict(os.environ, PYTHONPATH=ROOT)))
