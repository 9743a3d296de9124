"""Connections to hosts by name, using whichever of their addresses answers first.

    from friendserve.ioloop import IOLoop
    from friendserve.tcpclient import TCPClient

    def connected(stream):
        stream.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
        stream.read_until_close(lambda data: (print(data), IOLoop.current().stop()))

    TCPClient().connect("localhost", 8888, callback=connected)
    IOLoop.current().start()

Here, as in all client modules, an operation accepts two callbacks, `callback(result)` and
`on_error(error)`, and calls one of them, once, from the loop. Without `on_error`, the error is
raised from the loop, in the stack context of the call.
"""
from __future__ import absolute_import, division, print_function

import functools
import numbers
import socket
import ssl

import six

from friendserve.awaitable import future_of
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream, StreamClosedError
from friendserve.netutil import Resolver, is_valid_ip, ssl_options_to_context
from friendserve.netutil.endpoints import environment_error, host_name, port_number, unix_path
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.stack_context import NullContext, wrap
from friendserve.util import TimeoutError, raise_error

#: Seconds after which the next address is tried in parallel with those that have not answered yet;
#: RFC 8305 5 recommends 0.25.
ATTEMPT_DELAY = 0.3

#: The phases of connecting, in order; `Connecting.phase` is one of them.
RESOLVE, CONNECT, TLS, DONE = "resolve", "connect", "tls", "done"

#: (from, to) -> to, for every legal move. RESOLVE: the addresses are being looked up. CONNECT: one
#: or more attempts are in progress. TLS: the one stream left is performing the handshake. DONE: the
#: outcome is known, though perhaps not reported yet, or the connect was cancelled.
MOVES = dict(((old, new), new) for old, news in {
    RESOLVE: (CONNECT, DONE),
    CONNECT: (TLS, DONE),
    TLS: (DONE,),
    DONE: (DONE,),
}.items() for new in news)

_TIMED_OUT = {RESOLVE: "find the address of the host", CONNECT: "connect",
              TLS: "complete the TLS handshake"}


class TCPClient(object):
    """Makes connected streams.

    `resolver` finds the addresses; the default is a new `Resolver()`.
    """
    def __init__(self, resolver=None, io_loop=None):
        self.io_loop = io_loop or (IOLoop.current() if resolver is None else resolver.io_loop)
        self._own_resolver = resolver is None
        self.resolver = resolver or Resolver(io_loop=self.io_loop)

    def close(self):
        """Close the resolver, unless it was passed in."""
        if self._own_resolver:
            self.resolver.close()

    def connect(self, host, port, af=socket.AF_UNSPEC, ssl_options=None, max_buffer_size=None,
                source_ip=None, source_port=None, timeout=None, callback=None, on_error=None,
                server_hostname=None):
        """Connect to `host` and call `callback(stream)`, or else `on_error(error)`.

        `ssl_options`, a dict or an SSLContext, requests TLS: the stream is then an SSLIOStream
        whose handshake is complete and whose certificate was checked against `host`, or against
        `server_hostname` if given. `af` may restrict the addresses to AF_INET or AF_INET6; with
        AF_UNIX, `host` is the path of a socket. `source_ip` and `source_port` are the local
        address. `timeout`, in seconds, bounds the whole operation, and its error is a TimeoutError.
        Other errors are an EnvironmentError (ssl.SSLError is one): that of the first address that
        failed. One of the two callbacks is called, once, whatever happens after this has returned.

        The addresses are tried in the order of the resolver, except that the families take turns.
        The next attempt starts when one has failed or after `ATTEMPT_DELAY`; the first address that
        connects is used, and all other sockets are closed (RFC 8305).

        Returns a `Connecting`, whose `cancel` stops everything without a callback; without both
        callbacks, a Future of the stream. Raises
        ValueError for unsuitable options and for an invalid host name, path or port (a number from
        0 to 65535), and TypeError for values of a wrong type.
        """
        if callback is None and on_error is None:
            return future_of(
                self.connect, host, port, af, ssl_options, max_buffer_size, source_ip, source_port,
                timeout, server_hostname=server_hostname)
        is_unix = af == getattr(socket, "AF_UNIX", None)
        if is_unix:
            path = unix_path(host)
        elif type(port) is not int or not 0 <= port <= 65535:
            port = port_number(port)
        if source_ip is not None or source_port is not None:
            source_port = _check_source(is_unix, source_ip, source_port)
        if max_buffer_size is not None and type(max_buffer_size) is not int:
            _check_number("max_buffer_size", max_buffer_size)
        if timeout is not None:
            _check_number("timeout", timeout)
        if ssl_options is not None:
            ssl_options = ssl_options_to_context(ssl_options, server_side=False)
            if server_hostname:
                _check_server_name(server_hostname)
        connecting = Connecting(
            self.io_loop, server_hostname or host, ssl_options, max_buffer_size,
            (source_ip, source_port), wrap(callback), wrap(on_error or raise_error))
        if timeout is not None:
            with NullContext():
                connecting.timer = self.io_loop.call_later(timeout, connecting.on_timeout)
        try:
            with NullContext():
                if is_unix:
                    connecting.resolved([(af, path)])
                else:
                    self.resolver.resolve(host, port, af, callback=connecting.resolved,
                                          on_error=connecting.fail)
        except Exception:
            # The caller gets the error for an invalid host name; the timer must not report a
            # second one.
            connecting.cancel()
            raise
        return connecting


def _check_source(is_unix, source_ip, source_port):
    """`source_port` as an int, or None. Raises ValueError unless it and `source_ip` can be the
    address of a socket."""
    if is_unix:
        raise ValueError("a Unix socket has neither a source_ip nor a source_port")
    # An IPv6 address may have a zone.
    if source_ip is not None and not (isinstance(source_ip, six.string_types) and
                                      "\0" not in source_ip and
                                      is_valid_ip(source_ip.partition("%")[0])):
        raise ValueError("source_ip must be an IP address, not %r" % (source_ip,))
    return None if source_port is None else port_number(source_port)


def _check_number(name, value):
    # NaN is not equal to itself.
    if not isinstance(value, numbers.Real) or value != value:
        raise TypeError("%s must be a number or None, not %r" % (name, value))


def _check_server_name(name):
    """Raise ValueError for a `server_hostname` that no certificate can have."""
    try:
        labels = host_name(name).encode("idna")
    except UnicodeError as error:
        raise ValueError("%r cannot be a server_hostname: %s" % (name, error))
    if labels.startswith(b"."):
        raise ValueError("a server_hostname cannot start with a dot: %r" % (name,))


class Connecting(object):
    """One connect in progress.

    `phase` is "resolve", "connect", "tls" or "done"; `resolved_at` and `connected_at` are the
    times, by the loop's clock, at which the first two ended (None before).
    """

    def __init__(self, io_loop, host, ssl_context, max_buffer_size, source, callback, on_error):
        self.io_loop = io_loop
        self.phase = RESOLVE
        #: The phase in which it failed; None until then.
        self.failed_phase = None
        self.timer = None           # of `timeout`: runs until DONE, through all phases
        self.resolved_at = self.connected_at = None
        self._host = host           # the name that the certificate must be for
        self._ssl_context = ssl_context
        self._max_buffer_size = max_buffer_size
        self._source = source       # (address or None, port or None) to connect from
        self._callback = callback   # this and _on_error: None once reported or cancelled
        self._on_error = on_error
        self._addresses = []        # those not tried yet
        self._streams = []          # in CONNECT one per attempt, in TLS the one in its handshake
        self._next_attempt = None   # the timer that starts it, while addresses are left
        self._error = None          # of the first address that failed

    def cancel(self):
        """Close every socket and call neither callback."""
        self._callback = self._on_error = None
        self._end()

    def on_timeout(self):
        """Called when `timeout` has passed."""
        self._fail(TimeoutError("it took too long to %s" % _TIMED_OUT.get(self.phase)))

    def fail(self, error):
        """End with an error, unless the outcome is known already."""
        self._fail(environment_error(error))

    def _fail(self, error):
        if self.phase is not DONE:
            self.failed_phase = self.phase
            self._end(None, error)

    def _end(self, stream=None, error=None):
        """Stop everything, and have the loop report the outcome if there is one."""
        self.phase = MOVES[self.phase, DONE]
        if self.timer is not None:
            self.io_loop.remove_timeout(self.timer)
            self.timer = None
        self._stop_attempts()
        if stream is not None or error is not None:
            self.io_loop.add_callback(self._tell, stream, error)

    def _stop_attempts(self):
        """Close the streams that have not connected, and start no further attempt."""
        if self._next_attempt is not None:
            self.io_loop.remove_timeout(self._next_attempt)
            self._next_attempt = None
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.set_close_callback(None)
            stream.close()

    def _tell(self, stream, error):
        """Report the outcome, unless `cancel` was called since it became known."""
        callback, on_error = self._callback, self._on_error
        self._callback = self._on_error = None
        if error is not None:
            if on_error is not None:
                on_error(error)
        elif callback is not None:
            callback(stream)
        else:
            stream.close()

    def resolved(self, addresses):
        """Start connecting to the first of these addresses."""
        if self.phase is not RESOLVE:
            return
        self.phase = MOVES[self.phase, CONNECT]
        self.resolved_at = self.io_loop.time()
        try:
            self._addresses = interleave(addresses)
        except Exception as error:
            # The resolver has delivered something else than pairs.
            self._note(error)
        self._try_next()

    def _try_next(self):
        if self._next_attempt is not None:
            self.io_loop.remove_timeout(self._next_attempt)
            self._next_attempt = None
        while self._addresses and self.phase is CONNECT:
            if self._try(self._addresses.pop(0)):
                if self._addresses:
                    self._next_attempt = self.io_loop.call_later(
                        ATTEMPT_DELAY, self._try_next)
                return
        if not self._streams and self.phase is CONNECT:
            self.fail(self._error or socket.gaierror(
                socket.EAI_NONAME, "no address found for %r" % (self._host,)))

    def _try(self, pair):
        """Start an attempt to connect to an address, (family, address); returns whether it is in
        progress."""
        sock = stream = None
        try:
            af, address = pair
            sock = socket.socket(af, socket.SOCK_STREAM)
            if six.PY2:  # version: py2
                set_close_exec(sock.fileno())
            source_ip, source_port = self._source
            if source_ip is not None or source_port is not None:
                sock.bind((source_ip or ("::" if af == socket.AF_INET6 else "0.0.0.0"),
                           source_port or 0))
            stream = IOStream(sock, self.io_loop, self._max_buffer_size)
            stream.set_close_callback(functools.partial(self._attempt_failed, stream))
            stream.connect(address, functools.partial(self._connected, stream))
        except Exception as error:
            # Not only errors of the system: the socket module has TypeError, ValueError and
            # OverflowError for addresses that a resolver should not have delivered.
            if stream is not None:
                stream.set_close_callback(None)
                stream.close()
            elif sock is not None:
                sock.close()
            self._note(error)
            return False
        self._streams.append(stream)
        return True

    def _note(self, error):
        if self._error is None:
            self._error = environment_error(error)
            # The frames of its traceback refer to this object, which would be a cycle.
            self._error.__traceback__ = None

    def _attempt_failed(self, stream):
        if stream not in self._streams:
            return
        self._streams.remove(stream)
        self._note(stream.error or StreamClosedError())
        self._try_next()

    def _connected(self, stream):
        if self.phase is not CONNECT or stream not in self._streams:
            # Another attempt succeeded first, in the same turn.
            return
        self.connected_at = self.io_loop.time()
        self._streams.remove(stream)
        stream.set_close_callback(None)
        if self._ssl_context is None:
            self._end(stream)
            return
        self._stop_attempts()
        self.phase = MOVES[self.phase, TLS]
        try:
            self._streams = [start_tls(stream, self._ssl_context, self._host, self._shaken,
                                       self.fail)]
        except Exception as error:
            # The name of the host cannot be that of a certificate.
            stream.set_close_callback(None)
            stream.close()
            self.fail(error)

    def _shaken(self, stream):
        if self.phase is TLS:
            self._streams = []
            self._end(stream)
        else:
            stream.close()


def interleave(addresses):
    """The addresses with the families taking turns, starting with the family of the first
    (RFC 8305 4)."""
    if len(addresses) == 1:
        return list(addresses)
    families = []
    for family, _ in addresses:
        if family not in families:
            families.append(family)
    rows = [[pair for pair in addresses if pair[0] == family] for family in families]
    longest = max([len(row) for row in rows] or [0])
    return [row[i] for i in range(longest) for row in rows if i < len(row)]


def start_tls(stream, ssl_context, host, callback, on_error):
    """Start TLS on a connected stream, and call `callback(new stream)` after the handshake or
    `on_error(error)`, with an EnvironmentError.

    Returns the new stream; or `stream`, closed, if TLS could not even start.
    """
    handshaking = _Handshaking(stream, callback, on_error)
    handshaking.start(ssl_context, host)
    return handshaking.stream


class _Handshaking(object):
    """A client's TLS handshake, which ends in one of two callbacks."""
    __slots__ = ("stream", "_callback", "_on_error")

    def __init__(self, stream, callback, on_error):
        self.stream = stream        # the plain stream until TLS has started, then the TLS stream
        self._callback = callback
        self._on_error = on_error

    def start(self, ssl_context, host):
        self.stream.set_close_callback(self._failed)
        try:
            self.stream = self.stream.start_tls(False, ssl_context, host, self._shaken)
        except StreamClosedError:
            # The close callback reports it.
            pass

    def _shaken(self, stream):
        stream.set_close_callback(None)
        self._callback(stream)

    def _failed(self):
        self._on_error(self.stream.error or ssl.SSLError(
            ssl.SSL_ERROR_EOF, "the peer closed the connection during the TLS handshake"))
