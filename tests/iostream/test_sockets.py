"""Streams over scripted sockets, connecting, and pipes.

The contract of all streams is in tests/contract/test_streams.py.
"""
from __future__ import absolute_import, division, print_function

import errno
import logging
import os
import socket
import ssl
import unittest

import six

from friendserve.iostream import IOStream, PipeIOStream, SSLIOStream, StreamClosedError
from friendserve.platform.pollers.auto import available_pollers
from friendserve.platform.pollers.interface import READ, WRITE
from tests import PATIENCE
from tests.loopcase import LogCatcher, open_fds
from tests.streamcase import RESET, ScriptedSocket, SocketCase, make_any_poller


def ssl_error(code, text=""):
    return ssl.SSLError(code, text or "scripted")


class ScriptedTest(SocketCase):
    def stream(self, stream_class=IOStream, **kwargs):
        real, self.peer = self.socket_pair()
        sock = ScriptedSocket(real)
        sock.to_shake.append(None)
        stream, = self.keep(stream_class(sock, self.loop, **kwargs))
        stream.set_close_callback(self.noting("closed"))
        if stream_class is SSLIOStream:
            stream.wait_for_handshake(self.noting("shaken"))
            self.expect("shaken")
        return stream, sock

    def test_b060_calls_that_would_block_are_repeated(self):
        for code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
            for kind in (IOStream, SSLIOStream):
                stream, sock = self.stream(kind)
                self.peer.send(b"readable")
                sock.to_recv.extend([socket.error(code, "x")] * 2 + [b"data"])
                sock.to_send.extend([socket.error(code, "x")] * 2 + [3, None])
                stream.read_bytes(4, self.note)
                stream.write(b"abcdef", self.noting("written"))
                self.run_until(lambda: len(self.log) == 2)
                self.assertEqual({b"data", u"written"}, set(self.log))
                self.assertEqual(b"abcdef", sock.sent)
                del self.log[:]
                stream.set_close_callback(None)
                stream.close()

    def test_b266_a_shortage_of_memory_is_no_end(self):
        for code in (errno.ENOBUFS, errno.ENOMEM):
            for kind in (IOStream, SSLIOStream):
                stream, sock = self.stream(kind)
                self.peer.send(b"readable")
                sock.to_recv.extend([socket.error(code, "x")] * 2 + [b"data"])
                sock.to_send.extend([socket.error(code, "x")] * 2 + [3, socket.error(code, "x"),
                                                                     None])
                stream.read_bytes(4, self.note)
                stream.write(b"abcdef", self.noting("written"))
                self.run_until(lambda: len(self.log) == 2)
                self.assertEqual({b"data", u"written"}, set(self.log))
                self.assertEqual((b"abcdef", None), (sock.sent, stream.error))
                del self.log[:]
                stream.set_close_callback(None)
                stream.close()

    def test_b266_at_a_hang_up(self):
        for code in (errno.EINTR, errno.ENOBUFS):
            stream, sock = self.stream()
            sock.to_recv.extend([socket.error(code, "x")] * 2 + [b"last words", b""])
            stream.read_until_close(self.note)
            self.peer.close()
            self.expect(b"last words", "closed")
            self.assertIsNone(stream.error)

    def test_b266_in_a_handshake(self):
        real, _ = self.socket_pair()
        sock = ScriptedSocket(real)
        sock.to_shake.extend([socket.error(errno.ENOBUFS, "x"), None])
        stream, = self.keep(SSLIOStream(sock, self.loop))
        stream.set_close_callback(self.noting("closed"))
        stream.wait_for_handshake(self.noting("shaken"))
        self.expect("shaken")
        stream.set_close_callback(None)

    def test_a656_a_part_is_not_announced_as_the_whole(self):
        """close() drops what waits to be sent, so it does not say close_notify then."""
        for sent in (3, None):
            stream, sock = self.stream(SSLIOStream)
            sock.to_send.append(sent)
            stream.write(b"abcdef")
            stream.close()
            self.expect("closed")
            self.assertEqual(0 if sent else 1, sock.unwrapped)

    def test_a656_a_whole_is_announced_even_if_there_is_no_room_now(self):
        for answer in (None, ssl_error(ssl.SSL_ERROR_SSL)):
            stream, sock = self.stream(SSLIOStream)
            sock.to_unwrap.extend([ssl_error(ssl.SSL_ERROR_WANT_WRITE)] * 2 + [answer])
            stream.close()
            self.expect("closed")
            self.run_until(lambda: sock.unwrapped == 3)
            self.assertEqual(-1, sock.real.fileno())
            self.assertEqual(0, len(self.loop._timers))

    def test_a656_after_the_loop_was_closed_there_is_no_later(self):
        for name in available_pollers():
            self.loop = self.make_loop(make_any_poller(name))
            stream, sock = self.stream(SSLIOStream)
            sock.to_unwrap.append(ssl_error(ssl.SSL_ERROR_WANT_WRITE))
            self.loop.close()
            stream.close()
            self.assertEqual((1, -1), (sock.unwrapped, sock.real.fileno()), name)

    def test_b282_a_stream_whose_socket_was_closed_elsewhere_leaves_its_number_alone(self):
        for reused in (False, True):
            (old, _), pair = self.socket_pair(), ()
            stream, = self.keep(IOStream(old, self.loop))
            stream.read_bytes(9, self.fail)
            number = old.fileno()
            old.close()
            if reused:
                pair = self.socket_pair()
                self.assertEqual(number, pair[0].fileno())
                with LogCatcher():
                    new, = self.keep(IOStream(pair[0], self.loop))
                    new.read_bytes(1, self.note)
            stream.close()
            if reused:
                pair[1].send(b"x")
                self.expect(b"x")
            else:
                self.assertNotIn(number, self.loop._handlers)

    def test_b061_errors_of_recv(self):
        for code in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ETIMEDOUT,
                     errno.EBADF, errno.EPROTOTYPE):
            for reading in (True, False):
                stream, sock = self.stream()
                sock.to_recv.append(socket.error(code, "x"))
                if reading:
                    stream.read_bytes(4, self.fail)
                with LogCatcher(level=logging.DEBUG) as records:
                    self.peer.send(b"readable")
                    self.expect("closed")
                self.assertEqual(code, stream.error.errno)
                self.assertEqual(["DEBUG"], [record.levelname for record in records])

    def test_b061_errors_of_send(self):
        for code in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.EPROTOTYPE):
            for queued in (False, True):
                stream, sock = self.stream()
                sock.to_send.extend([2, socket.error(code, "x")] if queued
                                    else [socket.error(code, "x")])
                # Data received before is delivered first.
                sock.to_recv.extend([b"last ", b"words"])
                stream.read_bytes(10, self.note)
                stream.write(b"abcdef", self.fail)
                self.expect(b"last words", "closed")
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
        self.expect("closed")

    def test_close_that_fails(self):
        stream, sock = self.stream()

        def close():
            sock.real.close()
            raise socket.error(errno.ECONNRESET, "x")
        sock.close = close
        with LogCatcher() as records:
            stream.close()
            self.expect("closed")
        self.assertEqual([], records)

    def test_b010_interrupted_connect(self):
        for code, under_way in ((errno.EINTR, True), (errno.EINPROGRESS, True),
                                (errno.EAGAIN, False), (errno.ECONNREFUSED, False)):
            stream, sock = self.stream()
            sock.connect_error = socket.error(code, "x")
            stream.connect(("192.0.2.1", 5), self.noting("connected"))
            self.expect("connected" if under_way else "closed")
            stream.set_close_callback(None)

    def test_b095_reading_wants_to_write(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_recv.extend([ssl_error(ssl.SSL_ERROR_WANT_WRITE),
                             ssl_error(ssl.SSL_ERROR_WANT_READ)])
        self.peer.send(b"readable")
        stream.read_bytes(4, self.note)
        self.run_until(lambda: len(sock.asked) == 1)
        # Now the stream waits for WRITE only, because READ is reported all the time.
        self.assertEqual(WRITE, stream._events)
        self.run_until(lambda: len(sock.asked) == 2)
        self.assertEqual(READ, stream._events)
        self.peer.send(b"readable")
        sock.to_recv.append(b"data")
        self.expect(b"data")

    def test_b095_writing_wants_to_read(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([ssl_error(ssl.SSL_ERROR_WANT_READ)] * 2)
        stream.write(b"data", self.noting("written"))
        self.assertEqual(READ, stream._events)
        # The socket is writable all the time, which must not wake the loop.
        self.assert_quiet()
        self.assertEqual(1, len(sock.offered))
        sock.to_recv.append(ssl_error(ssl.SSL_ERROR_WANT_READ))
        self.peer.send(b"readable")
        self.run_until(lambda: len(sock.offered) == 2)
        sock.to_send.append(None)
        self.expect("written")
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
        self.expect("closed")
        self.assertIsInstance(stream.error, ssl.SSLError)

    def test_b096_same_bytes_are_offered_again(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([ssl_error(ssl.SSL_ERROR_WANT_WRITE)] * 2 + [2])
        stream.write(b"first")
        stream.write(b"second" * 10000)
        stream.write(b"third", self.noting("written"))
        sock.to_send.extend([ssl_error(ssl.SSL_ERROR_WANT_WRITE), None, None, None])
        self.expect("written")
        self.assertEqual(b"first" + b"second" * 10000 + b"third", sock.sent)
        self.assertEqual([b"first"] * 3 + [b"rst"] * 2, sock.offered[:5])

    def test_b097_send_of_nothing(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([0, 0, ssl_error(ssl.SSL_ERROR_WANT_WRITE), 4, None])
        stream.write(b"abcdef", self.noting("written"))
        self.expect("written")
        self.assertEqual(b"abcdef", sock.sent)

    def test_b098_tls_gets_no_more_than_it_can_count(self):
        stream, sock = self.stream(SSLIOStream)
        sock.to_send.extend([None] * 9)
        stream.write(b"x" * 5000000, self.noting("written"))
        self.expect("written")
        self.assertEqual(5000000, len(sock.sent))
        self.assertLessEqual(max(map(len, sock.offered)), 1 << 20)
        sock.to_recv.append(b"y")
        self.peer.send(b"readable")
        stream.read_bytes(1, self.note)
        self.expect(b"y")
        self.assertLessEqual(max(sock.asked), 65536)

    def test_b100_a_tls_stream_that_ends(self):
        for end in (b"", ssl_error(ssl.SSL_ERROR_ZERO_RETURN)):
            stream, sock = self.stream(SSLIOStream)
            sock.to_recv.extend([b"data", end])
            self.peer.send(b"readable")
            stream.read_until_close(self.note)
            with LogCatcher() as records:
                self.expect(b"data", "closed")
            self.assertEqual(([], None), (records, stream.error))

    def test_a656_a_tls_stream_that_is_broken_off(self):
        for end in (ssl_error(ssl.SSL_ERROR_EOF),
                    ssl_error(ssl.SSL_ERROR_SSL, "[SSL: X] unexpected eof while reading"),
                    ssl_error(ssl.SSL_ERROR_SSL, "[SSL: UNEXPECTED_EOF_WHILE_READING]"),
                    socket.error(0, "Error")):
            for required in (True, False):
                stream, sock = self.stream(SSLIOStream)
                if not required:
                    stream.require_close_notify = False
                sock.to_recv.extend([b"data", end])
                self.peer.send(b"readable")
                stream.read_until_close(self.note)
                with LogCatcher() as records:
                    self.expect(b"data", "closed")
                    if required:
                        self.assertIsInstance(stream.error, ssl.SSLEOFError)
                        self.assertIn("close_notify", str(stream.error))
                    else:
                        self.assertIsNone(stream.error)
                self.assertEqual([], records)

    def test_errors_of_tls(self):
        for kind in ("read", "write"):
            stream, sock = self.stream(SSLIOStream)
            sock.to_recv.append(ssl_error(ssl.SSL_ERROR_SSL, "bad record mac"))
            sock.to_send.append(ssl_error(ssl.SSL_ERROR_SSL, "bad record mac"))
            if kind == "read":
                self.peer.send(b"readable")
            else:
                stream.write(b"x", self.fail)
            self.expect("closed")
            self.assertIsInstance(stream.error, ssl.SSLError)

    def test_unexpected_errors_close_the_stream(self):
        """Unexpected errors would otherwise be logged forever."""
        for kind in (IOStream, SSLIOStream):
            for script in ("to_recv", "to_send"):
                stream, sock = self.stream(kind)
                sock.to_recv.append(socket.error(errno.EAGAIN, "x"))
                sock.to_send.append(0)
                getattr(sock, script).append(ValueError("not an errno"))
                self.peer.send(b"readable")
                with LogCatcher("friendserve.application") as records:
                    stream.read_bytes(1, self.fail)
                    stream.write(b"x", self.fail)
                    self.expect("closed")
                    self.assert_quiet()
                self.assertEqual(1, len(records))
                self.assertIsInstance(stream.error, ValueError)
        real, _ = self.socket_pair()
        sock = ScriptedSocket(real)
        sock.to_shake.append(AttributeError("as in Python 2"))
        stream, = self.keep(SSLIOStream(sock, self.loop))
        stream.set_close_callback(self.noting("closed"))
        with LogCatcher("friendserve.application") as records:
            self.expect("closed")
        self.assertEqual(1, len(records))

    def test_b010_interrupted_handshake(self):
        real, _ = self.socket_pair()
        sock = ScriptedSocket(real)
        sock.to_shake.extend([socket.error(errno.EINTR, "x"), None])
        stream, = self.keep(SSLIOStream(sock, self.loop))
        stream.wait_for_handshake(self.noting("shaken"))
        self.expect("shaken")

    def test_a_fast_reader_does_not_keep_the_loop(self):
        stream, sock = self.stream()
        sock.to_send.extend([0] + [None] * 1000)
        stream.write(b"x" * 50000000, self.noting("written"))
        self.loop.add_callback(self.noting("other"))
        self.loop.run_once(0)
        self.assertEqual(["other"], self.log)
        self.assertTrue(0 < len(sock.sent) <= 17 << 20)
        del self.log[:]
        self.expect("written")


class ConnectContract(object):
    def test_connect(self):
        listener = self.listener()
        stream = self.client()
        stream.read_until(b"\n", self.note)
        stream.connect(listener.getsockname(), self.noting("connected"))
        stream.write(b"early", self.noting("written"))
        self.assertTrue(stream.writing())
        self.expect("connected", "written")
        server = listener.accept()[0]
        self.addCleanup(server.close)
        server.settimeout(PATIENCE)
        self.assertEqual(b"early", server.recv(99))
        server.send(b"answer\n")
        self.expect(b"answer\n")
        self.assert_quiet()
        server.close()
        self.expect("closed")

    def test_b003_b080_refused_connect(self):
        listener = self.listener()
        address = listener.getsockname()
        listener.close()
        before = open_fds()
        stream = self.client()
        with LogCatcher() as records:
            stream.connect(address, self.fail)
            if not stream.closed():
                stream.write(b"early", self.fail)
                stream.read_until(b"\n", self.fail)
            self.expect("closed")
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
        self.expect("closed")
        self.assert_quiet()
        self.assertRaises(StreamClosedError, stream.connect, listener.getsockname())

    def test_turns_before_connect(self):
        """As while the name is being looked up; pollers report such a socket as hung up."""
        stream = self.client()
        self.assert_quiet()
        stream.connect(self.listener().getsockname(), self.noting("connected"))
        self.expect("connected")
        self.assert_quiet()

    def test_pipe(self):
        reader, writer = self.pipe()
        size = 1000000
        writer.write(b"x" * size, self.noting("written"))
        self.assertTrue(writer.writing())
        reader.read_bytes(size - 10, lambda data: self.note(len(data)))
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual([size - 10, "written"], sorted(self.log, key=str))
        del self.log[:]
        reader.set_close_callback(self.noting("closed"))
        writer.close()
        self.run_until(reader.has_unread)
        self.assert_quiet()
        self.assertEqual([], self.log)
        reader.read_until_close(self.note)
        self.expect(b"x" * 10, "closed")
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
                # A real kqueue reports it, but the fake cannot do so for a pipe.
                self.loop.run_once(0)
                if not self.log:
                    writer.close()
            self.expect("closed")
            self.assertEqual(errno.EPIPE if busy else None, getattr(writer.error, "errno", None))
            reader, writer = self.pipe()
            reader.close()
            writer.set_close_callback(self.noting("closed"))
            writer.write(b"x", self.fail)
            self.expect("closed")
            self.assertEqual(errno.EPIPE, writer.error.errno)


for _impl in sorted(set(available_pollers() + ["kqueue"])):
    _name = str("%sConnectTest" % _impl.title())
    globals()[_name] = type(_name, (ConnectContract, SocketCase), {"impl": _impl})


class SocketTest(SocketCase):
    def test_b080_addresses_that_make_no_sense(self):
        for address in (("::1", 80), ("a" * 70 + ".", 80)):
            stream = self.client()
            stream.connect(address, self.fail)
            self.expect("closed")
            self.assertIsNotNone(stream.error)
        stream = self.client()
        self.assertRaises((TypeError, OverflowError), stream.connect, ("127.0.0.1", 1 << 20))
        self.assertFalse(stream.closed())
        stream.connect(self.listener().getsockname(), self.noting("connected"))
        self.expect("connected")

    @unittest.skipUnless(hasattr(socket, "AF_UNIX"), "no Unix sockets")
    def test_b080_unix_socket_without_room(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        path = "\0friendserve-%d" % os.getpid()
        try:
            listener.bind(path)
        except EnvironmentError:
            self.skipTest("this system has no abstract Unix sockets")
        listener.listen(0)
        streams = []
        while self.log.count("closed") == 0:
            self.assertLess(len(streams), 20)
            stream, = self.keep(IOStream(socket.socket(socket.AF_UNIX), self.loop))
            stream.set_close_callback(self.noting("closed"))
            streams.append(stream)
            stream.connect(path, self.noting("connected"))
            count = len(self.log)
            self.run_until(lambda: len(self.log) > count)
        self.assertEqual(errno.EAGAIN, streams[-1].error.errno)
        self.assertEqual(len(streams) - 1, self.log.count("connected"))
        for stream in streams:
            stream.set_close_callback(None)

    def test_b062_connect_callback_that_raises(self):
        stream = self.client()
        stream.connect(self.listener().getsockname(), lambda: {}["missing"])
        with LogCatcher("friendserve.application") as records:
            self.expect("closed")
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
                    # An exception that is raised again keeps its traceback.
                    self.assertIsNotNone(error.__traceback__.tb_next or error.__traceback__)
            self.assertEqual("mine", str(stream.error))
            self.expect("closed")
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
        with LogCatcher() as records:
            a.close()
        self.assertEqual([], records)
        self.assertNotIn(number, self.loop._handlers)


if __name__ == "__main__":
    unittest.main()
