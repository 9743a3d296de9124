"""What streams over every kind of fd have in common: reading, writing, and how they end.

Applications take `friendserve.iostream`, which has the streams themselves.
"""
from __future__ import absolute_import, division, print_function

import errno
import re
import sys

import six

from friendserve.ioloop import IOLoop
from friendserve.iostream.buffers import (
    PAUSE, FilePiece, ReadBuffer, ReadBytes, ReadUntil, ReadUntilClose, ReadUntilRegex,
    StreamBufferFullError, StreamBytes, UnsatisfiableReadError, WriteBuffer)
from friendserve.log import gen_log
from friendserve.platform.pollers.interface import ERROR, READ, WRITE
from friendserve.stack_context import NullContext, state, wrap

#: Nothing is lost when these happen: the fd is ready later, or still is, and the loop tells.
RETRY = frozenset([errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR])

_READ_OR_ERROR = READ | ERROR

DEFAULT_BUFFER_SIZE = 100 * 1024 * 1024
DEFAULT_CHUNK_SIZE = 65536

# After so many sends in a row, a reader as fast as us has to wait for the other streams.
_MAX_SENDS = 16

# The life of a stream. ENDED: the other side will send no more, but bytes that came before
# have not been read yet, or bytes wait to be sent.
CONNECTING, OPEN, ENDED, CLOSED = "connecting", "open", "ended", "closed"


class StreamClosedError(IOError):
    """The stream is closed; `real_error` is what closed it, or None."""
    def __init__(self, real_error=None):
        super(StreamClosedError, self).__init__("Stream is closed")
        self.real_error = real_error


class BaseIOStream(object):
    """A stream over some fd. Subclasses give `fileno`, `close_fd`, `read_from_fd`,
    `write_to_fd` and `get_fd_error`.

    `max_buffer_size` bounds the bytes that a read may gather before it is satisfied, and
    `max_write_buffer_size` those that wait to be sent (default: no bound). `read_chunk_size`
    is what one call to the system reads at most. `error` is the exception that closed the
    stream, if one did.
    """
    # One instance a connection, and there may be tens of thousands.
    __slots__ = ("io_loop", "max_buffer_size", "read_chunk_size", "max_write_buffer_size",
                 "error", "_state", "_fd", "_events", "_buffer", "_pending", "_out", "_on_close",
                 "__weakref__")

    def __init__(self, io_loop=None, max_buffer_size=None, read_chunk_size=None,
                 max_write_buffer_size=None):
        self.io_loop = io_loop or IOLoop.current()
        self.max_buffer_size = max_buffer_size or DEFAULT_BUFFER_SIZE
        # A chunk must not overrun the buffer by much.
        self.read_chunk_size = min(read_chunk_size or DEFAULT_CHUNK_SIZE,
                                   self.max_buffer_size // 2 or 1)
        self.max_write_buffer_size = max_write_buffer_size
        self.error = None
        self._state = OPEN
        self._fd = None             # the number under which the loop knows us
        self._events = None         # what the loop waits for; None: it does not know us
        self._buffer = ReadBuffer()
        self._pending = None        # the Read
        self._out = None            # a WriteBuffer, while there is something in it
        self._on_close = None

    # For subclasses

    def fileno(self):
        """The number of the fd."""
        raise NotImplementedError()

    def close_fd(self):
        """Close the fd. Called once."""
        raise NotImplementedError()

    def read_from_fd(self):
        """Up to `read_chunk_size` bytes; b"" at the end, None when there are none now."""
        raise NotImplementedError()

    def write_to_fd(self, data):
        """Send some of a bytes-like object; returns how many bytes went, 0 for none now."""
        raise NotImplementedError()

    def write_ahead_to_fd(self, data):
        """As `write_to_fd`, for bytes that more will follow at once."""
        return self.write_to_fd(data)

    def send_piece(self, piece):
        """Send some of a `friendserve.buffers.FilePiece`, as `write_to_fd` does of bytes."""
        return self.write_to_fd(piece.read(DEFAULT_CHUNK_SIZE))

    def get_fd_error(self):
        """The error that the system holds for this fd, or None."""
        return None

    # Reading

    def read_until(self, delimiter, callback, max_bytes=None):
        """Call `callback(data)` with all up to and with the bytes `delimiter`.

        When it does not come within `max_bytes` the stream closes, with an
        UnsatisfiableReadError as its `error`.
        """
        if not isinstance(delimiter, bytes) or not delimiter:
            raise TypeError("a delimiter is bytes, at least one, not %r" % (delimiter,))
        self.start_read(ReadUntil(self._guard(callback, True), delimiter, max_bytes))

    def read_until_regex(self, regex, callback, max_bytes=None):
        """Call `callback(data)` with all up to the end of a match of the bytes `regex`, and
        otherwise as `read_until`."""
        regex = re.compile(regex)
        if not isinstance(regex.pattern, bytes):
            raise TypeError("a regex for a stream is bytes, not %r" % (regex.pattern,))
        self.start_read(ReadUntilRegex(self._guard(callback, True), regex, max_bytes))

    def read_bytes(self, num_bytes, callback, streaming_callback=None, partial=False):
        """Call `callback(data)` with `num_bytes` bytes; with `partial`, with fewer if fewer
        have come, but at least one.

        With `streaming_callback`, that is called with each piece and `callback` in the end
        with b"".
        """
        if not isinstance(num_bytes, six.integer_types) or num_bytes < 0:
            raise ValueError("the number of bytes to read must be 0 or more, not %r"
                             % (num_bytes,))
        if streaming_callback is not None:
            read = StreamBytes(self._guard(callback), self._guard(streaming_callback), num_bytes)
        else:
            read = ReadBytes(self._guard(callback, True), num_bytes, partial)
        self.start_read(read)

    def read_into(self, buf, callback, partial=False):
        """As `read_bytes`, into the bytearray `buf`; `callback(n)` gets the number of bytes."""
        def fill(data):
            memoryview(buf)[:len(data)] = data
            callback(len(data))
        self.read_bytes(len(buf), fill, partial=partial)

    def read_until_close(self, callback=None, streaming_callback=None):
        """Call `callback(data)` with all that comes until either side closes the stream.

        With `streaming_callback`, that is called with each piece and `callback` in the end
        with b"". When an error closes the stream, `callback` is not called, only the close
        callback, for then what came may not be all.
        """
        self.start_read(ReadUntilClose(
            self._guard(callback), self._guard(streaming_callback)))

    def start_read(self, read):
        """Make a `friendserve.buffers.Read` the pending one.

        Its callback is called as it is: it brings its own context, and what it raises goes
        to the loop. Raises RuntimeError while another read is pending, and StreamClosedError
        when the stream is closed and what came before cannot satisfy this one.
        """
        if self._pending is not None:
            raise RuntimeError("a read is pending already: wait for its callback")
        self._pending = read
        self._try_read_here()
        if self._state is OPEN:
            # An emptied buffer, too, has to listen again: the other side may go.
            if self._events != READ and (self._pending is not None or not len(self._buffer)):
                self._update_events()
        elif self._state is ENDED:
            # After the callback of this read, which may want to write or to read on.
            self._schedule(self._maybe_close)
        elif self._state is CLOSED and self._pending is read:
            self._pending = None
            if self.error is not None or not read.deliver_rest(self._schedule, self._buffer):
                raise StreamClosedError(self.error)

    def is_quiet(self):
        """Whether everything was sent, nothing is unread, and the stream is registered for READ:
        `resume_read` has nothing to do then."""
        return self._out is None and self._events == READ and not self._buffer.data \
            and self._state is OPEN

    def resume_read(self):
        """Ask a pending read again that wanted no more bytes a while ago."""
        if self._state is CLOSED:
            return
        if self._buffer.data:
            self._try_read_here()
        if self._state is ENDED:
            self._maybe_close()
        elif self._events != READ:
            self._update_events()

    def push_back(self, data):
        """Put bytes that were delivered back, to be the first of the next read."""
        self._buffer.push_back(data)

    def end_read(self):
        """Forget the pending read; what came and was not delivered is for the next one."""
        self._pending = None

    def has_unread(self):
        """Whether bytes have come that no read has had."""
        return self._buffer.data != b""

    def reading(self):
        """Whether a read is pending."""
        return self._pending is not None

    def _try_read_here(self):
        # The reader's contexts are in its callbacks; nothing else shall run in them.
        if state.contexts:
            with NullContext():
                self._try_read()
        else:
            self._try_read()

    def _try_read(self):
        """Let the pending read have what is in the buffer; also when it needs no bytes."""
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
        """Send bytes (or a bytearray or memoryview); `callback()` is called when all of them
        have been handed to the system.

        Raises StreamClosedError when the stream is closed, and StreamBufferFullError, with
        nothing sent, when they would overrun `max_write_buffer_size`.
        """
        if self._state is CLOSED:
            raise StreamClosedError(self.error)
        if type(data) is not bytes:
            # The caller may change a bytearray as soon as this returns.
            data = bytes(data) if isinstance(data, (bytes, bytearray)) \
                else memoryview(data).tobytes()
        if callback is not None:
            callback = self._guard(callback)
        # An ENDED stream lives only as long as something is queued, and so queues all.
        if self._out is None and self._state is OPEN:
            if self.max_write_buffer_size is not None and \
                    len(data) > self.max_write_buffer_size:
                raise StreamBufferFullError("more than max_write_buffer_size (%d bytes)"
                                            % self.max_write_buffer_size)
            try:
                sent = self.write_to_fd(data) if data else 0
            except (OSError, IOError) as error:
                self._lost(error)
                return
            if sent == len(data):
                if callback is not None:
                    self._schedule(callback)
                return
            data = memoryview(data)[sent:] if sent else data
        self._queue(data, callback)

    def write_file(self, file, start, size, callback=None, head=b""):
        """Send the bytes `head`, and after them `size` bytes, at least one, of a file opened for
        reading in binary, from its position `start` on, and close it; `callback()` is called
        when all was sent.

        They are read when the other side takes them and never are in memory as a whole. The file
        is closed too when the stream closes first. When it turns out to be shorter, the stream
        closes with an IOError as its `error`: the other side must not take it for the whole.
        Raises StreamClosedError when the stream is closed.
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
                self._flush()
            self._update_events()

    def _queue(self, data, callback):
        out = self._out
        if self.max_write_buffer_size is not None and \
                (out.held if out is not None else 0) + len(data) > self.max_write_buffer_size:
            raise StreamBufferFullError("more than max_write_buffer_size (%d bytes) waits to "
                                        "be sent" % self.max_write_buffer_size)
        if out is None:
            out = self._out = WriteBuffer()
        if data:
            out.append(data)
        if callback is not None:
            out.call_when_sent(callback)
        if self._state is not CONNECTING:
            self._update_events()

    def writing(self):
        """Whether bytes wait to be sent."""
        return self._out is not None

    def unsent(self):
        """How many bytes wait to be sent."""
        return 0 if self._out is None else len(self._out)

    def write_progress(self):
        """None when nothing waits to be sent; else what compares unequal once more was."""
        return None if self._out is None else (self._out, self._out.progress)

    def _flush(self):
        """Send what is queued, as much as fits."""
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
        # Those that wait for no bytes at all.
        for callback in out.advance(0):
            self.io_loop.add_callback(callback)
        self._out = None
        if self._state is ENDED:
            # After these callbacks, which may write on.
            self.io_loop.add_callback(self._maybe_close)

    # What the loop tells

    def _handle_events(self, fd, events):
        try:
            if events == READ:
                # Most events, and most of them bring what one read takes whole: without calls.
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
        """What no read took whole; b"" for the end, None for nothing."""
        if data:
            read = self._pending
            if read is not None:
                self._buffer.append(data)
                self._try_read()
            else:
                self._buffer.append(data)
                # Nobody reads: the kernel shall keep the rest.
                self._update_events()
        elif data is not None:
            self._state = ENDED
            # After the callbacks of reads that were satisfied in this turn.
            self.io_loop.add_callback(self._maybe_close)
        elif events & ERROR:
            self._lost(self.get_fd_error())

    def _handle_hangup(self):
        """The other side is gone altogether, which a poller tells over and over, although
        reading is paused or has ended."""
        error = self.get_fd_error()
        if error is None and self._pending is None and self._out is None and len(self._buffer):
            # Only for a reader does it still matter; the next read asks the loop again.
            self.io_loop.remove_handler(self._fd)
            self._events = None
            return
        if self._out is not None:
            # To learn the reason.
            self._flush()
        self._lost(error)

    def _maybe_close(self):
        """The other side will send no more: close as soon as what came was read and what was
        written is sent, unless the pending read wants to write yet."""
        if self._state is not ENDED:
            return
        read = self._pending
        unread = read is None and len(self._buffer)
        if unread or self._out is not None or read is not None and read.ended():
            self._update_events()
        else:
            self.close()

    def _lost(self, error):
        """The fd has failed; what the system still has for us is delivered first."""
        if error is not None:
            gen_log.debug("%s lost: %s", type(self).__name__, error)
        if self._pending is not None and self._state is OPEN:
            try:
                while len(self._buffer) <= self.max_buffer_size:
                    data = self.read_from_fd()
                    if not data:
                        break
                    self._buffer.append(data)
            except (OSError, IOError):
                # The same failure, seen from the other side.
                pass
            self._try_read_here()
        self._fail(error)

    def _update_events(self):
        """Have the loop wait for what can be of use: a system call only on a change."""
        if self._state is CLOSED:
            return
        events = self._wanted_events()
        if self._events is None:
            self._fd = self.fileno()
            with NullContext():
                self.io_loop.add_handler(self._fd, self._handle_events, events)
        elif events != self._events:
            self.io_loop.update_handler(self._fd, events)
        self._events = events

    def _wanted_events(self):
        # An idle stream listens too: that is how the other side's going away is noticed.
        read = self._pending
        events = READ if self._state is OPEN and (
            not len(self._buffer) or read is not None and read.find(self._buffer) is None) else 0
        if self._out is not None:
            events |= WRITE
        return events

    def _forget_events(self):
        """Have the loop wait for nothing."""
        if self._events is not None:
            self.io_loop.remove_handler(self._fd)
            self._events = None

    # The end

    def set_close_callback(self, callback):
        """Call `callback()` once when the stream has closed, whoever closed it, after all that
        could be read was delivered. None takes it back."""
        self._on_close = self._guard(callback)
        if self._state is CLOSED:
            self._tell_closed()
        elif callback is not None and self._state is OPEN and self._events is None \
                and self._is_connected():
            self._update_events()

    def _is_connected(self):
        """Whether there is another side that can go."""
        return True

    def close(self, exc_info=False):
        """Close the stream now; what was queued and not sent is dropped.

        `exc_info`: True to keep the exception being handled as `error`, or such a tuple.
        """
        if exc_info:
            self._close_for((sys.exc_info() if exc_info is True else exc_info)[1])
        else:
            self._close_for(None)

    def _fail(self, error):
        """Close for an error of our own, or None. It is kept without tracebacks: their frames
        lead to this stream, which would be a cycle."""
        link = error
        while getattr(link, "__traceback__", None) is not None:
            link.__traceback__ = None
            link = link.__context__
        self._close_for(error)

    def _close_for(self, error):
        if self._state is CLOSED:
            return
        ended, self._state = self._state is ENDED, CLOSED
        self.error = error
        if self._out is not None:
            self._out.close()
            self._out = None
        read, self._pending = self._pending, None
        if read is not None:
            if error is not None and not ended:
                read.callback = None
            read.deliver_rest(self._schedule, self._buffer)
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
        """Send small writes at once (True) or let the system gather them, where it can."""

    # Callbacks

    def _schedule(self, callback, *args):
        """Have the loop call `callback` in no other context than the one it brings."""
        if state.contexts:
            self.io_loop.spawn_callback(callback, *args)
        else:
            self.io_loop.add_callback(callback, *args)

    def _guard(self, callback, needed=False):
        """The callback in its context, and the stream closed when it raises."""
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
        """Close for an exception that nobody expected. Were it only logged, what has caused it
        would be there again in the next turn, and so on for ever."""
        try:
            self.io_loop.handle_callback_exception(callback or self._handle_events)
        finally:
            self._fail(error)
