"""What the readers of a response tolerate, and that requests and framing stay strict."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.headers import parse_fields
from friendserve.protocol.http1 import CHUNKED, read_request_head, read_response_head
from friendserve.protocol.http1body import ChunkedDecoder, MessageBody, ResponseChunkedDecoder


def verdict(function, *args):
    """The result of a call, or the status of its HTTPInputError."""
    try:
        return function(*args)
    except HTTPInputError as error:
        return error.status


def head(*lines):
    return b"".join(line + b"\r\n" for line in (b"HTTP/1.1 200 OK",) + lines + (b"",))


def fields(*lines):
    """The fields of a response with these lines, as pairs; or a status."""
    result = verdict(read_response_head, head(*lines))
    return result if isinstance(result, int) else sorted(result[3].get_all())


def decode(data, decoder_class=ResponseChunkedDecoder):
    """(body, unused) of a chunked body, fed at once and byte by byte; or a status."""
    results = []
    for pieces in ([data], [data[i:i + 1] for i in range(len(data))]):
        decoder = decoder_class(1000)
        body = []

        def feed():
            for piece in pieces:
                body.append(decoder.feed(piece))
            return b"".join(body), decoder.unused
        results.append(verdict(feed))
    return results[0] if results[0] == results[1] else results


class ResponseFieldsTest(unittest.TestCase):
    def test_a680_host_has_no_meaning_in_a_response(self):
        self.assertEqual([("Host", "a"), ("Host", "b")], fields(b"Host: a", b"Host: b"))
        for value in ("http://a/", "a b", "a,b", "u@h"):
            self.assertEqual([("Host", value)], fields(b"Host: " + value.encode("ascii")))
            # Neither memo answers for the other.
            self.assertEqual(400, verdict(parse_fields, ["Host: " + value], 100))
        self.assertEqual(400, verdict(read_request_head,
                                      b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"))

    def test_a681_many_lines(self):
        lines = [("X-%d: y" % number).encode("ascii") for number in range(120)]
        self.assertEqual(sorted(("X-%d" % number, "y") for number in range(120)), fields(*lines))
        self.assertEqual([("X", "y")] * 5000, fields(*[b"X: y"] * 5000))
        self.assertEqual(431, fields(*[b"X: y"] * 5001))
        self.assertEqual(431, verdict(
            read_request_head,
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"))

    def test_a682_space_before_the_colon(self):
        self.assertEqual([("X-Y", "z")], fields(b"x-y \t: z"))
        # It does not frame a message: other readers may not know the field by that name.
        for line in (b"Content-Length : 3", b"Transfer-Encoding\t: chunked"):
            self.assertEqual(400, fields(line))
        for line in (b"X Y: z", b"X Y : z", b": z", b"X"):
            self.assertEqual(400, fields(line))
        self.assertEqual(400, verdict(parse_fields, ["x-y \t: z"], 100))

    def test_a683_control_characters(self):
        for value in ("a\x01b", "a\x7f", "\x1b[0m", "a\x0bb"):
            self.assertEqual([("X", value)], fields(b"X: " + value.encode("ascii")))
            self.assertEqual(400, verdict(parse_fields, ["X: " + value], 100))
        for value in (b"a\0b", b"a\rb", b"\r", b"\0"):
            self.assertEqual(400, fields(b"X: " + value))

    def test_a684_framing_stays_strict(self):
        for lines in ([b"Content-Length: 3", b"Content-Length: 3"], [b"Content-Length: 3, 3"],
                      [b"Content-Length: +3"], [b"Content-Length: \x0b3"],
                      [b"Transfer-Encoding: gzip, chunked"], [b"Transfer-Encoding: \x0bchunked"],
                      [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
                      [b"Transfer-Encoding: chunked", b"Content-Length: 3"]):
            self.assertEqual(400, fields(*lines))
            # Also where something else is tolerated.
            self.assertEqual(400, fields(b"Host: a", b"Host: b", *lines))


class ResponseChunksTest(unittest.TestCase):
    def test_a685_space_after_the_size(self):
        for size in (b"5 ", b"5\t", b"5   \t ", b"5 ;x=y", b"5\t;x", b"0000000000000005"):
            self.assertEqual((b"hello", b"next"), self.decode_whole(size))
            self.assertEqual(400, decode(size + b"\r\nhello\r\n0\r\n\r\n", ChunkedDecoder))

    def decode_whole(self, size):
        decoder = ResponseChunkedDecoder(1000)
        return verdict(decoder.feed, size + b"\r\nhello\r\n0 \r\n\r\nnext"), decoder.unused

    def test_a685_in_pieces(self):
        self.assertEqual((b"hello", b""), decode(b"5  \r\nhello\r\n0 \r\n\r\n"))

    def test_a685_a_signed_chunk(self):
        size = b"5;chunk-signature=" + b"a" * 64
        self.assertEqual((b"hello", b""), decode(size + b"\r\nhello\r\n0\r\n\r\n"))
        self.assertEqual(400, decode(size + b"\r\nhello\r\n0\r\n\r\n", ChunkedDecoder))
        self.assertEqual(400, decode(b"5;" + b"a" * 5000))

    def test_a685_trailers_of_a_response(self):
        trailers = b"Host: http://a/\r\nX : y\r\nZ: \x01\r\n" + b"T: u\r\n" * 150
        self.assertEqual((b"", b""), decode(b"0\r\n" + trailers + b"\r\n"))
        self.assertEqual(400, decode(b"0\r\nX\r\n\r\n"))

    def test_a684_the_frame_stays_strict(self):
        for data in (b" 5\r\nhello", b"\r\n", b" \r\n", b";x\r\n", b"5 5\r\n", b"5 x\r\n",
                     b"5 \nhello", b"0x5\r\n", b"+5\r\n", b"5\r\nhello \r\n", b"5\r\nhello\n0",
                     b"5\x0b\r\n", b"5\xa0\r\n", b"f" * 17 + b"\r\n", b"5 ;\x00\r\n"):
            self.assertEqual(400, decode(data))
        self.assertEqual(413, decode(b"f" * 16 + b"\r\n"))

    def test_a685_a_body_keeps_the_rules_of_its_decoder(self):
        body = MessageBody(CHUNKED, 10)
        body.begin(None)
        self.assertEqual(400, verdict(body.feed, b"5 \r\n"))


if __name__ == "__main__":
    unittest.main()
