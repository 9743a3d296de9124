"""B325 to B328: a graceful stop tells what uses a detached connection, and waits for it."""
from __future__ import absolute_import, division, print_function

from friendserve.protocol.websocket import CLOSE, FIN, TEXT, Close
from friendserve.web import RequestHandler, asynchronous
from tests.httpcase import LogCatcher, get
from tests.wscase import ASK, Noting, WebSocketCase, request

GOING_AWAY = FIN | CLOSE, b"\x03\xe9"


class WebSocketStopTest(WebSocketCase):
    def stop(self, deadline=100):
        self.server.graceful_stop(deadline, lambda: self.notes.append("stopped"))

    def wait_for_stop(self):
        self.run_until(lambda: "stopped" in self.notes)
        self.turn(0, 3)

    def test_b325_open_websockets_are_told_and_waited_for(self):
        self.serve_sockets(Noting)
        gone = self.open_socket()
        gone.client.close()
        self.wait_for_note(("close", None, None))
        del self.notes[:]
        peers = [self.open_socket(), self.open_socket()]
        self.stop()
        for peer in peers:
            event = peer.read()
            self.assertEqual((Close, 1001), (type(event), event.code))
        self.assertEqual(["open", "open"], self.notes)
        peers[0].send(*GOING_AWAY)
        peers[0].client.wait_for(lambda: peers[0].client.ended)
        peers[0].client.close()
        self.run_until(lambda: len(self.notes) > 2)
        self.turn(0, 3)
        self.assertEqual(["open", "open", ("close", 1001, "")], self.notes)
        peers[1].send(*GOING_AWAY)
        peers[1].client.wait_for(lambda: peers[1].client.ended)
        peers[1].client.close()
        self.wait_for_stop()
        self.assertEqual([("close", 1001, "")] * 2 + ["stopped"], self.notes[2:])
        self.assertEqual([], self.server._stop_timers)

    def test_b325_one_that_does_not_answer_is_aborted_at_the_deadline(self):
        self.serve_sockets(Noting)
        peer = self.open_socket()
        self.stop(0.05)
        self.assertEqual(1001, getattr(peer.read(), "code", None))
        self.wait_for_stop()
        self.assertEqual(["open", ("close", None, None), "stopped"], self.notes)
        peer.client.wait_for(lambda: peer.client.ended)

    def test_b325_one_that_opens_while_the_server_stops_is_told(self):
        self.serve_sockets(Slow)
        client = self.connect(data=request("/", headers=ASK))
        self.run_until(lambda: "asked" in self.notes)
        self.stop()
        self.turn(0, 3)
        self.assertEqual(["asked"], self.notes)
        Slow.go_on.pop()()
        self.assertEqual(101, client.read_response().status)
        client.wait_for(lambda: client.data)
        self.assertEqual(b"\x88\x02\x03\xe9", client.data)
        client.close()
        self.wait_for_stop()
        self.assertEqual(["asked", "open", ("close", None, None), "stopped"], self.notes)

    def test_b326_a_handler_may_say_goodbye_itself(self):
        self.serve_sockets(Polite)
        peer = self.open_socket()
        self.stop()
        self.server.graceful_stop(100)
        self.assertEqual(u"bye", peer.read())
        self.assertEqual(["open"], self.notes)
        peer.send(FIN | TEXT, b"wait")
        self.assertEqual(3000, getattr(peer.read(), "code", None))
        peer.client.close()
        self.wait_for_stop()
        self.assertEqual("stopped", self.notes[-1])

    def test_b326_an_exception_of_on_server_stop_closes_with_1011(self):
        self.serve_sockets(Broken)
        peer = self.open_socket()
        with LogCatcher() as records:
            self.stop()
            self.assertEqual(1011, getattr(peer.read(), "code", None))
        self.assertEqual(1, len(records))
        peer.client.close()
        self.wait_for_stop()

    def test_b327_an_exception_of_on_finish_closes_with_1011(self):
        self.serve_sockets(BrokenFinish)
        with LogCatcher():
            client = self.connect(data=request("/", headers=ASK))
            self.assertEqual(101, client.read_response().status)
            self.turn(0, 5)
            self.assertEqual(b"\x88\x02\x03\xf3", client.data)
            client.close()
            self.turn(0.01, 5)
        self.assertEqual([("close", 1011, None)], self.notes)
        self.stop()
        self.wait_for_stop()


class DetachedStopTest(WebSocketCase):
    def setUp(self):
        super(DetachedStopTest, self).setUp()
        self.notes, self.detached = notes, detached = [], []

        class Detaching(RequestHandler):
            @asynchronous
            def get(self):
                connection = self.request.connection
                detached.append((connection, self.detach(lambda: notes.append("told"))))

        self.serve_app([("/", Detaching)])
        self.client = self.connect(data=get())
        self.run_until(lambda: self.notes or self.detached or self.client.data)

    def stop(self, deadline):
        self.server.graceful_stop(deadline, lambda: self.notes.append("stopped"))

    def test_b328_the_user_of_a_detached_stream_is_told_and_waited_for(self):
        self.assertEqual(1, len(self.detached))
        self.stop(100)
        self.run_until(lambda: self.notes)
        self.turn(0, 3)
        self.assertEqual(["told"], self.notes)
        connection, stream = self.detached.pop()
        stream.close()
        connection.release()
        self.run_until(lambda: len(self.notes) > 1)
        self.assertEqual(["told", "stopped"], self.notes)

    def test_b328_the_deadline_does_not_depend_on_it(self):
        self.assertEqual(1, len(self.detached))
        self.stop(0.05)
        self.run_until(lambda: "stopped" in self.notes)
        self.assertEqual(["told", "stopped"], self.notes)
        self.assertTrue(self.detached[0][1].closed())


class Slow(Noting):
    go_on = []

    @asynchronous
    def get(self, **kwargs):
        self.note("asked")
        self.go_on.append(super(Slow, self).get)


class Polite(Noting):
    def on_server_stop(self):
        self.write_message(u"bye")

    def on_message(self, message):
        self.close(3000)


class Broken(Noting):
    def on_server_stop(self):
        raise ZeroDivisionError


class BrokenFinish(Noting):
    def on_finish(self):
        raise ZeroDivisionError
