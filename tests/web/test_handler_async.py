"""Asynchronous handlers, and handlers that receive the body piece by piece."""
from __future__ import absolute_import, division, print_function

import logging
import socket
import threading

from friendserve.iostream import IOStream
from friendserve.netutil import bind_sockets
from friendserve.stack_context import NullContext, state
from friendserve.web import (
    Finish, HTTPError, RequestHandler, asynchronous, stream_request_body)
from tests import missing
from tests.httpcase import LogCatcher, post_chunked
from tests.loopcase import stack_depth
from tests.webcase import HandlerCase, request


class Later(RequestHandler):
    """An asynchronous handler; `start` begins its work. `events` lists the calls."""
    events = loop = None

    @asynchronous
    def get(self):
        self.events.append("get")
        self.start()

    def start(self):
        pass

    def fail(self, *args):
        raise KeyError("x")


class AsyncCase(HandlerCase):
    def serve_later(self, base=Later, settings=None, options=None, **methods):
        self.events = []
        methods.update(events=self.events, loop=self.loop)
        page = type(str("Page"), (base,), dict(
            (str(name), method) for name, method in methods.items()))
        self.serve_app([("/.*", page)], options, **(settings or {}))


class AsynchronousTest(AsyncCase):
    def test_answer_comes_later(self):
        self.serve_later(start=lambda self: self.loop.add_callback(self.finish, "late"))
        self.assertEqual(self.ask().body, b"late")

    def test_answer_may_come_at_once(self):
        self.serve_later(start=lambda self: self.finish("now"))
        self.assertEqual(self.ask().body, b"now")

    def check_one_500(self, start, logs=1):
        self.serve_later(start=start)
        with LogCatcher() as self.records:
            client = self.connect(data=request())
            self.assertEqual(client.read_response().status, 500)
            self.turn(times=5)
            client.send(request())
            self.assertEqual(client.read_response().status, 500)
            self.turn(times=5)
        errors = self.logged(logging.ERROR)
        self.assertEqual(len(errors), 2 * logs, errors)
        for line in errors:
            self.assertIn("GET / (127.0.0.1)", line)
        self.assertEqual(len(self.logged(access=True)), 2)

    def test_b150_in_the_method(self):
        self.check_one_500(Later.fail)

    def test_b150_callback(self):
        self.check_one_500(lambda self: self.loop.add_callback(self.fail))

    def test_b150_timer(self):
        self.check_one_500(lambda self: self.loop.call_later(0.001, self.fail))

    def test_b150_callback_of_a_callback(self):
        def start(self):
            self.loop.add_callback(self.loop.call_later, 0, self.fail)

        self.check_one_500(start)

    def test_b150_stream(self):
        listener, = bind_sockets(0, "127.0.0.1")
        self.addCleanup(listener.close)
        streams = []

        def start(self):
            stream = IOStream(socket.socket(), self.loop)
            streams.append(stream)
            stream.connect(listener.getsockname(), self.fail)

        self.check_one_500(start)
        for stream in streams:
            stream.close()

    def test_b150_thread(self):
        def start(self):
            on_result = self.async_callback(self.fail)
            threading.Thread(target=self.loop.add_callback, args=(on_result, 1)).start()

        self.check_one_500(start)

    def test_b150_executor(self):
        try:
            from concurrent.futures import ThreadPoolExecutor
        except ImportError:
            self.skipTest(missing("futures"))
        executor = ThreadPoolExecutor(1)
        self.addCleanup(executor.shutdown)
        self.check_one_500(lambda self: self.loop.run_in_executor(executor, self.fail))
        self.check_one_500(lambda self: self.loop.run_in_executor(executor, int,
                                                                  callback=self.fail))

    def test_b150_async_callback_alone(self):
        def start(self):
            # As in code that stores callbacks without their contexts.
            with NullContext():
                self.loop.add_callback(self.async_callback(self.fail, 1), 2)

        self.check_one_500(start)

    def test_async_callback(self):
        calls = []

        def start(self):
            callback = self.async_callback(lambda *args, **kwargs: calls.append((args, kwargs)),
                                           1, a=2)
            callback(3, b=4)
            calls.append(self.async_callback(None))
            self.finish()

        self.serve_later(start=start)
        self.ask()
        self.assertEqual(calls, [((1, 3), {"a": 2, "b": 4}), None])

    def test_b151_two_callbacks_fail(self):
        def start(self):
            self.loop.add_callback(self.fail)
            self.loop.add_callback(self.fail)

        self.check_one_500(start, 2)

    def test_b151_after_finish(self):
        def start(self):
            self.loop.add_callback(self.fail)
            self.finish("done")

        self.serve_later(start=start)
        with LogCatcher() as self.records:
            client = self.connect(data=request())
            self.assertEqual(client.read_response().body, b"done")
            self.turn(times=5)
        self.assertEqual(len(self.logged(logging.ERROR)), 1)

    def test_other_errors_in_callbacks(self):
        for error, status in [(HTTPError(404), 404), (Finish(), 200)]:
            def fail(self):
                raise error

            self.serve_later(start=lambda self: self.loop.add_callback(self.fail), fail=fail)
            self.assertEqual(self.ask().status, status)

    def test_b152_finish_forgotten(self):
        self.serve_later(options={"response_timeout": 0.05},
                         on_connection_close=lambda self: self.events.append("closed"))
        with LogCatcher() as self.records:
            self.assertEqual(self.connect(data=request()).read_rest(), b"")
        line, = self.logged(logging.WARNING)
        self.assertIn("was finish() forgotten?", line)
        self.run_until(lambda: "closed" in self.events)

    def test_b158_contexts_do_not_leak(self):
        depths = []

        def start(self):
            depths.append(stack_depth())
            self.loop.add_callback(self.next)

        def next(self):
            depths.append(stack_depth())
            self.write("x")
            self.flush(callback=self.last)

        def last(self):
            depths.append(stack_depth())
            self.finish()

        self.serve_later(start=start, next=next, last=last)
        client = self.connect(data=request() * 100)
        for _ in range(100):
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(set(depths), set([1]))
        self.assertEqual(state.contexts, ())


class GoneTest(AsyncCase):
    def wait_for_get(self, count=1):
        self.run_until(lambda: self.events.count("get") == count)

    def test_on_connection_close(self):
        self.serve_later(on_connection_close=lambda self: (
            self.events.append("closed"), self.finish("nobody")))
        with LogCatcher() as self.records:
            for close in ("close", "abort", "end"):
                del self.events[:]
                client = self.connect(data=request())
                self.wait_for_get()
                getattr(client, close)()
                self.run_until(lambda: len(self.events) > 1)
                self.turn(times=3)
                self.assertEqual(self.events, ["get", "closed"])
        self.assertEqual(self.logged(logging.ERROR), [])

    def test_on_the_second_request_of_a_connection(self):
        self.serve_later(
            start=lambda self: self.finish() if self.events.count("get") == 1 else None,
            on_connection_close=lambda self: self.events.append("closed"))
        client = self.connect(data=request())
        client.read_response()
        client.send(request())
        self.wait_for_get(2)
        client.close()
        self.run_until(lambda: "closed" in self.events)

    def test_not_called_when_all_went_well(self):
        self.serve_later(start=lambda self: self.loop.add_callback(self.finish, "x"),
                         on_connection_close=lambda self: self.events.append("closed"))
        client = self.connect(data=request())
        client.read_response()
        client.close()
        self.turn(times=5)
        self.assertEqual(self.events, ["get"])

    def test_half_closed_client_gets_its_answer_without_the_hook(self):
        self.serve_later(start=lambda self: self.loop.call_later(0.02, self.finish, "late"))
        client = self.connect(data=request())
        client.end()
        self.assertEqual(client.read_response().body, b"late")

    def test_exception_in_the_hook(self):
        self.serve_later(on_connection_close=Later.fail)
        with LogCatcher() as self.records:
            client = self.connect(data=request())
            self.wait_for_get()
            client.close()
            self.run_until(lambda: self.records)
            self.turn(times=3)
        self.assertEqual(len(self.records), 1)

    def test_on_server_stop(self):
        self.serve_later(on_server_stop=lambda self: self.finish("stopped"))
        client = self.connect(data=request())
        self.wait_for_get()
        stopped = []
        self.server.graceful_stop(10, lambda: stopped.append(1))
        response = client.read_response()
        self.assertEqual((response.body, response.headers["Connection"]), (b"stopped", "close"))
        self.run_until(lambda: stopped)

    def test_stopping_waits_for_a_handler_without_the_hook(self):
        pages = []
        self.serve_later(start=lambda self: pages.append(self))
        client = self.connect(data=request())
        self.wait_for_get()
        stopped = []
        self.server.graceful_stop(10, lambda: stopped.append(1))
        self.turn(times=3)
        self.assertEqual(stopped, [])
        pages[0].finish("x")
        self.assertEqual(client.read_response().body, b"x")
        self.run_until(lambda: stopped)


class DetachTest(AsyncCase):
    def test_detach(self):
        def start(self):
            stream = self.detach()
            self.events.append(stream)
            stream.read_bytes(5, lambda data: stream.write(data.upper(), stream.close))

        self.serve_later(start=start)
        with LogCatcher() as records:
            client = self.connect(data=request() + b"hel")
            client.send(b"lo")
            self.assertEqual(client.read_rest(), b"HELLO")
        self.assertEqual(records, [])


class Upload(RequestHandler):
    """Receives the body piece by piece."""
    events = pieces = loop = None

    def prepare(self):
        self.events.append("prepare")

    def data_received(self, chunk):
        self.pieces.append(chunk)

    def post(self):
        self.write(b"".join(self.pieces))

    put = post

    def on_connection_close(self):
        self.events.append("closed")


Upload = stream_request_body(Upload)


class StreamingTest(AsyncCase):
    def serve_upload(self, settings=None, options=None, **methods):
        self.pieces = []
        self.serve_later(Upload, settings, options, pieces=self.pieces, **methods)

    def start_upload(self, data=b"", length=10, headers=""):
        return self.connect(data=("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%s\r\n" % (
            length, headers)).encode("ascii") + data)

    def test_pieces(self):
        self.serve_upload()
        client = self.start_upload(b"abc")
        self.run_until(lambda: self.pieces == [b"abc"])
        self.assertEqual(self.events, ["prepare"])
        client.send(b"defghij")
        self.assertEqual(client.read_response().body, b"abcdefghij")
        del self.pieces[:]
        client.send(post_chunked(b"ab", b"c"))
        self.assertEqual(client.read_response().body, b"abc")

    def test_no_body(self):
        self.serve_upload()
        self.assertEqual(self.ask("/", "POST", (), b"").status, 200)
        self.assertEqual(self.events, ["prepare"])

    def test_other_handlers_get_the_body_whole(self):
        class Whole(RequestHandler):
            def post(self):
                self.write(self.request.body)

        self.serve_upload()
        self.app.add_handlers("whole", [("/", Whole)])
        self.assertEqual(self.ask("/", "POST", (), b"abc", host="whole").body, b"abc")

    def test_missing_data_received(self):
        self.serve_upload(data_received=RequestHandler.data_received)
        self.assertEqual(self.ask("/", "POST", (), b"abc").status, 500)
        self.assertIn("data_received", str(self.records[0].exc_info[1]))

    def test_b141_back_pressure(self):
        def data_received(self, chunk):
            self.pieces.append(chunk)
            self.pause_reading()
            if len(self.pieces) == 1:
                # The first time, the test resumes reading.
                self.application.page = self
            else:
                self.loop.add_callback(self.resume_reading)

        self.serve_upload(data_received=data_received, options={"chunk_size": 4096})
        size = 200000
        client = self.start_upload(b"x" * 60000, size)
        self.run_until(lambda: self.pieces)
        self.turn(0.001, times=10)
        self.assertEqual(len(self.pieces), 1)
        self.app.page.resume_reading()
        client.send(b"x" * (size - 60000))
        self.assertEqual(len(client.read_response().body), size)
        self.assertLessEqual(max(map(len, self.pieces)), 4096)

    def test_pause_at_the_end(self):
        def data_received(self, chunk):
            self.pieces.append(chunk)
            self.pause_reading()
            self.loop.call_later(0.01, self.resume_reading)

        self.serve_upload(data_received=data_received)
        self.assertEqual(self.ask("/", "POST", (), b"abc").body, b"abc")

    def test_b141_own_limit(self):
        def prepare(self):
            self.request.connection.set_max_body_size(
                int(self.request.headers.get("X-Limit", 100)))

        self.serve_upload(prepare=prepare, options={"max_body_size": 10})
        client = self.start_upload(b"x" * 50, 50)
        self.assertEqual(len(client.read_response().body), 50)
        # Only for that request.
        with LogCatcher():
            client.send(request("/", "POST", [("X-Limit", "5")], b"x" * 6))
            self.assertEqual(client.read_response().status, 413)

        def data_received(self, chunk):
            pass

        self.serve_upload(data_received=data_received, options={"max_body_size": 10})
        self.assertEqual(self.ask("/", "POST", (), b"x" * 11).status, 413)
        self.serve_upload(data_received=data_received, options={"max_body_size": 10})
        with LogCatcher():
            self.assertEqual(self.fetch(post_chunked(b"x" * 8, b"x" * 8)).status, 413)

    def test_late_calls_do_not_touch_the_next_request(self):
        pages = []

        def data_received(self, chunk):
            self.pieces.append(chunk)
            if len(pages) == 3:
                self.pause_reading()

        self.serve_upload(prepare=lambda self: pages.append(self), data_received=data_received)
        client = self.start_upload(b"abc", 3)
        client.read_response()
        client.send(request("/", "POST", (), b"abc")[:-1])
        self.run_until(lambda: len(self.pieces) == 2)
        pages[0].pause_reading()
        client.send(b"c")
        self.assertEqual(client.read_response().status, 200)
        client.send(request("/", "POST", (), b"abc")[:-1])
        self.run_until(lambda: len(self.pieces) == 4)
        pages[0].resume_reading()
        client.send(b"c")
        self.turn(0.001, times=5)
        self.assertEqual(len(self.pieces), 4)
        pages[2].resume_reading()
        self.run_until(lambda: len(self.pieces) == 5)

    def test_prepare_answers(self):
        for prepare, status in [(lambda self: self.finish("no"), 200),
                                (lambda self: self.send_error(401), 401), (Later.fail, 500)]:
            self.serve_upload(prepare=prepare)
            with LogCatcher():
                client = self.start_upload(b"abc", 1000)
                response = client.read_response()
                self.assertEqual(response.status, status)
                self.assertEqual(response.headers["Connection"], "close")
                client.send(b"def")
                self.assertEqual(client.read_rest(), b"")
            self.assertEqual(self.events, [])

    def test_b129_prepare_answers_before_100_continue(self):
        self.serve_upload(prepare=lambda self: self.send_error(401))
        with LogCatcher():
            client = self.start_upload(b"", 1000, "Expect: 100-continue\r\n")
            self.assertEqual(client.read_response().status, 401)
        self.serve_upload()
        client = self.start_upload(b"", 3, "Expect: 100-continue\r\n")
        self.assertEqual(client.read_response().status, 100)
        client.send(b"abc")
        self.assertEqual(client.read_response().body, b"abc")

    def test_answer_in_the_middle(self):
        for data_received, status in [
                (lambda self, chunk: self.finish("enough"), 200), (Later.fail, 500),
                (lambda self, chunk: self.send_error(400), 400)]:
            self.serve_upload(data_received=data_received)
            with LogCatcher() as self.records:
                client = self.start_upload(b"abc", 1000)
                response = client.read_response()
                self.assertEqual(response.status, status)
                self.assertEqual(response.headers["Connection"], "close")
                self.assertEqual(client.read_rest(), b"")
            self.assertEqual(self.events, ["prepare"])
            self.assertEqual(len(self.logged(logging.ERROR)), status == 500)

    def test_answer_with_the_last_piece(self):
        self.serve_upload(data_received=lambda self, chunk: self.finish("enough"))
        self.assertEqual(self.ask("/", "POST", (), b"abc").body, b"enough")

    def test_b142_aborted(self):
        self.serve_upload()
        for close in ("close", "abort", "end"):
            del self.events[:], self.pieces[:]
            client = self.start_upload(b"abc")
            self.run_until(lambda: self.pieces)
            getattr(client, close)()
            self.run_until(lambda: "closed" in self.events)
            self.turn(times=3)
            self.assertEqual(self.events, ["prepare", "closed"])

    def test_asynchronous_after_the_body(self):
        @asynchronous
        def post(self):
            self.loop.add_callback(self.finish, "late")

        self.serve_upload(post=post)
        self.assertEqual(self.ask("/", "POST", (), b"abc").body, b"late")

    def test_b131_constructor(self):
        self.serve_upload(initialize=Later.fail)
        with LogCatcher() as self.records:
            client = self.start_upload(b"abc", 1000)
            self.assertEqual(client.read_response().status, 500)
        self.assertEqual(len(self.records), 1)

    def test_slow_consumer_is_not_timed_out(self):
        def data_received(self, chunk):
            self.pause_reading()
            self.loop.call_later(1.2, self.resume_reading)

        self.serve_upload(data_received=data_received, options={"body_timeout": 0.8})
        self.assertEqual(self.ask("/", "POST", (), b"abc").status, 200)
