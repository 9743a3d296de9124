"""One connection of the HTTP server: order, framing, refusals, and the ways it can end."""
from __future__ import absolute_import, division, print_function

import contextlib
import functools
import logging
import socket

from friendserve.httputil import HTTPHeaders, ResponseStartLine
from friendserve.iostream import StreamClosedError
from friendserve.protocol.http1 import MAX_EMPTY_LINES
from friendserve.stack_context import StackContext
from tests.httpcase import HTTPCase, LogCatcher, Waiting, answer, get, post, post_chunked
from tests.loopcase import stack_depth

OK = ResponseStartLine("HTTP/1.1", 200, "OK")


class OrderTest(HTTPCase):
    def serve_paths(self, **options):
        """A server that responds with the path of the request."""
        return self.serve(lambda request: answer(request, request.uri.encode("ascii")), **options)

    def test_b120_three_requests(self):
        self.serve_paths()
        client = self.connect()
        for path in ("/1", "/2", "/3"):
            client.send(get(path))
            response = client.read_response()
            self.assertEqual((response.status, response.body), (200, path.encode("ascii")))
            self.assertNotIn("Connection", response.headers)

    def test_b120_http_1_0(self):
        self.serve_paths()
        client = self.connect(data=get("/1", version="1.0"))
        response = client.read_response()
        self.assertEqual(response.headers["Connection"], "close")
        self.assertEqual(client.read_rest(), b"")

    def test_b120_http_1_0_keep_alive(self):
        self.serve_paths()
        client = self.connect()
        for path in ("/1", "/2"):
            client.send(get(path, "Connection: Keep-Alive\r\n", version="1.0"))
            response = client.read_response()
            self.assertEqual(response.headers["Connection"].lower(), "keep-alive")
            self.assertEqual(response.body, path.encode("ascii"))

    def test_b120_close(self):
        self.serve_paths()
        for value in ("close", "CLOSE", "foo, Close"):
            client = self.connect(data=get("/1", "Connection: %s\r\n" % value))
            self.assertEqual(client.read_response().headers["Connection"], "close")
            self.assertEqual(client.read_rest(), b"")

    def test_b120_no_keep_alive(self):
        self.serve_paths(no_keep_alive=True)
        for version in ("1.0", "1.1"):
            client = self.connect(data=get("/1", "Connection: keep-alive\r\n", version))
            self.assertEqual(client.read_response().headers["Connection"], "close")
            self.assertEqual(client.read_rest(), b"")

    def test_b120_the_application_closes(self):
        self.serve(functools.partial(answer, Connection="close"))
        client = self.connect(data=get() + get())
        self.assertEqual(client.read_response().headers["Connection"], "close")
        self.assertEqual(client.read_rest(), b"")

    def test_b121_pipelined(self):
        self.serve_paths()
        for count in (2, 100):
            client = self.connect(data=b"".join(get("/%d" % i) for i in range(count)))
            for i in range(count):
                self.assertEqual(client.read_response().body, b"/%d" % i
                                 if str is bytes else str("/%d" % i).encode("ascii"))

    def test_a208_10000_pipelined(self):
        waiting = Waiting()
        self.serve(waiting)
        self.check_pipelining_is_bounded(self.connect(), waiting, 200)

    def test_a208_all_of_them_are_answered(self):
        served = []
        self.serve(lambda request: (served.append(1), answer(request)))
        client = self.connect()
        count = 10000
        data = memoryview(get() * count)
        while len(data):
            try:
                data = data[client.sock.send(data):]
            except socket.error:
                client.receive()
                self.turn()
        for _ in range(count):
            if len(served) < count:
                # Not received after each: all that was received so far is copied then.
                self.turn(times=50)
                client.receive(1 << 20)
        client.wait_for(lambda: client.data.count(b"HTTP/1.1 200 OK") == count)
        self.assertEqual(len(served), count)

    def test_a135_empty_lines_before_a_request_cut_anywhere(self):
        self.serve_paths()
        client = self.connect()
        for count in range(MAX_EMPTY_LINES + 1):
            lines = b"\r\n" * count
            data = lines + get("/1")
            for position in range(1, len(lines) + 4):
                client.send(data[:position])
                self.turn(0.01)
                client.send(data[position:])
                response = client.read_response()
                self.assertEqual((200, b"/1"), (response.status, response.body),
                                 (count, position))

    def test_a118_in_order_when_the_first_is_slow(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get("/1") + get("/2") + get("/3"))
        self.run_until(lambda: waiting.requests)
        self.turn(0.01, times=3)
        self.assertEqual(waiting.paths(), ["/1"])
        for number in (1, 2, 3):
            self.run_until(lambda: len(waiting.requests) == number)
            answer(waiting.requests[-1], str(number).encode("ascii"))
            self.assertEqual(client.read_response().body, str(number).encode("ascii"))

    def test_a118_while_the_first_is_streamed(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=get("/1") + get("/2"))
        self.run_until(lambda: waiting.requests)
        connection = waiting.requests[0].connection
        connection.write_headers(OK, HTTPHeaders(), b"a")
        self.turn(times=3)
        connection.write(b"b")
        self.turn(times=3)
        self.assertEqual(waiting.paths(), ["/1"])
        connection.finish()
        self.assertEqual(client.read_response().chunks, [b"a", b"b"])
        self.run_until(lambda: waiting.paths() == ["/1", "/2"])

    def test_b122_first_closes(self):
        paths = []

        def serve(request):
            paths.append(request.path)
            request.connection.close()

        self.serve(serve)
        client = self.connect(data=get("/1") + get("/2"))
        client.wait_for(lambda: client.ended)
        self.turn(times=3)
        self.assertEqual(paths, ["/1"])

    def test_b122_client_goes_in_the_middle(self):
        for leave in ("close", "abort"):
            waiting = Waiting()
            self.serve(waiting)
            client = self.connect(data=get("/1") + get("/2"))
            self.run_until(lambda: waiting.requests)
            getattr(client, leave)()
            self.turn(0.01, times=3)
            answer_quietly(waiting.requests[0])
            self.turn(0.01, times=3)
            if leave == "abort":
                self.assertEqual(waiting.paths(), ["/1"])

    def test_b122_first_detaches(self):
        paths, streams = [], []

        def serve(request):
            paths.append(request.path)
            request.connection.write_headers(
                ResponseStartLine("HTTP/1.1", 101, "Switching Protocols"),
                HTTPHeaders({"Connection": "Upgrade", "Upgrade": "echo"}))
            streams.append(request.connection.detach())

        self.serve(serve)
        headers = "Connection: Upgrade\r\nUpgrade: echo\r\n"
        client = self.connect(data=get("/1", headers) + get("/2"))
        response = client.read_response()
        self.assertEqual((response.status, response.headers["Upgrade"]), (101, "echo"))
        for name in ("Content-Length", "Transfer-Encoding"):
            self.assertNotIn(name, response.headers)
        # The unread bytes belong to the new owner, as do those that follow.
        stream, = streams
        self.addCleanup(stream.close)
        received = []
        stream.read_bytes(len(get("/2")) + 4, received.append)
        client.send(b"more")
        self.run_until(lambda: received)
        self.assertEqual(received, [get("/2") + b"more"])
        stream.write(b"echo")
        self.assertEqual(client.read(4), b"echo")
        self.assertEqual(paths, ["/1"])
        self.assertEqual(0, self.server.connection_count())

    def test_a139_upgrade_that_is_refused(self):
        self.serve(lambda request: answer(request, status=426, reason="Upgrade Required",
                                          Upgrade="websocket", Connection="Upgrade"))
        headers = "Connection: Upgrade\r\nUpgrade: h2c\r\n"
        client = self.connect(data=get("/1", headers) + get("/2"))
        self.assertEqual(client.read_response().status, 426)
        self.assertEqual(client.read_response().status, 426)

    def test_a117_nothing_is_run_after_a_refusal(self):
        served = []
        self.serve(served.append)
        client = self.connect(data=b"GET / HTTP/1.1\r\nbad line\r\n\r\n" + get() * 3)
        self.assertEqual(client.read_response().status, 400)
        client.send(get())
        self.assertEqual(client.read_rest(), b"")
        self.assertEqual(served, [])

    def test_b158_no_context_leaks_to_the_next_request(self):
        seen = []

        @contextlib.contextmanager
        def context():
            yield

        def serve(request):
            seen.append(stack_depth())
            with StackContext(context):
                answer(request)

        self.serve(serve)
        client = self.connect(data=get() * 3)
        for _ in range(3):
            client.read_response()
        self.assertEqual(seen, [0] * 3)


def answer_quietly(request):
    try:
        answer(request)
    except StreamClosedError:
        pass


class RefusalTest(HTTPCase):
    """B127: a response that can be read, a close without a reset, one log line."""

    def test_b127_each_status(self):
        self.serve(max_body_size=100, max_header_size=1000, max_request_line=200, max_headers=5)
        for status, data in [
                (400, b"GET / HTTP/1.1\r\nbad\r\n\r\n"),
                (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
                (413, post(b"x" * 101)), (413, post_chunked(b"x" * 60, b"x" * 60)),
                (414, get("/" + "a" * 200)), (431, get(headers="X: y\r\n" * 6)),
                (431, get(headers="X: %s\r\n" % ("y" * 1000))), (417, get(headers="Expect: x\r\n")),
                (405, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")]:
            self.assert_refused(data, status)
            # The same for the second request.
            client = self.connect(data=get())
            self.assertEqual(client.read_response().status, 200)
            client.send(data)
            self.assertEqual(client.read_response().status, status, data[:100])
            self.assertEqual(client.read_rest(), b"")

    def test_a037_one_line_without_traceback(self):
        self.serve()
        self.assert_refused(b"GET / HTTP/1.1\r\n\r\n", 400)

    def test_what_the_client_sent_cannot_forge_the_answer(self):
        self.serve()
        response = self.assert_refused(b"GET / HTTP/1.1\r\nX\xff\x1b[31m<b>\r\n\r\n", 400)
        self.assertNotIn(b"\x1b", response.body)
        self.assertEqual(response.headers["Content-Type"], "text/plain; charset=us-ascii")

    def test_b075_client_is_still_sending(self):
        self.serve(max_body_size=1000, linger_timeout=20)
        size = 8 * 1024 * 1024
        client = self.connect(data=post(b"")[:-4].replace(
            b"Content-Length: 0", b"Content-Length: %d" % size if str is bytes
            else b"Content-Length: " + str(size).encode("ascii")) + b"\r\n\r\n")
        # The client sends everything before it reads the response.
        client.send(b"x" * size)
        self.assertEqual(client.read_response().status, 413)
        self.assertEqual(client.read_rest(), b"")

    def test_b075_client_never_stops_sending(self):
        self.serve(linger_timeout=0.2)
        client = self.connect(data=b"bad\r\n\r\n")
        self.assertEqual(client.read_response().status, 400)

        def send():
            try:
                client.sock.send(b"x" * 1000)
            except socket.error:
                pass
            return not self.server.connection_count()

        self.run_until(send)

    def test_a136_silence_and_port_scans(self):
        self.serve()
        with LogCatcher() as records:
            self.connect().close()
            self.connect().abort()
            client = self.connect(data=b"\x16\x03\x01\x02\x00\x01")
            client.read_rest()
            client.close()
            self.run_until(lambda: not self.server.connection_count())
        self.assertEqual(len(records), 1)
        self.assertEqual(records[0].levelno, logging.INFO)

    def test_one_bad_client_harms_no_other(self):
        self.serve()
        good = [self.connect() for _ in range(3)]
        for data in (b"bad\r\n\r\n", get()[:-10], b"\x00" * 100, post(b"x" * 50)[:-10]):
            bad = [self.connect(data=data), self.connect(data=data)]
            for client in good:
                client.send(get())
                self.assertEqual(client.read_response().status, 200)
            bad[0].abort()

    def test_head_of_a_refused_head_request(self):
        self.serve(max_body_size=5)
        client = self.connect(
            data=b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789")
        self.assertEqual(client.read_response("HEAD").status, 413)
        self.assertEqual(client.read_rest(), b"")
