"""Detecting requests that another site makes a browser send (XSRF), by tokens and by headers.

A token is 16 random bytes in a cookie, which the site's own forms send back; another site can
neither read nor set it. It is written as text in one of two versions:

1   token in hexadecimal
2   2|mask|token XOR mask|seconds, with mask and token in hexadecimal; each response has a new mask
    of 4 bytes

These are pure functions: the caller passes the time and random bytes.
"""
from __future__ import absolute_import, division, print_function

import binascii

import six
from six.moves.urllib.parse import urlsplit

from friendserve.escape import native_str, utf8

TOKEN_SIZE = 16
MASK_SIZE = 4


def encode_token(token, mask, timestamp):
    """A token as text, version 2; `mask` is random bytes."""
    return "|".join(["2", _to_hex(mask), _to_hex(_xor(mask, token)), str(int(timestamp))])


def encode_plain_token(token):
    """A token as text, version 1."""
    return _to_hex(token)


def decode_token(text):
    """(version, token, timestamp) of a token as text; the timestamp is None in version 1. None if
    the text is not a token."""
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
    """`data` XOR the mask, which is repeated as needed."""
    mask = bytearray(mask)
    return bytes(bytearray([byte ^ mask[position % len(mask)]
                            for position, byte in enumerate(bytearray(data))]))


def is_cross_site(request, trusted=()):
    """Whether the browser says that a page of another origin made it send `request`.

    Decided by Sec-Fetch-Site, which pages cannot forge, or from older browsers by the Origin
    header, compared with the host of the request. `trusted` origins, such as
    "https://example.com", are allowed. A request with neither header is not from a browser.
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
