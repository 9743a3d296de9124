"""Server-Sent Events: messages from the server to a browser, over a response that does not end.

    class News(EventStreamHandler):
        def open(self):
            readers.add(self)

        def on_close(self):
            readers.discard(self)

    def publish(number, text):
        for reader in list(readers):
            reader.send_event(text, id=str(number))

In a page, ``new EventSource("/news").onmessage = function (event) { ... event.data ... }``
receives them. When the connection ends, a browser reconnects by itself and sends the last id that
it has seen: `last_event_id`. For messages in both directions, see `friendserve.websocket`.
"""
from __future__ import absolute_import, division, print_function

import random

from friendserve.log import gen_log
from friendserve.protocol.eventstream import HEARTBEAT, encode_event
from friendserve.stack_context import NullContext
from friendserve.web.decorators import asynchronous
from friendserve.web.handler import RequestHandler


class EventStreamHandler(RequestHandler):
    """Sends events to one reader. Override `open`, and `on_close` to learn when it has
    disconnected.

    If nothing else was sent in the meantime, a heartbeat is. It keeps proxies from closing the
    connection as idle, and reveals a reader that has vanished: it accepts no more bytes, so the
    server's write_timeout closes the connection.
    """
    #: Seconds between heartbeats; None to send none.
    heartbeat_interval = 15
    #: Bytes that may be queued for a reader that does not read; see `on_queue_full`.
    max_queue_size = 1024 * 1024
    #: The range of milliseconds after which the readers of a server that drains reconnect, each at
    #: a random time, because their streams all end at once.
    drain_retry = 500, 5000

    _is_open = False
    _heartbeat = None
    _has_sent = False

    # To be overridden

    def open(self, *args, **kwargs):
        """Called with the arguments from the URL. Until the first event is sent, it may refuse the
        reader: with `send_error`, or with status 204, which tells browsers not to reconnect."""

    def on_close(self):
        """Called once, from the loop, when the stream has ended, from either side."""

    def on_queue_full(self):
        """Called instead of sending an event if more than `max_queue_size` bytes are already
        queued for the reader. The event is dropped.

        By default it closes the connection; a browser will reconnect and send the last id that it
        has seen.
        """
        gen_log.warning("Event stream to %s closed: the client does not read, %d bytes are queued",
                        self.request.remote_ip, self._stream.unsent())
        self.request.connection.close()

    # Using an open stream

    @property
    def last_event_id(self):
        """The id (text) of the last event that the reader has seen; None on its first visit."""
        value = self.request.headers.get("Last-Event-ID")
        return None if value is None else self.decode_argument(
            value if isinstance(value, bytes) else value.encode("latin-1"), "Last-Event-ID")

    def send_event(self, data=None, event=None, id=None, retry=None, callback=None):
        """Send an event; for the arguments and errors see
        `friendserve.protocol.eventstream.encode_event`.

        `callback()` is called when the event has been written to the socket, and never if the
        reader disconnects first; use it to pace many events. After the stream has ended nothing is
        sent, without an error: `on_close` is called then.
        """
        data = encode_event(data, event, id, retry)
        if self._finished or not self._is_open:
            return
        if self._stream.unsent() > self.max_queue_size:
            self.on_queue_full()
            return
        self._has_sent = True
        self.write(data)
        self.flush(callback=callback)

    def close(self):
        """End the response; a browser will reconnect after a while."""
        if self._is_open and not self._finished:
            self.finish()

    # The response

    @asynchronous
    def get(self, *args, **kwargs):
        """Begin the stream."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        # nginx would buffer events before passing them on.
        self.set_header("X-Accel-Buffering", "no")
        self._is_open = True
        self.open(*args, **kwargs)
        if self._finished:
            return
        if self.get_status() == 204:
            self.finish()
            return
        if not self._headers_written:
            # Tells the page that it is connected.
            self.flush()
        self._plan_heartbeat()

    @property
    def _stream(self):
        return self.request.connection.stream

    def _plan_heartbeat(self):
        if self.heartbeat_interval and self._is_open:
            with NullContext():
                self._heartbeat = self._stream.io_loop.call_later(
                    self.heartbeat_interval, self._on_heartbeat)

    def _on_heartbeat(self):
        if not self._has_sent and not self._stream.unsent():
            self.write(HEARTBEAT)
            self.flush()
        self._has_sent = False
        self._plan_heartbeat()

    def on_connection_close(self):
        """End the stream because the reader has disconnected. Override `on_close` instead."""
        self._end()

    def on_drain(self):
        """End the stream; a browser will reconnect, to the process that took over. When the server
        drains, `drain_retry` says after what time, in a ``retry:`` at the end."""
        if self.request.connection.server.drain_timeout is not None:
            self.send_event(retry=random.randint(*self.drain_retry))
        self.close()

    def on_finish(self):
        self._end()

    def _end(self):
        if self._is_open:
            self._is_open = False
            if self._heartbeat is not None:
                self._stream.io_loop.remove_timeout(self._heartbeat)
            self._stream.io_loop.add_callback(self.on_close)
