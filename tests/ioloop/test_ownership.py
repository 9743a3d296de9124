"""What `close(all_fds=True)` closes, and what it leaves to its owner, on every poller (B268)."""
from __future__ import absolute_import, division, print_function

import functools
import os
import socket
import unittest

try:
    import inotify_simple
except ImportError:
    inotify_simple = None
try:
    import pycares
    from friendserve.platform.caresresolver import CaresResolver
except ImportError:
    pycares = None
try:
    import pycurl
    from friendserve.curl_httpclient import CurlAsyncHTTPClient
    from friendserve.curl_httpclient.sockets import LoopSockets
except ImportError:
    pycurl = None

from friendserve import autoreload
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.platform.pollers.auto import available_pollers
from friendserve.stack_context import StackContext
from friendserve.tcpserver import TCPServer
from tests.loopcase import LogCatcher, keeping, needs_package, open_fds
from tests.streamcase import Streams, make_any_poller

READ = IOLoop.READ


class Pipe(object):
    """The owner of the reading end of a pipe, which it has only as a number."""
    closings = 0

    def __init__(self):
        self.reader, self.writer = os.pipe()

    def on_events(self, fd, events):
        pass

    def on_events_with(self, argument, fd, events):
        pass

    def close(self):
        self.closings += 1
        for fd in (self.reader, self.writer):
            if fd >= 0:
                os.close(fd)
        self.reader = self.writer = -1


class OwnershipContract(Streams):
    impl = None

    def setUp(self):
        self.before = open_fds()
        self.loop = self.make_loop(make_any_poller(self.impl))

    def assert_owned(self, close):
        """Check that the owner, closed after its loop, closes no file that was opened since, and
        leaves none of its files open."""
        self.loop.close(all_fds=True)
        strangers = [os.open(os.devnull, os.O_RDONLY) for _ in range(30)]
        try:
            close()
            missing = [fd for fd in strangers if fd not in open_fds()]
        finally:
            for fd in strangers:
                if fd in open_fds():
                    os.close(fd)
        self.assertEqual([], missing)
        self.assertEqual(self.before, open_fds())

    def listener(self):
        sock, = bind_sockets(0, "127.0.0.1")
        return sock

    def test_b268_listening_sockets(self):
        server = TCPServer(io_loop=self.loop)
        sockets = [self.listener() for _ in range(2)]
        server.add_sockets(sockets)
        with StackContext(functools.partial(keeping, [])):
            server.add_socket(self.listener())
        self.assert_owned(server.stop)

    @needs_package(inotify_simple, "inotify_simple")
    def test_b268_the_watcher_of_autoreload(self):
        autoreload.start(self.loop)
        watcher = autoreload._watcher
        self.addCleanup(setattr, autoreload, "_watcher", None)

        def stop():
            autoreload.watch(__file__)
            watcher.stop()
        self.assert_owned(stop)

    @needs_package(pycares, "pycares")
    def test_b268_the_sockets_of_cares(self):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(("127.0.0.1", 0))
        self.before.add(server.fileno())
        resolver = CaresResolver(io_loop=self.loop, servers=["127.0.0.1"], timeout=30,
                                 udp_port=server.getsockname()[1])
        resolver.resolve("silent.example", 80, socket.AF_INET, self.fail)
        self.assertGreater(len(resolver.fds), 0)
        self.assert_owned(resolver.close)

    def check_curl(self, sockets=None):
        listener = self.listener()
        self.addCleanup(listener.close)
        self.before.add(listener.fileno())
        client = CurlAsyncHTTPClient(io_loop=self.loop, force_instance=True)
        if sockets is not None:
            client._sockets.close()
            client._sockets = sockets(self.loop, client._on_ready)
            client._multi.setopt(pycurl.M_SOCKETFUNCTION, client._sockets.change)
        client.fetch("http://127.0.0.1:%d/" % listener.getsockname()[1], lambda response: None)
        self.run_until(client._sockets.wanted)

        def close():
            client.close()
            del client._sockets, client._multi
        self.assert_owned(close)

    @needs_package(pycurl, "pycurl")
    def test_b268_the_epoll_of_curl(self):
        self.check_curl()

    @needs_package(pycurl, "pycurl")
    def test_b268_the_sockets_of_curl(self):
        self.check_curl(LoopSockets)

    def test_b268_an_object_whose_method_handles_its_number(self):
        for make_handler in (
                lambda pipe: pipe.on_events,
                lambda pipe: functools.partial(pipe.on_events_with, 5)):
            self.loop = self.make_loop(make_any_poller(self.impl))
            pipes = [Pipe() for _ in range(2)]
            self.loop.add_handler(pipes[0].reader, make_handler(pipes[0]), READ)
            self.loop.add_handler(pipes[0].writer, make_handler(pipes[0]), READ)
            with StackContext(functools.partial(keeping, [])):
                self.loop.add_handler(pipes[1].reader, make_handler(pipes[1]), READ)
            self.loop.close(all_fds=True)
            self.assertEqual([1, 1], [pipe.closings for pipe in pipes])

    def test_b268_a_number_without_an_owner_is_closed(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        self.before.add(writer)
        self.loop.add_handler(reader, lambda fd, events: None, READ)
        self.loop.close(all_fds=True)
        self.assertEqual(self.before, open_fds())

    def test_b268_a_number_that_belongs_to_another_file_now_is_left(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        self.loop.add_handler(reader, lambda fd, events: None, READ)
        os.close(reader)
        self.pipe_end_at(reader)
        self.loop.close(all_fds=True)
        self.assertIn(reader, open_fds())

    def test_b268_without_all_fds_nothing_is_closed(self):
        pipe = Pipe()
        self.addCleanup(pipe.close)
        a, b = self.socket_pair()
        self.loop.add_handler(pipe.reader, pipe.on_events, READ)
        self.loop.add_handler(a, lambda sock, events: None, READ)
        expected = set([pipe.reader, a.fileno()])
        self.loop.close()
        self.assertEqual((expected, 0), (expected & open_fds(), pipe.closings))

    def test_b268_an_owner_that_fails_does_not_keep_the_others_open(self):
        class Broken(Pipe):
            def close(self):
                super(Broken, self).close()
                raise ZeroDivisionError("close of the test")
        pipes = [Broken() for _ in range(3)]
        for pipe in pipes:
            self.loop.add_handler(pipe.reader, pipe.on_events, READ)
        with LogCatcher() as records:
            try:
                self.loop.close(all_fds=True)
            except (ZeroDivisionError, OSError):
                pass
        self.assertEqual(([1] * 3, 3), ([pipe.closings for pipe in pipes], len(records)))


for _name in sorted(set(available_pollers() + ["kqueue"])):
    globals()["%sOwnershipTest" % _name.title()] = type(
        str("%sOwnershipTest" % _name.title()), (OwnershipContract, unittest.TestCase),
        {"impl": _name})


if __name__ == "__main__":
    unittest.main()
