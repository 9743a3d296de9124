"""What is exactly as large as a limit passes, and one more is refused, however it is cut into
pieces (row A696)."""
from __future__ import absolute_import, division, print_function

import hashlib
import unittest
import zlib

from friendserve.protocol import headers, http1, http1body, websocket
from friendserve.protocol.deflate import Deflater, Inflater, Side
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.grammar import is_content_length
from friendserve.protocol.http1 import CHUNKED, UNTIL_CLOSE
from friendserve.protocol.http1body import ENDED, DeflateDecompressor, MessageBody
from friendserve.protocol.multipart import parse_multipart
from friendserve.util import GzipDecompressor

NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(40))

GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def compressed(data, bits):
    compressor = zlib.compressobj(9, zlib.DEFLATED, bits)
    return compressor.compress(data) + compressor.flush()


def pieces_of(data):
    """The same bytes whole, in two halves and one by one."""
    half = len(data) // 2
    yield [data]
    yield [data[:half], data[half:]]
    yield [data[position:position + 1] for position in range(len(data))]


class LimitsTest(unittest.TestCase):
    longMessage = True

    def allows(self, limit, function, status=400):
        """Check that function(size) is refused for more than `limit` only."""
        function(limit - 1)
        function(limit)
        for size in (limit + 1, limit + 2):
            with self.assertRaises(HTTPInputError) as caught:
                function(size)
            self.assertEqual(status, caught.exception.status, str(caught.exception))

    def read(self, length, data, inflater=None, content=None, limit=100):
        for pieces in pieces_of(data):
            body = MessageBody(length, limit, None, inflater and inflater())
            body.begin(None)
            for piece in pieces:
                body.feed(piece)
            self.assertTrue(body.closed())
            self.assertEqual((ENDED, content), (body.state, body.whole()))

    def test_a696_bodies(self):
        self.allows(100, lambda size: self.read(size, b"x" * size, None, b"x" * size), 413)
        self.allows(100, lambda size: self.read(UNTIL_CLOSE, b"x" * size, None, b"x" * size), 413)
        self.allows(100, lambda size: self.read(
            CHUNKED, http1.encode_chunk(b"x" * size) + http1.LAST_CHUNK, None, b"x" * size), 413)

    def test_a696_compressed_bodies(self):
        for kind, bits in ((GzipDecompressor, GZIP), (DeflateDecompressor, ZLIB),
                           (DeflateDecompressor, RAW)):
            def read(size):
                data = compressed(b"x" * size, bits)
                self.read(UNTIL_CLOSE, data, kind, b"x" * size)
                self.read(CHUNKED, http1.encode_chunk(data) + http1.LAST_CHUNK, kind, b"x" * size)
                self.read(len(data), data, kind, b"x" * size)

            self.allows(100, read, 413)
            read(1)
            # Of an empty body in the raw format, two bytes are left.
            read(0)
            # A coding of nothing at all.
            self.read(UNTIL_CLOSE, b"", kind, b"")
            self.read(CHUNKED, http1.LAST_CHUNK, kind, b"")

    def test_a697_a_bomb_after_what_fills_the_limit(self):
        for size in (99, 100, 101):
            data = compressed(b"x" * size, GZIP) + compressed(b"y" * (1 << 24), GZIP)
            self.assertEqual(101, len(GzipDecompressor().decompress(data, 101)), size)

    def test_a696_lines_of_a_head(self):
        def target(size):
            line = "GET /%s HTTP/1.1" % ("a" * (size - 14))
            self.assertEqual(size, len(line))
            head = (line + "\r\nHost: h\r\n\r\n").encode("ascii")
            http1.parse_request_head(head, 100)
            http1.check_partial_head(head, head, 100)
            http1.check_partial_head(head[:size + 1], head[:size + 1], 100)

        self.allows(100, target, 414)
        self.allows(50, lambda number: headers.parse_fields(["A: b"] * number, 50), 431)
        self.allows(http1.MAX_EMPTY_LINES, lambda number: http1.parse_request_head(
            b"\r\n" * number + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
        self.assertTrue(is_content_length("9" * 19))
        self.assertFalse(is_content_length("9" * 20))

    def test_a696_lines_of_chunks(self):
        for decoder in (http1body.ChunkedDecoder, http1body.ResponseChunkedDecoder):
            def line(size):
                for data in pieces_of(b"1;" + b"x" * (size - 2) + b"\r\nx\r\n0\r\n\r\n"):
                    reader = decoder(1)
                    self.assertEqual(b"x", b"".join(map(reader.feed, data)))
                    self.assertEqual(b"", reader.unused)

            self.allows(decoder.MAX_LINE, line)
            self.allows(decoder.MAX_TRAILERS, lambda number: decoder(1).feed(
                b"0\r\n" + b"A: b\r\n" * number + b"\r\n"), 431)
            self.allows(decoder.MAX_TRAILER_LINE, lambda size: decoder(1).feed(
                b"0\r\nA:" + b"b" * (size - 2) + b"\r\n\r\n"))

    def test_a696_parts_of_a_form(self):
        def form(parts=1, header=b"", content=b""):
            part = b"--x\r\nContent-Disposition: form-data; name=a%s\r\n\r\n%s\r\n"
            return parse_multipart("x", part % (header, content) * parts + b"--x--", 20, 100, 50)

        self.allows(20, lambda number: form(number))
        # The name counts, too.
        self.allows(50, lambda size: form(content=b"b" * (size - 1)))
        # Of 100 bytes, the first line takes 38 and the line ends of header and first line two each.
        self.allows(58, lambda size: form(header=b"\r\nA:" + b"b" * (size - 2)))


class FramesTest(unittest.TestCase):
    def check(self, frames, allowed, **options):
        for pieces in pieces_of(frames):
            reader = websocket.FrameReader(False, **options)
            events = [event for piece in pieces for event in reader.receive(piece)]
            if allowed:
                self.assertEqual([bytes], [type(event) for event in events])
            else:
                self.assertEqual([1009], [event.code for event in events])

    def test_a696_messages(self):
        frame, end = websocket.encode_frame, websocket.FIN | websocket.CONTINUATION
        for size in (999, 1000, 1001):
            self.check(frame(websocket.WHOLE_BINARY, b"x" * size), size <= 1000,
                       max_message_size=1000)
            self.check(frame(websocket.BINARY, b"x" * 600) + frame(end, b"x" * (size - 600)),
                       size <= 1000, max_message_size=1000)
            for level in (0, 9):
                # What cannot be compressed becomes a little longer.
                data = Deflater(Side(), level).compress(NOISE[:size])
                self.check(frame(websocket.WHOLE_BINARY | websocket.RSV1, data), size <= 1000,
                           max_message_size=1000, inflater=Inflater(Side()))
        for number in (9, 10, 11):
            frames = frame(websocket.BINARY, b"x") + frame(websocket.CONTINUATION, b"x") * (
                number - 2) + frame(end, b"x")
            self.check(frames, number <= 10, max_fragments=10)


if __name__ == "__main__":
    unittest.main()
