"""The errors of libcurl. Each has libcurl's number, and is also the HTTPTransferError that the
simple client would report."""
from __future__ import absolute_import, division, print_function

import pycurl

from friendserve.httpclient import (
    HTTPConnectError, HTTPProtocolError, HTTPStreamClosedError, HTTPTLSError, HTTPTimeoutError,
    HTTPTransferError)


class CurlError(HTTPTransferError):
    """An error of libcurl; `errno` is its number (``pycurl.E_...``)."""

    def __init__(self, errno, message=None, phase=None):
        super(CurlError, self).__init__(message, phase)
        # Pickle calls the class with `args`, so they are the arguments of this method.
        self.args = (errno, message, phase)
        self.errno = errno


class CurlTimeoutError(CurlError, HTTPTimeoutError):
    pass


class CurlStreamClosedError(CurlError, HTTPStreamClosedError):
    pass


class CurlConnectError(CurlError, HTTPConnectError):
    pass


class CurlTLSError(CurlError, HTTPTLSError):
    pass


class CurlProtocolError(CurlError, HTTPProtocolError):
    pass


def _errors(*names):
    # Which names exist depends on the version of pycurl.
    return frozenset(getattr(pycurl, name) for name in names if hasattr(pycurl, name))


_TLS_ERRORS = _errors(
    "E_SSL_CONNECT_ERROR", "E_PEER_FAILED_VERIFICATION", "E_SSL_CACERT", "E_SSL_CERTPROBLEM",
    "E_SSL_CIPHER", "E_SSL_CACERT_BADFILE", "E_SSL_CRL_BADFILE", "E_SSL_ISSUER_ERROR",
    "E_SSL_ENGINE_INITFAILED", "E_SSL_PINNEDPUBKEYNOTMATCH", "E_SSL_INVALIDCERTSTATUS",
    "E_SSL_CLIENTCERT", "E_SSL_SHUTDOWN_FAILED")

_CLOSED_ERRORS = _errors("E_GOT_NOTHING", "E_RECV_ERROR", "E_SEND_ERROR", "E_PARTIAL_FILE")

_PROTOCOL_ERRORS = _errors(
    "E_UNSUPPORTED_PROTOCOL", "E_FTP_WEIRD_SERVER_REPLY", "E_WEIRD_SERVER_REPLY", "E_HTTP2",
    "E_HTTP2_STREAM", "E_HTTP3", "E_BAD_CONTENT_ENCODING", "E_TOO_LARGE", "E_URL_MALFORMAT")


def make_error(errno, message, phase):
    """The CurlError of the right class for an error number of libcurl and a phase."""
    if errno == pycurl.E_OPERATION_TIMEDOUT:
        kind = CurlTimeoutError
    elif errno in (pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY):
        kind, phase = CurlConnectError, "resolve"
    elif errno in _TLS_ERRORS or phase == "tls":
        kind, phase = CurlTLSError, "tls"
    elif errno in (pycurl.E_COULDNT_CONNECT, pycurl.E_INTERFACE_FAILED) or phase in (
            "resolve", "connect", "proxy"):
        kind, phase = CurlConnectError, "proxy" if phase == "proxy" else "connect"
    elif errno in _CLOSED_ERRORS:
        kind = CurlStreamClosedError
    elif errno in _PROTOCOL_ERRORS:
        kind = CurlProtocolError
    else:
        kind = CurlError
    return kind(errno, "%s: %s" % (kind.default_message, message) if message else None, phase)
