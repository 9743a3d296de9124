"""The buffers of streams, and the kinds of read, which find their end in one of them."""
from __future__ import absolute_import, division, print_function

import random
import re
import unittest

from friendserve.iostream import UnsatisfiableReadError
from friendserve.iostream.buffers import (
    PAUSE, ReadBuffer, ReadBytes, ReadUntil, ReadUntilClose, ReadUntilRegex, StreamBytes,
    WriteBuffer)


def filled(*pieces):
    buffer = ReadBuffer()
    for piece in pieces:
        buffer.append(piece)
    return buffer


class ReadBufferTest(unittest.TestCase):
    def test_whole_pieces_are_not_copied(self):
        piece = b"x" * 1000
        for _ in range(5000):    # enough for PyPy to compile `consume`
            buffer = filled(piece)
            self.assertIs(piece, buffer.consume(1000))
            self.assertEqual(0, len(buffer))

    def test_what_comes_out_is_bytes(self):
        for buffer in (filled(b"abcdef"), filled(b"abc", b"def"), filled(b"a", b"bcdef")):
            for size, expected in ((0, b""), (2, b"ab"), (1, b"c"), (3, b"def"), (0, b"")):
                data = buffer.consume(size)
                self.assertEqual((bytes, expected), (type(data), data))

    def test_find_begins_at_what_is_left(self):
        buffer = filled(b"one,two", b",three")
        buffer.consume(4)
        self.assertEqual(3, buffer.find(b","))
        self.assertEqual(-1, buffer.find(b",", 4))
        self.assertEqual(3, buffer.find(b",", 3))
        self.assertEqual(-1, buffer.find(b"one"))

    def test_search_sees_only_what_is_left(self):
        for buffer in (filled(b"ab\nab\n"), filled(b"ab\n", b"ab\n")):
            self.assertEqual(3, buffer.search(re.compile(b"^ab\\s")))
            buffer.consume(1)
            self.assertEqual(-1, buffer.search(re.compile(b"^ab")))
            self.assertEqual(-1, buffer.search(re.compile(b"(?<=a)b\nab\n\n")))
            self.assertEqual(1, buffer.search(re.compile(b"\\bb")))
            self.assertEqual(-1, buffer.search(re.compile(b"(?<=a)b\na")))
            # A search does not lock the buffer.
            buffer.append(b"more")
            self.assertEqual(b"b\nab\nmore", buffer.consume(len(buffer)))

    def test_peek_takes_nothing(self):
        buffer = filled(b"0123", b"456789")
        buffer.consume(2)
        self.assertEqual([b"23456789", b"456789", b"34"],
                         [buffer.peek(), buffer.peek(2), buffer.peek(1, 3)])
        self.assertEqual(bytes, type(buffer.peek()))
        self.assertEqual(8, len(buffer))

    def test_push_back(self):
        buffer = filled(b"de", b"f")
        buffer.push_back(b"bc")
        buffer.push_back(b"a")
        self.assertEqual(b"abcdef", buffer.consume(6))
        buffer.push_back(b"again")
        self.assertEqual(b"again", buffer.consume(5))

    def test_any_sequence_of_operations(self):
        for seed in range(100):
            rng = random.Random(seed)
            buffer, model = ReadBuffer(), b""
            for _ in range(40):
                action = rng.randrange(5)
                if action < 2:
                    data = bytes(bytearray(rng.randrange(97, 101) for _ in range(
                        rng.choice((1, 3, 50))))) * rng.choice((1, 1, 1, 1500))
                    if action:
                        buffer.append(data)
                        model += data
                    else:
                        buffer.push_back(data)
                        model = data + model
                elif action < 4:
                    size = rng.randrange(len(model) + 1) // rng.choice((1, 2, 10))
                    self.assertTrue(model[:size] == buffer.consume(size), seed)
                    model = model[size:]
                else:
                    self.assertEqual(model.find(b"abca"), buffer.find(b"abca"), seed)
                    match = re.search(b"^d|abcd", model)
                    self.assertEqual(match.end() if match else -1,
                                     buffer.search(re.compile(b"^d|abcd")), seed)
                self.assertEqual(len(model), len(buffer), seed)
                self.assertEqual(not model, buffer.data == b"", seed)
            self.assertTrue(model == buffer.peek(), seed)

    def test_b068_small_reads_from_a_big_buffer(self):
        buffer = filled(b"x\n" * 500000, b"x\n" * 500000)
        regex = re.compile(b"\n")
        for _ in range(50000):
            buffer.consume(buffer.search(regex))
        self.assertEqual(1900000, len(buffer))
        # Consumed bytes are freed.
        buffer.consume(1800000)
        self.assertLess(len(buffer.data), 300000)


class WriteBufferTest(unittest.TestCase):
    def test_callbacks_come_when_all_before_them_is_sent(self):
        buffer = WriteBuffer()
        buffer.call_when_sent("at once")
        buffer.append(b"12345")
        buffer.call_when_sent("five")
        buffer.append(b"x" * 20000)
        buffer.call_when_sent("all")
        buffer.call_when_sent("all, too")
        self.assertEqual(["at once"], buffer.advance(0))
        self.assertEqual([], buffer.advance(4))
        self.assertEqual(["five"], buffer.advance(1))
        self.assertEqual([], buffer.advance(19999))
        self.assertEqual(["all", "all, too"], buffer.advance(1))
        self.assertEqual([], buffer.advance(0))
        self.assertEqual((0, 20005), (len(buffer), buffer.progress))

    def test_small_pieces_are_joined(self):
        buffer = WriteBuffer()
        for _ in range(1000):
            buffer.append(b"0123456789")
        sends = 0
        while len(buffer):
            sends += 1
            buffer.advance(len(buffer.first()))
        self.assertLess(sends, 5)

    def test_big_pieces_are_not_copied(self):
        data = b"x" * 3000000
        buffer = WriteBuffer()
        buffer.append(data)
        self.assertIs(data, buffer._pieces[0])
        self.assertLessEqual(len(buffer.first()), 1 << 20)

    def test_b096_what_was_offered_does_not_change(self):
        buffer = WriteBuffer()
        buffer.append(b"first")
        offered = buffer.first()
        for _ in range(100):
            buffer.append(b"more" * 1000)
        self.assertEqual(b"first", offered.tobytes())
        self.assertEqual(offered, buffer.first())

    def test_any_sequence_of_operations(self):
        for seed in range(50):
            rng = random.Random(seed)
            buffer, model, sent = WriteBuffer(), b"", b""
            for _ in range(60):
                if rng.randrange(2):
                    data = bytes(bytearray(rng.randrange(256) for _ in range(
                        rng.choice((1, 20, 300)))))
                    data *= rng.choice((1, 100))
                    buffer.append(memoryview(data) if len(data) > 16384 else data)
                    model += data
                elif len(buffer):
                    first = buffer.first()
                    size = rng.choice((len(first), rng.randrange(len(first) + 1)))
                    sent += first[:size].tobytes()
                    del first
                    buffer.advance(size)
                self.assertEqual((len(model) - len(sent), len(sent)),
                                 (len(buffer), buffer.progress))
            self.assertTrue(model.startswith(sent), seed)


class ReadTest(unittest.TestCase):
    def setUp(self):
        self.log = []

    def schedule(self, callback, data):
        self.log.append((callback, data))

    def satisfy(self, read, buffer):
        """Do as a stream does; return the read that is pending next."""
        while read is not None:
            size = read.find(buffer)
            if size is None:
                return read
            self.assertNotEqual(PAUSE, size)
            read = read.deliver(self.schedule, buffer.consume(size))

    def test_read_until(self):
        read, buffer = ReadUntil("callback", b"\r\n\r\n"), ReadBuffer()
        for piece in (b"head", b"\r", b"\n", b"\r"):
            buffer.append(piece)
            self.assertIs(read, self.satisfy(read, buffer))
        buffer.append(b"\nbody")
        self.assertIsNone(self.satisfy(read, buffer))
        self.assertEqual([("callback", b"head\r\n\r\n")], self.log)
        self.assertEqual(b"body", buffer.peek())

    def test_b068_read_until_looks_at_each_byte_once(self):
        class Counting(ReadBuffer):
            __slots__ = ("looked_at",)

            def find(self, delimiter, start=0):
                self.looked_at += len(self) - start
                return ReadBuffer.find(self, delimiter, start)
        read, buffer = ReadUntil("callback", b"\r\n"), Counting()
        buffer.looked_at = 0
        for _ in range(1000):
            buffer.append(b"x" * 100)
            self.assertIsNone(read.find(buffer))
        self.assertLess(buffer.looked_at, 103000)

    def test_b069_limits(self):
        for read, data, size in (
                (ReadUntil(None, b"\n", 5), b"1234\n", 5),
                (ReadUntil(None, b"\n", 5), b"1234", None),
                (ReadUntilRegex(None, re.compile(b"\n"), 5), b"1234\n56", 5),
                (ReadUntilRegex(None, re.compile(b"5(?=6)"), 5), b"12345", None),
                (ReadUntilRegex(None, re.compile(b"5(?=6)"), 5), b"123456", 5)):
            self.assertEqual(size, read.find(filled(data)))
        for read, data in (
                (ReadUntil(None, b"\n", 5), b"12345\n"), (ReadUntil(None, b"\n", 5), b"12345"),
                (ReadUntil(None, b"\r\n", 5), b"1234\r\n"), (ReadUntil(None, b"\n", 5), b"123456"),
                (ReadUntilRegex(None, re.compile(b"\n"), 5), b"12345\n"),
                (ReadUntilRegex(None, re.compile(b"\n"), 5), b"123456")):
            with self.assertRaises(UnsatisfiableReadError) as caught:
                read.find(filled(data))
            self.assertIn("5 bytes", str(caught.exception))

    def test_read_bytes(self):
        for partial, pieces in ((False, [b"12345"]), (True, [b"12"])):
            buffer = ReadBuffer()
            read = ReadBytes("callback", 5, partial)
            self.assertIs(read, self.satisfy(read, buffer))
            for piece in (b"12", b"34567"):
                buffer.append(piece)
                read = self.satisfy(read, buffer) if read is not None else None
            self.assertIsNone(read)
            self.assertEqual([("callback", piece) for piece in pieces], self.log)
            del self.log[:]

    def test_stream_bytes(self):
        buffer = filled(b"12")
        read = StreamBytes("end", "piece", 5)
        self.assertIs(read, self.satisfy(read, buffer))
        buffer.append(b"34567")
        self.assertIsNone(self.satisfy(read, buffer))
        self.assertEqual([("piece", b"12"), ("piece", b"345"), ("end", b"")], self.log)
        del self.log[:]
        self.assertIsNone(self.satisfy(StreamBytes(None, "piece", 2), buffer))
        self.assertIsNone(self.satisfy(StreamBytes("end", "piece", 0), buffer))
        self.assertEqual([("piece", b"67"), ("end", b"")], self.log)

    def test_read_until_close(self):
        for streaming, before, after in (
                (None, [], [("end", b"12")]), ("piece", [("piece", b"12")], [("end", b"")])):
            buffer = filled(b"12")
            read = ReadUntilClose("end", streaming)
            self.assertIs(read, self.satisfy(read, buffer))
            self.assertEqual(before, self.log)
            del self.log[:]
            self.assertTrue(read.deliver_rest(self.schedule, buffer))
            self.assertEqual(after, self.log)
            del self.log[:]

    def test_only_read_until_close_makes_do_with_the_rest(self):
        for read in (ReadUntil("x", b"\n"), ReadBytes("x", 5), StreamBytes("x", "y", 5),
                     ReadUntilRegex("x", re.compile(b"\n"))):
            self.assertFalse(read.deliver_rest(self.schedule, filled(b"1")))
            self.assertFalse(read.ended())
        self.assertEqual([], self.log)


if __name__ == "__main__":
    unittest.main()
