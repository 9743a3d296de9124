"""What is fetched and what comes back: `HTTPRequest` and `HTTPResponse`."""
from __future__ import absolute_import, division, print_function

import io
import ssl
import time

from friendserve.escape import utf8
from friendserve.httpclient.errors import HTTPError
from friendserve.httputil import HTTPHeaders, format_timestamp
from friendserve.protocol.grammar import is_token
from friendserve.protocol.headers import check_field
from friendserve.protocol.http1 import REASONS
from friendserve.protocol.urls import parse_url
from friendserve.stack_context import wrap

#: Each method, and whether a request with it must have a body, must not, or may (None).
METHODS = {"GET": False, "HEAD": False, "POST": True, "PUT": True, "PATCH": True,
           "DELETE": None, "OPTIONS": None}

_CALLBACKS = "streaming_callback", "header_callback", "prepare_curl_callback", "body_producer"


class HTTPRequest(object):
    """What to fetch, and how. What is None takes the default of the client.

    `url`, `method`, `headers` (a mapping, HTTPHeaders or pairs) and `body` (bytes, or text to be
    sent as UTF-8) make the request; POST, PUT and PATCH need a body, GET and HEAD must have none,
    unless `allow_nonstandard_methods`. `body_producer(write)` sends a body piece by piece
    instead: it calls ``write(data, callback=None)``, and the body ends when it returns, or, if
    it returns `write` itself, when somebody calls ``write.finish()``. Without a Content-Length
    such a body is chunked. `expect_100_continue` sends it only when the server agrees.

    `auth_username`, `auth_password` and `auth_mode` ("basic", "digest") prove who we are; a URL
    may have a name and password, too. `connect_timeout` and `request_timeout` (20 seconds, 0 for
    none) bound the time until there is a connection and that for all after the queue;
    waiting in the queue is bounded by the shorter one. `if_modified_since` is a time as
    `format_timestamp` takes it, `user_agent` a header. `follow_redirects` follows `max_redirects`
    of them (5). `decompress_response` (`use_gzip` is its old name) asks for compressed
    responses and unpacks them.

    `streaming_callback(data)` gets the body as it comes and `header_callback(line)` each line
    of the head, both of the last response only when there are redirects.

    `proxy_host` and `proxy_port` name an HTTP proxy, `proxy_username`, `proxy_password` and
    `proxy_auth_mode` what it wants. `validate_cert` (True), `ca_certs` (a file; default: what the
    system trusts), `client_key` and `client_cert` are for https; `ssl_options`, a dict or
    SSLContext, replaces these four. `allow_ipv6` (True) may be False to connect by IPv4 only,
    `network_interface` is the local address to connect from, `unix_socket` the path of a
    socket to use in place of the network, `cookie_jar` an `http.cookiejar.CookieJar` that gives
    and keeps cookies. `prepare_curl_callback(curl)` is for the curl client.

    A client changes nothing of a request it is given. Raises ValueError, as `fetch` does, for
    what cannot be sent.
    """
    _DEFAULTS = dict(
        connect_timeout=20.0, request_timeout=20.0, follow_redirects=True, max_redirects=5,
        decompress_response=True, proxy_password="", allow_nonstandard_methods=False,
        validate_cert=True, allow_ipv6=True)

    def __init__(self, url, method="GET", headers=None, body=None,
                 auth_username=None, auth_password=None, auth_mode=None,
                 connect_timeout=None, request_timeout=None, if_modified_since=None,
                 follow_redirects=None, max_redirects=None,
                 user_agent=None, use_gzip=None, network_interface=None,
                 streaming_callback=None, header_callback=None, prepare_curl_callback=None,
                 proxy_host=None, proxy_port=None,
                 proxy_username=None, proxy_password=None, proxy_auth_mode=None,
                 allow_nonstandard_methods=None, validate_cert=None, ca_certs=None,
                 allow_ipv6=None, client_key=None, client_cert=None, body_producer=None,
                 expect_100_continue=False, decompress_response=None, ssl_options=None,
                 unix_socket=None, cookie_jar=None):
        self.url = url
        self.method = method
        self.allow_nonstandard_methods = allow_nonstandard_methods
        self._headers = headers
        self.user_agent = user_agent
        if if_modified_since is not None:
            # A copy: the headers are the caller's.
            self._headers = HTTPHeaders(headers or {})
            self._headers["If-Modified-Since"] = format_timestamp(if_modified_since)
        self._body = body if body is None or type(body) is bytes else utf8(body)
        self.body_producer = body_producer
        self.expect_100_continue = expect_100_continue
        # Who we are.
        self.auth_mode = auth_mode
        self.auth_username, self.auth_password = auth_username, auth_password
        self.cookie_jar = cookie_jar
        # The response.
        self.decompress_response = use_gzip if decompress_response is None else decompress_response
        self.header_callback = header_callback
        self.streaming_callback = streaming_callback
        self.follow_redirects = follow_redirects
        self.max_redirects = max_redirects
        # The way there.
        self.request_timeout = request_timeout
        self.connect_timeout = connect_timeout
        self.allow_ipv6 = allow_ipv6
        self.network_interface = network_interface
        self.unix_socket = unix_socket
        self.proxy_host, self.proxy_port = proxy_host, proxy_port
        self.proxy_auth_mode = proxy_auth_mode
        self.proxy_username, self.proxy_password = proxy_username, proxy_password
        self.ssl_options = ssl_options
        self.validate_cert, self.ca_certs = validate_cert, ca_certs
        self.client_cert, self.client_key = client_cert, client_key
        self.prepare_curl_callback = prepare_curl_callback
        #: When this object was made, by `time.time()`.
        self.start_time = time.time()
        #: The caller's request, in the copy that a client works with.
        self.original_request = None

    @property
    def headers(self):
        """The headers, made when first asked for."""
        if self._headers is None:
            self._headers = HTTPHeaders()
        return self._headers

    @headers.setter
    def headers(self, headers):
        self._headers = headers

    @property
    def body(self):
        """The body as bytes, or None; text that is set becomes UTF-8."""
        return self._body

    @body.setter
    def body(self, body):
        self._body = utf8(body)

    @property
    def use_gzip(self):
        """The old name of `decompress_response`."""
        return self.decompress_response

    @use_gzip.setter
    def use_gzip(self, value):
        self.decompress_response = value

    def copy(self):
        """A request of its own that says the same; the headers are copied too."""
        request = object.__new__(type(self))
        request.__dict__.update(self.__dict__)
        if request._headers is not None:
            request._headers = HTTPHeaders(request._headers)
        return request

    def tls_options(self):
        """The options to begin TLS with: `ssl_options` if it is set, else a dict of the same kind
        made of `validate_cert`, `ca_certs`, `client_cert` and `client_key`."""
        if self.ssl_options is not None:
            return self.ssl_options
        options = {} if self.validate_cert else {"cert_reqs": ssl.CERT_NONE}
        if self.ca_certs:
            options["ca_certs"] = self.ca_certs
        if self.client_cert:
            options["certfile"] = self.client_cert
        if self.client_key:
            options["keyfile"] = self.client_key
        return options

    def complete(self, defaults):
        """Take `defaults` for what is None, and check the whole; for clients, on their own
        copy. Raises ValueError for what cannot be sent."""
        own = self.__dict__
        for name, value in defaults.items():
            if name not in own:
                # One that is a property.
                setattr(self, name, value)
            elif own[name] is None:
                own[name] = value
        parse_url(self.url)
        self._check_method()
        if self._headers is not None:
            headers = HTTPHeaders()
            for name, value in HTTPHeaders(self._headers).get_all():
                headers.add(name, check_field(name, value))
            self._headers = headers
        if self.user_agent is not None:
            self.user_agent = check_field("User-Agent", self.user_agent)
        for callback in _CALLBACKS:
            if own[callback] is not None:
                own[callback] = wrap(own[callback])

    def _check_method(self):
        has_body = self._body is not None or self.body_producer is not None
        if self._body is not None and self.body_producer is not None:
            raise ValueError("a request has a body or a body_producer, not both")
        if self.allow_nonstandard_methods:
            if not is_token(self.method):
                raise ValueError("%r cannot be a method" % (self.method,))
            return
        if self.method not in METHODS:
            raise ValueError("the method %r needs allow_nonstandard_methods; without it there are "
                             "%s" % (self.method, ", ".join(sorted(METHODS))))
        if METHODS[self.method] not in (None, has_body):
            raise ValueError("a %s request %s (allow_nonstandard_methods permits it)" % (
                self.method, "must not have a body" if has_body else "needs a body, which may be "
                "empty"))

    def __repr__(self):
        # Not the URL as it is: it may hold a password, and this goes to logs.
        try:
            shown = parse_url(self.url).text
        except (TypeError, ValueError):
            shown = "an invalid URL"
        return "%s(%s %s)" % (type(self).__name__, self.method, shown)


class HTTPResponse(object):
    """What came back.

    `code`, `reason` and `headers` (HTTPHeaders) are its head, `body` (bytes) and `buffer` (a
    BytesIO) its body. `error` is None after a success (2xx) and an `HTTPError` otherwise,
    with code 599 when there is no response. `request` is the HTTPRequest, `effective_url` where
    the last redirect led, without name and password. `request_time` is the seconds from
    leaving the queue to the end, `start_time` its beginning by `time.time()`.

    `time_info` has seconds: how long it was in the "queue" and, counted from the end of that, when
    it came to the end of a phase: "namelookup", "connect", "appconnect" (TLS), "pretransfer",
    "starttransfer" (the first byte), "total", and the part of "redirect". On a connection used
    before, the first three are 0.
    """
    def __init__(self, request, code, headers=None, buffer=None, effective_url=None, error=None,
                 request_time=None, time_info=None, reason=None, start_time=None, body=None):
        self.request = request
        self.code = code
        self.reason = reason or REASONS.get(code, "Unknown")
        self.headers = headers if headers is not None else HTTPHeaders()
        self.effective_url = request.url if effective_url is None else effective_url
        self.request_time = request_time
        self.start_time = start_time
        self.time_info = time_info or {}
        self._buffer = buffer
        self._body = body
        self._error = error

    @property
    def buffer(self):
        """The body as a file, or None where there is none."""
        if self._buffer is None and self._body is not None:
            self._buffer = io.BytesIO(self._body)
        return self._buffer

    @property
    def body(self):
        """The body as bytes; None where there is none."""
        if self._body is None and self._buffer is not None:
            self._body = self._buffer.getvalue()
        return self._body

    @property
    def error(self):
        """None after a success, else an exception."""
        # An HTTPError is made anew: one that was kept would be a cycle with this response.
        if self._error is None and not 200 <= self.code < 300:
            return HTTPError(self.code, self.reason, self)
        return self._error

    def rethrow(self):
        """Raise `error` if there is one."""
        if self.error:
            raise self.error

    def __repr__(self):
        # Neither headers nor body: both hold secrets, and this goes to logs.
        return "%s(code=%r, reason=%r, request=%r, error=%r, request_time=%r)" % (
            type(self).__name__, self.code, self.reason, self.request, self._error,
            self.request_time)
