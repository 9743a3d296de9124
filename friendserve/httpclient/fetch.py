"""One fetch of a client, from the queue to the callback, through its redirects: what is the same
over our own streams and over libcurl.

A `BaseFetch` knows its request and what has become of it. It asks its client for a connection
(`client.begin`) and is the exchange on it, in the sense of `http1client.HTTP1ClientConnection`. The
client calls back the application when `done` says so.
"""
from __future__ import absolute_import, division, print_function

from friendserve.httpclient.cookies import cookie_for, keep_cookies
from friendserve.httpclient.errors import (
    HTTPProtocolError, HTTPTimeoutError, HTTPTransferError, transfer_error)
from friendserve.httpclient.messages import HTTPResponse
from friendserve.httputil import HTTPOutputError, basic_credentials
from friendserve.iostream import StreamClosedError
from friendserve.protocol.grammar import is_content_length
from friendserve.protocol.urls import join_url, parse_url

#: Methods whose requests say how long their body is even when there is none.
WITH_BODY = frozenset(["POST", "PUT", "PATCH"])

_REDIRECTS = frozenset([301, 302, 303, 307, 308])

#: What is meant for one origin and is not told to another one.
_FOR_ONE_ORIGIN = ("Authorization", "Cookie", "Proxy-Authorization", "Host")
_OF_A_BODY = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding")

#: The phases of HTTPTransferError, in the words of a message.
DOING = {
    "queue": "in request queue", "resolve": "while resolving the host name",
    "connect": "while connecting", "proxy": "while the proxy connects",
    "tls": "during the TLS handshake", "request": "while sending the request",
    "headers": "while waiting for the response", "body": "while reading the response"}


class BaseFetch(object):
    """A fetch. `request` is the client's own copy and changes with redirects.

    Subclasses have `phase`, how far it is in the sense of HTTPTransferError, and `_send_piece` and
    `_send_end` for a body_producer. They send what `build_headers` says, and override `_frame`
    where they say themselves how long a body is.
    """
    __slots__ = ("client", "request", "callback", "url", "key", "method", "decompress",
                 "is_sent", "deadline", "connection", "created", "started", "_phase",
                 "_redirects", "_redirect_time", "_response", "_follow", "_pieces", "_body_left",
                 "_times")

    upgrades = False

    def __init__(self, client, request, callback, now):
        self.client = client
        self.request = request
        self.callback = callback
        self.created = now
        self.started = now
        self.deadline = None
        self.connection = None
        self._phase = "queue"
        self._redirects = 0
        self._redirect_time = 0
        self._body_left = None      # bytes that a body_producer owes; None where it did not say
        self._response = None
        self._times = None          # when the three steps of a new connection were done, if any
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

    # The request

    def build_headers(self, headers):
        """Put all that is said of this request into HTTPHeaders. Raises ValueError."""
        request = self.request
        values = headers._values
        if request._headers is not None:
            values.update(request._headers._values)
        if "User-Agent" not in values:
            values["User-Agent"] = request.user_agent or self.client.user_agent
        if self.decompress and "Accept-Encoding" not in values:
            values["Accept-Encoding"] = "gzip, deflate"
        if request.body is not None or self.method in WITH_BODY or request.body_producer:
            self._frame(headers)
        if request.auth_username is not None or self.url.username is not None:
            self._authorize(headers)
        if request.cookie_jar is not None:
            cookie = cookie_for(request.cookie_jar, self.url, headers)
            if cookie is not None:
                headers["Cookie"] = cookie
        return headers

    def _frame(self, headers):
        request = self.request
        if self.method == "POST" and "Content-Type" not in headers:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if request.body_producer is not None:
            length = headers.get("Content-Length")
            if length is not None and not is_content_length(length):
                raise ValueError("malformed Content-Length %r" % length)
            self._body_left = length and int(length)
        if request.expect_100_continue:
            headers["Expect"] = "100-continue"

    def user(self):
        """(name, password) for this request, or None."""
        if self.request.auth_username is not None:
            return self.request.auth_username, self.request.auth_password
        if self.url.username is not None:
            return self.url.username, self.url.password
        return None

    def _authorize(self, headers):
        """Who we are (RFC 9110 11)."""
        if "Authorization" not in headers and self.request.auth_mode != "digest":
            name, password = self.user()
            headers["Authorization"] = basic_credentials(name, password or "")

    def _produce(self, connection):
        if connection is self.connection and not connection.closed():
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
            self.fail(HTTPTransferError("the body of the request: %s" % error, "request", error))

    # The response

    def on_continue(self):
        """The server wants the body."""

    def on_head(self, status, reason, headers, raw):
        request = self.request
        self._phase = "body"
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
        if status in _REDIRECTS and request.follow_redirects and "Location" in headers \
                and self._redirects < request.max_redirects:
            return self._redirect
        if status == 417 and request.expect_100_continue and request.body is not None:
            # Once more, without that (RFC 9110 10.1.1).
            request.expect_100_continue = False
            return self._ask_again
        return None

    def _ask_again(self, status, headers):
        self.client.begin(self)

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
                self.fail(HTTPProtocolError(str(error), "redirect", error))
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

    def on_failure(self, phase, error, again):
        self.connection = None
        self.fail(transfer_error(phase, error))

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
        self._set_url(url)
        self.client.begin(self)

    def _drop(self, names):
        headers = self.request._headers
        for name in names:
            if headers is not None and name in headers:
                del headers[name]

    # The end

    def cancel(self):
        """Give up the connection, if there is one. `fail` is for the caller to call then."""
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None

    def fail(self, error):
        """It has failed with this HTTPTransferError: the response says so."""
        if self.callback is None:
            return
        now = self.client.io_loop.time()
        times = self._time_info(now, now)
        self.connection = None
        self.client.done(self, HTTPResponse(
            self.request.original_request or self.request, 599, None, None, self.url.text, error,
            now - self.started, times, None, self.request.start_time))

    def _time_info(self, first, now):
        started = self.started
        resolved, connected, secured = self._times or (0, 0, 0)
        return {"queue": started - self.created, "namelookup": resolved, "connect": connected,
                "appconnect": secured, "pretransfer": secured,
                "starttransfer": first - started, "total": now - started,
                "redirect": self._redirect_time}

    def time_out(self):
        """Its time is over."""
        phase = self.phase
        message = "Timeout " + DOING.get(phase, phase)
        if self._redirects:
            message += " after %d redirects" % self._redirects
        self.cancel()
        self.fail(self._timeout(message, phase))

    _timeout = HTTPTimeoutError


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
        fetch = self._fetch
        if fetch.connection is not self._connection or fetch.is_sent:
            raise StreamClosedError()
        if fetch._body_left is not None:
            if len(data) > fetch._body_left:
                raise HTTPOutputError("it is longer than the Content-Length says, by %d bytes"
                                      % (len(data) - fetch._body_left))
            fetch._body_left -= len(data)
        fetch._send_piece(data, callback)

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
        fetch._send_end()


def decode_location(value):
    """A Location as text: the bytes of the header are UTF-8 mostly, and a space in it is one that
    should have been encoded."""
    data = value if isinstance(value, bytes) else value.encode("latin-1")
    try:
        text = data.decode("utf-8")
    except UnicodeError:
        text = data.decode("latin-1")
    return text.replace(u" ", u"%20")
