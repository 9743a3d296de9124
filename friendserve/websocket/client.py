"""The client's side: `websocket_connect` and the connection it gives."""
from __future__ import absolute_import, division, print_function

import collections
import os
import socket
import ssl

from friendserve.http1connection.client import HTTP1ClientConnection
from friendserve.httpclient import (
    HTTPClientError, HTTPConnectError, HTTPRequest, HTTPResponse, HTTPTLSError, HTTPTimeoutError)
from friendserve.httpclient.errors import transfer_error
from friendserve.httputil import HTTPHeaders, basic_credentials
from friendserve.ioloop import IOLoop
from friendserve.log import app_log, gen_log
from friendserve.netutil import ssl_options_to_context
from friendserve.protocol.deflate import (
    OFFER, DeflateError, Deflater, Inflater, read_compression_options, read_response)
from friendserve.protocol.http1 import encode_head
from friendserve.protocol.urls import parse_url
from friendserve.protocol.websocket import DEFAULT_MAX_MESSAGE_SIZE, FrameReader
from friendserve.protocol.wshandshake import (
    VERSION, HandshakeError, check_response, check_subprotocol, make_key)
from friendserve.stack_context import NullContext, wrap
from friendserve.tcpclient import TCPClient
from friendserve.websocket.connection import (
    DEFAULT_MAX_QUEUE_SIZE, WebSocketClosedError, WebSocketError, WebSocketProtocol13)

#: While so many messages wait for `read_message`, the server is not read from.
MAX_UNREAD = 16

_SCHEMES = {"ws": "http", "wss": "https"}
_DEFAULTS = dict(HTTPRequest._DEFAULTS, decompress_response=False)


def websocket_connect(url, callback=None, connect_timeout=None, on_message_callback=None,
                      compression_options=None, ping_interval=None, ping_timeout=None,
                      max_message_size=None, subprotocols=None, io_loop=None, on_error=None,
                      max_queue_size=None):
    """Open a WebSocket and call `callback(connection)`, or else `on_error(error)`; without
    `on_error` the error is raised from the loop, in the stack context of this call.

    `url` is a ws:// or wss:// URL, or an HTTPRequest with one, whose headers, authentication,
    time-outs and TLS options count. `connect_timeout` (20 seconds) bounds all until it is open.

    Messages go to `on_message_callback(message)`, and None in the end; without it they wait for
    `read_message`. `compression_options` is as `WebSocketHandler.get_compression_options` returns
    it, `ping_interval`, `ping_timeout`, `max_message_size` and `max_queue_size` are as the
    settings of the server, and `subprotocols` a list to offer.

    An error is an HTTPError: 599 without an answer, in the classes that fetches have, else
    the status when the server did not agree (a redirect is not followed), with `response`; or a
    WebSocketError when its answer is no WebSocket's, or one that was not asked for.

    Returns the WebSocketClientConnection, whose `close` also ends the attempt. Raises ValueError
    for what cannot be asked.
    """
    request = url if isinstance(url, HTTPRequest) else HTTPRequest(url)
    request = request.copy()
    if connect_timeout is not None:
        request.connect_timeout = connect_timeout
    scheme, mark, rest = request.url.partition("://")
    if scheme.lower() in _SCHEMES:
        request.url = _SCHEMES[scheme.lower()] + mark + rest
    request.complete(_DEFAULTS)
    if request.method != "GET":
        raise ValueError("a WebSocket is opened by GET, not by %s" % request.method)
    if request.proxy_host:
        raise ValueError("a WebSocket through a proxy is not supported")
    connection = WebSocketClientConnection(
        request, on_message_callback, compression_options, ping_interval, ping_timeout,
        max_message_size, subprotocols, io_loop, callback, on_error, max_queue_size)
    connection.connect()
    return connection


class WebSocketClientConnection(object):
    """A WebSocket to a server, made by `websocket_connect`.

    `close_code` and `close_reason` tell, once it is closed, what the server said, else what this
    side failed with; None when the connection was lost. `headers` are those of the server's
    response, `selected_subprotocol` is one of those that were offered, or None. Subclasses may
    override `on_message`, `on_ping`, `on_pong` and `on_queue_full`.
    """
    # It is the exchange of its HTTP1ClientConnection, too.
    method = "GET"
    upgrades = is_sent = True
    decompress = False
    max_header_size = 65536
    max_body_size = 65536

    def __init__(self, request, on_message_callback=None, compression_options=None,
                 ping_interval=None, ping_timeout=None, max_message_size=None, subprotocols=None,
                 io_loop=None, callback=None, on_error=None, max_queue_size=None):
        self.io_loop = io_loop or IOLoop.current()
        self.request = request
        self.headers = None
        self.selected_subprotocol = None
        self.close_code = self.close_reason = None
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
        self.protocol = None        # a WebSocketProtocol13, while it is open
        self._url = parse_url(request.url)
        self._head = self._build_head()
        self._callback = wrap(callback)
        self._on_error = wrap(on_error or _raise)
        self._on_message = wrap(on_message_callback)
        self._attempt = None        # a Connecting, then an HTTP1ClientConnection
        self._tcp_client = None
        self._timer = None
        self._response = None
        self._unread = collections.deque()
        self._reader = None         # who waits in read_message
        self._closed = False

    # Connecting

    def connect(self):
        """Begin; called once."""
        request, url = self.request, self._url
        context = None
        if url.scheme == "https":
            context = _make_context(request)
        self._tcp_client = TCPClient(io_loop=self.io_loop)
        with NullContext():
            if request.connect_timeout:
                self._timer = self.io_loop.call_later(request.connect_timeout, self._time_out)
            self._attempt = self._tcp_client.connect(
                url.host, url.port, ssl_options=context, callback=self._connected,
                af=socket.AF_UNSPEC if request.allow_ipv6 else socket.AF_INET,
                on_error=self._connect_failed)

    def _time_out(self):
        self._timer = None
        phase = getattr(self._attempt, "phase", "headers")
        self._give_up()
        self._fail(HTTPTimeoutError("Timeout while opening a WebSocket", phase))

    def _give_up(self):
        """End an attempt without a word."""
        attempt, self._attempt = self._attempt, None
        if isinstance(attempt, HTTP1ClientConnection):
            attempt.abandon()
        elif attempt is not None:
            attempt.cancel()

    def _connect_failed(self, error):
        phase = self._attempt.failed_phase
        kind = HTTPTLSError if phase == "tls" else HTTPConnectError
        self._fail(kind("%s: %s" % (kind.default_message, error), phase, error))

    def _fail(self, error):
        """There will be no WebSocket: tell it once."""
        if self._closed:
            return
        self._closed = True
        on_error = self._on_error
        self._forget_attempt()
        self.io_loop.add_callback(on_error, error)
        self._answer_reader()

    def _forget_attempt(self):
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None
        if self._tcp_client is not None:
            self._tcp_client.close()
            self._tcp_client = None
        self._attempt = self._callback = self._on_error = None

    def _connected(self, stream):
        self._attempt = HTTP1ClientConnection(stream, self)
        self._attempt.request(self, self._head)

    def _build_head(self):
        request, url = self.request, self._url
        headers = HTTPHeaders({"Host": url.authority})
        headers.update(request.headers)
        if request.user_agent:
            headers["User-Agent"] = request.user_agent
        headers.update({
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": self.key,
            "Sec-WebSocket-Version": VERSION})
        if self.subprotocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(self.subprotocols)
        if self.compression_options is not None:
            headers["Sec-WebSocket-Extensions"] = OFFER
        name, password = request.auth_username, request.auth_password
        if name is None:
            name, password = url.username, url.password
        if name is not None and "Authorization" not in headers:
            headers["Authorization"] = basic_credentials(name, password or "")
        return encode_head("GET %s HTTP/1.1" % url.target, headers)

    # What the HTTP1ClientConnection tells

    def connection_idle(self, connection):
        connection.abandon()

    def connection_closed(self, connection):
        pass

    def on_continue(self):
        pass

    def on_data(self, chunk):
        pass

    def on_failure(self, phase, error, again):
        self._fail(transfer_error(phase, error))

    def on_head(self, status, reason, headers, raw):
        self.headers = headers
        if status != 101:
            self._response = status, reason
            return False
        try:
            self.selected_subprotocol = check_response(headers, self.key, self.subprotocols)
            reader, deflater = self._negotiate(headers)
        except (HandshakeError, DeflateError) as error:
            self._give_up()
            self._fail(WebSocketError(str(error)))
            return False
        stream = self._attempt.detach()
        callback = self._callback
        self._forget_attempt()
        self.protocol = WebSocketProtocol13(stream, self, reader, deflater, mask_outgoing=True,
                                            max_queue_size=self.max_queue_size)
        # From the loop, and not from inside of the stream.
        self.io_loop.add_callback(self.protocol.start, self._open, callback)
        return False

    def on_end(self, body):
        """The server did not agree."""
        status, reason = self._response
        response = HTTPResponse(self.request, status, self.headers, reason=reason, body=body)
        self._fail(HTTPClientError(status, reason, response))

    def _negotiate(self, headers):
        agreement = None
        extensions = headers.get("Sec-WebSocket-Extensions", "")
        if self.compression_options is not None:
            agreement = read_response(extensions)
        elif extensions.strip(" \t"):
            raise HandshakeError("the server chose an extension, and none was offered: %.100r"
                                 % extensions)
        if agreement is None:
            return FrameReader(False, self.max_message_size), None
        level, mem_level = read_compression_options(self.compression_options)
        return (FrameReader(False, self.max_message_size, Inflater(agreement.server)),
                Deflater(agreement.client, level, mem_level))

    def _open(self, callback):
        if self.ping_interval:
            self.protocol.start_pinging(self.ping_interval, self.ping_timeout)
        if callback is not None:
            callback(self)

    # The use of an open WebSocket

    def write_message(self, message, binary=False, callback=None):
        """As `WebSocketHandler.write_message`."""
        if self.protocol is None:
            raise WebSocketClosedError()
        self.protocol.write_message(message, binary, callback)

    def ping(self, data=b""):
        """Send a ping with at most 125 bytes; `on_pong` gets the same back."""
        if self.protocol is None:
            raise WebSocketClosedError()
        self.protocol.write_ping(data)

    def close(self, code=None, reason=None):
        """Close the WebSocket, as `WebSocketHandler.close`; before it is open, end the attempt,
        after which no callback is called any more."""
        if self.protocol is not None:
            self.protocol.close(code, reason)
        elif not self._closed:
            self._closed = True
            self._give_up()
            self._forget_attempt()
            self._answer_reader()

    def read_message(self, callback):
        """Call `callback(message)` with the next message, or with None when the WebSocket is
        closed and all that came was read.

        Raises RuntimeError while another call waits, and when there is an on_message_callback.
        """
        if self._on_message is not None:
            raise RuntimeError("messages go to the on_message_callback")
        if self._reader is not None:
            raise RuntimeError("a read_message is pending already: wait for its callback")
        self._reader = wrap(callback)
        self._answer_reader()

    def _answer_reader(self):
        if self._reader is None or not (self._unread or self._closed):
            return
        callback, self._reader = self._reader, None
        message = self._unread.popleft() if self._unread else None
        self.io_loop.add_callback(callback, message)
        if self.protocol is not None and len(self._unread) < MAX_UNREAD:
            self.protocol.release()

    # What the WebSocketProtocol13 tells

    def on_message(self, message):
        """Called with each message, and with None in the end. By default it goes to the
        on_message_callback or to `read_message`."""
        if self._on_message is not None:
            self._on_message(message)
        elif message is not None:
            self._unread.append(message)
            if len(self._unread) >= MAX_UNREAD and self.protocol is not None:
                self.protocol.hold()
            self._answer_reader()

    def on_ping(self, data):
        """Called with the payload of a ping, which was answered already."""

    def on_pong(self, data):
        """Called with the payload of a pong."""

    def on_queue_full(self, message):
        """As `WebSocketHandler.on_queue_full`."""
        gen_log.warning("WebSocket to %s closed: it does not read, %d bytes wait for it", self,
                        self.protocol.stream.unsent())
        self.protocol.abort()

    def log_exception(self, typ, value, tb):
        """Called for each exception of a callback."""
        app_log.error("Uncaught exception from the WebSocket to %s", self,
                      exc_info=(typ, value, tb))

    def ws_closed(self, code, reason):
        """For the connection: it has closed."""
        self.protocol = None
        self._closed = True
        self.close_code, self.close_reason = code, reason
        self._answer_reader()
        self.on_message(None)

    def __str__(self):
        # For the log: without a name and password.
        return self._url.text


def _raise(error):
    raise error


def _make_context(request):
    """The SSLContext that a request asks for."""
    options = request.ssl_options
    if options is None:
        options = {} if request.validate_cert else {"cert_reqs": ssl.CERT_NONE}
        for name, value in (("ca_certs", request.ca_certs), ("certfile", request.client_cert),
                            ("keyfile", request.client_key)):
            if value:
                options[name] = value
    return ssl_options_to_context(options, server_side=False)
