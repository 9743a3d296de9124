"""The contract of streams: plain and TLS sockets, on every poller of this system."""
from __future__ import absolute_import, division, print_function

import functools
import os
import re
import unittest

import six

from friendserve.iostream import StreamBufferFullError, UnsatisfiableReadError
from tests.streamcase import Collector, StreamCase, Streams, make_tests


class Taker(Collector):
    """Takes incoming data directly while it is `willing` and the buffer is empty."""
    willing = True

    def take(self, schedule, data):
        if self.willing:
            schedule(self.log.append, ("taken", data))
        return self.willing


class StreamContract(StreamCase):
    # Reading

    def test_read_until(self):
        self.b.read_until(b"\r\n", self.log.append)
        self.assertTrue(self.b.reading())
        self.a.write(b"one\r")
        self.loop.run_once(0.01)
        self.assertEqual([], self.log)
        self.a.write(b"\ntwo\r\nthree")
        self.expect(b"one\r\n")
        self.b.read_until(b"\r\n", self.log.append)
        self.assertEqual([], self.log)
        self.expect(b"two\r\n")
        self.b.read_bytes(5, self.log.append)
        self.expect(b"three")

    def test_read_byte_by_byte(self):
        data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n1234567"
        self.b.read_until(b"\r\n\r\n", lambda head: (
            self.log.append(head), self.b.read_bytes(7, self.log.append)))
        for i in range(len(data)):
            self.a.write(data[i:i + 1])
            self.loop.run_once(0)
        self.expect(data[:-7], data[-7:])

    def test_read_until_regex(self):
        self.b.read_until_regex(br"\r?\n\r?\n", self.log.append)
        self.a.write(b"some\nhead\n")
        self.loop.run_once(0.01)
        self.a.write(b"\r\nA\nB\n")
        self.expect(b"some\nhead\n\r\n")
        # Consumed bytes are not searched.
        self.b.read_until_regex(re.compile(br"^A\n"), self.log.append)
        self.expect(b"A\n")
        self.b.read_until_regex(br"\bB\n", self.log.append, max_bytes=2)
        self.expect(b"B\n")

    def test_read_into_and_partial(self):
        buf = bytearray(b"......")
        self.b.read_into(buf, lambda size: self.log.append((size, bytes(buf))))
        self.a.write(b"abcdefgh")
        self.expect((6, b"abcdef"))
        self.b.read_into(buf, lambda size: self.log.append(size) or buf.extend(b"x"),
                         partial=True)
        self.expect(2)
        self.assertEqual(b"ghcdefx", bytes(buf))
        self.b.read_bytes(1000, self.log.append, partial=True)
        self.loop.run_once(0)
        self.assertEqual([], self.log)
        self.a.write(b"xyz")
        self.expect(b"xyz")

    def test_streaming_read(self):
        pieces = []
        self.b.read_bytes(100000, self.log.append, streaming_callback=pieces.append)
        self.a.write(b"x" * 100000 + b"rest")
        self.expect(b"")
        self.assertEqual(b"x" * 100000, b"".join(pieces))
        self.assertGreater(len(pieces), 1)
        self.b.read_bytes(0, self.log.append, streaming_callback=self.fail)
        self.expect(b"")
        self.b.read_bytes(4, self.log.append)
        self.expect(b"rest")

    def test_one_read_at_a_time(self):
        self.b.read_bytes(1, self.log.append)
        self.assertRaises(RuntimeError, self.b.read_until, b"x", self.fail)
        self.a.write(b"1")
        self.expect(b"1")

    def test_arguments_that_make_no_sense(self):
        for wrong in (u"\n", b"", None, bytearray(b"\n")):
            self.assertRaises(TypeError, self.b.read_until, wrong, self.fail)
        self.assertRaises(TypeError, self.b.read_until_regex, u"x", self.fail)
        for wrong in (-1, 1.5, None, "1"):
            self.assertRaises(ValueError, self.b.read_bytes, wrong, self.fail)
        self.assertRaises(TypeError, self.b.read_bytes, 1, 5)
        self.assertRaises(TypeError, self.b.write, 5)
        self.assertRaises(TypeError, self.b.write, b"x", 5)
        self.assertRaises(TypeError, self.a.write, u"x")
        self.b.read_bytes(2, self.log.append)
        self.a.write(b"ok")
        self.expect(b"ok")

    def test_paused_read(self):
        read = Collector(self.log)
        self.b.start_read(read)
        self.a.write(b"one")
        self.expect(b"one")
        read.paused = True
        self.a.write(b"two")
        self.run_until(self.b.has_unread)
        self.assert_quiet()
        self.b.push_back(b"back-")
        read.paused = False
        self.b.resume_read()
        self.expect(b"back-two")
        self.b.end_read()
        self.a.write(b"three")
        self.b.read_bytes(5, self.log.append)
        self.expect(b"three")

    def test_read_that_takes_what_comes_in_one_piece(self):
        read = Taker(self.log)
        self.b.start_read(read)
        self.a.write(b"whole")
        self.expect(("taken", b"whole"))
        self.assertTrue(self.b.reading())
        self.assertFalse(self.b.has_unread())
        # Data that the read refuses is buffered, and so is all data received while some is left.
        read.willing = False
        self.a.write(b"refused")
        self.expect(b"refused")
        read.willing = read.paused = True
        self.b.push_back(b"left|")
        self.a.write(b"more")
        self.run_until(lambda: len(self.b._buffer) == 9)
        self.assertEqual([], self.log)
        read.paused = False
        self.b.resume_read()
        self.expect(b"left|more")
        self.a.write(b"again")
        self.expect(("taken", b"again"))
        self.a.close()
        self.expect("end")

    def test_b069_max_bytes(self):
        streams = []
        for data, max_bytes, inline, good in (
                (b"1234\n", 5, False, True), (b"1234\n", 5, True, True),
                (b"1234\n", 4, False, False), (b"1234\n", 4, True, False),
                (b"12345\n", 5, False, False), (b"1" * 70000, 65536, False, False)):
            for method in ("read_until", "read_until_regex"):
                a, b = self.make_pair()
                streams.append(a)
                b.set_close_callback(self.note("closed"))
                if inline:
                    a.write(data)
                    self.run_until(b.has_unread)
                getattr(b, method)(b"\n", self.log.append, max_bytes=max_bytes)
                if not inline:
                    a.write(data)
                self.expect(data if good else "closed")
                self.assertIs(type(None) if good else UnsatisfiableReadError, type(b.error))
                b.set_close_callback(None)

    def test_b069_delimiter_that_can_not_fit_any_more(self):
        self.b.read_until(b"\n", self.fail, max_bytes=5)
        self.b.set_close_callback(self.note("closed"))
        self.a.write(b"12345")
        self.expect("closed")

    def test_max_buffer_size(self):
        a, b = self.make_pair(max_buffer_size=1000)
        b.read_bytes(1000, self.log.append)
        a.write(b"x" * 1000)
        self.expect(b"x" * 1000)
        b.set_close_callback(self.note("closed"))
        b.read_until(b"\n", self.fail)
        a.write(b"x" * 2000)
        self.expect("closed")
        self.assertIsInstance(b.error, StreamBufferFullError)

    def test_b072_many_reads_from_the_buffer(self):
        count = 20000
        self.a.write(b"x\n" * count)

        def on_line(line):
            self.log.append(line)
            if len(self.log) < count:
                self.b.read_until(b"\n", on_line)
        self.b.read_until(b"\n", on_line)
        self.run_until(lambda: len(self.log) == count)
        self.assertEqual({b"x\n"}, set(self.log))

    # Writing

    def test_b066_writes_of_nothing_and_from_callbacks(self):
        self.b.read_bytes(0, self.log.append)
        self.expect(b"")
        self.a.write(b"", self.note("nothing"))
        self.assertEqual([], self.log)
        self.expect("nothing")

        def write_on(left):
            self.log.append(left)
            if left:
                self.a.write(b"x" * 300000, functools.partial(write_on, left - 1))
        write_on(3)
        self.b.read_bytes(900000, self.note("read"))
        self.run_until(lambda: len(self.log) == 4)
        self.assertEqual([3, 2, 1, 0], self.log)

    def test_b067_every_write_callback_runs_in_order(self):
        sizes = (10, 0, 4000000, 5, 0, 20000, 100, 1000000, 0)
        for number, size in enumerate(sizes):
            self.a.write(b"x" * size, self.note(number))
        self.assertTrue(self.a.writing())
        self.b.read_bytes(sum(sizes), lambda data: self.a.write(b"", self.note("end")))
        self.expect(*(list(range(len(sizes))) + ["end"]))
        self.assertFalse(self.a.writing())
        self.assertIsNone(self.a.write_progress())

    def test_write_progress(self):
        self.a.write(b"x" * 20000000)
        before = self.a.write_progress()
        self.assertIsNotNone(before)
        self.b.read_bytes(10000000, self.log.append)
        self.run_until(lambda: self.log)
        self.assertNotEqual(before, self.a.write_progress())
        before = self.a.write_progress()
        self.assert_quiet()
        self.assertEqual(self.a.write_progress(), self.a.write_progress())

    def test_b071_max_write_buffer_size(self):
        a, b = self.make_pair(max_write_buffer_size=8000000)
        self.assertRaises(StreamBufferFullError, a.write, b"x" * 8000001)
        a.write(b"y" * 8000000)
        with self.assertRaises(StreamBufferFullError):
            while True:
                a.write(b"y" * 1000000, self.note("written"))
        written = len(self.log)
        self.assertFalse(a.closed())
        read = []
        b.read_until(b"end", read.append)
        self.run_until(lambda: not a.writing())
        a.write(b"end")
        self.run_until(lambda: read)
        self.assertEqual({b"y"}, set(read[0][i:i + 1] for i in range(0, 8000000, 100000)))
        self.assertEqual(0, (len(read[0]) - 3) % 1000000)
        self.assertGreaterEqual(len(self.log), written)

    def test_b077_other_types_of_bytes(self):
        data = bytearray(b"bytearray|")
        self.a.write(data)
        data[:] = b"changed"
        self.a.write(memoryview(b"memoryview|"))
        self.a.write(memoryview(b"a-part-of-it|")[2:])
        big = bytearray(b"x" * 5000000)
        self.a.write(big)
        big.extend(b"not locked")
        del big[:]
        self.a.write(memoryview(b"typed|").cast("H") if six.PY3 else b"typed|")
        self.b.read_until(b"typed|", self.log.append)
        self.expect(b"bytearray|memoryview|part-of-it|" + b"x" * 5000000 + b"typed|")


class HeavyContract(Streams):
    """Large amounts of data, on the best poller."""
    kind = None

    def setUp(self):
        self.loop = self.make_loop()
        self.a, self.b = getattr(self, self.kind + "_pair")()
        self.log = []

    def test_b066_write_of_100_mb(self):
        size = 100 * 1024 * 1024
        data = os.urandom(1 << 20) * 100
        self.a.write(data, lambda: self.log.append("written"))
        received = [0]

        def take(piece):
            self.assertEqual(data[received[0]:received[0] + len(piece)], piece)
            received[0] += len(piece)
        self.b.read_bytes(size, lambda rest: self.log.append("read"), streaming_callback=take)
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual(size, received[0])

    def test_b068_read_until_after_50_mb(self):
        size = 50 * 1024 * 1024
        # Many prefixes of the delimiter, and the delimiter itself across two reads.
        data = b"\r\n\r" * (size // 3) + b"\r\n\r\n"
        self.a.write(data)
        self.b.read_until(b"\r\n\r\n", self.log.append)
        self.run_until(lambda: self.log)
        self.assertTrue(data == self.log[0] or (len(data), data[-9:]) == (
            len(self.log[0]), self.log[0][-9:]))


make_tests(StreamContract, "Stream", globals())
for _kind in ("tcp", "unix", "tls"):
    _name = str("%sHeavyTest" % _kind.title())
    globals()[_name] = type(_name, (HeavyContract, unittest.TestCase), {"kind": _kind})
