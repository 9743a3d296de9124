"""Output transforms: which responses are compressed, and their headers."""
from __future__ import absolute_import, division, print_function

import unittest
import zlib

from friendserve.protocol.headers import HTTPHeaders
from friendserve.web.transforms import (
    ChunkedTransferEncoding, GZipContentEncoding, OutputTransform)

LONG = b"hello world " * 200


class Request(object):
    """The part of a request that transforms use."""

    def __init__(self, accept_encoding=None):
        self.headers = HTTPHeaders()
        if accept_encoding is not None:
            self.headers["Accept-Encoding"] = accept_encoding


def gunzip(data):
    """The content of one complete gzip member; anything else is an error."""
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    content = decoder.decompress(data)
    if not hasattr(decoder, "eof"):  # version: py2
        return content + decoder.flush()
    if not decoder.eof or decoder.unused_data:
        raise ValueError("not one complete gzip member")
    return content


class PlainTransformsTest(unittest.TestCase):
    def test_nothing_changes(self):
        for transform_class in (OutputTransform, ChunkedTransferEncoding):
            transform = transform_class(Request("gzip"))
            headers = HTTPHeaders({"Content-Type": "text/html"})
            self.assertEqual(transform.transform_first_chunk(200, headers, LONG, False),
                             (200, headers, LONG))
            self.assertEqual(list(headers.get_all()), [("Content-Type", "text/html")])
            self.assertEqual(transform.transform_chunk(b"a", False), b"a")
            self.assertEqual(transform.transform_chunk(b"", True), b"")


class GZipTest(unittest.TestCase):
    def first(self, accept="gzip", status=200, chunk=LONG, finishing=True,
              transform_class=GZipContentEncoding, **headers):
        """Feed a first chunk; the default Content-Type is text/html."""
        fields = HTTPHeaders({"Content-Type": "text/html; charset=UTF-8"})
        for name, value in headers.items():
            fields[name.replace("_", "-")] = value
        self.transform = transform_class(Request(accept))
        code, self.headers, chunk = self.transform.transform_first_chunk(
            status, fields, chunk, finishing)
        self.assertEqual(code, status)
        self.assertIs(self.headers, fields)
        return chunk

    def assert_plain(self, *args, **kwargs):
        chunk = kwargs.get("chunk", LONG)
        encoding = kwargs.get("Content_Encoding")
        self.assertEqual(self.first(*args, **kwargs), chunk)
        self.assertEqual(self.headers.get("Content-Encoding"), encoding)

    def test_whole_body(self):
        chunk = self.first(Content_Length=str(len(LONG)))
        self.assertEqual(gunzip(chunk), LONG)
        self.assertLess(len(chunk), len(LONG))
        self.assertEqual(self.headers["Content-Encoding"], "gzip")
        self.assertEqual(self.headers["Content-Length"], str(len(chunk)))
        self.assertEqual(self.headers["Vary"], "Accept-Encoding")

    def test_same_body_gives_the_same_bytes(self):
        self.assertEqual(self.first(), self.first())

    def test_each_flush_sends_what_was_written(self):
        decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        chunk = self.first(chunk=b"one", finishing=False, Content_Length="5000")
        self.assertEqual(decoder.decompress(chunk), b"one")
        self.assertNotIn("Content-Length", self.headers)
        self.assertEqual(self.headers["Content-Encoding"], "gzip")
        self.assertEqual(decoder.decompress(self.transform.transform_chunk(b"two", False)), b"two")
        self.assertEqual(self.transform.transform_chunk(b"", False), b"")
        end = self.transform.transform_chunk(b"three", True)
        self.assertEqual(decoder.decompress(end) + decoder.flush(), b"three")

    def test_head_flushed_before_the_body(self):
        chunks = [self.first(chunk=b"", finishing=False)]
        self.assertEqual(chunks, [b""])
        chunks.append(self.transform.transform_chunk(LONG, False))
        chunks.append(self.transform.transform_chunk(b"", True))
        self.assertEqual(gunzip(b"".join(chunks)), LONG)

    def test_types(self):
        for content_type in ("text/plain", "TEXT/CSS;charset=x", "application/json",
                             "application/javascript", "image/svg+xml", "application/xml"):
            self.first(Content_Type=content_type)
            self.assertEqual(self.headers.get("Content-Encoding"), "gzip", content_type)
        for content_type in ("image/png", "application/octet-stream", "", "textual/x"):
            self.assert_plain(Content_Type=content_type)
            self.assertNotIn("Vary", self.headers)

    def test_a319_short_bodies(self):
        self.assert_plain(chunk=b"x" * (GZipContentEncoding.MIN_LENGTH - 1))
        self.assert_plain(chunk=b"short", finishing=False, Content_Length="1000")
        self.assertEqual(self.headers["Content-Length"], "1000")
        self.assertEqual(self.transform.transform_chunk(b"more", True), b"more")
        self.assert_plain(chunk=b"")
        self.first(chunk=b"x" * GZipContentEncoding.MIN_LENGTH)
        self.assertEqual(self.headers["Content-Encoding"], "gzip")

    def test_a319_partial_encoded_and_empty_responses(self):
        self.assert_plain(status=206)
        self.assert_plain(status=416, Content_Range="bytes */5000")
        self.assert_plain(Content_Encoding="br")
        self.assert_plain(Content_Encoding="identity")
        for status in (101, 204, 304):
            self.assert_plain(status=status, chunk=b"", finishing=False)

    def test_a319_error_pages_are_compressed(self):
        self.assertEqual(gunzip(self.first(status=404)), LONG)

    def test_a319_accept_encoding(self):
        for accept in ("gzip", "GZIP", "deflate, gzip;q=1.0", "gzip;q=0.5", "x-gzip", "*",
                       "identity;q=0, *;q=0.1", "br,gzip", "*;q=0, gzip", "gzip ; Q=0.001",
                       "gzip;q=1.", ", ,gzip"):
            self.assertEqual(gunzip(self.first(accept)), LONG, accept)
        for accept in (None, "", "identity", "deflate, br", "gzip;q=0", "gzip;q=0.000", "*;q=0",
                       "gzip;q=0, *", "notgzip", "gzipped", "gzip;q=1.5", "gzip;q=x", "gzip;q=-1",
                       "gzip;q=nan", "gzip;q=", "gzip;x=1", "gzip;q=1\n"):
            self.assert_plain(accept)

    def test_a319_vary_whoever_asks(self):
        for accept in (None, "gzip"):
            self.first(accept)
            self.assertEqual(self.headers["Vary"], "Accept-Encoding")
            self.first(accept, chunk=b"short")
            self.assertEqual(self.headers["Vary"], "Accept-Encoding")
            self.first(accept, Content_Encoding="br")
            self.assertEqual(self.headers["Vary"], "Accept-Encoding")

    def test_a319_vary_that_was_there(self):
        self.first(Vary="Cookie")
        self.assertEqual(self.headers["Vary"], "Cookie, Accept-Encoding")
        for vary in ("*", "accept-encoding", "Cookie, Accept-Encoding"):
            self.first(Vary=vary)
            self.assertEqual(self.headers["Vary"], vary)

    def test_a319_strong_etag_becomes_weak(self):
        self.first(Etag='"abc"')
        self.assertEqual(self.headers["Etag"], 'W/"abc"')
        self.first(Etag='W/"abc"')
        self.assertEqual(self.headers["Etag"], 'W/"abc"')
        self.assert_plain("br", Etag='"abc"')
        self.assertEqual(self.headers["Etag"], '"abc"')

    def test_ranges_are_not_offered_for_what_is_compressed(self):
        self.first(Accept_Ranges="bytes")
        self.assertNotIn("Accept-Ranges", self.headers)
        self.assert_plain("br", Accept_Ranges="bytes")
        self.assertEqual(self.headers["Accept-Ranges"], "bytes")

    def test_settings_of_a_subclass(self):
        class Own(GZipContentEncoding):
            CONTENT_TYPES = set(["application/x-own"])
            MIN_LENGTH = 10
            GZIP_LEVEL = 0

        chunk = self.first(transform_class=Own, Content_Type="application/x-own", chunk=b"x" * 10)
        self.assertEqual(gunzip(chunk), b"x" * 10)
        self.assertIn(b"x" * 10, chunk)
        self.assert_plain(transform_class=Own, chunk=b"x" * 9)


if __name__ == "__main__":
    unittest.main()
