"""The contract of the HTTP clients: framing, bodies in both directions, and their limits."""
from __future__ import absolute_import, division, print_function

import gzip
import io
import unittest
import zlib

from friendserve.httpclient import HTTPTransferError
from tests.clientcase import ScriptedServer, answer, for_each_client, response
from tests.httpcase import echo


def gzipped(data):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as file:
        file.write(data)
    return out.getvalue()


class FramingContract(object):
    """Rows A140, A141, A052, B185 and B186."""

    def test_a140_a_missing_reason_is_tolerated(self):
        for line in (b"HTTP/1.1 200", b"HTTP/1.1 200 "):
            self.script(line + b"\r\nContent-Length: 2\r\n\r\nok")
            self.assertEqual(self.fetch_ok().body, b"ok")

    def test_a140_heads_that_are_none(self):
        for head in (b"HTTP/1.1 200OK\r\nContent-Length: 0", b"HTTP/1.1 2000 OK",
                     b"HTTP/1.1 099 Low", b"garbage", b"",
                     b"HTTP/1.1 200 OK\r\nContent-Length: abc",
                     b"HTTP/1.1 200 OK\r\nContent-Length: -1"):
            self.script([head + b"\r\n\r\n", ScriptedServer.CLOSE])
            self.fetch_error(HTTPTransferError)

    def test_a140_a_head_beyond_the_limit(self):
        for piece in (b"X: " + b"a" * 100000 + b"\r\n", b"X: 123456789\r\n" * 10000):
            self.script([b"HTTP/1.1 200 OK\r\n" + piece + b"\r\n", ScriptedServer.CLOSE])
            self.fetch_error(HTTPTransferError)

    def test_a141_no_body_is_awaited(self):
        for method, head in (("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100"),
                             ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 100"),
                             ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"),
                             ("GET", b"HTTP/1.1 204 No Content")):
            self.script(head + b"\r\n\r\n")
            self.assertEqual(self.fetch(method=method).body or b"", b"")

    def test_b188_lines_that_end_in_a_line_feed(self):
        self.script(b"HTTP/1.1 200 OK\nContent-Length: 2\nX-A: 1\n\nok")
        response = self.fetch_ok()
        self.assertEqual((response.body, response.headers["X-A"]), (b"ok", "1"))

    def test_b185_nothing_half_is_taken_for_whole(self):
        for start in (b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Le"):
            for end in (ScriptedServer.CLOSE, ScriptedServer.RESET):
                self.script([start, end] if start else [end])
                self.fetch_error(HTTPTransferError)

    def test_a052_interim_responses(self):
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        self.script([10 * early + response(b"done"), ScriptedServer.CLOSE])
        self.assertEqual(self.fetch_ok().body, b"done")

    def test_a_response_byte_by_byte(self):
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

        def dribble(stream, head, left=None):
            left = data if left is None else left
            if left and not stream.closed():
                stream.write(left[:1])
                stream.io_loop.add_callback(dribble, stream, head, left[1:])

        self.script(dribble)
        self.assertEqual(self.fetch_ok().body, b"abc")

    def test_b186_a_body_without_a_length(self):
        for version in (b"1.0", b"1.1"):
            self.script([b"HTTP/" + version + b" 200 OK\r\n\r\nabc", ScriptedServer.CLOSE])
            self.assertEqual(self.fetch_ok().body, b"abc")


class LimitContract(object):
    """Rows A045 and A052: bodies that are too large."""
    options = {"max_body_size": 10000}

    def test_a052_a_body_beyond_the_limit(self):
        big = b"x" * 10001
        for answers in ([response(big)],
                        [b"HTTP/1.0 200 OK\r\n\r\n" + big, ScriptedServer.CLOSE],
                        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                         + 3 * (b"1000\r\n" + 4096 * b"x" + b"\r\n") + b"0\r\n\r\n"]):
            self.script(answers)
            self.fetch_error(HTTPTransferError)
        self.script(response(b"x" * 10000))
        self.assertEqual(len(self.fetch_ok().body), 10000)

    def test_a045_a_gzip_bomb(self):
        for length in (10000, 10001, 5000000):
            data = gzipped(b"x" * length)
            self.script(response(data, headers="Content-Encoding: gzip\r\n"))
            if length == 10000:
                self.assertEqual(len(self.fetch_ok().body), length)
            else:
                self.fetch_error(HTTPTransferError)


class BodyContract(object):
    def test_b191_compressed_responses(self):
        raw = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        for coding, data in (("gzip", gzipped(b"hello" * 100)),
                             ("deflate", zlib.compress(b"hello" * 100)),
                             ("deflate", raw.compress(b"hello" * 100) + raw.flush())):
            self.script(response(data, headers="Content-Encoding: %s\r\n" % coding))
            response_ = self.fetch_ok()
            self.assertEqual(response_.body, b"hello" * 100)
            self.assertNotEqual(response_.headers.get("Content-Length"), str(len(data)))
            self.assertIn(b"gzip", self.server.heads[0])

    def test_decompression_can_be_turned_off(self):
        data = gzipped(b"hello")
        self.script(response(data, headers="Content-Encoding: gzip\r\n"))
        self.assertEqual(self.fetch_ok(decompress_response=False).body, data)
        self.assertNotIn(b"gzip", self.server.heads[0])

    def test_b186_compressed_and_cut_short(self):
        data = gzipped(b"hello" * 1000)[:-8]
        self.script(response(data, headers="Content-Encoding: gzip\r\n"))
        self.fetch_error(HTTPTransferError)
        self.script([b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + data,
                     ScriptedServer.CLOSE])
        self.fetch_error(HTTPTransferError)

    def test_b187_streaming(self):
        for data in (response(b"abc" * 50000),
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     + 10 * (b"%x\r\n" % 15000 + 5000 * b"abc" + b"\r\n") + b"0\r\n\r\n",
                     response(gzipped(b"abc" * 50000), headers="Content-Encoding: gzip\r\n")):
            self.script(data)
            pieces, lines, ends = [], [], []
            self.client.fetch(
                self.url(), lambda response: ends.append((response, len(pieces))),
                streaming_callback=pieces.append, header_callback=lines.append)
            self.run_until(lambda: ends)
            response_, count = ends[0]
            self.assertIsNone(response_.error)
            self.assertEqual(count, len(pieces))
            self.assertEqual(b"".join(pieces), b"abc" * 50000)
            self.assertEqual(response_.body or b"", b"")
            self.assertEqual((lines[0], lines[-1]), ("HTTP/1.1 200 OK\r\n", "\r\n"))

    def test_b187_header_callback_for_head(self):
        self.serve()
        lines = []
        self.fetch_ok(method="HEAD", header_callback=lines.append)
        self.assertEqual((lines[0], lines[-1]), ("HTTP/1.1 200 OK\r\n", "\r\n"))

    def test_b190_body_producer(self):
        self.serve(echo)
        for headers in (None, {"Content-Length": "7"}):
            def produce(write):
                write(b"abc")
                write(b"defg")

            self.assertEqual(self.fetch_ok(method="POST", body_producer=produce,
                                           headers=headers).body, b"abcdefg")

    def test_b190_body_producer_that_goes_on_later(self):
        self.serve(echo)

        def produce(write):
            def more(left):
                if left:
                    write(b"x" * 1000, lambda: more(left - 1))
                else:
                    write.finish()

            self.loop.add_callback(more, 50)
            return write

        self.assertEqual(len(self.fetch_ok(method="POST", body_producer=produce).body), 50000)

    def test_b190_body_producer_that_fails(self):
        self.serve(echo)

        def raises(write):
            write(b"abc")
            raise KeyError("no more")

        for produce, length in ((raises, "10"), (lambda write: write(b"abc"), "2"),
                                (lambda write: write(b"abc"), "4")):
            self.fetch_error(HTTPTransferError, method="POST", body_producer=produce,
                             headers={"Content-Length": length})
        self.assertEqual(self.fetch_ok(method="POST", body=b"x").body, b"x")

    def test_expect_100_continue(self):
        def on_request(request):
            seen.append((request.headers.get("Expect"), request.body))
            answer(request, request.body)

        seen = []
        self.serve(on_request)
        self.assertEqual(self.fetch_ok(method="POST", body=b"data",
                                       expect_100_continue=True).body, b"data")
        self.assertEqual(seen, [("100-continue", b"data")])

    def test_expect_100_continue_and_the_server_says_no(self):
        self.script(response(b"no", "413 Content Too Large"))
        response_ = self.fetch(method="POST", body=b"data", expect_100_continue=True)
        self.assertEqual((response_.code, response_.body), (413, b"no"))
        self.assertFalse(self.server.streams[0].has_unread())

    def test_expect_100_continue_and_the_server_does_not_know_that(self):
        def on_head(stream, head):
            stream.write(response(b"what?", "417 Expectation Failed") if b"Expect" in head
                         else response(b"ok"))

        self.script(on_head, on_head)
        self.assertEqual(self.fetch_ok(method="POST", body=b"data",
                                       expect_100_continue=True).body, b"ok")
        self.assertIn(b"Expect: 100-continue\r\n", self.server.heads[0])
        self.assertNotIn(b"Expect", self.server.heads[-1])

    def test_a_streaming_callback_that_raises(self):
        self.script(response(b"abc"))

        def raises(data):
            raise KeyError("in the callback")

        self.assertEqual(self.fetch(streaming_callback=raises).code, 599)


class Contract(FramingContract, BodyContract):
    """The whole contract of this module."""


for_each_client(globals(), Contract)
for_each_client(globals(), LimitContract)

if __name__ == "__main__":
    unittest.main()
