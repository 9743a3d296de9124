"""Chunked bodies: those that arrive whole are read in one loop, those that are split step by step;
both have the same result."""
from __future__ import absolute_import, division, print_function

import random
import sys
import unittest

from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import LAST_CHUNK
from friendserve.protocol.http1body import ChunkedDecoder, ResponseChunkedDecoder

SEED = 20090911

#: What to put after a size, most often nothing; between a size and its data; and after the data.
EXTENSIONS = [b""] * 9 + [b";a=b", b" ", b"\t;x", b" ; y", b";" + b"e" * 60, b";" + b"e" * 70,
                          b";\x00", b";\xe9", b"\r", b"_0", b"g"]
SIZE_ENDS = [b"\r\n"] * 30 + [b"\n", b"\r", b"\r\r\n", b""]
DATA_ENDS = [b"\r\n"] * 30 + [b"\n", b"\r", b"x\r\n", b"\rx", b""]
PREFIXES = [b""] * 30 + [b"0", b"0" * 12, b"0" * 14, b"0" * 16, b"0x", b"+", b" "]
ENDS = [LAST_CHUNK, LAST_CHUNK + b"GET", b"000;x\r\n\r\n", b"0\r\nX: y\r\nZ : 1\r\n\r\n",
        b"0\r\nX\r\n\r\n", b"0\r\n", b"0\n", b"0", b"", b"\r\n"]


def make_body(choose):
    body = b""
    for _ in range(choose([0, 1, 2, 5])):
        size = choose([1, 2, 9, 16, 300])
        data = b"".join([choose([b"a", b"\r", b"\n", b"\r\n", b"0"]) for _ in range(size)])[:size]
        digits = ("%x" % size).encode("ascii")
        body += b"".join([choose(PREFIXES), choose([digits, digits.upper()]), choose(EXTENSIONS),
                          choose(SIZE_ENDS), data, choose(DATA_ENDS)])
    return body + choose(ENDS)


def outcome(decoder, pieces):
    """The body and the bytes after it, or the status and text of the refusal."""
    body, unused = b"", None
    try:
        for piece in pieces:
            if unused is None:
                body += b"".join(decoder.feed(piece, whole=False))
                unused = decoder.unused
            else:
                unused += piece
    except HTTPInputError as error:
        return error.status, str(error)
    return body, unused


class SameInPiecesTest(unittest.TestCase):
    longMessage = True

    def test_any_cut_gives_the_same_body_or_refusal(self):
        choose = random.Random(SEED).choice
        counts = {}
        for _ in range(3000):
            data, limit = make_body(choose), choose([10 ** 6, 10 ** 6, 20])
            for decoder in (ChunkedDecoder, ResponseChunkedDecoder):
                whole = outcome(decoder(limit), [data])
                key = type(whole[0]), whole[1] is None
                counts[key] = counts.get(key, 0) + 1
                place = choose(range(len(data) + 1))
                for pieces in ([data[:place], data[place:]],
                               [data[i:i + 1] for i in range(len(data))]):
                    cut = outcome(decoder(limit), pieces)
                    if type(whole[0]) is int:
                        # The text shows bytes of the line, more or fewer of which have arrived.
                        self.assertEqual(whole[0], cut[0], data)
                    else:
                        self.assertEqual(whole, cut, data)
        # Bodies that were complete, incomplete and refused.
        self.assertEqual(3, len([count for count in counts.values() if count > 100]), counts)

    def test_a_piece_for_each_chunk(self):
        data = b"3\r\nabc\r\n2;x\r\nde\r\n1\r\nf\r\n"
        self.assertEqual([b"abc", b"de", b"f"], ChunkedDecoder(6).feed(data + LAST_CHUNK, False))
        self.assertEqual([b"abc", b"de", b"f"], ChunkedDecoder(6).feed(data[:-2], False))
        self.assertEqual([b"abc", b"d"], ChunkedDecoder(6).feed(data[:14], False))

    def test_chunks_that_arrived_whole_take_no_call_each(self):
        calls = []

        def count(frame, event, argument):
            if event == "call":
                calls.append(frame.f_code.co_name)

        decoder = ChunkedDecoder(10 ** 6)
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            decoder.feed(b"3\r\nabc\r\n" * 100 + LAST_CHUNK)
        finally:
            sys.setprofile(before)
        self.assertLess(len(calls), 10, calls)


if __name__ == "__main__":
    unittest.main()
