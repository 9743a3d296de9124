"""TCPClient: which address it connects to, how it ends, and that it leaves nothing open."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import socket
import ssl
import tempfile
import unittest

from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream
from friendserve.netutil import BlockingResolver, Resolver, bind_sockets, bind_unix_socket
from friendserve.stack_context import ExceptionStackContext
from friendserve.tcpclient import ATTEMPT_DELAY, TCPClient, interleave, start_tls
from friendserve.util import TimeoutError
from tests import services
from tests.clientcase import KeepingServer
from tests.httpcase import CA, SERVER_OPTIONS, HTTPCase, LogCatcher

V4, V6 = socket.AF_INET, socket.AF_INET6


class FixedResolver(Resolver):
    """Returns the same addresses for every host."""
    def initialize(self, addresses, io_loop=None):
        super(FixedResolver, self).initialize(io_loop)
        self.addresses = addresses

    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        self.io_loop.add_callback(callback, [
            (af, address[:1] + (address[1] or port,)) for af, address in self.addresses])


class InterleaveTest(unittest.TestCase):
    def test_families_take_turns(self):
        self.assertEqual(interleave([(V6, 1), (V6, 2), (V6, 3), (V4, 4), (V4, 5)]),
                         [(V6, 1), (V4, 4), (V6, 2), (V4, 5), (V6, 3)])
        self.assertEqual(interleave([(V4, 1), (V4, 2)]), [(V4, 1), (V4, 2)])
        self.assertEqual(interleave([]), [])
        alone = [(V4, 1)]
        self.assertEqual([(V4, 1)], interleave(alone))
        self.assertIsNot(alone, interleave(alone), "the list belongs to the resolver")


class TCPClientTest(HTTPCase):
    def setUp(self):
        super(TCPClientTest, self).setUp()
        self.streams, self.errors = [], []
        self.addCleanup(lambda: [stream.close() for stream in self.streams])

    def listen(self, sock=None, **options):
        server = self.tcp = KeepingServer(**options)
        sock = sock or bind_sockets(0, "127.0.0.1")[0]
        server.add_socket(sock)
        self.addCleanup(server.stop)
        self.addCleanup(lambda: [stream.close() for stream in server.streams])
        self.port = sock.getsockname()[1]
        return server

    def client(self, *addresses):
        return TCPClient(resolver=FixedResolver(addresses, io_loop=self.loop))

    def connect(self, client=None, host="127.0.0.1", port=None, **options):
        return (client or TCPClient()).connect(
            host, port or self.port, callback=self.streams.append,
            on_error=self.errors.append, **options)

    def ended(self):
        return self.streams or self.errors

    def full_port(self):
        """A port of 127.0.0.1 that never answers a connect."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        return sock.getsockname()[1]

    def test_connect(self):
        self.listen()
        connecting = self.connect()
        self.assertEqual(self.streams, [])
        self.run_until(self.ended)
        self.assertEqual(self.errors, [])
        self.assertEqual(self.streams[0].socket.getpeername(), ("127.0.0.1", self.port))
        self.assertEqual(connecting.phase, "done")
        self.assertLessEqual(connecting.resolved_at, connecting.connected_at)

    def test_without_callbacks_it_returns_a_future(self):
        self.listen()
        stream = self.loop.run_sync(lambda: TCPClient().connect("127.0.0.1", self.port), 10)
        self.streams.append(stream)
        self.assertEqual(("127.0.0.1", self.port), stream.socket.getpeername())
        with self.assertRaises(EnvironmentError):
            self.loop.run_sync(
                lambda: TCPClient().connect("127.0.0.1", services.free_port()), 10)
        with self.assertRaises(ValueError):
            TCPClient().connect("127.0.0.1", 70000)

    def test_by_name(self):
        self.listen()
        for resolver in (BlockingResolver(), Resolver()):
            del self.streams[:]
            self.connect(TCPClient(resolver=resolver), "localhost")
            self.run_until(self.ended)
            self.assertEqual(self.errors, [])
            self.streams[0].close()

    def test_refused(self):
        self.connect(port=services.free_port())
        self.run_until(self.ended)
        self.assertIsInstance(self.errors[0], EnvironmentError)

    def test_without_on_error_it_is_raised_in_the_context_of_the_call(self):
        caught = []

        def handler(kind, error, trace):
            caught.append(error)
            return True

        with ExceptionStackContext(handler):
            TCPClient().connect("127.0.0.1", services.free_port(), callback=self.fail)
        self.run_until(lambda: caught)
        self.assertIsInstance(caught[0], EnvironmentError)

    def test_no_address(self):
        self.connect(self.client(), port=1)
        self.run_until(self.ended)
        self.assertIsInstance(self.errors[0], socket.gaierror)

    def test_b195_a_refused_address_is_followed_by_the_next_at_once(self):
        self.listen()
        self.connect(self.client((V4, ("127.0.0.1", services.free_port())),
                                 (V4, ("127.0.0.1", 0))))
        self.run_until(self.ended)
        self.assertEqual(len(self.streams), 1)

    def test_b195_all_refused(self):
        dead = services.free_port()
        self.connect(self.client((V4, ("127.0.0.1", dead)), (V4, ("127.0.0.2", dead))), port=dead)
        self.run_until(self.ended)
        self.turn(0, 3)
        self.assertEqual((len(self.streams), len(self.errors)), (0, 1))

    def test_b195_an_address_that_does_not_answer_is_not_waited_for(self):
        self.listen()
        full = self.full_port()
        begun = self.loop.time()
        connecting = self.connect(self.client((V4, ("127.0.0.1", full)), (V4, ("127.0.0.1", 0))))
        self.run_until(self.ended)
        self.assertEqual(len(self.streams), 1)
        self.assertGreaterEqual(self.loop.time() - begun, ATTEMPT_DELAY)
        self.assertEqual(connecting._streams, [])
        # The waker, the listener, and both ends.
        self.assertEqual(len(self.loop._handlers), 4)

    def test_b195_late_success_after_the_timeout(self):
        self.listen()
        connecting = self.connect(timeout=20)
        self.run_until(lambda: connecting.phase == "done")
        # Connected, but not reported yet.
        connecting.cancel()
        self.run_until(lambda: self.tcp.streams and self.tcp.streams[0].closed())
        self.assertEqual((self.streams, self.errors), ([], []))

    def test_timeout(self):
        full = self.full_port()
        self.connect(port=full, timeout=0.05)
        self.run_until(self.ended)
        self.assertIsInstance(self.errors[0], TimeoutError)
        self.assertIn("connect", str(self.errors[0]))
        self.assertEqual(len(self.loop._handlers), 1)

    def test_cancel(self):
        connecting = self.connect(port=services.free_port())
        connecting.cancel()
        connecting.cancel()
        self.turn(0.01, 5)
        self.assertFalse(self.ended())

    def test_tls(self):
        self.listen(ssl_options=SERVER_OPTIONS)
        self.connect(host="localhost", ssl_options={"ca_certs": CA})
        self.run_until(self.ended)
        self.assertEqual(self.errors, [])
        self.assertIsNotNone(self.streams[0].socket.cipher())

    def test_tls_that_fails(self):
        self.listen(ssl_options=SERVER_OPTIONS)
        with LogCatcher():
            connecting = self.connect(host="localhost", ssl_options={})
            self.run_until(self.ended)
        self.assertIsInstance(self.errors[0], ssl.SSLError)
        self.assertEqual(connecting.failed_phase, "tls")
        with LogCatcher():
            del self.errors[:]
            server = self.listen()
            server.handle_stream = lambda stream, address: stream.close()
            self.connect(host="localhost", ssl_options={})
            self.run_until(self.ended)
        self.assertIsInstance(self.errors[0], EnvironmentError)

    def test_the_timeout_bounds_the_tls_handshake_too(self):
        self.listen()                       # accepts, and never answers the handshake
        with LogCatcher():
            connecting = self.connect(host="localhost", ssl_options={"ca_certs": CA}, timeout=0.2)
            self.run_until(lambda: connecting.phase == "tls")
            self.run_until(self.ended)
        self.assertIsInstance(self.errors[0], TimeoutError)
        self.assertIn("TLS", str(self.errors[0]))
        self.assertEqual("tls", connecting.failed_phase)
        self.run_until(lambda: self.tcp.streams and self.tcp.streams[0].closed())

    def test_cancelled_while_tls_shakes_hands(self):
        self.listen()
        connecting = self.connect(host="localhost", ssl_options={"ca_certs": CA}, timeout=20)
        self.run_until(lambda: connecting.phase == "tls")
        connecting.cancel()
        self.run_until(lambda: self.tcp.streams and self.tcp.streams[0].closed())
        self.assertEqual(([], []), (self.streams, self.errors))

    def test_the_handshake_cannot_start_when_the_peer_is_gone(self):
        stream = IOStream(socket.socket())
        stream.close()
        self.assertIs(stream, start_tls(stream, ssl.create_default_context(), "localhost",
                                        self.streams.append, self.errors.append))
        self.assertEqual([], self.errors)
        self.run_until(self.ended)
        self.assertIsInstance(self.errors[0], EnvironmentError)
        self.assertEqual(([], 1), (self.streams, len(self.errors)))

    def test_source(self):
        self.listen()
        port = services.free_port()
        self.connect(source_ip="127.0.0.2", source_port=port)
        self.run_until(self.ended)
        self.assertEqual(self.streams[0].socket.getsockname(), ("127.0.0.2", port))

    if hasattr(socket, "AF_UNIX"):
        def test_unix_socket(self):
            folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, folder)
            path = os.path.join(folder, "s")
            server = KeepingServer()
            server.add_socket(bind_unix_socket(path))
            self.addCleanup(server.stop)
            self.connect(host=path, port=1, af=socket.AF_UNIX)
            self.run_until(self.ended)
            self.assertEqual(len(self.streams), 1)
            self.run_until(lambda: server.streams)
            server.streams[0].close()

    def test_bad_options(self):
        self.assertRaises(ValueError, self.connect, port=1, ssl_options={"unknown": 1})

    def test_an_invalid_host_name_is_raised_and_not_reported_again(self):
        self.assertRaises(ValueError, self.connect, host=u"\u0101" * 100, port=1, timeout=0.01)
        passed = []
        self.loop.call_later(0.02, passed.append, True)
        self.run_until(lambda: passed)
        self.turn()
        self.assertFalse(self.ended())

    def test_its_loop(self):
        other = IOLoop(make_current=False)
        self.addCleanup(other.close)
        self.assertIs(TCPClient(io_loop=other).resolver.io_loop, other)
        self.assertIs(TCPClient(resolver=Resolver(io_loop=other)).io_loop, other)
        TCPClient().close()
