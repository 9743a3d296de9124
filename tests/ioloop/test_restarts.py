"""Loops that are made, driven by another loop or continued in another process, and closed, a
hundred times: nothing grows."""
from __future__ import absolute_import, division, print_function

import os
import select
import signal
import unittest

from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.platform.pollers.auto import available_pollers
from tests import PATIENCE
from tests.docscase import program
from tests.forkcase import ForkCase
from tests.httpcase import answer
from tests.loopcase import GrowthCase, open_fds
from tests.services import free_port


def drive_by_select(loop):
    """As the documentation has it."""
    program("how-to/embedding.rst")["run"](loop, {})


def drive_by_poll(loop):
    wait = 0
    while not loop.stopped():
        poller = select.poll()
        for fd, events in wanted(loop).items():
            # The numbers of the events are those of poll.
            poller.register(fd, events)
        poller.poll(None if wait is None else wait * 1000 + 1)
        wait = loop.run_once(0)


def drive_by_epoll(loop):
    outer = select.epoll()
    try:
        outer.register(loop.fileno(), select.EPOLLIN)
        wait = 0
        while not loop.stopped():
            outer.poll(-1 if wait is None else wait)
            wait = loop.run_once(0)
    finally:
        outer.close()


def wanted(loop):
    try:
        return {loop.fileno(): IOLoop.READ}
    except NotImplementedError:
        return loop.watched()


def has_fileno(poller):
    return poller in ("epoll", "kqueue")


class RestartCase(GrowthCase):
    """`port` is the same each time, since URLs are remembered."""

    def setUp(self):
        self.port = free_port()

    def use(self, loop, drive):
        """Serve a request of a client on the same loop; both then still have the connection."""
        server = HTTPServer(answer, io_loop=loop)
        server.add_sockets(bind_sockets(self.port, "127.0.0.1"))
        client = AsyncHTTPClient(io_loop=loop, force_instance=True)
        bodies = []

        def on_response(response):
            bodies.append(response.body)
            loop.stop()
        limit = loop.call_later(PATIENCE, loop.stop)
        client.fetch("http://127.0.0.1:%d/" % self.port, on_response)
        drive(loop)
        loop.remove_timeout(limit)
        self.assertEqual([b"ok"], bodies)


class DrivenTest(RestartCase, unittest.TestCase):
    def check(self, drive, pollers):
        def restart():
            loop = IOLoop(impl=poller, make_current=False)
            self.use(loop, drive)
            loop.close(all_fds=True)
        for poller in pollers:
            self.assert_no_growth(restart)

    def test_b292_a_hundred_loops_driven_by_select(self):
        self.check(drive_by_select, available_pollers())

    if hasattr(select, "poll"):
        def test_b292_a_hundred_loops_driven_by_poll(self):
            self.check(drive_by_poll, available_pollers())

    if hasattr(select, "epoll"):
        def test_b292_a_hundred_loops_driven_by_epoll(self):
            self.check(drive_by_epoll, filter(has_fileno, available_pollers()))


if hasattr(os, "fork"):
    class ForkedTest(ForkCase, RestartCase, unittest.TestCase):
        def setUp(self):
            super(ForkedTest, self).setUp()
            self.loop = IOLoop(make_current=False)
            self.addCleanup(self.loop.close, all_fds=True)
            self.server = HTTPServer(answer, io_loop=self.loop)
            sockets = bind_sockets(0, "127.0.0.1")
            self.url = "http://127.0.0.1:%d/" % sockets[0].getsockname()[1]
            self.server.add_sockets(sockets)

        def test_b292_a_hundred_workers_with_loops_of_their_own(self):
            """Neither the parent grows, nor what a worker inherits from it."""
            def work():
                self.loop.close(all_fds=True)
                with IOLoop() as loop:
                    self.use(loop, lambda loop: loop.start())
                    fds = sorted(open_fds())
                    loop.close(all_fds=True)
                return fds

            def restart():
                found.add(self.in_child(work))
                self.loop.run_once(0)
            found = set()
            self.assert_no_growth(restart)
            self.assertEqual(1, len(found), found)
            self.assertTrue(found.pop().startswith("["), "not fds, but a traceback")

        def test_b292_a_loop_continued_in_a_hundred_generations(self):
            """A daemon that restarts by forking, as often as that."""
            def continue_in_a_child():
                if os.fork():
                    os._exit(0)
                signal.alarm(PATIENCE)
                self.loop.after_fork()
                self.use_server()

            def generations():
                signal.alarm(PATIENCE)
                self.assert_no_growth(continue_in_a_child)
                return "no growth"
            # Each has the usual time. To fork takes longer where the test runner is large.
            self.assertEqual("no growth", self.in_child(generations, 6 * PATIENCE))

        def use_server(self):
            """A request to the server that was inherited."""
            client = AsyncHTTPClient(io_loop=self.loop, force_instance=True)
            bodies = []

            def on_response(response):
                bodies.append(response.body)
                self.loop.stop()
            client.fetch(self.url, on_response)
            self.loop.start()
            client.close()
            self.assertEqual([b"ok"], bodies)
