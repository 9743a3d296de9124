"""The errors of the protocol engines: who was at fault, and the status to respond with.

An engine raises only these. They form one small tree, so that a connection can distinguish the
peer's faults (it responds with a status) from our own (it logs them and closes).
"""
from __future__ import absolute_import, division, print_function


class ProtocolError(Exception):
    """Base class of every error an engine raises."""


class HTTPInputError(ProtocolError):
    """The peer sent data that the protocol forbids or a limit refuses.

    `status` is that of the response; after it the connection closes (RFC 9112 2.2 and 6.3).
    """
    def __init__(self, message, status=400):
        super(HTTPInputError, self).__init__(message)
        self.status = status


class HTTPOutputError(ProtocolError):
    """This side tried to send data that the protocol forbids, such as a body longer than
    announced."""


class ConnectionLostError(ProtocolError):
    """The connection closed before the message was complete; the part that arrived was valid.

    `real_error` is the error that closed it, or None if the peer did.
    """
    def __init__(self, message, real_error=None):
        super(ConnectionLostError, self).__init__(message)
        self.real_error = real_error


class WebSocketInputError(ProtocolError):
    """The peer of a WebSocket sent data that RFC 6455 forbids or a limit refuses.

    `code` is the code to close with (RFC 6455 7.4.1); nothing is read after it.
    """
    def __init__(self, message, code=1002):
        super(WebSocketInputError, self).__init__(message)
        self.code = code


class TokenError(ProtocolError):
    """A signed token that must not be believed.

    `reason` is one word: token (what it is or how it is written), signature, issuer, audience,
    nonce or clock.
    """
    def __init__(self, message, reason="token"):
        super(TokenError, self).__init__(message)
        self.reason = reason


class UnknownKeyError(TokenError):
    """A token that was signed by a key that is not among the issuer's, as far as they are known
    here: a newer set of keys may have it."""

    def __init__(self, message):
        super(UnknownKeyError, self).__init__(message, "signature")
