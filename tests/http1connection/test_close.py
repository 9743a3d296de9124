"""Clients that disconnect: noticed at once, reported once, and not kept in memory."""
from __future__ import absolute_import, division, print_function

import gc
import logging
import weakref

from friendserve.ioloop import IOLoop
from friendserve.iostream import StreamClosedError
from friendserve.platform.pollers.auto import available_pollers
from friendserve.web import Application, RequestHandler, asynchronous
from tests import PATIENCE
from tests.httpcase import (
    SERVER_OPTIONS, Delegate, HTTPCase, LogCatcher, Recorder, Waiting, answer, get, head_of, post,
    post_chunked)
from tests.loopcase import free_unreferenced


class CloseTest(HTTPCase):
    """B123: a client that disconnects while its response is pending."""

    def wait_with_callback(self):
        requests, closed = [], []

        def serve(request):
            requests.append(request)
            request.connection.set_close_callback(lambda: closed.append(request.path))

        self.serve(serve)
        return requests, closed

    def check_every_way(self):
        requests, closed = self.wait_with_callback()
        for leave in ("close", "abort", "end"):
            client = self.connect(data=get("/" + leave))
            self.run_until(lambda: requests)
            getattr(client, leave)()
            # At once: in two turns, one to notice and one to report.
            self.turn(1)
            self.turn(times=2)
            self.assertEqual(closed, ["/" + leave])
            self.assertRaises(StreamClosedError, answer, requests.pop())
            del closed[:]

    def test_b123_a_close_is_noticed_with_every_poller(self):
        for name in available_pollers():
            self.use_loop(IOLoop(name))
            self.check_every_way()

    def test_b123_a_close_is_noticed_over_tls(self):
        requests, closed = [], []

        def serve(request):
            requests.append(request)
            request.connection.set_close_callback(lambda: closed.append(request.path))

        self.serve(serve, ssl_options=SERVER_OPTIONS)
        for path in ("/1", "/2"):
            client = self.connect_tls(data=get(path))
            self.run_until(lambda: requests and requests[-1].path == path)
            # Python 2.7 closes a TLS socket only with its last reference.
            client.end()
            client.close()
            self.run_until(lambda: path in closed)

    def test_b123_told_although_it_asks_late(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get())
        self.run_until(lambda: waiting.requests)
        client.end()
        self.turn(0.01, times=5)
        closed = []
        waiting.requests[0].connection.set_close_callback(lambda: closed.append(1))
        self.run_until(lambda: closed)

    def test_b123_second_request(self):
        requests, closed = self.wait_with_callback()
        client = self.connect(data=get("/1"))
        self.run_until(lambda: requests)
        answer(requests.pop())
        client.read_response()
        client.send(get("/2"))
        self.run_until(lambda: requests)
        client.close()
        self.run_until(lambda: closed)
        # The first request was finished, so its callback is not called.
        self.assertEqual(closed, ["/2"])

    def test_b123_pipelined_and_ended(self):
        requests, closed = self.wait_with_callback()
        client = self.connect()
        client.send(get("/1") + get("/2"))
        self.run_until(lambda: requests)
        requests[0].connection.set_close_callback(None)
        client.end()
        self.turn(0.01, times=3)
        answer(requests[0])
        self.assertEqual(client.read_response().status, 200)
        # The client shut down its sending side long ago.
        self.run_until(lambda: len(requests) == 2)
        self.run_until(lambda: closed)
        self.assertEqual(closed, ["/2"])

    def test_b123_finished_then_closed(self):
        requests, closed = self.wait_with_callback()
        client = self.connect(data=get("/1"))
        self.run_until(lambda: requests)
        answer(requests[0])
        client.read_response()
        client.close()
        self.run_until(lambda: not self.server.connection_count())
        self.turn(times=3)
        self.assertEqual(closed, [])

    def test_b073_half_close(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get())
        self.run_until(lambda: waiting.requests)
        client.end()
        self.turn(0.01, times=5)
        answer(waiting.requests[0], b"x" * 1000000)
        response = client.read_response()
        self.assertEqual(len(response.body), 1000000)
        self.assertEqual(client.read_rest(), b"")

    def test_b073_half_close_at_once(self):
        self.serve()
        for data, count in ((get(), 1), (get() * 3, 3), (post(b"hello"), 1),
                            (post_chunked(b"a"), 1)):
            client = self.connect(data=data)
            client.end()
            for _ in range(count):
                self.assertEqual(client.read_response().status, 200)
            self.assertEqual(client.read_rest(), b"")

    def test_b074_half_closed_does_not_spin(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get())
        self.run_until(lambda: waiting.requests)
        client.end()
        self.turn(0.01, times=5)
        before = self.loop.time()
        self.turn(0.2)
        self.assertGreater(self.loop.time() - before, 0.1)

    def test_callbacks_that_a_finished_request_sets_are_not_of_the_next(self):
        called = []

        def serve(request):
            if request.path == "/1":
                answer(request)
                request.connection.set_close_callback(lambda: called.append(request.path))
                request.connection.set_stop_callback(lambda: called.append(request.path))

        server = self.serve(serve)
        client = self.connect(data=get("/1"))
        client.read_response()
        client.send(get("/2"))
        self.turn(0.01, times=3)
        server.graceful_stop(PATIENCE)
        self.turn(0.01, times=3)
        client.abort()
        self.run_until(lambda: not server.connection_count())
        self.turn(times=3)
        self.assertEqual([], called)

    def check_abort_before_the_refusal(self, data, callback, events=None, turns=1):
        delegate = callback if isinstance(callback, Delegate) else None
        server = self.serve(callback, max_body_size=10, decompress_request=True)
        client = self.connect(data=data)
        self.run_until(lambda: server.connection_count())
        # What fails waits in the queue of the loop.
        self.turn(1, times=turns)
        client.abort()
        with LogCatcher() as records:
            self.turn(0.01, times=5)
        self.assertEqual(0, server.connection_count())
        if delegate is not None:
            self.assertEqual(1, len(delegate.closed))
            self.assertEqual(events, delegate.messages[0].events)
        return [record.getMessage() for record in records if record.levelno >= logging.WARNING]

    def test_aborted_before_a_refusal_is_sent(self):
        # The body is announced as too long, by its head.
        data = head_of(post(b"more than 10"))[0]
        self.assertEqual([], self.check_abort_before_the_refusal(data, self.fail))
        self.assertEqual([], self.check_abort_before_the_refusal(
            data, Delegate(), ["headers", "close"]))
        self.assertEqual([], self.check_abort_before_the_refusal(
            post(b"hello", headers="Content-Encoding: br\r\n"), self.fail))

    def test_aborted_before_a_failure_is_answered(self):
        def fail(*args):
            raise ValueError("from a handler")

        class Broken(Recorder):
            def data_received(self, chunk):
                self.events.append("data")
                raise ValueError("from a delegate")

        for data, callback, events, turns in (
                (get(), fail, None, 1), (post(b"hello"), fail, None, 1),
                (post(b"hello"), Delegate(Broken), ["headers", "data", "close"], 2)):
            errors = self.check_abort_before_the_refusal(data, callback, events, turns)
            self.assertEqual(1, len(errors), errors)

    def test_b123_handler_of_the_web_framework(self):
        closed, handlers = [], []

        class Poll(RequestHandler):
            def prepare(self):
                self.set_header("X", "y")

            @asynchronous
            def get(self):
                handlers.append(self)

            def on_connection_close(self):
                closed.append(self)

        self.serve(Application([("/", Poll)]))
        with LogCatcher() as records:
            client = self.connect(data=get())
            self.run_until(lambda: handlers)
            client.close()
            self.run_until(lambda: closed)
            handlers[0].finish("late")
            self.turn(times=3)
        self.assertEqual(closed, handlers)
        self.assertFalse([r for r in records if r.levelno >= logging.WARNING])

    def test_b170_nothing_is_left_in_a_cycle(self):
        references = []

        def serve(request):
            references.append(weakref.ref(request))
            references.append(weakref.ref(request.connection.stream))
            request.connection.set_close_callback(lambda: None)
            if request.path == "/error":
                raise ValueError("from the handler")
            if request.path != "/wait":
                answer(request)

        self.serve(serve)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        with LogCatcher():
            for path in ("/", "/error", "/wait"):
                client = self.connect(data=get(path))
                self.turn(0.01, times=4)
                client.abort()
                self.run_until(lambda: not self.server.connection_count())
        self.turn(times=3)
        free_unreferenced()
        self.assertEqual([r() for r in references if r() is not None], [])
