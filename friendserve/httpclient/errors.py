"""The errors of a fetch: why there is no response, or why it is not a success."""
from __future__ import absolute_import, division, print_function

from friendserve.protocol.errors import ConnectionLostError
from friendserve.protocol.http1 import REASONS


class HTTPClientError(Exception):
    """The response was not a success, or there was none.

    `code` is the status; it is 599 for an `HTTPTransferError`, which means that there was no
    complete response. `response` is the HTTPResponse, if there was one.
    """
    def __init__(self, code, message=None, response=None):
        super(HTTPClientError, self).__init__(code, message, response)
        self.code = code
        self.message = message or REASONS.get(code, "Unknown")
        self.response = response

    def __str__(self):
        return "HTTP %s: %s" % (self.code, self.message)

    # The repr of Exception would show the response, and this goes to logs.
    __repr__ = __str__


HTTPError = HTTPClientError


class HTTPTransferError(HTTPClientError):
    """No complete response arrived. The subclass says why.

    `phase` is how far the fetch had got: "queue", "resolve", "connect", "proxy", "tls", "request"
    (sending it), "headers" (waiting for the response), "body" or "redirect". `real_error` is the
    exception that caused this one, or None. `code` is 599, which no server sends.
    """
    default_message = "No response"

    def __init__(self, message=None, phase=None, real_error=None):
        super(HTTPTransferError, self).__init__(599, message or self.default_message)
        # Pickle calls the class with `args`, so they are the arguments of this method.
        self.args = (message, phase, real_error)
        self.phase = phase
        self.real_error = real_error


class HTTPTimeoutError(HTTPTransferError):
    """The fetch took too long; `phase` says how far it had got."""
    default_message = "Timeout"


class HTTPStreamClosedError(HTTPTransferError):
    """The server closed the connection before the response was complete."""
    default_message = "Stream closed"


class HTTPConnectError(HTTPTransferError):
    """The host has no address, or does not accept connections, or the proxy refused."""
    default_message = "Connection failed"


class HTTPTLSError(HTTPTransferError):
    """The TLS handshake failed, perhaps because of the server's certificate."""
    default_message = "TLS handshake failed"


class HTTPProtocolError(HTTPTransferError):
    """The response is not valid HTTP, or exceeds the limits of the client."""
    default_message = "Malformed response"


class HTTPClientClosedError(HTTPTransferError):
    """The client was closed before the response was complete."""
    default_message = "The HTTP client was closed"


def connect_error(phase, error):
    """The HTTPTransferError for an attempt to connect that failed with `error` in `phase`: the
    `failed_phase` of a `Connecting`, where None means "connect"."""
    kind = HTTPTLSError if phase == "tls" else HTTPConnectError
    return kind("%s: %s" % (kind.default_message, error), phase or "connect", error)


def transfer_error(phase, error):
    """The HTTPTransferError for a connection that failed in `phase` with an HTTPInputError or a
    ConnectionLostError. An HTTPTransferError is returned as it is."""
    if isinstance(error, HTTPTransferError):
        return error
    if isinstance(error, ConnectionLostError):
        return HTTPStreamClosedError(str(error), phase, error.real_error)
    return HTTPProtocolError(str(error), phase)
