"""HTTP for applications, servers and clients: messages, headers, URLs and forms.

    headers = HTTPHeaders({"content-type": "text/html"})
    headers["Content-Type"]                                 # "text/html"
    url_concat("http://example.com/?a=b", [("c", "d e")])   # "http://example.com/?a=b&c=d+e"

Some of these names are defined in `friendserve.protocol`; import them from here.
"""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import collections
import os
import re
import time
import unicodedata

from six.moves.urllib.parse import urlencode

from friendserve.escape import utf8
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.protocol.cookies import parse_cookie
from friendserve.protocol.errors import HTTPInputError, HTTPOutputError
from friendserve.protocol.forms import parse_header_value, parse_urlencoded
from friendserve.protocol.grammar import match_request_line, match_status_line
from friendserve.protocol.headers import HTTPHeaders
from friendserve.protocol.multipart import HTTPFile, encode_multipart, parse_multipart
from friendserve.util import format_timestamp

__all__ = ["HTTPConnection", "HTTPFile", "HTTPHeaders", "HTTPInputError", "HTTPMessageDelegate",
           "HTTPOutputError", "HTTPServerConnectionDelegate", "HTTPServerRequest",
           "RequestStartLine", "ResponseStartLine", "basic_credentials",
           "encode_multipart_formdata", "encode_username_password", "format_timestamp",
           "parse_body_arguments", "parse_cookie", "parse_multipart_form_data",
           "parse_request_start_line", "parse_response_start_line", "qs_to_qsl",
           "split_host_and_port", "url_concat"]


# Start lines

#: The first line of a request; `path` is the whole target, with its query.
RequestStartLine = collections.namedtuple("RequestStartLine", "method path version")

#: The first line of a response; `code` is an int.
ResponseStartLine = collections.namedtuple("ResponseStartLine", "version code reason")


def parse_request_start_line(line):
    """``GET /foo HTTP/1.1`` as a RequestStartLine (RFC 9112 3).

    `line` is a native string without the line end. Raises HTTPInputError.
    """
    match = match_request_line(line)
    if match is None or match.group(3) != "1":
        raise HTTPInputError("malformed request line %r: it must look like GET /path HTTP/1.1"
                             % line[:80])
    method, target, major, minor = match.groups()
    return RequestStartLine(method, target, "HTTP/%s.%s" % (major, minor))


def parse_response_start_line(line):
    """``HTTP/1.1 200 OK`` as a ResponseStartLine (RFC 9112 4).

    `line` is a native string without the line end. Raises HTTPInputError.
    """
    match = match_status_line(line)
    if match is None or match.group(1) != "1":
        raise HTTPInputError("malformed status line %r: it must look like HTTP/1.1 200 OK"
                             % line[:80])
    major, minor, code, reason = match.groups()
    return ResponseStartLine("HTTP/%s.%s" % (major, minor), int(code), reason or "")


# Dates

_now = time.time
_date = ""
_date_from = _date_until = 0


def http_date():
    """The current value of a Date header (RFC 9110 6.6.1); formatted once per second."""
    global _date, _date_from, _date_until
    now = _now()
    if not _date_from <= now < _date_until:
        second = int(now)
        # The date first: a thread that runs in between formats it again, and never uses an old one.
        _date = format_timestamp(second)
        _date_from, _date_until = second, second + 1
    return _date


# URLs

def url_concat(url, args):
    """`url` with `args` added to its query, before any fragment.

    `args` is a dict, or a list or tuple of (name, value) pairs; None adds nothing. The existing
    query is kept, except that a name without a value gets a "=". Raises TypeError for other
    types of `args`.
    """
    if args is None:
        return url
    if not isinstance(args, (dict, list, tuple)):
        raise TypeError("args must be a dict or a list of pairs, not %s" % type(args).__name__)
    pairs = args.items() if isinstance(args, dict) else args
    # Not `urlsplit`, which removes some characters and raises for some hosts.
    address, hash_mark, fragment = url.partition("#")
    address, _, query = address.partition("?")
    fields = [field if "=" in field else field + "=" for field in query.split("&") if field]
    if pairs:
        fields.append(urlencode(
            [(_to_argument(name), _to_argument(value)) for name, value in pairs]))
    return address + ("?" + "&".join(fields) if fields else "") + hash_mark + fragment


def _to_argument(value):
    # On Python 2, `urlencode` does not accept text that is not ASCII.
    return utf8(value) if isinstance(value, type(u"")) else value


def qs_to_qsl(qs):
    """An iterator over the (name, value) pairs of a dict of lists, as from `parse_qs`."""
    for name, values in qs.items():
        for value in values:
            yield name, value


_split_port = re.compile(r"(.*):([0-9]{0,5})\Z", re.DOTALL).match


def split_host_and_port(netloc):
    """``example.com:80`` as ("example.com", 80); without a port, that is None.

    An IPv6 address keeps its brackets. Never raises: an invalid port (not a number, or more than
    65535) is left in the host, which makes that invalid.
    """
    match = _split_port(netloc)
    # In an IPv6 address without brackets, the last colon does not separate a port.
    if match is None or (":" in match.group(1) and not match.group(1).endswith("]")):
        return netloc, None
    host, port = match.groups()
    if not port:
        return host, None
    return (host, int(port)) if int(port) <= 65535 else (netloc, None)


def encode_username_password(username, password):
    """``username:password`` as bytes, ready for base64 (RFC 7617 2).

    Text is normalized (NFC) and encoded as UTF-8; bytes are used unchanged. Raises ValueError for a
    colon in the username, which would be read as the separator.
    """
    username, password = [
        utf8(unicodedata.normalize("NFC", part) if isinstance(part, type(u"")) else part)
        for part in (username, password)]
    if b":" in username:
        raise ValueError("a username must not contain a colon: %r" % (username,))
    return username + b":" + password


def basic_credentials(username, password):
    """The value of an Authorization header for a username and password (RFC 7617 2). Raises as
    `encode_username_password` does."""
    return "Basic " + str(base64.b64encode(
        encode_username_password(username, password)).decode("ascii"))


# Forms

def encode_multipart_formdata(fields=(), files=()):
    """(content type, body) of a form to upload. `fields` and `files`, and the errors raised, are as
    in `friendserve.protocol.multipart.encode_multipart`::

        content_type, body = encode_multipart_formdata(
            {"title": "A photo"},
            {"photo": HTTPFile(filename="a.png", body=data, content_type="image/png")})
        client.fetch(url, callback, method="POST", body=body,
                     headers={"Content-Type": content_type})
    """
    boundary = binascii.hexlify(os.urandom(16))
    return ("multipart/form-data; boundary=" + str(boundary.decode("ascii")),
            encode_multipart(boundary, fields, files))


def parse_body_arguments(content_type, body, arguments, files, headers=None):
    """Add the fields of a form's body to `arguments`, and its files to `files`.

    `arguments` is {name: [bytes, ...]}, `files` {name: [HTTPFile, ...]}. A body of another type is
    ignored. Raises HTTPInputError, and adds nothing, for a malformed form, for more fields or parts
    than `friendserve.protocol` allows, and for a form that according to `headers` is still
    compressed.
    """
    main = content_type.partition(";")[0].strip(" \t").lower()
    is_multipart = main.startswith("multipart/form-data")
    if not body or not (is_multipart or main == "application/x-www-form-urlencoded"):
        return
    encoding = headers.get("Content-Encoding", "") if headers is not None else ""
    if encoding.lower() not in ("", "identity"):
        raise HTTPInputError("a form with Content-Encoding %r is not supported"
                             % encoding[:80])
    if not is_multipart:
        _add(parse_urlencoded(body), arguments)
        return
    main, parameters = parse_header_value(content_type)
    if main != "multipart/form-data" or not parameters.get("boundary"):
        raise HTTPInputError("not multipart/form-data with a boundary: %r" % content_type[:80])
    new_arguments, new_files = parse_multipart(parameters["boundary"], body)
    _add(new_arguments, arguments)
    _add(new_files, files)


def parse_multipart_form_data(boundary, data, arguments, files):
    """Add the parts of a multipart/form-data body to `arguments` and `files`.

    `boundary` may be in double quotes. Raises HTTPInputError, and adds nothing, for a malformed
    body.
    """
    boundary = utf8(boundary)
    if len(boundary) > 1 and boundary[:1] == b'"' and boundary[-1:] == b'"':
        boundary = boundary[1:-1]
    new_arguments, new_files = parse_multipart(boundary, data)
    _add(new_arguments, arguments)
    _add(new_files, files)


def _add(new, table):
    for name, values in new.items():
        if name in table:
            table[name].extend(values)
        else:
            table[name] = values


# The interfaces between servers, clients and applications

class HTTPServerConnectionDelegate(object):
    """Answers the requests of a server; implemented by applications, and by layers around them."""

    def start_request(self, server_conn, request_conn):
        """Called by the server at the start of each request; returns an HTTPMessageDelegate.

        `server_conn` represents the connection and is the same for all its requests;
        `request_conn` is the HTTPConnection for the response to this request.
        """
        raise NotImplementedError()

    def on_close(self, server_conn):
        """Called once, when the connection has closed, after all other calls for it."""


class HTTPMessageDelegate(object):
    """Receives one message: a request in a server, a response in a client.

    First `headers_received` is called once, then `data_received` any number of times, then either
    `finish` or `on_connection_close`, once. In a server, `on_connection_close` may follow `finish`,
    if the client disconnects before the response is complete and no other close callback is set.
    """

    def headers_received(self, start_line, headers):
        """Called with the head: a RequestStartLine or ResponseStartLine, and HTTPHeaders."""

    def data_received(self, chunk):
        """Called with each piece of the body (bytes, never empty), without its framing."""

    def finish(self):
        """Called when the message is complete."""

    def on_connection_close(self):
        """Called when the connection has closed before the message was complete."""


class HTTPConnection(object):
    """Sends one message: `write_headers` once, `write` any number of times, `finish` once.

    Each callback is called once, from the loop, when the system has accepted everything written up
    to then; if the connection closes first, it is never called. Each method returns an awaitable
    for the same moment, see `friendserve.awaitable`.
    """

    def write_headers(self, start_line, headers, chunk=None, callback=None):
        """Send the head and, with it, the first piece of the body (bytes).

        `start_line` is a RequestStartLine or a ResponseStartLine. Raises HTTPOutputError for a head
        that cannot be encoded.
        """
        raise NotImplementedError()

    def write(self, chunk, callback=None):
        """Send a piece of the body. Raises HTTPOutputError beyond the Content-Length."""
        raise NotImplementedError()

    def finish(self):
        """End the message. Raises HTTPOutputError short of the Content-Length."""
        raise NotImplementedError()


# Requests

#: Methods for which a body has no meaning (RFC 9110 9.3).
_WITHOUT_BODY = frozenset(("GET", "HEAD", "DELETE"))


class _Lazy(object):
    """A method whose result becomes the attribute of its name, when that is first read.

    A value in the instance takes precedence, so the attribute can also be assigned.
    """
    def __init__(self, method):
        self._method = method
        self._name = method.__name__
        self.__doc__ = method.__doc__

    def __get__(self, instance, owner):
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._method(instance)
        return value


#: What to write in place of the attributes that requests have in other frameworks.
_ELSEWHERE = {
    "args": "self.get_argument(name)", "params": "self.get_argument(name)",
    "GET": "self.get_query_argument(name)", "query_params": "self.get_query_argument(name)",
    "POST": "self.get_body_argument(name)", "form": "self.get_body_argument(name)",
    "values": "self.get_argument(name)", "json": "self.get_json()", "get_json": "self.get_json()",
    "data": "self.request.body", "FILES": "self.request.files", "COOKIES": "self.get_cookie(name)",
    "META": "self.request.headers", "user": "self.current_user", "url": "self.request.full_url()",
    "remote_addr": "self.request.remote_ip", "client": "self.request.remote_ip",
    "user_agent": 'self.request.headers["User-Agent"]', "session": "self.get_secure_cookie(name)",
}


class HTTPServerRequest(object):
    """One HTTP request, as the server passes it to the application.

    `method`, `uri` (path and query as received), `path`, `query`, `version` ("HTTP/1.1"),
    `headers` (HTTPHeaders), `body` (bytes), `remote_ip`, `protocol` ("http" or "https"), `host` (as
    the client wrote it), `host_name` (in lower case and without the port) and `connection`.

    `arguments`, `query_arguments` and `body_arguments` map names to lists of bytes, `files` maps
    names to lists of HTTPFile, and `cookies` maps names to CookieValue; these are parsed when first
    read, which raises HTTPInputError if they are malformed. The body of a GET, HEAD or DELETE has
    no meaning (RFC 9110 9.3.1): its fields are in `body_arguments`, but not in `arguments`.
    """
    # The attributes that every request has. Those computed on demand are kept in __dict__.
    __slots__ = ("method", "uri", "path", "query", "version", "headers", "body", "connection",
                 "_start_time", "__dict__", "__weakref__")

    _finish_time = None

    def __init__(self, method=None, uri=None, version="HTTP/1.0", headers=None, body=None,
                 remote_ip=None, protocol=None, host=None, files=None, connection=None,
                 start_line=None, server_connection=None):
        if start_line is not None:
            method, uri, version = start_line
        self.connection = connection
        self.method = method
        self.uri = uri
        self.path, _, self.query = (uri or "").partition("?")
        self.version = version
        self.body = body or b""
        self.headers = headers if headers is not None else HTTPHeaders()
        self._start_time = monotonic_time()
        # If not given, these are computed when first read.
        if remote_ip is not None:
            self.remote_ip = remote_ip
        if protocol is not None:
            self.protocol = protocol
        if host is not None:
            self.host = host
        if files is not None:
            self.files = files
        if server_connection is not None:
            self.server_connection = server_connection

    @_Lazy
    def remote_ip(self):
        return self.connection and self.connection.remote_ip

    @_Lazy
    def protocol(self):
        return self.connection and self.connection.protocol

    @_Lazy
    def host(self):
        return self.headers.get("Host") or "127.0.0.1"

    @_Lazy
    def host_name(self):
        return split_host_and_port(self.host.lower())[0]

    @_Lazy
    def query_arguments(self):
        query = self.query
        return parse_urlencoded(
            query.encode("latin-1") if str is not bytes else query) if query else {}

    @_Lazy
    def body_arguments(self):
        self._parse_body()
        return self.body_arguments

    @_Lazy
    def files(self):
        self._parse_body()
        return self.files

    def _parse_body(self):
        arguments, files = {}, {}
        parse_body_arguments(self.headers.get("Content-Type", ""), self.body, arguments, files,
                             self.headers)
        self.__dict__.setdefault("body_arguments", arguments)
        self.__dict__.setdefault("files", files)

    @_Lazy
    def arguments(self):
        arguments = {}
        for name, values in self.query_arguments.items():
            arguments[name] = list(values)
        if self.method in _WITHOUT_BODY:
            # A cache in front ignores the body: a page that depended on it would be kept for the
            # URL, and sent to everybody.
            return arguments
        for name, values in self.body_arguments.items():
            arguments.setdefault(name, []).extend(values)
        return arguments

    @_Lazy
    def cookies(self):
        # A proxy may have split the header into several lines (RFC 9113 8.2.3).
        header = self.headers._values.get("Cookie", "")
        if type(header) is list:
            header = "; ".join(header)
        return {name: CookieValue(name, value) for name, value in parse_cookie(header).items()}

    def __getattr__(self, name):
        # Only for names that are missing.
        advice = _ELSEWHERE.get(name)
        raise AttributeError("a request has no attribute %r%s" % (
            str(name), ": write " + advice if advice else ""))

    def supports_http_1_1(self):
        """Whether the request is HTTP/1.1."""
        return self.version == "HTTP/1.1"

    def full_url(self):
        """The complete URL of this request, with scheme and host."""
        return self.protocol + "://" + self.host + self.uri

    def request_time(self):
        """Seconds since the request arrived; once it is finished, the time that it took."""
        return (self._finish_time or monotonic_time()) - self._start_time

    def get_ssl_certificate(self, binary_form=False):
        """The client's certificate as from `ssl.SSLSocket.getpeercert`, or None."""
        # Under WSGI there is no stream.
        get = getattr(getattr(self.connection.stream, "socket", None), "getpeercert", None)
        return get(binary_form) if get is not None else None

    def write(self, chunk, callback=None):
        """Send bytes of the response unchanged, starting with its head. For servers whose
        application is a plain function."""
        if self._finish_time is not None:
            raise RuntimeError("write() after finish()")
        return self.connection.write(chunk, callback=callback)

    def finish(self):
        """End the response sent by `write`."""
        if self._finish_time is not None:
            raise RuntimeError("finish() was called twice")
        self.connection.finish()
        self._finish_time = monotonic_time()

    def __repr__(self):
        # Without headers and body, which may contain secrets: this is logged.
        return "%s(protocol=%r, host=%r, method=%r, uri=%r, version=%r, remote_ip=%r)" % (
            type(self).__name__, self.protocol, self.host, self.method, self.uri, self.version,
            self.remote_ip)


class CookieValue(object):
    """A cookie of a request: `key` and `value`."""
    __slots__ = ("key", "value")

    def __init__(self, key, value):
        self.key = key
        self.value = value

    def __repr__(self):
        return "CookieValue(%r, %r)" % (self.key, self.value)
