"""Tornado's own tests in callback style pass under the alias, but for those with a reason.

Only where FRIENDSERVE_TORNADO_SUITE names a folder with the fetched release in it, and on the
Python 3.6 that the release runs on; see `tests.interop.tornado_suite`.
"""
from __future__ import absolute_import, division, print_function

import os
import sys
import unittest

from tests.interop import tornado_suite

FOLDER = os.environ.get("FRIENDSERVE_TORNADO_SUITE")

if FOLDER and sys.version_info[:2] == (3, 6):
    class TornadoSuiteTest(unittest.TestCase):
        def test_each_test_passes_or_has_a_reason(self):
            _, unexplained = tornado_suite.compare(
                tornado_suite.RELEASE, sys.executable, FOLDER)
            self.assertEqual([], unexplained)


class RuleTest(unittest.TestCase):
    SOURCE = """
class Page(RequestHandler):
    @gen.coroutine
    def get(self): pass

class Plain(RequestHandler):
    def get(self): pass

class PageTest(AsyncHTTPTestCase):
    def get_app(self):
        return Application([("/", Page)])
    def test_page(self): pass

class PlainTest(AsyncHTTPTestCase):
    def get_app(self):
        return Application([("/", Plain)])
    def test_plain(self): pass
    @gen_test
    def test_generator(self): pass

class InheritedTest(PlainTest):
    pass
"""

    def test_a_test_is_judged_with_its_handlers_and_those_that_it_inherits(self):
        suite = tornado_suite.Suite({"page_test": self.SOURCE})
        self.assertEqual(
            [False, True, False, True, False],
            [suite.is_callback_style("page_test", *name.split(".")) for name in (
                "PageTest.test_page", "PlainTest.test_plain", "PlainTest.test_generator",
                "InheritedTest.test_plain", "InheritedTest.test_missing")])


if __name__ == "__main__":
    unittest.main()
