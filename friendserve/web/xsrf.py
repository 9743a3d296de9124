"""Detecting requests that another site makes a browser send (XSRF), by tokens and by headers.

A token is 16 random bytes in a cookie, which the site's own forms send back; another site can
neither read nor set it. It is written as text in one of two versions:

1   token in hexadecimal
2   2|mask|token XOR mask|seconds, with mask and token in hexadecimal; each response has a new mask
    of 4 bytes

The functions are pure: their caller, XsrfProtected, passes the time and random bytes.
"""
from __future__ import absolute_import, division, print_function

import binascii
import hmac
import os
import time

import six
from six.moves.urllib.parse import urlsplit

from friendserve.escape import native_str, utf8, xhtml_escape
from friendserve.web.errors import HTTPError

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


class XsrfProtected(object):
    """The part of a RequestHandler that refuses requests which pages of other sites made the
    browser send.

    The handler provides `request`, `settings`, `current_user`, `get_argument`, `get_body_argument`,
    `get_cookie`, `set_cookie` and `_streams_body`.
    """
    @property
    def xsrf_token(self):
        """The token that forms and scripts send back, as bytes. If the request has no cookie with
        it, the cookie is set.

        It is masked differently in each response, because a secret that is the same in every
        compressed page can be guessed byte by byte (the BREACH attack). Any masking is accepted.
        """
        if not hasattr(self, "_xsrf_token"):
            known, token, timestamp = self._get_raw_xsrf_token()
            version = self.settings.get("xsrf_cookie_version", 2)
            if version == 1:
                self._xsrf_token = utf8(encode_plain_token(token))
            elif version == 2:
                self._xsrf_token = utf8(encode_token(token, os.urandom(MASK_SIZE),
                                                     timestamp or time.time()))
            else:
                raise ValueError("xsrf_cookie_version must be 1 or 2, not %r" % (version,))
            if not known:
                options = dict(self.settings.get("xsrf_cookie_kwargs", {}))
                if self.current_user:
                    # So that a form left open for days is still accepted.
                    options.setdefault("expires_days", 30)
                self.set_cookie(self._xsrf_cookie_name(), self._xsrf_token, **options)
        return self._xsrf_token

    def renew_xsrf_token(self):
        """Replace the token, for a visitor who has just signed in: an attacker who knew the
        anonymous visitor's must not know the new one."""
        self._raw_xsrf_token = None, os.urandom(TOKEN_SIZE), None
        self.__dict__.pop("_xsrf_token", None)
        self.xsrf_token

    def _xsrf_cookie_name(self):
        return self.settings.get("xsrf_cookie_name", "_xsrf")

    def _get_raw_xsrf_token(self):
        """(version, token, timestamp) of the cookie; the version is None for a new token."""
        if not hasattr(self, "_raw_xsrf_token"):
            self._raw_xsrf_token = decode_token(self.get_cookie(self._xsrf_cookie_name())) or (
                None, os.urandom(TOKEN_SIZE), None)
        return self._raw_xsrf_token

    def check_xsrf_cookie(self):
        """Raise HTTPError 403 unless the request contains the token of its cookie, as an argument
        or a header. Nothing else is accepted instead, such as X-Requested-With."""
        try:
            # The second is for the body of a DELETE.
            token = self.get_argument("_xsrf", None) or self.get_body_argument("_xsrf", None)
        except HTTPError:
            # Not valid text, so not a token.
            token = None
        token = (token or self.request.headers.get("X-Xsrftoken")
                 or self.request.headers.get("X-Csrftoken"))
        if not token:
            raise HTTPError(403, "'_xsrf' argument missing from %s%s" % (
                self.request.method, "; if the body is streamed, send it in the query or a header"
                if self._streams_body else ""))
        sent = decode_token(token)
        expected = self._get_raw_xsrf_token()[1]
        if sent is None or not hmac.compare_digest(sent[1], expected):
            raise HTTPError(403, "XSRF cookie does not match %s argument" % self.request.method)

    def _check_origin(self):
        trusted = self.settings["cross_origin_protection"]
        if is_cross_site(self.request, () if trusted is True else trusted):
            raise HTTPError(403, "%s sent by a page of another origin" % self.request.method)

    def xsrf_form_html(self):
        """The hidden field with the token, to be put into every form that is sent by POST."""
        return '<input type="hidden" name="_xsrf" value="%s"/>' % xhtml_escape(self.xsrf_token)
