"""The contract of streams: plain and TLS sockets, on every poller of this system."""
from __future__ import absolute_import, division, print_function

import functools
import os
import re
import socket
import struct
import unittest

import six

from friendserve.iostream import (
    IOStream, SSLIOStream, StreamBufferFullError, UnsatisfiableReadError)
from friendserve.iostream.buffers import PAUSE, Read
from friendserve.netutil import ssl_options_to_context, ssl_wrap_socket
from friendserve.platform.pollers.auto import available_pollers, make_poller
from tests import CERTS
from tests.contract.test_pollers import FakeKqueueSelect, import_fake_kqueue
from tests.ioloop.test_ioloop import CountingPoller, Loops

CA, CERT, KEY = [os.path.join(CERTS, name) for name in ("ca.crt", "server.crt", "server.key")]
SERVER = ssl_options_to_context({"certfile": CERT, "keyfile": KEY})
CLIENT = ssl_options_to_context({"ca_certs": CA}, server_side=False)
RESET = struct.pack("ii", 1, 0)     # SO_LINGER: closing sends a reset


class Streams(Loops):
    """Makes pairs of connected streams."""
    def tcp_sockets(self):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
        listener.close()
        return client, server

    kept = ()

    def keep(self, *streams):
        """Close them at the end; who wants one to be garbage before takes it out of `kept`."""
        if self.kept == ():
            self.kept = []
            self.addCleanup(self.close_kept)
        self.kept.extend(streams)
        return streams

    def close_kept(self):
        while self.kept:
            self.kept.pop().close()

    def tcp_pair(self, **kwargs):
        return self.keep(*[IOStream(s, self.loop, **kwargs) for s in self.tcp_sockets()])

    def unix_pair(self, **kwargs):
        return self.keep(*[IOStream(s, self.loop, **kwargs) for s in socket.socketpair()])

    def tls_pair(self, **kwargs):
        client, server = self.tcp_sockets()
        client = ssl_wrap_socket(client, CLIENT, "localhost", do_handshake_on_connect=False)
        server = ssl_wrap_socket(server, SERVER, server_side=True, do_handshake_on_connect=False)
        streams = self.keep(*[SSLIOStream(s, self.loop, **kwargs) for s in (client, server)])
        done = []
        for stream in streams:
            stream.wait_for_handshake(done.append)
        self.drive(lambda: len(done) == 2)
        return streams

    def assert_quiet(self, turns=50):
        """The poller soon has nothing more to tell, and that stays so."""
        for _ in range(turns):
            self.loop.run_once(0)
            if not self.poller.polls[-1]:
                break
        else:
            self.fail("the loop spins: %r" % (self.poller.polls[-3:],))
        del self.poller.polls[:]
        for _ in range(3):
            self.loop.run_once(0.001)
        self.assertEqual([[], [], []], self.poller.polls)


class Collector(Read):
    """A read that takes all there is, but pauses as long as it is told to."""
    def __init__(self, log):
        super(Collector, self).__init__(None)
        self.log = log
        self.paused = self.wants_to_write = False

    def find(self, buffer):
        return PAUSE if self.paused else len(buffer) or None

    def deliver(self, schedule, data):
        schedule(self.log.append, data)
        return self

    def ended(self):
        return self.wants_to_write

    def deliver_rest(self, schedule, buffer):
        schedule(self.log.append, "end")
        return True


class Taker(Collector):
    """Takes what comes, as long as it is willing and nothing else is there."""
    willing = True

    def take(self, schedule, data):
        if self.willing:
            schedule(self.log.append, ("taken", data))
        return self.willing


def make_any_poller(name):
    if name in available_pollers():
        return make_poller(name)
    module = import_fake_kqueue()
    module.select = FakeKqueueSelect
    return module.KqueuePoller()


class StreamCase(Streams):
    """A pair of streams, of a kind and on a poller, and a log."""
    kind = impl = None

    def setUp(self):
        self.poller = CountingPoller(make_any_poller(self.impl))
        self.loop = self.make_loop(self.poller)
        self.a, self.b = self.make_pair()
        self.log = []

    def make_pair(self, **kwargs):
        return getattr(self, self.kind + "_pair")(**kwargs)

    def note(self, what):
        return functools.partial(self.log.append, what)

    def wait(self, *expected):
        self.drive(lambda: len(self.log) >= len(expected))
        self.assertEqual(list(expected), self.log)
        del self.log[:]

    def narrow(self):
        """Let little be on the way from `b` to `a`."""
        self.b.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        self.a.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)

    def unread(self, data=b"unread"):
        """Let bytes come to `b` that nobody reads."""
        self.b.set_close_callback(self.note("closed"))
        self.a.write(data)
        self.drive(self.b.has_unread)

    def reset(self, stream):
        """Close so that the other side gets an error, and not an end."""
        if self.kind == "unix":
            # That is what unread bytes do here.
            other = self.b if stream is self.a else self.a
            other.write(b"never read")
        else:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stream._close_for(IOError("no goodbye"))


def make_tests(contract, name, namespace):
    """A TestCase of the contract for every kind of streams on every poller."""
    for kind in ("tcp", "unix", "tls"):
        for impl in sorted(set(available_pollers() + ["kqueue"])):
            full_name = str("%s%s%sTest" % (kind.title(), impl.title(), name))
            namespace[full_name] = type(
                full_name, (contract, unittest.TestCase), {"kind": kind, "impl": impl})


class StreamContract(StreamCase):
    # Reading

    def test_read_until(self):
        self.b.read_until(b"\r\n", self.log.append)
        self.assertTrue(self.b.reading())
        self.a.write(b"one\r")
        self.loop.run_once(0.01)
        self.assertEqual([], self.log)
        self.a.write(b"\ntwo\r\nthree")
        self.wait(b"one\r\n")
        self.b.read_until(b"\r\n", self.log.append)
        self.assertEqual([], self.log)
        self.wait(b"two\r\n")
        self.b.read_bytes(5, self.log.append)
        self.wait(b"three")

    def test_read_byte_by_byte(self):
        data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n1234567"
        self.b.read_until(b"\r\n\r\n", lambda head: (
            self.log.append(head), self.b.read_bytes(7, self.log.append)))
        for i in range(len(data)):
            self.a.write(data[i:i + 1])
            self.loop.run_once(0)
        self.wait(data[:-7], data[-7:])

    def test_read_until_regex(self):
        self.b.read_until_regex(br"\r?\n\r?\n", self.log.append)
        self.a.write(b"some\nhead\n")
        self.loop.run_once(0.01)
        self.a.write(b"\r\nA\nB\n")
        self.wait(b"some\nhead\n\r\n")
        # Consumed bytes are not part of it.
        self.b.read_until_regex(re.compile(br"^A\n"), self.log.append)
        self.wait(b"A\n")
        self.b.read_until_regex(br"\bB\n", self.log.append, max_bytes=2)
        self.wait(b"B\n")

    def test_read_into_and_partial(self):
        buf = bytearray(b"......")
        self.b.read_into(buf, lambda size: self.log.append((size, bytes(buf))))
        self.a.write(b"abcdefgh")
        self.wait((6, b"abcdef"))
        self.b.read_into(buf, lambda size: self.log.append(size) or buf.extend(b"x"),
                         partial=True)
        self.wait(2)
        self.assertEqual(b"ghcdefx", bytes(buf))
        self.b.read_bytes(1000, self.log.append, partial=True)
        self.loop.run_once(0)
        self.assertEqual([], self.log)
        self.a.write(b"xyz")
        self.wait(b"xyz")

    def test_streaming_read(self):
        pieces = []
        self.b.read_bytes(100000, self.log.append, streaming_callback=pieces.append)
        self.a.write(b"x" * 100000 + b"rest")
        self.wait(b"")
        self.assertEqual(b"x" * 100000, b"".join(pieces))
        self.assertGreater(len(pieces), 1)
        self.b.read_bytes(0, self.log.append, streaming_callback=self.fail)
        self.wait(b"")
        self.b.read_bytes(4, self.log.append)
        self.wait(b"rest")

    def test_one_read_at_a_time(self):
        self.b.read_bytes(1, self.log.append)
        self.assertRaises(RuntimeError, self.b.read_until, b"x", self.fail)
        self.a.write(b"1")
        self.wait(b"1")

    def test_arguments_that_make_no_sense(self):
        for wrong in (u"\n", b"", None, bytearray(b"\n")):
            self.assertRaises(TypeError, self.b.read_until, wrong, self.fail)
        self.assertRaises(TypeError, self.b.read_until_regex, u"x", self.fail)
        for wrong in (-1, 1.5, None, "1"):
            self.assertRaises(ValueError, self.b.read_bytes, wrong, self.fail)
        for wrong in (None, 5):
            self.assertRaises(TypeError, self.b.read_bytes, 1, wrong)
        self.assertRaises(TypeError, self.b.write, 5)
        self.assertRaises(TypeError, self.b.write, b"x", 5)
        self.assertRaises(TypeError, self.a.write, u"x")
        self.b.read_bytes(2, self.log.append)
        self.a.write(b"ok")
        self.wait(b"ok")

    def test_paused_read(self):
        read = Collector(self.log)
        self.b.start_read(read)
        self.a.write(b"one")
        self.wait(b"one")
        read.paused = True
        self.a.write(b"two")
        self.drive(self.b.has_unread)
        self.assert_quiet()
        self.b.push_back(b"back-")
        read.paused = False
        self.b.resume_read()
        self.wait(b"back-two")
        self.b.end_read()
        self.a.write(b"three")
        self.b.read_bytes(5, self.log.append)
        self.wait(b"three")

    def test_read_that_takes_what_comes_in_one_piece(self):
        read = Taker(self.log)
        self.b.start_read(read)
        self.a.write(b"whole")
        self.wait(("taken", b"whole"))
        self.assertTrue(self.b.reading())
        self.assertFalse(self.b.has_unread())
        # Data that it refuses is buffered, and so is all data received while some is left.
        read.willing = False
        self.a.write(b"refused")
        self.wait(b"refused")
        read.willing = read.paused = True
        self.b.push_back(b"left|")
        self.a.write(b"more")
        self.drive(lambda: len(self.b._buffer) == 9)
        self.assertEqual([], self.log)
        read.paused = False
        self.b.resume_read()
        self.wait(b"left|more")
        self.a.write(b"again")
        self.wait(("taken", b"again"))
        self.a.close()
        self.wait("end")

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
                    self.drive(b.has_unread)
                getattr(b, method)(b"\n", self.log.append, max_bytes=max_bytes)
                if not inline:
                    a.write(data)
                self.wait(data if good else "closed")
                self.assertIs(type(None) if good else UnsatisfiableReadError, type(b.error))
                b.set_close_callback(None)

    def test_b069_delimiter_that_can_not_fit_any_more(self):
        self.b.read_until(b"\n", self.fail, max_bytes=5)
        self.b.set_close_callback(self.note("closed"))
        self.a.write(b"12345")
        self.wait("closed")

    def test_max_buffer_size(self):
        a, b = self.make_pair(max_buffer_size=1000)
        b.read_bytes(1000, self.log.append)
        a.write(b"x" * 1000)
        self.wait(b"x" * 1000)
        b.set_close_callback(self.note("closed"))
        b.read_until(b"\n", self.fail)
        a.write(b"x" * 2000)
        self.wait("closed")
        self.assertIsInstance(b.error, StreamBufferFullError)

    def test_b072_many_reads_from_the_buffer(self):
        count = 20000
        self.a.write(b"x\n" * count)

        def on_line(line):
            self.log.append(line)
            if len(self.log) < count:
                self.b.read_until(b"\n", on_line)
        self.b.read_until(b"\n", on_line)
        self.drive(lambda: len(self.log) == count)
        self.assertEqual({b"x\n"}, set(self.log))

    # Writing

    def test_b066_writes_of_nothing_and_from_callbacks(self):
        self.b.read_bytes(0, self.log.append)
        self.wait(b"")
        self.a.write(b"", self.note("nothing"))
        self.assertEqual([], self.log)
        self.wait("nothing")

        def write_on(left):
            self.log.append(left)
            if left:
                self.a.write(b"x" * 300000, functools.partial(write_on, left - 1))
        write_on(3)
        self.b.read_bytes(900000, self.note("read"))
        self.drive(lambda: len(self.log) == 4)
        self.assertEqual([3, 2, 1, 0], self.log)

    def test_b067_every_write_callback_runs_in_order(self):
        sizes = (10, 0, 4000000, 5, 0, 20000, 100, 1000000, 0)
        for number, size in enumerate(sizes):
            self.a.write(b"x" * size, self.note(number))
        self.assertTrue(self.a.writing())
        self.b.read_bytes(sum(sizes), lambda data: self.a.write(b"", self.note("end")))
        self.wait(*(list(range(len(sizes))) + ["end"]))
        self.assertFalse(self.a.writing())
        self.assertIsNone(self.a.write_progress())

    def test_write_progress(self):
        self.a.write(b"x" * 20000000)
        before = self.a.write_progress()
        self.assertIsNotNone(before)
        self.b.read_bytes(10000000, self.log.append)
        self.drive(lambda: self.log)
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
        self.drive(lambda: not a.writing())
        a.write(b"end")
        self.drive(lambda: read)
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
        self.wait(b"bytearray|memoryview|part-of-it|" + b"x" * 5000000 + b"typed|")


class HeavyContract(Streams):
    """Large amounts of data; on the best poller."""
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
        self.drive(lambda: len(self.log) == 2)
        self.assertEqual(size, received[0])

    def test_b068_read_until_after_50_mb(self):
        size = 50 * 1024 * 1024
        # Many prefixes of the delimiter, and the delimiter itself across two reads.
        data = b"\r\n\r" * (size // 3) + b"\r\n\r\n"
        self.a.write(data)
        self.b.read_until(b"\r\n\r\n", self.log.append)
        self.drive(lambda: self.log)
        self.assertTrue(data == self.log[0] or (len(data), data[-9:]) == (
            len(self.log[0]), self.log[0][-9:]))


make_tests(StreamContract, "Stream", globals())
for _kind in ("tcp", "unix", "tls"):
    _name = str("%sHeavyTest" % _kind.title())
    globals()[_name] = type(_name, (HeavyContract, unittest.TestCase), {"kind": _kind})
