"""A fetch of the simple client: `BaseFetch` over HTTP/1.1 on an IOStream."""
from __future__ import absolute_import, division, print_function

from friendserve.httpclient import HTTPTimeoutError, HTTPTransferError
from friendserve.httpclient.errors import connect_error
from friendserve.httpclient.fetch import DOING, BaseFetch
from friendserve.httputil import HTTPHeaders, HTTPOutputError
from friendserve.protocol.http1 import LAST_CHUNK, encode_chunk, encode_head
from friendserve.stack_context import NullContext

#: Seconds to wait for 100 Continue before the body is sent without it (RFC 9110 10.1.1).
CONTINUE_TIMEOUT = 1.0


class Fetch(BaseFetch):
    """A fetch whose connections are `HTTP1ClientConnection`s."""
    __slots__ = ("connecting", "_waits_for_continue")

    def __init__(self, client, request, callback, now):
        super(Fetch, self).__init__(client, request, callback, now)
        self.connecting = None              # the attempt to connect, while there is one
        self._waits_for_continue = False

    @property
    def phase(self):
        if self.connecting is not None:
            phase = self.connecting.phase
            # Between the end of an attempt and its callback, its phase is "done".
            return phase if phase in DOING else "connect"
        if self._phase == "headers" and self.connection is not None and (
                not self.is_sent or self.connection.stream.writing()):
            return "request"
        return self._phase

    # Connecting

    def note_connected(self, resolved, connected, now):
        """Record the times of a new connection for time_info."""
        self._times = tuple((at or now) - self.started for at in (resolved, connected, now))

    def connect_failed(self, error):
        """Called when the attempt to connect has failed."""
        connecting, self.connecting = self.connecting, None
        self.fail(connect_error(connecting.failed_phase, error))

    # On a connection

    def use(self, connection):
        """Send the request on a connection. If it is new, call `note_connected` first."""
        request = self.request
        self.connection = connection
        self._phase = "headers"
        body = request.body
        self.is_sent = request.body_producer is None
        self._waits_for_continue = False
        try:
            head = self._build_head()
        except (HTTPOutputError, ValueError) as error:
            connection.abandon()
            self.fail(HTTPTransferError(str(error), "request", error))
            return
        if request.expect_100_continue and (body or not self.is_sent):
            self._waits_for_continue = True
            self.is_sent = False
            connection.request(self, head)
            with NullContext():
                self.client.io_loop.call_later(CONTINUE_TIMEOUT, self._send_body, connection)
        elif self.is_sent:
            connection.request(self, head + body if body else head)
        else:
            connection.request(self, head)
            self.client.io_loop.add_callback(self.produce, connection)

    def _build_head(self):
        request, url = self.request, self.url
        headers = self.build_headers(HTTPHeaders.from_values({"Host": url.authority}))
        target = url.target
        if request.proxy_host is not None and url.scheme == "http":
            # The request goes to the proxy, which needs the whole URL (RFC 9112 3.2.2).
            target = url.text
            credentials = self.client.proxy_of(request).credentials()
            if credentials is not None:
                headers["Proxy-Authorization"] = credentials
        return encode_head("%s %s HTTP/1.1" % (self.method, target), headers)

    def set_length(self, headers):
        if self.request.body_producer is None:
            headers["Content-Length"] = str(len(self.request.body or b""))
        elif self.body_left is None:
            headers["Transfer-Encoding"] = "chunked"

    def on_continue(self):
        self._send_body(self.connection)

    def _send_body(self, connection):
        # Not if the response or another connection has come first.
        if not self._waits_for_continue or connection is not self.connection \
                or self._phase != "headers":
            return
        self._waits_for_continue = False
        if self.request.body_producer is not None:
            self.produce(connection)
        else:
            self.is_sent = True
            connection.write(self.request.body)

    def send_piece(self, data, callback):
        if self.body_left is None:
            data = encode_chunk(bytes(data)) if data else b""
        self.connection.write(data, callback)

    def send_end(self):
        if self.body_left is None:
            self.connection.write(LAST_CHUNK)

    # The end

    def cancel(self):
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        super(Fetch, self).cancel()

    def timeout_error(self, message, phase):
        return HTTPTimeoutError(message, phase)
