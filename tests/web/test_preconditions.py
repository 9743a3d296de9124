"""Conditions of requests: lists of ETags by their grammar (row A653), and 412 (row A654)."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.web import StaticFileHandler
from friendserve.web.etags import is_known_etag
from tests import cpu_time
from tests.staticcase import StaticCase
from tests.webcase import HandlerCase

OLD = "Sun, 09 Sep 2001 01:46:40 GMT"
BEFORE = "Sun, 09 Sep 2001 01:46:39 GMT"


class ListTest(unittest.TestCase):
    def test_a653_lists(self):
        for etag, header, wanted in (
                ('"a,b"', '"a,b"', True), ('"a,b"', '"x", "a,b"', True),
                ('"a,b"', 'W/"x,y" ,\t"a,b"', True), ('"a,b"', 'W/"a,b"', True),
                ('W/"a,b"', '"a,b"', True), ('W/"a"', 'W/"a"', True),
                ('"b"', '"a","b","c"', True), ('"b"', ' , ,"a",, "b", ', True),
                # A tag is not a part of another.
                ('"b"', '"a, "b", c"', False), ('b', '"a, b, c"', False), ('"a', '"a,b"', False),
                ('", "', '"a", "b"', False), ('","', '"a","b"', False),
                # Malformed lists.
                ('"b"', '"a" "b"', False), ('"b"', '"b" "a"', False), ('"b"', '"b', False),
                ('"b"', 'w/"b"', False), ('"b"', 'W/ "b"', False), ('"b"', '"a", *', False),
                ('"b"', '', False), ('"b"', ',', False), ('"b"', 'b', False),
                # Not in the grammar, but in use.
                ('b', 'b', True), ('b', 'a, b', True), ('"a b"', '"a b"', True),
                ('"b"', '*', True), ('"b"', ' * ', True), ('"b"', '"*"', False)):
            self.assertEqual(wanted, is_known_etag(etag, header), (etag, header))

    def test_a653_long_lists_take_no_time(self):
        start = cpu_time()
        for header in ('"x",' * 20000, '"x" ' * 20000, "x" * 60000 + '"', " " * 60000 + '"',
                       '"' * 60001, "W/" * 30000 + '"', ", " * 30000 + '"', "x ," * 20000 + '"'):
            self.assertFalse(is_known_etag('"b"', header))
        self.assertLess(cpu_time() - start, 5)


class HandlerTest(HandlerCase):
    def test_a653_if_none_match(self):
        self.serve_handler(lambda handler: handler.set_header("Etag", '"a,b"'))
        for header, status in (('"a,b"', 304), ('"x,y", W/"a,b"', 304), ('"x, "a,b", y"', 200)):
            self.assertEqual(status, self.ask(headers=[("If-None-Match", header)]).status, header)


class StaticTest(StaticCase):
    def check(self, status, **headers):
        for method in ("GET", "HEAD"):
            response = self.ask("/static/hello.txt", method, **headers)
            self.assertEqual(status, response.status, headers)
        return response

    def setUp(self):
        super(StaticTest, self).setUp()
        self.write("hello.txt", b"hello world\n", self.OLD)
        self.etag = self.ask("/static/hello.txt").headers["Etag"]

    def test_a654_if_match(self):
        etag = self.etag
        for header in (etag, "*", '"x,y", ' + etag, etag + ',"x"'):
            self.check(200, If_Match=header)
        for header in ('"x"', "W/" + etag, etag[1:-1], '"x, %s"' % etag, "", etag + " x"):
            response = self.check(412, If_Match=header)
            self.assertNotIn("Last-Modified", response.headers)

    def test_a654_if_unmodified_since(self):
        self.check(200, If_Unmodified_Since=OLD)
        self.check(412, If_Unmodified_Since=BEFORE)
        self.check(200, If_Unmodified_Since="yesterday")
        self.check(200, If_Match=self.etag, If_Unmodified_Since=BEFORE)

    def test_a654_the_order_of_conditions(self):
        etag = self.etag
        self.check(412, If_Match='"x"', If_None_Match=etag)
        self.check(304, If_Match=etag, If_None_Match=etag)
        self.check(412, If_Unmodified_Since=BEFORE, If_Modified_Since=OLD)
        self.check(412, If_Match='"x"', Range="bytes=0-1")
        self.assertEqual(206, self.ask("/static/hello.txt", If_Match=etag,
                                       Range="bytes=0-1").status)
        self.assertEqual(404, self.ask("/static/missing", If_Match='"x"').status)

    def test_a654_content_without_a_tag_or_time(self):
        class Bare(StaticFileHandler):
            def compute_etag(self):
                return None

            def get_modified_time(self):
                return None

        self.serve_files([(r"/static/(.*)", Bare, {"path": self.root})])
        self.check(412, If_Match='"x"')
        self.check(200, If_Match="*")
        self.check(200, If_Unmodified_Since=BEFORE)

    def test_a654_a_weak_tag_equals_none(self):
        class Weak(StaticFileHandler):
            def compute_etag(self):
                return 'W/"a"'

        self.serve_files([(r"/static/(.*)", Weak, {"path": self.root})])
        self.check(412, If_Match='W/"a"')
        self.check(304, If_None_Match='"a"')


if __name__ == "__main__":
    unittest.main()
