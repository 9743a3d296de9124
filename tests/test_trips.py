"""A guard for the hot path: no trip takes more calls than before.

`tests.trips` describes how they are counted, and also compares CPU time with another tree.
"""
from __future__ import absolute_import, division, print_function

import sys
import unittest

from tests import trips
from tests.loopcase import COUNTS_REFERENCES

#: Calls of Python functions of the package for one trip: on Python 3, and on 2,
#: where some names of the standard library need a function of ours. Newer versions take a few less.
#: Lower a figure when you make a trip shorter; before you raise one, look for another way.
CALLS = {
    "echo": (46, 54),
    "feed": (168, 181),
    "fetch_curl": (148, 154),
    "fetch_kept": (124, 136),
    "fetch_new": (328, 345),
    "get": (56, 62),
    "get_varied": (57, 63),
    "static_large": (102, 79),
    "static_small": (74, 79),
    "streamed_post": (265, 273),
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
        # On PyPy a head that is new is read by one function more, whose loop is compiled.
        limit = CALLS[name][sys.version_info[0] == 2] + (not COUNTS_REFERENCES)
        self.assertLessEqual(self.counts[name], limit, "calls for one trip %r" % name)

    test.__name__ = "test_" + name
    return test


for _name in trips.NAMES:
    setattr(CallsTest, "test_" + _name, _make_test(_name))


if __name__ == "__main__":
    unittest.main()
