"""One open WebSocket over a stream, for both roles.

The stream brings bytes, `friendserve.protocol.websocket` turns them into messages, and one callback
of the loop hands all of these to the owner. Everything that the owner writes during that callback
is sent together.

A peer that sends without reading is not read from while more than `HIGH_WATER` bytes are waiting to
be sent to it, which bounds echoes and pongs. Messages that an application sends unprompted are
bounded by `max_queue_size`; its owner decides what to do beyond that.
"""
from __future__ import absolute_import, division, print_function

import functools
import os
import sys

import six

from friendserve.awaitable import Pending, as_future, is_awaitable
from friendserve.escape import json_encode
from friendserve.iostream import StreamBufferFullError, StreamClosedError
from friendserve.iostream.buffers import PAUSE, Read
from friendserve.log import gen_log
from friendserve.protocol.errors import WebSocketInputError
from friendserve.protocol.websocket import (
    BINARY, CLOSE, FIN, MAX_CONTROL, NO_CODE, NO_TEXT, PING, PONG, RSV1, TEXT, Close, Ping, Pong,
    encode_close, encode_frame)
from friendserve.protocol.wshandshake import accept_value
from friendserve.stack_context import NullContext

#: While more bytes than this are waiting to be sent, the peer is not read from.
HIGH_WATER = 65536

#: The most bytes that may wait to be sent.
DEFAULT_MAX_QUEUE_SIZE = 16 * 1024 * 1024

#: Seconds within which the peer must answer a close frame and close the connection.
CLOSE_TIMEOUT = 5

#: The least number of bytes that one system call reads: enough for a message of 64 kB with its
#: head, and less than the 128 kB above which memory allocation becomes slow.
READ_SIZE = 98304

#: The UTF-8 of a text with more than this many bytes beyond its characters is kept for the rest of
#: the turn: encoding it takes more time (1 us) than keeping it. ASCII is encoded faster.
_WORTH_KEEPING, _TOO_LONG_TO_KEEP = 1024, 65536

#: Frames are gathered until there are this many, or until one has this many bytes.
_BATCH, _SMALL = 64, 16384

#: The life of a connection. CLOSING: our close frame has been sent, that of the peer has not been
#: received. ENDING: nothing is read or written any more; the peer is expected to close the stream.
OPEN, CLOSING, ENDING, CLOSED = "open", "closing", "ending", "closed"

#: (from, to) -> to, for every legal move.
MOVES = dict(((old, new), new) for old, news in {
    OPEN: (CLOSING, ENDING, CLOSED),
    CLOSING: (ENDING, CLOSED),
    ENDING: (CLOSED,),
}.items() for new in news)


_keeps_large_blocks = False


def _keep_large_blocks():
    """Have glibc's malloc keep freed blocks of up to 4 MiB for the next message. Called when a
    WebSocket opens; acts once per process.

    By default malloc returns freed blocks above 128 kB to the kernel, so each large message gets
    its memory page by page again. Freeing one block raises that limit to its size (mallopt(3),
    M_MMAP_THRESHOLD). Echoing 1 MB of binary takes 0.96 ms of CPU with this and 1.98 ms without;
    echoing 64 kB, no difference (Python 3.11, Debian 12, 2026-11-28).
    """
    global _keeps_large_blocks
    if not _keeps_large_blocks:
        _keeps_large_blocks = True
        bytearray(4 * 1024 * 1024)


class WebSocketError(Exception):
    """The base of the errors of WebSockets."""


class WebSocketClosedError(WebSocketError):
    """The WebSocket is closed or closing, so nothing can be sent."""
    def __init__(self, message="the WebSocket is closed"):
        super(WebSocketClosedError, self).__init__(message)


class _Recent(object):
    """The text that the WebSockets of one loop are currently handling, and its UTF-8, as the pair
    `text`.

    An echo or a relay sends the very object that was just decoded, and a message to many is the
    same object each time; neither is encoded again. The pair is dropped when the delivery or the
    turn ends, so no message is kept in memory for it.
    """
    __slots__ = ("text", "_io_loop", "_will_drop")

    def __init__(self, io_loop):
        self.text = NO_TEXT
        self._io_loop = io_loop
        self._will_drop = False

    @classmethod
    def of(cls, io_loop):
        """The _Recent of a loop."""
        recent = io_loop.attachments.get(__name__)
        if recent is None:
            recent = io_loop.attachments[__name__] = cls(io_loop)
        return recent

    def keep(self, text, data):
        """Keep a text that is sent, until the turn ends."""
        self.text = text, data
        if not self._will_drop:
            self._will_drop = True
            self._io_loop.spawn_callback(self._drop)

    def _drop(self):
        self._will_drop = False
        self.text = NO_TEXT


class WebSocketProtocol13(Read, Pending):
    """An open WebSocket of version 13, the only one in use (RFC 6455).

    `owner` has `on_message(message)`, `on_ping(data)`, `on_pong(data)`,
    `on_queue_full(message)`, `log_exception(typ, value, tb)`, and `ws_closed(code, reason)`,
    which is called once, last: `code` is that of the peer, else the one with which this side
    failed, or None if the connection was lost. All are called from the loop. An exception in one
    of them is logged, and closes with 1011.

    `mask_outgoing` is true for the client. The WebSocket itself is the pending read of its
    `stream`, for as long as it is open.
    """
    # Bits of the first byte of a frame (RFC 6455 5.2).
    FIN, RSV1, RSV2, RSV3 = FIN, RSV1, 0x20, 0x10
    RSV_MASK, OPCODE_MASK = 0x70, 0x0f

    __slots__ = ("stream", "owner", "mask_outgoing", "max_queue_size", "_reader", "_deflater",
                 "_recent", "_state", "_out", "_paused", "_held", "_running", "_code", "_reason",
                 "_pinger", "_timer")

    def __init__(self, stream, owner, reader, deflater=None, mask_outgoing=False,
                 max_queue_size=DEFAULT_MAX_QUEUE_SIZE):
        self.stream = stream
        self.owner = owner
        self.mask_outgoing = mask_outgoing
        self.max_queue_size = max_queue_size
        self._reader = reader
        self._deflater = deflater
        self._recent = _Recent.of(stream.io_loop)
        self._state = OPEN
        self._out = None            # a list of frames, while those are gathered
        self._paused = False        # because the peer does not read
        self._held = False          # because of `hold`
        self._running = None        # a _Running while coroutines of the owner run
        self._code = self._reason = None
        self._pinger = None
        self._timer = None          # for the end of the closing handshake
        _keep_large_blocks()
        stream.read_chunk_size = max(stream.read_chunk_size, min(READ_SIZE,
                                                                 stream.max_buffer_size // 2))

    @staticmethod
    def compute_accept_value(key):
        """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key."""
        return accept_value(key)

    def start(self, function, *args):
        """Call `function` of the owner, which may already write, then begin to read."""
        self.call(function, *args)
        try:
            self.stream.start_read(self)
        except StreamClosedError:
            # The peer has closed already, without sending anything.
            self.stream.io_loop.add_callback(self._on_close)

    def _move(self, state):
        self._state = MOVES[self._state, state]

    # The read: called by the stream

    def take(self, schedule, data):
        if self._paused or self._held or self._running is not None:
            return False
        if self._pinger is not None:
            self._pinger.heard = True
        schedule(self._on_data, data)
        return True

    def find(self, buffer):
        if self._paused or self._held or self._running is not None:
            return PAUSE
        return len(buffer) or None

    def deliver(self, schedule, data):
        if self._pinger is not None:
            self._pinger.heard = True
        schedule(self._on_data, data)
        return self

    def deliver_rest(self, schedule, buffer):
        if len(buffer):
            schedule(self._on_data, buffer.consume(len(buffer)))
        schedule(self._on_close)
        return True

    def hold(self):
        """Stop reading until `release`, so that the kernel slows the peer down."""
        self._held = True

    def release(self):
        """Resume reading after `hold`."""
        if self._held:
            self._held = False
            self.stream.resume_read()

    def is_held(self):
        """Whether this side does not read, so that it cannot tell whether the peer is alive."""
        return self._held or self._running is not None

    def _on_drained(self):
        self._paused = False
        self.stream.resume_read()

    # Receiving

    def _on_data(self, data, events=None):
        """Deliver the events that these bytes complete, or `events`: up to a coroutine's start."""
        if self._state is not OPEN and self._state is not CLOSING:
            # Data that arrives while the connection ends is discarded.
            return
        owner, reader, recent = self.owner, self._reader, self._recent
        if events is None:
            events = reader.receive(data)
            recent.text, reader.last_text = reader.last_text, NO_TEXT
        if self._running is not None:
            # This data was scheduled before, or is the rest of a stream that has closed.
            self._running.events.extend(events)
            return
        self._out = []
        events = iter(events)
        for event in events:
            kind = type(event)
            try:
                if kind is six.text_type or kind is bytes:
                    result = owner.on_message(event)
                else:
                    result = self._on_control(kind, event)
                if result is not None and is_awaitable(result):
                    self._await(result, owner)
                    # The traceback of an exception of it may lead to this frame.
                    result = None
                    if self._running is not None:
                        self._running.events.extend(events)
            except Exception:
                self._crash()
            if self._state is ENDING or self._state is CLOSED:
                break
        recent.text = NO_TEXT
        self._send_batch()
        if self.stream.unsent() > HIGH_WATER and not self._paused:
            self._paused = True
            self.stream.write(b"", self._on_drained)

    def _await(self, result, owner):
        """Deliver no more until `result`, an awaitable of `owner`, has ended."""
        def ended(future):
            exc_info = future.exc_info()
            if exc_info is not None:
                self._crash(owner, exc_info)
            running.count -= 1
            if not running.count and self._running is running:
                self._running = None
                self._continue(running)

        if isinstance(result, Pending):
            return
        if self._running is None:
            self._running = _Running()
        running = self._running
        running.count += 1
        as_future(result).add_done_callback(ended)

    def _continue(self, before):
        """Deliver what has waited for the end of coroutines, and read on."""
        if before.events:
            self._on_data(None, before.events)
        if before.closed:
            self._on_close()
        elif not self.stream.closed():
            self.stream.resume_read()

    def _on_control(self, kind, event):
        if kind is Ping:
            if self._state is OPEN:
                self._send(encode_frame(FIN | PONG, event.data, self._make_mask()))
            return self.owner.on_ping(event.data)
        elif kind is Pong:
            return self.owner.on_pong(event.data)
        elif kind is Close:
            self._code, self._reason = event.code, event.reason
            if self._state is OPEN:
                code = None if event.code == NO_CODE else event.code
                self._send(encode_frame(FIN | CLOSE, encode_close(code), self._make_mask()))
            self._end()
        elif isinstance(event, WebSocketInputError):
            gen_log.info("WebSocket closed with %d (%s): %s", event.code, self.owner, event)
            self.fail(event.code, str(event))

    def call(self, function, *args):
        """Call a function of the application; an exception closes with 1011."""
        try:
            result = function(*args)
            if result is not None and is_awaitable(result):
                self._await(result, self.owner)
        except Exception:
            self._crash()

    def _crash(self, owner=None, error=None):
        """Handle an exception of the application: the one in sys.exc_info, or `error`."""
        error = error or sys.exc_info()
        if isinstance(error[1], WebSocketClosedError) and (
                self._state is not OPEN or self.stream.closed()):
            # The application could not know that the WebSocket was closing.
            return
        try:
            # A coroutine may end after the WebSocket has closed.
            (owner or self.owner).log_exception(*error)
        finally:
            del error
            self.fail(1011)

    # Sending

    def _make_mask(self):
        return os.urandom(4) if self.mask_outgoing else b""

    def write_message(self, message, binary=False, callback=None):
        """Send text (or a dict, as JSON; or UTF-8 bytes), or any bytes if `binary`. `callback()` is
        called when the whole message has been written to the socket, and never if the connection is
        lost first.

        Raises WebSocketClosedError when the WebSocket is closed or closing, TypeError for a
        message of another type, and ValueError for bytes that are not UTF-8.
        """
        stream = self.stream
        if self._state is not OPEN or stream.closed():
            raise WebSocketClosedError()
        if type(message) is six.text_type:
            known, data = self._recent.text
            if known is not message:
                data = message.encode("utf-8")
                if _WORTH_KEEPING < len(data) - len(message) <= _TOO_LONG_TO_KEEP:
                    self._recent.keep(message, data)
        else:
            data = _encode(message, binary)
        if stream.unsent() > self.max_queue_size:
            self.owner.on_queue_full(message)
            return
        first = FIN | BINARY if binary else FIN | TEXT
        if self._deflater is not None:
            first |= RSV1
            data = self._deflater.compress(data)
        data = encode_frame(first, data, os.urandom(4) if self.mask_outgoing else b"")
        if callback is not None:
            callback = functools.partial(self.call, callback)
        self._send(data, callback)
        return self

    def when_ended(self, callback, on_error):
        """Call `callback(None)` when every message so far has been written to the socket, or
        `on_error` with a WebSocketClosedError if the connection is lost first. This makes what
        `write_message` returns awaitable."""
        if self._out:
            self._write(b"".join(self._out), None)
            del self._out[:]
        self.stream.when_ended(lambda stream: callback(None),
                               lambda error: on_error(WebSocketClosedError()))

    def write_ping(self, data):
        """Send a ping with up to 125 bytes (or text, as UTF-8)."""
        if isinstance(data, six.text_type):
            data = data.encode("utf-8")
        if len(data) > MAX_CONTROL:
            raise ValueError("a ping may have at most %d bytes, not %d" % (MAX_CONTROL, len(data)))
        if self._state is not OPEN or self.stream.closed():
            raise WebSocketClosedError()
        self._send(encode_frame(FIN | PING, data, self._make_mask()))

    def _send(self, data, callback=None):
        out = self._out
        if out is None:
            self._write(data, callback)
            return
        out.append(data)
        if callback is not None or len(out) >= _BATCH or len(data) >= _SMALL:
            self._write(b"".join(out), callback)
            del out[:]

    def _send_batch(self):
        out, self._out = self._out, None
        if out:
            self._write(out[0] if len(out) == 1 else b"".join(out), None)

    def _write(self, data, callback):
        try:
            self.stream.write(data, callback)
        except StreamClosedError:
            # `ws_closed` reports it.
            pass
        except StreamBufferFullError as error:
            gen_log.info("WebSocket of %s closed: %s", self.owner, error)
            self.stream.close()

    # The end

    def close(self, code=None, reason=None):
        """Begin the closing handshake; the peer has `CLOSE_TIMEOUT` seconds to answer.

        Messages that the peer sent before it received this may still be delivered. Raises
        ValueError for a code that must not be sent; does nothing if the WebSocket is closing
        already.
        """
        if code is None and reason is not None:
            code = 1000
        payload = encode_close(code, reason)
        if self._state is OPEN:
            self._send(encode_frame(FIN | CLOSE, payload, self._make_mask()))
            self._move(CLOSING)
            self._set_deadline()

    def fail(self, code, reason=None):
        """Send a close frame with this code and stop reading: the closing handshake is skipped."""
        if self._state is ENDING or self._state is CLOSED:
            return
        if self._code is None:
            self._code, self._reason = code, reason
        if self._state is OPEN:
            self._send(encode_frame(FIN | CLOSE, encode_close(code, reason), self._make_mask()))
        self._end(is_failure=True)

    def abort(self):
        """Close the stream immediately. Messages that wait for a coroutine are dropped."""
        running = self._running
        if running is not None:
            del running.events[:]
            if running.closed:
                self._running = None
                self.stream.io_loop.add_callback(self._on_close)
        self.stream.close()

    def _end(self, is_failure=False):
        """Stop reading and writing. The server is the first to end its side, and the client the
        first to close (RFC 6455 7.1.1): closing with unread bytes would reset the connection, and
        the peer might lose our last frame."""
        if self._out is not None:
            self._send_batch()
            self._out = []
        self._move(ENDING)
        self._set_deadline()
        self._paused = self._held = False
        self._running = None
        if not self.mask_outgoing or is_failure:
            self.stream.shutdown_write()
        if not self.stream.closed():
            self.stream.resume_read()

    def _set_deadline(self):
        if self._timer is None:
            with NullContext():
                self._timer = self.stream.io_loop.call_later(CLOSE_TIMEOUT, self.abort)

    def _on_close(self):
        if self._running is not None and self._running.events:
            self._running.closed = True
            return
        self._running = None
        self._move(CLOSED)
        io_loop = self.stream.io_loop
        if self._timer is not None:
            io_loop.remove_timeout(self._timer)
            self._timer = None
        if self._pinger is not None:
            self._pinger.stop()
            self._pinger = None
        owner, self.owner = self.owner, None
        try:
            result = owner.ws_closed(self._code, self._reason)
            if result is not None and is_awaitable(result):
                self._await(result, owner)
        except Exception:
            owner.log_exception(*sys.exc_info())

    # Pings

    def start_pinging(self, interval, timeout):
        """Send a ping every `interval` seconds, and close the stream if no sign of life follows one
        within `timeout` seconds."""
        if self._state is OPEN and not self.stream.closed():
            self._pinger = _Pinger(self, interval, timeout)

    def send_keep_alive(self):
        """Called by the pinger: send an empty ping, unless the peer is not reading."""
        if self._state is OPEN and not self.stream.closed() and not self._paused:
            self._send(encode_frame(FIN | PING, b"", self._make_mask()))


class _Running(object):
    """The coroutines of an owner that run, and what waits for their end."""
    __slots__ = ("count", "events", "closed")

    def __init__(self):
        self.count = 0
        self.events = []
        self.closed = False         # whether the stream has closed: on_close comes last


class _Pinger(object):
    """Sends pings. Any data from the peer proves that it is alive, and so does its reading of
    queued data. The connection sets `heard` when data arrives."""
    __slots__ = ("heard", "_connection", "_interval", "_timeout", "_next_ping", "_unanswered",
                 "_progress", "_timer")

    def __init__(self, connection, interval, timeout):
        self.heard = False
        self._connection = connection
        self._interval = interval
        self._timeout = timeout
        self._unanswered = None     # when the first unanswered ping was sent
        self._progress = None
        self._next_ping = self._now() + interval
        self._wait_until(self._next_ping)

    def _now(self):
        return self._connection.stream.io_loop.time()

    def _wait_until(self, when):
        with NullContext():
            self._timer = self._connection.stream.io_loop.call_at(when, self._on_time)

    def stop(self):
        self._connection.stream.io_loop.remove_timeout(self._timer)

    def _note_life(self):
        progress = self._connection.stream.write_progress()
        if self.heard or progress != self._progress or self._connection.is_held():
            self._unanswered = None
        self.heard = False
        self._progress = progress

    def _on_time(self):
        self._note_life()
        if self._unanswered is not None and self._now() >= self._unanswered + self._timeout:
            # If this process was busy, the answer may have arrived but not been read yet.
            self._connection.stream.io_loop.add_callback(self._give_up)
            return
        self._go_on()

    def _go_on(self):
        now = self._now()
        if now >= self._next_ping:
            self._connection.send_keep_alive()
            self._next_ping = now + self._interval
            if self._unanswered is None:
                self._unanswered = now
        when = self._next_ping
        if self._unanswered is not None:
            when = min(when, self._unanswered + self._timeout)
        self._wait_until(when)

    def _give_up(self):
        connection = self._connection
        if connection.stream.closed():
            return
        self._note_life()
        if self._unanswered is None:
            self._go_on()
        else:
            gen_log.info("WebSocket of %s closed: no answer to a ping for %s seconds",
                         connection.owner, self._timeout)
            connection.abort()


def _encode(message, binary):
    """The payload of a message that is not plain unicode."""
    if isinstance(message, dict):
        return json_encode(message).encode("utf-8")
    if isinstance(message, six.text_type):
        return message.encode("utf-8")
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError("a message must be text, bytes or a dict, not %s" % type(message).__name__)
    data = message if isinstance(message, bytes) else \
        bytes(message) if isinstance(message, bytearray) else message.tobytes()
    if not binary:
        # The peer would close the connection for invalid UTF-8.
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError("a text message must be UTF-8 (%s): did you mean binary=True?" % error)
    return data
