"""Requests that another site makes a browser send: the tokens and headers that give them away.

A token is 16 random bytes, kept in a cookie and sent back by the site's own forms, for another
site can neither read nor set it. There are two forms of it in text:

1   hexadecimal
2   2|mask|hexadecimal of token XOR mask|seconds, with a mask of 4 bytes for each response

Nothing here reads a clock or draws a random number.
"""
from __future__ import absolute_import, division, print_function

import binascii

import six
from six.moves.urllib.parse import urlsplit

from friendserve.escape import native_str, utf8

TOKEN_SIZE = 16
MASK_SIZE = 4


def encode_token(token, mask, timestamp):
    """Form 2 of a token; `mask` is random bytes."""
    return "|".join(["2", _to_hex(mask), _to_hex(_xor(mask, token)), str(int(timestamp))])


def encode_plain_token(token):
    """Form 1 of a token."""
    return _to_hex(token)


def decode_token(text):
    """(version, token, timestamp) of either form, timestamp None for form 1; None for anything
    else, whatever it is."""
    try:
        parts = utf8(text or "").split(b"|")
        if len(parts) == 1:
            version, token, timestamp = 1, binascii.a2b_hex(parts[0]), None
        elif len(parts) == 4 and parts[0] == b"2" and len(parts[1]) == 2 * MASK_SIZE:
            version, timestamp = 2, int(parts[3][:12])
            token = _xor(binascii.a2b_hex(parts[1]), binascii.a2b_hex(parts[2]))
        else:
            return None
    except (TypeError, ValueError):
        return None
    return (version, token, timestamp) if len(token) == TOKEN_SIZE else None


def _to_hex(data):
    return native_str(binascii.b2a_hex(data))


def _xor(mask, data):
    """`data` XOR the mask, repeated."""
    mask = bytearray(mask)
    return bytes(bytearray([byte ^ mask[position % len(mask)]
                            for position, byte in enumerate(bytearray(data))]))


def is_cross_site(request, trusted=()):
    """Whether a browser says that a page of another origin made it send `request`.

    The word of Sec-Fetch-Site counts, which no page can forge, and from older browsers the
    Origin header, compared with the host of the request. `trusted` are origins, such as
    "https://example.com", that may all the same. A request with neither header is no browser's.
    """
    origin = request.headers.get("Origin", "")
    if isinstance(trusted, six.string_types):
        trusted = (trusted,)
    if origin and origin in trusted:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    if not origin:
        return False
    try:
        return urlsplit(origin).netloc.lower() != request.host.lower()
    except ValueError:
        return True
