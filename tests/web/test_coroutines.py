"""Handlers whose methods are coroutines."""
from __future__ import absolute_import, division, print_function

import gc
import logging
import sys
import textwrap
import weakref

from friendserve import gen
from friendserve.concurrent import Future
from friendserve.httpclient import AsyncHTTPClient
from friendserve.iostream import StreamClosedError
from friendserve.web import HTTPError, asynchronous, stream_request_body
from friendserve.web import RequestHandler
from friendserve.websocket import websocket_connect
from tests.httpcase import LogCatcher, post_chunked
from tests.webcase import HandlerCase, request
from tests.wscase import Echo, WebSocketCase


class CoroutineCase(HandlerCase):
    def soon(self, value=None):
        """A Future that has this result in a later turn."""
        future = Future()
        self.loop.call_later(0.001, future.set_result, value)
        return future

    def check_ten_thousand_requests(self, get):
        self.serve_handler(get)
        client = self.connect()

        def ask(times):
            for _ in range(times // 20):
                client.send(request() * 20)
                client.wait_for(lambda: client.data.count(b"\r\n\r\nx") == 20)
                client.data = b""

        ask(100)
        gc.collect()
        before = len(gc.get_objects())
        ask(10000)
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, 200)


class CoroutineHandlerTest(CoroutineCase):
    def test_the_response_ends_with_the_coroutine(self):
        case = self

        @gen.coroutine
        def get(self):
            self.write((yield case.soon(b"one ")))
            self.write((yield case.soon(b"two")))

        self.serve_handler(get)
        self.assertEqual(b"one two", self.ask().body)

    def test_exceptions_are_answered(self):
        case = self

        @gen.coroutine
        def get(self):
            self.write((yield case.soon(b"dropped")))
            raise HTTPError(418)

        @gen.coroutine
        def post(self):
            yield case.soon()
            raise KeyError("k")

        self.serve_handler(get, post=post)
        self.assertEqual(418, self.ask().status)
        self.assertEqual(500, self.ask(method="POST", body=b"").status)
        self.assertEqual(1, len(self.logged(logging.ERROR)))

    def test_nothing_is_left_of_a_failed_request(self):
        handlers, case = [], self

        @gen.coroutine
        def get(self):
            handlers.append(weakref.ref(self))
            if self.get_argument("late", None):
                yield case.soon()
            raise KeyError("k")

        self.serve_handler(get)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for path in ("/", "/?late=1"):
            self.assertEqual(500, self.ask(path).status)
            self.records = ()       # They have the traceback.
            self.turn(0, 3)
            if hasattr(sys, "getrefcount"):     # Elsewhere objects are freed later.
                self.assertIsNone(handlers[-1](), path)

    def test_finish_in_a_coroutine(self):
        case = self

        @gen.coroutine
        def get(self):
            yield case.soon()
            self.finish(b"done")
            yield case.soon()
            case.log.append("after")

        self.log = []
        self.serve_handler(get)
        self.assertEqual(b"done", self.ask().body)
        self.run_until(lambda: self.log)
        self.assertEqual([], self.logged(logging.WARNING))

    def test_an_exception_after_finish_is_logged(self):
        case = self

        @gen.coroutine
        def get(self):
            self.finish(b"done")
            yield case.soon()
            raise KeyError("late")

        self.serve_handler(get)
        with LogCatcher() as records:
            self.assertEqual(b"done", self.ask().body)
            self.run_until(lambda: any(record.levelno == logging.ERROR for record in records))

    def test_asynchronous_and_coroutine(self):
        case = self

        @asynchronous
        @gen.coroutine
        def get(self):
            yield case.soon()
            self.write(b"both")

        @asynchronous
        @gen.engine
        def post(self):
            yield gen.Task(case.loop.add_callback)
            self.finish(b"engine")

        self.serve_handler(get, post=post)
        self.assertEqual(b"both", self.ask().body)
        self.assertEqual(b"engine", self.ask(method="POST", body=b"").body)

    def test_an_error_of_an_engine_is_answered(self):
        case = self

        @asynchronous
        @gen.engine
        def get(self):
            yield gen.Task(case.loop.add_callback)
            raise HTTPError(418)

        self.serve_handler(get)
        self.assertEqual(418, self.ask().status)

    def test_an_asynchronous_method_may_return_what_a_write_returns(self):
        case = self

        @asynchronous
        def get(self):
            case.loop.call_later(0.001, self.finish, b"end")
            self.write(b"begin ")
            return self.flush()

        self.serve_handler(get)
        self.assertEqual(b"begin end", self.ask().body)

    def test_prepare_may_be_a_coroutine(self):
        case = self

        @gen.coroutine
        def prepare(self):
            self.user = yield case.soon(b"someone")
            if self.get_argument("stop", None):
                self.finish(b"stopped")
            if self.get_argument("fail", None):
                raise HTTPError(403)

        self.serve_handler(lambda handler: handler.finish(handler.user), prepare=prepare,
                           post=lambda handler: handler.finish(handler.user))
        self.assertEqual(b"someone", self.ask().body)
        self.assertEqual(b"someone", self.ask(method="POST", body=b"").body)
        self.assertEqual(b"stopped", self.ask("/?stop=1").body)
        self.assertEqual(403, self.ask("/?fail=1").status)

    def test_flush_is_awaited_until_the_client_has_read(self):
        size, seen = 1 << 20, []

        @gen.coroutine
        def get(self):
            for _ in range(8):
                self.write(b"x" * size)
                yield self.flush()
                seen.append(self.request.connection.stream.writing())

        self.serve_handler(get)
        self.assertEqual(8 * size, len(self.ask().body))
        self.assertEqual([False] * 8, seen)

    def test_flush_fails_when_the_client_has_left(self):
        errors = []

        @gen.coroutine
        def get(self):
            try:
                while True:
                    self.write(b"x" * 100000)
                    yield self.flush()
            except StreamClosedError:
                errors.append(True)

        self.serve_handler(get)
        client = self.connect(data=request())
        client.read(1000)
        client.close()
        self.run_until(lambda: errors)

    def test_a_streamed_body_waits_for_data_received(self):
        case = self
        events = []

        @stream_request_body
        class Streamed(RequestHandler):
            @gen.coroutine
            def prepare(self):
                yield case.soon()
                events.append("prepared")

            @gen.coroutine
            def data_received(self, chunk):
                events.append("begin")
                yield case.soon()
                events.append("end")

            def post(self):
                self.write(str(len(events)))

        self.serve_app([("/", Streamed)])
        response = self.fetch(post_chunked(b"a" * 70000, b"b" * 70000), "POST")
        self.assertEqual("prepared", events[0])
        self.assertEqual(["begin", "end"] * (len(events) // 2), events[1:])
        self.assertEqual(str(len(events)).encode("ascii"), response.body)

    def test_ten_thousand_requests_leave_nothing(self):
        @gen.coroutine
        def get(self):
            yield gen.moment
            self.write(b"x")

        self.check_ten_thousand_requests(get)


class WebSocketCoroutineTest(WebSocketCase):
    def test_client_and_server(self):
        case = self

        class Slow(Echo):
            @gen.coroutine
            def open(self, name):
                yield gen.moment
                self.opened = True

            @gen.coroutine
            def on_message(self, message):
                yield gen.moment
                yield self.write_message(message)

        self.serve_sockets(Slow)
        seen = []

        @gen.coroutine
        def main():
            client = yield websocket_connect("ws://127.0.0.1:%d/" % self.server.address[1])
            for message in (u"one", u"two"):
                yield client.write_message(message)
                seen.append((yield client.read_message()))
            client.close()
            seen.append((yield client.read_message()))

        case.loop.run_sync(main, timeout=10)
        self.assertEqual([u"one", u"two", None], seen)

    def test_an_error_in_on_message_closes_with_1011(self):
        class Failing(Echo):
            @gen.coroutine
            def on_message(self, message):
                yield gen.moment
                raise KeyError("k")

        self.serve_sockets(Failing)

        @gen.coroutine
        def main():
            client = yield websocket_connect("ws://127.0.0.1:%d/" % self.server.address[1])
            client.write_message(u"x")
            yield client.read_message()
            raise gen.Return(client.close_code)

        with LogCatcher() as records:
            self.assertEqual(1011, self.loop.run_sync(main, timeout=10))
        errors = [record for record in records if record.levelno == logging.ERROR]
        self.assertEqual(1, len(errors))


class FetchTest(HandlerCase):
    def test_fetch_returns_a_future(self):
        self.serve_handler(
            lambda handler: handler.send_error(int(handler.get_argument("code", 200))))

        @gen.coroutine
        def main():
            client = AsyncHTTPClient(io_loop=self.loop)
            url = "http://127.0.0.1:%d/?code=" % self.server.address[1]
            seen.append((yield client.fetch(url + "200")).code)
            seen.append((yield client.fetch(url + "418", raise_error=False)).code)
            try:
                yield client.fetch(url + "418")
            except HTTPError:
                seen.append("no")
            except Exception as error:
                seen.append(error.code)

        seen = []
        self.loop.run_sync(main, timeout=10)
        self.assertEqual([200, 418, 418], seen)
        errors = []
        AsyncHTTPClient(io_loop=self.loop).fetch(
            "http://127.0.0.1:%d/?code=500" % self.server.address[1], self.fail,
            on_error=errors.append)
        self.run_until(lambda: errors)
        self.assertEqual(500, errors[0].code)


NATIVE = textwrap.dedent("""
    import asyncio

    async def get(self):
        self.write((await soon(b"one ")))
        self.write((await as_engine(2)))
        both = await gen.multi([soon(3), coroutine(4)])
        self.write(str(both))
        await self.flush()

    async def coroutine(value):
        return await soon(value)

    async def small(self):
        await gen.moment
        self.write(b"x")

    async def fail(self):
        await soon(None)
        raise HTTPError(418)

    async def iterate(futures):
        seen = []
        async for value in gen.WaitIterator(*futures):
            seen.append(value)
        return seen
""")


if sys.version_info >= (3,):  # version: py2
    class NativeTest(CoroutineCase):
        def setUp(self):
            super(NativeTest, self).setUp()

            @gen.coroutine
            def as_engine(value):
                value = yield self.soon(value)
                raise gen.Return(str(value))

            self.names = {"soon": self.soon, "gen": gen, "HTTPError": HTTPError,
                          "as_engine": as_engine}
            exec(NATIVE, self.names)

        def test_async_def(self):
            self.serve_handler(self.names["get"], post=self.names["fail"])
            self.assertEqual(b"one 2[3, 4]", self.ask().body)
            self.assertEqual(418, self.ask(method="POST", body=b"").status)

        def test_b349_ten_thousand_requests_of_async_def_leave_nothing(self):
            self.check_ten_thousand_requests(self.names["small"])

        def test_async_for_over_futures(self):
            futures = [self.soon(1), self.soon(2)]
            self.assertEqual([1, 2], self.loop.run_sync(lambda: self.names["iterate"](futures)))

        def test_run_sync_of_a_coroutine(self):
            self.assertEqual(5, self.loop.run_sync(lambda: self.names["coroutine"](5)))
