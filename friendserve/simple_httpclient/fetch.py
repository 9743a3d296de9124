"""A fetch of the simple client: `BaseFetch` over our own streams and HTTP/1.1."""
from __future__ import absolute_import, division, print_function

import binascii
import os

from friendserve.httpclient import HTTPTransferError
from friendserve.httpclient.errors import connect_error
from friendserve.httpclient.fetch import DOING, BaseFetch
from friendserve.httputil import HTTPHeaders, HTTPOutputError
from friendserve.protocol.http1 import LAST_CHUNK, encode_chunk, encode_head
from friendserve.protocol.httpauth import choose_digest, parse_parameters
from friendserve.stack_context import NullContext

#: Methods that may be sent again when nobody knows what became of them (RFC 9110 9.2.2).
IDEMPOTENT = frozenset(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])

#: Seconds to wait for 100 Continue before the body is sent without it (RFC 9110 10.1.1).
CONTINUE_TIMEOUT = 1.0


class Fetch(BaseFetch):
    """A fetch; its connections are of `HTTP1ClientConnection`."""
    __slots__ = ("connecting", "_waits_for_continue", "_nonce", "_challenged",
                 "_retried")

    def __init__(self, client, request, callback, now):
        super(Fetch, self).__init__(client, request, callback, now)
        self.connecting = None
        self._waits_for_continue = False

    def _set_url(self, url):
        super(Fetch, self)._set_url(url)
        self._retried = False
        self._challenged = 0
        self._nonce = None          # of the digest that was sent last

    @property
    def phase(self):
        if self.connecting is not None:
            phase = self.connecting.phase
            # "done" is for a moment only, before anybody is told.
            return phase if phase in DOING else "connect"
        if self._phase == "headers" and self.connection is not None and (
                not self.is_sent or self.connection.stream.writing()):
            return "request"
        return self._phase

    def may_be_repeated(self):
        """Whether the request may be sent once more when its fate is unknown."""
        return self.method in IDEMPOTENT and self.request.body_producer is None

    # On a connection

    def use(self, connection):
        """Send the request on a connection; `note_connected` was called before if it is new."""
        request = self.request
        self.connection = connection
        self._phase = "headers"
        body = request.body
        self.is_sent = request.body_producer is None
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
            self.client.io_loop.add_callback(self._produce, connection)

    def _build_head(self):
        request, url = self.request, self.url
        headers = self.build_headers(HTTPHeaders.from_values({"Host": url.authority}))
        target = url.target
        if request.proxy_host is not None and url.scheme == "http":
            # The proxy itself is asked (RFC 9112 3.2.2).
            target = url.text
            credentials = self.client.proxy_of(request).credentials()
            if credentials is not None:
                headers["Proxy-Authorization"] = credentials
        return encode_head("%s %s HTTP/1.1" % (self.method, target), headers)

    def _frame(self, headers):
        super(Fetch, self)._frame(headers)
        if self.request.body_producer is None:
            headers["Content-Length"] = str(len(self.request.body or b""))
        elif self._body_left is None:
            headers["Transfer-Encoding"] = "chunked"

    def on_continue(self):
        self._send_body(self.connection)

    def _send_body(self, connection):
        if not self._waits_for_continue or connection is not self.connection:
            return
        self._waits_for_continue = False
        if self.request.body_producer is not None:
            self._produce(connection)
        else:
            self.is_sent = True
            connection.write(self.request.body)

    def _send_piece(self, data, callback):
        if self._body_left is None:
            data = encode_chunk(bytes(data)) if data else b""
        self.connection.write(data, callback)

    def _send_end(self):
        if self._body_left is None:
            self.connection.write(LAST_CHUNK)

    # Digests

    def _authorize(self, headers):
        super(Fetch, self)._authorize(headers)
        if "Authorization" in headers:
            return
        name, password = self.user()
        challenge = self.client.challenges.get((self.url.origin, name))
        if challenge is not None:
            self._nonce = challenge.nonce
            headers["Authorization"] = challenge.answer(
                name, password, self.method, self.url.target,
                str(binascii.hexlify(os.urandom(16)).decode("ascii")))

    def _takes_challenge(self, headers):
        """Whether this 401 can be answered; once for each nonce, of which it may take two: a
        remembered one may be too old."""
        user = self.user()
        challenge = choose_digest(headers.get_list("WWW-Authenticate"))
        if challenge is None or challenge.nonce == self._nonce or self._challenged > 1 \
                or self.request.body_producer is not None:
            return False
        self._challenged += 1
        self.client.remember_challenge((self.url.origin, user[0]), challenge)
        return True

    def _note_next_nonce(self, headers):
        challenge = self.client.challenges.get((self.url.origin, self.user()[0]))
        for name, value in parse_parameters(headers["Authentication-Info"]):
            if name == "nextnonce" and challenge is not None:
                challenge.next_nonce(value)

    # The response

    def on_head(self, status, reason, headers, raw):
        self._waits_for_continue = False
        return super(Fetch, self).on_head(status, reason, headers, raw)

    def _next_step(self, status, headers):
        step = super(Fetch, self)._next_step(status, headers)
        if self.request.auth_mode == "digest" and self.user() is not None:
            if status == 401 and self._takes_challenge(headers):
                return self._ask_again
            if "Authentication-Info" in headers:
                self._note_next_nonce(headers)
        return step

    def on_failure(self, phase, error, again):
        self._waits_for_continue = False
        if again and not self._retried and self.may_be_repeated():
            self.connection = None
            self._retried = True
            self.client.begin(self, fresh=True)
        else:
            super(Fetch, self).on_failure(phase, error, again)

    # The end

    def cancel(self):
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        super(Fetch, self).cancel()

    def connect_failed(self, error):
        """Called when the attempt to connect has failed."""
        connecting, self.connecting = self.connecting, None
        self.fail(connect_error(connecting.failed_phase, error))

    def note_connected(self, resolved, connected, now):
        """Keep the times of a new connection for time_info."""
        self._times = tuple((at or now) - self.started for at in (resolved, connected, now))
