"""Coroutines of friendserve and asyncio that wait for each other."""
from __future__ import absolute_import, division, print_function

import functools
import importlib
import logging
import unittest

import six

from friendserve import gen
from friendserve.concurrent import Future
from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.locks import Lock
from friendserve.netutil import bind_sockets
from friendserve.stack_context import ExceptionStackContext
from friendserve.util import TimeoutError
from friendserve.web import Application, RequestHandler
from tests import PATIENCE
from tests.bridges import available_bridges
from tests.loopcase import LogCatcher, Loops, stack_depth

try:
    asyncio = importlib.import_module("asyncio")
    bridge = importlib.import_module("friendserve.platform.asyncio")
except ImportError:     # Python 2.7
    asyncio = bridge = None

try:
    contextvars = importlib.import_module("contextvars")
except ImportError:
    contextvars = None

try:
    aiohttp = importlib.import_module("aiohttp")
except ImportError:
    aiohttp = None

#: Python 2.7, which imports this file, cannot read coroutines.
COROUTINES = """
current_task = getattr(asyncio, "current_task", None) or asyncio.Task.current_task

async def get(self):
    await asyncio.sleep(0.001)
    assert current_task() is not None
    self.write(b"slept ")
    try:
        await asyncio.wait_for(Future(), 0.001)
    except asyncio.TimeoutError:
        self.write(b"waited ")
    self.write(await soon(b"done"))
    await self.flush()

async def timeout(self):
    async with asyncio.timeout(0.001):
        await Future()

async def fail(self):
    await asyncio.sleep(0)
    raise KeyError("on purpose")

async def fetch_by_aiohttp(self):
    async with aiohttp.ClientSession() as session:
        async with session.get(self.get_argument("url")) as response:
            self.write(await response.read())

async def value_of(awaitable):
    return await awaitable

async def together(soon):
    lock = Lock()
    async with lock:
        return await asyncio.gather(soon(1), value_of(soon(2)), asyncio.sleep(0, 3))

async def first_error(future):
    try:
        await future
    except KeyError as error:
        return error.args

async def set_and_wait(variable, soon):
    variable.set("mine")
    await soon(1)
    return variable.get()

async def in_context(see, function):
    see()
    await asyncio.sleep(0)
    see()
    try:
        await asyncio.wait_for(Future(), 0.001)
    except asyncio.TimeoutError:
        see()
    function()
    await asyncio.sleep(0)
    raise KeyError("on purpose")
"""


class CoroutineCase(Loops):
    def setUp(self):
        self.loop = self.make_loop(make_current=True)
        self.addCleanup(IOLoop.clear_current)
        self.names = {"asyncio": asyncio, "aiohttp": aiohttp, "Future": Future, "Lock": Lock,
                      "soon": self.soon}
        six.exec_(COROUTINES, self.names)
        if not hasattr(asyncio, "timeout"):
            del self.names["timeout"]
        self.seen = []

    def soon(self, value):
        future = Future()
        self.loop.call_later(0.001, future.set_result, value)
        return future

    def failing(self):
        future = Future()
        self.loop.call_later(0.001, future.set_exception, KeyError("k"))
        return future

    def run_sync(self, name, *args):
        return self.loop.run_sync(functools.partial(self.names[name], *args), PATIENCE)

    # What is the same for a host that is asyncio, and a guest

    def check_futures_of_asyncio(self, asyncio_loop):
        def later(set_outcome, outcome):
            asyncio_loop.call_later(0.001, set_outcome, outcome)

        @gen.coroutine
        def main():
            theirs = asyncio_loop.create_future()
            later(theirs.set_result, 5)
            first = yield theirs
            theirs = asyncio_loop.create_future()
            later(theirs.set_exception, KeyError("k"))
            try:
                yield bridge.to_tornado_future(theirs)
            except KeyError as error:
                raise gen.Return((first, error.args))

        self.assertEqual((5, ("k",)), self.loop.run_sync(main, PATIENCE))


class HostedCase(CoroutineCase):
    """On an IOLoop that asyncio drives."""

    def ask(self, function, query=""):
        """The response of a handler with this method."""
        handler = type("Handler", (RequestHandler,), {"get": function})
        server = HTTPServer(Application([("/", handler)]), io_loop=self.loop)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        self.addCleanup(server.close_all_connections)
        self.addCleanup(server.stop)
        self.url = "http://127.0.0.1:%d/" % sockets[0].getsockname()[1]
        client = AsyncHTTPClient(io_loop=self.loop)
        self.addCleanup(client.close)
        return self.loop.run_sync(
            lambda: client.fetch(self.url + query, raise_error=False), PATIENCE)

    def test_handlers_await_asyncio(self):
        self.assertEqual(b"slept waited done", self.ask(self.names["get"]).body)
        # Decorated, too.
        self.assertEqual(b"slept waited done", self.ask(gen.coroutine(self.names["get"])).body)

    def test_handlers_await_with_a_timeout_of_asyncio(self):
        if "timeout" in self.names:     # Python 3.11
            with LogCatcher():
                self.assertEqual(500, self.ask(self.names["timeout"]).code)

    def test_errors_of_handlers(self):
        with LogCatcher(level=logging.ERROR) as records:
            self.assertEqual(500, self.ask(self.names["fail"]).code)
        self.assertEqual([("on purpose",)], [record.exc_info[1].args for record in records
                                             if record.exc_info])

    if aiohttp is not None:
        def test_handlers_await_the_client_of_aiohttp(self):
            self.ask(lambda handler: handler.write(b"page"))
            response = self.ask(self.names["fetch_by_aiohttp"], "?url=" + self.url)
            self.assertEqual((200, b"page"), (response.code, response.body))

    def test_a_cancelled_task_is_an_error(self):
        @gen.coroutine
        def main():
            task = self.loop.asyncio_loop.create_task(self.names["value_of"](Future()))
            self.loop.call_later(0.001, task.cancel)
            yield task

        with self.assertRaises(Exception) as caught:
            self.loop.run_sync(main, PATIENCE)
        self.assertEqual("CancelledError", type(caught.exception).__name__)

    def test_tasks_await_futures(self):
        self.assertEqual([1, 2, 3], self.run_sync("together", self.soon))
        self.assertEqual(("k",), self.run_sync("first_error", self.failing()))
        self.assertEqual(4, self.run_sync("value_of", self.names["value_of"](gen.maybe_future(4))))

    def test_of_a_program_that_runs_asyncio_itself(self):
        asyncio_loop = self.loop.asyncio_loop
        self.assertEqual([1, 2, 3], asyncio_loop.run_until_complete(
            self.names["together"](self.soon)))

        @gen.coroutine
        def work():
            value = yield self.soon(1)
            raise gen.Return(value + 1)

        self.assertEqual(2, asyncio_loop.run_until_complete(bridge.to_asyncio_future(work())))
        with self.assertRaises(KeyError):
            asyncio_loop.run_until_complete(bridge.to_asyncio_future(self.failing()))

    def test_coroutines_await_futures_of_asyncio(self):
        self.check_futures_of_asyncio(self.loop.asyncio_loop)

    def test_stack_contexts_go_along(self):
        def handle(kind, error, trace):
            self.seen.append(kind)
            return True

        function = self.names["in_context"]
        with ExceptionStackContext(handle):
            self.loop.add_callback(function, lambda: self.seen.append(stack_depth()),
                                   lambda: self.loop.add_callback(lambda: 1 // 0))
        self.run_until(lambda: KeyError in self.seen)
        self.assertEqual([1, 1, 1, ZeroDivisionError, KeyError], self.seen)
        self.assertEqual(0, stack_depth())

    if contextvars is not None:
        def test_context_variables(self):
            variable = contextvars.ContextVar("variable", default="none")
            self.assertEqual("mine", self.run_sync("set_and_wait", variable, self.soon))
            self.assertEqual("none", variable.get())
            with ExceptionStackContext(lambda *exc_info: False):
                self.assertEqual("mine", self.run_sync("set_and_wait", variable, self.soon))

    def test_run_sync_ends_in_time(self):
        with self.assertRaises(TimeoutError):
            self.loop.run_sync(lambda: self.names["value_of"](asyncio.sleep(PATIENCE)), 0.001)


class GuestCase(CoroutineCase):
    """On an IOLoop that drives an asyncio loop."""

    def setUp(self):
        super(GuestCase, self).setUp()
        self.guest = bridge.IOLoopEventLoop(self.loop)
        self.addCleanup(self.guest.close)

    def test_tasks_await_futures(self):
        run = self.guest.run_until_complete
        self.assertEqual([1, 2, 3], run(self.names["together"](self.soon)))
        self.assertEqual(("k",), run(self.names["first_error"](self.failing())))

    def test_coroutines_await_tasks_and_futures_of_asyncio(self):
        self.check_futures_of_asyncio(self.guest)
        task = self.guest.create_task(self.names["value_of"](self.soon(7)))
        self.assertEqual(7, self.run_sync("value_of", task))


if bridge is not None:
    class GuestTest(GuestCase, unittest.TestCase):
        pass

for _name in ("asyncio", "uvloop"):
    if _name in available_bridges():
        _full_name = str("%sCoroutinesTest" % _name.title())
        globals()[_full_name] = type(_full_name, (HostedCase, unittest.TestCase),
                                     {"loop_class": available_bridges()[_name]})


if __name__ == "__main__":
    unittest.main()
