"""HTTP clients: `AsyncHTTPClient`, whose `fetch` takes a callback, and the blocking `HTTPClient`.

    from friendserve.httpclient import AsyncHTTPClient
    from friendserve.ioloop import IOLoop

    def on_response(response):
        print(response.code, response.error or response.body)
        IOLoop.current().stop()

    AsyncHTTPClient().fetch("http://www.example.com/", on_response)
    IOLoop.current().start()

Two clients lie behind that name: `friendserve.simple_httpclient`, the default, in Python and
over our own streams, and `friendserve.curl_httpclient` over libcurl, chosen by
``AsyncHTTPClient.configure("friendserve.curl_httpclient.CurlAsyncHTTPClient")``.

From a shell, ``python -m friendserve.httpclient URL`` fetches.
"""
from __future__ import absolute_import, division, print_function

import functools
import io
import sys
import time

from friendserve.escape import utf8
from friendserve.fetchoutput import Output, parse_arguments
from friendserve.httputil import HTTPHeaders, encode_multipart_formdata, format_timestamp
from friendserve.ioloop import IOLoop
from friendserve.protocol.errors import ConnectionLostError
from friendserve.protocol.grammar import is_token
from friendserve.protocol.headers import check_field
from friendserve.protocol.http1 import REASONS
from friendserve.protocol.urls import parse_url
from friendserve.stack_context import state, wrap
from friendserve.util import Configurable, import_object

__all__ = ["AsyncHTTPClient", "HTTPClient", "HTTPClientClosedError", "HTTPClientError",
           "HTTPConnectError", "HTTPError", "HTTPProtocolError", "HTTPRequest", "HTTPResponse",
           "HTTPStreamClosedError", "HTTPTLSError", "HTTPTimeoutError", "HTTPTransferError",
           "encode_multipart_formdata", "main"]

#: Each method, and whether a request with it must have a body, must not, or may (None).
METHODS = {"GET": False, "HEAD": False, "POST": True, "PUT": True, "PATCH": True,
           "DELETE": None, "OPTIONS": None}


_CALLBACKS = "streaming_callback", "header_callback", "prepare_curl_callback", "body_producer"


# Errors

class HTTPClientError(Exception):
    """The answer was not a success, or there was none.

    `code` is the status, 599 where there was no answer; then this is an `HTTPTransferError`.
    `response` is the HTTPResponse where there is one.
    """
    def __init__(self, code, message=None, response=None):
        super(HTTPClientError, self).__init__(code, message, response)
        self.code = code
        self.message = message or REASONS.get(code, "Unknown")
        self.response = response

    def __str__(self):
        return "HTTP %d: %s" % (self.code, self.message)

    # Exception has one of its own, which would show the response.
    __repr__ = __str__


HTTPError = HTTPClientError


class HTTPTransferError(HTTPClientError):
    """There is no whole response; the base of the errors that say why.

    `phase` tells how far the fetch had come: "queue", "resolve", "connect", "proxy", "tls",
    "request" (sending it), "headers" (waiting for the answer) or "body". `real_error` is the
    exception from below that caused it, if one did. `code` is 599, which no server sends.
    """
    default_message = "No response"

    def __init__(self, message=None, phase=None, real_error=None):
        super(HTTPTransferError, self).__init__(599, message or self.default_message)
        self.args = (message, phase, real_error)
        self.phase = phase
        self.real_error = real_error


class HTTPTimeoutError(HTTPTransferError):
    """The time was over, in the queue or later; `phase` says where."""
    default_message = "Timeout"


class HTTPStreamClosedError(HTTPTransferError):
    """The server closed the connection before the response was whole."""
    default_message = "Stream closed"


class HTTPConnectError(HTTPTransferError):
    """The host has no address, or none that takes connections, or the proxy refuses."""
    default_message = "Connection failed"


class HTTPTLSError(HTTPTransferError):
    """The TLS handshake failed, for the server's certificate perhaps."""
    default_message = "TLS handshake failed"


class HTTPProtocolError(HTTPTransferError):
    """What came is no HTTP, or is larger than the limits of the client allow."""
    default_message = "Malformed response"


class HTTPClientClosedError(HTTPTransferError):
    """The client was closed before the response was whole."""
    default_message = "The HTTP client was closed"


def transfer_error(phase, error):
    """The HTTPTransferError for what a connection failed with in `phase`: an HTTPInputError, a
    ConnectionLostError, or one that is an HTTPTransferError already."""
    if isinstance(error, HTTPTransferError):
        return error
    if isinstance(error, ConnectionLostError):
        return HTTPStreamClosedError(str(error), phase, error.real_error)
    return HTTPProtocolError(str(error), phase)


# Requests

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


# Responses

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


# Clients

def _ignore(response):
    """The callback of those who do not want to know."""


class AsyncHTTPClient(Configurable):
    """A client of one loop, which all code on that loop shares.

    The constructor returns the same client for the same loop (`io_loop`, or the current one),
    until it is closed; `force_instance` makes one apart, with settings of its own.
    `configure` chooses the implementation and its settings; `defaults` is a dict of values for
    what an HTTPRequest leaves open. Further settings are those of the implementation.

    For implementers: `fetch_impl(request, callback)` gets a request that is checked, complete
    and its own, and calls `callback(response)` exactly once; that schedules the call into
    the application. ``request.original_request`` is for the response.
    """
    @classmethod
    def configurable_base(cls):
        return AsyncHTTPClient

    @classmethod
    def configurable_default(cls):
        # By name: it stands above this module.
        return import_object("friendserve.simple_httpclient.SimpleAsyncHTTPClient")

    def __new__(cls, io_loop=None, force_instance=False, **kwargs):
        io_loop = io_loop or IOLoop.current()
        if force_instance:
            return super(AsyncHTTPClient, cls).__new__(cls, io_loop=io_loop, **kwargs)
        # On the loop itself, so that clients go when their loop goes.
        clients = vars(io_loop).setdefault("_http_clients", {})
        kind = cls.configured_class() if cls is cls.configurable_base() else cls
        client = clients.get(kind)
        if client is None:
            client = clients[kind] = super(AsyncHTTPClient, cls).__new__(
                cls, io_loop=io_loop, **kwargs)
        return client

    def initialize(self, io_loop=None, defaults=None):
        self.io_loop = io_loop or IOLoop.current()
        self.defaults = dict(HTTPRequest._DEFAULTS, **(defaults or {}))
        self._plain = None, None        # the request of `_get`, and the defaults it was made of
        self._closed = False

    def close(self):
        """Fetch no more, and give back all connections. Callbacks of requests that are under
        way are called with an error. Needless for a client that lives as long as its loop."""
        if self._closed:
            return
        self._closed = True
        clients = vars(self.io_loop).get("_http_clients", {})
        for kind in [kind for kind in clients if clients[kind] is self]:
            del clients[kind]

    def fetch(self, request, callback=None, raise_error=True, **kwargs):
        """Fetch a URL or an HTTPRequest and call `callback(response)` with an HTTPResponse.

        It is called exactly once, from the loop, in the stack context of this call; whatever
        went wrong on the way is ``response.error``. `kwargs` are those of HTTPRequest, for a
        URL. `raise_error` is for those to whom a fetch returns something, such as
        `HTTPClient.fetch`, and changes nothing here.

        Raises ValueError at once for what cannot be sent, and RuntimeError when the client is
        closed.
        """
        if self._closed:
            raise RuntimeError("this HTTP client is closed")
        if isinstance(request, HTTPRequest):
            if kwargs:
                raise ValueError("options go into the HTTPRequest, where there is one: %s"
                                 % ", ".join(sorted(kwargs)))
            own = request.copy()
            own.original_request = request
            own.complete(self.defaults)
        elif kwargs:
            own = HTTPRequest(request, **kwargs)
            own.complete(self.defaults)
        else:
            own = self._get(request)
        if callback is None:
            callback = _ignore
        elif state.contexts:
            callback = wrap(callback)
        elif not callable(callback):
            raise TypeError("a callback must be a callable, not %r" % (callback,))
        self.fetch_impl(own, functools.partial(self.io_loop.add_callback, callback))

    def _get(self, url):
        """The complete request for a URL and no more: one is made, and the others are copies."""
        plain, defaults = self._plain
        if defaults != self.defaults:
            plain = HTTPRequest(url)
            plain.complete(self.defaults)
            self._plain = plain, dict(self.defaults)
        own = plain.copy()
        own.url = url
        own.start_time = time.time()
        parse_url(url)
        return own

    def fetch_impl(self, request, callback):
        """Fetch a complete request; to be overridden."""
        raise NotImplementedError("%s must define fetch_impl" % type(self).__name__)


class HTTPClient(object):
    """A client that blocks, for scripts and for threads other than that of the loop.

        client = HTTPClient()
        print(client.fetch("http://www.example.com/").body)
        client.close()

    It has a loop of its own, which runs during `fetch` only; another loop that runs in the same
    thread stands still meanwhile. `async_client_class` (default: what is configured for
    AsyncHTTPClient) and `kwargs` make the client inside.
    """
    def __init__(self, async_client_class=None, **kwargs):
        self._closed = True     # until there is something to close
        self._io_loop = IOLoop(make_current=False)
        try:
            self._client = (async_client_class or AsyncHTTPClient)(
                io_loop=self._io_loop, force_instance=True, **kwargs)
        except BaseException:
            self._io_loop.close()
            raise
        self._closed = False

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        self.close()

    def __del__(self):
        self.close()

    def close(self):
        """Give back connections and loop."""
        if not self._closed:
            self._closed = True
            self._client.close()
            self._io_loop.close(all_fds=True)

    def fetch(self, request, raise_error=True, **kwargs):
        """The HTTPResponse to a URL or HTTPRequest, with the options of `AsyncHTTPClient.fetch`.

        Raises ``response.error`` if there is one; with `raise_error` False only where there
        is no response. RuntimeError when this client is closed or fetches already.
        """
        if self._closed:
            raise RuntimeError("this HTTP client is closed")
        if self._io_loop.running():
            raise RuntimeError("this HTTP client fetches already: take one for each thread")
        responses = []

        def on_response(response):
            responses.append(response)
            self._io_loop.stop()

        self._client.fetch(request, on_response, **kwargs)
        self._io_loop.start()
        response = responses.pop()
        if response.error and (raise_error or isinstance(response.error, HTTPTransferError)):
            raise response.error
        return response


# From a shell

def main(arguments=None):
    """Fetch the URLs on the command line one by one; returns the status to exit with: 1 when one
    of them failed. ``--help`` tells the options."""
    options = parse_arguments(arguments)
    status = 0
    # A download is bounded by its reader, not by us.
    with HTTPClient(max_body_size=sys.maxsize) as client:
        for url in options.urls:
            output = Output(options)
            try:
                client.fetch(url, header_callback=output.on_line,
                             streaming_callback=output.on_data, request_timeout=0,
                             follow_redirects=options.follow_redirects,
                             validate_cert=options.validate_cert,
                             proxy_host=options.proxy_host, proxy_port=options.proxy_port)
            except (HTTPError, ValueError) as error:
                status = 1
                sys.stderr.write("%s: %s\n" % (url, error))
            finally:
                output.close()
    return status


if __name__ == "__main__":
    # Not the main of this module, which then would be there twice.
    sys.exit(import_object("friendserve.httpclient").main())
