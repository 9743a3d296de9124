"""The states of a server's connection: each move it makes is in the table, any other raises."""
from __future__ import absolute_import, division, print_function

import socket

from friendserve.http1connection import HTTP1ServerConnection
from friendserve.httpserver import HTTPServer
from friendserve.httputil import HTTPHeaders, ResponseStartLine
from friendserve.netutil import bind_sockets
from friendserve.protocol.http1 import (
    BODY, CLOSING, DONE, HEAD, IDLE, MOVES, RESPONDING, UPGRADED)
from tests.httpcase import (
    Delegate, HTTPCase, LogCatcher, Recorder, Waiting, answer, get, head_of, post, post_chunked)

OK = ResponseStartLine("HTTP/1.1", 200, "OK")
SERVED = [HEAD, RESPONDING, DONE, IDLE]
SERVED_BODY = [HEAD, BODY, RESPONDING, DONE, IDLE]
#: Bytes of the buffers of both sockets, and of a response that does not fit into them.
SOCKET_BUFFER = 1 << 16
LARGE = 1 << 20


class WatchedConnection(HTTP1ServerConnection):
    """Records each of its states."""
    __slots__ = ("states",)

    def __init__(self, *args):
        self.states = []
        super(WatchedConnection, self).__init__(*args)

    @property
    def _state(self):
        return self.states[-1]

    @_state.setter
    def _state(self, state):
        self.states.append(state)


class WatchingServer(HTTPServer):
    def __init__(self, *args, **kwargs):
        super(WatchingServer, self).__init__(*args, **kwargs)
        self.watched = []

    def handle_stream(self, stream, address):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        connection = WatchedConnection(stream, self, address[0], "http")
        self.watched.append(connection)
        connection.start()


class StatesCase(HTTPCase):
    def serve(self, callback=answer, **options):
        server = self.server = WatchingServer(callback, **options)
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        server.address = sock.getsockname()
        self.addCleanup(self.close_server, server)
        return server

    def close_server(self, server):
        super(StatesCase, self).close_server(server)
        for connection in server.watched:
            connection.close()

    def check_states(self, *moves):
        """Check that the only connection went from IDLE through these states, by legal moves
        only."""
        connection, = self.server.watched
        states = [IDLE] + [state for part in moves for state in part]
        self.assertEqual(states, connection.states)
        for move in zip(connection.states, connection.states[1:]):
            self.assertIn(move, MOVES)


class MovesTest(StatesCase):
    def test_requests_one_by_one(self):
        self.serve()
        client = self.connect(data=get())
        client.read_response()
        client.send(get())
        client.read_response()
        self.check_states(SERVED, SERVED)

    def test_pipelined_requests(self):
        self.serve()
        client = self.connect(data=get() * 3)
        for _ in range(3):
            client.read_response()
        self.check_states(SERVED * 3)

    def test_response_in_pieces(self):
        def stream(request):
            request.connection.write_headers(OK, HTTPHeaders(), b"a")
            request.connection.write(b"b")
            request.connection.finish()

        self.serve(stream)
        client = self.connect(data=get())
        client.read_response()
        self.check_states(SERVED)

    def test_request_with_a_body(self):
        self.serve()
        client = self.connect(data=post(b"hello") + post_chunked(b"a", b"b"))
        client.read_response()
        client.read_response()
        self.check_states(SERVED_BODY * 2)

    def test_streamed_body(self):
        self.serve(Delegate())
        client = self.connect(data=post_chunked(b"a" * 100000, b"b"))
        client.read_response()
        self.check_states(SERVED_BODY)

    def test_done_until_everything_is_sent(self):
        self.serve(lambda request: answer(request, b"x" * LARGE))
        client = self.connect(data=get() + get(), receive_buffer=SOCKET_BUFFER)
        self.run_until(lambda: self.server.watched)
        connection, = self.server.watched
        self.run_until(lambda: connection.states[-1] == DONE)
        self.turn(times=5)
        # The next request is read only when the client has received this response.
        self.check_states([HEAD, RESPONDING, DONE])
        self.assertIsNone(connection.request)
        for _ in range(2):
            self.assertEqual(LARGE, len(client.read_response().body))
        self.run_until(lambda: connection.states[-1] == IDLE)
        self.check_states(SERVED, SERVED)

    def test_stopped_while_done(self):
        self.serve(lambda request: answer(request, b"x" * LARGE))
        client = self.connect(data=get(), receive_buffer=SOCKET_BUFFER)
        self.run_until(lambda: self.server.watched)
        connection, = self.server.watched
        self.run_until(lambda: connection.states[-1] == DONE)
        connection.stop()
        self.assertEqual(LARGE, len(client.read_response().body))
        self.assertEqual(b"", client.read_rest())
        self.check_states([HEAD, RESPONDING, DONE, CLOSING])

    def test_refused_head(self):
        self.serve()
        self.assert_refused(b"GET / HTTP/1.1\r\n\r\n", 400)
        self.check_states([HEAD, CLOSING])

    def test_refused_body(self):
        self.serve(max_body_size=10)
        self.assert_refused(head_of(post(b"x" * 11))[0], 413)
        self.check_states([HEAD, BODY, CLOSING])

    def test_last_request(self):
        self.serve()
        client = self.connect(data=get(headers="Connection: close\r\n"))
        client.read_response()
        self.assertEqual(b"", client.read_rest())
        self.check_states([HEAD, RESPONDING, CLOSING])

    def test_answered_before_the_body(self):
        class Early(Recorder):
            def headers_received(self, start_line, headers):
                self.connection.respond(200, "OK", HTTPHeaders(), b"early")

        self.serve(Delegate(Early))
        client = self.connect(data=head_of(post(b"hello"))[0])
        self.assertEqual(b"early", client.read_response().body)
        self.assertEqual(b"", client.read_rest())
        self.check_states([HEAD, BODY, CLOSING])

    def test_detached(self):
        waiting = Waiting()
        self.serve(waiting)
        self.connect(data=get())
        self.run_until(lambda: waiting.requests)
        self.addCleanup(waiting.requests[0].connection.detach().close)
        self.check_states([HEAD, RESPONDING, UPGRADED])


class IllegalMovesTest(StatesCase):
    def test_detach_after_the_response(self):
        self.serve()
        client = self.connect(data=get())
        client.read_response()
        connection, = self.server.watched
        self.assertRaises(KeyError, connection.detach)
        # The connection is unchanged.
        client.send(get())
        self.assertEqual(200, client.read_response().status)
        self.check_states(SERVED, SERVED)

    def test_detach_while_the_response_is_being_sent(self):
        self.serve(lambda request: answer(request, b"x" * LARGE))
        client = self.connect(data=get(), receive_buffer=SOCKET_BUFFER)
        self.run_until(lambda: self.server.watched)
        connection, = self.server.watched
        self.run_until(lambda: connection.states[-1] == DONE)
        self.assertRaises(KeyError, connection.detach)
        self.assertEqual(LARGE, len(client.read_response().body))
        self.check_states(SERVED)

    def test_detach_twice(self):
        waiting = Waiting()
        self.serve(waiting)
        self.connect(data=get())
        self.run_until(lambda: waiting.requests)
        connection = waiting.requests[0].connection
        stream = connection.detach()
        self.addCleanup(stream.close)
        self.assertRaises(KeyError, connection.detach)
        self.assertFalse(stream.closed())
        self.check_states([HEAD, RESPONDING, UPGRADED])

    def test_detach_of_a_closing_connection(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.connect(data=post(b"x", headers="Expect: a miracle\r\n"))
        with LogCatcher():
            self.assertEqual(417, client.read_response().status)
        connection, = self.server.watched
        self.assertRaises(KeyError, connection.detach)
        self.check_states([HEAD, CLOSING])
