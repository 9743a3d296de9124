"""Static files: requests for a range."""
from __future__ import absolute_import, division, print_function

import os

from friendserve.web import OutputTransform, StaticFileHandler
from tests.staticcase import StaticCase


class RangeTest(StaticCase):
    def setUp(self):
        super(RangeTest, self).setUp()
        self.write("ten", b"0123456789")

    def test_a405_satisfied(self):
        for header, status, body, content_range in [
                ("bytes=2-5", 206, b"2345", "bytes 2-5/10"),
                ("Bytes=2-5", 206, b"2345", "bytes 2-5/10"),
                ("bytes=9-", 206, b"9", "bytes 9-9/10"),
                ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
                ("bytes=5-99999", 206, b"56789", "bytes 5-9/10"),
                ("bytes=-3", 206, b"789", "bytes 7-9/10"),
                ("bytes=0-", 200, b"0123456789", None),
                ("bytes=0-99999", 200, b"0123456789", None),
                ("bytes=-9999999", 200, b"0123456789", None)]:
            response = self.ask("/static/ten", Range=header)
            self.assertEqual((response.status, response.body), (status, body), header)
            self.assertEqual(response.headers.get("Content-Range"), content_range, header)
            self.assertEqual(response.headers["Content-Length"], str(len(body)))

    def test_a212_heaps_of_conditions(self):
        many = ",".join(["0-0"] * 10000)
        for headers in ({"Range": "bytes=" + many}, {"Range": "bytes=" + "9" * 10000},
                        {"If-None-Match": ",".join(['"x"'] * 10000)},
                        {"If-Modified-Since": "junk"}, {"If-Modified-Since": "9" * 10000},
                        {"Accept-Language": ",".join(["a;q=x"] * 5000)}):
            self.assertIn(self.ask("/static/ten", **headers).status, (200, 416))

    def test_a405_ignored(self):
        for header in ("items=0-1", "junk", "bytes", "bytes=", "bytes=-", "bytes=a-b",
                       "bytes=0-1,3-4", "bytes=1--2", "bytes=+1-2", "bytes=1-2x",
                       u"bytes=\u0660-\u0661".encode("utf-8").decode("latin-1"), "bytes=1_0-",
                       "bytes=1" + "0" * 5000 + "-"):
            response = self.ask("/static/ten", Range=header)
            self.assertEqual((response.status, response.body), (200, b"0123456789"), header)

    def test_a405_refused(self):
        for header in ("bytes=5-2", "bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999-"):
            response = self.ask("/static/ten?v=1", Range=header)
            self.assertEqual((response.status, response.body), (416, b""), header)
            self.assertEqual(response.headers["Content-Range"], "bytes */10")
            self.assertNotIn("Cache-Control", response.headers)
            self.assertNotIn("Expires", response.headers)

    def test_range_of_many_pieces(self):
        content = os.urandom(300000)
        self.write("big", content)
        response = self.ask("/static/big", Range="bytes=1000-250000")
        self.assertTrue(response.body == content[1000:250001])

    def test_if_range(self):
        headers = self.ask("/static/ten").headers
        for condition, status in [(headers["Etag"], 206), (headers["Last-Modified"], 206),
                                  ('"other"', 200), ("W/" + headers["Etag"], 200),
                                  ("Thu, 01 Jan 1970 00:00:00 GMT", 200)]:
            response = self.ask("/static/ten", Range="bytes=2-5", If_Range=condition)
            self.assertEqual(response.status, status, condition)

    def test_if_range_with_an_etag_that_is_weak(self):
        class Weak(StaticFileHandler):
            def compute_etag(self):
                return 'W/"x"'

        self.serve_files([(r"/(.*)", Weak, {"path": self.root})])
        self.assertEqual(self.ask("/ten", Range="bytes=2-5").status, 206)
        self.assertEqual(self.ask("/ten", Range="bytes=2-5", If_Range='W/"x"').status, 200)

    def test_b342_head_has_no_ranges(self):
        for header in ("bytes=2-5", "bytes=99-"):
            response = self.ask("/static/ten", "HEAD", Range=header)
            self.assertEqual((200, b"", "10"), (
                response.status, response.body, response.headers["Content-Length"]))
            self.assertNotIn("Content-Range", response.headers)

    def test_b342_what_is_compressed_on_the_way_has_no_ranges(self):
        text = b"some text " * 5000
        self.write("large.txt", text, self.OLD)
        self.settle()
        self.serve_files(compress_response=True)
        path = "/static/large.txt"
        whole = self.ask(path, Accept_Encoding="gzip")
        self.assertEqual("gzip", whole.headers["Content-Encoding"])
        for condition in ({}, {"If_Range": whole.headers["Etag"]},
                          {"If_Range": whole.headers["Last-Modified"]}):
            for header in ("bytes=10-19", "bytes=60000-"):
                response = self.ask(path, Accept_Encoding="gzip", Range=header, **condition)
                self.assertEqual((200, whole.body), (response.status, response.body), condition)
                self.assertEqual(whole.headers["Etag"], response.headers["Etag"])
        # What is not compressed has them.
        whole = self.ask(path)
        part = self.ask(path, Range="bytes=10-19", If_Range=whole.headers["Etag"])
        self.assertEqual((206, text[10:20]), (part.status, part.body))
        for name in ("Etag", "Vary", "Accept-Ranges"):
            self.assertEqual(whole.headers[name], part.headers[name])
        self.assertEqual(416, self.ask(path, Range="bytes=60000-").status)
        part = self.ask("/static/ten", Accept_Encoding="gzip", Range="bytes=2-5")
        self.assertEqual((206, b"2345"), (part.status, part.body))

    def test_b342_transforms_that_leave_the_content_as_it_is(self):
        class Private(OutputTransform):
            """Adds a header, once for each response."""
            def transform_first_chunk(self, status_code, headers, chunk, finishing):
                headers.add("X-Status", str(status_code))
                return status_code, headers, chunk

        class Upper(OutputTransform):
            def transform_first_chunk(self, status_code, headers, chunk, finishing):
                headers.pop("Content-Length", None)
                return status_code, headers, self.transform_chunk(chunk + b"<", finishing)

            def transform_chunk(self, chunk, finishing):
                return chunk + b">" if finishing else chunk

        self.serve_files()
        self.app.add_transform(Private)
        response = self.ask("/static/ten", Range="bytes=2-5")
        self.assertEqual((206, b"2345", ["206"]), (
            response.status, response.body, response.headers.get_list("X-Status")))
        self.app.add_transform(Upper)
        response = self.ask("/static/ten", Range="bytes=2-5")
        self.assertEqual((200, b"0123456789<>", ["200"]), (
            response.status, response.body, response.headers.get_list("X-Status")))

    def test_b342_a_date_does_not_tell_which_of_several_contents(self):
        self.write("ten", b"0123456789", self.OLD)
        self.write("ten.gz", b"ABCDEFGHIJ", self.OLD)
        date = self.ask("/static/ten").headers["Last-Modified"]
        packed = self.ask("/static/ten", Accept_Encoding="gzip")
        self.assertEqual((b"ABCDEFGHIJ", date), (packed.body, packed.headers["Last-Modified"]))
        response = self.ask("/static/ten", Accept_Encoding="gzip", Range="bytes=5-", If_Range=date)
        self.assertEqual((200, packed.body), (response.status, response.body))
        response = self.ask("/static/ten", Accept_Encoding="gzip", Range="bytes=5-",
                            If_Range=packed.headers["Etag"])
        self.assertEqual((206, b"FGHIJ"), (response.status, response.body))

    def test_b342_a_date_under_compress_response(self):
        self.write("large.txt", b"some text " * 5000, self.OLD)
        self.serve_files(compress_response=True)
        packed = self.ask("/static/large.txt", Accept_Encoding="gzip")
        # The part that the client has is of the compressed content.
        response = self.ask("/static/large.txt", Range="bytes=50-",
                            If_Range=packed.headers["Last-Modified"])
        self.assertEqual((200, 50000), (response.status, len(response.body)))
