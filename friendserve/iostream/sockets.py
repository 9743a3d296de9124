"""Streams over sockets, plain and with TLS."""
from __future__ import absolute_import, division, print_function

import errno
import os
import socket
import ssl

from friendserve.iostream.base import (
    CLOSED, CONNECTING, ENDED, MOVES, OPEN, RETRY, BaseIOStream, StreamClosedError)
from friendserve.iostream.goodbye import Goodbye, make_close_notify, say_goodbye
from friendserve.log import gen_log
from friendserve.netutil import ssl_options_to_context, ssl_wrap_socket
from friendserve.netutil.endpoints import environment_error
from friendserve.netutil.tls import forget_errors
from friendserve.platform.pollers.interface import ERROR, RDHUP, READ, WRITE
from friendserve.platform.pollers.interpreter import SMALL_READ
from friendserve.stack_context import NullContext
from friendserve.util import errno_from_exception


#: Errors that mean the connect is in progress. (EAGAIN is not one of them: for a Unix socket it
#: means that the backlog of the listener is full.)
_UNDER_WAY = frozenset([errno.EINPROGRESS, errno.EINTR, getattr(errno, "WSAEWOULDBLOCK", -1)])

#: Makes the system hold back a packet that is not full until more is sent.
_MORE = getattr(socket, "MSG_MORE", 0)

#: The most bytes of a file to send in one system call.
_FILE_PIECE = 1 << 20

#: Errors that mean sendfile() does not support this file.
_NO_SENDFILE = frozenset([errno.EINVAL, errno.ENOSYS, getattr(errno, "ENOTSUP", errno.EINVAL),
                          getattr(errno, "EOPNOTSUPP", errno.EINVAL), errno.ENOTSOCK])

#: Errors that mean the peer has closed, perhaps after a proper end, and receives no more.
_HAS_CLOSED = frozenset([errno.EPIPE, errno.ENOTCONN])

#: The most bytes passed to the TLS library at a time; it counts in a C int.
_TLS_PIECE = 1 << 20


class IOStream(BaseIOStream):
    """A stream over a socket, connected or not, which it makes non-blocking and closes."""
    __slots__ = ("socket",)

    def __init__(self, socket, io_loop=None, max_buffer_size=None, read_chunk_size=None,
                 max_write_buffer_size=None):
        #: The socket; None after `start_tls`, which hands it to the new stream.
        self.socket = socket
        socket.setblocking(False)
        super(IOStream, self).__init__(io_loop, max_buffer_size, read_chunk_size,
                                       max_write_buffer_size)

    def fileno(self):
        return self.socket.fileno()

    if SMALL_READ is None:
        def read_from_fd(self):
            try:
                return self.socket.recv(self.read_chunk_size)
            except (OSError, IOError) as error:
                if errno_from_exception(error) not in RETRY:
                    raise
    else:
        _reads_much = False     # whether the last read got at least SMALL_READ bytes

        def read_from_fd(self):
            size = self.read_chunk_size
            if size > SMALL_READ and not self._reads_much:
                size = SMALL_READ
            try:
                data = self.socket.recv(size)
            except (OSError, IOError) as error:
                if errno_from_exception(error) not in RETRY:
                    raise
                return None
            self._reads_much = len(data) >= SMALL_READ
            return data

    def write_to_fd(self, data):
        try:
            return self.socket.send(data)
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0

    def write_ahead_to_fd(self, data):
        try:
            return self.socket.send(data, _MORE)
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0

    if hasattr(os, "sendfile"):
        def send_piece(self, piece):
            try:
                sent = os.sendfile(self.socket.fileno(), piece.file.fileno(), piece.start,
                                   min(piece.size, _FILE_PIECE))
            except (OSError, IOError) as error:
                code = errno_from_exception(error)
                if code in RETRY:
                    return 0
                if code not in _NO_SENDFILE:
                    raise
                return super(IOStream, self).send_piece(piece)
            # 0 means the end of the file, for which `read` raises the error.
            return sent or self.write_to_fd(piece.read(_FILE_PIECE))

    def close_fd(self):
        self.socket.close()

    def get_fd_error(self):
        try:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except (OSError, IOError) as error:
            return error
        return _socket_error(code) if code else None

    def set_nodelay(self, value):
        """Send small writes at once (True) or let the system gather them (False)."""
        if self._state is not CLOSED and self.socket.family in (socket.AF_INET, socket.AF_INET6):
            try:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(value))
            except (OSError, IOError) as error:
                # Some systems raise if the peer has disconnected; a read will notice.
                gen_log.debug("TCP_NODELAY could not be set: %s", error)

    def shutdown_write(self):
        """Once everything written is sent, signal to the peer that no more will follow, and
        continue reading (RFC 9293 3.6). Write nothing after this."""
        if self._state is CLOSED:
            return
        if self._out is not None or self._state is CONNECTING:
            self.write(b"", self.shutdown_write)
            return
        try:
            self._end_output()
        except (OSError, IOError) as error:
            # A shutdown only says that the connection is lost (ENOTCONN), the socket knows why.
            self._lost(self.get_fd_error() or error)

    def _end_output(self):
        self.socket.shutdown(socket.SHUT_WR)

    def connect(self, address, callback=None, server_hostname=None):
        """Connect to `address`, then call `callback()`; on failure only the close callback is
        called, with `error` set. Reads and writes may be started at once.

        A host name in `address` is looked up synchronously, which blocks; see
        `friendserve.tcpclient`. `server_hostname` is for `SSLIOStream`. Returns this stream, which
        can be awaited instead. Raises StreamClosedError if the stream is closed.
        """
        if self._state is CLOSED:
            raise StreamClosedError(self.error)
        callback = self._guard(callback)

        def on_ready(stream, events):
            self._forget_events()
            error = self.get_fd_error()
            if error is not None:
                self._fail_to_connect(address, error)
                return
            self._connected(callback)

        self._forget_events()
        try:
            self.socket.connect(address)
        except (OSError, IOError, UnicodeError) as error:
            # The codes of gaierror are not errno values; UnicodeError means an invalid host name.
            if isinstance(error, (socket.gaierror, UnicodeError)) or \
                    errno_from_exception(error) not in _UNDER_WAY:
                self._fail_to_connect(address, error)
                return self
        self._state = MOVES[self._state, CONNECTING]
        self._fd = self.fileno()
        try:
            with NullContext():
                self.io_loop.add_handler(self, on_ready, WRITE)
        except (EnvironmentError, ValueError) as error:
            # The poller is full, or, with ValueError, the number is too high for select.
            self._fail(environment_error(error))
            return self
        self._events = WRITE
        return self

    def _connected(self, callback):
        self._state = MOVES[self._state, OPEN]
        if callback is not None:
            self.io_loop.add_callback(callback)
        if self._out is not None:
            self._flush()
        self._update_events()

    def _is_connected(self):
        try:
            self.socket.getpeername()
        except (OSError, IOError):
            return False
        return True

    def _wrap_socket(self, ssl_options, server_hostname, server_side):
        if not self._is_connected():
            # The ssl module would fail halfway, after detaching the fd from this socket.
            raise self.get_fd_error() or _socket_error(errno.ENOTCONN)
        return ssl_wrap_socket(self.socket, ssl_options, server_hostname,
                               server_side=server_side, do_handshake_on_connect=False)

    def start_tls(self, server_side, ssl_options=None, server_hostname=None, callback=None):
        """Switch to TLS: call `callback(stream)` with the new `SSLIOStream` after the handshake.

        For protocols that have a command for this, such as STARTTLS. Call it once the last bytes
        before TLS have been read and sent. `ssl_options` and `server_hostname` are as in
        `friendserve.netutil.ssl_wrap_socket`. This closes the stream but not its socket, which
        passes to the new stream, together with the close callback; if the handshake fails, only
        that is called. Returns the new stream, whose `error` then gives the reason; awaiting it
        waits for the handshake.

        Raises StreamClosedError if the connection is closed. Raises ValueError if a read is
        pending, a write is unsent, or bytes are unread (they arrived outside of TLS, so anyone may
        have inserted them), and for unsuitable options.
        """
        if self._state is not OPEN and self._state is not CONNECTING:
            raise StreamClosedError(self.error)
        if self._state is CONNECTING or self._pending is not None or self._out is not None \
                or len(self._buffer):
            raise ValueError("TLS can only start on a connected stream with no read pending, "
                             "nothing unsent and nothing unread")
        context = ssl_options_to_context({} if ssl_options is None else ssl_options, server_side)
        if context.check_hostname and not server_hostname:
            raise ValueError("a client that verifies certificates needs a server_hostname")
        self._forget_events()
        try:
            sock = self._wrap_socket(context, server_hostname, server_side)
        except (OSError, IOError, ValueError) as error:
            self._fail(error)
            raise StreamClosedError(error)
        self._state = MOVES[self._state, CLOSED]
        # On Python 2 the fd stays open as long as any socket object refers to it.
        self.socket = None
        stream = SSLIOStream(sock, self.io_loop, None, self.max_buffer_size,
                             self.read_chunk_size, self.max_write_buffer_size)
        stream._on_close, self._on_close = self._on_close, None
        if stream.closed():
            stream._tell_closed()
        elif callback is not None:
            stream.wait_for_handshake(callback)
        return stream


class SSLIOStream(IOStream):
    """A TLS stream: over a connected socket made by `ssl_wrap_socket` (with
    do_handshake_on_connect=False), whose handshake starts at once, or over a plain socket that
    `connect` will connect.

    `ssl_options` (a dict or an SSLContext) is for `connect`. Reads and writes started earlier wait
    for the end of the handshake. A handshake that takes longer than `handshake_timeout` seconds
    closes the stream (None: no limit). Raises ValueError for a plain socket that is already
    connected.

    ``stream.socket.getpeercert()`` is the peer's certificate, if one was requested.
    """
    __slots__ = ("_ssl_options", "_server_hostname", "_handshake", "handshake_timeout",
                 "require_close_notify", "_read_wants_write", "_write_wants_read",
                 "_last_record", "_is_whole")

    def __init__(self, socket, io_loop=None, ssl_options=None, max_buffer_size=None,
                 read_chunk_size=None, max_write_buffer_size=None, handshake_timeout=30):
        super(SSLIOStream, self).__init__(socket, io_loop, max_buffer_size, read_chunk_size,
                                          max_write_buffer_size)
        self._ssl_options = ssl_options if ssl_options is not None else {}      # for connect
        self._server_hostname = None        # set by connect
        self.handshake_timeout = handshake_timeout
        #: Whether the peer has to send close_notify before it closes (RFC 8446 6.1). If it does
        #: not, someone may have cut off its data: what was received can be read, but the stream
        #: closes with an ssl.SSLEOFError as its `error`. Set this to False for a peer that never
        #: sends close_notify.
        self.require_close_notify = True
        # Whether the last call to the TLS library has to wait until the socket is writable in order
        # to read, or readable in order to write.
        self._read_wants_write = self._write_wants_read = False
        # What is left to send of the close_notify of shutdown_write; None before that.
        self._last_record = None
        self._is_whole = False      # whether close_fd has to send close_notify
        self._handshake = _Handshake()      # None once it is over or the stream is closed
        self._state = MOVES[self._state, CONNECTING]
        is_tls = hasattr(socket, "do_handshake")
        if self._is_connected():
            if not is_tls:
                raise ValueError("this socket is already connected and would stay without TLS: use "
                                 "ssl_wrap_socket or IOStream.start_tls")
            self._start_handshake()
        elif is_tls:
            # The connection is already lost, and some versions of ssl would continue without TLS.
            self._close_for(_socket_error(errno.ENOTCONN))

    def connect(self, address, callback=None, server_hostname=None):
        """Like `IOStream.connect`, but the callback is called after the handshake.

        `server_hostname` is the name that the certificate must match and that is sent to the server
        (SNI).
        """
        self._server_hostname = server_hostname
        return super(SSLIOStream, self).connect(address, callback, server_hostname)

    def wait_for_handshake(self, callback=None):
        """Call `callback(stream)` when the handshake has succeeded; if it fails, only the close
        callback is called. Returns this stream, which can be awaited instead. Raises
        StreamClosedError if the stream is closed."""
        if self._state is CLOSED:
            raise StreamClosedError(self.error)
        callback = self._guard(callback)
        if callback is not None and self._handshake is not None:
            self._handshake.waiting.append(callback)
        elif callback is not None:
            self._schedule(callback, self)
        return self

    def start_tls(self, *args, **kwargs):
        """Raise RuntimeError, because this is already TLS."""
        raise RuntimeError("this stream already uses TLS")

    def _connected(self, callback):
        # The state stays CONNECTING until the end of the handshake.
        try:
            self.socket = self._wrap_socket(self._ssl_options, self._server_hostname, False)
        except (OSError, IOError, ValueError) as error:
            self._handshake_failed(error)
            return
        self._handshake.callback = callback
        self._start_handshake()

    def _start_handshake(self):
        # An end without close_notify is to be an error.
        self.socket.suppress_ragged_eofs = False
        # First, as this raises if the poller cannot watch the fd.
        self._update_events()
        if self.handshake_timeout is not None:
            with NullContext():
                self._handshake.timer = self.io_loop.call_later(
                    self.handshake_timeout, self._handshake_failed,
                    ssl.SSLError("the handshake took longer than %s seconds"
                                 % self.handshake_timeout))

    def _do_handshake(self):
        handshake = self._handshake
        try:
            self.socket.do_handshake()
        except (OSError, IOError, ValueError) as error:
            # In some versions of ssl, ValueError means a certificate for another host.
            code = error.args[0] if isinstance(error, ssl.SSLError) else None
            if code == ssl.SSL_ERROR_WANT_READ:
                handshake.wants = READ
            elif code == ssl.SSL_ERROR_WANT_WRITE:
                handshake.wants = WRITE
            elif code is not None or errno_from_exception(error) not in RETRY:
                forget_errors()
                self._handshake_failed(error)
            self._update_events()
        else:
            self._forget_handshake()
            for callback in handshake.waiting:
                self.io_loop.add_callback(callback, self)
            super(SSLIOStream, self)._connected(handshake.callback)

    def _lost(self, error):
        if error is not None:
            if self._handshake is not None:
                self._handshake_failed(error)
                return
            if self._last_record is not None and errno_from_exception(error) in _HAS_CLOSED:
                # Only our close_notify is lost. Whether the peer has ended well, its own tells.
                error = None
        super(SSLIOStream, self)._lost(error)

    def _handshake_failed(self, error):
        try:
            peer = self.socket.getpeername()
        except (OSError, IOError):
            peer = "a disconnected peer"
        gen_log.info("TLS handshake with %s failed: %s", peer, error)
        self._fail(error)

    def _forget_handshake(self):
        if self._handshake is not None and self._handshake.timer is not None:
            self.io_loop.remove_timeout(self._handshake.timer)
        self._handshake = None

    # TLS may have to write in order to read, and vice versa. The blocked operation then waits for
    # the event of the other one only: its usual event may be reported all the time.

    def _handle_events(self, fd, events):
        try:
            if events & ERROR:
                # Since Python 3.10, the ssl module reports a reset as an end of stream.
                error = self.get_fd_error()
                if error is not None:
                    self._lost(error)
                    return
            if self._handshake is not None:
                self._do_handshake()
                return
        except Exception as error:
            self._crash(error)
            return
        ready = events & (ERROR | RDHUP)
        if events & (WRITE if self._read_wants_write else READ) and self._state is OPEN:
            ready |= READ
        if events & (READ if self._write_wants_read else WRITE):
            ready |= WRITE
        super(SSLIOStream, self)._handle_events(fd, ready)
        if self._events is not None:
            self._update_events()

    def _wanted_events(self):
        if self._handshake is not None:
            return self._handshake.wants
        wanted = super(SSLIOStream, self)._wanted_events()
        events = wanted & RDHUP
        if wanted & READ:
            events |= WRITE if self._read_wants_write else READ
        if wanted & WRITE:
            events |= READ if self._write_wants_read else WRITE
        return events

    def read_from_fd(self):
        self._read_wants_write = False
        pieces = []
        try:
            while True:
                data = self.socket.recv(self.read_chunk_size)
                pieces.append(data)
                # A poller cannot see bytes that the TLS library has already decrypted.
                if not data or not self.socket.pending():
                    break
        except (OSError, IOError) as error:
            code = error.args[0] if isinstance(error, ssl.SSLError) else None
            if code == ssl.SSL_ERROR_ZERO_RETURN:
                pieces.append(b"")
            elif _is_broken_off(error):
                forget_errors()
                self._on_broken_off(error)
                pieces.append(b"")
            elif code == ssl.SSL_ERROR_WANT_WRITE:
                self._read_wants_write = True
            elif code != ssl.SSL_ERROR_WANT_READ and (
                    code is not None or errno_from_exception(error) not in RETRY):
                forget_errors()
                raise
        return b"".join(pieces) if pieces else None

    def _on_broken_off(self, error):
        """Handle an end without close_notify."""
        # Since Python 3.10, the ssl module reports a reset as such an end. OpenSSL 3 is certain
        # about ends, and answers them with an alert, which the peer may answer with a reset.
        if not _is_certain_end(error) and self._last_record is None and not self._is_connected():
            raise _socket_error(errno.ECONNRESET)
        if self.require_close_notify:
            self.error = ssl.SSLEOFError(
                ssl.SSL_ERROR_EOF, "the peer closed the connection without close_notify: "
                "data may be missing")

    def write_to_fd(self, data):
        self._write_wants_read = False
        try:
            return self.socket.send(memoryview(data)[:_TLS_PIECE])
        except ssl.SSLError as error:
            if error.args[0] == ssl.SSL_ERROR_WANT_READ:
                self._write_wants_read = True
            elif error.args[0] != ssl.SSL_ERROR_WANT_WRITE:
                forget_errors()
                raise
            return 0
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0

    def send_piece(self, piece):
        # Not as IOStream does: sendfile() would bypass TLS.
        return BaseIOStream.send_piece(self, piece)

    def write_ahead_to_fd(self, data):
        return self.write_to_fd(data)

    def shutdown_write(self):
        """Like `IOStream.shutdown_write`, and sends close_notify (RFC 8446 6.1), which proves to
        the peer that it has received everything. On Windows, where that cannot be sent without
        losing received data, it is left out, so the peer may report an error."""
        super(SSLIOStream, self).shutdown_write()

    def _end_output(self):
        if self._last_record is not None:
            return
        try:
            self._last_record, is_answered = make_close_notify(self.socket)
        except (OSError, IOError, NotImplementedError) as error:
            gen_log.debug("close_notify was not sent: %s", error)
            self._last_record, is_answered = b"", False
        if is_answered and self._state is OPEN:
            self._state = MOVES[self._state, ENDED]
            self._schedule(self._maybe_close)
        self._shut_down()

    def _shut_down(self):
        """Send what is left of close_notify, then shut down the socket for writing."""
        self._send_last_record()
        if self._last_record:
            self._queue(b"", self._go_on_shutting_down)
        else:
            # Not SSLSocket.shutdown, after which reads would bypass TLS.
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def _go_on_shutting_down(self):
        if self._state is not CLOSED:
            try:
                self._shut_down()
            except (OSError, IOError) as error:
                self._lost(error)

    def _send_last_record(self):
        try:
            if self._last_record:
                self._last_record = self._last_record[os.write(self.fileno(), self._last_record):]
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise

    def _close_for(self, error):
        # The peer must not take a part for the whole: close_notify only if everything was sent.
        if self._state is not CLOSED:
            self._is_whole = self._handshake is None and self._last_record is None \
                and error is None and self.error is None and not self.unsent() \
                and not self.io_loop.is_inherited()
        super(SSLIOStream, self)._close_for(error)
        self._forget_handshake()

    def close_fd(self):
        # In a child process the connection is a copy, which the parent continues to use.
        if self._last_record and self.error is None and not self.io_loop.is_inherited():
            try:
                self._send_last_record()
            except (OSError, IOError):
                pass
        if not self._is_whole or say_goodbye(self.socket):
            super(SSLIOStream, self).close_fd()
        else:
            with NullContext():
                Goodbye(self.socket, self.io_loop)


class _Handshake(object):
    """A TLS handshake that is about to start or in progress."""
    __slots__ = ("callback", "waiting", "wants", "timer")

    def __init__(self):
        self.callback = None        # of connect, or None
        self.waiting = []           # the callbacks of wait_for_handshake
        self.wants = READ | WRITE   # the events to register for
        self.timer = None           # of handshake_timeout, once it has started


def _is_broken_off(error):
    """Whether an error of a TLS socket means an end of stream without close_notify."""
    if not isinstance(error, ssl.SSLError):
        return errno_from_exception(error) == 0     # Python 2 and 3.6
    return error.args[0] == ssl.SSL_ERROR_EOF or _is_certain_end(error)


def _is_certain_end(error):
    # The code is that of any failure in an ssl module older than OpenSSL 3.
    return "unexpected eof" in str(error).lower().replace("_", " ")


def _socket_error(code):
    return socket.error(code, os.strerror(code))
