"""Twisted's own tests of reactors, on an IOLoop."""
from __future__ import absolute_import, division, print_function

import unittest

from tests import missing

try:
    from tests.interop import twisted_reactors
except ImportError:
    twisted_reactors = None


@unittest.skipIf(twisted_reactors is None, missing("Twisted"))
class TwistedReactorsTest(unittest.TestCase):
    def test_b296_nothing_fails_that_passes_on_the_epoll_reactor(self):
        modules = list(twisted_reactors.modules_with_tests())
        ours, worse, errors = twisted_reactors.compare("epoll", modules)
        self.assertEqual({}, worse, errors)
        self.assertLess(200, list(ours.values()).count("ok"))

    def test_b296_a_program_out_of_fds_goes_on_over_select(self):
        ours, worse, errors = twisted_reactors.compare("select", ["test_tcp"])
        self.assertEqual({}, worse, errors)
        self.assertLess(50, list(ours.values()).count("ok"))
