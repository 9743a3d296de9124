"""One fetch of the simple client, from the queue to the callback, through its redirects.

A `Fetch` knows its request and what has become of it; it asks the client for a connection and
is the exchange on it. The client calls back the application when `finish` says so.
"""
from __future__ import absolute_import, division, print_function

import binascii
import os

from friendserve.cookiejar import cookie_for, keep_cookies
from friendserve.httpclient import (
    HTTPConnectError, HTTPProtocolError, HTTPResponse, HTTPTimeoutError, HTTPTLSError,
    HTTPTransferError)
from friendserve.httputil import HTTPHeaders, HTTPOutputError, basic_credentials
from friendserve.iostream import StreamClosedError
from friendserve.protocol.grammar import is_content_length
from friendserve.protocol.httpauth import choose_digest, parse_parameters
from friendserve.protocol.http1 import LAST_CHUNK, encode_chunk, encode_head
from friendserve.protocol.urls import join_url, parse_url
from friendserve.stack_context import NullContext

#: Methods that may be sent again when nobody knows what became of them (RFC 9110 9.2.2).
IDEMPOTENT = frozenset(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])

#: Methods whose requests say how long their body is even when there is none.
_WITH_BODY = frozenset(["POST", "PUT", "PATCH"])

_REDIRECTS = frozenset([301, 302, 303, 307, 308])

#: What is meant for one origin and is not told to another one.
_FOR_ONE_ORIGIN = ("Authorization", "Cookie", "Proxy-Authorization", "Host")
_OF_A_BODY = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding")

#: Seconds to wait for 100 Continue before the body is sent without it (RFC 9110 10.1.1).
CONTINUE_TIMEOUT = 1.0

_DOING = {
    "queue": "in request queue", "resolve": "while resolving the host name",
    "connect": "while connecting", "proxy": "while the proxy connects",
    "tls": "during the TLS handshake", "request": "while sending the request",
    "headers": "while waiting for the response", "body": "while reading the response"}


class Fetch(object):
    """A fetch. `request` is the client's own copy and changes with redirects."""
    __slots__ = ("client", "request", "callback", "url", "key", "method", "decompress",
                 "is_sent", "deadline", "connection", "connecting", "created", "started",
                 "_phase", "_waits_for_continue", "_redirects", "_times", "_response",
                 "_follow", "_nonce", "_challenged", "_pieces", "_retried", "_body_left",
                 "_redirect_time")

    upgrades = False

    def __init__(self, client, request, callback, now):
        self.client = client
        self.request = request
        self.callback = callback
        self.created = now
        self.started = now
        self.deadline = None
        self.connection = None
        self.connecting = None
        self._phase = "queue"
        self._redirects = 0
        self._redirect_time = 0
        self._retried = False
        self._times = None
        self._waits_for_continue = False
        self._body_left = None
        self._response = None
        self._challenged = 0
        self._nonce = None          # of the digest that was sent last
        self._set_url(parse_url(request.url))

    def _set_url(self, url):
        self.url = url
        self.method = self.request.method
        self.decompress = self.request.decompress_response
        self.key = self.client.key_of(url, self.request)

    @property
    def max_header_size(self):
        return self.client.max_header_size

    @property
    def max_body_size(self):
        return self.client.max_body_size

    @property
    def phase(self):
        """How far it is; see HTTPTransferError."""
        if self.connecting is not None:
            phase = self.connecting.phase
            # "done" is for a moment only, before anybody is told.
            return phase if phase in _DOING else "connect"
        if self._phase == "headers" and self.connection is not None and (
                not self.is_sent or self.connection.stream.writing()):
            return "request"
        return self._phase

    def may_be_repeated(self):
        """Whether the request may be sent once more when its fate is unknown."""
        return self.method in IDEMPOTENT and self.request.body_producer is None

    # On a connection

    def use(self, connection):
        """Send the request on a connection; `connect_done` was called before if it is new."""
        request = self.request
        self.connection = connection
        self._phase = "headers"
        body = request.body
        self.is_sent = request.body_producer is None
        try:
            head = self._build_head()
        except (HTTPOutputError, ValueError) as error:
            connection.abandon()
            self._fail_with(HTTPTransferError(str(error), "request", error))
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
        headers = HTTPHeaders.from_values({"Host": url.authority})
        values = headers._values
        if request._headers is not None:
            values.update(request._headers._values)
        if "User-Agent" not in values:
            values["User-Agent"] = request.user_agent or self.client.user_agent
        if self.decompress and "Accept-Encoding" not in values:
            values["Accept-Encoding"] = "gzip, deflate"
        if request.body is not None or self.method in _WITH_BODY or request.body_producer:
            self._frame(headers)
        if request.auth_username is not None or url.username is not None:
            self._authorize(headers)
        if request.cookie_jar is not None:
            cookie = cookie_for(request.cookie_jar, url, headers)
            if cookie is not None:
                headers["Cookie"] = cookie
        target = url.target
        if request.proxy_host is not None and url.scheme == "http":
            # The proxy itself is asked (RFC 9112 3.2.2).
            target = url.text
            credentials = self.client.proxy_of(request).credentials()
            if credentials is not None:
                headers["Proxy-Authorization"] = credentials
        return encode_head("%s %s HTTP/1.1" % (self.method, target), headers)

    def _frame(self, headers):
        request = self.request
        if self.method == "POST" and "Content-Type" not in headers:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if request.body_producer is not None:
            length = headers.get("Content-Length")
            if length is None:
                headers["Transfer-Encoding"] = "chunked"
            elif not is_content_length(length):
                raise ValueError("malformed Content-Length %r" % length)
            self._body_left = length and int(length)
        else:
            headers["Content-Length"] = str(len(request.body or b""))
        if request.expect_100_continue:
            headers["Expect"] = "100-continue"

    # Who we are (RFC 9110 11)

    def _user(self):
        """(name, password) for this request, or None."""
        if self.request.auth_username is not None:
            return self.request.auth_username, self.request.auth_password
        if self.url.username is not None:
            return self.url.username, self.url.password
        return None

    def _authorize(self, headers):
        mode = self.request.auth_mode
        name, password = self._user()
        if "Authorization" in headers:
            return
        if mode in (None, "basic"):
            headers["Authorization"] = basic_credentials(name, password or "")
            return
        challenge = self.client.challenges.get((self.url.origin, name))
        if challenge is not None:
            self._nonce = challenge.nonce
            headers["Authorization"] = challenge.answer(
                name, password, self.method, self.url.target,
                str(binascii.hexlify(os.urandom(16)).decode("ascii")))

    def _takes_challenge(self, headers):
        """Whether this 401 can be answered; once for each nonce, of which it may take two: a
        remembered one may be too old."""
        user = self._user()
        challenge = choose_digest(headers.get_list("WWW-Authenticate"))
        if challenge is None or challenge.nonce == self._nonce or self._challenged > 1 \
                or self.request.body_producer is not None:
            return False
        self._challenged += 1
        self.client.remember_challenge((self.url.origin, user[0]), challenge)
        return True

    def _note_next_nonce(self, headers):
        challenge = self.client.challenges.get((self.url.origin, self._user()[0]))
        for name, value in parse_parameters(headers["Authentication-Info"]):
            if name == "nextnonce" and challenge is not None:
                challenge.next_nonce(value)

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
            connection.stream.write(self.request.body)

    def _produce(self, connection):
        if connection is self.connection and not connection.stream.closed():
            writer = BodyWriter(self, connection)
            try:
                if self.request.body_producer(writer) is not writer:
                    writer.finish()
            except Exception as error:
                self.body_failed(connection, error)

    def body_failed(self, connection, error):
        """Who makes the body has failed: nothing can be done with this connection."""
        if connection is self.connection:
            connection.abandon()
            self._fail_with(HTTPTransferError("the body of the request: %s" % error, "request",
                                              error))

    # The response

    def on_head(self, status, reason, headers, raw):
        request = self.request
        self._phase = "body"
        self._waits_for_continue = False
        self._follow = self._next_step(status, headers)
        self._response = status, reason, headers, self.client.io_loop.time()
        self._pieces = self._follow is None and request.streaming_callback or None
        if self._follow is not None:
            # What it says is of no interest.
            return True
        if request.header_callback is not None:
            for line in raw.decode("latin-1").splitlines(True):
                self._schedule(request.header_callback, str(line))
        return self._pieces is not None

    def _next_step(self, status, headers):
        """What to do when this response is over: a function, or None when it is the last."""
        request = self.request
        if request.cookie_jar is not None:
            keep_cookies(request.cookie_jar, self.url, headers)
        if request.auth_mode == "digest" and self._user() is not None:
            if status == 401 and self._takes_challenge(headers):
                return self._ask_again
            if "Authentication-Info" in headers:
                self._note_next_nonce(headers)
        if status in _REDIRECTS and request.follow_redirects and "Location" in headers \
                and self._redirects < request.max_redirects:
            return self._redirect
        return None

    def on_data(self, chunk):
        if self._pieces is not None:
            self._schedule(self._pieces, chunk)

    def on_end(self, body):
        self.connection = None
        follow = self._follow
        if follow is not None:
            status, _, headers, _ = self._response
            self._response = None
            try:
                follow(status, headers)
            except ValueError as error:
                self._fail_with(HTTPProtocolError(str(error), "redirect", error))
            return
        if self._pieces is not None:
            if body:
                self._schedule(self._pieces, body)
            body = b""
        status, reason, headers, first = self._response
        now = self.client.io_loop.time()
        request = self.request
        response = HTTPResponse(
            request.original_request or request, status, headers, None, self.url.text, None,
            now - self.started, self._time_info(first, now), reason, request.start_time, body)
        if request.streaming_callback is None and request.header_callback is None:
            self.client.done(self, response)
        else:
            # After the pieces, one of which may turn out to be one too many.
            self._schedule(self._deliver, response)

    def _deliver(self, response):
        self.client.done(self, response)

    def on_failure(self, error, again):
        self.connection = None
        self._waits_for_continue = False
        if again and not self._retried and self.may_be_repeated():
            self._retried = True
            self.client.begin(self, fresh=True)
        else:
            self._fail_with(error)

    def _schedule(self, callback, data):
        self.client.io_loop.add_callback(self._call, callback, data)

    def _call(self, callback, data):
        """Give the application a piece; when it raises, the fetch has failed."""
        if self.callback is None:
            return
        try:
            callback(data)
        except Exception as error:
            if self.connection is not None:
                self.connection.abandon()
            self.fail(HTTPTransferError("the callback for the response raised: %s" % error, "body",
                                        error))

    def _ask_again(self, status, headers):
        self.client.begin(self)

    # Redirects (RFC 9110 15.4)

    def _redirect(self, status, headers):
        request = self.request
        place = join_url(request.url, decode_location(headers["Location"]))
        url = parse_url(place)
        if status == 303 and self.method != "HEAD" or \
                status in (301, 302) and self.method == "POST":
            request.method = "GET"
            request._body = request.body_producer = None
            self._drop(_OF_A_BODY)
        elif request.body_producer is not None:
            raise ValueError("the body of the request was sent already, and %d asks for it again: "
                             "a body_producer runs once" % status)
        if url.origin != self.url.origin:
            self._drop(_FOR_ONE_ORIGIN)
            request.auth_username = request.auth_password = request.auth_mode = None
        request.url = place
        self._redirects += 1
        self._redirect_time = self.client.io_loop.time() - self.started
        self._retried = False
        self._nonce = None
        self._challenged = 0
        self._set_url(url)
        self.client.begin(self)

    def _drop(self, names):
        headers = self.request._headers
        for name in names:
            if headers is not None and name in headers:
                del headers[name]

    # The end

    def fail(self, error):
        """It has failed with this HTTPTransferError: the response says so."""
        if self.callback is None:
            return
        self.connection = None
        now = self.client.io_loop.time()
        self.client.done(self, HTTPResponse(
            self.request.original_request or self.request, 599, None, None, self.url.text, error,
            now - self.started, self._time_info(now, now), None, self.request.start_time))

    _fail_with = fail

    def connect_failed(self, error):
        """There is no connection."""
        phase = self.connecting.failed_phase or "connect"
        self.connecting = None
        kind = HTTPTLSError if phase == "tls" else HTTPConnectError
        self.fail(kind("%s: %s" % (kind.default_message, error), phase, error))

    def time_out(self):
        """Its time is over."""
        phase = self.phase
        message = "Timeout " + _DOING.get(phase, phase)
        if self._redirects:
            message += " after %d redirects" % self._redirects
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        if self.connection is not None:
            self.connection.abandon()
        self.fail(HTTPTimeoutError(message, phase))

    def note_connected(self, resolved, connected, now):
        """Keep the times of a new connection for time_info."""
        self._times = tuple((at or now) - self.started for at in (resolved, connected, now))

    def _time_info(self, first, now):
        started = self.started
        resolved, connected, secured = self._times or (0, 0, 0)
        return {"queue": started - self.created, "namelookup": resolved, "connect": connected,
                "appconnect": secured, "pretransfer": secured,
                "starttransfer": first - started, "total": now - started,
                "redirect": self._redirect_time}


class BodyWriter(object):
    """What a body_producer gets: call it with each piece of the body."""
    __slots__ = ("_fetch", "_connection")

    def __init__(self, fetch, connection):
        self._fetch = fetch
        self._connection = connection

    def __call__(self, data, callback=None):
        """Send bytes of the body; `callback()` is called when they have been handed to the system,
        and never when the connection is lost. Raises HTTPOutputError beyond the Content-Length,
        StreamClosedError when nobody wants them any more."""
        fetch, connection = self._fetch, self._connection
        if fetch.connection is not connection or fetch.is_sent:
            raise StreamClosedError(connection.stream.error)
        if fetch._body_left is None:
            data = encode_chunk(bytes(data)) if data else b""
        elif len(data) > fetch._body_left:
            raise HTTPOutputError("it is longer than the Content-Length says, by %d bytes"
                                  % (len(data) - fetch._body_left))
        else:
            fetch._body_left -= len(data)
        connection.stream.write(data, callback)

    def finish(self):
        """The body is whole."""
        fetch, connection = self._fetch, self._connection
        if fetch.connection is not connection or fetch.is_sent:
            return
        if fetch._body_left:
            fetch.body_failed(connection, HTTPOutputError(
                "it is shorter than the Content-Length says, by %d bytes" % fetch._body_left))
            return
        fetch.is_sent = True
        if fetch._body_left is None:
            connection.stream.write(LAST_CHUNK)


def decode_location(value):
    """A Location as text: the bytes of the header are UTF-8 mostly, and a space in it is one that
    should have been encoded."""
    data = value if isinstance(value, bytes) else value.encode("latin-1")
    try:
        text = data.decode("utf-8")
    except UnicodeError:
        text = data.decode("latin-1")
    return text.replace(u" ", u"%20")
