"""The IOLoop interface on asyncio loops; what it shares with every loop is in
tests/contract/test_loops.py."""
from __future__ import absolute_import, division, print_function

import functools
import gc
import importlib
import signal
import sys
import threading
import unittest
import weakref

import six

from friendserve.httpclient import AsyncHTTPClient, HTTPClient, HTTPConnectError
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.platform.pollers.auto import make_poller
from friendserve.stack_context import ExceptionStackContext, NullContext, wrap
from tests import PATIENCE
from tests.bridges import available_bridges
from tests.httpcase import answer
from tests.loopcase import (
    CountingPoller, LogCatcher, Loops, free_unreferenced, open_fds, stack_depth)
from tests.services import free_port

MODULE = "friendserve.platform.asyncio"

try:
    bridge = importlib.import_module(MODULE)
except ImportError:
    asyncio = bridge = None     # Python 2.7
else:
    asyncio = importlib.import_module("asyncio")

try:
    contextvars = importlib.import_module("contextvars")
except ImportError:
    contextvars = None

#: Coroutines; Python 2.7, which imports this file, cannot read them.
COROUTINES = """
async def wait_for(event):
    await event.wait()

async def call(function):
    return function()

async def serve_and_fetch(main_loop, make_server, make_client):
    loop = main_loop()
    server, port = make_server(loop)
    client = make_client(io_loop=loop, force_instance=True)
    answer = asyncio.get_event_loop().create_future()
    client.fetch("http://127.0.0.1:%d/" % port, answer.set_result)
    response = await answer
    server.stop()
    client.close()
    loop.close(all_fds=True)
    return response

async def set_and(variable, value, function):
    variable.set(value)
    await asyncio.sleep(0)
    return function()
"""


class OldPythonTest(unittest.TestCase):
    if six.PY2:
        def test_b293_python_2_is_told_what_is_missing(self):
            with self.assertRaises(ImportError) as caught:
                importlib.import_module(MODULE)
            self.assertIn("needs Python 3.6 or newer", str(caught.exception))


class BridgeCase(Loops):
    """On one asyncio loop, made by the class of a bridge."""

    def setUp(self):
        self.poller = CountingPoller(make_poller())
        self.loop = self.make_loop(self.poller)
        self.host = self.loop.asyncio_loop
        # No test hangs: what it waits for is then missing.
        self.host.call_later(PATIENCE, self.host.stop)
        self.coroutines = {"asyncio": asyncio}
        six.exec_(COROUTINES, self.coroutines)
        self.seen = []

    def make_server(self, loop, callback=functools.partial(answer, body=b"hello")):
        """A server, and its port."""
        server = HTTPServer(callback, io_loop=loop)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        return server, sockets[0].getsockname()[1]

    def serve(self, *args):
        server, port = self.make_server(*args)
        self.addCleanup(server.close_all_connections)
        self.addCleanup(server.stop)
        return port

    # Whoever runs the host

    def test_b293_program_that_runs_asyncio_itself(self):
        """It never calls `start`, and the loop ends before the program does."""
        response = self.host.run_until_complete(self.coroutines["serve_and_fetch"](
            bridge.AsyncIOMainLoop, self.make_server, AsyncHTTPClient))
        self.assertEqual((200, b"hello"), (response.code, response.body))
        self.assertIsNone(IOLoop.current(instance=False))

    def test_b293_loop_is_current_in_its_callbacks_whoever_runs_the_host(self):
        self.loop.add_callback(lambda: self.seen.append(IOLoop.current(instance=False)))
        self.loop.call_later(0.001, lambda: self.seen.append(IOLoop.current(instance=False)))
        self.loop.call_later(0.002, self.host.stop)
        self.host.run_forever()
        self.assertEqual([self.loop] * 2, self.seen)
        self.assertIsNone(IOLoop.current(instance=False))

    def test_b293_stop_stops_a_host_that_the_program_runs(self):
        for _ in range(3):
            self.loop.add_callback(self.loop.stop)
            self.loop.add_callback(self.seen.append, 1)
            self.host.run_forever()
        # It did not stop the next `start` as well.
        self.loop.add_callback(self.seen.append, 1)
        self.loop.add_callback(self.loop.stop)
        self.loop.start()
        self.assertEqual([1] * 4, self.seen)

    def test_b293_a_loop_that_cannot_be_made_closes_the_host_that_it_made(self):
        before = open_fds()
        with self.assertRaises(ValueError):
            bridge.AsyncIOLoop("nonsense", make_current=False)
        self.assertEqual(before, open_fds())
        # One that was passed belongs to the caller.
        with self.assertRaises(ValueError):
            bridge.AsyncIOLoop("nonsense", asyncio_loop=self.host, make_current=False)
        self.assertFalse(self.host.is_closed())

    def test_b293_host_after_a_start(self):
        self.loop.add_callback(self.loop.stop)
        self.loop.add_callback(self.loop.add_callback, self.seen.append, "left over")
        self.loop.start()
        self.assertEqual([], self.seen)
        self.host.call_later(0.01, self.loop.add_callback, self.host.stop)
        self.host.run_forever()
        self.assertEqual(["left over"], self.seen)

    def test_b293_start_while_the_host_runs_raises_and_changes_nothing(self):
        def start():
            self.assertRaises(RuntimeError, self.loop.start)
            self.assertRaises(RuntimeError, self.loop.run_once)
            self.assertFalse(self.loop.running())
            self.loop.add_callback(self.seen.append, "still served")
            self.loop.call_later(0.001, self.loop.stop)
        self.host.call_soon(start)
        self.host.call_later(PATIENCE, self.host.stop)
        self.host.run_forever()
        self.assertEqual(["still served"], self.seen)

    def test_b293_host_that_stops_ends_start(self):
        self.host.call_soon(self.host.stop)
        self.loop.start()
        self.assertFalse(self.loop.running())
        self.loop.add_callback(self.loop.stop)
        self.loop.start()

    def test_b293_two_loops_on_one_host(self):
        other = bridge.BaseAsyncIOLoop(self.host, make_current=False)
        self.addCleanup(other.close)
        for loop in (self.loop, other) * 2:
            loop.add_callback(lambda loop=loop: self.seen.append(IOLoop.current() is loop))
        other.call_later(0.01, self.loop.add_callback, self.loop.stop)
        self.loop.start()
        self.assertEqual([True] * 4, self.seen)

    # Turns

    def test_b293_idle_loop_does_not_wake_its_host(self):
        a, _ = self.socket_pair()
        self.loop.add_handler(a, lambda fd, events: None, IOLoop.READ)
        for _ in range(100):
            self.loop.remove_timeout(self.loop.call_later(0.01, self.fail))
        self.loop.add_callback(lambda: self.seen.append(len(self.poller.polls)))
        self.loop.call_later(0.1, self.loop.stop)
        self.loop.start()
        self.assertLess(len(self.poller.polls) - self.seen[0], 5)

    def test_b293_endless_callbacks_leave_the_host_its_turns(self):
        def again():
            self.loop.add_callback(again)
        again()
        self.loop.call_later(PATIENCE, self.loop.stop)
        self.host.call_later(0.001, self.seen.append, "timer")
        self.host.call_later(0.002, self.loop.stop)
        self.loop.start()
        self.assertEqual(["timer"], self.seen)

    def test_b293_infinite_and_distant_deadlines(self):
        for seconds in (float("inf"), 1e300, 86400 * 400):
            self.loop.call_later(seconds, self.fail)
        self.loop.call_later(0.001, self.loop.stop)
        self.loop.start()
        self.loop.run_once(0)

    def test_b293_timers_never_fire_early(self):
        def note(when):
            self.seen.append(self.loop.time() - when)
        start = self.loop.time()
        for step in range(50):
            when = start + step * 0.00037
            self.loop.call_at(when, note, when)
        self.run_until(lambda: len(self.seen) == 50)
        self.assertGreaterEqual(min(self.seen), 0)

    # Exceptions

    def test_b293_exceptions_leave_start_whatever_the_host_does_with_them(self):
        class Mine(Exception):
            pass

        class Own(BaseException):
            pass

        def fail(error):
            raise error
        self.loop.handle_callback_exception = lambda callback: fail(sys.exc_info()[1])
        for error in (KeyboardInterrupt, SystemExit, GeneratorExit, Own, Mine):
            self.loop.add_callback(self.seen.append, 1)
            self.loop.add_callback(fail, error())
            self.loop.add_callback(self.seen.append, 2)
            self.assertRaises(error, self.loop.start)
            self.assertEqual([1], self.seen)
            self.assertFalse(self.loop.running())
            self.loop.add_callback(self.loop.stop)
            self.loop.start()
            self.assertEqual([1, 2], self.seen)
            del self.seen[:]

    def test_b293_exception_that_left_start_is_not_kept(self):
        class Mine(BaseException):
            pass

        def fail():
            error = Mine()
            self.seen.append(weakref.ref(error))
            raise error
        self.loop.add_callback(fail)
        self.assertRaises(Mine, self.loop.start)
        gc.collect()
        self.assertIsNone(self.seen[0]())

    def test_b293_exception_in_a_host_that_the_program_runs(self):
        def fail():
            raise KeyboardInterrupt()
        self.loop.add_callback(fail)
        self.loop.add_callback(self.loop.stop)
        self.assertRaises(KeyboardInterrupt, self.host.run_forever)
        # The callbacks that are left are called when it runs again.
        self.host.run_forever()

    def test_b293_interrupt_while_the_host_waits(self):
        self.addCleanup(signal.signal, signal.SIGALRM, signal.getsignal(signal.SIGALRM))
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        self.loop.call_later(PATIENCE, self.loop.stop)
        self.assertRaises(KeyboardInterrupt, self.loop.start)
        self.assertFalse(self.loop.running())
        self.loop.add_callback(self.loop.stop)
        self.loop.start()

    def test_b293_signal_handler_of_the_host(self):
        self.host.add_signal_handler(signal.SIGALRM, self.seen.append, "signal")
        self.addCleanup(self.host.remove_signal_handler, signal.SIGALRM)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        self.run_until(lambda: self.seen)

    # Opening and closing

    def test_b293_a_hundred_restarts(self):
        loops = []

        def restart():
            loop = self.new_loop(make_current=False)
            loops.extend([weakref.ref(loop), weakref.ref(loop.asyncio_loop)])
            server, port = self.make_server(loop)
            client = AsyncHTTPClient(io_loop=loop, force_instance=True)
            loop.add_callback(client.fetch, "http://127.0.0.1:%d/" % port,
                              lambda response: (self.seen.append(response.code), loop.stop()))
            loop.call_later(PATIENCE, loop.stop)
            loop.start()
            server.stop()
            client.close()
            loop.close(all_fds=True)
        restart()
        gc.collect()
        free_unreferenced()
        before = open_fds(), threading.active_count()
        for _ in range(100):
            restart()
        gc.collect()
        free_unreferenced()
        self.assertEqual(before, (open_fds(), threading.active_count()))
        self.assertEqual([200] * 101, self.seen)
        self.assertEqual([], [loop for loop in loops if loop() is not None])

    def test_b293_close_ends_the_asyncio_loop_if_it_was_made_for_it(self):
        self.loop.close()
        self.assertTrue(self.host.is_closed())
        self.loop.close()
        host = asyncio.new_event_loop()
        self.addCleanup(host.close)
        loop = bridge.BaseAsyncIOLoop(host, make_current=False)
        loop.call_later(0, self.fail)
        loop.add_callback(self.fail)
        loop.close()
        self.assertFalse(host.is_closed())
        host.run_until_complete(self.coroutines["call"](int))

    def test_b293_host_that_was_closed_first(self):
        self.loop.add_callback(self.fail)
        self.host.close()
        self.loop.close()

    def test_b293_poller_without_a_fd(self):
        before = open_fds()
        for impl in ("select", "poll"):
            with self.assertRaises(NotImplementedError) as caught:
                self.new_loop(impl)
            self.assertIn("epoll or kqueue", str(caught.exception))
        gc.collect()
        self.assertEqual(before, open_fds())
        self.assertIsNone(IOLoop.current(instance=False))

    def test_b293_no_second_host(self):
        with self.assertRaises(NotImplementedError) as caught:
            self.loop.fileno()
        self.assertIn("driven", str(caught.exception))

    def test_b293_blocking_client_in_a_callback(self):
        self.addCleanup(IOLoop.configure, None)
        IOLoop.configure(type(self.loop))

        def fetch():
            with HTTPClient() as client:
                try:
                    client.fetch("http://127.0.0.1:%d/" % free_port())
                except Exception as error:
                    self.seen.append(type(error))
        self.loop.add_callback(fetch)
        self.run_until(lambda: self.seen)
        self.assertEqual([HTTPConnectError], self.seen)
        self.assertIsNone(IOLoop.current(instance=False))

    # Context variables

    if contextvars is not None:
        def test_b293_context_variables_go_along(self):
            variable = contextvars.ContextVar("variable", default="none")
            loop = self.loop
            a, b = self.socket_pair()
            b.send(b"x")

            def note(way):
                self.seen.append((way, variable.get()))
                # Seen by what this callback adds, and by nothing else.
                variable.set("wrong")

            def handler(fd, events):
                loop.remove_handler(a)
                note("handler")

            def add_all():
                for way, add in (
                        ("callback", loop.add_callback), ("spawned", loop.spawn_callback),
                        ("timer", functools.partial(loop.call_later, 0.001))):
                    variable.set("of the " + way)
                    add(note, way)
                variable.set("of the handler")
                loop.add_handler(a, handler, IOLoop.READ)
                variable.set("of the executor")
                loop.run_in_executor(None, int, callback=lambda result: note("executor"))
                variable.set("wrong")
                with NullContext():
                    variable.set("of the null context")
                    loop.add_callback(note, "null context")
            expected = ["callback", "spawned", "timer", "handler", "executor", "null context"]
            for start in (loop.add_callback, lambda add: self.host.call_soon(add)):
                start(add_all)
                self.run_until(lambda: len(self.seen) == len(expected))
                self.assertEqual(set((way, "of the " + way) for way in expected), set(self.seen))
                del self.seen[:]
            loop.add_callback(note, "nothing")
            self.run_until(lambda: self.seen)
            self.assertEqual([("nothing", "none")], self.seen)

        def test_b293_context_variables_of_a_fetch_are_not_those_of_its_connection(self):
            variable = contextvars.ContextVar("variable")
            seen = self.seen

            def handle(request):
                # The server's connection is kept too.
                seen.append(("server", variable.get("none")))
                variable.set("of a request")
                request.connection.respond(200, "OK", {}, b"x")
            port = self.serve(self.loop, handle)
            client = AsyncHTTPClient(io_loop=self.loop, force_instance=True)
            self.addCleanup(client.close)

            def fetch(value, then):
                def on_response(response):
                    seen.append((value, variable.get("none")))
                    then()
                variable.set(value)
                client.fetch("http://127.0.0.1:%d/" % port, on_response)
            fetch = functools.partial(self.loop.add_callback, fetch)
            fetch("first", lambda: fetch("second", self.loop.stop))
            self.loop.start()
            # In a coroutine.
            self.host.run_until_complete(self.coroutines["set_and"](
                variable, "third", lambda: fetch("third", self.loop.stop)))
            self.loop.start()
            self.assertEqual([("server", "none"), ("first", "first"), ("server", "none"),
                              ("second", "second"), ("server", "none"), ("third", "third")], seen)

        def test_b293_callback_that_calls_itself(self):
            """A context of context variables cannot be entered twice."""
            def start():
                self.callback = wrap(count)

            def count():
                self.seen.append(1)
                if len(self.seen) < 3:
                    self.callback()
            self.loop.add_callback(start)
            self.loop.add_callback(lambda: self.callback())
            with LogCatcher() as records:
                self.run_until(lambda: len(self.seen) == 3 or records)
            self.assertEqual(([], [1] * 3), (records, self.seen))

        def test_b293_stack_contexts_beside_context_variables(self):
            variable = contextvars.ContextVar("variable")

            def handler(kind, value, traceback):
                self.seen.append((str(value), variable.get()))
                return True

            def fail():
                variable.set("set by the callback")
                raise ValueError("on purpose")

            def start():
                variable.set("set before")
                with ExceptionStackContext(handler):
                    self.loop.add_callback(fail)
                    self.loop.call_later(0.001, fail)
                self.loop.add_callback(self.seen.append, stack_depth())
            self.loop.add_callback(start)
            self.run_until(lambda: len(self.seen) == 3)
            self.assertEqual([("on purpose", "set by the callback"), 0,
                              ("on purpose", "set by the callback")], self.seen)


class AnyThreadTest(unittest.TestCase):
    if bridge is not None:
        def test_b293_policy_makes_a_loop_in_any_thread(self):
            self.addCleanup(asyncio.set_event_loop_policy, asyncio.get_event_loop_policy())
            seen = []

            def work():
                try:
                    seen.append(asyncio.get_event_loop())
                    seen.append(asyncio.get_event_loop())
                except RuntimeError as error:
                    seen.append(error)
            for policy in (asyncio.DefaultEventLoopPolicy, bridge.AnyThreadEventLoopPolicy):
                asyncio.set_event_loop_policy(policy())
                thread = threading.Thread(target=work)
                thread.start()
                thread.join(PATIENCE)
            self.assertIsInstance(seen[0], RuntimeError)
            self.addCleanup(seen[1].close)
            self.assertIs(seen[1], seen[2])


class ConfiguredTest(unittest.TestCase):
    if six.PY3:
        def test_b293_configured_by_name(self):
            self.addCleanup(IOLoop.configure, None)
            try:
                IOLoop.configure(MODULE + ".AsyncIOLoop")
            except ImportError as error:
                self.fail(error)
            loop = IOLoop(make_current=False)
            self.addCleanup(loop.close)
            self.assertIs(bridge.AsyncIOLoop, type(loop))


for _name in ("asyncio", "uvloop"):
    if _name in available_bridges():
        _full_name = str("%sBridgeTest" % _name.title())
        globals()[_full_name] = type(_full_name, (BridgeCase, unittest.TestCase),
                                     {"loop_class": available_bridges()[_name]})
