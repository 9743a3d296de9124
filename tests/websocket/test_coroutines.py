"""Handlers of WebSockets whose methods are coroutines."""
from __future__ import absolute_import, division, print_function

import logging

from friendserve import gen
from friendserve.concurrent import Future
from friendserve.protocol.websocket import (
    CLOSE, FIN, PONG, TEXT, Close, encode_close, encode_frame)
from friendserve.websocket import websocket_connect
from tests.httpcase import LogCatcher
from tests.wscase import Noting, WebSocketCase


class Slow(Noting):
    """Waits for a Future in each method; `futures` of the settings has those."""

    def wait(self, *note):
        future = Future()
        self.settings["futures"].append(future)
        self.note("begin", *note)
        return future

    @gen.coroutine
    def on_message(self, message):
        yield self.wait(message)
        self.note("end", message)


class Opening(Slow):
    @gen.coroutine
    def open(self, name):
        super(Opening, self).open()
        yield self.wait("open")
        self.note("end", "open")

    @gen.coroutine
    def on_pong(self, data):
        yield gen.moment
        self.note("pong", data)

    @gen.coroutine
    def on_close(self):
        yield gen.moment
        super(Opening, self).on_close()


def texts(*messages):
    return b"".join(encode_frame(FIN | TEXT, message, b"mask") for message in messages)


class CoroutineMethodsTest(WebSocketCase):
    def open_slow(self, handler_class=Slow, data=b"", **settings):
        self.futures = []
        self.serve_sockets(handler_class, futures=self.futures, **settings)
        return self.open_socket(data=data)

    def end(self, number=-1):
        """End what a coroutine waits for, and what follows from that."""
        self.futures[number].set_result(None)
        self.turn(0, 5)

    def test_messages_of_one_packet_are_handled_one_after_another(self):
        self.open_slow(data=texts(b"one", b"two") + texts(b"three"))
        self.wait_for_note(("begin", u"one"))
        self.turn(0, 5)
        self.assertEqual(1, len(self.futures))
        for number, message in enumerate([u"one", u"two", u"three"]):
            self.wait_for_note(("begin", message))
            self.turn(0, 3)
            self.assertEqual(number + 1, len(self.futures))
            self.end()
            self.wait_for_note(("end", message))

    def test_messages_wait_for_open(self):
        peer = self.open_slow(Opening, texts(b"one"))
        self.turn(0, 5)
        self.assertEqual(["open", ("begin", "open")], self.notes)
        peer.client.send(texts(b"two"))
        self.turn(0, 5)
        self.end()
        self.wait_for_note(("begin", u"one"))
        self.end()
        self.wait_for_note(("begin", u"two"))
        self.assertEqual([("end", "open"), ("begin", u"one"), ("end", u"one"), ("begin", u"two")],
                         self.notes[2:])
        self.end()

    def test_a_close_is_the_last(self):
        frame = encode_frame(FIN | CLOSE, encode_close(1000), b"mask")
        peer = self.open_slow(Opening, texts(b"one") + frame)
        self.turn(0, 5)
        self.end()
        self.wait_for_note(("begin", u"one"))
        self.end()
        self.assertIsInstance(peer.read(), Close)
        peer.client.close()
        self.wait_for_note(("close", 1000, u""))
        self.assertEqual(("end", u"one"), self.notes[-2])

    def test_a_client_that_leaves(self):
        """Every message is delivered before on_close, which is a coroutine here."""
        peer = self.open_slow(Opening, texts(b"one", b"two"))
        self.turn(0, 5)
        self.end()
        self.wait_for_note(("begin", u"one"))
        peer.client.close()
        self.assertEqual([], self.closings())
        self.end()
        self.wait_for_note(("begin", u"two"))
        self.end()
        self.wait_for_note(("close", None, None))

    def test_an_abort_drops_messages_that_wait(self):
        self.open_slow(data=texts(b"one", b"two"))
        self.wait_for_note(("begin", u"one"))
        self.handlers[0].ws_connection.abort()
        self.wait_for_note(("close", None, None))
        self.end()
        self.assertEqual(("end", u"one"), self.notes[-1])
        self.assertEqual(1, len(self.futures))

    def test_an_error_after_the_client_has_left(self):
        peer = self.open_slow(data=texts(b"one"))
        self.wait_for_note(("begin", u"one"))
        peer.client.close()
        self.handlers[0].ws_connection.abort()
        self.wait_for_note(("close", None, None))
        with LogCatcher(level=logging.ERROR) as records:
            self.futures[0].set_exception(KeyError("late"))
            self.run_until(lambda: records)
            self.turn(0, 3)
        self.assertEqual([("late",)], [record.exc_info[1].args for record in records])

    def test_an_error_drops_messages_that_wait(self):
        peer = self.open_slow(data=texts(b"one", b"two"))
        self.wait_for_note(("begin", u"one"))
        with LogCatcher(level=logging.ERROR) as records:
            self.futures[0].set_exception(KeyError("k"))
            self.assertEqual(1011, peer.read().code)
        self.assertEqual(1, len(records))
        peer.client.close()
        self.run_until(self.closings)
        self.assertEqual(1, len(self.futures))

    def test_control_frames(self):
        peer = self.open_slow(Opening)
        self.end()
        self.handlers[0].ping(b"x")
        self.turn(0, 3)
        peer.client.send(encode_frame(FIN | PONG, b"x", b"mask"))
        self.wait_for_note(("pong", b"x"))
        peer.client.send(texts(b"after"))
        self.wait_for_note(("begin", u"after"))
        self.end()

    def test_a_long_coroutine_does_not_look_like_a_dead_client(self):
        self.use_skipping_clock()
        peer = self.open_slow(data=texts(b"one"), websocket_ping_interval=10,
                              websocket_ping_timeout=20)
        self.wait_for_note(("begin", u"one"))
        for _ in range(20):
            self.skip(10)
        self.assertEqual([], self.closings())
        self.end()
        self.wait_for_note(("end", u"one"))
        # A client that is dead then is still noticed.
        for _ in range(6):
            self.skip(10)
        self.run_until(self.closings)
        peer.client.close()

    def test_a_client_with_a_coroutine_as_its_callback(self):
        class Talking(Noting):
            def open(self, name):
                for text in (u"one", u"two"):
                    self.write_message(text)

            def on_message(self, message):
                self.note(message)

        seen, futures = [], []

        @gen.coroutine
        def on_message(message):
            seen.append(message)
            futures.append(Future())
            yield futures[-1]

        self.serve_sockets(Talking)
        clients = []
        websocket_connect("ws://127.0.0.1:%d/" % self.server.address[1], clients.append,
                          on_message_callback=on_message)
        self.run_until(lambda: seen)
        self.turn(0, 5)
        self.assertEqual([u"one"], seen)
        futures[0].set_result(None)
        self.run_until(lambda: len(seen) == 2)
        futures[1].set_result(None)
        clients[0].close()
        self.run_until(lambda: seen[-1] is None)
