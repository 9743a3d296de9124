"""Server-Sent Events: what the server has to say, over a response that does not end.

    class News(EventStreamHandler):
        def open(self):
            readers.add(self)

        def on_close(self):
            readers.discard(self)

    def publish(number, text):
        for reader in list(readers):
            reader.send_event(text, id=str(number))

In a page, ``new EventSource("/news").onmessage = function (event) { ... event.data ... }`` reads
them. A browser connects again by itself when the connection ends, and then tells the last id that
it has seen: `last_event_id`. For messages in both directions there is `friendserve.websocket`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.log import gen_log
from friendserve.protocol.eventstream import HEARTBEAT, encode_event
from friendserve.stack_context import NullContext
from friendserve.web.decorators import asynchronous
from friendserve.web.handler import RequestHandler


class EventStreamHandler(RequestHandler):
    """Sends events to one reader. Override `open`, and `on_close` to learn that it has gone.

    A heart beat goes out when nothing else did, so that a proxy does not take the connection for
    dead, and a reader that has vanished is noticed: it takes nothing any more, and then the
    write_timeout of the server closes.
    """
    #: Seconds between heart beats; None for none.
    heartbeat_interval = 15
    #: Bytes that may wait for a reader that does not read; see `on_queue_full`.
    max_queue_size = 1024 * 1024

    _is_open = False
    _heartbeat = None
    _has_sent = False

    # To be overridden

    def open(self, *args, **kwargs):
        """Called with the arguments from the URL. Until the first event is sent it may refuse:
        by `send_error`, or with the status 204, after which a browser does not come back."""

    def on_close(self):
        """Called once, from the loop, when the stream has ended, whoever ended it."""

    def on_queue_full(self):
        """Called in place of sending an event when more than `max_queue_size` bytes wait for the
        reader already. The event is dropped.

        By default the connection is closed: a browser comes back and tells what it has seen.
        """
        gen_log.warning("Event stream to %s closed: it does not read, %d bytes wait for it",
                        self.request.remote_ip, self._stream.unsent())
        self.request.connection.close()

    # The use of an open stream

    @property
    def last_event_id(self):
        """The id of the last event that the reader has seen, a text; None on its first visit."""
        value = self.request.headers.get("Last-Event-ID")
        return None if value is None else self.decode_argument(
            value if isinstance(value, bytes) else value.encode("latin-1"), "Last-Event-ID")

    def send_event(self, data=None, event=None, id=None, retry=None, callback=None):
        """Send an event; the arguments are those of
        `friendserve.protocol.eventstream.encode_event`, with its errors.

        `callback()` is called when the system has taken it, which is the clock for who has much to
        send, and never when the reader has gone before. When the stream has ended nothing is
        sent: `on_close` is what tells.
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
        """End the response; a browser connects again after a while."""
        if self._is_open and not self._finished:
            self.finish()

    # The response

    @asynchronous
    def get(self, *args, **kwargs):
        """Begin the stream."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        # nginx would gather what comes before it passes it on.
        self.set_header("X-Accel-Buffering", "no")
        self._is_open = True
        self.open(*args, **kwargs)
        if self._finished:
            return
        if self.get_status() == 204:
            self.finish()
            return
        if not self._headers_written:
            # So that the page learns that it is connected.
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
        """The reader has gone; `on_close` is what to override."""
        self._end()

    def on_server_stop(self):
        """The server is stopping: a browser will connect to the next one."""
        self.close()

    def on_finish(self):
        self._end()

    def _end(self):
        if self._is_open:
            self._is_open = False
            if self._heartbeat is not None:
                self._stream.io_loop.remove_timeout(self._heartbeat)
            self._stream.io_loop.add_callback(self.on_close)
