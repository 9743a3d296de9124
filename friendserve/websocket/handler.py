"""The server's side: a handler that opens a WebSocket."""
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


#: What a page of another site may not do by default.
_CROSS_ORIGIN = ("A page of another site wants to open this WebSocket. Override check_origin to "
                 "allow it.\n")


class WebSocketHandler(RequestHandler):
    """Serves one WebSocket. Override `on_message`, and what else you need.

    `open`, then `on_message` for each message, then `on_close` are called, all from the loop;
    `on_close` once, after every message that had come. What they raise is logged, and closes with
    the code 1011. A request that asks for no WebSocket is answered with 400 or 426.

    The settings of the application: websocket_max_message_size (10 MiB, after decompression;
    a larger one closes with 1009), websocket_max_queue_size (16 MiB; see `on_queue_full`),
    websocket_ping_interval (seconds between pings; by default there are none, and a client that
    loses its power is never missed) and websocket_ping_timeout (seconds without a sign of life
    after a ping until the connection is closed: three intervals, but at least 30).

    No method of a response may be used once the WebSocket is open.
    """
    #: The open connection; None before and after.
    ws_connection = None
    #: The code and the reason of the end, in `on_close`: the client's, else those that this side
    #: failed with; None when the connection was lost. A client that gives none means 1005.
    close_code = close_reason = None
    #: The subprotocol that was agreed on, or None.
    selected_subprotocol = None

    # To be overridden

    def open(self, *args, **kwargs):
        """Called when the WebSocket is open, with the arguments from the URL."""

    def on_message(self, message):
        """Called with each message: unicode when it is a text, else bytes."""
        raise NotImplementedError("%s has no on_message" % type(self).__name__)

    def on_close(self):
        """Called once when the WebSocket has closed, after everything else."""

    def on_ping(self, data):
        """Called with the payload of a ping, which was answered already."""

    def on_pong(self, data):
        """Called with the payload of a pong."""

    def on_queue_full(self, message):
        """Called in place of sending `message` when the client does not read, so that more than
        websocket_max_queue_size bytes wait for it already. The message is dropped.

        By default the connection is closed. Override it to go on without the message.
        """
        gen_log.warning("WebSocket of %s closed: it does not read, %d bytes wait for it",
                        self.request.remote_ip, self.ws_connection.stream.unsent())
        self.ws_connection.abort()

    def check_origin(self, origin):
        """Whether a page of this origin, the value of the header, may open the WebSocket.

        Cookies are sent along whatever page a browser shows, so by default only a page of the
        same host and port may. Programs send no Origin, and are not asked. To allow the
        subdomains of a site: ``return urlsplit(origin).netloc.endswith(".example.com")``.
        """
        scheme, _, place = origin.lower().partition("://")
        return scheme in ("http", "https") and place != "" and \
            place == self.request.headers.get("Host", "").lower()

    def select_subprotocol(self, subprotocols):
        """Return one of the subprotocols that the client offers, or None; the list may be
        empty."""

    def get_compression_options(self):
        """Return a dict to compress messages (RFC 7692) if the client can, None not to.

        It may have `compression_level` (0 to 9) and `mem_level` (1 to 9), as zlib knows them.
        Compression costs a client's share of some 300 kB memory, and time for each message.
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
        """Bytes of the largest message that is taken."""
        return self.settings.get("websocket_max_message_size", DEFAULT_MAX_MESSAGE_SIZE)

    @property
    def max_queue_size(self):
        """Bytes that may wait for a client that does not read."""
        return self.settings.get("websocket_max_queue_size", DEFAULT_MAX_QUEUE_SIZE)

    # The use of an open WebSocket

    def write_message(self, message, binary=False, callback=None):
        """Send a text (or a dict, as JSON), or with `binary` bytes.

        `callback()` is called when the system has taken all of it, which is the clock for who has
        much to send; it is not when the connection is lost before. Raises WebSocketClosedError
        when the WebSocket is closed or closing.
        """
        if self.ws_connection is None:
            raise WebSocketClosedError()
        self.ws_connection.write_message(message, binary, callback)

    def ping(self, data=b""):
        """Send a ping with at most 125 bytes; `on_pong` gets the same back."""
        if self.ws_connection is None:
            raise WebSocketClosedError()
        self.ws_connection.write_ping(data)

    def close(self, code=None, reason=None):
        """Close the WebSocket, with a code (1000 to 1014 or 3000 to 4999) and a short text if
        you like. `on_close` is called when the client has answered, or after 5 seconds."""
        if self.ws_connection is not None:
            self.ws_connection.close(code, reason)

    def set_nodelay(self, value):
        """Have the system send small messages at once (True, as it is from the beginning) or
        gather them for a moment (False)."""
        if self.ws_connection is not None:
            self.ws_connection.stream.set_nodelay(value)

    @property
    def stream(self):
        """The stream of an open WebSocket, or None."""
        return self.ws_connection and self.ws_connection.stream

    # No responses

    def write(self, chunk):
        self._check_response("write")
        super(WebSocketHandler, self).write(chunk)

    def finish(self, chunk=None):
        self._check_response("finish")
        super(WebSocketHandler, self).finish(chunk)

    def _check_response(self, name):
        if self._status_code == 101:
            raise RuntimeError("%s() is for responses: a WebSocket has write_message() and "
                               "close()" % name)

    # The handshake

    def get(self, *args, **kwargs):
        """Open the WebSocket, or answer why not."""
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
                raise ValueError("select_subprotocol returned %r, which is none of %r"
                                 % (selected, offered))
            self.selected_subprotocol = answer["Sec-WebSocket-Protocol"] = selected

    def _negotiate(self, answer):
        """The reader, and the compressor if there is to be one."""
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
        # What was set in `prepare`, cookies for instance, goes out with it.
        self.clear_header("Content-Type")
        headers = self._complete_headers()
        for name, value in answer.items():
            headers[name] = value
        head = encode_head("HTTP/1.1 101 Switching Protocols", headers)
        self._headers_written = True
        self.set_status(101)
        stream = self.detach()
        stream.write(head)
        self.ws_connection = WebSocketProtocol13(
            stream, self, reader, deflater, max_queue_size=self.max_queue_size)
        self.application.log_request(self)
        self.on_finish()
        self.ws_connection.start(self._open, args, kwargs)

    def _open(self, args, kwargs):
        if self.ping_interval:
            self.ws_connection.start_pinging(self.ping_interval, self.ping_timeout)
        self.open(*args, **kwargs)

    def send_error(self, status_code=500, **kwargs):
        """Answer with an error page; when the WebSocket is open already, close it."""
        if self.ws_connection is None:
            super(WebSocketHandler, self).send_error(status_code, **kwargs)
        else:
            self.ws_connection.fail(1011)

    def ws_closed(self, code, reason):
        """For the connection: it has closed."""
        self.ws_connection = None
        self.close_code, self.close_reason = code, reason
        self.on_close()

    def __str__(self):
        # For the log.
        return str(self.request.remote_ip)
