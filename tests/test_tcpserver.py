from __future__ import absolute_import, division, print_function

import errno
import logging
import os
import shutil
import socket
import ssl
import struct
import tempfile
import unittest

from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream, SSLIOStream
from friendserve.netutil import bind_sockets, bind_unix_socket, ssl_options_to_context
from friendserve.stack_context import ExceptionStackContext, state
from friendserve.tcpserver import TCPServer
from tests import CA, CERT, KEY, PATIENCE
from tests.loopcase import LogCatcher, LoopCase

SERVER_OPTIONS = {"certfile": CERT, "keyfile": KEY}


class EchoServer(TCPServer):
    """Sends each line back."""

    def __init__(self, **kwargs):
        super(EchoServer, self).__init__(**kwargs)
        self.streams = []
        self.addresses = []

    def handle_stream(self, stream, address):
        self.streams.append(stream)
        self.addresses.append(address)
        stream.read_until(b"\n", stream.write)


class BrokenServer(EchoServer):
    def handle_stream(self, stream, address):
        self.streams.append(stream)
        raise ValueError("from handle_stream")


class ServerTest(LoopCase, unittest.TestCase):
    def setUp(self):
        self.loop = IOLoop()
        self.loop.make_current()
        self.addCleanup(self.loop.close)

    def make(self, server_type=EchoServer, **kwargs):
        server = server_type(**kwargs)
        self.addCleanup(self.close_all, server)
        return server

    def close_all(self, server):
        server.stop()
        for stream in getattr(server, "streams", ()):
            stream.close()

    def listening(self, server_type=EchoServer, **kwargs):
        server = self.make(server_type, **kwargs)
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        return server, sock.getsockname()

    def connect(self, address, family=socket.AF_INET):
        client = socket.socket(family, socket.SOCK_STREAM)
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        client.connect(address)
        client.setblocking(False)
        return client

    def receive(self, client):
        """The next bytes received on a non-blocking socket, while the loop runs."""
        received = []

        def came():
            try:
                received.append(client.recv(1000))
            except ssl.SSLError as e:
                if e.args[0] != ssl.SSL_ERROR_WANT_READ:
                    raise
            except socket.error as e:
                if e.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                    raise
            return received

        self.run_until(came)
        return received[0]

    def check_echo(self, address, family=socket.AF_INET):
        client = self.connect(address, family)
        client.sendall(b"hello\n")
        self.assertEqual(self.receive(client), b"hello\n")
        return client


class TCPServerTest(ServerTest):
    def test_handle_stream_is_to_be_overridden(self):
        self.assertRaises(NotImplementedError, TCPServer().handle_stream, None, None)

    def test_stream_and_address(self):
        server, address = self.listening(max_buffer_size=5000, read_chunk_size=100)
        client = self.check_echo(address)
        stream, = server.streams
        self.assertIs(type(stream), IOStream)
        self.assertIs(stream.io_loop, self.loop)
        self.assertEqual(stream.max_buffer_size, 5000)
        self.assertEqual(stream.read_chunk_size, 100)
        self.assertEqual(server.addresses, [client.getsockname()])

    def test_listen(self):
        server = self.make()
        server.listen(0, address="127.0.0.1")
        self.check_echo(server._listening[0][0].getsockname())

    def test_listen_on_a_port_in_use(self):
        _, address = self.listening()
        self.assertRaises(socket.error, self.make().listen, address[1], "127.0.0.1")

    def test_several_sockets(self):
        server = self.make()
        sockets = bind_sockets(0, "127.0.0.1") + bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        for sock in sockets:
            self.check_echo(sock.getsockname())

    @unittest.skipUnless(hasattr(socket, "AF_UNIX"), "this system has no Unix sockets")
    def test_b116_unix_socket(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "s")
        server = self.make()
        server.add_socket(bind_unix_socket(path))
        self.check_echo(path, socket.AF_UNIX)
        self.assertFalse(server.addresses[0])

    def test_given_loop(self):
        IOLoop.clear_current()
        server, address = self.listening(io_loop=self.loop)
        self.check_echo(address)
        self.assertIs(server.streams[0].io_loop, self.loop)

    def test_loop_is_chosen_when_it_listens(self):
        IOLoop.clear_current()
        server = self.make()
        self.loop.make_current()
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        self.check_echo(sock.getsockname())

    def test_b113_exception_in_handle_stream(self):
        server, address = self.listening(BrokenServer)
        with LogCatcher() as records:
            clients = [self.connect(address) for _ in range(2)]
            for client in clients:
                self.assertEqual(self.receive(client), b"")
        self.assertEqual(len(records), 2)
        self.assertIn("from handle_stream", str(records[0].exc_info[1]))
        self.assertTrue(server.streams[0].closed())

    def test_b265_connections_do_not_inherit_the_context_of_listen(self):
        seen = []

        class Server(EchoServer):
            def handle_stream(self, stream, address):
                self.streams.append(stream)
                seen.append(len(state.contexts))
                stream.read_until(b"\n", lambda data: seen.append(len(state.contexts)))

        with ExceptionStackContext(self.fail):
            _, address = self.listening(Server)
        client = self.connect(address)
        client.sendall(b"hello\n")
        self.run_until(lambda: len(seen) == 2)
        self.assertEqual([0, 0], seen)

    def test_b117_peer_reset_before_it_was_accepted(self):
        server, address = self.listening()
        client = self.connect(address)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with LogCatcher() as records:
            self.check_echo(address)
        self.assertEqual([r for r in records if r.levelno >= logging.WARNING], [])


class BindAndStartTest(ServerTest):
    def bound(self):
        server = self.make()
        server.bind(0, "127.0.0.1")
        return server, server._waiting[0].getsockname()

    def test_bind_then_start(self):
        server, address = self.bound()
        client = self.connect(address)
        client.sendall(b"hello\n")
        self.loop.run_once(0)
        self.assertEqual(server.streams, [])
        server.start()
        self.assertEqual(self.receive(client), b"hello\n")

    def test_bind_twice(self):
        server, first = self.bound()
        server.bind(0, "127.0.0.1", family=socket.AF_INET, backlog=5)
        second = server._waiting[1].getsockname()
        server.start(1)
        self.check_echo(first)
        self.check_echo(second)

    def test_bind_after_start_listens(self):
        server = self.make()
        server.start()
        server.bind(0, "127.0.0.1")
        self.check_echo(server._listening[0][0].getsockname())

    def test_start_twice(self):
        server, _ = self.bound()
        server.start()
        self.assertRaises(RuntimeError, server.start)

    def test_b350_several_processes_need_a_fork_before_the_loop(self):
        server, _ = self.bound()
        with self.assertRaises(RuntimeError) as caught:
            server.start(2)
        self.assertIn("a loop was made at", str(caught.exception))
        # Nothing has started, so that it may still be started in this process.
        server.start()

    def test_stop_before_start(self):
        server, address = self.bound()
        server.stop()
        self.assertRaises(socket.error, self.connect, address)
        server.start()


class StopTest(ServerTest):
    def test_stop(self):
        server, address = self.listening()
        client = self.check_echo(address)
        server.stop()
        self.assertRaises(socket.error, self.connect, address)
        # The streams stay open.
        server.streams[0].write(b"still here")
        self.assertEqual(self.receive(client), b"still here")

    def test_b114_stop_twice(self):
        server, _ = self.listening()
        server.stop()
        server.stop()

    def test_b114_stop_in_handle_stream(self):
        class Server(EchoServer):
            def handle_stream(self, stream, address):
                super(Server, self).handle_stream(stream, address)
                self.stop()

        server, address = self.listening(Server)
        clients = [self.connect(address) for _ in range(3)]
        with LogCatcher() as records:
            self.run_until(lambda: server.streams)
            self.loop.run_once(0)
        self.assertEqual(len(server.streams), 1)
        self.assertEqual(records, [])
        del clients

    def test_b114_no_accept_after_stop(self):
        server, address = self.listening()
        self.connect(address)
        server.stop()
        self.loop.run_once(0)
        self.assertEqual(server.streams, [])

    def test_listen_again_after_stop(self):
        server, _ = self.listening()
        server.stop()
        sock, = bind_sockets(0, "127.0.0.1")
        address = sock.getsockname()
        server.add_socket(sock)
        self.check_echo(address)
        server.stop()
        self.assertRaises(socket.error, self.connect, address)


class TLSTest(ServerTest):
    def setUp(self):
        super(TLSTest, self).setUp()
        self.context = ssl_options_to_context({"ca_certs": CA}, server_side=False)

    def shake_hands(self, client):
        client = self.context.wrap_socket(client, server_hostname="localhost",
                                          do_handshake_on_connect=False)
        self.addCleanup(client.close)

        def done():
            try:
                client.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            return True

        self.run_until(done)
        return client

    def check_tls_echo(self, address):
        client = self.shake_hands(self.connect(address))
        client.sendall(b"hello\n")
        self.assertEqual(self.receive(client), b"hello\n")

    def test_options(self):
        server, address = self.listening(ssl_options=SERVER_OPTIONS, max_buffer_size=5000)
        self.check_tls_echo(address)
        stream, = server.streams
        self.assertIs(type(stream), SSLIOStream)
        self.assertEqual(stream.max_buffer_size, 5000)

    def test_context(self):
        context = ssl_options_to_context(SERVER_OPTIONS)
        server, address = self.listening(ssl_options=context)
        self.assertIs(server.ssl_options, context)
        self.check_tls_echo(address)

    def test_options_are_checked_at_construction(self):
        missing = dict(SERVER_OPTIONS, certfile="/missing.crt")
        with self.assertRaises(ValueError) as cm:
            TCPServer(ssl_options=missing)
        self.assertIn("missing.crt", str(cm.exception))
        # A key is not a certificate.
        self.assertRaises(ValueError, TCPServer, ssl_options={"certfile": KEY})
        self.assertRaises(ValueError, TCPServer, ssl_options={})

    def test_silent_peer_does_not_hold_up_others(self):
        _, address = self.listening(ssl_options=SERVER_OPTIONS)
        silent = self.connect(address)
        self.check_tls_echo(address)
        silent.close()

    def test_peer_that_speaks_something_else(self):
        server, address = self.listening(ssl_options=SERVER_OPTIONS)
        client = self.connect(address)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        self.run_until(lambda: server.streams and server.streams[0].closed())
        self.check_tls_echo(address)

    def test_b117_peer_is_gone_before_the_handshake(self):
        for linger in (False, True):
            for hello in (b"", b"\x16\x03\x01"):
                server, address = self.listening(ssl_options=SERVER_OPTIONS)
                client = self.connect(address)
                client.sendall(hello)
                if linger:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
                client.close()
                with LogCatcher() as records:
                    self.check_tls_echo(address)
                self.assertEqual([r.getMessage() for r in records
                                  if r.levelno >= logging.WARNING], [])
                # After a reset there is no peer, so no stream is made.
                self.assertEqual(len(server.streams), 1 if linger else 2)


if __name__ == "__main__":
    unittest.main()
