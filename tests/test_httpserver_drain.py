"""B385 to B389: a server drains, and no request, reader or WebSocket is lost on the way."""
from __future__ import absolute_import, division, print_function

import socket
import threading

from friendserve.feed import LocalFeed
from friendserve.httpserver import HTTPServer
from friendserve.httputil import HTTPHeaders, ResponseStartLine
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.protocol.websocket import CLOSE, FIN, Close
from friendserve.web import EventStreamHandler, RequestHandler, asynchronous
from friendserve.wsgi import WSGIContainer
from tests import PATIENCE
from tests.httpcase import SERVER_OPTIONS, HTTPCase, answer, get, post
from tests.wscase import Noting, SkippingClock, WebSocketCase

OK = ResponseStartLine("HTTP/1.1", 200, "OK")


class DrainCase(HTTPCase):
    def setUp(self):
        super(DrainCase, self).setUp()
        self.clock = SkippingClock()
        self.use_loop(IOLoop(time_func=self.clock))
        self.requests, self.drained = [], []

    def serve_paths(self, **options):
        def on_request(request):
            self.requests.append(request)
            if request.path != "/wait":
                answer(request)
        self.serve(on_request, **options)

    def drain(self, **options):
        self.server.drain(lambda: self.drained.append(1), **options)

    def skip(self, seconds):
        """Move the time forward, in steps between which the server does what is due."""
        for _ in range(int(seconds * 4)):
            self.clock.skip(0.25)
            self.turn(0, 2)

    def check_last(self, client, body=b"ok"):
        response = client.read_response()
        self.assertEqual((200, "close", body),
                         (response.status, response.headers.get("Connection"), response.body))
        self.assertEqual(b"", client.read_rest())

    def check_drained(self, *clients):
        for client in clients:
            client.close()
        self.run_until(lambda: self.drained)
        self.turn(0, 3)
        self.assertEqual([1], self.drained)
        self.assertEqual(0, self.server.connection_count())
        self.assertEqual([], self.server._stop_timers)


class ConnectionsTest(DrainCase):
    def test_b385_a_connection_that_was_accepted_is_served_however_late_it_asks(self):
        self.serve_paths()
        client = self.connect()
        self.run_until(self.server.connection_count)
        self.drain(idle=1, grace=30)
        self.skip(20)
        client.send(get())
        self.check_last(client)
        self.check_drained()

    def test_b385_so_is_one_over_tls_in_the_middle_of_its_handshake(self):
        self.serve_paths(ssl_options=SERVER_OPTIONS)
        # The client connects, and the server drains before it says anything.
        begin = self.connect

        def connect_then_drain(*args, **options):
            client = begin(*args, **options)
            self.run_until(self.server.connection_count)
            self.drain(idle=0.25, grace=1000)
            self.skip(3)
            return client
        self.connect = connect_then_drain
        client = self.connect_tls(data=get())
        response = client.read_response()
        self.assertEqual((200, "close"), (response.status, response.headers.get("Connection")))

    def test_b385_an_idle_connection_answers_one_more_request(self):
        self.serve_paths()
        clients = [self.connect(data=get()) for _ in range(2)]
        for client in clients:
            self.assertNotIn("Connection", client.read_response().headers)
        self.skip(10)
        self.drain(idle=5)
        self.skip(3)
        clients[0].send(get())
        self.check_last(clients[0])
        self.assertFalse(clients[1].receive())
        self.skip(4)
        self.assertEqual(b"", clients[1].read_rest())
        # It is half-closed: what is on its way is read, so that the client sees no reset.
        clients[1].send(get())
        self.turn(0, 5)
        clients[1].send(get())
        self.turn(0, 5)
        self.assertEqual((1, 3), (self.server.connection_count(), len(self.requests)))
        self.check_drained(clients[1])

    def test_b385_requests_in_progress_are_finished(self):
        self.serve_paths()
        clients = [self.connect(data=get("/wait")) for _ in range(2)]
        self.run_until(lambda: len(self.requests) == 2)
        self.requests[1].connection.write_headers(OK, HTTPHeaders(), b"a")
        self.drain(idle=1)
        self.skip(10)
        answer(self.requests[0])
        self.requests[1].connection.finish()
        for client in clients:
            client.wait_for(lambda: client.data.endswith((b"ok", b"0\r\n\r\n")))
        served, begun = sorted(clients, key=lambda client: b"chunked" in client.data)
        self.check_last(served)
        # Its head has promised that the connection continues, so one more request may follow.
        self.assertEqual(b"a", begun.read_response().body)
        begun.send(get())
        self.check_last(begun)
        self.check_drained()

    def test_b385_what_waits_in_the_kernel_is_left_to_another_process(self):
        sock, = bind_sockets(0, "127.0.0.1")
        other = socket.fromfd(sock.fileno(), sock.family, sock.type)
        self.serve(lambda request: answer(request, b"old"), sock)
        self.drain()
        client = self.connect(data=get())
        self.turn(0, 5)
        self.assertEqual(b"", client.data)
        self.check_drained()
        self.server.stop()
        other.setblocking(False)
        self.serve(lambda request: answer(request, b"new"), other)
        self.assertEqual(b"new", client.read_response().body)

    def test_b430_without_a_successor_what_waits_in_the_kernel_is_served_and_the_port_free(self):
        for sharing in ({}, {"max_accepts": 1, "may_accept": lambda: False}):
            server = HTTPServer(answer)
            self.addCleanup(self.close_server, server)
            server.share_sockets(**sharing)
            self.serve_with(server)
            clients = [self.connect(data=get()) for _ in range(5)]
            del self.drained[:]
            self.drain(has_successor=False)
            with self.assertRaises(EnvironmentError):
                self.connect()
            for client in clients:
                self.check_last(client)
            self.check_drained()

    def serve_with(self, server):
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        server.address = sock.getsockname()
        self.server = server

    def test_b385_the_deadline_closes_the_rest(self):
        self.serve_paths()
        clients = [self.connect(data=get("/wait")), self.connect()]
        self.run_until(lambda: self.requests and self.server.connection_count() == 2)
        self.drain(idle=1, grace=30)
        self.skip(29)
        self.assertEqual([], self.drained)
        self.skip(2)
        for client in clients:
            client.wait_for(lambda: client.ended)
        self.check_drained()

    def test_b385_a_stop_may_follow(self):
        self.serve_paths()
        clients = [self.connect(data=get("/wait")), self.connect()]
        self.run_until(lambda: self.requests and self.server.connection_count() == 2)
        self.drain(idle=1, grace=300)
        self.server.graceful_stop(30, lambda: self.drained.append(2))
        self.assertEqual(b"", clients[1].read_rest())
        answer(self.requests[0])
        self.check_last(clients[0])
        self.run_until(lambda: len(self.drained) == 2)
        self.assertEqual([1, 2], self.drained)

    def test_b385_uploads_are_completed(self):
        self.serve(lambda request: answer(request, request.body))
        data = post(b"hello")
        client = self.connect(data=data[:-3])
        self.run_until(self.server.connection_count)
        self.turn(0, 3)
        self.drain(idle=0.25)
        self.skip(5)
        client.send(data[-3:])
        self.check_last(client, b"hello")
        self.check_drained()


class ThreadsTest(DrainCase):
    def test_b389_a_thread_of_a_wsgi_application_is_waited_for_after_its_client_left(self):
        begun, go_on, done = threading.Event(), threading.Event(), []
        self.addCleanup(go_on.set)

        def application(environ, start_response):
            begun.set()
            go_on.wait(PATIENCE)
            done.append(1)
            start_response("200 OK", [])
            return [b"late"]

        self.serve(WSGIContainer(application, executor=OneThread()))
        client = self.connect(data=get())
        self.run_until(begun.is_set)
        client.abort()
        self.run_until(lambda: not self.server.connection_count())
        self.drain()
        self.turn(0, 5)
        self.assertEqual([], self.drained)
        go_on.set()
        self.check_drained()
        self.assertEqual([1], done)

    def test_b389_but_not_beyond_the_deadline(self):
        begun, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def application(environ, start_response):
            begun.set()
            go_on.wait(PATIENCE)
            raise SystemExit

        self.serve(WSGIContainer(application, executor=OneThread()))
        client = self.connect(data=get())
        self.run_until(begun.is_set)
        self.drain(grace=30)
        self.skip(29)
        self.assertEqual([], self.drained)
        self.skip(2)
        client.wait_for(lambda: client.ended)
        self.check_drained()


class Detached(object):
    """The user of a detached connection, as the server sees it."""
    def close(self):
        pass


class OneThread(object):
    """An executor that starts a thread for each call."""
    def submit(self, function):
        threading.Thread(target=function).start()


class ManyTest(WebSocketCase):
    """A crowd in one process: each is told, and none is left without an end."""
    CROWD = 500

    def setUp(self):
        super(ManyTest, self).setUp()
        self.use_skipping_clock()
        self.drained = []

    def serve_crowd(self):
        feed = LocalFeed()
        self.addCleanup(feed.close)
        self.waiting = waiting = []

        class Poll(RequestHandler):
            @asynchronous
            def get(self):
                self.watch = feed.wait("room", self.get_argument("after", None), self.on_batch, 50)
                waiting.append(self)

            def on_batch(self, batch):
                self.finish({"texts": [message.text for message in batch.messages],
                             "cursor": batch.cursor})

            def on_drain(self):
                feed.expire(self.watch)

        class Stream(EventStreamHandler):
            def open(self):
                waiting.append(self)

        self.notes, self.handlers = [], []
        self.addCleanup(self.close_sockets, self.handlers)
        self.serve_app([("/poll", Poll), ("/stream", Stream), (r"/(?P<name>\w*)", Noting)],
                       notes=self.notes, opened=self.handlers)
        return feed

    def drain(self, **options):
        self.server.drain(lambda: self.drained.append(1), **options)

    def test_b386_500_websockets_are_told_at_times_spread_over_the_grace(self):
        self.serve_crowd()
        peers = [self.open_socket() for _ in range(self.CROWD)]
        self.drain(grace=30)
        told = []
        for second in range(30):
            before = len(told)
            for _ in range(20):
                self.clock.skip(0.05)
                self.turn(0, 2)
            for peer in peers:
                if peer not in told and peer.client.receive():
                    event = peer.read()
                    self.assertEqual((Close, 1012), (type(event), event.code))
                    peer.send(FIN | CLOSE, b"\x03\xf4")
                    told.append(peer)
            if second < 23:
                self.assertLess(len(told) - before, self.CROWD // 15)
                self.assertGreater(len(told) - before, self.CROWD // 60)
        self.assertEqual(self.CROWD, len(set(told)))
        for peer in peers:
            peer.client.wait_for(lambda: peer.client.ended)
            self.assertFalse(peer.client.reset)
        self.run_until(lambda: self.drained)
        self.assertEqual(self.CROWD, self.notes.count(("close", 1012, "")))

    def test_b386_all_are_told_in_time_by_a_loop_that_is_late(self):
        self.serve_crowd()
        told, crowd = [], [Detached() for _ in range(self.CROWD)]
        for one in crowd:
            one.stop = lambda one=one: told.append(one)
            self.server.on_detach(one)
        self.assertEqual((0, self.CROWD), (self.server.connection_count(),
                                           self.server.connection_count(detached=True)))
        self.drain(grace=30)
        for _ in range(24):
            before = len(told)
            self.clock.skip(1.01)
            self.turn(0, 2)
            self.assertLess(len(told) - before, self.CROWD // 10)
        self.assertEqual(self.CROWD, len(set(told)))
        for one in crowd:
            self.server.on_release(one)
        self.run_until(lambda: self.drained)

    def test_b386_for_good_the_code_is_1001(self):
        self.serve_crowd()
        peer = self.open_socket()
        self.drain(has_successor=False)
        self.assertEqual(1001, peer.read().code)
        peer.client.close()
        self.run_until(lambda: self.drained)

    def test_b387_500_long_polls_answer_at_once_with_their_cursors(self):
        feed = self.serve_crowd()
        feed.publish("room", u"first")
        ids = []
        feed.recent("room", 1, lambda batch: ids.append(batch.cursor))
        self.run_until(lambda: ids)
        clients = []
        while len(clients) < self.CROWD:
            clients.append(self.connect(data=get("/poll?after=" + ids[0])))
            self.turn()
        self.run_until(lambda: len(self.waiting) == self.CROWD)
        self.drain()
        for client in clients:
            response = client.read_response()
            self.assertEqual((200, "close"),
                             (response.status, response.headers.get("Connection")))
            self.assertIn(ids[0].encode("ascii"), response.body)
            self.assertEqual(b"", client.read_rest())
        self.run_until(lambda: self.drained)

    def test_b387_a_poll_that_gets_news_in_that_moment_has_them_and_no_second_answer(self):
        feed = self.serve_crowd()
        feed.publish("room", u"first")
        client = self.connect(data=get("/poll"))
        self.run_until(lambda: self.waiting)
        feed.publish("room", u"news")
        feed.expire(self.waiting[0].watch)
        self.drain()
        self.assertIn(b"news", client.read_response().body)
        feed.expire(self.waiting[0].watch)
        self.turn(0, 3)

    def test_b388_an_event_stream_ends_with_the_time_until_the_next(self):
        self.serve_crowd()
        client = self.connect(data=get("/stream"))
        self.run_until(lambda: self.waiting)
        self.drain()
        body = client.read_response().body
        self.assertTrue(body.startswith(b"retry: ") and body.endswith(b"\n\n"), body)
        self.assertTrue(500 <= int(body[7:]) <= 5000, body)
        self.assertEqual(b"", client.read_rest())
        self.run_until(lambda: self.drained)
