"""Behaviour of old releases of Tornado that friendserve does not have by itself, for programs under
the alias: `settings` are the names that the alias sets.

Each is a choice that HTTP leaves open, or a function that a program calls itself. What the
framework refuses for safety, it also refuses under the alias.
"""
from __future__ import absolute_import, division, print_function

import errno

import six
from six.moves.urllib.parse import urlencode

from friendserve import httpserver, httputil
from friendserve.escape import utf8
from friendserve.http1connection import HTTP1ServerConnection
from friendserve.httpclient import HTTPTimeoutError
from friendserve.iostream import BaseIOStream
from friendserve.log import LogFormatter, gen_log
from friendserve.protocol.errors import HTTPInputError
from friendserve.simple_httpclient.fetch import Fetch
from friendserve.testing import AsyncHTTPTestCase
from friendserve.util import errno_from_exception

#: Where these releases begin, as (major, minor).
_TORNADO_4 = (4, 0)
_TORNADO_5 = (5, 0)
_NEVER = (6, 0)

#: Errors of a peer that has disconnected, which are not worth logging.
_PEER_LEFT = frozenset((errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT))


class OldServerConnection(HTTP1ServerConnection):
    """Answers HTTP/1.0 in the same version (a server may, RFC 9110 2.5), and logs refused requests
    to the general log."""
    __slots__ = ()

    def _frame_connection(self, request, headers, start_line):
        start_line = super(OldServerConnection, self)._frame_connection(
            request, headers, start_line)
        return start_line.replace("HTTP/1.1", request.version, 1)

    def _refuse(self, error):
        part = [part for part in ("request line", "header") if part in str(error)] or ["request"]
        gen_log.info("Malformed HTTP %s from %s: %s", part[0].replace("header", "headers"),
                     self.remote_ip, error)
        super(OldServerConnection, self)._refuse(error)


_parse_multipart = httputil.parse_multipart_form_data
_parse_body = httputil.parse_body_arguments


def parse_multipart_form_data(boundary, data, arguments, files):
    """As `friendserve.httputil.parse_multipart_form_data`, but a malformed body is logged and adds
    nothing."""
    try:
        _parse_multipart(boundary, data, arguments, files)
    except HTTPInputError as error:
        _log_form("multipart/form-data", error)


def parse_body_arguments(content_type, body, arguments, files, headers=None):
    """As `friendserve.httputil.parse_body_arguments`, but a malformed body is logged and adds
    nothing. So a request with such a body has no body arguments."""
    try:
        _parse_body(content_type, body, arguments, files, headers)
    except HTTPInputError as error:
        _log_form("multipart/form-data" if "multipart/" in content_type.lower()
                  else "x-www-form-urlencoded", error)


def _log_form(kind, error):
    if str(error).startswith(kind):
        gen_log.warning("%s", error)
    else:
        gen_log.warning("Invalid %s body: %s", kind, error)


def url_concat(url, args):
    """`url` with `args` added to the end, as up to Tornado 3.2: the existing query stays as it is.
    `args` is a dict or a list of pairs."""
    if not args:
        return url
    if url[-1] not in "?&":
        url += "&" if "?" in url else "?"
    pairs = args.items() if isinstance(args, dict) else args
    return url + urlencode([(utf8(name), utf8(value)) if isinstance(value, six.text_type)
                            else (utf8(name), value) for name, value in pairs])


def get_url(self, path):
    """The URL of a path on the server, by the name of the host."""
    return "%s://localhost:%d%s" % (self.get_protocol(), self.get_http_port(), path)


def fail_to_connect(self, address, error):
    """Close a stream whose connect has failed, with a warning."""
    gen_log.warning("Connect error, %s: %s", address, error)
    self._fail(error)


def log_loss(self, error):
    """Log why a stream was lost, unless its peer has just left."""
    if errno_from_exception(error) not in _PEER_LEFT:
        gen_log.warning("error on read or write of %s: %s", type(self).__name__, error)


def timeout_error(self, message, phase):
    """The error of a fetch that took too long, with a one-word message; its `phase` says how far it
    had got."""
    return HTTPTimeoutError(None, phase)


def show_bytes(value):
    """Bytes in a line of the log, as a literal; on Python 2, if they are not UTF-8."""
    if six.PY2:  # version: py2
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return u"%r" % (value,)


#: (the release that no longer has it, module or class, name, value)
_SETTINGS = (
    (_TORNADO_4, httpserver, "HTTP1ServerConnection", OldServerConnection),
    (_TORNADO_4, httputil, "url_concat", url_concat),
    (_TORNADO_4, Fetch, "timeout_error", timeout_error),
    (_TORNADO_5, AsyncHTTPTestCase, "get_url", get_url),
    (_NEVER, httputil, "parse_body_arguments", parse_body_arguments),
    (_NEVER, httputil, "parse_multipart_form_data", parse_multipart_form_data),
    (_NEVER, LogFormatter, "show_bytes", staticmethod(show_bytes)),
    (_NEVER, BaseIOStream, "_log_loss", log_loss),
    (_NEVER, BaseIOStream, "_fail_to_connect", fail_to_connect),
)


def settings(version_info):
    """A list of (module or class, name, value) to be set for programs that were written for the
    release with this `version_info`."""
    return [setting[1:] for setting in _SETTINGS if tuple(version_info[:2]) < setting[0]]
