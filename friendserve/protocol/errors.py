"""Who was at fault, and what status answers it.

A protocol engine raises nothing but these. They form one small tree, so that a shell can tell
the peer's faults (answered with a status) from our own (logged, the connection closed).
"""
from __future__ import absolute_import, division, print_function


class ProtocolError(Exception):
    """Base of everything an engine raises."""


class HTTPInputError(ProtocolError):
    """The peer sent what the protocol forbids or a limit refuses.

    `status` is the response that tells it so; after it the connection closes
    (RFC 9112, sections 2.2 and 6.3).
    """
    def __init__(self, message, status=400):
        super(HTTPInputError, self).__init__(message)
        self.status = status


class HTTPOutputError(ProtocolError):
    """This side tried to send what the protocol forbids, such as a body longer than announced."""


class ConnectionLostError(ProtocolError):
    """The connection closed before the message was complete; nothing malformed had arrived.

    `real_error` is what closed it, or None where the peer did.
    """
    def __init__(self, message, real_error=None):
        super(ConnectionLostError, self).__init__(message)
        self.real_error = real_error


class WebSocketInputError(ProtocolError):
    """The peer of a WebSocket sent what RFC 6455 forbids or a limit refuses.

    `code` is the one to close with (RFC 6455 7.4.1); nothing is read after it.
    """
    def __init__(self, message, code=1002):
        super(WebSocketInputError, self).__init__(message)
        self.code = code
