"""Streams over sockets, plain and in TLS."""
from __future__ import absolute_import, division, print_function

import errno
import os
import socket
import ssl

from friendserve.iostream.base import (
    CLOSED, CONNECTING, ENDED, OPEN, RETRY, BaseIOStream, StreamClosedError)
from friendserve.log import gen_log
from friendserve.netutil import ssl_options_to_context, ssl_wrap_socket
from friendserve.platform.pollers.interface import ERROR, READ, WRITE
from friendserve.stack_context import NullContext
from friendserve.util import errno_from_exception


#: A connect that answers so goes on by itself. (EAGAIN is none of them: that is how a Unix
#: socket says that it has no room for us.)
_UNDER_WAY = frozenset([errno.EINPROGRESS, errno.EINTR, getattr(errno, "WSAEWOULDBLOCK", -1)])

#: Has the system wait for more before it sends a packet that is not full.
_MORE = getattr(socket, "MSG_MORE", 0)

#: The most that the system is asked to send of a file at a time.
_FILE_PIECE = 1 << 20

#: How a system says that this file is none that it can send by itself.
_NO_SENDFILE = frozenset([errno.EINVAL, errno.ENOSYS, getattr(errno, "ENOTSUP", errno.EINVAL),
                          getattr(errno, "EOPNOTSUPP", errno.EINVAL), errno.ENOTSOCK])

#: The most that the TLS library gets at once: it counts with an int.
_TLS_PIECE = 1 << 20

#: How many records a TLS stream reads at most before it says that it will send no more.
_MAX_RECEIVES = 256


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
            # It is 0 at the end of the file, for which `read` has the words.
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
                # Some systems say so when the other side has gone; a read will tell.
                gen_log.debug("TCP_NODELAY could not be set: %s", error)

    def shutdown_write(self):
        """Tell the other side that nothing more will come, when all that was written is sent,
        and go on reading (RFC 9293 3.6). Nothing may be written after it."""
        if self._state is CLOSED:
            return
        if self._out is not None or self._state is CONNECTING:
            self.write(b"", self.shutdown_write)
            return
        try:
            self._end_output()
        except (OSError, IOError) as error:
            self._lost(error)

    def _end_output(self):
        self.socket.shutdown(socket.SHUT_WR)

    def connect(self, address, callback=None, server_hostname=None):
        """Connect to `address`, then call `callback()`; on failure only the close callback is
        called, with `error` set. Reads and writes may be started at once.

        A host name in `address` is looked up here and now, which blocks. `server_hostname` is
        for `SSLIOStream`. Raises StreamClosedError when the stream is closed.
        """
        if self._state is CLOSED:
            raise StreamClosedError(self.error)
        callback = self._guard(callback)

        def on_ready(stream, events):
            self._forget_events()
            error = self.get_fd_error()
            if error is not None:
                gen_log.debug("Connect to %s failed: %s", address, error)
                self._fail(error)
                return
            self._state = OPEN
            self._connected(callback)

        self._forget_events()
        try:
            self.socket.connect(address)
        except (OSError, IOError, UnicodeError) as error:
            # gaierror has numbers of its own. UnicodeError: what cannot be a host name.
            if isinstance(error, (socket.gaierror, UnicodeError)) or \
                    errno_from_exception(error) not in _UNDER_WAY:
                gen_log.debug("Connect to %s failed: %s", address, error)
                self._fail(error)
                return
        self._state = CONNECTING
        self._fd = self.fileno()
        with NullContext():
            self.io_loop.add_handler(self, on_ready, WRITE)
        self._events = WRITE

    def _connected(self, callback):
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
            # The ssl module would find out half-way, with the fd in nobody's hands.
            raise self.get_fd_error() or _socket_error(errno.ENOTCONN)
        return ssl_wrap_socket(self.socket, ssl_options, server_hostname,
                               server_side=server_side, do_handshake_on_connect=False)

    def start_tls(self, server_side, ssl_options=None, server_hostname=None, callback=None):
        """Go on in TLS: call `callback(stream)` with the new `SSLIOStream` after the handshake.

        For protocols with a command for this, such as STARTTLS; call it after the last
        bytes before TLS were read and sent. `ssl_options` and `server_hostname` are as in
        `friendserve.netutil.ssl_wrap_socket`. This stream is closed by it, but not its
        socket, which belongs to the new stream, as does the close callback: when the handshake
        fails only that is called. Returns the new stream, whose `error` then says why.

        Raises StreamClosedError when the connection is closed, and ValueError while a read is
        pending, a write is not sent, or bytes are unread (they came before TLS, so nobody knows
        from whom), or when the options do not fit.
        """
        if self._state is not OPEN and self._state is not CONNECTING:
            raise StreamClosedError(self.error)
        if self._state is CONNECTING or self._pending is not None or self._out is not None \
                or len(self._buffer):
            raise ValueError("TLS can only begin on a connected stream with no read pending, "
                             "nothing to be sent and nothing unread")
        context = ssl_options_to_context({} if ssl_options is None else ssl_options, server_side)
        if context.check_hostname and not server_hostname:
            raise ValueError("a client that checks certificates needs a server_hostname")
        self._forget_events()
        try:
            sock = self._wrap_socket(context, server_hostname, server_side)
        except (OSError, IOError, ValueError) as error:
            self._fail(error)
            raise StreamClosedError(error)
        self._state = CLOSED
        # On Python 2 the fd is closed only when nobody has a socket over it any more.
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
    """A TLS stream: over a connected socket that `ssl_wrap_socket` made (with
    do_handshake_on_connect=False), whose handshake begins at once, or over a plain socket that
    `connect` will connect.

    `ssl_options` (a dict or an SSLContext) is for `connect`. What is read and written before
    the handshake is over waits for it. A handshake that takes longer than `handshake_timeout`
    seconds closes the stream (None: no limit). Raises ValueError for a plain socket that is
    connected already.

    ``stream.socket.getpeercert()`` is the other side's certificate, if it was asked for.
    """
    __slots__ = ("_ssl_options", "_server_hostname", "_handshake", "handshake_timeout",
                 "_read_wants_write", "_write_wants_read")

    def __init__(self, socket, io_loop=None, ssl_options=None, max_buffer_size=None,
                 read_chunk_size=None, max_write_buffer_size=None, handshake_timeout=30):
        super(SSLIOStream, self).__init__(socket, io_loop, max_buffer_size, read_chunk_size,
                                          max_write_buffer_size)
        self._ssl_options = ssl_options if ssl_options is not None else {}
        self._server_hostname = None
        self.handshake_timeout = handshake_timeout
        self._read_wants_write = self._write_wants_read = False
        self._handshake = _Handshake()      # None once it is over
        self._state = CONNECTING
        is_tls = hasattr(socket, "do_handshake")
        if self._is_connected():
            if not is_tls:
                raise ValueError("this socket is connected and would stay without TLS: take "
                                 "ssl_wrap_socket or IOStream.start_tls")
            self._start_handshake()
        elif is_tls:
            # It was connected, and in some versions of ssl would go on without TLS.
            self._close_for(_socket_error(errno.ENOTCONN))

    def connect(self, address, callback=None, server_hostname=None):
        """As `IOStream.connect`; the callback comes after the handshake.

        `server_hostname` is what the certificate must be for, and what the server is told
        (SNI).
        """
        self._server_hostname = server_hostname
        super(SSLIOStream, self).connect(address, callback, server_hostname)

    def wait_for_handshake(self, callback=None):
        """Call `callback(stream)` when the handshake is over; on failure the close callback
        is called instead. Raises StreamClosedError when the stream is closed."""
        if self._state is CLOSED:
            raise StreamClosedError(self.error)
        callback = self._guard(callback)
        if callback is not None and self._handshake is not None:
            self._handshake.waiting.append(callback)
        elif callback is not None:
            self._schedule(callback, self)

    def start_tls(self, *args, **kwargs):
        """Raises RuntimeError: this is TLS already."""
        raise RuntimeError("this stream is in TLS already")

    def _connected(self, callback):
        self._state = CONNECTING
        try:
            self.socket = self._wrap_socket(self._ssl_options, self._server_hostname, False)
        except (OSError, IOError, ValueError) as error:
            self._handshake_failed(error)
            return
        self._handshake.callback = callback
        self._start_handshake()

    def _start_handshake(self):
        if self.handshake_timeout is not None:
            with NullContext():
                self._handshake.timer = self.io_loop.call_later(
                    self.handshake_timeout, self._handshake_failed,
                    ssl.SSLError("it took longer than %s seconds" % self.handshake_timeout))
        self._update_events()

    def _do_handshake(self):
        handshake = self._handshake
        try:
            self.socket.do_handshake()
        except (OSError, IOError, ValueError) as error:
            # ValueError: a certificate for another host, in some versions of ssl.
            code = error.args[0] if isinstance(error, ssl.SSLError) else None
            if code == ssl.SSL_ERROR_WANT_READ:
                handshake.wants = READ
            elif code == ssl.SSL_ERROR_WANT_WRITE:
                handshake.wants = WRITE
            elif code is not None or errno_from_exception(error) not in RETRY:
                self._handshake_failed(error)
            self._update_events()
        else:
            self._forget_handshake()
            self._state = OPEN
            for callback in handshake.waiting:
                self.io_loop.add_callback(callback, self)
            super(SSLIOStream, self)._connected(handshake.callback)

    def _lost(self, error):
        if self._handshake is not None and error is not None:
            self._handshake_failed(error)
        else:
            super(SSLIOStream, self)._lost(error)

    def _handshake_failed(self, error):
        try:
            peer = self.socket.getpeername()
        except (OSError, IOError):
            peer = "a peer that has gone"
        gen_log.info("TLS handshake with %s failed: %s", peer, error)
        self._fail(error)

    def _forget_handshake(self):
        if self._handshake is not None and self._handshake.timer is not None:
            self.io_loop.remove_timeout(self._handshake.timer)
        self._handshake = None

    # TLS may have to write in order to read, and the other way round. Each then waits for the
    # event of the other, and for that one only: its own may be there all the time.

    def _handle_events(self, fd, events):
        try:
            if events & ERROR:
                # From Python 3.10 on, the ssl module takes a reset for an end.
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
        ready = events & ERROR
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
        events = 0
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
                # What the TLS library has decrypted already, no poller can see.
                if not data or not self.socket.pending():
                    break
        except (OSError, IOError) as error:
            code = error.args[0] if isinstance(error, ssl.SSLError) else None
            if _is_end(error):
                pieces.append(b"")
            elif code == ssl.SSL_ERROR_WANT_WRITE:
                self._read_wants_write = True
            elif code != ssl.SSL_ERROR_WANT_READ and (
                    code is not None or errno_from_exception(error) not in RETRY):
                raise
        return b"".join(pieces) if pieces else None

    def write_to_fd(self, data):
        self._write_wants_read = False
        try:
            return self.socket.send(memoryview(data)[:_TLS_PIECE])
        except ssl.SSLError as error:
            if error.args[0] == ssl.SSL_ERROR_WANT_READ:
                self._write_wants_read = True
            elif error.args[0] != ssl.SSL_ERROR_WANT_WRITE:
                raise
            return 0
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0

    # Not what IOStream does: the system would send a file without TLS.

    def send_piece(self, piece):
        return BaseIOStream.send_piece(self, piece)

    def write_ahead_to_fd(self, data):
        return self.write_to_fd(data)

    def _end_output(self):
        # The ssl module looks for an answer at once, and breaks when it finds something else. So
        # all input has to be out of its way; a side that sends too much for that gets no goodbye,
        # which TLS calls a truncation.
        for _ in range(_MAX_RECEIVES):
            data = self.read_from_fd()
            if not data:
                if data is not None or self._say_goodbye():
                    self._state = ENDED
                    self._schedule(self._maybe_close)
                break
            self._buffer.append(data)
        # Not the method of SSLSocket, which would go on reading without TLS.
        socket.socket.shutdown(self.socket, socket.SHUT_WR)
        if self._pending is not None and len(self._buffer):
            self._try_read_here()
        if self._events is not None:
            self._update_events()

    def _say_goodbye(self):
        """Send close_notify (RFC 8446 6.1), so that the other side knows that it has all.
        Returns whether that of the other side has come."""
        try:
            self.socket.unwrap()
        except (OSError, IOError, ValueError):
            return False
        return True

    def close_fd(self):
        if self._handshake is None and self.error is None:
            self._say_goodbye()
        super(SSLIOStream, self).close_fd()

    def _close_for(self, error):
        super(SSLIOStream, self)._close_for(error)
        self._forget_handshake()


class _Handshake(object):
    """A TLS handshake that is to come or going on."""
    __slots__ = ("callback", "waiting", "wants", "timer")

    def __init__(self):
        self.callback = None        # of connect
        self.waiting = []           # of wait_for_handshake
        self.wants = READ | WRITE
        self.timer = None


def _is_end(error):
    """Whether an error of a TLS socket says that nothing more comes, with a goodbye or without."""
    if not isinstance(error, ssl.SSLError):
        return errno_from_exception(error) == 0     # Python 2 and 3.6
    return (error.args[0] in (ssl.SSL_ERROR_EOF, ssl.SSL_ERROR_ZERO_RETURN)
            # OpenSSL 3 under an ssl module that does not know it yet.
            or "unexpected eof" in str(error).lower().replace("_", " "))


def _socket_error(code):
    return socket.error(code, os.strerror(code))
