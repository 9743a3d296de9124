"""Why a fetch has no response, or not the one that was hoped for."""
from __future__ import absolute_import, division, print_function

from friendserve.protocol.errors import ConnectionLostError
from friendserve.protocol.http1 import REASONS


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


def connect_error(phase, error):
    """The HTTPTransferError for an `error` that ended an attempt to connect in `phase` (None:
    "connect"); `failed_phase` of a `Connecting` is such a phase."""
    kind = HTTPTLSError if phase == "tls" else HTTPConnectError
    return kind("%s: %s" % (kind.default_message, error), phase or "connect", error)


def transfer_error(phase, error):
    """The HTTPTransferError for what a connection failed with in `phase`: an HTTPInputError, a
    ConnectionLostError, or one that is an HTTPTransferError already."""
    if isinstance(error, HTTPTransferError):
        return error
    if isinstance(error, ConnectionLostError):
        return HTTPStreamClosedError(str(error), phase, error.real_error)
    return HTTPProtocolError(str(error), phase)
