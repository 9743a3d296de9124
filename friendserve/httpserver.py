"""An HTTP/1.1 server.

    def hello(request):
        body = b"Hello, world\\n"
        request.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 13\\r\\n\\r\\n" + body)
        request.finish()

    server = HTTPServer(hello)
    server.listen(8888)
    IOLoop.instance().start()

Most programs give it a `friendserve.web.Application` instead of a function.
"""
from __future__ import absolute_import, division, print_function

import collections
import functools
import re
import types

import six

from friendserve import autoreload
from friendserve.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from friendserve.httputil import (
    HTTPMessageDelegate, HTTPServerConnectionDelegate, HTTPServerRequest, RequestStartLine)
from friendserve.ioloop import IOLoop
from friendserve.log import gen_log
from friendserve.netutil import LOCAL_PEERS, Networks, is_valid_ip
from friendserve.netutil.networks import UNIX_PEER
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.grammar import TOKEN_CHARS, is_token
from friendserve.stack_context import NullContext, wrap
from friendserve.tcpserver import TCPServer

__all__ = ["HTTPServer", "HTTPConnection", "HTTPRequest", "HTTP1ConnectionParameters",
           "LOCAL_PEERS"]

#: The names in Tornado 1.0.
HTTPConnection = HTTP1ServerConnection
HTTPRequest = HTTPServerRequest
_BadRequestException = HTTPInputError

#: Seconds between two searches for connections whose time limit has passed; shorter if one of the
#: limits is small.
SWEEP_INTERVAL = 1.0

#: The least number of seconds between two groups of WebSockets that are told of a drain.
TELL_INTERVAL = 0.01

#: The address that a proxy reports may have a port, which may be hidden (RFC 7239 6), and an IPv6
#: address with a port has brackets.
_match_node = re.compile(
    r"(?:\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|([0-9.]+))"
    r"(?::(?:[0-9]{1,5}|_[0-9A-Za-z._\-]+))?\Z").match

#: RFC 7239 4: an element of Forwarded, and one of its pairs.
_PAIR = r"([%s]+)=([%s]+|\"(?:[^\"\\]|\\.)*\")" % (TOKEN_CHARS, TOKEN_CHARS)
_is_forwarded = re.compile(r"%s(?:[ \t]*;[ \t]*%s)*[ \t]*;?\Z" % (_PAIR, _PAIR)).match
_find_pairs = re.compile(_PAIR).findall

#: The scheme of a page by what proxies write, which may be that of a WebSocket.
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class HTTPServer(TCPServer):
    """An HTTP server for `request_callback`, which is an Application, a function of a request, or
    an HTTPServerConnectionDelegate.

    `no_keep_alive` closes each connection after one response. `ssl_options` (a dict of arguments
    for `friendserve.netutil.ssl_options_to_context`, or an SSLContext) makes it an HTTPS server.
    `protocol` is the scheme that the application sees, if it is not that of the connection.
    `decompress_request` decompresses gzip bodies; the pieces of a streamed one may then be larger
    than `chunk_size`, up to a megabyte. The limits are those of
    `HTTP1ConnectionParameters`; `max_buffer_size` limits the bytes that a connection may buffer.

    `xheaders` takes the client's address and scheme from headers of a proxy in front; set it only
    when there is one. It names the header that the proxy sets or appends to:

    - "X-Forwarded-For", with the scheme in X-Forwarded-Proto;
    - "X-Real-IP", with the scheme in X-Scheme;
    - "Forwarded" (RFC 7239), with both;
    - any other, with the scheme in X-Forwarded-Proto.

    All others are ignored. The proxy must replace or delete what clients send in the scheme header,
    and in the address header unless it appends to it. With True, the first that is present counts
    of X-Real-IP and X-Forwarded-For, and of X-Scheme and X-Forwarded-Proto: the proxy must set or
    delete all four. `trusted_downstream` are the addresses of further proxies, to be skipped at
    the end of the list of addresses.

    `trusted` restricts this to proxies that are known: a list of addresses, networks
    ("10.0.0.0/8") and "unix", as for `friendserve.netutil.Networks`; LOCAL_PEERS are those of this
    machine. The headers of a connection from elsewhere are ignored, and the client is the last
    address of the list that is not trusted.

    A subclass may override `initialize`, which gets the arguments of the constructor, and
    `start_request`.
    """
    def __init__(self, *args, **kwargs):
        self.initialize(*args, **kwargs)

    def initialize(self, request_callback, no_keep_alive=False, io_loop=None, xheaders=False,
                   ssl_options=None, protocol=None, decompress_request=False, chunk_size=None,
                   max_header_size=None, idle_connection_timeout=None, body_timeout=None,
                   max_body_size=None, max_buffer_size=None, trusted_downstream=None,
                   max_write_buffer_size=None, handshake_timeout=None, trusted=None,
                   proxy_protocol=None, **limits):
        """Set up the server; called by the constructor."""
        super(HTTPServer, self).__init__(
            io_loop=io_loop, ssl_options=ssl_options, max_buffer_size=max_buffer_size,
            read_chunk_size=chunk_size, max_write_buffer_size=max_write_buffer_size,
            handshake_timeout=handshake_timeout, proxy_protocol=proxy_protocol)
        self.request_callback = request_callback
        # The name of a header, True or False.
        self.xheaders = xheaders if isinstance(xheaders, six.string_types) else bool(xheaders)
        if self.xheaders and self.xheaders is not True and not is_token(xheaders):
            raise ValueError("xheaders must be True or the name of a header, not %r" % xheaders)
        self.protocol = protocol
        self.trusted_downstream = frozenset(trusted_downstream or ())
        self.trusted = None if trusted is None else Networks(trusted)
        if max_buffer_size is not None:
            max_body_size = max_buffer_size if max_body_size is None else max_body_size
            # So that a head that does not fit into the buffer is refused, rather than waited for.
            max_header_size = min(max_header_size or 65536, max_buffer_size)
        self.params = self.conn_params = HTTP1ConnectionParameters(
            no_keep_alive=no_keep_alive, chunk_size=chunk_size, max_header_size=max_header_size,
            max_body_size=max_body_size, body_timeout=body_timeout, decompress=decompress_request,
            idle_timeout=idle_connection_timeout, **limits)
        self._connections = set()
        self._detached = set()      # those that have a stop callback
        self._sweep_timer = None
        self._sweep_interval = min(SWEEP_INTERVAL, max(self.params.shortest_timeout() / 4, 0.01))
        self._stop_timers = []
        self._on_stopped = None     # callbacks, once the server is stopping or draining
        self._untold = collections.deque()  # detached ones that `drain` has yet to tell
        self._tell_timer = None
        # What clients are told depends on these: the seconds that idle connections have left, or
        # None if the server does not drain, and whether another process continues to serve.
        self.drain_timeout = None
        self.has_successor = False
        self._delegate = None
        # The following are read by the connections. `now` is the time of the last sweep: precise
        # enough for times that later sweeps check, and it saves each step of a connection a system
        # call. HTTP1ServerConnection describes `start_body` and `handle_request`; as methods that
        # call these functions they would cost each request a call.
        self.now = 0.0
        if isinstance(request_callback, HTTPServerConnectionDelegate):
            self._delegate = request_callback
            self.start_body = functools.partial(start_delegate, request_callback)
            self.handle_request = functools.partial(serve_delegate, request_callback)
        else:
            # An application knows which of its handlers accept the body in pieces.
            self.start_body = getattr(request_callback, "start_body", _collect_body)
            # The bound method of an object such as an Application is quicker to call than the
            # object. Python looks for it only in the classes of the object.
            found = [vars(cls)["__call__"] for cls in type(request_callback).__mro__
                     if "__call__" in vars(cls)]
            self.handle_request = types.MethodType(found[0], request_callback) \
                if found and isinstance(found[0], types.FunctionType) else request_callback
        if type(self).start_request != HTTPServer.start_request:
            # The server is the delegate itself.
            self._begin_request = self.start_body, self.handle_request
            self.start_body = functools.partial(start_delegate, self)
            self.handle_request = functools.partial(serve_delegate, self)

    def start_request(self, server_conn, request_conn):
        """The HTTPMessageDelegate for a request that begins. Overridden by servers that answer some
        requests themselves, or look at all; called only in such a subclass."""
        if self._delegate is not None:
            return self._delegate.start_request(server_conn, request_conn)
        return _Message(self._begin_request, request_conn)

    @property
    def no_keep_alive(self):
        """Whether each connection is closed after one response. It can be set."""
        return self.params.no_keep_alive

    @no_keep_alive.setter
    def no_keep_alive(self, value):
        self.params.no_keep_alive = bool(value)

    # Called by the connections, as are start_body and handle_request

    def on_close(self, server_conn):
        """Called once for each connection, when it has closed or was detached."""
        self._connections.discard(server_conn)
        if self._on_stopped is not None:
            self._check_stop()
        if self._delegate is not None:
            self._delegate.on_close(server_conn)

    def on_detach(self, connection):
        """Called before `on_close` when a connection is detached with a stop callback."""
        self._detached.add(connection)
        if self._on_stopped is not None:
            connection.stop()

    def on_release(self, connection):
        """Called when the new user of a connection that was detached has finished."""
        self._detached.discard(connection)
        self._check_stop()

    def apply_xheaders(self, request):
        """Set the client's address and scheme to those that the proxy in front reports: the last
        entry of a list, because the client may have forged the entries before it."""
        trusted = self.trusted
        if trusted is not None and request.remote_ip not in trusted:
            return
        headers = request.headers
        name = self.xheaders
        if name is True:
            name = "X-Real-Ip" if "X-Real-Ip" in headers else "X-Forwarded-For"
            scheme = headers.get("X-Scheme", headers.get("X-Forwarded-Proto", ""))
        elif name.lower() == "x-real-ip":
            scheme = headers.get("X-Scheme", "")
        else:
            scheme = headers.get("X-Forwarded-Proto", "")
        is_forwarded = name.lower() == "forwarded"
        # A quoted string with a comma is taken for two malformed elements. So a quote that the
        # client left open cannot hide what the proxy appended.
        entries = headers.get(name, "").split(",")
        address = ""
        while entries:
            address = entries.pop().strip()
            if is_forwarded:
                address, scheme = _read_forwarded(address)
            match = _match_node(address)
            if match is not None:
                address = match.group(1) or match.group(2)
            elif address == "unix:":
                # What nginx calls the peer of a Unix socket.
                address = UNIX_PEER
            if address not in self.trusted_downstream and (
                    trusted is None or address not in trusted):
                break
        if is_valid_ip(address) and address != UNIX_PEER:
            request.remote_ip = address
        scheme = _SCHEMES.get(scheme.split(",")[-1].strip().lower())
        if scheme is not None:
            request.protocol = scheme

    # Connections

    def add_sockets(self, sockets):
        super(HTTPServer, self).add_sockets(sockets)
        autoreload.drain_first(self)
        # An Application starts autoreload here, on the loop and in the process that serve it.
        on_listen = getattr(self.request_callback, "on_listen", None)
        if on_listen is not None:
            on_listen(self.io_loop)

    def handle_stream(self, stream, address):
        if self._sweep_timer is None:
            self._plan_sweep(stream.io_loop)
        # Over a Unix socket as well, a PROXY header may have an address.
        remote_ip = address[0] if isinstance(address, tuple) else UNIX_PEER
        connection = HTTP1ServerConnection(
            stream, self, remote_ip,
            self.protocol or ("https" if self.ssl_options is not None else "http"))
        self._connections.add(connection)
        connection.start()

    def _plan_sweep(self, io_loop):
        self.now = io_loop.time()
        with NullContext():
            self._sweep_timer = io_loop.call_later(self._sweep_interval, self._sweep, io_loop)

    def _sweep(self, io_loop):
        """Close connections whose time limit has passed. One timer serves them all."""
        if not self._connections:
            self._sweep_timer = None
            return
        self._plan_sweep(io_loop)
        now = self.now
        for connection in list(self._connections):
            progress = connection.stream.write_progress()
            if progress is None:
                connection.stalled = None
                connection.check_time(now)
                continue
            # The client has to read first. The connection itself remembers since when: a table of
            # them would keep closed ones in memory.
            if connection.stalled is None or connection.stalled[0] != progress:
                connection.stalled = (progress, now)
            elif now - connection.stalled[1] > self.params.write_timeout:
                gen_log.info("%s did not read its response for %s seconds",
                             connection.remote_ip, self.params.write_timeout)
                connection.close()

    def connection_count(self, detached=False):
        """The number of open connections, idle ones included. A connection that was detached, for
        a WebSocket for example, no longer counts; or, with `detached`, counts if it has a stop
        callback, as those of WebSockets have."""
        return len(self._connections) + (len(self._detached) if detached else 0)

    def describe_connections(self):
        """What each open connection does: a list of dicts with `remote_ip`, `state` ("idle",
        "head", "body", "responding", "done", "closing" or "detached"), `seconds` (in this state, to
        a second or so) and `request` (the first line, or None)."""
        return [connection.describe(self.now)
                for connection in list(self._connections) + list(self._detached)]

    # Stopping

    def close_all_connections(self):
        """Close every connection now, whatever it is doing; of those that were detached, the ones
        that have a stop callback, as WebSockets have."""
        for connection in list(self._connections) + list(self._detached):
            connection.close()

    def graceful_stop(self, deadline=30, callback=None):
        """Stop listening, close idle connections, let requests in progress finish, and call
        `callback()`, once, when that is done. Connections that are still open after `deadline`
        seconds are closed.

        `on_drain` of the handlers of pending requests is called, so that long polls can be answered
        at once, and that of open WebSockets, which by default closes them with 1001 (going away).
        Streams that were detached in other ways are waited for only if `detach` was given a
        stop callback. When this is called again, the nearest deadline applies, and each callback
        is called. The server cannot be used again.
        """
        self.stop()
        self.has_successor = False
        self._begin_stop(deadline, callback)
        for connection in list(self._connections) + list(self._detached):
            connection.stop()

    def drain(self, callback=None, idle=5.0, grace=30.0, has_successor=True):
        """Leave new connections to another process that has the same listening sockets, serve those
        that are open to their end, and call `callback()`, once, when that is done. Connections that
        are still open after `grace` seconds are closed. Without a successor, connections that wait
        in the kernel are accepted, and the listening sockets closed, first.

        Every request that arrives is answered. From now on that is with ``Connection: close``, so
        that the client comes back to another process:

        - A connection that has not sent a request yet can send one as long as the grace time lasts.
        - An idle connection can send one more for `idle` seconds. Then it is half-closed: what the
          client has sent in the meantime is read, so that it sees an end and not a reset.
        - `on_drain` of the handlers of pending requests is called at once, so that long polls and
          event streams can end. That of open WebSockets is called at times spread evenly over the
          first 80 % of the grace time, so that their clients do not all come back at once.

        `has_successor` says whether another process takes over, and not only for a while: it
        also determines the code with which WebSockets close. With a successor, the listening
        sockets stay open until `stop`. `graceful_stop` may follow, for a faster end. The server
        cannot be used again.
        """
        if has_successor:
            self.stop_accepting()
        else:
            self.stop_listening()
        self.has_successor = has_successor
        io_loop = self._begin_stop(grace, callback)
        self.drain_timeout = idle
        self._sweep_interval = min(self._sweep_interval, max(idle / 4, 0.01))
        if self._sweep_timer is not None:
            io_loop.remove_timeout(self._sweep_timer)
            self._plan_sweep(io_loop)
        for connection in list(self._connections):
            connection.drain()
        if self._tell_timer is not None:
            io_loop.remove_timeout(self._tell_timer)
        self._untold = collections.deque(self._detached)
        spread = max(0.8 * grace, TELL_INTERVAL)
        self._tell_some(io_loop, io_loop.time() + spread, len(self._untold) / spread)

    def _on_header(self, reader, connection, header, address=None):
        super(HTTPServer, self)._on_header(reader, connection, header, address)
        self._check_stop()

    def _check_stop(self):
        """Finish stopping if nothing is left to wait for."""
        if self._on_stopped is not None and not self._connections and not self._detached \
                and not self._arriving:
            self._finish_stop()

    def _begin_stop(self, deadline, callback):
        self.params.no_keep_alive = True
        io_loop = self.io_loop or IOLoop.current()
        self._on_stopped = (self._on_stopped or []) + ([wrap(callback)] if callback else [])
        with NullContext():
            self._stop_timers.append(io_loop.call_later(deadline, self._stop_now))
        io_loop.add_callback(self._check_stop)
        return io_loop

    def _tell_some(self, io_loop, until, per_second):
        """Tell those detached connections that are due that the server drains, and plan the next.
        If the loop is late, more are due, so that all are told `until` then."""
        self._tell_timer = None
        untold = self._untold
        not_due = int(max(until - io_loop.time(), 0) * per_second)
        for _ in range(max(len(untold) - not_due, min(1, len(untold)))):
            connection = untold.popleft()
            if connection in self._detached:
                connection.stop()
        if untold:
            with NullContext():
                self._tell_timer = io_loop.call_later(
                    max(1 / per_second, TELL_INTERVAL), self._tell_some, io_loop, until,
                    per_second)

    def _stop_now(self):
        if self._on_stopped is not None:
            for reader in list(self._arriving):
                reader.refuse()
            self.close_all_connections()
            # A user that forgets to call `release` must not keep the program from ending. The
            # closing of the streams is scheduled before this.
            self._detached.clear()
            (self.io_loop or IOLoop.current()).add_callback(self._finish_stop)

    def _finish_stop(self):
        callbacks, self._on_stopped = self._on_stopped, None
        if callbacks is not None:
            io_loop = self.io_loop or IOLoop.current()
            self._untold.clear()
            if self._tell_timer is not None:
                io_loop.remove_timeout(self._tell_timer)
                self._tell_timer = None
            while self._stop_timers:
                io_loop.remove_timeout(self._stop_timers.pop())
            for callback in callbacks:
                io_loop.add_callback(callback)


def _read_forwarded(element):
    """The values of "for" and "proto" in an element of Forwarded, each "" if it is absent or the
    element is malformed."""
    if _is_forwarded(element) is None:
        return "", ""
    pairs = _find_pairs(element)
    found = dict((name.lower(), re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value)
                 for name, value in pairs)
    if len(found) < len(pairs):
        # A name may occur once.
        return "", ""
    return found.get("for", ""), found.get("proto", "")


def _collect_body(request):
    return None


class _Message(HTTPMessageDelegate):
    """A request for a function or an Application, from a server that is a delegate. `begin` are the
    functions `start_body` and `handle_request` that it would have called."""
    def __init__(self, begin, connection):
        self._start_body, self._handle_request = begin
        self._request = connection.request
        self._receiver = None
        self._pieces = []

    def headers_received(self, start_line, headers):
        self._receiver = self._start_body(self._request)

    def data_received(self, chunk):
        if self._receiver is not None:
            self._receiver.data_received(chunk)
        else:
            self._pieces.append(chunk)

    def finish(self):
        # From here on the handler sets its own callback.
        self._request.connection.set_close_callback(None)
        if self._receiver is not None:
            self._receiver.finish()
        else:
            self._request.body = b"".join(self._pieces)
            self._handle_request(self._request)

    def on_connection_close(self):
        if self._receiver is not None:
            self._receiver.on_connection_close()


def start_delegate(delegate, request):
    """Have an HTTPServerConnectionDelegate answer a request; returns the receiver of its body."""
    connection = request.connection
    message = delegate.start_request(connection, connection)
    connection.set_close_callback(message.on_connection_close)
    message.headers_received(
        RequestStartLine(request.method, request.uri, request.version), request.headers)
    return message


def serve_delegate(delegate, request):
    """Have an HTTPServerConnectionDelegate answer a request whose body is complete."""
    message = start_delegate(delegate, request)
    if request.body:
        message.data_received(request.body)
    message.finish()
