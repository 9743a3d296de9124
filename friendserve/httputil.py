"""HTTP for applications, servers and clients: the public names of the protocol engines.

    headers = HTTPHeaders({"content-type": "text/html"})
    headers["Content-Type"]                                 # "text/html"
    url_concat("http://example.com/?a=b", [("c", "d e")])   # "http://example.com/?a=b&c=d+e"
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

    `line` is a native string without line end. Raises HTTPInputError.
    """
    match = match_request_line(line)
    if match is None or match.group(3) != "1":
        raise HTTPInputError("malformed request line %r: it must be like GET /path HTTP/1.1"
                             % line[:80])
    method, target, major, minor = match.groups()
    return RequestStartLine(method, target, "HTTP/%s.%s" % (major, minor))


def parse_response_start_line(line):
    """``HTTP/1.1 200 OK`` as a ResponseStartLine (RFC 9112 4).

    `line` is a native string without line end. Raises HTTPInputError.
    """
    match = match_status_line(line)
    if match is None or match.group(1) != "1":
        raise HTTPInputError("malformed status line %r: it must be like HTTP/1.1 200 OK"
                             % line[:80])
    major, minor, code, reason = match.groups()
    return ResponseStartLine("HTTP/%s.%s" % (major, minor), int(code), reason or "")


# Dates

_now = time.time
_date = ""
_date_from = _date_until = 0


def http_date():
    """The value of a Date header for now (RFC 9110 6.6.1); formatted once a second."""
    global _date, _date_from, _date_until
    now = _now()
    if not _date_from <= now < _date_until:
        _date_from = int(now)
        _date_until = _date_from + 1
        _date = format_timestamp(_date_from)
    return _date


# URLs

def url_concat(url, args):
    """`url` with `args` added to its query, before any fragment.

    `args` is a dict, or a list or tuple of (name, value) pairs, and None adds nothing. The
    query that is there already stays as it is, but that a name without a value gets its "=".
    Raises TypeError for other arguments.
    """
    if args is None:
        return url
    if not isinstance(args, (dict, list, tuple)):
        raise TypeError("args must be a dict or a list of pairs, not %s" % type(args).__name__)
    pairs = args.items() if isinstance(args, dict) else args
    # Not `urlsplit`: it drops characters, and raises for some hosts.
    address, hash_mark, fragment = url.partition("#")
    address, _, query = address.partition("?")
    fields = [field if "=" in field else field + "=" for field in query.split("&") if field]
    if pairs:
        fields.append(urlencode(
            [(_to_argument(name), _to_argument(value)) for name, value in pairs]))
    return address + ("?" + "&".join(fields) if fields else "") + hash_mark + fragment


def _to_argument(value):
    # On Python 2 `urlencode` cannot do it for text that is no ASCII.
    return utf8(value) if isinstance(value, type(u"")) else value


def qs_to_qsl(qs):
    """An iterator over (name, value), from a dict of lists such as `parse_qs` gives."""
    for name, values in qs.items():
        for value in values:
            yield name, value


_split_port = re.compile(r"(.*):([0-9]{0,5})\Z", re.DOTALL).match


def split_host_and_port(netloc):
    """``example.com:80`` as ("example.com", 80); the port is None where there is none.

    An IPv6 address keeps its brackets. A port over 65535 or that is no number is no port, and
    stays with the host, which then is no valid one: nothing raises.
    """
    match = _split_port(netloc)
    # The last colon of a bare IPv6 address is not in front of a port.
    if match is None or (":" in match.group(1) and not match.group(1).endswith("]")):
        return netloc, None
    host, port = match.groups()
    if not port:
        return host, None
    return (host, int(port)) if int(port) <= 65535 else (netloc, None)


def encode_username_password(username, password):
    """``username:password`` as bytes, to be put into base64 (RFC 7617 2).

    Text is normalized (NFC) and encoded as UTF-8, bytes stay as they are. Raises ValueError for
    a colon in the user name, which could not be told from the other.
    """
    username, password = [
        utf8(unicodedata.normalize("NFC", part) if isinstance(part, type(u"")) else part)
        for part in (username, password)]
    if b":" in username:
        raise ValueError("there must be no colon in a user name: %r" % (username,))
    return username + b":" + password


def basic_credentials(username, password):
    """The value of an Authorization header for a name and a password (RFC 7617 2), with the
    errors of `encode_username_password`."""
    return "Basic " + str(base64.b64encode(
        encode_username_password(username, password)).decode("ascii"))


# Forms

def encode_multipart_formdata(fields=(), files=()):
    """(content type, body) of a form to be uploaded, of which `fields` and `files` are as in
    `friendserve.protocol.multipart.encode_multipart`, which also says what is refused::

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
    """Add the fields of a form's body to `arguments`, its files to `files`.

    `arguments` is {name: [bytes, ...]}, `files` {name: [HTTPFile, ...]}. A body of another type
    is left alone. Raises HTTPInputError for a malformed one, for more fields or parts than
    `friendserve.protocol` allows, and for a form that is still compressed according to `headers`;
    then nothing was added.
    """
    main = content_type.partition(";")[0].strip(" \t").lower()
    is_multipart = main.startswith("multipart/form-data")
    if not body or not (is_multipart or main == "application/x-www-form-urlencoded"):
        return
    encoding = headers.get("Content-Encoding", "") if headers else ""
    if encoding.lower() not in ("", "identity"):
        raise HTTPInputError("a form in the Content-Encoding %r is not supported here"
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

    `boundary` may be in double quotes. Raises HTTPInputError; then nothing was added.
    """
    boundary = utf8(boundary)
    if len(boundary) > 1 and boundary[:1] == b'"' and boundary[-1:] == b'"':
        boundary = boundary[1:-1]
    new_arguments, new_files = parse_multipart(boundary, data)
    _add(new_arguments, arguments)
    _add(new_files, files)


def _add(new, table):
    for name, values in new.items():
        table.setdefault(name, []).extend(values)


# What servers, clients and applications are to each other

class HTTPServerConnectionDelegate(object):
    """Who answers the requests of a server: applications, or layers around one."""

    def start_request(self, server_conn, request_conn):
        """Called by the server at the start of each request; returns an HTTPMessageDelegate.

        `server_conn` stands for the connection and is the same for all its requests;
        `request_conn` is the HTTPConnection to answer this one on.
        """
        raise NotImplementedError()

    def on_close(self, server_conn):
        """Called once when the connection is closed, after everything else about it."""


class HTTPMessageDelegate(object):
    """Receives one message: a request at the server, a response at the client.

    First `headers_received` once, then `data_received` any number of times, then either
    `finish` or `on_connection_close`, once. At a server `on_connection_close` may follow `finish`,
    when the client goes away before the response is whole and no other close callback is set.
    """

    def headers_received(self, start_line, headers):
        """The head is there: a RequestStartLine or ResponseStartLine, and HTTPHeaders."""

    def data_received(self, chunk):
        """A piece of the body (bytes, never empty), without its framing."""

    def finish(self):
        """The message is whole."""

    def on_connection_close(self):
        """The connection went away before the message was whole."""


class HTTPConnection(object):
    """Sends one message: `write_headers` once, `write` any number of times, `finish` once.

    Each callback is called once, from the loop, when all that was written before it went out
    to the system; never when the connection closes first.
    """

    def write_headers(self, start_line, headers, chunk=None, callback=None):
        """Send the head and, with it, the first piece of the body (bytes).

        `start_line` is a RequestStartLine or a ResponseStartLine. Raises HTTPOutputError for
        what cannot go into a head.
        """
        raise NotImplementedError()

    def write(self, chunk, callback=None):
        """Send a piece of the body. Raises HTTPOutputError beyond the Content-Length."""
        raise NotImplementedError()

    def finish(self):
        """The message is whole. Raises HTTPOutputError short of the Content-Length."""
        raise NotImplementedError()


# Requests

class _Lazy(object):
    """A method whose answer becomes the attribute, when it is first asked for.

    What is set on the instance comes first, so the attribute can be assigned as well.
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


class HTTPServerRequest(object):
    """One HTTP request, as the server gives it to the application.

    `method`, `uri` (path and query as they came), `path`, `query`, `version` ("HTTP/1.1"),
    `headers` (HTTPHeaders), `body` (bytes), `remote_ip`, `protocol` ("http" or "https"), `host`
    (as the client wrote it), `host_name` (lowered and without the port) and `connection`.

    `arguments`, `query_arguments` and `body_arguments` map names to lists of bytes, `files`
    maps names to lists of HTTPFile; they are parsed when first asked for, and so are
    `cookies`. HTTPInputError is raised then if they cannot be.
    """
    # The attributes that every request has; what is worked out later goes to __dict__.
    __slots__ = ("method", "uri", "path", "query", "version", "headers", "body", "connection",
                 "_start_time", "_finish_time", "__dict__", "__weakref__")

    def __init__(self, method=None, uri=None, version="HTTP/1.0", headers=None, body=None,
                 remote_ip=None, protocol=None, host=None, files=None, connection=None,
                 start_line=None, server_connection=None):
        if start_line is not None:
            method, uri, version = start_line
        self.connection = connection
        self.method = method
        self.uri = uri
        if uri and "?" in uri:
            self.path, _, self.query = uri.partition("?")
        else:
            self.path, self.query = uri or "", ""
        self.version = version
        self.body = body or b""
        self.headers = headers if headers is not None else HTTPHeaders()
        self._start_time = monotonic_time()
        self._finish_time = None
        # The others are worked out when they are asked for.
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
        return parse_urlencoded(self.query.encode("latin-1") if str is not bytes else self.query)

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
        arguments = dict((name, list(values)) for name, values in self.query_arguments.items())
        for name, values in self.body_arguments.items():
            arguments.setdefault(name, []).extend(values)
        return arguments

    @_Lazy
    def cookies(self):
        # A proxy may have split the header into several lines (RFC 9113 8.2.3).
        header = "; ".join(self.headers.get_list("Cookie"))
        return dict((name, CookieValue(name, value))
                    for name, value in parse_cookie(header).items())

    def supports_http_1_1(self):
        """Whether the client speaks HTTP/1.1."""
        return self.version == "HTTP/1.1"

    def full_url(self):
        """The URL of this request, with scheme and host."""
        return self.protocol + "://" + self.host + self.uri

    def request_time(self):
        """Seconds since the request came, or that its answer took once it is finished."""
        return (self._finish_time or monotonic_time()) - self._start_time

    def get_ssl_certificate(self, binary_form=False):
        """The client's certificate as `ssl.SSLSocket.getpeercert` gives it, or None."""
        get = getattr(self.connection.stream.socket, "getpeercert", None)
        return get(binary_form) if get is not None else None

    def write(self, chunk, callback=None):
        """Send bytes of the response as they are, its head among them: for servers of plain
        functions."""
        if self._finish_time is not None:
            raise RuntimeError("write() after finish()")
        self.connection.write(chunk, callback=callback)

    def finish(self):
        """The response that `write` sent is whole."""
        if self._finish_time is not None:
            raise RuntimeError("finish() was called twice")
        self.connection.finish()
        self._finish_time = monotonic_time()

    def __repr__(self):
        # Neither headers nor body: both hold secrets, and this goes to logs.
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
