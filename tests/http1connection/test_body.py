"""Bodies of requests: whole and streamed, chunked and compressed, expected and refused."""
from __future__ import absolute_import, division, print_function

import logging
import random
import socket

from friendserve.protocol.errors import HTTPInputError
from tests.httpcase import (
    Delegate, HTTPCase, LogCatcher, Recorder, Waiting, answer, echo, get, head_of, post,
    post_chunked, respond)

SEED = 20091110
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyTest(HTTPCase):
    def test_length(self):
        self.serve(echo)
        client = self.connect(data=post(b"hello") + post(b"") + post(b"x" * 300000) + get())
        for wanted in (b"hello", b"", b"x" * 300000, b""):
            self.assertEqual(client.read_response().body, wanted)

    def test_b144_post_without_length(self):
        self.serve(echo)
        client = self.connect(data=b"POST / HTTP/1.1\r\nHost: a\r\n\r\n" + post(b"next"))
        self.assertEqual(client.read_response().body, b"")
        self.assertEqual(client.read_response().body, b"next")

    def test_b128_chunked(self):
        self.serve(echo)
        client = self.connect(data=post_chunked(b"a", b"bc") + post_chunked() + get())
        for wanted in (b"abc", b"", b""):
            self.assertEqual(client.read_response().body, wanted)

    def test_a120_body_of_a_get(self):
        self.serve(echo)
        for method in (b"GET", b"DELETE", b"OPTIONS"):
            client = self.connect(data=post(get("/evil")).replace(b"POST", method) + get())
            self.assertEqual(client.read_response().body, get("/evil"))
            self.assertEqual(client.read_response().body, b"")
            client.receive()
            self.assertEqual(client.data, b"")

    def test_b498_together_with_its_head_and_cut_anywhere(self):
        self.serve(echo)
        data = post(b"hello") + post(b"") + post_chunked(b"wor", b"ld") + post(b"!") + get()
        for cut in range(len(data) + 1):
            client = self.connect(data=data[:cut])
            self.turn(times=2)
            client.send(data[cut:])
            for wanted in (b"hello", b"", b"world", b"!", b""):
                self.assertEqual(wanted, client.read_response().body, cut)
            client.close()

    def test_b498_no_more_than_one_buffer_while_the_response_is_pending(self):
        for first, rest in ((post(b"x" * 2000), b""), (post(b"x" * 5000)[:-1], b"x"),
                            (get(), b""), (post(b"x") + get() * 1500, b"")):
            waiting = Waiting()
            self.serve(waiting)
            client = self.connect(data=first)
            self.turn(times=2)
            client.send(rest)
            self.run_until(lambda: waiting.requests)
            self.check_pipelining_is_bounded(client, waiting, 20)
            client.close()

    def test_b498_paused_before_it_is_read(self):
        class Pausing(Waiting):
            def start_body(self, request):
                self.connection = request.connection
                self.connection.pause_reading()

        waiting = Pausing()
        self.serve(waiting)
        client = self.connect(data=post(b"hello"))
        self.turn(0.01, times=5)
        self.assertEqual([], waiting.requests)
        waiting.connection.resume_reading()
        self.run_until(lambda: waiting.requests)
        answer(waiting.requests[0])
        self.assertEqual(b"hello", waiting.requests[0].body)
        client.read_response()

    def test_b146_byte_by_byte(self):
        self.serve(echo)
        client = self.connect()
        head, body = head_of(post(b"0123456789" * 300))
        client.send(head)
        for position in range(len(body)):
            client.send(body[position:position + 1])
            self.turn()
        self.assertEqual(client.read_response().body, body)

    def test_b146_one_megabyte_in_tiny_pieces(self):
        # The server keeps their bytes, not an object for each.
        held = []
        self.serve(echo)
        client = self.connect()
        size = 1 << 20
        head, body = head_of(post(b"x" * size))
        client.send(head)
        for position in range(0, 40000, 2):
            client.send(body[position:position + 2])
            self.turn()
        for connection in self.server._connections:
            held.append(len(connection._body.pieces))
        client.send(body[40000:])
        self.assertEqual(len(client.read_response().body), size)
        self.assertLess(held[0], 100)

    def test_chunks_cut_at_random(self):
        self.serve(echo)
        generator = random.Random(SEED)
        for _ in range(20):
            chunks = [b"x" * generator.randint(1, 3000) for _ in range(5)]
            data = post_chunked(*chunks) + get()
            client = self.connect()
            while data:
                size = generator.randint(1, 2000)
                client.send(data[:size])
                data = data[size:]
                self.turn()
            self.assertEqual(client.read_response().body, b"".join(chunks))
            self.assertEqual(client.read_response().body, b"")

    def test_a053_million_small_chunks(self):
        self.serve(lambda request: answer(request, str(len(request.body)).encode("ascii")))
        busy, other = self.connect(), self.connect()
        count = 1000000
        data = memoryview(head_of(post_chunked())[0] + b"1\r\na\r\n" * count + b"0\r\n\r\n")
        answered = 0
        while len(data):
            # The kernel's buffers are full before the other client sends its request, which need
            # not wait until all of this is parsed.
            try:
                while len(data):
                    data = data[busy.sock.send(data):]
            except EnvironmentError:
                other.send(get())
                answered += other.read_response().status == 200
        self.assertGreater(answered, 2)
        self.assertEqual(busy.read_response().body, str(count).encode("ascii"))

    def test_a114_end_of_input_inside_a_body(self):
        served = []
        self.serve(served.append)
        for data in (post(b"hello")[:-1], post_chunked(b"hello")[:-2], post_chunked(b"hello")[:-5]):
            client = self.connect(data=data)
            client.end()
            self.assertEqual(client.read_rest(), b"")
        self.assertEqual(served, [])


class LimitTest(HTTPCase):
    def test_b140_refused_by_its_length(self):
        served = []
        self.serve(served.append, max_body_size=1000)
        for _ in range(50):
            client = self.connect(data=head_of(post(b"x" * 1001))[0])
            # Before a byte of the body has arrived.
            self.assertEqual(client.read_response().status, 413)
            client.close()
        self.run_until(lambda: not self.server.connection_count())
        self.assertEqual(served, [])

    def test_b140_as_large_as_it_may_be(self):
        self.serve(echo, max_body_size=1000)
        for data in (post(b"x" * 1000), post_chunked(b"x" * 400, b"x" * 600)):
            self.assertEqual(self.fetch(data).body, b"x" * 1000)

    def test_a116_chunked_refused_at_the_limit(self):
        self.serve(echo, max_body_size=1000)
        data = post_chunked(b"x" * 600, b"x" * 500)
        client = self.connect(data=data[:-400])
        self.assertEqual(client.read_response().status, 413)

    def test_default_is_100_megabytes(self):
        self.serve(echo)
        head = head_of(post(b""))[0]
        for size, refused in ((100 << 20, False), ((100 << 20) + 1, True)):
            client = self.connect(data=head.replace(
                b"Length: 0", b"Length: " + str(size).encode("ascii")))
            self.turn(0.01, times=5)
            client.receive()
            self.assertIs(b"413" in client.data, refused)

    def test_max_buffer_size_is_the_limit_when_it_alone_is_given(self):
        self.serve(echo, max_buffer_size=5000)
        self.assertEqual(self.fetch(post(b"x" * 5000)).body, b"x" * 5000)
        self.assert_refused(post(b"x" * 5001), 413)
        # The head cannot be larger either, and is refused with a response.
        self.assert_refused(get(headers="X: " + "y" * 5000 + "\r\n"), 431)
        self.assert_refused(get(headers="X: " + "y" * 5000 + "\r\n")[:-4], 431)


class ExpectTest(HTTPCase):
    HEADERS = "Expect: 100-continue\r\n"

    def test_a138_100_continue_invites_the_body(self):
        self.serve(echo)
        head, body = head_of(post(b"hello", headers=self.HEADERS))
        client = self.connect(data=head)
        self.assertEqual(client.read(len(CONTINUE)), CONTINUE)
        client.send(body)
        self.assertEqual(client.read_response().body, b"hello")
        client.send(head.replace(b"100-continue", b"100-Continue"))
        self.assertEqual(client.read(len(CONTINUE)), CONTINUE)
        client.send(body + get())
        self.assertEqual(client.read_response().body, b"hello")
        self.assertEqual(client.read_response().body, b"")

    def test_a138_the_body_may_come_without_waiting_for_100_continue(self):
        self.serve(echo)
        client = self.connect(data=post(b"hello", headers=self.HEADERS))
        response = client.read_response()
        # RFC 9110 10.1.1 allows both, and one of them saves a packet.
        if response.status == 100:
            response = client.read_response()
        self.assertEqual(response.body, b"hello")
        self.assertEqual(client.data, b"")

    def test_a138_no_100_continue_for_http_1_0(self):
        self.serve(echo)
        head, body = head_of(post(b"hello", headers=self.HEADERS, version="1.0"))
        client = self.connect(data=head)
        self.turn(0.01, times=3)
        client.send(body)
        self.assertEqual(client.read_response().body, b"hello")

    def test_a138_no_100_continue_without_a_body(self):
        self.serve(echo)
        for data in (get(headers=self.HEADERS), post(b"", headers=self.HEADERS)):
            self.assertEqual(self.fetch(data).status, 200)

    def test_a138_other_expectations_are_refused(self):
        self.serve(echo)
        for value in ("other", "100-continue, other", "100"):
            self.assert_refused(post(b"x", headers="Expect: %s\r\n" % value), 417)

    def test_b129_no_100_continue_when_the_length_is_refused(self):
        self.serve(echo, max_body_size=4)
        head, body = head_of(post(b"hello", headers=self.HEADERS))
        client = self.connect(data=head)
        self.assertEqual(client.read_response().status, 413)
        self.assertEqual(client.read_rest(), b"")

    def test_b129_no_100_continue_when_the_head_is_answered(self):
        class Refuse(Recorder):
            def headers_received(self, start_line, headers):
                respond(self.connection, 401, "Unauthorized")

        self.serve(Delegate(Refuse))
        head, body = head_of(post(b"hello", headers=self.HEADERS))
        client = self.connect(data=head)
        response = client.read_response()
        self.assertEqual((response.status, response.headers["Connection"]), (401, "close"))
        # The client may still send the body: it must not be read as a request.
        client.send(get())
        self.assertEqual(client.read_rest(), b"")


class StreamedTest(HTTPCase):
    """B141, B142: bodies passed to a delegate piece by piece."""

    def serve_delegate(self, message_type=Recorder, **options):
        self.delegate = Delegate(message_type)
        self.serve(self.delegate, **options)
        return self.delegate

    def test_delegate(self):
        delegate = self.serve_delegate()
        client = self.connect(data=get("/a?b"))
        self.assertEqual(client.read_response().status, 200)
        message, = delegate.messages
        self.assertEqual(message.start_line[:3], ("GET", "/a?b", "HTTP/1.1"))
        self.assertEqual(message.headers["Host"], "example.com")
        self.assertEqual(message.events, ["headers", "finish"])
        client.close()
        self.run_until(lambda: delegate.closed)
        self.assertEqual(len(delegate.closed), 1)

    def test_pieces_as_they_come(self):
        delegate = self.serve_delegate()
        for data in (post(b"abcd"), post_chunked(b"ab", b"cd")):
            head, body = head_of(data)
            middle = body.index(b"c")
            client = self.connect(data=head + body[:middle])
            self.run_until(lambda: delegate.messages and "ab" in delegate.messages[-1].events)
            client.send(body[middle:] + get())
            self.assertEqual(client.read_response().body, b"abcd")
            self.assertEqual(delegate.messages[-1].events, ["headers", "ab", "cd", "finish"])
            self.assertEqual(client.read_response().body, b"")

    def test_pieces_are_bounded(self):
        delegate = self.serve_delegate(chunk_size=1000)
        body = b"x" * 100000
        self.assertEqual(self.fetch(post(body)).body, body)
        pieces = delegate.messages[0].pieces
        self.assertLessEqual(max(map(len, pieces)), 1000)

    def check_back_pressure(self, data, size):
        class Slow(Recorder):
            def data_received(self, chunk):
                Recorder.data_received(self, chunk)
                self.connection.pause_reading()

        delegate = self.serve_delegate(Slow, max_body_size=1 << 30)
        client = self.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sent = 0
        view = memoryview(data)
        try:
            while True:
                sent += client.sock.send(view[sent:sent + 65536])
                self.turn(times=2)
        except EnvironmentError:
            pass
        self.turn(0.01, times=5)
        message, = delegate.messages
        # One piece, and the bytes in the kernel's buffers.
        self.assertEqual(len(message.events), 2)
        stream = message.connection.stream
        self.assertLessEqual(len(stream._buffer), 2 * stream.read_chunk_size)
        self.assertLess(sent, len(data))
        view = view[sent:]

        def pump():
            if message.events[-1] != "finish":
                message.connection.resume_reading()
            return message.events[-1] == "finish"

        while len(view):
            try:
                view = view[client.sock.send(view[:65536]):]
            except EnvironmentError:
                pump()
                self.turn()
        self.run_until(pump)
        self.assertEqual(len(message.body()), size)
        self.assertEqual(message.events.count("finish"), 1)
        self.assertEqual(len(client.read_response().body), size)

    def test_b141_back_pressure(self):
        body = b"x" * (6 << 20)
        self.check_back_pressure(post(body), len(body))

    def test_b141_back_pressure_chunked(self):
        chunks = [b"x" * 100000] * 60
        self.check_back_pressure(post_chunked(*chunks), 6000000)

    def test_b141_paused_between_two_pieces(self):
        delegate = self.serve_delegate()
        head, body = head_of(post(b"abcdef"))
        client = self.connect(data=head + body[:2])
        self.run_until(lambda: delegate.messages and len(delegate.messages[0].events) == 2)
        message, = delegate.messages
        message.connection.pause_reading()
        for piece in (body[2:4], body[4:]):
            client.send(piece)
            self.turn(0.01, times=3)
            self.assertEqual(message.events, ["headers", "ab"])
        message.connection.resume_reading()
        self.assertEqual(client.read_response().body, b"abcdef")
        # Nothing is in progress any more: this does nothing.
        message.connection.pause_reading()
        message.connection.resume_reading()
        client.send(get())
        self.assertEqual(client.read_response().body, b"")

    def test_b141_paused_while_a_piece_is_on_its_way(self):
        # The piece is already queued on the loop when the application decides to pause.
        delegate = self.serve_delegate()
        head, body = head_of(post(b"abcdef"))
        client = self.connect(data=head)
        self.run_until(lambda: delegate.messages)
        message, = delegate.messages
        client.send(body[:2])
        self.turn()
        self.assertEqual(message.events, ["headers"])
        message.connection.pause_reading()
        for piece in (body[2:4], body[4:]):
            client.send(piece)
            self.turn(0.01, times=3)
            self.assertEqual(message.events, ["headers", "ab"])
        message.connection.resume_reading()
        self.assertEqual(client.read_response().body, b"abcdef")

    def test_b141_paused_at_the_end(self):
        class Slow(Recorder):
            def data_received(self, chunk):
                Recorder.data_received(self, chunk)
                self.connection.pause_reading()

        delegate = self.serve_delegate(Slow)
        client = self.connect(data=post(b"hello") + get())
        self.run_until(lambda: delegate.messages and len(delegate.messages[0].events) == 2)
        self.turn(0.01, times=3)
        message, = delegate.messages
        self.assertEqual(message.events, ["headers", "hello"])
        message.connection.resume_reading()
        self.assertEqual(client.read_response().body, b"hello")
        self.assertEqual(client.read_response().body, b"")

    def test_b141_limit_of_one_request(self):
        class Large(Recorder):
            def headers_received(self, start_line, headers):
                Recorder.headers_received(self, start_line, headers)
                if start_line.path == "/large":
                    self.connection.set_max_body_size(10000)

        self.serve_delegate(Large, max_body_size=100)
        for make in (post, post_chunked):
            client = self.connect(data=make(b"x" * 5000, path="/large"))
            self.assertEqual(client.read_response().status, 200)
            # For this request only.
            client.send(make(b"x" * 5000, path="/other"))
            self.assertEqual(client.read_response().status, 413)
            self.assertEqual(self.fetch(make(b"x" * 10001, path="/large")).status, 413)

    def test_b142_client_goes_half_way(self):
        for leave in ("close", "abort", "end"):
            delegate = self.serve_delegate()
            client = self.connect(data=post(b"hello")[:-2])
            self.run_until(lambda: delegate.messages and "hel" in delegate.messages[0].events)
            getattr(client, leave)()
            self.run_until(lambda: delegate.closed)
            self.turn(times=3)
            self.assertEqual(delegate.messages[0].events, ["headers", "hel", "close"])

    def test_b142_refused_half_way(self):
        delegate = self.serve_delegate(max_body_size=10)
        client = self.connect(data=post_chunked(b"hello")[:-5])
        self.run_until(lambda: delegate.messages and "hello" in delegate.messages[0].events)
        client.send(b"7\r\n")
        self.assertEqual(client.read_response().status, 413)
        self.assertEqual(client.read_rest(), b"")
        self.turn(times=3)
        self.assertEqual(delegate.messages[0].events, ["headers", "hello", "close"])

    def test_b131_delegate_fails_when_it_is_told_of_the_refusal(self):
        class Broken(Recorder):
            def on_connection_close(self):
                raise ValueError("from on_connection_close")

        self.serve_delegate(Broken, max_body_size=10)
        with LogCatcher() as records:
            client = self.connect(data=post_chunked(b"hello")[:-5] + b"7\r\n")
            rest = client.read_rest()
        self.assertEqual(rest.count(b"HTTP/1.1 "), 1)
        self.assertEqual([r.levelno for r in records].count(logging.ERROR), 1)

    def test_b131_each_step_of_a_delegate_fails(self):
        for step, closes in (("headers_received", 0), ("data_received", 1), ("finish", 0)):
            def fail(self, *args):
                raise ValueError("from a delegate")

            delegate = self.serve_delegate(type("Broken", (Recorder,), {step: fail}))
            with LogCatcher() as records:
                client = self.connect(data=post(b"hello") + get())
                self.assertEqual(client.read_response().status, 500, step)
                self.assertEqual(client.read_rest(), b"")
            self.assertEqual([r.levelno for r in records], [logging.ERROR])
            self.assertEqual(closes, delegate.messages[0].events.count("close"), step)

    def test_refused_by_a_delegate(self):
        class Strict(Recorder):
            def data_received(self, chunk):
                raise HTTPInputError("not what we want", 415)

        self.serve_delegate(Strict)
        self.assert_refused(post(b"hello") + get(), 415)

    def test_a119_answered_before_the_body(self):
        class Early(Recorder):
            def headers_received(self, start_line, headers):
                respond(self.connection, body=b"early")

        for data in (post(get("/evil")), post_chunked(get("/evil"))):
            delegate = self.serve_delegate(Early)
            head, body = head_of(data)
            client = self.connect(data=head)
            response = client.read_response()
            self.assertEqual(response.body, b"early")
            self.assertEqual(response.headers["Connection"], "close")
            client.send(body + get("/next"))
            self.assertEqual(client.read_rest(), b"")
            self.assertEqual(len(delegate.messages), 1)

    def test_a119_client_that_sends_all_of_it_first(self):
        class Early(Recorder):
            def headers_received(self, start_line, headers):
                respond(self.connection, body=b"early")

        self.serve_delegate(Early)
        client = self.connect(data=post(b"x" * (8 << 20)))
        self.assertEqual(client.read_response().body, b"early")
        self.assertEqual(client.read_rest(), b"")

    def test_a119_answered_half_way(self):
        class Early(Recorder):
            def data_received(self, chunk):
                Recorder.data_received(self, chunk)
                respond(self.connection, body=b"early")

        delegate = self.serve_delegate(Early)
        client = self.connect(data=post(get("/evil"))[:-20])
        self.assertEqual(client.read_response().body, b"early")
        client.send(get("/evil")[-20:] + get("/next"))
        self.assertEqual(client.read_rest(), b"")
        self.assertEqual(len(delegate.messages), 1)
        self.assertEqual(len(delegate.messages[0].events), 2)

    def test_b123_delegate_is_told(self):
        class Silent(Recorder):
            def finish(self):
                self.events.append("finish")

        delegate = self.serve_delegate(Silent)
        for number, data in enumerate((get(), post(b"hello"))):
            client = self.connect(data=data)
            self.run_until(lambda: len(delegate.messages) > number
                           and "finish" in delegate.messages[number].events)
            client.close()
            self.run_until(lambda: "close" in delegate.messages[-1].events)
            self.turn(times=3)
            self.assertEqual(delegate.messages[-1].events.count("close"), 1)
