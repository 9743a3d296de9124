"""`HTTPRequest` and `HTTPResponse`, as applications create and receive them."""
from __future__ import absolute_import, division, print_function

import io
import ssl
import time

from friendserve.escape import utf8
from friendserve.httpclient.errors import HTTPError
from friendserve.httputil import HTTPHeaders, format_timestamp
from friendserve.protocol.grammar import is_token, split_list
from friendserve.protocol.headers import check_field, normalize_name
from friendserve.protocol.http1 import REASONS
from friendserve.protocol.urls import parse_url
from friendserve.stack_context import state, wrap

#: Each method, and whether a request with it must have a body, must not, or may (None).
METHODS = {"GET": False, "HEAD": False, "POST": True, "PUT": True, "PATCH": True,
           "DELETE": None, "OPTIONS": None}

_CALLBACKS = "streaming_callback", "header_callback", "prepare_curl_callback", "body_producer"

#: The fields that concern one connection only, whether Connection names them or not (RFC 9110
#: 7.6.1).
HOP_BY_HOP = frozenset(["Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
                        "Transfer-Encoding", "Upgrade"])

#: The fields that are between a client and its proxy (RFC 9110 11.7).
_FOR_PROXIES = frozenset(["Proxy-Authenticate", "Proxy-Authentication-Info",
                          "Proxy-Authorization"])

#: option -> the options that say something else instead: if one of them is set in a request, the
#: default of the option does not apply to it.
_INSTEAD_OF = {
    "auth_password": ("auth_username",), "body": ("body_producer",), "body_producer": ("_body",),
    "proxy_host": ("unix_socket",), "unix_socket": ("proxy_host",),
    "ssl_options": ("validate_cert", "ca_certs", "client_cert", "client_key")}

# Options whose value is kept under another name.
_KEPT_AS = {"body": "_body", "headers": "_headers", "use_gzip": "decompress_response"}


def end_to_end_headers(headers):
    """A copy of the HTTPHeaders of a received message with the fields that may be passed on to the
    next server or client (RFC 9110 7.6.1).

    Fields that concern one connection are left out: Connection and those that it names,
    Transfer-Encoding, Upgrade and others; and those between a client and its proxy. Whoever sends
    the message sets its Content-Length.
    """
    headers = HTTPHeaders(headers)
    _remove_hop_by_hop(headers)
    for name in _FOR_PROXIES:
        headers._values.pop(name, None)
    return headers


def _remove_hop_by_hop(headers):
    named = split_list(headers.get("Connection", ""))
    for name in HOP_BY_HOP.union(map(normalize_name, named)):
        headers._values.pop(name, None)


class HTTPRequest(object):
    """What to fetch, and how. An option that is None gets the client's default.

    The request:

    - `url`; it may contain a user name and password;
    - `method` ("GET"). POST, PUT and PATCH need a body, GET and HEAD must not have one; with
      `allow_nonstandard_methods` these rules do not apply, and other methods may be used;
    - `headers`: a mapping, HTTPHeaders or pairs. The client frames the request, so it does not send
      Transfer-Encoding, Connection and other fields that concern one connection (RFC 9110 7.6.1),
      Expect, or a Content-Length; nor a Host that is given twice;
    - `body`: bytes, or text, which is sent as UTF-8;
    - `body_producer`: instead, a function that sends the body piece by piece. It gets a function
      ``write(data, callback=None)``. The body ends when it returns, or, if it returns `write`
      itself, when ``write.finish()`` is called. It is held to the Content-Length in `headers`, and
      chunked without one;
    - `expect_100_continue`: send the body only once the server agrees (RFC 9110 10.1.1);
    - `user_agent`: the value of that header;
    - `if_modified_since`: a time that `format_timestamp` accepts, for that header.

    Credentials:

    - `auth_username`, `auth_password`, and `auth_mode`: "basic" (the default) or "digest";
    - `cookie_jar`: an `http.cookiejar.CookieJar` that supplies and stores cookies.

    The response:

    - `decompress_response` (True; its old name is `use_gzip`): ask for compressed responses and
      decompress them;
    - `header_callback(line)`: called for each line of the head;
    - `streaming_callback(data)`: called for each piece of the body as it arrives; the HTTPResponse
      then has an empty body. Neither is called for a response that is a followed redirect;
    - `follow_redirects` (True) and `max_redirects` (5).

    The connection:

    - `connect_timeout` and `request_timeout`: seconds until there is a connection, and for the
      whole fetch after the queue (20; 0 for no limit). A fetch waits in the queue no longer than
      the shorter of them;
    - `allow_ipv6` (True): if False, connect by IPv4 only;
    - `network_interface`: the local IP address to connect from;
    - `unix_socket`: the path of a Unix socket to connect to instead;
    - `proxy_host` and `proxy_port`: an HTTP proxy, and for it `proxy_username`, `proxy_password`
      and `proxy_auth_mode`;
    - `validate_cert` (True), `ca_certs` (a file; default: the CAs the system trusts),
      `client_cert` and `client_key` (files): for https;
    - `ssl_options`: a dict or SSLContext that replaces these four;
    - `require_close_notify` (True): whether a body without a length, which ends with the
      connection, must end with the close_notify of TLS. Otherwise it may have been cut off, and the
      fetch fails (RFC 9112 9.8). Set this to False for a server that never sends it;
    - `prepare_curl_callback(curl)`: called to set further options, by the curl client only.

    A client does not change the request it is given. The callbacks are called in the stack contexts
    in which the request is made, or if there are none, in those of the fetch.
    """
    _DEFAULTS = dict(
        connect_timeout=20.0, request_timeout=20.0, follow_redirects=True, max_redirects=5,
        decompress_response=True, proxy_password="", allow_nonstandard_methods=False,
        validate_cert=True, allow_ipv6=True, require_close_notify=True)

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
                 unix_socket=None, cookie_jar=None, require_close_notify=None):
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
        # Credentials.
        self.auth_mode = auth_mode
        self.auth_username, self.auth_password = auth_username, auth_password
        self.cookie_jar = cookie_jar
        # The response.
        self.decompress_response = use_gzip if decompress_response is None else decompress_response
        self.header_callback = header_callback
        self.streaming_callback = streaming_callback
        self.follow_redirects = follow_redirects
        self.max_redirects = max_redirects
        # Connection.
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
        self.require_close_notify = require_close_notify
        self.prepare_curl_callback = prepare_curl_callback
        #: When the request was made, as `time.time()`.
        self.start_time = time.time()
        #: In the copy that a client works with: the request that the caller passed.
        self.original_request = None
        if state.contexts:
            # They may differ from those of the fetch.
            for name in _CALLBACKS:
                setattr(self, name, wrap(getattr(self, name)))

    @property
    def headers(self):
        """The HTTPHeaders or whatever mapping was passed; made on first use if there is none."""
        if self._headers is None:
            self._headers = HTTPHeaders()
        return self._headers

    @headers.setter
    def headers(self, headers):
        self._headers = headers

    @property
    def body(self):
        """The body as bytes, or None. Text is encoded as UTF-8 when it is set."""
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
        """A copy that can be changed independently; its headers are a copy as well."""
        request = object.__new__(type(self))
        request.__dict__.update(self.__dict__)
        if request._headers is not None:
            request._headers = HTTPHeaders(request._headers)
        return request

    def tls_options(self):
        """The options for TLS: `ssl_options` if it is set, else a dict of the same kind made of
        `validate_cert`, `ca_certs`, `client_cert` and `client_key`."""
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
        """Replace options that are None by `defaults`, and check the request. Clients call this on
        their copy. Raises ValueError if the request cannot be sent."""
        own = self.__dict__
        has_user = parse_url(self.url).username is not None
        self._fill(defaults, has_user)
        self._check_method()
        if self._headers is not None:
            self._headers = self._check_headers()
        if self.user_agent is not None:
            self.user_agent = check_field("User-Agent", self.user_agent)
        for callback in _CALLBACKS:
            if own[callback] is not None:
                own[callback] = wrap(own[callback])

    def _fill(self, defaults, has_user):
        own = self.__dict__
        absent = set(name for name in own if own[name] is None)
        for name, value in defaults.items():
            kept_as = _KEPT_AS.get(name, name)
            if name == "headers":
                self._add_headers(value)
            elif has_user and name in ("auth_username", "auth_password"):
                # The URL has its own.
                continue
            elif kept_as in absent and absent.issuperset(_INSTEAD_OF.get(name, ())):
                # The class has a default for the new name of `use_gzip`, but none for the old.
                if name != "decompress_response" or defaults.get("use_gzip") is None:
                    setattr(self, name, value)

    def _add_headers(self, defaults):
        headers = HTTPHeaders(defaults or {})
        if self._headers is not None:
            headers._values.update(HTTPHeaders(self._headers)._values)
        self._headers = headers

    def _check_headers(self):
        """The headers to be sent, without those that the client decides on."""
        headers = HTTPHeaders()
        for name, value in HTTPHeaders(self._headers).get_all():
            headers.add(name, check_field(name, value))
        _remove_hop_by_hop(headers)
        values = headers._values
        # `expect_100_continue` asks for it; a relayed one was for the server that has relayed it.
        values.pop("Expect", None)
        if self.body_producer is None:
            values.pop("Content-Length", None)
        if isinstance(values.get("Host"), list):
            del values["Host"]
        return headers

    def _check_method(self):
        has_body = self._body is not None or self.body_producer is not None
        if self._body is not None and self.body_producer is not None:
            raise ValueError("a request cannot have both a body and a body_producer")
        if self.allow_nonstandard_methods:
            if not is_token(self.method):
                raise ValueError("%r is not a valid method" % (self.method,))
            if self.method == "CONNECT":
                raise ValueError("CONNECT makes a connection a tunnel, which no fetch can use; for "
                                 "a proxy set proxy_host")
            return
        if self.method not in METHODS:
            raise ValueError("the method %r needs allow_nonstandard_methods; without it, use one "
                             "of %s" % (self.method, ", ".join(sorted(METHODS))))
        if METHODS[self.method] not in (None, has_body):
            raise ValueError("a %s request %s (allow_nonstandard_methods permits it)" % (
                self.method, "must not have a body" if has_body else
                "needs a body, which may be empty"))

    def __repr__(self):
        # Without the password that the URL may contain: this goes to logs.
        try:
            shown = parse_url(self.url).text
        except (TypeError, ValueError):
            shown = "an invalid URL"
        return "%s(%s %s)" % (type(self).__name__, self.method, shown)


class HTTPResponse(object):
    """The result of a fetch.

    - `code`, `reason` and `headers` (HTTPHeaders): the head of the response;
    - `body` (bytes) and `buffer` (the same as a BytesIO): its body;
    - `error`: None for a success (2xx), else an `HTTPError`, with code 599 if there was no
      complete response;
    - `request`: the HTTPRequest as it was made, before any redirect;
    - `effective_url`: the URL that the last redirect led to, without user name and password;
    - `request_time`: seconds from leaving the queue to the end;
    - `start_time`: when the request was made, as `time.time()`;
    - `time_info`: a dict of seconds. "queue" is the time spent in the queue; "namelookup",
      "connect", "appconnect" (TLS), "pretransfer", "starttransfer" (the first byte) and "total"
      are when these phases ended, counted from leaving the queue; "redirect" is the time spent on
      redirects. On a connection that was used before, the first four phases are 0.
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
        """The body as a file, or None if there is none."""
        if self._buffer is None and self._body is not None:
            self._buffer = io.BytesIO(self._body)
        return self._buffer

    @property
    def body(self):
        """The body as bytes, or None if there is none."""
        if self._body is None and self._buffer is not None:
            self._body = self._buffer.getvalue()
        return self._body

    @property
    def error(self):
        """None for a success, else an exception."""
        # A new HTTPError each time: keeping it would make a reference cycle with this response.
        if self._error is None and not 200 <= self.code < 300:
            return HTTPError(self.code, self.reason, self)
        return self._error

    def rethrow(self):
        """Raise `error` if there is one."""
        if self.error:
            raise self.error

    def __repr__(self):
        # Without headers and body: they may contain secrets, and this goes to logs.
        return "%s(code=%r, reason=%r, request=%r, error=%r, request_time=%r)" % (
            type(self).__name__, self.code, self.reason, self.request, self._error,
            self.request_time)
