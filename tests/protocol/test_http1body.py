"""The body of one message: its states, its limits, and the codings it can have."""
from __future__ import absolute_import, division, print_function

import itertools
import unittest
import zlib

from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import CHUNKED, UNTIL_CLOSE
from friendserve.protocol.http1body import (
    BODY_MOVES, DELIVERING, ENDED, READING, STARTING, DeflateDecompressor, MessageBody)


class StatesTest(unittest.TestCase):
    def test_moves(self):
        states = (STARTING, READING, DELIVERING, ENDED)
        for old, new in itertools.product(states, states):
            self.assertEqual(new, BODY_MOVES.get((old, new), new))
        for old in states:
            self.assertIn((old, ENDED), BODY_MOVES)
            self.assertNotIn((old, STARTING), BODY_MOVES)
        # Nothing is read or passed on before the receiver is known, or after the end.
        self.assertNotIn((STARTING, DELIVERING), BODY_MOVES)
        self.assertNotIn((ENDED, READING), BODY_MOVES)
        self.assertNotIn((ENDED, DELIVERING), BODY_MOVES)

    def test_known_length(self):
        body = MessageBody(5, 5)
        self.assertEqual(STARTING, body.state)
        body.begin(None)
        self.assertEqual(READING, body.state)
        self.assertEqual(5, body.wanted(100))
        body.feed(b"abc")
        self.assertEqual(READING, body.state)
        self.assertEqual(2, body.wanted(100))
        self.assertFalse(body.closed())
        body.feed(b"de")
        self.assertEqual((ENDED, b"abcde", b""), (body.state, body.whole(), body.unused))

    def test_chunks(self):
        body = MessageBody(CHUNKED, 5)
        body.begin(None)
        body.feed(b"3\r\nabc\r\n")
        self.assertEqual(READING, body.state)
        body.feed(b"0\r\n\r\nGET")
        self.assertEqual((ENDED, b"abc", b"GET"), (body.state, body.whole(), body.unused))

    def test_until_close(self):
        body = MessageBody(UNTIL_CLOSE, 5)
        body.begin(None)
        body.feed(b"abc")
        self.assertEqual(READING, body.state)
        self.assertTrue(body.closed())
        self.assertEqual((ENDED, b"abc"), (body.state, body.whole()))

    def test_ended_early(self):
        body = MessageBody(5, 5)
        body.end()
        self.assertEqual(ENDED, body.state)
        body.end()
        self.assertEqual(ENDED, body.state)

    def test_announced_length_over_the_limit(self):
        receiver = object()
        body = MessageBody(6, 5)
        with self.assertRaises(HTTPInputError) as caught:
            body.begin(receiver)
        self.assertEqual(413, caught.exception.status)
        # The receiver is known, and can be notified.
        self.assertIs(receiver, body.receiver)

    def test_another_limit_before_it_begins(self):
        for length in (5, CHUNKED):
            body = MessageBody(length, 1)
            body.set_limit(5)
            body.begin(None)
            body.feed(b"5\r\nabcde\r\n0\r\n\r\n" if length is CHUNKED else b"abcde")
            self.assertEqual(b"abcde", body.whole())


class DeflateTest(unittest.TestCase):
    def compress(self, data, bits):
        compressor = zlib.compressobj(9, zlib.DEFLATED, bits)
        return compressor.compress(data) + compressor.flush()

    def test_both_formats_byte_by_byte(self):
        for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
            data = self.compress(b"hello" * 100, bits)
            decompressor = DeflateDecompressor()
            pieces = [decompressor.decompress(data[position:position + 1], 1000)
                      for position in range(len(data))]
            self.assertEqual(b"hello" * 100, b"".join(pieces) + decompressor.flush())

    def test_no_more_than_max_length(self):
        data = self.compress(b"x" * 1000, zlib.MAX_WBITS)
        self.assertEqual(b"x" * 10, DeflateDecompressor().decompress(data, 10))

    def test_data_that_ends_after_its_first_byte(self):
        decompressor = DeflateDecompressor()
        self.assertEqual(b"", decompressor.decompress(b"x", 10))
        self.assertRaises(zlib.error, decompressor.flush)
