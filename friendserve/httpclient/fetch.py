"""One fetch, from the queue through redirects to the callback: the part that the simple client and
the curl client share.

The client queues a `BaseFetch` and starts it with `begin`, which finds it a connection. On that
connection the fetch is the exchange, as `http1connection.client` describes it. Once it has its
response, the fetch calls the client's `done`, which schedules the application's callback.
"""
from __future__ import absolute_import, division, print_function

from friendserve.httpclient.cookies import cookie_for, keep_cookies
from friendserve.httpclient.errors import (
    HTTPProtocolError, HTTPTransferError, transfer_error)
from friendserve.httpclient.messages import HTTPResponse
from friendserve.httputil import HTTPOutputError, basic_credentials
from friendserve.iostream import StreamClosedError
from friendserve.protocol.grammar import is_content_length
from friendserve.protocol.urls import URL, join_url, parse_url

#: Methods whose requests state the length of their body even if it is empty (RFC 9110 8.6).
WITH_BODY = frozenset(["POST", "PUT", "PATCH"])

#: Methods that may be sent again when the outcome of the first attempt is unknown (RFC 9110 9.2.2).
IDEMPOTENT = frozenset(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])

_REDIRECTS = frozenset([301, 302, 303, 307, 308])

#: Request headers that a redirect to another origin drops.
_FOR_ONE_ORIGIN = ("Authorization", "Cookie", "Proxy-Authorization", "Host")
#: Request headers that a redirect drops together with the body, in addition to all "Content-...".
_OF_A_BODY = ("Transfer-Encoding", "Trailer", "Expect", "Digest", "Repr-Digest", "Last-Modified")

#: The phases of HTTPTransferError, as error messages word them.
DOING = {
    "queue": "in request queue", "resolve": "while resolving the host name",
    "connect": "while connecting", "proxy": "while the proxy connects",
    "tls": "during the TLS handshake", "request": "while sending the request",
    "headers": "while waiting for the response", "body": "while reading the response"}


class BaseFetch(object):
    """One fetch. `request` is the client's own copy and changes with redirects.

    A subclass adds what depends on the kind of connection:

    - `phase`: how far the fetch is, as in HTTPTransferError. `_phase` holds it while the fetch has
      no connection and, on a connection, distinguishes "headers" from "body";
    - `use(connection)`: send the request, with the headers of `build_headers`;
    - `on_continue()`: called when the server wants the body (100 Continue);
    - `set_length(headers)`: set or drop the headers that state the length of the body;
    - `send_piece(data, callback)` and `send_end()`: send a piece of a body_producer's body, and
      its end;
    - `timeout_error(message, phase)`: make the HTTPTimeoutError.

    It may extend `cancel` and `time_out`. Nothing else is overridden.
    """
    __slots__ = ("client", "request", "callback", "url", "key", "method", "decompress", "auth",
                 "is_sent", "body_left", "deadline", "connection", "created", "started", "_phase",
                 "_redirects", "_redirect_time", "_retried", "_response", "_follow", "_pieces",
                 "_times")

    upgrades = False

    def __init__(self, client, request, callback, now):
        self.client = client
        self.request = request
        self.callback = callback    # None once it has been called
        self.created = now
        self.started = now          # when it left the queue
        self.deadline = None
        self.connection = None
        self.is_sent = False        # whether all of the request has been handed over
        self.body_left = None       # bytes still due from a body_producer; None: no Content-Length
        self._phase = "queue"
        self._redirects = 0
        self._redirect_time = 0
        self._response = None       # (status, reason, headers, when it arrived)
        self._follow = None         # called with status and headers of each response but the last
        self._pieces = None         # the streaming_callback, if this response is for it
        self._times = None          # when a new connection was resolved, connected and secured
        self._set_url(parse_url(request.url))

    def _set_url(self, url):
        request = self.request
        self.url = url
        self.method = request.method
        self.decompress = request.decompress_response
        self.key = self.client.key_of(url, request)
        self.auth = None
        if request.auth_mode == "digest" and self.client.make_auth is not None:
            self.auth = self.client.make_auth(self)
        self._retried = False       # whether this URL was requested again on a new connection

    @property
    def max_header_size(self):
        return self.client.max_header_size

    @property
    def require_close_notify(self):
        return self.request.require_close_notify

    @property
    def max_body_size(self):
        return self.client.max_body_size

    # The request

    def build_headers(self, headers):
        """Add all headers of this request to HTTPHeaders and return them. Raises ValueError."""
        request = self.request
        values = headers._values
        if request._headers is not None:
            values.update(request._headers._values)
        if "User-Agent" not in values:
            values["User-Agent"] = request.user_agent or self.client.user_agent
        if self.decompress and "Accept-Encoding" not in values:
            values["Accept-Encoding"] = "gzip, deflate"
        if request.body is not None or self.method in WITH_BODY or request.body_producer:
            self._describe_body(headers)
        if request.auth_username is not None or self.url.username is not None:
            self._authorize(headers)
        if request.cookie_jar is not None:
            cookie = cookie_for(request.cookie_jar, self.url, headers)
            if cookie is not None:
                headers["Cookie"] = cookie
        return headers

    def _describe_body(self, headers):
        request = self.request
        if self.method == "POST" and "Content-Type" not in headers:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if request.body_producer is not None:
            length = headers.get("Content-Length")
            if length is not None and not is_content_length(length):
                raise ValueError("malformed Content-Length %r" % length)
            self.body_left = length and int(length)
        if request.expect_100_continue:
            headers["Expect"] = "100-continue"
        self.set_length(headers)

    def user(self):
        """(name, password) for this request, or None."""
        if self.request.auth_username is not None:
            return self.request.auth_username, self.request.auth_password
        if self.url.username is not None:
            return self.url.username, self.url.password
        return None

    def _authorize(self, headers):
        if "Authorization" in headers:
            return
        if self.auth is not None:
            answer = self.auth.answer(self.method)
            if answer is not None:
                headers["Authorization"] = answer
        elif self.request.auth_mode != "digest":
            name, password = self.user()
            headers["Authorization"] = basic_credentials(name, password or "")

    def may_be_repeated(self):
        """Whether the request may be sent again if the outcome of the first attempt is unknown."""
        return self.method in IDEMPOTENT and self.request.body_producer is None

    def produce(self, connection):
        """Run the body_producer, unless the connection was lost in the meantime."""
        if connection is self.connection and not connection.closed():
            writer = BodyWriter(self, connection)
            try:
                if self.request.body_producer(writer) is not writer:
                    writer.finish()
            except Exception as error:
                self.body_failed(connection, error)

    def body_failed(self, connection, error):
        """The body producer failed; the connection is unusable."""
        if connection is self.connection:
            connection.abandon()
            self.fail(HTTPTransferError("the body of the request: %s" % error, "request", error))

    # The response

    def on_head(self, status, reason, headers, raw):
        request = self.request
        self._phase = "body"
        self._follow = follow = self._next_step(status, headers)
        self._response = status, reason, headers, self.client.io_loop.time()
        if follow is not None:
            # Receive the body in pieces and drop them.
            self._pieces = None
            return True
        self._pieces = request.streaming_callback
        if request.header_callback is not None:
            for line in raw.decode("latin-1").splitlines(True):
                self._schedule(request.header_callback, str(line))
        return self._pieces is not None

    def _next_step(self, status, headers):
        """The method to call once this response is complete; None if it is the last one."""
        request = self.request
        if request.cookie_jar is not None:
            keep_cookies(request.cookie_jar, self.url, headers)
        if status in _REDIRECTS and request.follow_redirects and "Location" in headers \
                and self._redirects < request.max_redirects:
            step = self._redirect
        elif status == 417 and request.expect_100_continue and request.body is not None:
            # Repeat it without the expectation (RFC 9110 10.1.1).
            self._keep_original()
            request.expect_100_continue = False
            step = self._ask_again
        else:
            step = None
        if self.auth is not None and self.auth.learn(status, headers):
            step = self._ask_again
        return step

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
            self._response = self._follow = None
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
            # After the pieces: a callback that raises on one of them makes the fetch fail.
            self._schedule(self._deliver, response)

    def _deliver(self, response):
        self.client.done(self, response)

    def on_failure(self, phase, error, again):
        self.connection = None
        if again and not self._retried and self.may_be_repeated():
            self._retried = True
            self.client.begin(self, fresh=True)
        else:
            self.fail(transfer_error(phase, error))

    def _schedule(self, callback, data):
        self.client.io_loop.add_callback(self._call, callback, data)

    def _call(self, callback, data):
        """Hand data to a callback of the application; if it raises, the fetch fails."""
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
        locations = headers.get_list("Location")
        if len(locations) > 1:
            raise ValueError("the redirect (%d) has %d Location headers"
                             % (status, len(locations)))
        place = join_url(request.url, decode_location(locations[0]))
        url = parse_url(place)
        self._keep_original()
        if status == 303 and self.method != "HEAD" or \
                status in (301, 302) and self.method == "POST":
            request.method = "GET"
            request._body = request.body_producer = None
            self._drop(_OF_A_BODY)
            self._drop([name for name in request._headers or () if name.startswith("Content-")])
        elif request.body_producer is not None:
            raise ValueError("the redirect (%d) asks for the body of the request again, but a "
                             "body_producer runs only once" % status)
        if url.origin != self.url.origin:
            self._drop(_FOR_ONE_ORIGIN)
            request.auth_username = request.auth_password = request.auth_mode = None
        elif url.username is None and self.url.username is not None:
            # A Location with a host is for the same user, as one without.
            url = URL(url.scheme, url.host, url.port, url.target, self.url.username,
                      self.url.password)
        request.url = place
        self._redirects += 1
        self._redirect_time = self.client.io_loop.time() - self.started
        self._set_url(url)
        self.client.begin(self)

    def _keep_original(self):
        """Called before `request` changes: the response is to what was asked."""
        request = self.request
        if request.original_request is None:
            request.original_request = request.copy()

    def _drop(self, names):
        headers = self.request._headers
        for name in names:
            if headers is not None and name in headers:
                del headers[name]

    # The end

    def cancel(self):
        """Give up the connection, if there is one. The caller then calls `fail`."""
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None

    def fail(self, error):
        """End with a response whose `error` is this HTTPTransferError."""
        if self.callback is None:
            return
        now = self.client.io_loop.time()
        times = self._time_info(now, now)
        # The second, a method of this object, would be a reference cycle.
        self.connection = self._follow = None
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
        """Called when the deadline has passed."""
        phase = self.phase
        message = "Timeout " + DOING.get(phase, phase)
        if self._redirects:
            message += " after %d redirects" % self._redirects
        self.cancel()
        self.fail(self.timeout_error(message, phase))


class BodyWriter(object):
    """The argument of a body_producer: call it with each piece of the body."""
    __slots__ = ("_fetch", "_connection")

    def __init__(self, fetch, connection):
        self._fetch = fetch
        self._connection = connection

    def __call__(self, data, callback=None):
        """Send bytes of the body; `callback()` is called when they have been written to the socket,
        and never if the connection is lost. Raises HTTPOutputError for more bytes than the
        Content-Length announced, StreamClosedError once the fetch has ended or was redirected."""
        fetch = self._fetch
        if fetch.connection is not self._connection or fetch.is_sent:
            raise StreamClosedError()
        if fetch.body_left is not None:
            if len(data) > fetch.body_left:
                raise HTTPOutputError("%d bytes more than the Content-Length"
                                      % (len(data) - fetch.body_left))
            fetch.body_left -= len(data)
        fetch.send_piece(data, callback)

    def finish(self):
        """End the body."""
        fetch, connection = self._fetch, self._connection
        if fetch.connection is not connection or fetch.is_sent:
            return
        if fetch.body_left:
            fetch.body_failed(connection, HTTPOutputError(
                "%d bytes less than the Content-Length" % fetch.body_left))
            return
        fetch.is_sent = True
        fetch.send_end()


def decode_location(value):
    """The value of a Location header as text. Its bytes are usually UTF-8, and a space in it
    should have been percent-encoded."""
    data = value if isinstance(value, bytes) else value.encode("latin-1")
    try:
        text = data.decode("utf-8")
    except UnicodeError:
        text = data.decode("latin-1")
    return text.replace(u" ", u"%20")
