"""Connections to hosts by name, with whichever of their addresses answers first.

    from friendserve.ioloop import IOLoop
    from friendserve.tcpclient import TCPClient

    def connected(stream):
        stream.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
        stream.read_until_close(lambda data: (print(data), IOLoop.current().stop()))

    TCPClient().connect("localhost", 8888, callback=connected)
    IOLoop.current().start()

Here, as in all client modules, an operation takes two callbacks, `callback(result)` and
`on_error(error)`, and calls one of them, once, from the loop. Who gives no `on_error` has the
error raised from the loop, in the stack context of the call.
"""
from __future__ import absolute_import, division, print_function

import socket
import ssl

import six

from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream, StreamClosedError
from friendserve.netutil import Resolver, ssl_options_to_context
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.stack_context import NullContext, wrap
from friendserve.util import TimeoutError, raise_error

#: Seconds after which the next address is tried beside those that have not answered yet; RFC
#: 8305 5 recommends 0.25.
ATTEMPT_DELAY = 0.3

#: The phases of connecting, in their order; `Connecting.phase` is one of them.
RESOLVE, CONNECT, TLS, DONE = "resolve", "connect", "tls", "done"


class TCPClient(object):
    """Makes streams that are connected.

    `resolver` finds the addresses; without one there will be a `Resolver()`.
    """
    def __init__(self, resolver=None, io_loop=None):
        self.io_loop = io_loop or (IOLoop.current() if resolver is None else resolver.io_loop)
        self._own_resolver = resolver is None
        self.resolver = resolver or Resolver(io_loop=self.io_loop)

    def close(self):
        """Give back the resolver, if it is our own."""
        if self._own_resolver:
            self.resolver.close()

    def connect(self, host, port, af=socket.AF_UNSPEC, ssl_options=None, max_buffer_size=None,
                source_ip=None, source_port=None, timeout=None, callback=None, on_error=None,
                server_hostname=None):
        """Connect to `host` and call `callback(stream)`, or else `on_error(error)`.

        `ssl_options`, a dict or an SSLContext, asks for TLS: the stream is an SSLIOStream
        then, its handshake over and the certificate checked against `host`, or against
        `server_hostname`. `af` may restrict
        the addresses to AF_INET or AF_INET6; with AF_UNIX, `host` is the path of a socket.
        `source_ip` and `source_port` are where to connect from. `timeout`, in seconds, bounds
        the whole; its error is a TimeoutError. The others are an EnvironmentError: that of the
        first address that failed, ssl.SSLError among them.

        The addresses are tried in the order of the resolver, but the families take turns; a
        next one begins when one has failed or after `ATTEMPT_DELAY`, and the first that
        connects is taken. All other sockets are closed (RFC 8305).

        Returns a `Connecting`, whose `cancel` ends it without a callback. Raises ValueError for
        options that do not fit.
        """
        if ssl_options is not None:
            ssl_options = ssl_options_to_context(ssl_options, server_side=False)
        connecting = Connecting(
            self.io_loop, server_hostname or host, ssl_options, max_buffer_size,
            (source_ip, source_port), wrap(callback), wrap(on_error or raise_error))
        if timeout is not None:
            with NullContext():
                connecting.timer = self.io_loop.call_later(timeout, connecting.time_is_over)
        with NullContext():
            if af == getattr(socket, "AF_UNIX", None):
                connecting.resolved([(af, host)])
            else:
                self.resolver.resolve(host, port, af, callback=connecting.resolved,
                                      on_error=connecting.fail)
        return connecting


class Connecting(object):
    """One connect that is under way; `phase` tells how far it is ("resolve", "connect", "tls",
    "done"), `resolved_at` and `connected_at` when by the clock of the loop it came further."""

    def __init__(self, io_loop, host, ssl_context, max_buffer_size, source, callback, on_error):
        self.io_loop = io_loop
        self.phase = RESOLVE
        #: In which phase it failed, once it has.
        self.failed_phase = None
        self.timer = None
        self.resolved_at = self.connected_at = None
        self._host = host
        self._ssl_context = ssl_context
        self._max_buffer_size = max_buffer_size
        self._source = source
        self._callback = callback
        self._on_error = on_error
        self._addresses = []
        self._streams = []          # those that connect, or the one that shakes hands
        self._next_attempt = None   # a timer
        self._error = None          # of the first address that failed

    def cancel(self):
        """Forget it: close every socket, call nothing."""
        self._callback = self._on_error = None
        self._end()

    def time_is_over(self):
        """Fail because of the time."""
        self.fail(TimeoutError("it took too long to %s" % {
            RESOLVE: "find the address of the host", CONNECT: "connect",
            TLS: "shake hands for TLS"}.get(self.phase, "connect")))

    def fail(self, error):
        """End it with an error."""
        if self.phase is DONE:
            return
        self.failed_phase = self.phase
        self._end()
        self.io_loop.add_callback(self._tell, None, error)

    def _tell(self, stream, error):
        """Call back, from the loop; whoever is called may have cancelled it by now."""
        callback, on_error = self._callback, self._on_error
        self._callback = self._on_error = None
        if error is not None:
            if on_error is not None:
                on_error(error)
        elif callback is not None:
            callback(stream)
        else:
            stream.close()

    def _end(self):
        self.phase = DONE
        for timer in (self.timer, self._next_attempt):
            if timer is not None:
                self.io_loop.remove_timeout(timer)
        self.timer = self._next_attempt = None
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.set_close_callback(None)
            stream.close()

    def resolved(self, addresses):
        """The addresses are known: begin with the first."""
        if self.phase is DONE:
            return
        self.phase = CONNECT
        self.resolved_at = self.io_loop.time()
        self._addresses = interleave(addresses)
        self._try_next()

    def _try_next(self):
        if self._next_attempt is not None:
            self.io_loop.remove_timeout(self._next_attempt)
            self._next_attempt = None
        while self._addresses and self.phase is CONNECT:
            if self._try(*self._addresses.pop(0)):
                if self._addresses:
                    self._next_attempt = self.io_loop.call_later(
                        ATTEMPT_DELAY, self._try_next)
                return
        if not self._streams and self.phase is CONNECT:
            self.fail(self._error or socket.gaierror(
                socket.EAI_NONAME, "there is no address of %r" % (self._host,)))

    def _try(self, af, address):
        """Begin to connect to one address; returns whether that is under way."""
        sock = None
        try:
            sock = socket.socket(af, socket.SOCK_STREAM)
            if six.PY2:  # version: py2
                set_close_exec(sock.fileno())
            source_ip, source_port = self._source
            if source_ip is not None or source_port is not None:
                sock.bind((source_ip or ("::" if af == socket.AF_INET6 else "0.0.0.0"),
                           source_port or 0))
        except EnvironmentError as error:
            if sock is not None:
                sock.close()
            self._note(error)
            return False
        stream = IOStream(sock, self.io_loop, self._max_buffer_size)
        self._streams.append(stream)
        stream.set_close_callback(lambda: self._attempt_failed(stream))
        stream.connect(address, lambda: self._connected(stream))
        return True

    def _note(self, error):
        if self._error is None:
            # Its frames lead back to here.
            error.__traceback__ = None
            self._error = error

    def _attempt_failed(self, stream):
        if stream not in self._streams:
            return
        self._streams.remove(stream)
        self._note(stream.error or StreamClosedError())
        self._try_next()

    def _connected(self, stream):
        if self.phase is not CONNECT or stream not in self._streams:
            # Another one was faster, in the same turn.
            return
        self.connected_at = self.io_loop.time()
        self._streams.remove(stream)
        stream.set_close_callback(None)
        if self._ssl_context is None:
            self._succeed(stream)
            return
        timer, self.timer = self.timer, None
        self._end()
        self.timer = timer
        self.phase = TLS
        self._streams = [start_tls(stream, self._ssl_context, self._host, self._shaken,
                                   self.fail)]

    def _shaken(self, stream):
        if self.phase is TLS:
            self._streams = []
            self._succeed(stream)
        else:
            stream.close()

    def _succeed(self, stream):
        self._end()
        self.io_loop.add_callback(self._tell, stream, None)


def interleave(addresses):
    """The addresses with the families taking turns, beginning with that of the first
    (RFC 8305 4)."""
    families = []
    for family, _ in addresses:
        if family not in families:
            families.append(family)
    rows = [[pair for pair in addresses if pair[0] == family] for family in families]
    longest = max([len(row) for row in rows] or [0])
    return [row[i] for i in range(longest) for row in rows if i < len(row)]


def start_tls(stream, ssl_context, host, callback, on_error):
    """Begin TLS on a connected stream, and call `callback(new stream)` after the handshake or
    `on_error(error)`, an EnvironmentError. Returns the new stream, or `stream`, closed, when
    that has failed already."""
    streams = [stream]

    def failed():
        on_error(streams.pop().error or ssl.SSLError(
            ssl.SSL_ERROR_EOF, "the peer closed the connection in the handshake"))

    def shaken(secure):
        secure.set_close_callback(None)
        callback(secure)

    stream.set_close_callback(failed)
    try:
        streams.append(stream.start_tls(False, ssl_context, host, shaken))
    except StreamClosedError:
        # The close callback tells.
        pass
    return streams[-1]
