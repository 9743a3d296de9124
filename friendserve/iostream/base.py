"""The base class of all streams: reading, writing and closing, over any kind of fd.

The life of a write, from a request handler to the system:

1. `RequestHandler.write` collects pieces. `flush` and `finish` join them, pass them through the
   transforms, and hand the result to the connection: a whole response to `respond`, a part to
   `write_headers` or `write`.
2. The connection encodes the head and frames the body (chunks, or a count held to the
   Content-Length), and hands bytes to `BaseIOStream.write`. A body that is a file is passed to
   `write_file`, as a FilePiece, with the head. A WebSocket and a client begin here, with a frame or
   a request.
3. `write` takes ownership of the data: bytes as they are, anything mutable as a copy. If nothing is
   queued, it calls `write_to_fd` at once. Usually the system accepts everything: the callback is
   scheduled, and the write is over without having touched a buffer. `write_file` sends the head
   alone in this way, by `write_ahead_to_fd`, so that the system can put the first bytes of the file
   into the same packet.
4. What the system did not accept, and everything written while something is queued, is appended to
   the WriteBuffer `_out` (in memory up to `max_write_buffer_size`), with its callback and the
   position at which that is due. From now on the stream is registered for WRITE.
5. When the fd is writable, `_flush` sends the `first` piece of the buffer, reports to `advance` how
   many bytes were sent, and schedules the callbacks that this makes due; at most `_MAX_SENDS` times
   in a row. A FilePiece is sent by `send_piece`: the system sends it straight from the file
   (sendfile), or, with TLS for example, it is read and sent 64 KiB at a time.
6. When the buffer is empty, `_out` is None again and the stream is no longer registered for WRITE.

If the stream closes first, what is queued is dropped and its files are closed. None of the waiting
callbacks is called then, only the close callback.
"""
from __future__ import absolute_import, division, print_function

import errno
import re
import sys

import six

from friendserve.awaitable import Pending, future_of, noted
from friendserve.ioloop import IOLoop
from friendserve.iostream.buffers import (
    PAUSE, FilePiece, ReadBuffer, ReadBytes, ReadUntil, ReadUntilClose, ReadUntilRegex, Sent,
    StreamBufferFullError, StreamBytes, UnsatisfiableReadError, WriteBuffer)
from friendserve.log import gen_log
from friendserve.platform.pollers.interface import ERROR, RDHUP, READ, WRITE
from friendserve.stack_context import NullContext, state, wrap
from friendserve.util import errno_from_exception

#: Errors that mean the system is short of memory, for now.
_SHORTAGES = frozenset(getattr(errno, name) for name in ("ENOBUFS", "ENOMEM", "WSAENOBUFS")
                       if hasattr(errno, name))

#: Errors after which the call can be repeated: the loop will report that the fd is ready. After a
#: shortage it does so in every turn until the call succeeds.
RETRY = frozenset([errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR]) | _SHORTAGES

_READ_OR_ERROR = READ | ERROR

DEFAULT_BUFFER_SIZE = 100 * 1024 * 1024
DEFAULT_CHUNK_SIZE = 65536

# After this many sends in a row the other streams get their turn, even if the peer keeps reading.
_MAX_SENDS = 16

CONNECTING, OPEN, ENDED, CLOSED = "connecting", "open", "ended", "closed"

#: (from, to) -> to, for every legal move. OPEN is the first state, even of a socket that is not
#: connected yet. CONNECTING: a connect or a TLS handshake is in progress; writes are queued. ENDED:
#: the peer will send no more, but received bytes are unread, or bytes wait to be sent.
MOVES = dict(((old, new), new) for old, news in {
    OPEN: (CONNECTING, ENDED, CLOSED),
    CONNECTING: (CONNECTING, OPEN, CLOSED),
    ENDED: (ENDED, CLOSED),
    CLOSED: (),
}.items() for new in news)


class StreamClosedError(IOError):
    """The stream is closed; `real_error` is the error that closed it, or None."""
    def __init__(self, real_error=None):
        super(StreamClosedError, self).__init__("Stream is closed")
        self.real_error = real_error


class BaseIOStream(Pending):
    """A stream over some fd. Subclasses define `fileno`, `close_fd`, `read_from_fd`, `write_to_fd`
    and perhaps `write_ahead_to_fd`, `send_piece` and `get_fd_error`.

    `max_buffer_size` bounds the bytes that a read may gather before it is satisfied (default 100
    MiB), and `max_write_buffer_size` those that wait to be sent (default: no limit), both in
    bytes. `read_chunk_size` is the most that one system call reads (default 64 KiB).
    """
    # One instance per connection, and there may be tens of thousands.
    __slots__ = ("io_loop", "max_buffer_size", "read_chunk_size", "max_write_buffer_size",
                 "error", "_state", "_fd", "_events", "_peer_left", "_buffer", "_pending", "_out",
                 "_on_close", "__dict__", "__weakref__")

    def __init__(self, io_loop=None, max_buffer_size=None, read_chunk_size=None,
                 max_write_buffer_size=None):
        self.io_loop = io_loop or IOLoop.current()
        self.max_buffer_size = max_buffer_size or DEFAULT_BUFFER_SIZE
        # So that one chunk cannot exceed the limit by much.
        self.read_chunk_size = min(read_chunk_size or DEFAULT_CHUNK_SIZE,
                                   self.max_buffer_size // 2 or 1)
        self.max_write_buffer_size = max_write_buffer_size
        #: The exception that closed the stream, or broke off what the peer was sending; None while
        #: there is none.
        self.error = None
        self._state = OPEN          # see MOVES; subclasses move it too
        self._fd = None             # the fd registered with the loop; None before
        self._events = None         # those registered with the loop; None: we are not registered
        self._peer_left = False     # the poller has reported RDHUP
        self._buffer = ReadBuffer()     # received bytes that no read has consumed
        self._pending = None        # the pending Read, set by start_read; None if there is none
        self._out = None            # the WriteBuffer while it has something in it, else None
        self._on_close = None       # the close callback; None if not set, or called already

    # For subclasses

    def fileno(self):
        """The fd, an int."""
        raise NotImplementedError()

    def close_fd(self):
        """Close the fd. Called once."""
        raise NotImplementedError()

    def read_from_fd(self):
        """Up to `read_chunk_size` bytes; b"" at end of stream, None if none are available."""
        raise NotImplementedError()

    def write_to_fd(self, data):
        """Send part of a bytes-like object; returns how many bytes were sent, 0 if the fd is not
        ready."""
        raise NotImplementedError()

    def write_ahead_to_fd(self, data):
        """Like `write_to_fd`, for bytes that more will follow at once."""
        return self.write_to_fd(data)

    def send_piece(self, piece):
        """Send part of a FilePiece, otherwise like `write_to_fd`."""
        return self.write_to_fd(piece.read(DEFAULT_CHUNK_SIZE))

    def get_fd_error(self):
        """The pending error of the fd, which this clears, or None."""
        return None

    # Reading. Each read calls `callback`; if the stream closes first, `on_error` is called with a
    # StreamClosedError, if given. Without both, the read returns a Future.

    def read_until(self, delimiter, callback=None, max_bytes=None, on_error=None):
        """Call `callback(data)` with all bytes up to and including the bytes `delimiter`.

        If it does not appear within `max_bytes` the stream closes, with an
        UnsatisfiableReadError as its `error`.
        """
        if callback is None and on_error is None:
            return future_of(self.read_until, delimiter, max_bytes=max_bytes)
        if not isinstance(delimiter, bytes) or not delimiter:
            raise TypeError("a delimiter must be bytes, at least one, not %r" % (delimiter,))
        self._start_read(ReadUntil(self._guard(callback, True), delimiter, max_bytes), on_error)

    def read_until_regex(self, regex, callback=None, max_bytes=None, on_error=None):
        """Call `callback(data)` with all bytes up to the end of the first match of the bytes
        `regex`, otherwise like `read_until`."""
        if callback is None and on_error is None:
            return future_of(self.read_until_regex, regex, max_bytes=max_bytes)
        regex = re.compile(regex)
        if not isinstance(regex.pattern, bytes):
            raise TypeError("the regex of a stream must be bytes, not %r" % (regex.pattern,))
        self._start_read(ReadUntilRegex(self._guard(callback, True), regex, max_bytes), on_error)

    def read_bytes(self, num_bytes, callback=None, streaming_callback=None, partial=False,
                   on_error=None):
        """Call `callback(data)` with `num_bytes` bytes, or with `partial` as soon as at least one
        has arrived.

        With `streaming_callback`, that is called with each piece, and at the end `callback` is
        called with b"".
        """
        if not isinstance(num_bytes, six.integer_types) or num_bytes < 0:
            raise ValueError("the number of bytes to read must be an integer, 0 or more, not %r"
                             % (num_bytes,))
        if callback is None and on_error is None:
            # With a streaming_callback, the end is seldom awaited.
            return (future_of if streaming_callback is None else noted)(
                self.read_bytes, num_bytes, streaming_callback=streaming_callback, partial=partial)
        if streaming_callback is not None:
            read = StreamBytes(self._guard(callback), self._guard(streaming_callback), num_bytes)
        else:
            read = ReadBytes(self._guard(callback, True), num_bytes, partial)
        self._start_read(read, on_error)

    def read_into(self, buf, callback=None, partial=False, on_error=None):
        """Like `read_bytes`, but fill the bytearray `buf` and call `callback(number of bytes)`."""
        if callback is None and on_error is None:
            return future_of(self.read_into, buf, partial=partial)

        def fill(data):
            memoryview(buf)[:len(data)] = data
            callback(len(data))
        self.read_bytes(len(buf), fill, partial=partial, on_error=on_error)

    def read_until_close(self, callback=None, streaming_callback=None, on_error=None):
        """Call `callback(data)` with all bytes received until either side closes the stream.

        With `streaming_callback`, that is called with each piece, and at the end `callback` is
        called with b"". When an error closes the stream the data may be incomplete: `error` is set
        by then. With `on_error`, that is called instead.
        """
        if callback is None and on_error is None:
            return (future_of if streaming_callback is None else noted)(
                self.read_until_close, streaming_callback=streaming_callback)
        self._start_read(ReadUntilClose(
            self._guard(callback), self._guard(streaming_callback)), on_error)

    def _start_read(self, read, on_error):
        if on_error is not None:
            read.on_error = self._guard(on_error)
        self.start_read(read)

    def start_read(self, read):
        """Make a `friendserve.iostream.buffers.Read` the pending read.

        Its callback is called unwrapped: it must carry its own context, and its exceptions go to
        the loop. Raises RuntimeError while another read is pending, and StreamClosedError if the
        stream is closed and the bytes left in it do not satisfy this read.
        """
        if self._pending is not None:
            raise RuntimeError("a read is already pending: wait for its callback")
        self._pending = read
        self._try_read_here()
        if self._state is OPEN:
            # Once the buffer is empty, listen even without a read: the peer may disconnect.
            if self._events != READ and (self._pending is not None or not len(self._buffer)):
                self._update_events()
        elif self._state is ENDED:
            # After the callback of this read, which may write or start another read.
            self._schedule(self._maybe_close)
        elif self._state is CLOSED and self._pending is read:
            self._pending = None
            if self.error is not None or not read.deliver_rest(self._schedule, self._buffer):
                raise StreamClosedError(self.error)

    # For code that takes received bytes by Tornado's private names, to hand another socket to the
    # stream.

    @property
    def _read_buffer_size(self):
        """How many received bytes are unread."""
        return len(self._buffer)

    def _consume(self, size):
        """Take the first `size` unread bytes and return them. In the next turn the stream tries to
        read: a socket that replaces the present one may hold data that no poller reports."""
        self.io_loop.add_callback(self._read_again)
        return self._buffer.consume(size)

    def _read_again(self):
        if self._state is OPEN:
            self._handle_events(self._fd, READ)

    def is_quiet(self):
        """Whether everything was sent, nothing is unread, and the stream is registered for READ:
        `resume_read` has nothing to do then."""
        return self._out is None and self._events == READ and not self._buffer.data \
            and self._state is OPEN

    def resume_read(self):
        """Offer the buffer to the pending read again, after it has answered PAUSE."""
        if self._state is CLOSED:
            return
        if self._buffer.data:
            self._try_read_here()
        if self._state is ENDED:
            self._maybe_close()
        elif self._events != READ:
            self._update_events()
            if self._peer_left:
                self._close_if_abandoned()

    def push_back(self, data):
        """Put delivered bytes back, as the first bytes of the next read."""
        self._buffer.push_back(data)

    def take_unread(self, size):
        """The next `size` bytes, if they have been received; otherwise None. For the pending read,
        which would get them later."""
        if len(self._buffer) < size or self._state is CLOSED:
            return None
        data = self._buffer.consume(size)
        if self._events != READ:
            self._update_events()
        return data

    def end_read(self):
        """Drop the pending read; bytes not delivered to it are left for the next one."""
        self._pending = None

    def has_unread(self):
        """Whether received bytes wait for a read."""
        return self._buffer.data != b""

    def reading(self):
        """Whether a read is pending."""
        return self._pending is not None

    def _try_read_here(self):
        # Callbacks carry their own contexts; the caller's must not apply to anything else.
        if state.contexts:
            with NullContext():
                self._try_read()
        else:
            self._try_read()

    def _try_read(self):
        """Deliver from the buffer to the pending read, as often as it finds its end; even an empty
        buffer satisfies a read of 0 bytes."""
        buffer = self._buffer
        while True:
            read = self._pending
            try:
                size = read.find(buffer)
                if size is None and len(buffer) > self.max_buffer_size:
                    raise StreamBufferFullError(
                        "a read gathered more than max_buffer_size (%d bytes)"
                        % self.max_buffer_size)
            except (UnsatisfiableReadError, StreamBufferFullError) as error:
                gen_log.info("Unsatisfiable read, closing connection: %s", error)
                self._fail(error)
                return
            if size is None:
                return
            if size == PAUSE:
                self._update_events()
                return
            self._pending = read.deliver(self.io_loop.add_callback, buffer.consume(size))
            if self._pending is None or not len(buffer):
                return

    # Writing

    def write(self, data, callback=None):
        """Send bytes (or a bytearray or memoryview); `callback()` is called when the system has
        accepted all of them. Returns the stream, which can be awaited for the same moment.

        Raises StreamClosedError if the stream is closed, and StreamBufferFullError, with
        nothing sent, if they would exceed `max_write_buffer_size`.
        """
        if self._state is CLOSED:
            raise StreamClosedError(self.error)
        if type(data) is not bytes:
            # The caller may change a bytearray as soon as this returns.
            data = bytes(data) if isinstance(data, (bytes, bytearray)) \
                else memoryview(data).tobytes()
        if callback is not None:
            callback = self._guard(callback)
        # An ENDED stream stays open only while something is queued, so it queues everything.
        if self._out is None and self._state is OPEN:
            if self.max_write_buffer_size is not None and \
                    len(data) > self.max_write_buffer_size:
                raise StreamBufferFullError("more than max_write_buffer_size (%d bytes)"
                                            % self.max_write_buffer_size)
            try:
                sent = self.write_to_fd(data) if data else 0
            except (OSError, IOError) as error:
                self._lost(error)
                return self
            if sent == len(data):
                if callback is not None:
                    self._schedule(callback)
                return self
            data = memoryview(data)[sent:] if sent else data
        self._queue(data, callback)
        return self

    def write_file(self, file, start, size, callback=None, head=b""):
        """Send the bytes `head`, then `size` bytes (at least one) of a file opened in binary mode,
        starting at its position `start`, and close the file; `callback()` is called when the system
        has accepted everything.

        The file is read only as fast as the peer accepts it, and is never in memory as a whole. It
        is closed as well if the stream closes first. If it turns out to be too short, the stream
        closes with an IOError as its `error`, so that the peer cannot mistake the part it received
        for the whole. Raises StreamClosedError if the stream is closed.
        """
        if self._state is CLOSED:
            file.close()
            raise StreamClosedError(self.error)
        idle = self._out is None
        if idle and head and self._state is OPEN:
            try:
                head = memoryview(head)[self.write_ahead_to_fd(head):]
            except (OSError, IOError) as error:
                file.close()
                self._lost(error)
                return
        if idle:
            self._out = WriteBuffer()
        if head:
            self._out.append(head)
        self._out.append_file(FilePiece(file, start, size))
        if callback is not None:
            self._out.call_when_sent(self._guard(callback))
        if self._state is not CONNECTING:
            if idle:
                if state.contexts:
                    # The callback carries its own.
                    with NullContext():
                        self._flush()
                else:
                    self._flush()
            self._update_events()

    def _queue(self, data, callback):
        out = self._out
        if self.max_write_buffer_size is not None and \
                (out.held if out is not None else 0) + len(data) > self.max_write_buffer_size:
            raise StreamBufferFullError("more than max_write_buffer_size (%d bytes) would wait "
                                        "to be sent" % self.max_write_buffer_size)
        if out is None:
            out = self._out = WriteBuffer()
        if data:
            out.append(data)
        if callback is not None:
            out.call_when_sent(callback)
        if self._state is not CONNECTING:
            self._update_events()

    def when_ended(self, callback, on_error):
        """Call `callback(self)` when the stream is connected and everything written so far has
        been sent, or `on_error` with a StreamClosedError if the stream closes first. This makes a
        stream, which `write` and `connect` return, awaitable."""
        if self._state is CLOSED:
            self._schedule(on_error, StreamClosedError(self.error))
            return
        if self._out is None:
            if self._state is not CONNECTING:
                self._schedule(callback, self)
                return
            self._out = WriteBuffer()
        self._out.call_when_sent(Sent(callback, on_error, self))

    def writing(self):
        """Whether bytes wait to be sent."""
        return self._out is not None

    def unsent(self):
        """How many bytes wait to be sent."""
        return 0 if self._out is None else len(self._out)

    def write_progress(self):
        """A value that changes whenever bytes have been sent; None if none wait."""
        return None if self._out is None else (self._out, self._out.progress)

    def _flush(self):
        """Send as much of the queue as the system accepts."""
        out = self._out
        sends = 0
        while len(out):
            if sends == _MAX_SENDS:
                return
            sends += 1
            data = out.first()
            size = len(data)
            try:
                sent = (self.send_piece if type(data) is FilePiece else self.write_to_fd)(data)
            except (OSError, IOError) as error:
                self._lost(error)
                return
            for callback in out.advance(sent):
                self.io_loop.add_callback(callback)
            if sent < size:
                return
        # Callbacks of empty writes.
        for callback in out.advance(0):
            self.io_loop.add_callback(callback)
        self._out = None
        if self._state is ENDED:
            # After these callbacks, which may write more.
            self.io_loop.add_callback(self._maybe_close)

    # Events, from the loop

    def _handle_events(self, fd, events):
        try:
            if events == READ:
                # The most frequent event, and usually the pending read consumes all of its data:
                # `_handle_read` inlined.
                try:
                    data = self.read_from_fd()
                except (OSError, IOError) as error:
                    self._lost(error)
                    return
                read = self._pending
                if not data or self._buffer.data or read is None \
                        or not read.take(self.io_loop.add_callback, data):
                    self._handle_data(data, events)
                return
            if events & _READ_OR_ERROR:
                self._handle_read(events)
            if self._out is not None and events & WRITE:
                self._flush()
                if self._out is None:
                    self._update_events()
            if events & RDHUP:
                self._peer_left = True
                self._update_events()
                self._close_if_abandoned()
        except Exception as error:
            self._crash(error)

    def _handle_read(self, events):
        if events & ERROR and not self._events & READ:
            self._handle_hangup()
            return
        try:
            data = self.read_from_fd()
        except (OSError, IOError) as error:
            self._lost(error)
            return
        if not data or self._buffer.data or self._pending is None \
                or not self._pending.take(self.io_loop.add_callback, data):
            self._handle_data(data, events)

    def _handle_data(self, data, events):
        """Handle data that no read consumed whole: b"" at end of stream, None if nothing was
        available."""
        if data:
            self._buffer.append(data)
            if self._pending is not None:
                self._try_read()
            else:
                # Without a read, leave the rest in the kernel.
                self._update_events()
        elif data is not None:
            self._state = MOVES[self._state, ENDED]
            # After the callbacks of reads that were satisfied in this turn.
            self.io_loop.add_callback(self._maybe_close)
        elif events & ERROR:
            error = self.get_fd_error()
            # Without an error, the call is to be repeated, as after a shortage.
            if error is not None:
                self._lost(error)

    def _handle_hangup(self):
        """Handle ERROR while reading is paused or has ended: the connection is lost, which a poller
        reports again and again, whether or not we are registered for READ."""
        error = self.get_fd_error()
        if error is None and self._pending is None and self._out is None and len(self._buffer):
            # The buffered bytes can still be read; the next read registers again.
            self.io_loop.remove_handler(self._fd)
            self._events = None
            return
        if self._out is not None:
            # Sending reveals the reason.
            self._flush()
        self._lost(error)

    def _close_if_abandoned(self):
        """Close if the peer has left (RDHUP), reading is paused, and what is unread has no use for
        the pending read."""
        if self._state is OPEN and not self._wanted_events() & READ \
                and self._pending is not None and self._pending.abandoned():
            self.close()

    def _maybe_close(self):
        """If ENDED, close, unless received bytes are unread, bytes wait to be sent, or the pending
        read has yet to write an answer."""
        if self._state is not ENDED:
            return
        read = self._pending
        unread = read is None and len(self._buffer)
        if unread or self._out is not None or read is not None and read.ended():
            self._update_events()
        else:
            self.close()

    def _lost(self, error):
        """Close because the fd has failed. First read what can still be read: the pending read gets
        it, or reads that are started after the end."""
        if error is not None:
            self._log_loss(error)
        if self._state is OPEN:
            data = None
            try:
                while len(self._buffer) <= self.max_buffer_size:
                    data = self.read_from_fd()
                    if not data:
                        break
                    self._buffer.append(data)
            except (OSError, IOError):
                # The same failure again.
                pass
            if error is None and data != b"":
                error = IOError(errno.EIO, "the connection was lost before its end was read")
            elif data == b"" and error is not None \
                    and errno_from_exception(error) == errno.EPIPE:
                # Our writes have failed, nothing else. (After a reset, the end is read as well.)
                self._state = MOVES[self._state, ENDED]
            if self._pending is not None:
                self._try_read_here()
        self._fail(error)

    def _update_events(self):
        """Register for the events needed now; calls the system only on a change."""
        if self._state is CLOSED:
            return
        events = self._wanted_events()
        if self._events is None:
            self._fd = self.fileno()
            with NullContext():
                self.io_loop.add_handler(self, self._handle_events, events)
        elif events != self._events:
            self.io_loop.update_handler(self._fd, events)
        self._events = events

    def _wanted_events(self):
        # An idle stream listens too: that is how a disconnect is noticed.
        read = self._pending
        if self._state is not OPEN:
            events = 0
        elif not len(self._buffer) or read is not None and read.find(self._buffer) is None:
            events = READ
        else:
            events = 0 if self._peer_left else RDHUP
        if self._out is not None:
            events |= WRITE
        return events

    def _forget_events(self):
        """Unregister from the loop."""
        if self._events is not None:
            # If the fd was closed elsewhere, another stream may have its number now, and a handler.
            fd = self._fd
            self.io_loop.remove_handler(fd if self.fileno() == fd else self)
            self._events = None

    # Closing

    def set_close_callback(self, callback):
        """Call `callback()` once when the stream has closed, whichever side closed it, after all
        that could be read has been delivered. None removes the callback."""
        self._on_close = self._guard(callback)
        if self._state is CLOSED:
            self._tell_closed()
        elif callback is not None and self._state is OPEN and self._events is None \
                and self._is_connected():
            self._update_events()

    @property
    def _close_callback(self):
        """The close callback under its name in Tornado, where programs set it to None."""
        return self._on_close

    @_close_callback.setter
    def _close_callback(self, callback):
        self.set_close_callback(callback)

    def _is_connected(self):
        """Whether there is a peer, which can disconnect."""
        return True

    def close(self, exc_info=False):
        """Close the stream now; bytes still queued are dropped.

        `exc_info` sets `error`: True for the exception being handled, or a tuple as from
        `sys.exc_info`.
        """
        if exc_info:
            self._close_for((sys.exc_info() if exc_info is True else exc_info)[1])
        else:
            self._close_for(None)

    def _fail(self, error):
        """Close because of an error that this class has caught or made, or None. It is kept without
        its tracebacks, whose frames refer to this stream, which would be a cycle."""
        link = error
        while getattr(link, "__traceback__", None) is not None:
            link.__traceback__ = None
            link = link.__context__
        self._close_for(error)

    def _log_loss(self, error):
        gen_log.debug("%s lost: %s", type(self).__name__, error)

    def _fail_to_connect(self, address, error):
        gen_log.debug("Connect to %s failed: %s", address, error)
        self._fail(error)

    def _close_for(self, error):
        if self._state is CLOSED:
            return
        is_whole = self.error is None and (error is None or self._state is ENDED)
        self._state = MOVES[self._state, CLOSED]
        if error is not None:
            self.error = error
        if self._out is not None:
            for on_error in self._out.close():
                self._schedule(on_error, StreamClosedError(self.error))
            self._out = None
        read, self._pending = self._pending, None
        if read is not None:
            if not is_whole and not (read.at_every_end and read.on_error is None):
                read.callback = None
            satisfied = read.deliver_rest(self._schedule, self._buffer) and is_whole
            if not satisfied and read.on_error is not None:
                self._schedule(read.on_error, StreamClosedError(self.error))
        self._forget_events()
        try:
            self.close_fd()
        except (OSError, IOError) as failure:
            gen_log.debug("%s could not be closed: %s", type(self).__name__, failure)
        self._tell_closed()

    def _tell_closed(self):
        callback, self._on_close = self._on_close, None
        if callback is not None:
            self._schedule(callback)

    def closed(self):
        """Whether the stream is closed."""
        return self._state is CLOSED

    def set_nodelay(self, value):
        """Send small writes at once (True) or let the system gather them (False), if it can."""

    # Callbacks

    def _schedule(self, callback, *args):
        """Have the loop call `callback` in only the context that it carries."""
        if state.contexts:
            self.io_loop.spawn_callback(callback, *args)
        else:
            self.io_loop.add_callback(callback, *args)

    def _guard(self, callback, needed=False):
        """A callback that runs `callback` in the current context, and closes the stream if it
        raises."""
        if callback is None and not needed:
            return None
        if not callable(callback):
            raise TypeError("a callback must be a callable, not %r" % (callback,))
        callback = wrap(callback)

        def run(*args):
            try:
                callback(*args)
            except Exception as error:
                self._crash(error, callback)
        return run

    def _crash(self, error, callback=None):
        """Report an unexpected exception and close the stream. If it were only logged, its cause
        would be there again in the next turn, and so on forever."""
        try:
            self.io_loop.handle_callback_exception(callback or self._handle_events)
        finally:
            self._fail(error)
