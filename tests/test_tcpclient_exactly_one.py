# coding: utf-8
"""TCPClient.connect and its relatives: misuse raises at the call, and everything else ends in one
of the two callbacks, with an EnvironmentError."""
from __future__ import absolute_import, division, print_function

import contextlib
import gc
import os
import resource
import shutil
import socket
import ssl
import tempfile
import threading

from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.ioloop.interface import ThreadPoolExecutor
from friendserve.iostream import IOStream
from friendserve.netutil import (
    BlockingResolver, CachedResolver, DefaultExecutorResolver, ExecutorResolver, OverrideResolver,
    Resolver, ThreadedResolver, bind_sockets, bind_unix_socket)
from friendserve.tcpclient import TCPClient
from friendserve.tcpserver import TCPServer
from friendserve.websocket import websocket_connect
from tests import services
from tests.clientcase import CurlAsyncHTTPClient, KeepingServer, SimpleAsyncHTTPClient
from tests.forkcase import no_threads
from tests.httpcase import SERVER_OPTIONS, HTTPCase, LogCatcher, answer

#: Whatever is not a port: with too many bits, a sign, a fraction, or not a number.
NO_PORTS = (70000, 65536 + 4464, -1, 1 << 70, "70000", "-5", u"80\0", "80 ", "http", "", b"80"
            if bytes is not str else 8.5, 80.0, None, True, [], float("nan"))

NO_HOSTS = ("127.0.0.1\0x", u"127.0.0.1\0x", b"localhost\0", u"::1\0", u"\ud800", b"\xff",
            "a" * 300)

NOT_EVEN_TEXT = (None, 5, [], object())


class ClosingServer(TCPServer):
    def handle_stream(self, stream, address):
        stream.close()


class WrongResolver(Resolver):
    """Has the loop call `deliver(callback, on_error)`."""
    def initialize(self, deliver, io_loop=None):
        super(WrongResolver, self).initialize(io_loop)
        self.deliver = deliver

    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        self.io_loop.add_callback(self.deliver, callback, on_error)


def delivers(*calls):
    """A `deliver` that calls its callback with each of these."""
    return lambda callback, on_error: [callback(addresses) for addresses in calls]


class ExactlyOneCase(HTTPCase):
    longMessage = True

    def setUp(self):
        super(ExactlyOneCase, self).setUp()
        self.server = KeepingServer()
        sock = bind_sockets(0, "127.0.0.1")[0]
        self.port = sock.getsockname()[1]
        self.server.add_socket(sock)
        self.addCleanup(self.close_all)

    def close_all(self):
        self.server.stop()
        for stream in self.server.streams:
            stream.close()

    def outcome(self, start, *args, **kwargs):
        """What one of the callbacks of `start` was called with; the other was not, and neither a
        second time."""
        results, errors = [], []
        try:
            start(*args, callback=results.append, on_error=errors.append, **kwargs)
        except Exception as error:
            self.fail("%r raised %r" % (args, error))
        self.assertEqual(([], []), (results, errors), "called before it returned")
        with self.quiet_loop():
            self.run_until(lambda: results or errors)
            self.turn(0, 5)
        self.assertEqual(1, len(results) + len(errors), args)
        for result in results:
            if isinstance(result, IOStream):
                result.close()
        return (results + errors)[0]

    @contextlib.contextmanager
    def quiet_loop(self):
        """Fails if an exception reaches the loop."""
        raised = []
        self.loop.handle_callback_exception = raised.append
        try:
            yield
        finally:
            del self.loop.handle_callback_exception
            self.assertEqual([], raised)

    def assert_error(self, start, *args, **kwargs):
        error = self.outcome(start, *args, **kwargs)
        self.assertIsInstance(error, EnvironmentError, (args, kwargs))
        return error

    def assert_misuse(self, kinds, start, *args, **kwargs):
        """Check that the call raises and that neither callback is called."""
        calls = []
        try:
            start(*args, callback=calls.append, on_error=calls.append, **kwargs)
        except Exception as caught:
            error = caught
        else:
            self.fail("%r, %r raised nothing" % (args, kwargs))
        self.assertIsInstance(error, kinds, args)
        self.assertNotIsInstance(error, UnicodeError, args)
        self.turn(0, 3)
        self.assertEqual([], calls)
        return str(error)

    def assert_raises(self, kind, function, *args, **kwargs):
        """Like assertRaises, which would let other exceptions pass."""
        try:
            function(*args, **kwargs)
        except Exception as caught:
            error = caught
        else:
            self.fail("%r, %r raised nothing" % (args, kwargs))
        self.assertIsInstance(error, kind, args)


class MisuseTest(ExactlyOneCase):
    def resolvers(self):
        yield ThreadedResolver()
        yield BlockingResolver()
        yield DefaultExecutorResolver()
        yield CachedResolver(BlockingResolver())
        yield OverrideResolver(BlockingResolver(), {})

    def test_b288_odd_ports(self):
        for host in ("127.0.0.1", "localhost"):
            for port in NO_PORTS:
                text = self.assert_misuse(ValueError, TCPClient().connect, host, port)
                self.assertIn(repr(port), text)

    def test_b288_odd_hosts(self):
        for host in NO_HOSTS:
            self.assert_misuse(ValueError, TCPClient().connect, host, self.port)
        for host in NOT_EVEN_TEXT:
            self.assert_misuse(TypeError, TCPClient().connect, host, self.port)

    def test_b288_every_resolver(self):
        for resolver in self.resolvers():
            for port in NO_PORTS:
                if port is not None and port != []:
                    self.assert_misuse(ValueError, resolver.resolve, "127.0.0.1", port)
                    self.assert_misuse(ValueError, resolver.resolve, "localhost", port)
            for host in NO_HOSTS:
                self.assert_misuse(ValueError, resolver.resolve, host, 80)
            self.assert_misuse(ValueError, resolver.resolve, "localhost", 80, 99)
            self.assertRaises(TypeError, resolver.resolve, "localhost", 80, callback=5)
            resolver.close()

    def test_b288_ports_as_digits_and_hosts_as_bytes_are_fine(self):
        for host in (b"127.0.0.1", u"127.0.0.1", u"localhost"):
            stream = self.outcome(TCPClient().connect, host, str(self.port))
            self.assertIsInstance(stream, IOStream, host)
        self.assertEqual([(socket.AF_INET, ("127.0.0.1", 0))],
                         self.outcome(Resolver().resolve, "127.0.0.1", None))

    def test_b288_sources(self):
        connect = TCPClient().connect
        for address in ("nonsense", u"ü", "127.0.0.1\0x", "::1%\0", 5, ""):
            self.assert_misuse(ValueError, connect, "127.0.0.1", self.port, source_ip=address)
        for port in (70000, -1, "x", 8.5):
            self.assert_misuse(ValueError, connect, "127.0.0.1", self.port, source_port=port)

    def test_b288_other_options(self):
        connect = TCPClient().connect
        for options in ({"timeout": "5"}, {"timeout": float("nan")}, {"max_buffer_size": "5"}):
            self.assert_misuse(TypeError, connect, "127.0.0.1", self.port, **options)
        for name in ("a\0b", ".a", "a..b", "a" * 64, u"\u2024", u"ü" * 100):
            self.assert_misuse(ValueError, connect, "127.0.0.1", self.port, ssl_options={},
                               server_hostname=name)
        self.assert_misuse(TypeError, connect, "127.0.0.1", self.port, ssl_options={},
                           server_hostname=5)
        for options in ({"callback": 5}, {"on_error": 5}):
            self.assertRaises(TypeError, connect, "127.0.0.1", self.port, **options)

    def test_b288_listening(self):
        # None is any port here.
        for port in set(NO_PORTS[:-2]) - set([None]):
            self.assert_raises(ValueError, bind_sockets, port, "127.0.0.1")
            self.assert_raises(ValueError, KeepingServer().listen, port)
            self.assert_raises(ValueError, HTTPServer(answer).bind, port)
        for host in NO_HOSTS:
            self.assert_raises(ValueError, bind_sockets, 0, host)
        self.assert_raises(TypeError, bind_sockets, 0, 5)
        self.assert_raises(socket.gaierror, bind_sockets, 0, "a" * 64 + ".test")

    def test_b288_paths_of_sockets(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "s")
        sock = bind_unix_socket(path)
        self.addCleanup(sock.close)
        connect = TCPClient().connect
        for wrong in (path + "\0x", (path + "\0x").encode("ascii"), u"/\ud800\0"):
            self.assert_misuse(ValueError, connect, wrong, None, socket.AF_UNIX)
            self.assertRaises(ValueError, bind_unix_socket, wrong)
        self.assert_misuse(TypeError, connect, 5, None, socket.AF_UNIX)
        self.assert_misuse(ValueError, connect, path, None, socket.AF_UNIX, source_port=1)
        self.assert_error(connect, "/" + "x" * 200, None, socket.AF_UNIX)
        self.assertIsInstance(self.outcome(connect, path, None, socket.AF_UNIX), IOStream)

    def test_b288_requests_through_a_proxy_or_a_unix_socket(self):
        clients = [kind(force_instance=True) for kind in (
            SimpleAsyncHTTPClient, CurlAsyncHTTPClient) if kind is not None]
        for client in clients:
            for options in ({"proxy_host": "127.0.0.1", "proxy_port": 70000},
                            {"proxy_host": "127.0.0.1", "proxy_port": -1},
                            {"proxy_host": "127.0.0.1", "proxy_port": "http"},
                            {"proxy_host": "127.0.0.1", "proxy_port": [1]},
                            {"unix_socket": "/tmp/a\0b"}):
                self.assert_raises(ValueError, client.fetch, "http://127.0.0.1:1/", self.fail,
                                   **options)
            client.close()


class ExactlyOneTest(ExactlyOneCase):
    @contextlib.contextmanager
    def numbers_too_high_for_select(self):
        """New files have numbers from 1024 on."""
        # No garbage of earlier tests may give a number back.
        gc.collect()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, limits[1]))
        fds = [os.dup(self.server._listening[0][0].fileno())]
        try:
            while fds[-1] < 1023:
                fds.append(os.dup(fds[0]))
            yield
        finally:
            for fd in fds:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    def test_b289_a_socket_that_select_cannot_watch(self):
        self.loop = IOLoop(impl="select", make_current=True)
        self.addCleanup(self.loop.close)
        client = TCPClient(resolver=BlockingResolver())
        with self.numbers_too_high_for_select():
            self.assertIn("FD_SETSIZE", str(self.assert_error(client.connect, "127.0.0.1",
                                                              self.port)))
            error = self.outcome(websocket_connect, "ws://127.0.0.1:%d/" % self.port)
            self.assertIn("FD_SETSIZE", str(error))
            responses = []
            SimpleAsyncHTTPClient().fetch("http://127.0.0.1:%d/" % self.port, responses.append)
            self.run_until(lambda: responses)
            self.assertIn("FD_SETSIZE", str(responses[0].error))
            stream = IOStream(socket.socket(), self.loop)
            self.assertIs(stream, stream.connect(("127.0.0.1", self.port)))
            self.assertIn("FD_SETSIZE", str(stream.error))

    def test_b289_a_tls_server_closes_what_select_cannot_watch(self):
        self.loop = IOLoop(impl="select", make_current=True)
        self.addCleanup(self.loop.close)
        server = KeepingServer(ssl_options=SERVER_OPTIONS)
        sock = bind_sockets(0, "127.0.0.1")[0]
        server.add_socket(sock)
        self.addCleanup(server.stop)
        client = socket.create_connection(sock.getsockname())
        self.addCleanup(client.close)
        client.setblocking(False)
        seen = []

        def has_ended():
            # On Python 2 a socket is open as long as a frame refers to it.
            del records[:]
            try:
                seen.append(client.recv(100))
            except socket.error:
                pass
            return seen

        with LogCatcher() as records:
            with self.numbers_too_high_for_select():
                self.run_until(has_ended)
        self.assertEqual([b""], seen)

    def test_b289_no_thread_can_be_started(self):
        resolvers = [ThreadedResolver(num_threads=77)]
        if ThreadPoolExecutor is not None:
            self.loop.set_default_executor(ThreadPoolExecutor(1))
            resolvers += [ExecutorResolver(executor=ThreadPoolExecutor(1)),
                          DefaultExecutorResolver()]
        with no_threads():
            for resolver in resolvers:
                self.assert_error(resolver.resolve, "localhost", self.port)
        for resolver in resolvers[:1]:
            self.assertIsInstance(self.outcome(TCPClient(resolver=resolver).connect, "localhost",
                                               self.port), IOStream)

    def test_b289_connect_when_no_thread_can_be_started(self):
        with no_threads():
            client = TCPClient(resolver=ThreadedResolver(num_threads=78))
            self.assertIn("thread", str(self.assert_error(client.connect, "localhost", self.port)))

    if ThreadPoolExecutor is not None:
        def test_b289_an_executor_that_was_shut_down(self):
            executor = ThreadPoolExecutor(1)
            executor.shutdown()
            self.assert_error(ExecutorResolver(executor=executor).resolve, "localhost", 80)
            self.loop.set_default_executor(executor)
            self.assert_error(DefaultExecutorResolver().resolve, "localhost", 80)

        def test_b289_an_executor_that_cancels(self):
            executor = ThreadPoolExecutor(1)
            gate = threading.Event()
            self.addCleanup(gate.set)
            executor.submit(gate.wait)
            futures = []
            submit = executor.submit
            executor.submit = lambda *args: futures.append(submit(*args)) or futures[-1]
            self.loop.set_default_executor(executor)
            for resolver in (ExecutorResolver(executor=executor), DefaultExecutorResolver()):
                self.loop.add_callback(lambda: futures.pop().cancel())
                self.assert_error(resolver.resolve, "localhost", 80)

    def test_b289_addresses_that_are_none(self):
        for addresses in (None, 5, [None], [5], [(socket.AF_INET,)], [("x", ("127.0.0.1", 1))],
                          [(socket.AF_INET, ("127.0.0.1", 70000))],
                          [(socket.AF_INET, ("127.0.0.1", "x"))],
                          [(socket.AF_INET, ("127.0.0.1\0", 1))], [(socket.AF_INET, None)],
                          [(socket.AF_INET, (u"ü..", 1))], [(99, ("127.0.0.1", 1))], []):
            client = TCPClient(resolver=WrongResolver(delivers(addresses)))
            self.assert_error(client.connect, "a.test", self.port)

    def test_b289_an_odd_address_does_not_hide_a_good_one(self):
        client = TCPClient(resolver=WrongResolver(delivers([
            (socket.AF_INET, ("127.0.0.1", 70000)), (socket.AF_INET, ("127.0.0.1", self.port))])))
        self.assertIsInstance(self.outcome(client.connect, "a.test", self.port), IOStream)

    def test_b289_a_resolver_that_calls_back_twice(self):
        good = [(socket.AF_INET, ("127.0.0.1", self.port))]
        client = TCPClient(resolver=WrongResolver(delivers(good, good, None)))
        self.assertIsInstance(self.outcome(client.connect, "a.test", self.port), IOStream)

    def test_b289_an_error_of_another_kind_from_a_resolver(self):
        client = TCPClient(resolver=WrongResolver(
            lambda callback, on_error: on_error(ValueError("nonsense"))))
        self.assertIn("nonsense", str(self.assert_error(client.connect, "a.test", self.port)))

    def test_b289_a_name_that_no_certificate_can_have(self):
        server = ClosingServer()
        sock = bind_sockets(0, "127.0.0.1")[0]
        server.add_socket(sock)
        self.addCleanup(server.stop)
        address = [(socket.AF_INET, sock.getsockname())]
        for host in ("a\0b", ".test", "a..b", "a" * 64, u"ü" * 100, 5, b"\xff"):
            client = TCPClient(resolver=WrongResolver(delivers(address)))
            error = self.assert_error(client.connect, host, self.port,
                                      ssl_options=ssl.create_default_context())
            self.assertEqual("tls", self.failed_phase(client, host), error)

    def failed_phase(self, client, host):
        failed = []
        connecting = client.connect(host, self.port, ssl_options=ssl.create_default_context(),
                                    on_error=failed.append)
        self.run_until(lambda: failed)
        return connecting.failed_phase

    def test_b289_refused_everywhere(self):
        dead = services.free_port()
        for host in ("127.0.0.1", "localhost", "no-such-host.invalid", "", "a..b", "a" * 64):
            self.assert_error(TCPClient().connect, host, dead)
        self.assert_error(TCPClient().connect, "127.0.0.1", 0)
        self.assert_error(TCPClient().connect, "127.0.0.1", self.port, source_ip="203.0.113.1")
        self.assert_error(TCPClient().connect, "127.0.0.1", self.port, source_ip="::1")
