"""Shared by the tests of WebSockets: clients that send frames, and handlers that record calls."""
from __future__ import absolute_import, division, print_function

from timeit import default_timer

from friendserve.ioloop import IOLoop
from friendserve.protocol.websocket import FrameReader, encode_frame
from friendserve.websocket import WebSocketHandler
from tests.webcase import WebCase, request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ASK = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
       ("Sec-WebSocket-Key", KEY))


class SkippingClock(object):
    """A clock for `time_func` that `skip` moves forward."""

    def __init__(self):
        self._skipped = 0

    def __call__(self):
        return default_timer() + self._skipped

    def skip(self, seconds):
        self._skipped += seconds


class Noting(WebSocketHandler):
    """Appends each call to the list in the setting `notes`, and itself to `opened`."""

    def note(self, *what):
        self.settings["notes"].append(what if len(what) > 1 else what[0])

    def open(self, *args, **kwargs):
        self.settings["opened"].append(self)
        self.note("open")

    def on_message(self, message):
        self.note(message)

    def on_close(self):
        self.note("close", self.close_code, self.close_reason)

    def on_ping(self, data):
        self.note("ping", data)

    def on_pong(self, data):
        self.note("pong", data)


class Echo(Noting):
    def on_message(self, message):
        super(Echo, self).on_message(message)
        self.write_message(message, binary=isinstance(message, bytes))


class Peer(object):
    """The peer of a WebSocket, over a Client that has completed the handshake."""

    def __init__(self, client, response, reader=None):
        self.client = client
        self.response = response
        self.reader = reader or FrameReader(False)
        self.events = []

    def send(self, first, payload=b""):
        self.client.send(encode_frame(first, payload, b"mask"))

    def read(self):
        """The next event."""
        self.client.wait_for(lambda: self._take() or self.client.ended)
        self._take()
        return self.events.pop(0) if self.events else None

    def _take(self):
        if self.client.data:
            data, self.client.data = self.client.data, b""
            self.events.extend(self.reader.receive(data))
        return self.events


class WebSocketCase(WebCase):
    """`notes` are the calls of the handlers, `handlers` the handlers opened."""

    def use_skipping_clock(self):
        """Use a loop whose time `skip` can move forward; `skip` also runs it."""
        self.clock = SkippingClock()
        self.use_loop(IOLoop(time_func=self.clock))

    def skip(self, seconds):
        self.clock.skip(seconds)
        self.turn(0, 3)

    def serve_sockets(self, handler_class=Echo, options=None, **settings):
        self.notes, self.handlers = [], []
        self.addCleanup(self.close_sockets, self.handlers)
        return self.serve_app([(r"/(?P<name>\w*)", handler_class)], options, notes=self.notes,
                              opened=self.handlers, **settings)

    def close_sockets(self, handlers):
        for handler in handlers:
            if handler.stream is not None:
                handler.stream.close()

    def open_socket(self, headers=(), data=b"", path="/", reader=None, connect=None, **options):
        """A Peer whose WebSocket is open; `data` is sent right after the request."""
        client = (connect or self.connect)(
            data=request(path, headers=ASK + tuple(headers)) + data, **options)
        response = client.read_response()
        self.assertEqual(response.status, 101)
        self.run_until(lambda: self.handlers)
        return Peer(client, response, reader)

    def refused(self, headers=ASK, status=400, **options):
        """The response to a handshake that is refused."""
        response = self.ask("/", headers=headers, **options)
        self.assertEqual(response.status, status)
        self.assertEqual(self.notes, [])
        return response

    def wait_for_note(self, note):
        self.run_until(lambda: note in self.notes)

    def closings(self):
        """The notes of on_close, after some more turns."""
        self.turn(0, 3)
        return [note for note in self.notes if isinstance(note, tuple) and note[0] == "close"]
