"""Data, calls and events that come too early, too late or never."""
from __future__ import absolute_import, division, print_function

import functools
import logging

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import available_pollers
from friendserve.web import Application, RequestHandler, asynchronous, stream_request_body
from tests.httpcase import (
    SERVER_OPTIONS, Delegate, HTTPCase, LogCatcher, Recorder, Waiting, answer, get, post)


class LateTest(HTTPCase):
    def serve_handler(self, handler, **options):
        self.serve(Application([("/.*", handler)]), **options)

    def test_closed_with_bytes_of_the_next_request(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get() + b"GE")
        self.run_until(lambda: waiting.requests)
        self.turn(times=2)
        client.abort()
        with LogCatcher() as records:
            answer(waiting.requests[0], b"x" * 1000)
            self.turn(times=5)
        self.assertEqual([], [r.message for r in records if r.levelno >= logging.ERROR])

    def test_close_while_more_of_the_body_waits(self):
        @stream_request_body
        class Handler(RequestHandler):
            def data_received(self, chunk):
                self.request.connection.close()

        self.serve_handler(Handler, chunk_size=4)
        with LogCatcher() as records:
            client = self.connect(data=post(b"0123456789"))
            client.wait_for(lambda: client.ended)
            self.turn(times=3)
        self.assertEqual([], [r.message for r in records if r.levelno >= logging.ERROR])

    def test_a138_no_100_within_a_response(self):
        @stream_request_body
        class Handler(RequestHandler):
            def prepare(self):
                self.write("hello")
                self.flush()

            def data_received(self, chunk):
                pass

            def post(self):
                self.finish("end")

        self.serve_handler(Handler)
        client = self.connect(data=b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                                   b"Expect: 100-continue\r\n\r\n")
        client.wait_for(lambda: b"hello" in client.data)
        client.send(b"abc")
        response = client.read_response("POST")
        self.assertEqual((200, b"helloend"), (int(response.status), response.body))

    def test_body_is_for_the_receiver_alone(self):
        @stream_request_body
        class Handler(RequestHandler):
            def prepare(self):
                self.pieces = []
                self.pause_reading()
                self.resume_reading()

            def data_received(self, chunk):
                self.pieces.append(chunk)

            def post(self):
                self.finish(b"".join(self.pieces))

        self.serve_handler(Handler)
        client = self.connect(data=post(b"abc"))
        self.assertEqual(b"abc", client.read_response("POST").body)

    def test_finished_request_has_no_part_in_the_next(self):
        requests = []

        def raw(request):
            requests.append(request)
            if len(requests) == 1:
                request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
                request.finish()

        self.serve(raw)
        client = self.connect(data=get() + get())
        self.run_until(lambda: len(requests) == 2)
        self.assertRaises(RuntimeError, requests[0].write, b"stale")
        self.assertRaises(RuntimeError, requests[0].finish)
        requests[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
        requests[1].finish()
        self.assertEqual(b"a", client.read_response().body)
        self.assertEqual(b"b", client.read_response().body)

    def test_flush_after_finish(self):
        seen = []

        class Handler(RequestHandler):
            def get(self):
                self.finish("ok")
                try:
                    self.flush(callback=len)
                except RuntimeError:
                    seen.append(True)

        self.serve_handler(Handler)
        client = self.connect(data=get() + get())
        self.assertEqual(b"ok", client.read_response().body)
        self.assertEqual(b"ok", client.read_response().body)
        self.assertEqual([True, True], seen)

    def test_bad_form_read_after_the_response(self):
        def late(request):
            request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            request.finish()
            request.body_arguments

        self.serve(late)
        form = "Content-Type: multipart/form-data\r\n"
        with LogCatcher() as records:
            client = self.connect(data=post(b"x", headers=form) + get())
            self.assertEqual(b"ok", client.read_response("POST").body)
            self.assertEqual(b"ok", client.read_response().body)
        self.assertEqual(1, len([r for r in records if r.levelno == logging.ERROR]))

    def test_a206_pauses_of_the_handler_are_no_time_for_the_client(self):
        @stream_request_body
        class Handler(RequestHandler):
            def data_received(self, chunk):
                self.pause_reading()
                IOLoop.current().add_callback(self.resume_reading)

            def post(self):
                pass

        self.serve_handler(Handler, body_timeout=0.1)
        client = self.connect(
            data=b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")

        def trickle():
            client.send(b"x")
            return client.receive()
        self.run_until(trickle)
        self.assertEqual(408, int(client.read_response("POST").status))

    def test_b123_a_close_is_noticed_after_bytes_of_the_next_request(self):
        for name in available_pollers():
            self.use_loop(IOLoop(impl=name))
            gone = []

            class Handler(RequestHandler):
                @asynchronous
                def get(self):
                    gone.append(False)

                def on_connection_close(self):
                    gone.append(True)

            self.serve_handler(Handler)
            client = self.connect(data=get())
            self.run_until(lambda: gone)
            client.send(b"G")
            self.turn(times=3)
            client.close()
            self.run_until(lambda: len(gone) == 2)
            self.assertEqual([False, True], gone)

    def requests_in_progress(self, handler, data, name="auto", **options):
        """A client whose request is in progress, with `data` after it."""
        self.use_loop(IOLoop(impl=name))
        self.serve_handler(handler, **options)
        connect = self.connect_tls if options else self.connect
        client = connect(data=get() + data[:700])
        self.turn(times=3)
        client.send(data[700:])
        self.turn(times=3)
        return client

    def test_b255_a_close_is_noticed_after_many_requests(self):
        for name in available_pollers():
            for options in ({}, {"ssl_options": SERVER_OPTIONS}):
                for size in (1100, 30000):
                    seen = []

                    class Handler(RequestHandler):
                        @asynchronous
                        def get(self):
                            seen.append("request")

                        def on_connection_close(self):
                            seen.append("close")

                    client = self.requests_in_progress(
                        Handler, (get() * 9999)[:size], name, **options)
                    self.assertEqual(["request"], seen)
                    client.close()
                    if name == "select" and size < 2000:
                        # It reports nothing for a connection that is not read.
                        self.turn(times=5)
                        self.assertEqual(["request"], seen)
                    elif name != "select":
                        self.run_until(lambda: not self.server.connection_count())
                        self.assertEqual(["request", "close"], seen)

    def test_b255_a_callback_that_is_set_after_the_client_has_left(self):
        waiting, closed = Waiting(), []
        self.serve(waiting)
        client = self.connect(data=get() + get() * 200)
        self.run_until(lambda: waiting.requests)
        client.end()
        self.turn(times=5)
        self.assertEqual(1, self.server.connection_count())
        waiting.requests[0].connection.set_close_callback(lambda: closed.append(True))
        self.run_until(lambda: not self.server.connection_count())
        self.assertEqual([True], closed)

    def test_b255_who_only_shuts_down_gets_all_answers(self):
        waiting = []

        class Handler(RequestHandler):
            @asynchronous
            def get(self):
                waiting.append(self)

        for name in available_pollers():
            client = self.requests_in_progress(Handler, get() * 100, name)
            client.end()
            self.turn(times=5)
            for _ in range(101):
                self.run_until(lambda: waiting)
                waiting.pop().finish("ok")
                self.assertEqual(b"ok", client.read_response().body)
            self.assertEqual(b"", client.read_rest())
            self.run_until(lambda: not self.server.connection_count())

    def test_b255_who_shuts_down_after_an_upload_gets_its_answer(self):
        @stream_request_body
        class Handler(RequestHandler):
            def prepare(self):
                self.size = 0
                self.pause_reading()
                paused.append(self)

            def data_received(self, chunk):
                self.size += len(chunk)

            def on_connection_close(self):
                paused.append("closed")

            def post(self):
                self.finish(str(self.size))

        for name in available_pollers():
            paused = []
            self.use_loop(IOLoop(impl=name))
            self.serve_handler(Handler)
            client = self.connect(data=post(b"x" * 200000))
            client.end()
            self.run_until(lambda: paused)
            self.turn(times=5)
            self.assertEqual(1, len(paused))
            paused[0].resume_reading()
            self.assertEqual(b"200000", client.read_response("POST").body)

    def test_receiver_that_fails_is_told_once_that_nothing_more_comes(self):
        class Failing(Recorder):
            def data_received(self, chunk):
                Recorder.data_received(self, chunk)
                raise ValueError("on purpose")

        delegate = Delegate(Failing)
        self.serve(delegate)
        with LogCatcher():
            client = self.connect(data=post(b"abc"))
            self.assertEqual(500, client.read_response("POST").status)
            client.wait_for(lambda: client.ended)
            client.close()
            self.run_until(lambda: not self.server.connection_count())
            self.turn(times=3)
        self.assertEqual(["headers", "abc", "close"], delegate.messages[0].events)

    def test_handler_that_fails_within_the_body_is_not_told_of_a_client_that_stayed(self):
        told = []

        @stream_request_body
        class Handler(RequestHandler):
            def data_received(self, chunk):
                raise ValueError("on purpose")

            def on_connection_close(self):
                told.append(True)

        self.serve_handler(Handler)
        with LogCatcher():
            client = self.connect(data=post(b"abc"))
            self.assertEqual(500, client.read_response("POST").status)
            client.close()
            self.run_until(lambda: not self.server.connection_count())
            self.turn(times=3)
        self.assertEqual([], told)

    def test_logs_hold_no_arguments_of_callbacks(self):
        with LogCatcher() as records:
            def fail(secret):
                raise ValueError("on purpose")
            self.loop.add_callback(functools.partial(fail, "password"))
            self.turn()
        self.assertEqual(1, len(records))
        self.assertNotIn("password", records[0].message)
