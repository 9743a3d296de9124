"""asyncio code on an IOLoop: an asyncio loop that the IOLoop drives."""
from __future__ import absolute_import, division, print_function

import functools
import gc
import importlib
import os
import signal
import threading
import unittest
import weakref

import six

from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.platform.pollers.auto import available_pollers, make_poller
from friendserve.stack_context import StackContext
from tests import PATIENCE
from tests.httpcase import answer
from tests.loopcase import (
    CountingPoller, LogCatcher, Loops, free_unreferenced, keeping, open_fds, stack_depth)

try:
    asyncio = importlib.import_module("asyncio")
    bridge = importlib.import_module("friendserve.platform.asyncio")
except ImportError:     # Python 2.7
    asyncio = bridge = None

try:
    aiohttp = importlib.import_module("aiohttp")
except ImportError:
    aiohttp = None

#: Python 2.7, which imports this file, cannot read coroutines.
COROUTINES = """
async def sleep_and_return(seconds, value):
    await asyncio.sleep(seconds)
    return value

async def fail():
    await asyncio.sleep(0)
    raise ZeroDivisionError("on purpose")

async def hop(count):
    for _ in range(count):
        await asyncio.sleep(0)
    return IOLoop.current()

async def in_thread(function):
    return await asyncio.get_event_loop().run_in_executor(None, function)

async def numbers(closed):
    try:
        for number in range(10):
            yield number
            await asyncio.sleep(0)
    finally:
        closed.append(1)

async def first_number(closed):
    async for number in numbers(closed):
        return number

async def echo_client(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /" + data + b" HTTP/1.0\\r\\n\\r\\n")
    received = await reader.read()
    writer.close()
    await hop(3)        # so that it is closed
    return received

async def fetch_pages(port, count, together):
    async with aiohttp.ClientSession() as session:
        async def fetch(number):
            async with session.get("http://127.0.0.1:%d/%d" % (port, number)) as response:
                return await response.text()
        pages = []
        for start in range(0, count, together):
            pages += await asyncio.gather(*[fetch(start + n) for n in range(together)])
    await hop(3)
    return pages

async def wait_for(event):
    await event.wait()
"""


class OnIOLoop(Loops):
    """On the IOLoop over one poller."""
    impl = None

    def setUp(self):
        self.poller = CountingPoller(make_poller(self.impl))
        self.io_loop = self.loop = self.make_loop(self.poller)
        with StackContext(functools.partial(keeping, [])):
            self.asyncio_loop = bridge.IOLoopEventLoop(self.io_loop)
        self.addCleanup(self.asyncio_loop.close)
        self.coroutines = {"asyncio": asyncio, "aiohttp": aiohttp, "IOLoop": IOLoop}
        six.exec_(COROUTINES, self.coroutines)
        self.seen = []

    def serve(self):
        server = HTTPServer(lambda request: answer(request, request.path.encode("ascii")),
                            io_loop=self.io_loop)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        self.addCleanup(server.close_all_connections)
        self.addCleanup(server.stop)
        return sockets[0].getsockname()[1]

    def run_coroutine(self, name, *args):
        return self.asyncio_loop.run_until_complete(self.coroutines[name](*args))

    def test_b294_coroutines_run_on_the_ioloop(self):
        # With IOLoop.start, in the program's hands.
        task = self.asyncio_loop.create_task(self.coroutines["hop"](3))
        task.add_done_callback(lambda task: self.io_loop.stop())
        self.io_loop.start()
        self.assertIs(self.io_loop, task.result())
        # With asyncio's own methods.
        self.assertEqual("x", self.run_coroutine("sleep_and_return", 0.001, "x"))
        self.assertRaises(ZeroDivisionError, self.run_coroutine, "fail")

    def test_b294_client_and_server_in_one_thread(self):
        port = self.serve()
        self.assertIn(b"/hello", self.run_coroutine("echo_client", port, b"hello"))

    if aiohttp is not None:
        def test_b294_aiohttp_fetches_a_hundred_pages(self):
            for together in (1, 20):
                pages = self.run_coroutine("fetch_pages", self.serve(), 100, together)
                self.assertEqual(["/%d" % number for number in range(100)], pages)

    def test_b294_callbacks_in_order_and_beside_those_of_the_ioloop(self):
        def again(count):
            if count:
                self.asyncio_loop.call_soon(again, count - 1)
            else:
                self.seen.append("asyncio")
        for number in range(5):
            self.asyncio_loop.call_soon(self.seen.append, number)
        self.asyncio_loop.call_soon(again, 50)
        self.io_loop.call_later(0, self.seen.append, "timer")
        self.run_until(lambda: len(self.seen) == 7)
        self.assertEqual(list(range(5)) + ["timer", "asyncio"], self.seen)

    def test_b294_timers(self):
        loop = self.asyncio_loop
        start = loop.time()
        # Not call_later: garbage may be collected between two of its calls, and take longer.
        for delay in (0.03, 0.01, 0.02):
            loop.call_at(start + delay, lambda delay=delay: self.seen.append(
                (delay, loop.time() >= start + delay)))
        loop.call_later(0.005, self.fail).cancel()
        loop.call_later(0.015, lambda: loop.call_at(start + 0.016, self.seen.append, "added"))
        self.run_until(lambda: len(self.seen) == 4)
        # Under load, the next ones are due as well when it is added.
        self.assertGreater(self.seen.index("added"), 0)
        self.seen.remove("added")
        self.assertEqual([(0.01, True), (0.02, True), (0.03, True)], self.seen)

    def test_b294_cancelled_timers_leave_nothing_in_the_ioloop(self):
        for _ in range(1000):
            self.asyncio_loop.call_later(1000, self.fail).cancel()
        self.run_coroutine("hop", 3)
        self.assertLessEqual(len(self.io_loop._timers), 1)

    def test_b294_idle_loop_does_not_wake_the_ioloop(self):
        self.run_coroutine("hop", 3)
        self.assert_quiet()
        task = self.asyncio_loop.create_task(self.coroutines["wait_for"](asyncio.Event()))
        self.assert_quiet()
        task.cancel()
        self.run_until(task.done)

    def test_b294_calls_from_threads(self):
        def work():
            futures = [asyncio.run_coroutine_threadsafe(
                self.coroutines["sleep_and_return"](0.001, number), self.asyncio_loop)
                for number in range(20)]
            self.seen.extend(future.result(PATIENCE) for future in futures)
            self.asyncio_loop.call_soon_threadsafe(self.io_loop.stop)
        thread = threading.Thread(target=work)
        self.io_loop.add_callback(thread.start)
        self.io_loop.call_later(PATIENCE, self.io_loop.stop)
        self.io_loop.start()
        thread.join(PATIENCE)
        self.assertEqual(list(range(20)), self.seen)
        main = threading.current_thread()
        self.assertIsNot(main, self.run_coroutine("in_thread", threading.current_thread))

    def test_b294_signals(self):
        self.asyncio_loop.add_signal_handler(signal.SIGUSR1, self.seen.append, "signal")
        self.addCleanup(self.asyncio_loop.remove_signal_handler, signal.SIGUSR1)
        self.io_loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
        self.run_until(lambda: self.seen)
        self.assertEqual(["signal"], self.seen)

    def test_b294_asynchronous_generators_are_closed(self):
        closed = []
        self.assertEqual(0, self.run_coroutine("first_number", closed))
        gc.collect()
        self.asyncio_loop.run_until_complete(self.asyncio_loop.shutdown_asyncgens())
        self.assertEqual([1], closed)

    def test_b294_exceptions_of_callbacks(self):
        self.asyncio_loop.set_exception_handler(
            lambda loop, context: self.seen.append(type(context["exception"])))
        self.asyncio_loop.call_soon(lambda: {}["missing"])
        self.run_until(lambda: self.seen)
        self.assertEqual([KeyError], self.seen)

        def interrupt():
            raise KeyboardInterrupt()
        self.asyncio_loop.call_soon(interrupt)
        self.asyncio_loop.call_soon(self.seen.append, "next")
        self.assertRaises(KeyboardInterrupt, self.io_loop.start)
        self.assertFalse(self.asyncio_loop.is_running())
        self.run_until(lambda: len(self.seen) == 2)

    def test_b294_debug_mode(self):
        self.asyncio_loop.set_debug(True)
        self.assertEqual("x", self.run_coroutine("sleep_and_return", 0.001, "x"))
        self.asyncio_loop.slow_callback_duration = 0
        with LogCatcher("asyncio") as records:
            self.run_coroutine("hop", 1)
        self.assertIn("Executing", records[0].message)

    def test_b294_stack_contexts_do_not_leak_into_asyncio(self):
        with StackContext(functools.partial(keeping, [])):
            self.asyncio_loop.call_soon(lambda: self.seen.append(stack_depth()))
            self.asyncio_loop.call_later(0.001, lambda: self.seen.append(stack_depth()))
        a, b = self.socket_pair()
        self.asyncio_loop.add_reader(a, lambda: self.seen.append((stack_depth(), a.recv(1))))
        self.run_until(lambda: len(self.seen) == 2)
        b.send(b"x")
        self.run_until(lambda: len(self.seen) == 3)
        self.asyncio_loop.remove_reader(a)
        self.assertEqual(set([0, (0, b"x")]), set(self.seen))

    def test_b294_running_and_closing(self):
        loop = self.asyncio_loop
        self.assertFalse(loop.is_running())
        loop.call_soon(lambda: self.seen.append(
            (loop.is_running(), asyncio.get_event_loop() is loop)))
        loop.call_soon(lambda: self.assertRaises(RuntimeError, loop.run_forever))
        loop.call_soon(lambda: self.assertRaises(RuntimeError, loop.close))
        loop.call_soon(loop.stop)
        loop.run_forever()
        self.assertEqual([(True, True)], self.seen)
        loop.call_later(0, self.fail)
        loop.call_soon(self.fail)
        loop.close()
        loop.close()
        self.assertRaises(RuntimeError, loop.run_forever)
        self.assertEqual(0, len(self.io_loop._timers))
        self.run_once_more()

    def run_once_more(self):
        for _ in range(3):
            self.io_loop.run_once(0.001)
        self.assertEqual(1, len(self.io_loop._handlers))

    def test_b294_ioloop_that_is_on_asyncio_itself(self):
        hosted = bridge.AsyncIOLoop(make_current=False)
        self.addCleanup(hosted.close)
        before = open_fds()
        with self.assertRaises(TypeError) as caught:
            bridge.IOLoopEventLoop(hosted)
        self.assertIn("asyncio_loop", str(caught.exception))
        del caught
        self.assertEqual(before, open_fds())

    def test_b294_a_hundred_restarts(self):
        loops = []

        def restart():
            io_loop = self.new_loop(self.impl, make_current=False)
            loop = bridge.IOLoopEventLoop(io_loop)
            loops.extend([weakref.ref(loop), weakref.ref(io_loop)])
            self.seen.append(loop.run_until_complete(
                self.coroutines["sleep_and_return"](0.0001, 1)))
            loop.call_later(1000, self.fail)
            loop.close()
            io_loop.close()
        restart()
        gc.collect()
        free_unreferenced()
        before = open_fds(), threading.active_count()
        for _ in range(100):
            restart()
        gc.collect()
        free_unreferenced()
        self.assertEqual(before, (open_fds(), threading.active_count()))
        self.assertEqual([], [loop for loop in loops if loop() is not None])
        self.assertEqual(101, len(self.seen))


class ImportTest(unittest.TestCase):
    if six.PY3:
        def test_b294_every_python_3_has_it(self):
            self.assertTrue(hasattr(bridge, "IOLoopEventLoop"))


if bridge is not None:
    for _name in available_pollers():
        _full_name = str("%sOnIOLoopTest" % _name.title())
        globals()[_full_name] = type(_full_name, (OnIOLoop, unittest.TestCase), {"impl": _name})
