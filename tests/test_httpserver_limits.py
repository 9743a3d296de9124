"""Limits of the HTTP server: time and memory that a client can use up."""
from __future__ import absolute_import, division, print_function

import gc
import logging
import socket
import unittest
import weakref

from friendserve.http1connection import HTTP1ConnectionParameters
from friendserve.httpserver import HTTPServer
from friendserve.httputil import HTTPHeaders, ResponseStartLine
from friendserve.iostream import StreamBufferFullError
from tests.httpcase import (
    SERVER_OPTIONS, Delegate, HTTPCase, LogCatcher, Recorder, answer, get, head_of, post,
    post_chunked)

try:
    import tracemalloc
except ImportError:  # version: py2
    tracemalloc = None

OK = ResponseStartLine("HTTP/1.1", 200, "OK")
#: Short enough for a test, in seconds.
SHORT = 0.2


class DefaultsTest(unittest.TestCase):
    def test_every_limit_is_on(self):
        params = HTTP1ConnectionParameters()
        for name in params.__slots__:
            if name not in ("no_keep_alive", "decompress"):
                self.assertGreater(getattr(params, name), 0, name)
                self.assertLess(getattr(params, name), 1 << 30, name)
        self.assertEqual(
            (params.header_timeout, params.idle_timeout, params.max_body_size,
             params.max_header_size, params.max_request_line, params.max_headers),
            (60, 75, 100 << 20, 65536, 8192, 100))
        self.assertEqual(HTTPServer(answer).handshake_timeout, 30)

    def test_each_is_an_argument_of_the_server(self):
        for name in HTTP1ConnectionParameters.__slots__:
            if name in ("decompress", "idle_timeout"):
                name = {"decompress": "decompress_request",
                        "idle_timeout": "idle_connection_timeout"}[name]
            HTTPServer(answer, **{name: 7})

    def test_timeouts_can_be_without_end(self):
        server = HTTPServer(answer, header_timeout=float("inf"))
        self.assertEqual(server.params.header_timeout, float("inf"))


class TimeCase(HTTPCase):
    """Servers whose other time limits are long, so that only the one under test applies."""
    TIMES = dict((name, 100) for name in (
        "header_timeout", "idle_connection_timeout", "body_timeout", "write_timeout",
        "response_timeout", "linger_timeout"))

    def serve_with(self, callback=answer, **options):
        return self.serve(callback, **dict(self.TIMES, **options))

    def trickle(self, client, data, tick=0.01):
        """Send `data` byte by byte until the server answers or closes; return the bytes sent."""
        sent = 0
        while not (client.receive() and client.data or client.ended):
            self.assertLess(sent, len(data), "the server did not stop it")
            client.send(data[sent:sent + 1])
            sent += 1
            # One turn reads the byte, and one waits.
            self.turn(tick, times=2)
        return sent


class TimeoutTest(TimeCase):
    """A206: limits count from the start, whatever trickles in."""

    def test_a206_head(self):
        self.serve_with(header_timeout=SHORT)
        for start in (b"", get()):
            client = self.connect(data=start)
            if start:
                self.assertEqual(client.read_response().status, 200)
            with LogCatcher() as records:
                sent = self.trickle(client, get(headers="X: %s\r\n" % ("y" * 3000)))
                self.assertGreater(sent, 3)
                response = client.read_response()
                self.assertEqual(client.read_rest(), b"")
            self.assertEqual((response.status, response.headers["Connection"]), (408, "close"))
            self.assertEqual([record.levelno for record in records], [logging.INFO])

    def test_a206_head_of_which_one_byte_came(self):
        self.serve_with(header_timeout=SHORT)
        client = self.connect(data=b"G")
        self.assertEqual(client.read_response().status, 408)
        self.assertEqual(client.read_rest(), b"")

    def test_a206_empty_lines(self):
        self.serve_with(header_timeout=SHORT)
        client = self.connect(data=b"\r\n")
        self.assertEqual(client.read_response().status, 408)

    def test_a206_nothing_at_all(self):
        self.serve_with(idle_connection_timeout=SHORT)
        with LogCatcher() as records:
            self.assertEqual(self.connect().read_rest(), b"")
        self.assertEqual(records, [])

    def test_a206_b143_body(self):
        self.serve_with(body_timeout=SHORT)
        for data in (post(b"x" * 3000), post_chunked(b"x" * 3000)):
            head, body = head_of(data)
            client = self.connect(data=head)
            self.assertGreater(self.trickle(client, body), 3)
            self.assertEqual(client.read_response().status, 408)
            self.assertEqual(client.read_rest(), b"")

    def test_b143_streamed_body(self):
        class Own(Recorder):
            def headers_received(self, start_line, headers):
                Recorder.headers_received(self, start_line, headers)
                self.connection.set_body_timeout(SHORT)

        delegate = Delegate(Own)
        self.serve_with(delegate, idle_connection_timeout=4 * SHORT)
        head, body = head_of(post(b"x" * 3000))
        client = self.connect(data=head)
        self.assertGreater(self.trickle(client, body), 3)
        self.assertEqual(client.read_response().status, 408)
        self.assertEqual(client.read_rest(), b"")
        self.assertEqual(delegate.messages[0].events[-1], "close")

    def test_b141_the_time_of_a_pause_does_not_count(self):
        class Slow(Recorder):
            def data_received(self, chunk):
                Recorder.data_received(self, chunk)
                self.connection.pause_reading()

        delegate = Delegate(Slow)
        self.serve_with(delegate, body_timeout=SHORT)
        head, body = head_of(post(b"hello"))
        client = self.connect(data=head + body[:2])
        self.run_until(lambda: delegate.messages and len(delegate.messages[0].events) == 2)
        ended = []
        self.loop.call_later(3 * SHORT, lambda: ended.append(1))
        self.run_until(lambda: ended)
        delegate.messages[0].connection.resume_reading()
        client.send(body[2:])
        self.run_until(lambda: len(delegate.messages[0].events) == 3)
        delegate.messages[0].connection.resume_reading()
        self.assertEqual(client.read_response().body, b"hello")

    def test_a206_b090_tls_handshake(self):
        self.serve_with(ssl_options=SERVER_OPTIONS, handshake_timeout=SHORT)
        silent = self.connect()
        half = self.connect(data=b"\x16\x03\x01\x02\x00\x01")
        good = self.connect_tls(data=get())
        self.assertEqual(good.read_response().status, 200)
        with LogCatcher() as records:
            for client in (silent, half):
                client.wait_for(lambda: client.ended)
        self.assertFalse([record for record in records if record.levelno > logging.INFO])
        good.send(get())
        self.assertEqual(good.read_response().status, 200)

    def test_b125_idle(self):
        self.serve_with(idle_connection_timeout=SHORT)
        clients = [self.connect(data=get()) for _ in range(20)]
        with LogCatcher() as records:
            for client in clients:
                self.assertEqual(client.read_response().status, 200)
                self.assertEqual(client.read_rest(), b"")
        self.assertEqual(records, [])
        self.run_until(lambda: not self.server.connection_count())

    def test_idle_counts_from_the_last_response(self):
        self.serve_with(idle_connection_timeout=3 * SHORT)
        client = self.connect()
        for _ in range(10):
            client.send(get())
            self.assertEqual(client.read_response().status, 200)
            ended = []
            self.loop.call_later(SHORT / 2, lambda: ended.append(1))
            self.run_until(lambda: ended)

    def test_b126_request_that_comes_too_late(self):
        connections = []
        self.serve_with(lambda request: (connections.append(request.connection), answer(request)),
                        idle_connection_timeout=SHORT)
        client = self.connect(data=get())
        client.read_response()
        with LogCatcher() as records:
            self.server.now += 1000
            client.sock.send(get()[:10])
            connections[0].check_time(self.server.now)
            client.wait_for(lambda: client.ended)
            client.send(get()[10:])
            self.turn(0.01, times=3)
        self.assertEqual(client.data, b"")
        self.assertEqual(records, [])

    def test_b152_no_answer(self):
        requests = []
        self.serve_with(requests.append, response_timeout=SHORT)
        client = self.connect(data=get("/forgotten"))
        with LogCatcher() as records:
            self.assertEqual(client.read_rest(), b"")
        self.assertIn("/forgotten", records[0].message)
        self.assertEqual([record.levelno for record in records], [logging.WARNING])

    def test_response_that_goes_on(self):
        requests = []
        self.serve_with(requests.append, response_timeout=2 * SHORT)
        client = self.connect(data=get())
        self.run_until(lambda: requests)
        connection = requests[0].connection
        connection.write_headers(OK, HTTPHeaders(), b"x")
        for _ in range(10):
            ended = []
            self.loop.call_later(SHORT / 2, lambda: ended.append(1))
            self.run_until(lambda: ended)
            connection.write(b"x")
        connection.finish()
        self.assertEqual(client.read_response().body, b"x" * 11)

    def test_linger(self):
        self.serve_with(linger_timeout=SHORT)
        client = self.connect(data=b"bad\r\n\r\n")
        self.assertEqual(client.read_response().status, 400)
        self.assertEqual(client.read_rest(), b"")
        # The client keeps its side open; the server does not wait forever.
        self.run_until(lambda: not self.server.connection_count())

    def test_short_times_do_not_spin_the_loop(self):
        self.serve_with(header_timeout=0)
        self.connect()
        self.run_until(self.server.connection_count)
        turns, end = 0, self.loop.time() + 0.1
        while self.loop.time() < end:
            self.turn(0.1)
            turns += 1
        self.assertLess(turns, 40)

    def test_sweeps_end_with_the_last_connection(self):
        self.serve_with(idle_connection_timeout=SHORT)
        client = self.connect(data=get())
        client.read_rest()
        client.close()

        def no_timer_is_due():
            start = self.loop.time()
            self.turn(SHORT)
            return self.loop.time() - start > 0.9 * SHORT

        self.run_until(no_timer_is_due)
        self.assertEqual(self.fetch(get()).status, 200)


class WriteTest(TimeCase):
    """A207: a client that does not read."""

    def produce(self, made, size=1 << 30, piece=b"x" * 65536):
        """A callback that sends `size` bytes, each piece when the previous one has been sent."""
        def serve(request):
            connection = request.connection

            def more():
                made.append(len(piece))
                if sum(made) < size:
                    connection.write(piece, more)
                else:
                    connection.finish()

            connection.write_headers(OK, HTTPHeaders({"Content-Length": str(size)}))
            more_first(connection, more)

        def more_first(connection, more):
            made.append(len(piece))
            connection.write(piece, more)

        return serve

    def test_a207_producer_waits(self):
        made, streams = [], []
        produce = self.produce(made)
        self.serve_with(lambda request: (streams.append(request.connection.stream),
                                         produce(request)))
        client = self.connect(data=get(), receive_buffer=4096)
        before = -1
        while before != len(made):
            before = len(made)
            self.turn(0.01, times=10)
        # The bytes in the kernel's buffers, and one piece.
        self.assertLess(sum(made), 32 << 20)
        self.assertLessEqual(len(streams[0]._out), 65536 + 1000)
        client.close()

    def test_a207_write_timeout(self):
        made, closed = [], []
        serve = self.produce(made)
        self.serve_with(lambda request: (
            request.connection.set_close_callback(lambda: closed.append(1)), serve(request)),
            write_timeout=SHORT)
        with LogCatcher() as records:
            client = self.connect(data=get(), receive_buffer=4096)
            client.wait_for(lambda: client.data)
            self.run_until(lambda: closed)
        self.assertEqual(len(records), 1)
        self.assertEqual(records[0].levelno, logging.INFO)
        self.assertEqual(0, self.server.connection_count())

    def test_a207_write_timeout_of_a_whole_response(self):
        self.serve_with(lambda request: answer(request, b"x" * (32 << 20)), write_timeout=SHORT)
        client = self.connect(data=get(), receive_buffer=4096)
        client.wait_for(lambda: client.data)
        self.run_until(lambda: not self.server.connection_count())

    def test_nothing_of_a_stalled_client_is_kept_when_all_have_left(self):
        streams = []

        def serve(request):
            streams.append(weakref.ref(request.connection.stream))
            answer(request, b"x" * (32 << 20))

        # The other limit only makes the server look often.
        server = self.serve_with(serve, header_timeout=SHORT)
        client = self.connect(data=get(), receive_buffer=4096)
        client.wait_for(lambda: client.data)
        # It has not read for some of these looks.
        self.turn(SHORT / 4, times=6)
        client.abort()
        self.run_until(lambda: not server.connection_count())
        self.run_until(lambda: server._sweep_timer is None)
        gc.collect()
        self.assertIsNone(streams[0]())

    def test_a207_slow_is_not_stalled(self):
        size = 2 << 20
        self.serve_with(lambda request: answer(request, b"x" * size), write_timeout=2 * SHORT)
        client = self.connect(data=get(), receive_buffer=4096)
        received = [0]
        deadline = self.loop.time() + 5 * SHORT

        def slowly():
            client.receive(4096)
            received[0] += len(client.data)
            client.data = b""
            return self.loop.time() > deadline

        self.run_until(slowly)
        self.assertEqual(1, self.server.connection_count())

    def test_max_write_buffer_size(self):
        errors = []

        def serve(request):
            connection = request.connection
            connection.write_headers(OK, HTTPHeaders())
            try:
                while True:
                    connection.write(b"x" * 100000)
            except StreamBufferFullError as error:
                errors.append(error)
                connection.close()

        self.serve_with(serve, max_write_buffer_size=1000000)
        client = self.connect(data=get())
        client.wait_for(lambda: client.ended)
        self.assertEqual(len(errors), 1)

    def test_a208_no_second_response_for_a_client_that_does_not_read(self):
        served = []
        self.serve_with(lambda request: (served.append(1), answer(request, b"x" * (16 << 20))))
        client = self.connect(data=get() * 100, receive_buffer=4096)
        client.wait_for(lambda: client.data)
        self.turn(0.01, times=20)
        self.assertLess(len(served), 3)


class MemoryTest(HTTPCase):
    if tracemalloc is not None:
        def test_b125_idle_connections_are_small(self):
            self.serve(idle_connection_timeout=1000)
            count = 100

            def open_some():
                for _ in range(count):
                    client = self.connect(data=post(b"x" * 50000))
                    self.assertEqual(client.read_response().status, 200)

            open_some()
            gc.collect()
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            # Clients count too: each is a socket and a small object.
            open_some()
            gc.collect()
            self.assertEqual(self.server.connection_count(), 2 * count)
            snapshot = tracemalloc.take_snapshot().filter_traces([
                tracemalloc.Filter(True, "*/friendserve/*"),
                tracemalloc.Filter(True, socket.__file__)])
            size = sum(trace.size for trace in snapshot.traces) / count
            # Nothing of the request is kept.
            self.assertLess(size, 5000)

    def test_b125_nothing_of_the_last_request_is_kept(self):
        connections = []
        self.serve(lambda request: (connections.append(request.connection), answer(request)))
        client = self.connect(data=post(b"x" * 50000))
        client.read_response()
        connection, = connections
        for name in ("request", "_body", "_close_callback", "_stop_callback"):
            self.assertIsNone(getattr(connection, name))
        self.assertEqual(len(connection.stream._buffer), 0)
        self.assertIsNone(connection.stream._out)

    def test_b140_memory_of_refused_uploads_returns(self):
        self.serve(max_body_size=1000)
        for _ in range(50):
            client = self.connect(data=head_of(post(b"x" * 2000))[0])
            self.assertEqual(client.read_response().status, 413)
            client.close()
        self.run_until(lambda: not self.server.connection_count())


class LogVolumeTest(HTTPCase):
    def test_b238_a_flood_of_bad_connections_is_a_line_each(self):
        self.serve()
        bad = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b"\r\n" * 1000,
               b"GET / HTTP/9.9\r\n\r\n", b"SSH-2.0-scan\r\n", b"\xff" * 70000 + b"\r\n\r\n",
               b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n"]
        count = 0
        with LogCatcher() as records:
            for _ in range(15):
                for data in bad:
                    client = self.connect(data=data)
                    client.wait_for(lambda: client.ended)
                    client.close()
                    count += 1
                # Clients that only connect, and clients that disconnect in the middle.
                for data in (b"", b"GET / HT"):
                    client = self.connect(data=data)
                    client.abort()
        self.turn(times=3)
        self.assertLessEqual(len(records), count)
        for record in records:
            self.assertIsNone(record.exc_info)
            self.assertEqual(logging.INFO, record.levelno)
            self.assertLess(len(record.message), 200)
            self.assertEqual(1, len(record.message.splitlines()), record.message)
