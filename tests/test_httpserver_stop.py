"""B132: the HTTP server stops without breaking a promise."""
from __future__ import absolute_import, division, print_function

import errno
import socket

from friendserve.httputil import HTTPHeaders, ResponseStartLine
from friendserve.stack_context import ExceptionStackContext, state
from friendserve.web import Application, RequestHandler, asynchronous
from tests.httpcase import HTTPCase, LogCatcher, answer, get, head_of, post

OK = ResponseStartLine("HTTP/1.1", 200, "OK")


class StopTest(HTTPCase):
    def setUp(self):
        super(StopTest, self).setUp()
        self.requests = []
        self.stopped = []
        self.serve(self.on_request)

    def on_request(self, request):
        self.requests.append(request)
        if request.path != "/wait":
            answer(request)

    def waiting_client(self, data=None):
        client = self.connect(data=data or get("/wait"))
        count = len(self.requests)
        self.run_until(lambda: len(self.requests) > count)
        return client

    def stop(self, deadline=100):
        self.server.graceful_stop(deadline, lambda: self.stopped.append(1))

    def check_stopped(self, *clients):
        for client in clients:
            # The server waits for a client that keeps its side open.
            client.close()
        self.run_until(lambda: self.stopped)
        self.turn(0.01, times=3)
        self.assertEqual(self.stopped, [1])
        self.assertEqual(0, self.server.connection_count())

    def test_b132_nothing_to_do(self):
        self.stop()
        self.assertEqual(self.stopped, [])
        self.check_stopped()

    def test_b265_a_stop_callback_is_called_in_its_own_context(self):
        seen = []
        client = self.waiting_client()
        request, = self.requests
        request.connection.set_stop_callback(lambda: seen.append(len(state.contexts)))
        with ExceptionStackContext(self.fail):
            self.stop()
        self.run_until(lambda: seen)
        self.assertEqual([0], seen)
        answer(request)
        self.check_stopped(client)

    def test_b132_no_callback(self):
        client = self.connect(data=get())
        client.read_response()
        self.server.graceful_stop()
        self.assertEqual(client.read_rest(), b"")
        self.turn(times=3)
        self.assertFalse(self.server._stop_timers)

    def test_b132_refuses_new_connections(self):
        client = self.waiting_client()
        self.stop()
        late = socket.socket()
        self.addCleanup(late.close)
        self.assertEqual(late.connect_ex(self.server.address), errno.ECONNREFUSED)
        answer(self.requests[-1])
        self.assertEqual(client.read_response().status, 200)
        self.check_stopped()

    def test_b132_idle_connections_close_at_once(self):
        clients = [self.connect(data=get()), self.connect()]
        self.assertEqual(clients[0].read_response().status, 200)
        self.run_until(lambda: self.server.connection_count() == 2)
        self.stop()
        for client in clients:
            self.assertEqual(client.read_rest(), b"")
        self.check_stopped(client)

    def test_b132_requests_in_progress_are_finished(self):
        client = self.waiting_client(get("/wait") + get("/never"))
        self.stop()
        self.turn(0.01, times=3)
        self.assertEqual(self.stopped, [])
        answer(self.requests[-1], b"x" * 3000000)
        response = client.read_response()
        self.assertEqual((len(response.body), response.headers["Connection"]), (3000000, "close"))
        self.assertEqual(client.read_rest(), b"")
        self.check_stopped(client)
        self.assertEqual(len(self.requests), 1)

    def test_b132_streamed_response(self):
        client = self.waiting_client()
        connection = self.requests[-1].connection
        connection.write_headers(OK, HTTPHeaders(), b"a")
        self.stop()
        self.turn(0.01, times=3)
        connection.write(b"b")
        connection.finish()
        self.assertEqual(client.read_response().body, b"ab")
        self.assertEqual(client.read_rest(), b"")
        self.check_stopped(client)

    def test_b132_response_that_is_still_being_sent(self):
        client = self.connect(receive_buffer=4096)
        size = 8 << 20
        self.server.handle_request = lambda request: answer(request, b"x" * size)
        client.send(get())
        client.wait_for(lambda: client.data)
        self.stop()
        self.turn(0.01, times=5)
        self.assertEqual(self.stopped, [])
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.assertEqual(len(client.read_response().body), size)
        self.assertEqual(client.read_rest(), b"")
        self.check_stopped(client)

    def test_b132_upload_in_progress(self):
        head, body = head_of(post(b"hello", headers="Expect: 100-continue\r\n"))
        client = self.connect(data=head)
        self.assertEqual(100, client.read_response().status)
        client.send(body[:-2])
        self.turn()
        self.stop()
        client.send(body[-2:])
        response = client.read_response()
        self.assertEqual((response.status, response.headers["Connection"]), (200, "close"))
        self.assertEqual(client.read_rest(), b"")
        self.check_stopped(client)

    def test_b132_half_a_head(self):
        client = self.connect(data=get("/first"))
        client.read_response()
        stream = self.requests.pop().connection.stream
        client.send(get()[:-5])
        self.run_until(stream.has_unread)
        self.stop()
        client.send(get()[-5:] + get("/never"))
        response = client.read_response()
        self.assertEqual((response.status, response.headers["Connection"]), (200, "close"))
        self.assertEqual(client.read_rest(), b"")
        self.check_stopped(client)
        self.assertEqual(len(self.requests), 1)

    def test_b132_head_that_waits_for_the_loop(self):
        client = self.connect()
        self.run_until(self.server.connection_count)
        client.send(get())
        self.turn()
        self.assertEqual(self.requests, [])
        self.stop()
        response = client.read_response()
        self.assertEqual((response.status, response.headers["Connection"]), (200, "close"))
        self.check_stopped()

    def test_b132_deadline(self):
        client = self.waiting_client()
        told = []
        self.requests[-1].connection.set_close_callback(lambda: told.append(1))
        self.stop(0.1)
        with LogCatcher() as records:
            client.wait_for(lambda: client.ended)
            self.check_stopped()
        self.assertEqual(told, [1])
        self.assertEqual(records, [])

    def test_b132_called_twice(self):
        client = self.waiting_client()
        self.stop()
        self.server.graceful_stop(0.1, lambda: self.stopped.append(2))
        client.wait_for(lambda: client.ended)
        self.run_until(lambda: len(self.stopped) == 2)
        self.assertEqual(self.stopped, [1, 2])
        # No timer is left.
        self.assertEqual(self.server._stop_timers, [])
        self.stop()
        self.run_until(lambda: len(self.stopped) == 3)

    def test_b132_waiting_requests_are_told(self):
        self.waiting_client()
        told = []
        self.requests[-1].connection.set_stop_callback(lambda: told.append(1))
        self.stop()
        self.assertEqual(told, [])
        self.run_until(lambda: told)
        answer(self.requests[-1])
        self.check_stopped()
        self.assertEqual(told, [1])

    def test_b132_long_polls_of_the_web_framework(self):
        handlers = []

        class Poll(RequestHandler):
            @asynchronous
            def get(self):
                handlers.append(self)

            def on_server_stop(self):
                self.finish("stopping")

        self.serve(Application([("/", Poll)]))
        clients = [self.connect(data=get()) for _ in range(3)]
        self.run_until(lambda: len(handlers) == 3)
        self.stop()
        for client in clients:
            response = client.read_response()
            self.assertEqual((response.body, response.headers["Connection"]),
                             (b"stopping", "close"))
            self.assertEqual(client.read_rest(), b"")
        self.check_stopped(client)

    def test_b132_detached_streams_are_not_waited_for(self):
        self.waiting_client()
        stream = self.requests[-1].connection.detach()
        self.addCleanup(stream.close)
        self.stop()
        self.check_stopped()
        self.assertFalse(stream.closed())

    def test_stop_alone_leaves_connections(self):
        client = self.connect(data=get())
        client.read_response()
        self.server.stop()
        self.server.stop()
        client.send(get())
        response = client.read_response()
        self.assertEqual(response.status, 200)
        self.assertNotIn("Connection", response.headers)

    def test_connection_count(self):
        self.assertEqual(0, self.server.connection_count())
        clients = [self.waiting_client(), self.waiting_client()]
        self.assertEqual(2, self.server.connection_count())
        answer(self.requests[-1])
        clients[1].read_response()
        # An idle connection counts.
        self.assertEqual(2, self.server.connection_count())
        clients[1].close()
        self.run_until(lambda: self.server.connection_count() == 1)
        stream = self.requests[0].connection.detach()
        self.addCleanup(stream.close)
        self.assertEqual(0, self.server.connection_count())
        self.assertFalse(stream.closed())

    def test_close_all_connections(self):
        clients = [self.waiting_client(), self.connect(data=get())]
        clients[1].read_response()
        self.server.close_all_connections()
        for client in clients:
            client.wait_for(lambda: client.ended)
        self.turn(times=3)
        self.assertEqual(0, self.server.connection_count())
