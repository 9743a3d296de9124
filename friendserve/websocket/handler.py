"""The server's side: the handler that agrees to a handshake and receives the messages."""
from __future__ import absolute_import, division, print_function

from friendserve.log import gen_log
from friendserve.protocol.deflate import (
    Deflater, Inflater, accept_offer, read_compression_options)
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import encode_head
from friendserve.protocol.websocket import DEFAULT_MAX_MESSAGE_SIZE, FrameReader
from friendserve.protocol.wshandshake import (
    VERSION, accept_value, check_upgrade, parse_subprotocols)
from friendserve.web import RequestHandler
from friendserve.websocket.connection import (
    DEFAULT_MAX_QUEUE_SIZE, WebSocketClosedError, WebSocketProtocol13)


#: The body of the response when `check_origin` refuses.
_CROSS_ORIGIN = ("A page of another site may not open this WebSocket. Override check_origin to "
                 "allow it.\n")


class WebSocketHandler(RequestHandler):
    """Serves one WebSocket. Override `on_message`, and other methods as needed.

    The loop calls `open`, then `on_message` for each message, then `on_close`, once, after every
    message that was received. An exception in one of them is logged, and closes the WebSocket with
    the code 1011. These methods may be coroutines: then nothing is read and no other message is
    delivered until they have ended. A request that does not ask for a WebSocket is answered with
    400 or 426.

    The settings of the application are websocket_max_message_size (10 MiB, after decompression;
    a larger message closes with 1009), websocket_max_queue_size (16 MiB; see `on_queue_full`),
    websocket_ping_interval (seconds between pings; by default none are sent, and a client that
    loses power is never noticed) and websocket_ping_timeout (seconds without a sign of life after
    a ping until the connection is closed: by default three intervals, but at least 30).

    Once the WebSocket is open, methods that write a response raise RuntimeError.
    """
    #: The open connection; None before it is open and after it has closed.
    ws_connection = None
    #: In `on_close`, the code and reason that the client sent, else those with which this side
    #: failed; None if the connection was lost. A client that sends no code counts as 1005.
    close_code = close_reason = None
    #: The subprotocol agreed on, or None.
    selected_subprotocol = None

    # To be overridden

    def open(self, *args, **kwargs):
        """Called once the WebSocket is open, with the arguments from the URL."""

    def on_message(self, message):
        """Called with each message: unicode for a text message, bytes for a binary one."""
        raise NotImplementedError("%s has no on_message" % type(self).__name__)

    def on_close(self):
        """Called once when the WebSocket has closed, after everything else."""

    def on_drain(self):
        """Called once when the server drains or is asked to stop while the WebSocket is open.

        By default closes it with 1012 (service restart) if another process takes over, else with
        1001 (going away). `HTTPServer.drain` and `graceful_stop` wait until it has closed, but not
        beyond their time limits; so an override sends its last messages and closes it.
        """
        self.on_server_stop()

    def on_server_stop(self):
        """The older name of `on_drain`, which calls it."""
        self.close(1012 if self.request.connection.server.has_successor else 1001)

    def on_ping(self, data):
        """Called with the payload of a ping, which has been answered already."""

    def on_pong(self, data):
        """Called with the payload of a pong."""

    def on_queue_full(self, message):
        """Called instead of sending `message` when the client does not read and more than
        websocket_max_queue_size bytes are waiting for it. The message is dropped.

        By default the connection is closed. Override it to continue without the message.
        """
        gen_log.warning("WebSocket of %s closed: the client does not read, %d bytes are queued",
                        self.request.remote_ip, self.ws_connection.stream.unsent())
        self.ws_connection.abort()

    def check_origin(self, origin):
        """Whether a page of `origin`, the value of that header, may open the WebSocket.

        A browser sends its cookies whichever page asks, so by default only a page of the same
        host and port may. Not called for programs, which send no Origin. To allow the subdomains
        of a site: ``return urlsplit(origin).netloc.endswith(".example.com")``.
        """
        scheme, _, place = origin.lower().partition("://")
        return scheme in ("http", "https") and place != "" and \
            place == self.request.headers.get("Host", "").lower()

    def get_websocket_scheme(self):
        """The scheme of this WebSocket's URL: "wss" if the page's is https, else "ws"."""
        return "wss" if self.request.protocol == "https" else "ws"

    def select_subprotocol(self, subprotocols):
        """Called with the list of subprotocols that the client offers, which may be empty; returns
        one of them, or None."""

    def get_compression_options(self):
        """Called for the compression options (RFC 7692): a dict to compress messages if the client
        supports it, or None for no compression.

        The dict may have `compression_level` (0 to 9) and `mem_level` (1 to 9), as in zlib.
        Compression takes about 300 kB of memory per client, and time for each message.
        """

    # The settings

    @property
    def ping_interval(self):
        """Seconds between pings, or None."""
        return self.settings.get("websocket_ping_interval")

    @property
    def ping_timeout(self):
        """Seconds after a ping until a silent connection is closed."""
        timeout = self.settings.get("websocket_ping_timeout")
        return max(3 * (self.ping_interval or 0), 30) if timeout is None else timeout

    @property
    def max_message_size(self):
        """The largest message that is accepted, in bytes."""
        return self.settings.get("websocket_max_message_size", DEFAULT_MAX_MESSAGE_SIZE)

    @property
    def max_queue_size(self):
        """The most bytes that may wait for a client that does not read."""
        return self.settings.get("websocket_max_queue_size", DEFAULT_MAX_QUEUE_SIZE)

    # Using an open WebSocket

    def write_message(self, message, binary=False, callback=None):
        """Send text (or a dict, as JSON), or bytes if `binary`.

        `callback()` is called when the whole message has been written to the socket; a handler with
        a lot to send can use it to pace itself. It is not called if the connection is lost first.
        Raises WebSocketClosedError when the WebSocket is closed or closing.
        """
        if self.ws_connection is None:
            raise WebSocketClosedError()
        return self.ws_connection.write_message(message, binary, callback)

    def ping(self, data=b""):
        """Send a ping with up to 125 bytes; `on_pong` is called with the same bytes."""
        if self.ws_connection is None:
            raise WebSocketClosedError()
        self.ws_connection.write_ping(data)

    def close(self, code=None, reason=None):
        """Close the WebSocket, optionally with a code (1000 to 1014 or 3000 to 4999) and a short
        text. `on_close` is called when the client has answered, or after 5 seconds."""
        if self.ws_connection is not None:
            self.ws_connection.close(code, reason)

    def set_nodelay(self, value):
        """Have the system send small messages immediately (True, the default) or collect them for a
        moment (False)."""
        if self.ws_connection is not None:
            self.ws_connection.stream.set_nodelay(value)

    @property
    def stream(self):
        """The stream of an open WebSocket, or None."""
        return self.ws_connection and self.ws_connection.stream

    # Methods of a response

    def write(self, chunk):
        self._check_response("write")
        super(WebSocketHandler, self).write(chunk)

    def finish(self, chunk=None):
        self._check_response("finish")
        super(WebSocketHandler, self).finish(chunk)

    def _set_too_late(self, name):
        self._check_response("set_header")
        super(WebSocketHandler, self)._set_too_late(name)

    def _check_response(self, name):
        if self._status_code == 101:
            raise RuntimeError("%s() is for responses; use write_message() and close() on a "
                               "WebSocket" % name)

    # The handshake

    def get(self, *args, **kwargs):
        """Open the WebSocket, or answer with the reason for refusing."""
        headers = self.request.headers
        try:
            if self.request.version == "HTTP/1.0":
                raise HTTPInputError("a WebSocket needs HTTP/1.1")
            key = check_upgrade(headers)
        except HTTPInputError as error:
            if error.status == 426:
                self.set_header("Sec-WebSocket-Version", VERSION)
                self.set_header("Upgrade", "websocket")
            self._refuse(error.status, "%s.\n" % error)
            return
        origin = headers.get("Origin", headers.get("Sec-WebSocket-Origin"))
        if origin is not None and not self.check_origin(origin):
            self._refuse(403, _CROSS_ORIGIN)
            return
        answer = {"Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Accept": accept_value(key)}
        self._choose_subprotocol(answer)
        reader, deflater = self._negotiate(answer)
        self._upgrade(answer, reader, deflater, args, kwargs)

    def _refuse(self, status, text):
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(text)

    def _choose_subprotocol(self, answer):
        offered = parse_subprotocols(self.request.headers.get("Sec-WebSocket-Protocol", ""))
        selected = self.select_subprotocol(offered)
        if selected is not None:
            if selected not in offered:
                raise ValueError("select_subprotocol returned %r, which is not one of %r"
                                 % (selected, offered))
            self.selected_subprotocol = answer["Sec-WebSocket-Protocol"] = selected

    def _negotiate(self, answer):
        """A FrameReader, and a Deflater or None."""
        options = self.get_compression_options()
        inflater = deflater = None
        if options is not None:
            level, mem_level = read_compression_options(options)
            agreement = accept_offer(self.request.headers.get("Sec-WebSocket-Extensions", ""))
            if agreement is not None:
                answer["Sec-WebSocket-Extensions"] = agreement.response()
                inflater = Inflater(agreement.client)
                deflater = Deflater(agreement.server, level, mem_level)
        return FrameReader(True, self.max_message_size, inflater), deflater

    def _upgrade(self, answer, reader, deflater, args, kwargs):
        connection = self.request.connection
        if connection.stream.closed():
            self.finish()
            return
        # Headers set in `prepare`, such as cookies, are sent too.
        self.clear_header("Content-Type")
        headers = self._complete_headers()
        for name, value in answer.items():
            headers[name] = value
        head = encode_head("HTTP/1.1 101 Switching Protocols", headers)
        self._headers_written = True
        self.set_status(101)
        stream = self.detach(self._tell_stop)
        stream.write(head)
        self.ws_connection = WebSocketProtocol13(
            stream, self, reader, deflater, max_queue_size=self.max_queue_size)
        self.ws_connection.start(self._open, args, kwargs)

    def _wait(self):
        super(WebSocketHandler, self)._wait()
        # `on_drain` is called for an open WebSocket.
        self.request.connection.set_stop_callback(None)

    def _tell_stop(self):
        if self.ws_connection is not None:
            self.ws_connection.call(self.on_drain)

    def _open(self, args, kwargs):
        self.application.log_request(self)
        self.on_finish()
        if self.ping_interval:
            self.ws_connection.start_pinging(self.ping_interval, self.ping_timeout)
        return self.open(*args, **kwargs)

    def send_error(self, status_code=500, **kwargs):
        """Answer with an error page, or close the WebSocket if it is open already."""
        if self.ws_connection is None:
            super(WebSocketHandler, self).send_error(status_code, **kwargs)
        else:
            self.ws_connection.fail(1011)

    def ws_closed(self, code, reason):
        """Called by the connection when it has closed."""
        self.ws_connection = None
        self.close_code, self.close_reason = code, reason
        try:
            return self.on_close()
        finally:
            self.request.connection.release()

    def __str__(self):
        # For the log.
        return str(self.request.remote_ip)
