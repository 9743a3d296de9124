"""A guard for the hot path: no trip takes more calls than before.

`tests.trips` describes how they are counted, and also compares CPU time with another tree.
"""
from __future__ import absolute_import, division, print_function

import sys
import unittest

from tests import trips

#: Calls of Python functions of the package for one trip, in version 0.1.0: on Python 3, and on 2,
#: where some names of the standard library need a function of ours. Newer versions take a few less.
#: Lower a figure when you make a trip shorter; before you raise one, look for another way.
CALLS = {
    "echo": (62, 70),
    "feed": (235, 248),
    "fetch_curl": (180, 186),
    "fetch_kept": (157, 169),
    "fetch_new": (374, 391),
    "get": (75, 81),
    "get_varied": (89, 95),
    "static_large": (140, 123),
    "static_small": (118, 123),
    "streamed_post": (337, 345),
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
