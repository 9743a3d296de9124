"""A guard for the hot path: no trip takes more calls than before.

`tests.trips` describes how they are counted, and also compares CPU time with another tree.
"""
from __future__ import absolute_import, division, print_function

import sys
import unittest

from tests import trips

#: Calls of Python functions of the package for one trip: on Python 3, and on 2,
#: where some names of the standard library need a function of ours. Newer versions take a few less.
#: Lower a figure when you make a trip shorter; before you raise one, look for another way.
CALLS = {
    "echo": (46, 54),
    "feed": (171, 184),
    "fetch_curl": (154, 160),
    "fetch_kept": (131, 143),
    "fetch_new": (335, 352),
    "get": (57, 63),
    "get_varied": (62, 68),
    "static_large": (106, 83),
    "static_small": (78, 83),
    "streamed_post": (289, 297),
}


class CallsTest(unittest.TestCase):
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.counts = trips.count_calls()

    def test_every_trip_is_held(self):
        self.assertEqual(sorted(set(CALLS) - set(["fetch_curl"])),
                         sorted(set(self.counts) - set(["fetch_curl"])))


def _make_test(name):
    def test(self):
        limit = CALLS[name][sys.version_info[0] == 2]
        self.assertLessEqual(self.counts[name], limit, "calls for one trip %r" % name)

    test.__name__ = "test_" + name
    return test


for _name in trips.NAMES:
    setattr(CallsTest, "test_" + _name, _make_test(_name))


if __name__ == "__main__":
    unittest.main()
