"""The client's side: `websocket_connect` and the connection that it returns."""
from __future__ import absolute_import, division, print_function

import collections
import os
import socket

from friendserve.awaitable import future_of
from friendserve.http1connection.client import HTTP1ClientConnection
from friendserve.httpclient import (
    HTTPClientError, HTTPRequest, HTTPResponse, HTTPTimeoutError)
from friendserve.httpclient.errors import connect_error, transfer_error
from friendserve.httputil import HTTPHeaders, basic_credentials
from friendserve.ioloop import IOLoop
from friendserve.ioloop.positional import takes_loop_at
from friendserve.iostream import StreamClosedError
from friendserve.log import app_log, gen_log
from friendserve.protocol.deflate import (
    OFFER, DeflateError, Deflater, Inflater, read_compression_options, read_response)
from friendserve.protocol.http1 import encode_head
from friendserve.protocol.urls import parse_url
from friendserve.protocol.websocket import DEFAULT_MAX_MESSAGE_SIZE, FrameReader
from friendserve.protocol.wshandshake import (
    VERSION, HandshakeError, check_response, check_subprotocol, make_key)
from friendserve.stack_context import NullContext, wrap
from friendserve.tcpclient import TCPClient
from friendserve.util import raise_error
from friendserve.websocket.connection import (
    DEFAULT_MAX_QUEUE_SIZE, WebSocketClosedError, WebSocketError, WebSocketProtocol13)

#: While this many messages are waiting for `read_message`, nothing is read from the server.
MAX_UNREAD = 16

_SCHEMES = {"ws": "http", "wss": "https"}
_DEFAULTS = dict(HTTPRequest._DEFAULTS, decompress_response=False)


@takes_loop_at(1, "callback")
def websocket_connect(url, callback=None, connect_timeout=None, on_message_callback=None,
                      compression_options=None, ping_interval=None, ping_timeout=None,
                      max_message_size=None, subprotocols=None, io_loop=None, on_error=None,
                      max_queue_size=None):
    """Open a WebSocket and call `callback(connection)`, or else `on_error(error)`. Without
    `on_error`, the error is raised from the loop, in the stack context of this call. Without both,
    return a Future of the connection.

    `url` is a ws:// or wss:// URL, or an HTTPRequest with one, whose headers (but none that the
    client decides on), authentication, timeouts and TLS options are used. `connect_timeout` (20
    seconds by default) bounds everything until the WebSocket is open.

    `on_message_callback(message)` is called with each message, and with None at the end; without
    it, messages wait for `read_message`. `compression_options` is a value that
    `WebSocketHandler.get_compression_options` could return; `ping_interval`, `ping_timeout`,
    `max_message_size` and `max_queue_size` are as in the settings of the server; `subprotocols` is
    a list to offer.

    An error is an HTTPError with the status and the `response` if the server refused (redirects
    are not followed), or 599 without a response, of the same classes as for fetches; or a
    WebSocketError if the response breaks the protocol or does not match the offer.

    An IOLoop may also be the second positional argument, before `callback`.

    Returns the WebSocketClientConnection, whose `close` also ends the attempt. Raises ValueError
    for an invalid URL or option.
    """
    if callback is None and on_error is None:
        return future_of(
            websocket_connect, url, connect_timeout=connect_timeout,
            on_message_callback=on_message_callback, compression_options=compression_options,
            ping_interval=ping_interval, ping_timeout=ping_timeout,
            max_message_size=max_message_size, subprotocols=subprotocols, io_loop=io_loop,
            max_queue_size=max_queue_size)
    request = url if isinstance(url, HTTPRequest) else HTTPRequest(url)
    request = request.copy()
    if connect_timeout is not None:
        request.connect_timeout = connect_timeout
    scheme, mark, rest = request.url.partition("://")
    if scheme.lower() in _SCHEMES:
        request.url = _SCHEMES[scheme.lower()] + mark + rest
    request.complete(_DEFAULTS)
    if request.method != "GET":
        raise ValueError("a WebSocket must be opened with GET, not %s" % request.method)
    if request.proxy_host:
        raise ValueError("WebSockets through a proxy are not supported")
    connection = WebSocketClientConnection(
        request, on_message_callback, compression_options, ping_interval, ping_timeout,
        max_message_size, subprotocols, io_loop, callback, on_error, max_queue_size)
    connection.connect()
    return connection


class WebSocketClientConnection(object):
    """A WebSocket to a server, made by `websocket_connect`.

    Once it is closed, `close_code` and `close_reason` are those the server sent, else those with
    which this side failed; None if the connection was lost. `headers` are those of the server's
    response; `selected_subprotocol` is one of those that were offered, or None. Subclasses may
    override `on_message`, `on_ping`, `on_pong` and `on_queue_full`.
    """
    def __init__(self, request, on_message_callback=None, compression_options=None,
                 ping_interval=None, ping_timeout=None, max_message_size=None, subprotocols=None,
                 io_loop=None, callback=None, on_error=None, max_queue_size=None):
        self.io_loop = io_loop or IOLoop.current()
        self.request = request
        self.ping_interval = ping_interval
        self.ping_timeout = max(3 * (ping_interval or 0), 30) if ping_timeout is None \
            else ping_timeout
        self.max_message_size = max_message_size or DEFAULT_MAX_MESSAGE_SIZE
        self.max_queue_size = max_queue_size or DEFAULT_MAX_QUEUE_SIZE
        self.compression_options = compression_options
        self.subprotocols = [check_subprotocol(name) for name in subprotocols or ()]
        if compression_options is not None:
            read_compression_options(compression_options)
        self.key = make_key(os.urandom(16))
        self.headers = None
        self.selected_subprotocol = None
        self.close_code = self.close_reason = None
        # An _Opening, then a WebSocketProtocol13 while it is open; when both are None it is closed.
        self._opening = _Opening(self, callback, on_error)
        self.protocol = None
        self._on_message = wrap(on_message_callback)
        self._unread = collections.deque()
        self._reader = None         # the callback of a pending read_message

    def connect(self):
        """Begin opening the WebSocket. Called once."""
        self._opening.start()

    def _end_opening(self):
        """Called by the attempt when it has ended without a WebSocket."""
        self._opening = None
        self._answer_reader()

    def _use(self, stream, reader, deflater, callback):
        """Called by the attempt when the server has agreed; frames follow on `stream`."""
        self._opening = None
        self.protocol = WebSocketProtocol13(stream, self, reader, deflater, mask_outgoing=True,
                                            max_queue_size=self.max_queue_size)
        # From the loop, not from within the stream.
        self.io_loop.add_callback(self.protocol.start, self._open, callback)

    def _open(self, callback):
        if self.ping_interval:
            self.protocol.start_pinging(self.ping_interval, self.ping_timeout)
        if callback is not None:
            callback(self)

    # Using an open WebSocket

    def write_message(self, message, binary=False, callback=None):
        """Send a message, like `WebSocketHandler.write_message`."""
        if self.protocol is None:
            raise WebSocketClosedError()
        return self.protocol.write_message(message, binary, callback)

    def ping(self, data=b""):
        """Send a ping with up to 125 bytes; `on_pong` is called with the same bytes."""
        if self.protocol is None:
            raise WebSocketClosedError()
        self.protocol.write_ping(data)

    def close(self, code=None, reason=None):
        """Close the WebSocket, like `WebSocketHandler.close`. Before it is open, end the attempt;
        no callback is called after that."""
        if self.protocol is not None:
            self.protocol.close(code, reason)
        elif self._opening is not None:
            self._opening.cancel()
            self._end_opening()

    def read_message(self, callback=None, on_error=None):
        """Call `callback(message)` with the next message, or with None when the WebSocket is closed
        and every message has been read. Without `callback`, return a Future of the message. It
        never fails: `on_error` is accepted, as by every call that can return a Future.

        Raises RuntimeError while another call is pending, and if there is an on_message_callback.
        """
        if callback is None:
            return future_of(self.read_message)
        if self._on_message is not None:
            raise RuntimeError("read_message cannot be used with an on_message_callback")
        if self._reader is not None:
            raise RuntimeError("a read_message is pending already: wait for its callback")
        self._reader = wrap(callback)
        self._answer_reader()

    def _answer_reader(self):
        if self._reader is None or not self._unread and (
                self.protocol is not None or self._opening is not None):
            return
        callback, self._reader = self._reader, None
        message = self._unread.popleft() if self._unread else None
        self.io_loop.add_callback(callback, message)
        if self.protocol is not None and len(self._unread) < MAX_UNREAD:
            self.protocol.release()

    # Called by the WebSocketProtocol13

    def on_message(self, message):
        """Called with each message, and with None at the end. By default passes it to the
        on_message_callback or to `read_message`."""
        if self._on_message is not None:
            return self._on_message(message)
        elif message is not None:
            self._unread.append(message)
            if len(self._unread) >= MAX_UNREAD and self.protocol is not None:
                self.protocol.hold()
            self._answer_reader()

    def on_ping(self, data):
        """Called with the payload of a ping, which has been answered already."""

    def on_pong(self, data):
        """Called with the payload of a pong."""

    def on_queue_full(self, message):
        """Called like `WebSocketHandler.on_queue_full`."""
        gen_log.warning("WebSocket to %s closed: the server does not read, %d bytes are queued",
                        self, self.protocol.stream.unsent())
        self.protocol.abort()

    def log_exception(self, typ, value, tb):
        """Called for each exception in a callback."""
        app_log.error("Uncaught exception from the WebSocket to %s", self,
                      exc_info=(typ, value, tb))

    def ws_closed(self, code, reason):
        """Called by the WebSocketProtocol13 when it has closed."""
        self.protocol = None
        self.close_code, self.close_reason = code, reason
        self._answer_reader()
        return self.on_message(None)

    def __str__(self):
        # For the log: without the name and password.
        return parse_url(self.request.url).text


class _Opening(object):
    """The attempt to open the WebSocket of `client`: a connect, then the handshake.

    It owns the HTTP1ClientConnection of the handshake and is the exchange on it. It ends once: by
    `client._use` when the server agrees; by `client._end_opening`, and the error callback, when it
    fails; or by `cancel`, which calls nothing.
    """
    # The attributes of an exchange.
    method = "GET"
    upgrades = is_sent = require_close_notify = True
    decompress = False
    max_header_size = 65536
    max_body_size = 65536

    __slots__ = ("client", "_url", "_head", "_callback", "_on_error", "_timer", "_tcp_client",
                 "_connecting", "_connection", "_response")

    def __init__(self, client, callback, on_error):
        self.client = client
        self._url = parse_url(client.request.url)
        self._head = self._build_head()
        self._callback = wrap(callback)
        self._on_error = wrap(on_error or raise_error)
        self._timer = None          # for the whole attempt
        self._tcp_client = TCPClient(io_loop=client.io_loop)
        self._connecting = None
        self._connection = None     # an HTTP1ClientConnection, for the handshake
        self._response = None       # the status and reason of a server that refuses

    def _build_head(self):
        client, url = self.client, self._url
        request = client.request
        headers = HTTPHeaders({"Host": url.authority})
        headers.update(request.headers)
        # In those of a relayed request, it is what the other client offers.
        headers.pop("Sec-WebSocket-Extensions", None)
        if request.user_agent:
            headers["User-Agent"] = request.user_agent
        headers.update({
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": client.key,
            "Sec-WebSocket-Version": VERSION})
        if client.subprotocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(client.subprotocols)
        if client.compression_options is not None:
            headers["Sec-WebSocket-Extensions"] = OFFER
        name, password = request.auth_username, request.auth_password
        if name is None:
            name, password = url.username, url.password
        if name is not None and "Authorization" not in headers:
            headers["Authorization"] = basic_credentials(name, password or "")
        return encode_head("GET %s HTTP/1.1" % url.target, headers)

    # Connecting

    def start(self):
        """Begin to connect. Raises ValueError for an invalid host name or TLS option."""
        io_loop, request, url = self.client.io_loop, self.client.request, self._url
        with NullContext():
            self._connecting = self._tcp_client.connect(
                url.host, url.port,
                af=socket.AF_UNSPEC if request.allow_ipv6 else socket.AF_INET,
                ssl_options=request.tls_options() if url.scheme == "https" else None,
                callback=self._on_connect, on_error=self._on_connect_error)
            if request.connect_timeout:
                self._timer = io_loop.call_later(request.connect_timeout, self._on_timeout)

    def cancel(self):
        """End the attempt: close everything it has opened, and call nothing."""
        self._end()
        if self._connecting is not None:
            self._connecting.cancel()
        # Its owner is this object: keeping it would be a reference cycle.
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def _end(self):
        if self._timer is not None:
            self.client.io_loop.remove_timeout(self._timer)
            self._timer = None
        self._tcp_client.close()
        self._callback = self._on_error = None

    def _fail(self, error):
        on_error = self._on_error
        self.cancel()
        self.client.io_loop.add_callback(on_error, error)
        self.client._end_opening()

    def _on_timeout(self):
        self._timer = None
        self._fail(HTTPTimeoutError(
            "Timeout while opening a WebSocket",
            self._connecting.phase if self._connection is None else "headers"))

    def _on_connect_error(self, error):
        self._fail(connect_error(self._connecting.failed_phase, error))

    def _on_connect(self, stream):
        try:
            self._connection = HTTP1ClientConnection(stream, self)
            self._connection.request(self, self._head)
        except StreamClosedError as error:
            self._fail(connect_error(None, stream.error or error))

    # The owner of a connection

    def connection_idle(self, connection):
        connection.abandon()

    def connection_closed(self, connection):
        pass

    # The exchange

    def on_continue(self):
        pass

    def on_data(self, chunk):
        pass

    def on_failure(self, phase, error, again):
        self._fail(transfer_error(phase, error))

    def on_head(self, status, reason, headers, raw):
        client = self.client
        client.headers = headers
        if status != 101:
            self._response = status, reason
            return False
        try:
            client.selected_subprotocol = check_response(headers, client.key, client.subprotocols)
            reader, deflater = self._negotiate(headers)
        except (HandshakeError, DeflateError) as error:
            self._fail(WebSocketError(str(error)))
            return False
        callback = self._callback
        connection, self._connection = self._connection, None
        self._end()
        client._use(connection.detach(), reader, deflater, callback)
        return False

    def on_end(self, body):
        # The server answered with another status than 101.
        status, reason = self._response
        response = HTTPResponse(self.client.request, status, self.client.headers, reason=reason,
                                body=body)
        self._fail(HTTPClientError(status, reason, response))

    def _negotiate(self, headers):
        """A FrameReader and a Deflater (or None) for the extensions that the server chose."""
        options, limit = self.client.compression_options, self.client.max_message_size
        extensions = headers.get("Sec-WebSocket-Extensions", "")
        agreement = None
        if options is not None:
            agreement = read_response(extensions)
        elif extensions.strip(" \t"):
            raise HandshakeError("the server chose an extension, but none was offered: %.100r"
                                 % extensions)
        if agreement is None:
            return FrameReader(False, limit), None
        level, mem_level = read_compression_options(options)
        return (FrameReader(False, limit, Inflater(agreement.server)),
                Deflater(agreement.client, level, mem_level))
