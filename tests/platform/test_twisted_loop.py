"""The IOLoop interface on Twisted's reactors; its contract is in contract/test_loops.py."""
from __future__ import absolute_import, division, print_function

import gc
import os
import signal
import socket
import threading
import unittest
import weakref

try:
    import twisted
except ImportError:
    twisted = None
else:
    from twisted.internet.error import ReactorAlreadyRunning
    from twisted.internet.threads import deferToThreadPool
    from twisted.python import log
    from friendserve.platform.twisted import TwistedIOLoop

from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.web import Application, RequestHandler, asynchronous
from tests import PATIENCE
from tests.bridgecase import Browser, DemosOnBridge, Programs
from tests.bridges import LOOPS
from tests.docscase import program_text
from tests.loopcase import Loops, open_fds
from tests.services import free_port
from tests.twistedcase import needs_twisted, run_program


@needs_twisted
class TwistedDemosTest(DemosOnBridge, unittest.TestCase):
    """B297: Chat, blog and WebSocket echo."""
    bridge = "friendserve.platform.twisted.TwistedIOLoop"


@needs_twisted
class PageTest(Programs, unittest.TestCase):
    """The programs of website/docs/how-to/twisted.rst."""

    def start(self, number):
        """Start a program of the page, and return (process, its port, the port for the echo)."""
        port, echo_port = free_port(), free_port()
        program = program_text("how-to/twisted.rst", number).replace(u"8888", str(port)).replace(
            u"8007", str(echo_port))
        return self.launch(port, "-c", program), port, echo_port

    def test_b296_a_protocol_of_twisted_beside_a_status_page(self):
        process, port, echo_port = self.start(0)
        sock = socket.create_connection(("127.0.0.1", echo_port), PATIENCE)
        self.addCleanup(sock.close)
        sock.sendall(b"hello")
        self.assertEqual(b"hello", sock.recv(5))
        self.assertEqual(u'{"echoed": 5}', Browser(port).get("/status"))
        self.assertEqual(0, self.interrupt(process))

    def test_b297_a_web_server_in_a_program_of_twisted(self):
        process, port, _ = self.start(1)
        self.assertEqual(u"done in a thread\n", Browser(port).get("/"))
        self.assertEqual(0, self.interrupt(process))


class BridgeCase(Loops, unittest.TestCase):
    reactor_name = "twisted_epoll"

    def setUp(self):
        self.loop_class = LOOPS[self.reactor_name]()
        self.loop = self.make_loop()
        self.reactor = self.loop.reactor

    def run_reactor(self):
        limit = self.reactor.callLater(PATIENCE, self.fail)
        self.reactor.run(installSignalHandlers=False)
        if limit.active():
            limit.cancel()


@needs_twisted
class GlobalReactorTest(unittest.TestCase):
    def test_b297_the_default_is_the_reactor_of_the_program(self):
        self.assertEqual(("", 0), run_program(
            "from twisted.internet import selectreactor\n"
            "selectreactor.install()\n"
            "from twisted.internet import reactor\n"
            "from friendserve.ioloop import IOLoop\n"
            "IOLoop.configure('friendserve.platform.twisted.TwistedIOLoop')\n"
            "loop = IOLoop.current()\n"
            "assert loop.reactor is reactor\n"
            "loop.add_callback(loop.stop)\n"
            "reactor.run()\n"))

    def test_b297_a_loop_after_the_other(self):
        # Such as that of the blocking HTTPClient.
        self.assertEqual(("", 0), run_program(
            "from friendserve.ioloop import IOLoop\n"
            "IOLoop.configure('friendserve.platform.twisted.TwistedIOLoop')\n"
            "for _ in range(3):\n"
            "    loop = IOLoop(make_current=False)\n"
            "    loop.call_later(0.001, loop.stop)\n"
            "    loop.start()\n"
            "    loop.close()\n"))


@needs_twisted
class LifeTest(BridgeCase):
    def test_b297_stop_stops_a_reactor_that_the_program_runs(self):
        events = []
        self.reactor.addSystemEventTrigger("before", "shutdown", events.append, "shutdown")
        self.loop.call_later(0.001, self.loop.stop)
        self.run_reactor()
        self.assertEqual(["shutdown"], events)

    def test_b297_stop_of_both_in_one_turn(self):
        errors = []
        log.addObserver(errors.append)
        self.addCleanup(log.removeObserver, errors.append)

        def stop():
            self.reactor.stop()
            self.loop.stop()
        self.loop.add_callback(stop)
        self.run_reactor()
        self.assertFalse(self.reactor.running)
        self.assertEqual([], [event for event in errors if event["isError"]])

    def test_b297_start_returns_when_the_reactor_is_stopped(self):
        self.loop.call_later(0.001, self.reactor.stop)
        self.loop.call_later(PATIENCE, self.fail)
        self.loop.start()
        self.assertFalse(self.loop.running())

    def test_b297_start_while_the_reactor_runs(self):
        caught = []

        def start():
            try:
                self.loop.start()
            except ReactorAlreadyRunning as error:
                caught.append(error)
            self.reactor.callLater(0, self.loop.add_callback, self.loop.stop)
        self.reactor.callWhenRunning(start)
        self.run_reactor()
        self.assertEqual(1, len(caught))

    def test_b297_started_a_hundred_times(self):
        sizes = []
        for _ in range(101):
            self.loop.add_callback(self.loop.stop)
            self.loop.start()
            sizes.append((open_fds(), threading.active_count(), len(self.reactor.getReaders()),
                          len(self.reactor.getDelayedCalls())))
        self.assertEqual(sizes[0], sizes[-1])

    def test_b297_a_hundred_loops_on_one_reactor(self):
        def use():
            loop = TwistedIOLoop(self.reactor, make_current=False)
            received = []
            loop.call_later(PATIENCE, lambda: received.append("too late") or loop.stop())
            loop.add_handler(a, lambda fd, events: received.append(a.recv(1)) or loop.stop(),
                             IOLoop.READ)
            # While the loop waits, which the reactor has to notice.
            self.reactor.callLater(0.005, b.send, b"x")
            loop.start()
            self.assertEqual([b"x"], received)
            loop.close()
            return weakref.ref(loop)
        a, b = self.socket_pair()
        gc.collect()
        use()
        before = open_fds(), len(self.reactor.getReaders()), self.reactor.getDelayedCalls()
        loops = [use() for _ in range(100)]
        self.assertEqual(before, (open_fds(), len(self.reactor.getReaders()),
                                  self.reactor.getDelayedCalls()))
        gc.collect()
        self.assertEqual([None] * 100, [reference() for reference in loops])

    def test_b297_a_loop_in_a_thread(self):
        ran = []

        def work():
            loop = self.loop_class()
            loop.call_later(0.001, ran.append, 1)
            loop.call_later(0.002, loop.stop)
            loop.start()
            loop.close()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(PATIENCE)
        self.assertEqual([1], ran)


@needs_twisted
class InterruptTest(BridgeCase):
    def test_b297_ctrl_c_while_the_reactor_waits(self):
        for reactor in ("twisted_epoll", "twisted_poll", "twisted_select"):
            loop = LOOPS[reactor]()(make_current=False)
            self.addCleanup(loop.close)
            limit = loop.call_later(PATIENCE, loop.stop)
            loop.reactor.callLater(0.01, os.kill, os.getpid(), signal.SIGINT)
            self.assertRaises(KeyboardInterrupt, loop.start)
            self.assertIs(signal.default_int_handler, signal.getsignal(signal.SIGINT))
            # It can be started again.
            loop.remove_timeout(limit)
            loop.call_later(0.001, loop.stop)
            loop.start()

    def test_b297_ctrl_c_ends_a_callback_that_does_not_return(self):
        def block():
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(PATIENCE)
            self.fail("not interrupted")
        self.loop.add_callback(block)
        self.assertRaises(KeyboardInterrupt, self.loop.start)

    def test_b297_a_handler_of_the_program_is_left_alone(self):
        seen = []
        old = signal.signal(signal.SIGINT, lambda number, frame: seen.append(
            self.loop.add_callback_from_signal(self.loop.stop)))
        self.addCleanup(signal.signal, signal.SIGINT, old)
        self.reactor.callLater(0.01, os.kill, os.getpid(), signal.SIGINT)
        self.loop.start()
        self.assertEqual([None], seen)

    def test_b297_an_exception_that_ends_turns_leaves_the_loop_on_the_reactor(self):
        errors, seen = [], []
        log.addObserver(errors.append)
        self.addCleanup(log.removeObserver, errors.append)

        def interrupt():
            raise KeyboardInterrupt
        a, b = self.socket_pair()
        self.loop.add_handler(a, lambda fd, events: a.recv(9) and interrupt(), IOLoop.READ)
        b.send(b"x")

        def go_on():
            self.loop.add_callback(seen.append, 1)
            self.loop.add_callback(self.loop.stop)
        self.reactor.callLater(0.02, go_on)
        self.run_reactor()
        self.assertEqual([1], seen)
        self.assertEqual([KeyboardInterrupt], [event["failure"].type for event in errors
                                               if event["isError"]])


@needs_twisted
class ServiceTest(BridgeCase):
    def test_b297_a_handler_waits_for_a_deferred_from_a_thread(self):
        class Handler(RequestHandler):
            @asynchronous
            def get(self):
                deferToThreadPool(reactor, reactor.getThreadPool(), u"from {}".format, u"a thread"
                                  ).addCallback(self.finish)
        reactor = self.reactor
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(Application([("/", Handler)]), io_loop=self.loop)
        server.add_sockets(sockets)
        client = AsyncHTTPClient(self.loop, force_instance=True)
        bodies = []

        def fetched(response):
            bodies.append(response.body)
            server.stop()
            client.close()
            self.loop.stop()
        client.fetch("http://127.0.0.1:%d/" % sockets[0].getsockname()[1], callback=fetched)
        self.run_reactor()
        self.assertEqual([b"from a thread"], bodies)

    def test_b297_a_poller_without_fd(self):
        before = open_fds()
        for poller in ("poll", "select"):
            with self.assertRaises(NotImplementedError):
                TwistedIOLoop(self.reactor, impl=poller, make_current=False)
        gc.collect()
        self.assertEqual(before, open_fds())
