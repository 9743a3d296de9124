"""Streams: bytes in and out of an fd, by callbacks on a loop.

    sock = socket.socket()
    stream = IOStream(sock)
    stream.connect(("127.0.0.1", 8888), lambda: (
        stream.write(b"GET / HTTP/1.0\\r\\n\\r\\n"),
        stream.read_until_close(lambda data: (print(data), IOLoop.current().stop()))))
    IOLoop.current().start()

At most one read is pending at a time. Its callback runs once, from the loop, never inside the
call that asked for it. Writes are tried at once and only what does not fit is queued; each
write callback runs, or the close callback does. When the other side goes, what can be read is
delivered first, and then the close callback is called, once.

Nobody reads ahead of the reader: while no read is pending a stream takes one more buffer
from the fd and then leaves the rest with the kernel, which holds the sender back.
"""
from __future__ import absolute_import, division, print_function

import errno
try:
    import fcntl
except ImportError:
    fcntl = None  # Windows, which has no such pipes
import os
import re
import socket
import ssl
import sys

import six

from friendserve.buffers import (
    PAUSE, ReadBuffer, ReadBytes, ReadUntil, ReadUntilClose, ReadUntilRegex, StreamBufferFullError,
    StreamBytes, UnsatisfiableReadError, WriteBuffer)
from friendserve.ioloop import IOLoop
from friendserve.log import gen_log
from friendserve.netutil import ssl_wrap_socket
from friendserve.platform.interface import ERROR, READ, WRITE
from friendserve.stack_context import NullContext, wrap
from friendserve.util import errno_from_exception

__all__ = ["BaseIOStream", "IOStream", "SSLIOStream", "PipeIOStream", "StreamClosedError",
           "StreamBufferFullError", "UnsatisfiableReadError"]

#: Nothing is lost when these happen: the fd is ready later, or still is, and the loop tells.
RETRY = frozenset([errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR])

DEFAULT_BUFFER_SIZE = 100 * 1024 * 1024
DEFAULT_CHUNK_SIZE = 65536

# The life of a stream. ENDED: the other side will send no more, but bytes that came before
# have not been read yet.
CONNECTING, OPEN, ENDED, CLOSED = "connecting", "open", "ended", "closed"


class StreamClosedError(IOError):
    """The stream is closed; `real_error` is what closed it, or None."""
    def __init__(self, real_error=None):
        super(StreamClosedError, self).__init__("Stream is closed")
        self.real_error = real_error


class BaseIOStream(object):
    """What streams over every kind of fd have in common.

    Subclasses give `fileno`, `close_fd`, `read_from_fd`, `write_to_fd` and `get_fd_error`.

    `max_buffer_size` bounds the bytes that a read may gather before it is satisfied, and
    `max_write_buffer_size` those that wait to be sent (default: no bound). `read_chunk_size`
    is what one call to the system reads at most. `error` is the exception that closed the
    stream, if one did.
    """
    # One instance a connection, and there may be tens of thousands.
    __slots__ = ("io_loop", "max_buffer_size", "read_chunk_size", "max_write_buffer_size",
                 "error", "_state", "_events", "_buffer", "_pending", "_out", "_on_close",
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
        self._events = None         # what the loop waits for; None: the loop does not know us
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

    def get_fd_error(self):
        """The error that the system holds for this fd, or None."""
        return None

    # Reading

    def read_until(self, delimiter, callback, max_bytes=None):
        """Call `callback(data)` with all up to and with the bytes `delimiter`.

        When it does not come within `max_bytes` the stream closes, with an
        UnsatisfiableReadError as its `error`.
        """
        self.start_read(ReadUntil(self._guard(callback), delimiter, max_bytes))

    def read_until_regex(self, regex, callback, max_bytes=None):
        """Call `callback(data)` with all up to the end of a match of the bytes regex."""
        self.start_read(ReadUntilRegex(self._guard(callback), re.compile(regex), max_bytes))

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
            read = ReadBytes(self._guard(callback), num_bytes, partial)
        self.start_read(read)

    def read_into(self, buf, callback, partial=False):
        """As `read_bytes`, into the bytearray `buf`; `callback(n)` gets the number of bytes."""
        view = memoryview(buf)

        def fill(data):
            view[:len(data)] = data
            callback(len(data))
        self.read_bytes(len(view), fill, partial=partial)

    def read_until_close(self, callback=None, streaming_callback=None):
        """Call `callback(data)` with all that comes until the other side closes.

        With `streaming_callback`, that is called with each piece and `callback` in the end
        with b"".
        """
        self.start_read(ReadUntilClose(
            self._guard(callback), self._guard(streaming_callback)))

    def start_read(self, read):
        """Make a `friendserve.buffers.Read` the pending one.

        Its callback is called as it is: it brings its own context, and what it raises goes
        to the loop. Raises StreamClosedError when the stream is closed and what came
        before cannot satisfy it.
        """
        if self._pending is not None:
            raise RuntimeError("a read is pending already: wait for its callback")
        self._pending = read
        self._try_read()
        if self._pending is not None:
            if self._state is CLOSED:
                self._pending = None
                if not read.deliver_rest(self.io_loop.add_callback, self._buffer):
                    raise StreamClosedError(self.error)
            elif self._state is ENDED:
                self._maybe_close()
            elif self._state is OPEN:
                self._update_events()

    def resume_read(self):
        """Ask a pending read again that wanted no more bytes a while ago."""
        if len(self._buffer):
            self._try_read()
        if self._state is ENDED:
            self._maybe_close()
        elif not self._events & READ:
            self._update_events()

    def push_back(self, data):
        """Put bytes that were delivered back, to be the first of the next read."""
        self._buffer.push_back(data)

    def end_read(self):
        """Forget the pending read; what came and was not delivered is for the next one."""
        self._pending = None

    def has_unread(self):
        """Whether bytes have come that no read has had."""
        return len(self._buffer) > 0

    def reading(self):
        """Whether a read is pending."""
        return self._pending is not None

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
                self._pending = None
                self._close_for(error)
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
        out = self._out
        if out is None and self._can_write():
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
                    self.io_loop.add_callback(callback)
                return
            data = memoryview(data)[sent:] if sent else data
        self._queue(data, callback)

    def _queue(self, data, callback):
        out = self._out
        if self.max_write_buffer_size is not None and \
                (len(out) if out is not None else 0) + len(data) > self.max_write_buffer_size:
            raise StreamBufferFullError("more than max_write_buffer_size (%d bytes) waits to "
                                        "be sent" % self.max_write_buffer_size)
        if out is None:
            out = self._out = WriteBuffer()
        if data:
            out.append(data)
        if callback is not None:
            out.call_when_sent(callback)
        if self._can_write():
            self._update_events()

    def writing(self):
        """Whether bytes wait to be sent."""
        return self._out is not None

    def write_progress(self):
        """None when nothing waits to be sent; else what compares unequal once more was."""
        return self._out and (self._out, self._out.progress)

    def _can_write(self):
        """Whether the fd takes bytes at all by now."""
        return self._state is not CONNECTING

    def _flush(self):
        """Send what is queued, as much as fits."""
        out = self._out
        while out:
            data = out.first()
            try:
                sent = self.write_to_fd(data)
            except (OSError, IOError) as error:
                self._lost(error)
                return
            for callback in out.advance(sent):
                self.io_loop.add_callback(callback)
            if sent < len(data):
                return
        for callback in out.advance(0):
            self.io_loop.add_callback(callback)
        self._out = None
        if self._state is ENDED:
            self._maybe_close()

    # What the loop tells

    def _handle_events(self, fd, events):
        if events & (READ | ERROR):
            self._handle_read(events)
        if self._out is not None and events & WRITE:
            self._flush()
            if self._out is None:
                self._update_events()

    def _handle_read(self, events):
        if self._state is ENDED:
            # Not asked for, so it is an error: the other side reads no more either.
            self._lost(self.get_fd_error())
            return
        try:
            data = self.read_from_fd()
        except (OSError, IOError) as error:
            self._lost(error)
            return
        if data:
            self._buffer.append(data)
            if self._pending is not None:
                self._try_read()
            else:
                # Nobody reads: the kernel shall keep the rest.
                self._update_events()
        elif data is not None:
            self._state = ENDED
            self._maybe_close()
        elif events & ERROR:
            self._lost(self.get_fd_error())

    def _maybe_close(self):
        """The other side will send no more: close as soon as what came was read and what was
        written is sent, unless the pending read wants to write yet."""
        read = self._pending
        unread = read is None and len(self._buffer)
        if unread or self._out is not None or read is not None and read.ended():
            self._update_events()
        else:
            self.close()

    def _lost(self, error):
        """The fd has failed; what the system still has for us is delivered first."""
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
            self._try_read()
        self._close_for(error)

    def _update_events(self):
        """Have the loop wait for what can be of use: a system call only on a change."""
        if self._state is CLOSED:
            return
        events = self._wanted_events()
        if self._events is None:
            with NullContext():
                self.io_loop.add_handler(self.fileno(), self._handle_events, events)
        elif events != self._events:
            self.io_loop.update_handler(self.fileno(), events)
        self._events = events

    def _wanted_events(self):
        # An idle stream listens too: that is how the other side's going away is noticed.
        read = self._pending
        events = READ if self._state is OPEN and (
            not len(self._buffer) or read is not None and read.find(self._buffer) is None) else 0
        if self._out is not None:
            events |= WRITE
        return events

    # The end

    def set_close_callback(self, callback):
        """Call `callback()` once when the stream has closed, whoever closed it, after all that
        could be read was delivered. None takes it back."""
        self._on_close = self._guard(callback)
        if self._state is CLOSED:
            self._tell_closed()
        elif callback is not None and self._state is OPEN and self._events is None:
            self._update_events()

    def close(self, exc_info=False):
        """Close the stream now; what was queued and not sent is dropped.

        `exc_info`: True to keep the exception being handled as `error`, or such a tuple.
        """
        if exc_info:
            error = (sys.exc_info() if exc_info is True else exc_info)[1]
            self._close_for(error)
        else:
            self._close_for(None)

    def _close_for(self, error):
        if self._state is CLOSED:
            return
        if error is not None:
            # Its traceback leads to frames that lead to this stream: a cycle.
            error.__traceback__ = None
            self.error = error
        self._state = CLOSED
        self._out = None
        read, self._pending = self._pending, None
        if read is not None:
            read.deliver_rest(self.io_loop.add_callback, self._buffer)
        if self._events is not None:
            self.io_loop.remove_handler(self.fileno())
            self._events = None
        self.close_fd()
        self._tell_closed()

    def _tell_closed(self):
        callback, self._on_close = self._on_close, None
        if callback is not None:
            self.io_loop.add_callback(callback)

    def closed(self):
        """Whether the stream is closed."""
        return self._state is CLOSED

    def set_nodelay(self, value):
        """Send small writes at once (True) or let the system gather them, where it can."""

    def _guard(self, callback):
        """The callback in its context, and the stream closed when it raises."""
        if callback is None:
            return None
        callback = wrap(callback)

        def run(*args):
            try:
                callback(*args)
            except Exception as error:
                # Logged here, once, for the error is kept without its traceback.
                self.io_loop.handle_callback_exception(callback)
                self._close_for(error)
        return run


class IOStream(BaseIOStream):
    """A stream over a connected or still unconnected socket, which it makes non-blocking."""
    __slots__ = ("socket",)

    def __init__(self, socket, io_loop=None, max_buffer_size=None, read_chunk_size=None,
                 max_write_buffer_size=None):
        self.socket = socket
        socket.setblocking(False)
        super(IOStream, self).__init__(io_loop, max_buffer_size, read_chunk_size,
                                       max_write_buffer_size)

    def fileno(self):
        return self.socket.fileno()

    def close_fd(self):
        self.socket.close()

    def read_from_fd(self):
        try:
            return self.socket.recv(self.read_chunk_size)
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise

    def write_to_fd(self, data):
        try:
            return self.socket.send(data)
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0

    def get_fd_error(self):
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return socket.error(code, os.strerror(code)) if code else None

    def set_nodelay(self, value):
        """Send small writes at once (True) or let the system gather them (False)."""
        if self._state is not CLOSED and self.socket.family in (socket.AF_INET, socket.AF_INET6):
            try:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(value))
            except (OSError, IOError) as error:
                # Some systems say EINVAL when the other side has gone; a read will tell.
                if errno_from_exception(error) != errno.EINVAL:
                    raise

    def shutdown_write(self):
        """Tell the other side that nothing more will come, and go on reading (RFC 9293 3.6)."""
        if self._state is not CLOSED:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except (OSError, IOError) as error:
                self._lost(error)

    def connect(self, address, callback=None, server_hostname=None):
        """Connect to `address`, then call `callback()`; on failure only the close callback is
        called, with `error` set. Reads and writes may be started at once.

        `server_hostname` is for `SSLIOStream`.
        """
        self._state = CONNECTING
        callback = self._guard(callback)
        try:
            self.socket.connect(address)
        except (OSError, IOError) as error:
            code = errno_from_exception(error)
            if code != errno.EINPROGRESS and code not in RETRY:
                gen_log.debug("Connect to %s failed: %s", address, error)
                self._close_for(error)
                return

        def on_ready(fd, events):
            self.io_loop.remove_handler(fd)
            self._events = None
            error = self.get_fd_error()
            if error is not None:
                gen_log.debug("Connect to %s failed: %s", address, error)
                self._close_for(error)
                return
            self._state = OPEN
            self._connected(callback)

        with NullContext():
            self.io_loop.add_handler(self.fileno(), on_ready, WRITE)
        self._events = WRITE

    def _connected(self, callback):
        if callback is not None:
            self.io_loop.add_callback(callback)
        if self._out is not None:
            self._flush()
        self._update_events()


class SSLIOStream(IOStream):
    """A TLS stream: over a socket that `ssl_wrap_socket` made (with
    do_handshake_on_connect=False), whose handshake begins at once, or over a plain socket that
    `connect` will connect.

    `ssl_options` (a dict or an SSLContext) is for `connect`. What is read and written before
    the handshake is over waits for it. A handshake that takes longer than
    `handshake_timeout` seconds closes the stream.
    """
    __slots__ = ("_ssl_options", "_server_hostname", "_handshake", "handshake_timeout",
                 "_read_wants_write", "_write_wants_read")

    def __init__(self, socket, io_loop=None, ssl_options=None, max_buffer_size=None,
                 read_chunk_size=None, max_write_buffer_size=None, handshake_timeout=30):
        super(SSLIOStream, self).__init__(socket, io_loop, max_buffer_size, read_chunk_size,
                                          max_write_buffer_size)
        self._ssl_options = ssl_options if ssl_options is not None else {}
        self._server_hostname = None
        self._handshake = None      # a _Handshake while one is going on
        self.handshake_timeout = handshake_timeout
        self._read_wants_write = self._write_wants_read = False
        if hasattr(socket, "do_handshake") and _is_connected(socket):
            self._start_handshake(None)

    def connect(self, address, callback=None, server_hostname=None):
        """As `IOStream.connect`; the callback comes after the handshake.

        `server_hostname` is what the certificate must be for, and what the server is told
        (SNI).
        """
        self._server_hostname = server_hostname
        super(SSLIOStream, self).connect(address, callback, server_hostname)

    def wait_for_handshake(self, callback=None):
        """Call `callback(stream)` when the handshake is over; on failure the close callback
        is called instead."""
        if self._handshake is not None:
            if callback is not None:
                self._handshake.waiting.append(self._guard(callback))
        elif callback is not None and self._state is not CLOSED:
            self.io_loop.add_callback(self._guard(callback), self)

    def _connected(self, callback):
        try:
            self.socket = ssl_wrap_socket(
                self.socket, self._ssl_options, server_hostname=self._server_hostname,
                do_handshake_on_connect=False)
        except (ssl.SSLError, ValueError, OSError, IOError) as error:
            self._close_for(error)
            return
        self._start_handshake(callback)

    def _start_handshake(self, callback):
        self._state = CONNECTING
        self._handshake = _Handshake(callback)
        with NullContext():
            self._handshake.timer = self.io_loop.call_later(
                self.handshake_timeout, self._handshake_failed,
                ssl.SSLError("the TLS handshake took longer than %s seconds"
                             % self.handshake_timeout))
        self._update_events()

    def _do_handshake(self):
        handshake = self._handshake
        try:
            self.socket.do_handshake()
        except ssl.SSLError as error:
            if error.args[0] == ssl.SSL_ERROR_WANT_READ:
                handshake.wants = READ
            elif error.args[0] == ssl.SSL_ERROR_WANT_WRITE:
                handshake.wants = WRITE
            else:
                self._handshake_failed(error)
                return
            self._update_events()
        except (OSError, IOError, ValueError) as error:
            # ValueError: a certificate for another host, in some versions of ssl.
            self._handshake_failed(error)
        else:
            self.io_loop.remove_timeout(handshake.timer)
            self._handshake = None
            self._state = OPEN
            for callback in handshake.waiting:
                self.io_loop.add_callback(callback, self)
            super(SSLIOStream, self)._connected(handshake.callback)

    def _handshake_failed(self, error):
        try:
            peer = self.socket.getpeername()
        except (OSError, IOError):
            peer = "a peer that has gone"
        gen_log.info("TLS handshake with %s failed: %s", peer, error)
        self._close_for(error)

    def _handle_events(self, fd, events):
        if self._handshake is not None:
            self._do_handshake()
            return
        # TLS may have to write in order to read, and the other way round.
        if self._read_wants_write and events & WRITE:
            events |= READ
        if self._write_wants_read and events & READ:
            events |= WRITE
        super(SSLIOStream, self)._handle_events(fd, events)
        self._update_events()

    def _wanted_events(self):
        if self._handshake is not None:
            return self._handshake.wants
        events = super(SSLIOStream, self)._wanted_events()
        if self._read_wants_write:
            events |= WRITE
        if self._write_wants_read:
            events |= READ
        return events

    def read_from_fd(self):
        self._read_wants_write = False
        pieces = []
        try:
            while True:
                data = self.socket.recv(self.read_chunk_size)
                pieces.append(data)
                # What the TLS library has decrypted already, no poller can see.
                if not data or not getattr(self.socket, "pending", int)():
                    break
        except ssl.SSLError as error:
            code = error.args[0]
            if code in (ssl.SSL_ERROR_EOF, ssl.SSL_ERROR_ZERO_RETURN):
                pieces.append(b"")
            elif code == ssl.SSL_ERROR_WANT_WRITE:
                self._read_wants_write = True
            elif code != ssl.SSL_ERROR_WANT_READ:
                raise
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
        return b"".join(pieces) if pieces else None

    def write_to_fd(self, data):
        self._write_wants_read = False
        try:
            # OpenSSL takes no more than an int can count at once.
            return self.socket.send(memoryview(data)[:1 << 20])
        except ssl.SSLError as error:
            code = error.args[0]
            if code == ssl.SSL_ERROR_WANT_READ:
                self._write_wants_read = True
            elif code != ssl.SSL_ERROR_WANT_WRITE:
                raise
            return 0
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0

    def _close_for(self, error):
        if self._handshake is not None:
            self.io_loop.remove_timeout(self._handshake.timer)
            self._handshake = None
        super(SSLIOStream, self)._close_for(error)


class _Handshake(object):
    """A TLS handshake that is going on."""
    __slots__ = ("callback", "waiting", "wants", "timer")

    def __init__(self, callback):
        self.callback = callback    # of connect
        self.waiting = []           # of wait_for_handshake
        self.wants = READ | WRITE
        self.timer = None


def _is_connected(sock):
    try:
        sock.getpeername()
    except (OSError, IOError):
        return False
    return True


class PipeIOStream(BaseIOStream):
    """A stream over one end of a pipe, which it makes non-blocking."""
    __slots__ = ("fd",)

    def __init__(self, fd, io_loop=None, max_buffer_size=None, read_chunk_size=None,
                 max_write_buffer_size=None):
        self.fd = fd
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
        super(PipeIOStream, self).__init__(io_loop, max_buffer_size, read_chunk_size,
                                           max_write_buffer_size)

    def fileno(self):
        return self.fd

    def close_fd(self):
        os.close(self.fd)

    def read_from_fd(self):
        try:
            return os.read(self.fd, self.read_chunk_size)
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise

    def write_to_fd(self, data):
        try:
            return os.write(self.fd, data)
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0
