"""The opening handshake of a WebSocket (RFC 6455 4), both roles.

    check_upgrade(request_headers)                      # raises HTTPInputError
    accept_value("dGhlIHNhbXBsZSBub25jZQ==")            # "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import hashlib

from friendserve.escape import native_str
from friendserve.protocol.errors import HTTPInputError, ProtocolError
from friendserve.protocol.grammar import is_token, split_list

VERSION = "13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class HandshakeError(ProtocolError):
    """The server's response is not a valid answer to the client's handshake."""


def accept_value(key):
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key."""
    return native_str(base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID).digest()))


def check_upgrade(headers):
    """Check that the headers of a request ask for a WebSocket of version 13, and return its key.

    Raises HTTPInputError with the status for the response: 426, with which the response must name
    the supported version in Sec-WebSocket-Version, or 400.
    """
    if "websocket" not in split_list(headers.get("Upgrade", "")):
        raise HTTPInputError("this URL serves WebSockets only: the request needs "
                             "\"Upgrade: websocket\"")
    if "upgrade" not in split_list(headers.get("Connection", "")):
        raise HTTPInputError("the request needs \"Connection: Upgrade\"")
    version = headers.get("Sec-WebSocket-Version", "")
    if version.strip(" \t") != VERSION:
        raise HTTPInputError("only version 13 of WebSocket is supported, not %.20r" % version, 426)
    key = headers.get("Sec-WebSocket-Key", "").strip(" \t")
    if not _is_key(key):
        raise HTTPInputError("Sec-WebSocket-Key must be base64 of 16 bytes, not %.40r" % key)
    return key


def _is_key(key):
    if len(key) != 24:
        return False
    try:
        return len(base64.b64decode(key.encode("latin-1"))) == 16
    except (binascii.Error, TypeError, ValueError):
        return False


def make_key(nonce):
    """The Sec-WebSocket-Key of 16 random bytes."""
    return native_str(base64.b64encode(nonce))


def check_response(headers, key, subprotocols):
    """Check the headers of a 101 response to a request with this key and these subprotocols, and
    return the subprotocol that the server chose, or None. Raises HandshakeError.

    The extensions are left to `friendserve.protocol.deflate.read_response`.
    """
    if headers.get("Upgrade", "").lower().strip(" \t") != "websocket":
        raise HandshakeError("the response has no \"Upgrade: websocket\"")
    if "upgrade" not in split_list(headers.get("Connection", "")):
        raise HandshakeError("the response has no \"Connection: Upgrade\"")
    if headers.get("Sec-WebSocket-Accept", "").strip(" \t") != accept_value(key):
        raise HandshakeError("Sec-WebSocket-Accept does not answer the key of the request")
    chosen = headers.get("Sec-WebSocket-Protocol")
    if chosen is not None and chosen not in subprotocols:
        raise HandshakeError("the server chose the subprotocol %.40r, which was not offered"
                             % chosen)
    return chosen


def parse_subprotocols(header):
    """The subprotocols that a client offers, in its order of preference."""
    return [name for name in (part.strip(" \t") for part in header.split(",")) if name]


def check_subprotocol(name):
    """A subprotocol as a header can hold it. Raises ValueError unless it is a token."""
    if not is_token(name):
        raise ValueError("a subprotocol must be a token, not %r" % (name,))
    return str(name)
