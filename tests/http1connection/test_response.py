"""Responses of the HTTP server: their framing, and misuse by an application."""
from __future__ import absolute_import, division, print_function

import functools
import logging

from friendserve.httputil import HTTPHeaders, ResponseStartLine
from friendserve.iostream import StreamClosedError
from friendserve.protocol.errors import HTTPOutputError
from tests.httpcase import HTTPCase, LogCatcher, Waiting, answer, get

OK = ResponseStartLine("HTTP/1.1", 200, "OK")


class ResponseTest(HTTPCase):
    def stream(self, *pieces, **headers):
        """A callback that sends these pieces one by one."""
        def serve(request):
            connection = request.connection
            connection.write_headers(OK, HTTPHeaders(headers), pieces[0] if pieces else None)
            for piece in pieces[1:]:
                connection.write(piece)
            connection.finish()
        return serve

    def test_chunked(self):
        self.serve(self.stream(b"a", b"", b"bc"))
        client = self.connect(data=get() + get())
        for _ in range(2):
            response = client.read_response()
            # An empty piece is not the end.
            self.assertEqual(response.chunks, [b"a", b"bc"])
            self.assertNotIn("Content-Length", response.headers)

    def test_chunked_and_empty(self):
        self.serve(self.stream())
        client = self.connect(data=get() + get())
        self.assertEqual(client.read_response().chunks, [])
        self.assertEqual(client.read_response().chunks, [])

    def test_http_1_0_ends_with_the_connection(self):
        self.serve(self.stream(b"a", b"bc"))
        client = self.connect(data=get(headers="Connection: keep-alive\r\n", version="1.0"))
        response = client.read_response()
        self.assertEqual(response.body, b"abc")
        self.assertEqual(response.headers["Connection"], "close")
        self.assertNotIn("Transfer-Encoding", response.headers)

    def test_length(self):
        self.serve(self.stream(b"a", b"bc", **{"Content-Length": "3"}))
        client = self.connect(data=get() + get(headers="Connection: keep-alive\r\n", version="1.0"))
        for _ in range(2):
            response = client.read_response()
            self.assertEqual(response.body, b"abc")
            self.assertNotIn("Transfer-Encoding", response.headers)

    def test_b495_one_framing_whatever_the_application_has_set(self):
        for name, value in (("Transfer_Encoding", "chunked"), ("Content_Length", "3"),
                            ("Transfer_Encoding", "gzip, chunked")):
            server = self.serve(functools.partial(answer, body=b"abc", **{name: value}))
            client = self.connect(server, get() + get())
            for _ in range(2):
                response = client.read_response()
                self.assertEqual(b"abc", response.body)
                self.assertEqual(["3"], response.headers.get_list("Content-Length"))
                self.assertNotIn("Transfer-Encoding", response.headers)

    def test_a142_head(self):
        for serve in (self.stream(b"a", b"bc"), self.stream(b"a", b"bc", **{"Content-Length": "3"}),
                      functools.partial(answer, body=b"abc")):
            server = self.serve(serve)
            client = self.connect(server, get().replace(b"GET", b"HEAD") + get())
            head = client.read_response("HEAD")
            response = client.read_response()
            self.assertEqual(response.body, b"abc")
            self.assertEqual(head.headers, response.headers)

    def test_a142_no_body_where_none_may_be(self):
        for status, reason in ((204, "No Content"), (304, "Not Modified")):
            start = ResponseStartLine("HTTP/1.1", status, reason)

            def streamed(request):
                request.connection.write_headers(start, HTTPHeaders(), b"abc")
                request.connection.finish()

            whole = functools.partial(answer, body=b"abc", status=status, reason=reason)
            for serve in (streamed, whole):
                server = self.serve(serve)
                client = self.connect(server, get() + get())
                for _ in range(2):
                    response = client.read_response()
                    self.assertEqual(response.status, status)
                    self.assertNotIn("Transfer-Encoding", response.headers)
                    if status == 204:
                        self.assertNotIn("Content-Length", response.headers)
                self.assertEqual(client.data, b"")

    def test_a143_too_short(self):
        self.serve(self.stream(b"abcd", **{"Content-Length": "5"}))
        with LogCatcher() as records:
            client = self.connect(data=get() + get())
            # The client notices the missing bytes by the end of the connection.
            client.wait_for(lambda: client.ended)
            self.assertEqual(client.data.count(b"HTTP/1.1 "), 1)
            self.assertTrue(client.data.endswith(b"\r\n\r\nabcd"))
        self.assertEqual([record.levelno for record in records], [logging.ERROR])

    def test_a143_too_long(self):
        self.serve(self.stream(b"abcd", b"ef", **{"Content-Length": "5"}))
        with LogCatcher() as records:
            client = self.connect(data=get() + get())
            client.wait_for(lambda: client.ended)
            self.assertTrue(client.data.endswith(b"\r\n\r\nabcd"))
        self.assertEqual([record.levelno for record in records], [logging.ERROR])

    def test_a143_in_one_piece(self):
        for length in ("4", "6"):
            self.serve(functools.partial(answer, body=b"abcde", **{"Content_Length": length}))
            with LogCatcher() as records:
                client = self.connect(data=get() + get())
                self.assertEqual(client.read_response().status, 500)
                self.assertEqual(client.read_rest(), b"")
            self.assertEqual([record.levelno for record in records], [logging.ERROR])

    def test_a031_malformed_length_of_the_application(self):
        for length in ("+10", "1_0", "-1", "", "0x10"):
            for serve in (self.stream(b"0123456789", **{"Content-Length": length}),
                          functools.partial(answer, body=b"0123456789", Content_Length=length)):
                server = self.serve(serve)
                with LogCatcher() as records:
                    self.assertEqual(self.fetch(get(), server=server).status, 500)
                self.assertIs(records[0].exc_info[0], HTTPOutputError)

    def test_a144_one_length_on_the_wire(self):
        def serve(request):
            headers = HTTPHeaders()
            headers["content-length"] = "7"
            headers["Content-length"] = "2"
            request.connection.respond(200, "OK", headers, b"ok")

        self.serve(serve)
        client = self.connect(data=get(headers="Connection: close\r\n"))
        self.assertEqual(client.read_rest().lower().count(b"content-length"), 1)

    def test_line_breaks_in_headers(self):
        self.serve(functools.partial(answer, X="a\r\nSet-Cookie: b"))
        with LogCatcher():
            response = self.fetch(get())
        self.assertEqual(response.status, 500)
        self.assertNotIn("Set-Cookie", response.headers)

    def test_misuse(self):
        errors = []

        def serve(request):
            connection = request.connection
            for wrong in (connection.finish,
                          lambda: connection.write_headers(OK, HTTPHeaders(A="b\nc"))):
                try:
                    wrong()
                except HTTPOutputError as error:
                    errors.append(error)
            connection.write_headers(OK, HTTPHeaders())
            try:
                connection.write_headers(OK, HTTPHeaders())
            except HTTPOutputError as error:
                errors.append(error)
            connection.finish()
            connection.finish()

        self.serve(serve)
        self.assertEqual(self.fetch(get()).chunks, [])
        self.assertEqual(len(errors), 3)

    def test_write_callbacks(self):
        called = []

        def serve(request):
            connection = request.connection
            connection.write_headers(OK, HTTPHeaders(), b"a", lambda: called.append("head"))
            connection.write(b"b", lambda: called.append("body"))
            connection.write(b"", lambda: called.append("nothing"))
            self.assertEqual(called, [])
            connection.finish()

        self.serve(serve)
        self.assertEqual(self.fetch(get()).body, b"ab")
        self.run_until(lambda: len(called) == 3)
        self.assertEqual(called, ["head", "body", "nothing"])

    def test_b124_write_after_close(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get())
        self.run_until(lambda: waiting.requests)
        client.abort()
        self.run_until(lambda: not self.server.connection_count())
        connection = waiting.requests[0].connection
        with LogCatcher() as records:
            self.assertRaises(StreamClosedError, connection.write_headers, OK, HTTPHeaders())
            self.assertRaises(StreamClosedError, connection.write, b"x")
            connection.finish()
            self.turn(times=3)
        self.assertEqual(records, [])

    def test_b124_disconnect_during_a_large_write(self):
        events = []

        def serve(request):
            connection = request.connection
            connection.set_close_callback(lambda: events.append("closed"))
            connection.write_headers(OK, HTTPHeaders(), b"x" * (32 << 20),
                                     lambda: events.append("written"))

        self.serve(serve)
        with LogCatcher() as records:
            client = self.connect(data=get(), receive_buffer=4096)
            client.wait_for(lambda: client.data)
            client.abort()
            self.run_until(lambda: events)
            self.turn(0.01, times=3)
        self.assertEqual(events, ["closed"])
        self.assertEqual(records, [])
