"""Streams: what hand-made sockets can show, connecting, pipes and TLS.

What all streams have in common is in tests/contract/test_streams.py.
"""
from __future__ import absolute_import, division, print_function

import collections
import errno
import gc
import os
import socket
import ssl
import unittest
import weakref

import six

from friendserve.iostream import IOStream, PipeIOStream, SSLIOStream, StreamClosedError
from friendserve.netutil import ssl_options_to_context, ssl_wrap_socket
from friendserve.platform.auto import available_pollers, make_poller
from friendserve.platform.interface import READ, WRITE
from tests.contract.test_streams import (
    CA, CERT, CLIENT, KEY, RESET, SERVER, Streams, make_any_poller)
from tests.test_ioloop import CountingPoller, Logs, open_fds


class Case(Streams, unittest.TestCase):
    impl = "auto"

    def setUp(self):
        self.poller = CountingPoller(make_poller(self.impl) if self.impl == "auto"
                                     else make_any_poller(self.impl))
        self.loop = self.make_loop(self.poller)
        self.log = []

    def note(self, *what):
        self.log.append(what[0] if len(what) == 1 else what)

    def noting(self, what):
        return lambda *args: self.log.append(what)

    def wait(self, *expected):
        self.drive(lambda: len(self.log) >= len(expected))
        self.assertEqual(list(expected), self.log)
        del self.log[:]

    def listener(self):
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(5)
        return sock

    def client(self, stream_class=IOStream, **kwargs):
        stream, = self.keep(stream_class(socket.socket(), self.loop, **kwargs))
        stream.set_close_callback(self.noting("closed"))
        return stream


class ScriptedSocket(object):
    """A socket that answers recv and send by a script: an exception is raised, a number is how
    much is sent, None sends all. Without a script nothing is ready. Polling asks `real`."""
    family = socket.AF_INET

    def __init__(self, real):
        self.real = real
        self.to_recv, self.to_send = collections.deque(), collections.deque()
        self.to_shake = collections.deque()
        self.asked, self.sent, self.offered = [], b"", []
        self.option_error = self.connect_error = None
        self.buffered = 0

    def fileno(self):
        return self.real.fileno()

    def setblocking(self, flag):
        self.real.setblocking(flag)

    def close(self):
        self.real.close()

    def getpeername(self):
        return ("192.0.2.1", 5)

    def getsockopt(self, *args):
        return 0

    def setsockopt(self, *args):
        if self.option_error is not None:
            raise self.option_error

    def connect(self, address):
        raise self.connect_error

    def pending(self):
        return self.buffered

    def do_handshake(self):
        self.play(self.to_shake)

    def recv(self, size):
        self.asked.append(size)
        return self.play(self.to_recv)

    def send(self, data):
        self.offered.append(memoryview(data).tobytes())
        answer = self.play(self.to_send)
        answer = len(data) if answer is None else answer
        self.sent += self.offered[-1][:answer]
        return answer

    def unwrap(self):
        raise ssl.SSLError(ssl.SSL_ERROR_WANT_READ, "no answer")

    def play(self, script):
        answer = script.popleft() if script else socket.error(errno.EAGAIN, "not now")
        if isinstance(answer, Exception):
            raise answer
        return answer


def ssl_error(code, text=""):
    return ssl.SSLError(code, text or "scripted")


class ScriptedTest(Case):
    def stream(self, stream_class=IOStream, **kwargs):
        real, self.peer = self.socket_pair()
        sock = ScriptedSocket(real)
        sock.to_shake.append(None)
        stream, = self.keep(stream_class(sock, self.loop, **kwargs))
        stream.set_close_callback(self.noting("closed"))
        if stream_class is SSLIOStream:
            stream.wait_for_handshake(self.noting("shaken"))
            self.wait("shaken")
        return stream, sock

    def test_b060_not_now(self):
        for code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
            for kind in (IOStream, SSLIOStream):
                stream, sock = self.stream(kind)
                self.peer.send(b"readable")
                sock.to_recv.extend([socket.error(code, "x")] * 2 + [b"data"])
                sock.to_send.extend([socket.error(code, "x")] * 2 + [3, None])
                stream.read_bytes(4, self.note)
                stream.write(b"abcdef", self.noting("written"))
                self.drive(lambda: len(self.log) == 2)
                self.assertEqual({b"data", u"written"}, set(self.log))
                self.assertEqual(b"abcdef", sock.sent)
                del self.log[:]
                stream.set_close_callback(None)
                stream.close()

    def test_b061_errors_of_recv(self):
        for code in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ETIMEDOUT,
                     errno.EBADF, errno.EPROTOTYPE):
            for reading in (True, False):
                stream, sock = self.stream()
                sock.to_recv.append(socket.error(code, "x"))
                if reading:
                    stream.read_bytes(4, self.fail)
                with Logs() as records:
                    self.peer.send(b"readable")
                    self.wait("closed")
                self.assertEqual(code, stream.error.errno)
                self.assertEqual(["DEBUG"], [record.levelname for record in records])

    def test_b061_errors_of_send(self):
        for code in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.EPROTOTYPE):
            for queued in (False, True):
                stream, sock = self.stream()
                sock.to_send.extend([2, socket.error(code, "x")] if queued
                                    else [socket.error(code, "x")])
                # What came before is delivered first.
                sock.to_recv.extend([b"last ", b"words"])
                stream.read_bytes(10, self.note)
                stream.write(b"abcdef", self.fail)
                self.wait(b"last words", "closed")
                self.assertEqual(code, stream.error.errno)
                self.assertFalse(stream.writing())
                self.assertRaises(StreamClosedError, stream.write, b"x")

    def test_b061_errors_of_setsockopt(self):
        stream, sock = self.stream()
        for code in (errno.EINVAL, errno.ECONNRESET, errno.EBADF):
            sock.option_error = socket.error(code, "x")
            stream.set_nodelay(True)
        stream.close()
        stream.set_nodelay(False)
        self.wait("closed")

    def test_close_that_fails(self):
        stream, sock = self.stream()

        def close():
            sock.real.close()
            raise socket.error(errno.ECONNRESET, "x")
        sock.close = close
        with Logs(level=20) as records:
            stream.close()
            self.wait("closed")
        self.assertEqual([], records)

    def test_b010_interrupted_connect(self):
        for code, under_way in ((errno.EINTR, True), (errno.EINPROGRESS, True),
                                (errno.EAGAIN, False), (errno.ECONNREFUSED, False)):
            stream, sock = self.stream()
            sock.connect_error = socket.error(code, "x")
            stream.connect(("192.0.2.1", 5), self.noting("connected"))
            self.wait("connected" if under_way else "closed")
            stream.set_close_callback(None)

    def test_b095_reading_wants_to_write(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_recv.extend([ssl_error(ssl.SSL_ERROR_WANT_WRITE),
                             ssl_error(ssl.SSL_ERROR_WANT_READ)])
        self.peer.send(b"readable")
        stream.read_bytes(4, self.note)
        self.drive(lambda: len(sock.asked) == 1)
        # Now it waits for WRITE alone, for READ is there all the time.
        self.assertEqual(WRITE, stream._events)
        self.drive(lambda: len(sock.asked) == 2)
        self.assertEqual(READ, stream._events)
        self.peer.send(b"readable")
        sock.to_recv.append(b"data")
        self.wait(b"data")

    def test_b095_writing_wants_to_read(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([ssl_error(ssl.SSL_ERROR_WANT_READ)] * 2)
        stream.write(b"data", self.noting("written"))
        self.assertEqual(READ, stream._events)
        # It is writable all the time, which must not wake anybody.
        self.assert_quiet()
        self.assertEqual(1, len(sock.offered))
        sock.to_recv.append(ssl_error(ssl.SSL_ERROR_WANT_READ))
        self.peer.send(b"readable")
        self.drive(lambda: len(sock.offered) == 2)
        sock.to_send.append(None)
        self.wait("written")
        self.assertEqual([b"data"] * 3, sock.offered)
        self.assertEqual(READ, stream._events)

    def test_b095_writing_wants_to_read_after_the_end(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.append(ssl_error(ssl.SSL_ERROR_WANT_READ))
        stream.write(b"data", self.fail)
        self.peer.shutdown(socket.SHUT_WR)
        sock.to_recv.append(b"")
        sock.to_send.extend([ssl_error(ssl.SSL_ERROR_WANT_READ)] * 3
                            + [ssl_error(ssl.SSL_ERROR_EOF)])
        self.wait("closed")
        self.assertIsInstance(stream.error, ssl.SSLError)

    def test_b096_same_bytes_are_offered_again(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([ssl_error(ssl.SSL_ERROR_WANT_WRITE)] * 2 + [2])
        stream.write(b"first")
        stream.write(b"second" * 10000)
        stream.write(b"third", self.noting("written"))
        sock.to_send.extend([ssl_error(ssl.SSL_ERROR_WANT_WRITE), None, None, None])
        self.wait("written")
        self.assertEqual(b"first" + b"second" * 10000 + b"third", sock.sent)
        self.assertEqual([b"first"] * 3 + [b"rst"] * 2, sock.offered[:5])

    def test_b097_send_of_nothing(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([0, 0, ssl_error(ssl.SSL_ERROR_WANT_WRITE), 4, None])
        stream.write(b"abcdef", self.noting("written"))
        self.wait("written")
        self.assertEqual(b"abcdef", sock.sent)

    def test_b098_tls_gets_no_more_than_it_can_count(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([None] * 9)
        stream.write(b"x" * 5000000, self.noting("written"))
        self.wait("written")
        self.assertEqual(5000000, len(sock.sent))
        self.assertLessEqual(max(map(len, sock.offered)), 1 << 20)
        sock.to_recv.append(b"y")
        self.peer.send(b"readable")
        stream.read_bytes(1, self.note)
        self.wait(b"y")
        self.assertLessEqual(max(sock.asked), 65536)

    def test_b100_kinds_of_the_end_of_tls(self):
        for end in (b"", ssl_error(ssl.SSL_ERROR_EOF), ssl_error(ssl.SSL_ERROR_ZERO_RETURN),
                    ssl_error(ssl.SSL_ERROR_SSL, "[SSL: X] unexpected eof while reading"),
                    ssl_error(ssl.SSL_ERROR_SSL, "[SSL: UNEXPECTED_EOF_WHILE_READING]"),
                    socket.error(0, "Error")):
            stream, sock = self.stream(SSLIOStream)
            sock.to_recv.extend([b"data", end])
            self.peer.send(b"readable")
            stream.read_until_close(self.note)
            with Logs() as records:
                self.wait(b"data", "closed")
            self.assertEqual(([], None), (records, stream.error))

    def test_errors_of_tls(self):
        for kind in ("read", "write"):
            stream, sock = self.stream(SSLIOStream)
            sock.to_recv.append(ssl_error(ssl.SSL_ERROR_SSL, "bad record mac"))
            sock.to_send.append(ssl_error(ssl.SSL_ERROR_SSL, "bad record mac"))
            if kind == "read":
                self.peer.send(b"readable")
            else:
                stream.write(b"x", self.fail)
            self.wait("closed")
            self.assertIsInstance(stream.error, ssl.SSLError)

    def test_what_nobody_expected_closes_the_stream(self):
        """Instead of being logged for ever."""
        for kind in (IOStream, SSLIOStream):
            for script in ("to_recv", "to_send"):
                stream, sock = self.stream(kind)
                sock.to_recv.append(socket.error(errno.EAGAIN, "x"))
                sock.to_send.append(0)
                getattr(sock, script).append(ValueError("not an errno"))
                self.peer.send(b"readable")
                with Logs("friendserve.application") as records:
                    stream.read_bytes(1, self.fail)
                    stream.write(b"x", self.fail)
                    self.wait("closed")
                    self.assert_quiet()
                self.assertEqual(1, len(records))
                self.assertIsInstance(stream.error, ValueError)
        real, _ = self.socket_pair()
        sock = ScriptedSocket(real)
        sock.to_shake.append(AttributeError("as in Python 2"))
        stream, = self.keep(SSLIOStream(sock, self.loop))
        stream.set_close_callback(self.noting("closed"))
        with Logs("friendserve.application") as records:
            self.wait("closed")
        self.assertEqual(1, len(records))

    def test_b010_interrupted_handshake(self):
        real, _ = self.socket_pair()
        sock = ScriptedSocket(real)
        sock.to_shake.extend([socket.error(errno.EINTR, "x"), None])
        stream, = self.keep(SSLIOStream(sock, self.loop))
        stream.wait_for_handshake(self.noting("shaken"))
        self.wait("shaken")

    def test_a_fast_reader_does_not_keep_the_loop(self):
        stream, sock = self.stream()
        sock.to_send.extend([0] + [None] * 1000)
        stream.write(b"x" * 50000000, self.noting("written"))
        self.loop.add_callback(self.noting("other"))
        self.loop.run_once(0)
        self.assertEqual(["other"], self.log)
        self.assertTrue(0 < len(sock.sent) <= 17 << 20)
        del self.log[:]
        self.wait("written")


class ConnectContract(object):
    def test_connect(self):
        listener = self.listener()
        stream = self.client()
        stream.read_until(b"\n", self.note)
        stream.connect(listener.getsockname(), self.noting("connected"))
        stream.write(b"early", self.noting("written"))
        self.assertTrue(stream.writing())
        self.wait("connected", "written")
        server = listener.accept()[0]
        self.addCleanup(server.close)
        server.settimeout(5)
        self.assertEqual(b"early", server.recv(99))
        server.send(b"answer\n")
        self.wait(b"answer\n")
        self.assert_quiet()
        server.close()
        self.wait("closed")

    def test_b003_b080_refused_connect(self):
        listener = self.listener()
        address = listener.getsockname()
        listener.close()
        before = open_fds()
        stream = self.client()
        with Logs(level=20) as records:
            stream.connect(address, self.fail)
            if not stream.closed():
                stream.write(b"early", self.fail)
                stream.read_until(b"\n", self.fail)
            self.wait("closed")
            self.assert_quiet()
        self.assertEqual(([], []), (self.log, records))
        self.assertEqual(errno.ECONNREFUSED, stream.error.errno)
        self.assertEqual(before, open_fds())

    def test_b080_close_while_connecting(self):
        listener = self.listener()
        stream = self.client()
        stream.connect(listener.getsockname(), self.fail)
        stream.write(b"early", self.fail)
        stream.close()
        self.wait("closed")
        self.assert_quiet()
        self.assertRaises(StreamClosedError, stream.connect, listener.getsockname())

    def test_turns_before_connect(self):
        """As while the name is being looked up; pollers call such a socket hung up."""
        stream = self.client()
        self.assert_quiet()
        stream.connect(self.listener().getsockname(), self.noting("connected"))
        self.wait("connected")
        self.assert_quiet()

    def test_pipe(self):
        reader, writer = self.pipe()
        size = 1000000
        writer.write(b"x" * size, self.noting("written"))
        self.assertTrue(writer.writing())
        reader.read_bytes(size - 10, lambda data: self.note(len(data)))
        self.drive(lambda: len(self.log) == 2)
        self.assertEqual([size - 10, "written"], sorted(self.log, key=str))
        del self.log[:]
        reader.set_close_callback(self.noting("closed"))
        writer.close()
        self.drive(reader.has_unread)
        self.assert_quiet()
        self.assertEqual([], self.log)
        reader.read_until_close(self.note)
        self.wait(b"x" * 10, "closed")
        self.assertEqual((-1, -1), (reader.fd, writer.fd))

    def pipe(self):
        return self.keep(*[PipeIOStream(fd, self.loop) for fd in os.pipe()])

    def test_b079_reader_of_a_pipe_goes(self):
        for busy in (False, True):
            reader, writer = self.pipe()
            writer.set_close_callback(self.noting("closed"))
            if busy:
                writer.write(b"x" * 1000000, self.fail)
            self.assert_quiet()
            reader.close()
            if not busy and self.impl == "kqueue":
                # There it is told, but the fake cannot tell that of a pipe.
                self.loop.run_once(0)
                if not self.log:
                    writer.close()
            self.wait("closed")
            self.assertEqual(errno.EPIPE if busy else None, getattr(writer.error, "errno", None))
            reader, writer = self.pipe()
            reader.close()
            writer.set_close_callback(self.noting("closed"))
            writer.write(b"x", self.fail)
            self.wait("closed")
            self.assertEqual(errno.EPIPE, writer.error.errno)


for _impl in sorted(set(available_pollers() + ["kqueue"])):
    _name = str("%sConnectTest" % _impl.title())
    globals()[_name] = type(_name, (ConnectContract, Case), {"impl": _impl})


class SocketTest(Case):
    def test_b080_addresses_that_make_no_sense(self):
        for address in (("::1", 80), ("a" * 70 + ".", 80)):
            stream = self.client()
            stream.connect(address, self.fail)
            self.wait("closed")
            self.assertIsNotNone(stream.error)
        stream = self.client()
        self.assertRaises((TypeError, OverflowError), stream.connect, ("127.0.0.1", 1 << 20))
        self.assertFalse(stream.closed())
        stream.connect(self.listener().getsockname(), self.noting("connected"))
        self.wait("connected")

    @unittest.skipUnless(hasattr(socket, "AF_UNIX"), "no Unix sockets")
    def test_b080_unix_socket_without_room(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        path = "\0friendserve-%d" % os.getpid()
        try:
            listener.bind(path)
        except EnvironmentError:
            self.skipTest("no abstract Unix sockets here")
        listener.listen(0)
        streams = []
        while self.log.count("closed") == 0:
            self.assertLess(len(streams), 20)
            stream, = self.keep(IOStream(socket.socket(socket.AF_UNIX), self.loop))
            stream.set_close_callback(self.noting("closed"))
            streams.append(stream)
            stream.connect(path, self.noting("connected"))
            count = len(self.log)
            self.drive(lambda: len(self.log) > count)
        self.assertEqual(errno.EAGAIN, streams[-1].error.errno)
        self.assertEqual(len(streams) - 1, self.log.count("connected"))
        for stream in streams:
            stream.set_close_callback(None)

    def test_b062_connect_callback_that_raises(self):
        stream = self.client()
        stream.connect(self.listener().getsockname(), lambda: {}["missing"])
        with Logs("friendserve.application") as records:
            self.wait("closed")
        self.assertEqual(1, len(records))
        self.assertIsInstance(stream.error, KeyError)

    def test_close_with_an_exception(self):
        for exc_info in (True, (ValueError, ValueError("mine"), None)):
            stream = self.client()
            try:
                try:
                    raise ValueError("mine")
                except ValueError:
                    stream.close(exc_info=exc_info)
                    raise
            except ValueError as error:
                if six.PY3:
                    # Whoever goes on raising it keeps its traceback.
                    self.assertIsNotNone(error.__traceback__.tb_next or error.__traceback__)
            self.assertEqual("mine", str(stream.error))
            self.wait("closed")
            with self.assertRaises(StreamClosedError) as caught:
                stream.write(b"x")
            self.assertIs(stream.error, caught.exception.real_error)

    def test_b078_nodelay(self):
        a, b = self.tcp_pair()
        for value in (True, False):
            a.set_nodelay(value)
            self.assertEqual(value, bool(a.socket.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        a.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        a.close()
        a.set_nodelay(True)
        b.set_nodelay(True)
        c, _ = self.unix_pair()
        c.set_nodelay(True)

    def test_b019_loop_closes_the_streams_too(self):
        loop = self.make_loop()
        before = open_fds()
        pair = [IOStream(s, loop) for s in socket.socketpair()]
        connecting = IOStream(socket.socket(), loop)
        connecting.connect(self.listener().getsockname(), self.fail)
        for stream in pair:
            stream.read_until(b"\n", self.fail)
        loop.close(all_fds=True)
        streams = pair + [connecting]
        self.assertEqual([True] * 3, [stream.closed() for stream in streams])
        for stream in streams:
            stream.close()
        self.assertEqual(1, len(open_fds() - before))   # the listener

    def test_socket_closed_behind_the_back_of_its_stream(self):
        a, b = self.unix_pair()
        a.read_until(b"\n", self.fail)
        number = a.socket.fileno()
        a.socket.close()
        with Logs(level=20) as records:
            a.close()
        self.assertEqual([], records)
        self.assertNotIn(number, self.loop._handlers)


class TlsTest(Case):
    def tls_server(self, listener, options=SERVER, **kwargs):
        """Accept one connection and make a stream of it."""
        connection = listener.accept()[0]
        sock = ssl_wrap_socket(connection, options, server_side=True,
                               do_handshake_on_connect=False)
        stream, = self.keep(SSLIOStream(sock, self.loop, **kwargs))
        stream.set_close_callback(self.noting("server closed"))
        return stream

    def raw_client(self, listener):
        sock = socket.create_connection(listener.getsockname(), timeout=5)
        self.addCleanup(sock.close)
        return sock

    def messages(self, records):
        return [(record.levelname, record.exc_info) for record in records]

    def test_b090_client_that_says_nothing(self):
        listener = self.listener()
        before = open_fds()
        silent = self.raw_client(listener)
        with Logs() as records:
            server = self.tls_server(listener, handshake_timeout=0.05)
            # Others are served meanwhile.
            client = self.client(SSLIOStream, ssl_options=CLIENT)
            client.connect(listener.getsockname(), self.noting("connected"), "localhost")
            other = self.tls_server(listener)
            other.set_close_callback(None)
            self.drive(lambda: len(self.log) == 2)
        self.assertEqual({"connected", "server closed"}, set(self.log))
        self.assertIn("longer than 0.05", str(server.error))
        self.assertEqual([("INFO", None)], self.messages(records))
        self.assertIn("127.0.0.1", records[0].getMessage())
        for stream in (client, other):
            stream.set_close_callback(None)
            stream.close()
        silent.close()
        self.assertEqual(before, open_fds())
        # No timer is left either.
        self.assertEqual(0, len(self.loop._timers))

    def test_b092_what_is_no_tls(self):
        def close(sock):
            sock.close()

        def reset(sock):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()

        def reset_mid_handshake(sock):
            bio = ssl.SSLContext(CLIENT.protocol)
            bio.check_hostname = False
            sock.setblocking(False)
            tls = bio.wrap_socket(sock, do_handshake_on_connect=False)
            try:
                tls.do_handshake()
            except ssl.SSLError:
                pass
            reset(tls)
            sock.close()    # on Python 2 the fd is closed with the last socket over it
        for attack in (close, reset, reset_mid_handshake,
                       lambda sock: sock.send(b"GET / HTTP/1.0\r\n\r\n"),
                       lambda sock: sock.send(b"\x16\x03\x01\xff\xff" + b"x" * 1000),
                       lambda sock: sock.shutdown(socket.SHUT_WR)):
            listener = self.listener()
            before = open_fds()
            client = self.raw_client(listener)
            server = self.tls_server(listener)
            server.write(b"never sent", self.fail)
            server.read_bytes(1, self.fail)
            with Logs() as records:
                attack(client)
                self.wait("server closed")
                self.assert_quiet()
            self.assertEqual([("INFO", None)], self.messages(records))
            self.assertIn("TLS handshake with", records[0].getMessage())
            self.assertIsInstance(server.error, EnvironmentError)
            client.close()
            self.assertEqual(before, open_fds())

    def test_b092_tls_client_to_a_plain_port(self):
        for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
            listener = self.listener()
            client = self.client(SSLIOStream, ssl_options=CLIENT)
            client.connect(listener.getsockname(), self.fail, server_hostname="localhost")
            server = listener.accept()[0]
            server.send(answer)
            server.shutdown(socket.SHUT_WR)
            with Logs() as records:
                self.wait("closed")
            server.close()
            self.assertEqual([("INFO", None)], self.messages(records))
            self.assertIsInstance(client.error, EnvironmentError)

    def test_b093_writes_wait_for_the_handshake(self):
        listener = self.listener()
        client = self.client(SSLIOStream, ssl_options=CLIENT)
        client.write(b"before connect|")
        client.read_until(b"!", self.note)
        raw = self.client()
        raw.connect(listener.getsockname(), self.noting("tcp"))
        self.wait("tcp")
        server = self.tls_server(listener)
        server.write(b"early!", self.fail)
        self.assert_quiet()
        self.assertTrue(server.writing())
        server.set_close_callback(None)
        client.connect(listener.getsockname(), self.noting("connected"), "localhost")
        client.write(b"early|")
        server = self.tls_server(listener)
        server.write(b"early!", self.noting("written"))
        server.read_until_regex(br"\|early\|", self.note)
        self.drive(lambda: len(self.log) == 4)
        self.assertEqual({"connected", "written", b"early!", b"before connect|early|"},
                         set(self.log))

    def test_b094_what_the_library_holds_is_not_forgotten(self):
        a, b = self.tls_pair(read_chunk_size=100)
        b.read_bytes(16000, lambda data: self.note(len(data)))
        a.write(b"x" * 16000)
        self.wait(16000)
        # Also when the reader stops and goes on.
        count = 3000
        a.write(b"line\n" * count)

        def on_line(line):
            self.note(line)
            if len(self.log) < count:
                self.loop.add_callback(b.read_until, b"\n", on_line)
        b.read_until(b"\n", on_line)
        self.drive(lambda: len(self.log) == count)

    def test_b099_verification(self):
        hostname = "127.0.0.1" if six.PY3 else "localhost"
        for options, name, good in (
                (CLIENT, "localhost", True), (dict(ca_certs=CA), hostname, True),
                (CLIENT, "example.com", False), ({}, "localhost", False),
                (None, "localhost", False), (dict(cert_reqs=ssl.CERT_NONE), None, True),
                (dict(cert_reqs=ssl.CERT_NONE), "example.com", True)):
            listener = self.listener()
            client = self.client(SSLIOStream, ssl_options=options)
            client.connect(listener.getsockname(), self.noting("connected"), name)
            server = self.tls_server(listener)
            server.set_close_callback(None)
            self.wait("connected" if good else "closed")
            self.assertEqual(good, client.error is None)
            if good and options is CLIENT:
                self.assertEqual(((("commonName", "localhost"),),),
                                 client.socket.getpeercert()["subject"])
            client.set_close_callback(None)
            client.close()

    def test_b099_options_that_do_not_fit(self):
        # Without a name there is nothing to check.
        for options, name in ((CLIENT, None), (dict(ca_certs="/no/such/file"), "localhost")):
            listener = self.listener()
            client = self.client(SSLIOStream, ssl_options=options)
            client.connect(listener.getsockname(), self.fail, name)
            self.wait("closed")
            self.assertIsInstance(client.error, ValueError)

    def test_b099_server_name_and_client_certificate(self):
        names = []
        context = ssl_options_to_context(
            dict(certfile=CERT, keyfile=KEY, ca_certs=CA, cert_reqs=ssl.CERT_REQUIRED))
        context.set_servername_callback(lambda sock, name, context: names.append(name))
        for certificate in (True, False):
            listener = self.listener()
            options = dict(ca_certs=CA)
            if certificate:
                options.update(certfile=CERT, keyfile=KEY)
            client = self.client(SSLIOStream, ssl_options=options)
            client.set_close_callback(None)
            client.connect(listener.getsockname(), None, "localhost")
            server = self.tls_server(listener, context)
            server.wait_for_handshake(lambda stream: self.note(
                stream.socket.getpeercert()["subject"]))
            self.wait(((("commonName", "localhost"),),) if certificate else "server closed")
            server.set_close_callback(None)
        self.assertEqual(["localhost"] * 2, names)

    def test_wait_for_handshake(self):
        client = self.client(SSLIOStream, ssl_options=CLIENT)
        listener = self.listener()
        # At every time: before connect, before it is over, and after.
        client.wait_for_handshake(lambda stream: self.note("first", stream is client))
        client.connect(listener.getsockname(), self.noting("connected"), "localhost")
        client.wait_for_handshake(self.noting("second"))
        client.wait_for_handshake()
        server = self.tls_server(listener)
        self.wait(("first", True), "second", "connected")
        client.wait_for_handshake(self.noting("third"))
        self.assertEqual([], self.log)
        self.wait("third")
        server.close()
        self.drive(client.closed)
        self.assertRaises(StreamClosedError, client.wait_for_handshake, self.fail)

    def test_b062_handshake_callback_that_raises(self):
        client = self.client(SSLIOStream, ssl_options=CLIENT)
        listener = self.listener()
        client.wait_for_handshake(lambda stream: {}["missing"])
        client.connect(listener.getsockname(), None, "localhost")
        self.tls_server(listener).set_close_callback(None)
        with Logs("friendserve.application") as records:
            self.wait("closed")
        self.assertEqual(1, len(records))

    def test_b100_end_without_goodbye(self):
        a, b = self.tls_pair()
        b.set_close_callback(self.noting("closed"))
        b.read_until_close(self.note)
        with Logs() as records:
            a.write(b"data")
            a._forget_events()
            socket.socket.shutdown(a.socket, socket.SHUT_RDWR)
            self.wait(b"data", "closed")
        self.assertEqual(([], None), (records, b.error))

    def test_goodbye_is_said(self):
        """Whoever insists on it can tell our end from a cut."""
        listener = self.listener()
        raw = self.raw_client(listener)
        raw.setblocking(False)
        client = ssl_wrap_socket(raw, CLIENT, "localhost", do_handshake_on_connect=False,
                                 suppress_ragged_eofs=False)
        self.addCleanup(client.close)
        server = self.tls_server(listener)
        server.write(b"all", server.close)
        seen = []

        def step():
            try:
                if not seen:
                    client.do_handshake()
                    seen.append(None)
                seen.append(client.recv(99))
            except ssl.SSLError as error:
                self.assertEqual(ssl.SSL_ERROR_WANT_READ, error.args[0])
            return seen[-1:] == [b""]
        self.drive(step)
        self.assertEqual([None, b"all", b""], seen)

    def test_sockets_that_would_stay_without_tls(self):
        client, server = self.tcp_sockets()
        for sock in (client, server):
            self.addCleanup(sock.close)
        self.assertRaises(ValueError, SSLIOStream, client, self.loop)
        # The peer has gone between accepting and here.
        sock = ScriptedSocket(self.socket_pair()[0])

        def getpeername():
            raise socket.error(errno.ENOTCONN, "x")
        sock.getpeername = getpeername
        stream = SSLIOStream(sock, self.loop)
        self.assertTrue(stream.closed())
        self.assertEqual(errno.ENOTCONN, stream.error.errno)

    def test_failed_handshake_leaves_no_garbage(self):
        gc.collect()
        gc.disable()
        try:
            listener = self.listener()
            client = self.raw_client(listener)
            server = self.tls_server(listener)
            client.send(b"no TLS at all\r\n\r\n")
            self.wait("server closed")
            reference = weakref.ref(server)
            self.kept.remove(server)
            del server
            self.assertIsNone(reference())
        finally:
            gc.enable()


class StartTlsTest(Case):
    def setUp(self):
        Case.setUp(self)
        self.a, self.b = self.tcp_pair()

    def start(self, hostname="localhost"):
        self.keep(
            self.b.start_tls(True, SERVER, callback=lambda stream: self.note("server", stream)),
            self.a.start_tls(False, CLIENT, hostname, lambda stream: self.note("client", stream)))

    def test_conversation(self):
        self.b.set_close_callback(self.noting("closed"))
        self.a.write(b"STARTTLS\n")

        def on_command(line):
            self.b.write(b"go\n")
            self.b.start_tls(True, dict(certfile=CERT, keyfile=KEY),
                             callback=lambda stream: self.note(stream))
        self.b.read_until(b"\n", on_command)
        self.a.read_until(b"\n", lambda line: self.a.start_tls(
            False, dict(ca_certs=CA), "localhost", lambda stream: self.note(stream)))
        self.drive(lambda: len(self.log) == 2)
        streams = sorted(self.log, key=lambda stream: stream.socket.server_side)
        self.keep(*streams)
        del self.log[:]
        self.assertEqual([SSLIOStream] * 2, [type(stream) for stream in streams])
        client, server = streams
        server.read_until(b"\n", self.note)
        client.write(b"secret\n")
        self.wait(b"secret\n")
        # The old ones are done, and the socket is not theirs any more.
        for stream in (self.a, self.b):
            self.assertTrue(stream.closed())
            self.assertRaises(StreamClosedError, stream.write, b"x")
            self.assertRaises(StreamClosedError, stream.start_tls, False)
            stream.close()
        self.a = self.b = None
        gc.collect()
        client.write(b"still here\n")
        server.read_until(b"\n", self.note)
        self.wait(b"still here\n")
        self.assertRaises(RuntimeError, client.start_tls, False, CLIENT, "localhost")
        # So is the close callback.
        client.close()
        self.wait("closed")

    def test_stream_that_is_not_idle(self):
        self.a.read_until(b"\n", self.note)
        self.assertRaises(ValueError, self.a.start_tls, False, CLIENT, "localhost")
        # Plain bytes that came with the command would be taken for secret ones.
        self.b.write(b"go\ninjected\n")
        self.wait(b"go\n")
        self.assertRaises(ValueError, self.a.start_tls, False, CLIENT, "localhost")
        self.a.read_until(b"\n", self.note)
        self.wait(b"injected\n")
        self.b.write(b"x" * 10000000)
        self.assertRaises(ValueError, self.b.start_tls, True, SERVER)
        stream = self.client()
        stream.connect(self.listener().getsockname())
        self.assertRaises(ValueError, stream.start_tls, False, CLIENT, "localhost")

    def test_options_that_do_not_fit_change_nothing(self):
        for arguments in ((True,), (True, {}), (False, CLIENT), (False, dict(ca_certs="/none"))):
            self.assertRaises(ValueError, self.a.start_tls, *arguments)
        self.start()
        self.drive(lambda: len(self.log) == 2)

    def test_b091_handshake_that_fails(self):
        before = open_fds()
        a, b = self.a, self.b
        a.set_close_callback(self.noting("closed"))
        stream = a.start_tls(False, CLIENT, "localhost", self.fail)
        b.write(b"no TLS\r\n" * 10)
        with Logs() as records:
            self.wait("closed")
            self.assert_quiet()
        self.assertEqual(1, len(records))
        self.assertIsInstance(stream.error, ssl.SSLError)
        self.assertTrue(stream.closed())
        del a, stream
        self.a = None
        self.assertEqual(1, len(before - open_fds()))
        self.assertEqual([], self.log)

    def test_b091_wrong_name(self):
        self.a.set_close_callback(self.noting("closed"))
        self.start("example.com")
        self.drive(lambda: "closed" in self.log)
        self.assertNotIn("client", [entry[0] for entry in self.log])

    def test_peer_that_has_gone(self):
        self.a.set_close_callback(self.noting("closed"))
        self.b.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.b.close()
        try:
            stream = self.a.start_tls(False, CLIENT, "localhost", self.fail)
        except StreamClosedError as error:
            self.assertIsNotNone(error.real_error)
        else:
            self.drive(stream.closed)
        self.wait("closed")
        self.assertTrue(self.a.closed())


if __name__ == "__main__":
    unittest.main()
