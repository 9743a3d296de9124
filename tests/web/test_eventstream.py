# coding: utf-8
"""Server-Sent Events: the format, and EventStreamHandler on a real server."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.ioloop import IOLoop
from friendserve.protocol.eventstream import encode_event
from friendserve.web import EventStreamHandler, HTTPError
from tests.httpcase import LogCatcher
from tests.webcase import WebCase, request
from tests.wscase import SkippingClock


class FormatTest(unittest.TestCase):
    def test_all_fields(self):
        self.assertEqual(encode_event(u"a", event=u"e", id=u"7", retry=100),
                         b"event: e\nid: 7\nretry: 100\ndata: a\n\n")

    def test_data(self):
        for data, lines in [
                (u"", b"data: \n"), (b"bytes", b"data: bytes\n"), ({"a": 1}, b'data: {"a": 1}\n'),
                (u"\xe9\u2028x\x0b", b"data: \xc3\xa9\xe2\x80\xa8x\x0b\n"),
                (u" space", b"data:  space\n")]:
            self.assertEqual(encode_event(data), lines + b"\n")
        self.assertEqual(encode_event(id=u""), b"id: \n\n")

    def test_no_line_breaks_out_of_its_field(self):
        for data in (u"a\nevent: x", u"a\revent: x", u"a\r\nevent: x"):
            self.assertEqual(encode_event(data), b"data: a\ndata: event: x\n\n")
        self.assertEqual(encode_event(u"a\n\nb\n"), b"data: a\ndata: \ndata: b\ndata: \n\n")

    def test_what_cannot_be_sent(self):
        for field in ({"event": u"a\nb"}, {"event": u"a\rb"}, {"id": u"a\nb"}, {"id": u"a\0b"},
                      {"id": b"a\rb"}, {"retry": -1}, {"retry": "1"}, {"retry": 1.5}):
            with self.assertRaises(ValueError):
                encode_event(u"data", **field)


class Stream(EventStreamHandler):
    def open(self):
        self.settings["opened"].append(self)

    def on_close(self):
        self.settings["closed"].append(self)


class StreamTest(WebCase):
    def serve_stream(self, handler_class=Stream, options=None, **settings):
        self.opened, self.closed = [], []
        self.serve_app([("/", handler_class)], options, opened=self.opened, closed=self.closed,
                       **settings)

    def open_stream(self, **options):
        client = self.connect(data=request("/", **options))
        client.wait_for(lambda: b"\r\n\r\n" in client.data)
        head, _, client.data = client.data.partition(b"\r\n\r\n")
        self.head = head.split(b"\r\n")
        return client

    def read_event(self, client):
        """The next chunk."""
        size = int(client.read_line(), 16)
        data = client.read(size)
        self.assertEqual(client.read_line(), b"")
        return data

    def test_events(self):
        self.serve_stream()
        client = self.open_stream()
        self.assertIn(b"HTTP/1.1 200 OK", self.head)
        self.assertIn(b"Content-Type: text/event-stream", self.head)
        self.assertIn(b"Cache-Control: no-cache", self.head)
        self.opened[0].send_event(u"a", event=u"e", id=u"1")
        self.assertEqual(self.read_event(client), b"event: e\nid: 1\ndata: a\n\n")
        self.opened[0].send_event(u"b")
        self.assertEqual(self.read_event(client), b"data: b\n\n")

    def test_first_event_in_open(self):
        class Handler(Stream):
            def open(self):
                self.send_event(u"first", retry=10)

        self.serve_stream(Handler)
        client = self.open_stream()
        self.assertEqual(self.read_event(client), b"retry: 10\ndata: first\n\n")

    def test_last_event_id(self):
        self.serve_stream()
        for headers, seen in ((), None), ((("Last-Event-ID", "7"),), u"7"), (
                (("Last-Event-ID", "\xc3\xa9"),), u"\xe9"):
            self.open_stream(headers=headers)
            self.assertEqual(self.opened[-1].last_event_id, seen)

    def test_callback_is_the_clock(self):
        self.serve_stream()
        client = self.open_stream()
        handler, sent = self.opened[0], []

        def send():
            sent.append(len(sent))
            if len(sent) <= 1000:
                handler.send_event(u"x" * 100000, callback=send)

        send()
        for _ in range(200):
            self.turn(0)
        # A207: the reader does not read, so little was sent.
        self.assertLess(len(sent), 1000)
        self.assertLess(handler.request.connection.stream.unsent(), 110000)
        before = len(sent)
        client.wait_for(lambda: len(sent) > before + 20)
        client.close()
        self.run_until(lambda: self.closed)

    def test_a207_a_client_that_does_not_read_is_closed(self):
        self.serve_stream()
        client = self.open_stream()
        handler = self.opened[0]
        with LogCatcher() as records:
            for _ in range(1000):
                handler.send_event(u"x" * 100000)
            self.run_until(lambda: self.closed)
        self.assertEqual(len(records), 1)
        self.assertIn("does not read", records[0].message)
        client.close()

    def test_a207_policy_hook(self):
        class Handler(Stream):
            max_queue_size = 10000

            def on_queue_full(self):
                self.settings["dropped"].append(self)

        dropped = []
        self.serve_stream(Handler, dropped=dropped)
        client = self.open_stream()
        while not dropped:
            self.opened[0].send_event(u"x" * 100000)
        self.assertLess(self.opened[0].request.connection.stream.unsent(), 120000)
        self.assertEqual(self.closed, [])
        client.close()

    def test_reader_goes(self):
        for end in ("close", "abort", "end"):
            self.serve_stream()
            client = self.open_stream()
            getattr(client, end)()
            self.run_until(lambda: self.closed)
            self.opened[0].send_event(u"to nobody")
            self.opened[0].close()
            self.turn(0, 3)
            self.assertEqual(self.closed, self.opened)
            # Such a response was not completed.
            self.assertEqual(([], False), (self.logged(access=True), self.opened[0]._finished))

    def test_server_ends(self):
        self.serve_stream()
        client = self.open_stream()
        self.opened[0].send_event(u"last")
        self.opened[0].close()
        self.assertEqual(self.closed, [])
        self.opened[0].close()
        self.opened[0].send_event(u"too late")
        self.assertEqual(self.read_event(client), b"data: last\n\n")
        self.assertEqual(client.read_line(), b"0")
        self.turn(0, 3)
        self.assertEqual(self.closed, self.opened)

    def test_server_stops(self):
        self.serve_stream()
        client = self.open_stream()
        self.server.graceful_stop()
        self.assertEqual(client.read_rest(), b"0\r\n\r\n")
        self.assertEqual(self.closed, self.opened)

    def test_heartbeat_when_nothing_else_goes_out(self):
        clock = SkippingClock()
        self.use_loop(IOLoop(time_func=clock))
        self.serve_stream()
        client = self.open_stream()
        clock.skip(14)
        self.turn(0, 3)
        client.receive()
        self.assertEqual(client.data, b"")
        clock.skip(1)
        self.assertEqual(self.read_event(client), b":\n\n")
        self.opened[0].send_event(u"news")
        self.assertEqual(self.read_event(client), b"data: news\n\n")
        clock.skip(15)
        self.turn(0, 3)
        client.receive()
        self.assertEqual(client.data, b"")
        clock.skip(15)
        self.assertEqual(self.read_event(client), b":\n\n")
        client.close()
        self.run_until(lambda: self.closed)
        clock.skip(1000)
        with LogCatcher() as records:
            self.turn(0, 3)
        self.assertEqual(records, [])

    def test_no_heartbeat(self):
        for interval in (None, 0):
            clock = SkippingClock()
            self.use_loop(IOLoop(time_func=clock))
            self.serve_stream(type("Quiet", (Stream,), {"heartbeat_interval": interval}))
            client = self.open_stream()
            self.assertIsNone(self.opened[0]._heartbeat)
            clock.skip(1000)
            self.opened[0].send_event(u"news")
            self.assertEqual(self.read_event(client), b"data: news\n\n")

    def test_open_may_refuse(self):
        class Handler(Stream):
            def open(self):
                if self.last_event_id == u"the end":
                    self.set_status(204)
                else:
                    raise HTTPError(403)

        self.serve_stream(Handler)
        response = self.ask("/")
        self.assertEqual(response.status, 403)
        self.assertTrue(response.headers["Content-Type"].startswith("text/html"))
        self.assertEqual(self.ask("/", headers=(("Last-Event-ID", "the end"),)).status, 204)

    def test_error_in_a_callback_ends_the_stream(self):
        class Handler(Stream):
            def open(self):
                super(Handler, self).open()
                self.request.connection.stream.io_loop.add_callback(lambda: 1 // 0)

        self.serve_stream(Handler)
        with LogCatcher() as records:
            self.open_stream()
            self.run_until(lambda: self.closed)
        self.assertEqual([record.exc_info[0] for record in records if record.exc_info],
                         [ZeroDivisionError])
        self.assertEqual(len(self.closed), 1)

    def test_events_arrive_compressed_one_by_one(self):
        self.serve_stream(compress_response=True)
        client = self.open_stream(headers=(("Accept-Encoding", "gzip"),))
        self.assertIn(b"Content-Encoding: gzip", self.head)
        if client.data or client.receive():
            self.read_event(client)
        self.opened[0].send_event(u"x" * 1000)
        self.assertLess(len(self.read_event(client)), 100)

    def test_version_1_0(self):
        self.serve_stream()
        client = self.open_stream(version="1.0")
        self.opened[0].send_event(u"a")
        self.opened[0].close()
        self.assertEqual(client.read_rest(), b"data: a\n\n")
