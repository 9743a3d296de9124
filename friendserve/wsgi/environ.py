"""From a request to the environ of WSGI (PEP 3333), and back."""
from __future__ import absolute_import, division, print_function

import sys
from wsgiref.util import FileWrapper

import six
from six.moves.urllib.parse import quote, urlsplit

from friendserve.escape import url_unescape
from friendserve.httputil import HTTPHeaders, HTTPServerRequest, split_host_and_port

#: Names of the headers that have a variable of their own, without HTTP_.
_PLAIN = {"Content-Type": "CONTENT_TYPE", "Content-Length": "CONTENT_LENGTH"}

#: Headers that are not passed on. Transfer-Encoding: what the application reads is decoded. Proxy:
#: it would become HTTP_PROXY, which clients in CGI programs take for their proxy (httpoxy).
_HIDDEN = frozenset(("Transfer-Encoding", "Proxy"))


def to_wsgi_str(s):
    """Bytes as a native string of WSGI: on Python 3 each character is a byte."""
    return s.decode("latin-1") if str is not bytes else s


def from_wsgi_str(s):
    """A native string of WSGI as bytes."""
    return s.encode("latin-1") if str is not bytes else s


def make_environ(request, body, multithread=False):
    """The environ for an HTTPServerRequest.

    `body`: a file with the request's body, which ends where the body does. `multithread`: whether
    the application may run in several threads at the same time.
    """
    host, port = split_host_and_port(request.host)
    if port is None:
        port = 443 if request.protocol == "https" else 80
    uri = urlsplit(request.uri) if "://" in request.path else None
    path = request.path if uri is None else uri.path
    environ = {
        "REQUEST_METHOD": str(request.method),
        "SCRIPT_NAME": "",
        "PATH_INFO": to_wsgi_str(url_unescape(from_wsgi_str(path), encoding=None, plus=False))
        if path.startswith("/") else "/",
        "QUERY_STRING": request.query if uri is None else uri.query,
        "RAW_URI": request.uri,
        "REMOTE_ADDR": str(request.remote_ip or ""),
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": str(request.version),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": str(request.protocol),
        "wsgi.input": body,
        # The end of the file is the end of the body, for requests without a Content-Length too.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    for name in request.headers:
        # "X_Real-Ip" and "X-Real-Ip" would become the same variable, and a proxy in front that
        # removes one lets the other pass.
        if "_" not in name and name not in _HIDDEN:
            key = _PLAIN.get(name) or "HTTP_" + name.upper().replace("-", "_")
            values = request.headers.get_list(name)
            environ[key] = ("; " if name == "Cookie" else ",").join(values)
    return environ


def read_environ(environ, connection, max_body_size):
    """The HTTPServerRequest for an environ, with its whole body. Raises BodyTooLarge,
    BodyIncomplete."""
    uri = quote(from_wsgi_str(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")))
    if environ.get("QUERY_STRING"):
        uri += "?" + environ["QUERY_STRING"]
    headers = HTTPHeaders()
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            headers[key[5:].replace("_", "-")] = value
    for name, key in six.iteritems(_PLAIN):
        if environ.get(key):
            headers[name] = environ[key]
    if "Host" not in headers:
        headers["Host"] = "%s:%s" % (environ["SERVER_NAME"], environ["SERVER_PORT"])
    return HTTPServerRequest(
        environ["REQUEST_METHOD"], uri, version=environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        headers=headers, body=_read_body(environ, max_body_size),
        remote_ip=environ.get("REMOTE_ADDR", ""), protocol=environ["wsgi.url_scheme"],
        host=headers["Host"], connection=connection)


class BodyTooLarge(Exception):
    """The body of a request is longer than the application accepts."""


class BodyIncomplete(Exception):
    """The client disconnected before the body was complete."""


def _read_body(environ, max_body_size):
    source = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit():
        size = int(length)
        if size > max_body_size:
            raise BodyTooLarge()
        body = source.read(size) if size else b""
        if len(body) < size:
            raise BodyIncomplete()
        return body
    if not environ.get("wsgi.input_terminated"):
        # PEP 3333 does not allow to read further than a Content-Length.
        return b""
    body = source.read(max_body_size + 1)
    if len(body) > max_body_size:
        raise BodyTooLarge()
    return body


class HTTPRequest(HTTPServerRequest):
    """The request of a WSGI environ, as Tornado 1 and 2 made it: ``HTTPRequest(environ)``."""

    def __init__(self, environ):
        request = read_environ(environ, None, sys.maxsize)
        super(HTTPRequest, self).__init__(
            request.method, request.uri, request.version, request.headers, request.body,
            request.remote_ip, request.protocol, request.host)
