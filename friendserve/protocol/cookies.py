"""Cookies: reading and writing them (RFC 6265), and signing their values.

    header = format_set_cookie("user", "7", httponly=True)     # "user=7; HttpOnly; Path=/"
    parse_cookie("user=7; theme=dark")["user"]                 # "7"
    signed = create_signed_value(secret, "user", "7")
    decode_signed_value(secret, "user", signed)                # b"7"

Anyone can read a signed value, but only a holder of the secret can make one. The name of the cookie
and the time are signed with it. There are two formats:

1   base64 of the value | seconds | HMAC-SHA-1 over name, base64 and seconds without delimiters
2   2|1:0|10:1300000000|3:key|8:dmFsdWU=|HMAC-SHA-256 over everything before it

In format 2 each field is preceded by its length: version of the key, seconds, name, base64 of the
value. Format 1 is still read by default, because many such cookies are in use.
"""
from __future__ import absolute_import, division, print_function

import base64
import hashlib
import hmac
import numbers
import re
import time

import six

from friendserve.escape import native_str, utf8
from friendserve.protocol.grammar import TOKEN_CHARS, find_control
from friendserve.util import format_timestamp, remember

__all__ = ["CookieError", "DEFAULT_SIGNED_VALUE_MIN_VERSION", "DEFAULT_SIGNED_VALUE_VERSION",
           "MAX_SUPPORTED_SIGNED_VALUE_VERSION", "MIN_SUPPORTED_SIGNED_VALUE_VERSION",
           "create_signed_value", "decode_signed_value", "format_set_cookie",
           "get_signature_key_version", "parse_cookie"]

MIN_SUPPORTED_SIGNED_VALUE_VERSION = 1
MAX_SUPPORTED_SIGNED_VALUE_VERSION = 2

#: The format to write by default.
DEFAULT_SIGNED_VALUE_VERSION = 2
#: The oldest format to read by default.
DEFAULT_SIGNED_VALUE_MIN_VERSION = 1

_DAY = 24 * 60 * 60
#: Seconds by which the clock of another server may be ahead.
_MAX_AHEAD = 31 * _DAY


class CookieError(ValueError):
    """The application tried to set a cookie that is not valid."""


# Reading

_find_unusual = re.compile(r'[^\t\x20\x21\x23-\x7e]').search
_QUOTED_PAIR = re.compile(r"\\([0-3][0-7][0-7]|.)")


def parse_cookie(cookie):
    """The cookies in `cookie`, the value of a Cookie header: {name: value}, native strings.

    Pairs are separated by ";" alone, and anything else that a browser allows in cookies is kept
    unchanged (RFC 6265 5.4). A quoted value loses its quotes and escapes. A pair without "=" has
    the name "", as in browsers. Of several cookies with the same name, the first one wins: browsers
    send the one with the most specific path first. A cookie with a control character is omitted.
    Never raises an error.

    A value that is not ASCII is decoded as UTF-8, or, if it is not valid UTF-8, as latin-1.
    """
    cookies = {}
    # A quoted value may have any octet in an escape.
    is_plain = not _find_unusual(cookie)
    for pair in cookie.split(";"):
        name, equals, value = pair.partition("=")
        if not equals:
            name, value = "", name
        name = name.strip(" \t")
        value = value.strip(" \t")
        if not is_plain:
            if value[:1] == '"' and len(value) > 1 and value[-1] == '"':
                value = _QUOTED_PAIR.sub(_unescape_one, value[1:-1])
            if find_control(name) or find_control(value):
                continue
            name, value = _decode(name), _decode(value)
        if (name or value) and name not in cookies:
            cookies[name] = value
    return cookies


def _unescape_one(match):
    escaped = match.group(1)
    return chr(int(escaped, 8)) if len(escaped) == 3 else escaped


def _decode(text):
    # On Python 3 header text has one character per octet (latin-1).
    if str is bytes:  # version: py2
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


# Writing

_is_name = re.compile(r"[%s:]+\Z" % TOKEN_CHARS).match
#: RFC 6265 4.1.1 allows more characters without quotes. But http.cookies quotes a value with any
#: other than these, and programs and their tests know its lines.
_is_plain_value = re.compile(r"[%s:]*\Z" % TOKEN_CHARS).match
_find_unquotable = re.compile(r"[\x00-\x1f\x7f]").search
_QUOTE = re.compile(r'[",;\\\x80-\xff]')
#: RFC 6265 4.1.1 allows av-octets in attributes; a space is useless there, and can mislead.
_is_attribute_value = re.compile(r"[\x21-\x3a\x3c-\x7e]+\Z").match

# Seconds since 1970 -> the date.
_times = {}
_MAX_TIMES = 100

_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}


def format_set_cookie(name, value, domain=None, expires=None, path="/", max_age=None,
                      secure=False, httponly=False, samesite=None, partitioned=False, **other):
    """The value of a Set-Cookie header (RFC 6265 4.1), a native string; the same as from Python 3's
    http.cookies, with the attributes in alphabetical order. Only an empty value gets no quotes.

    `value` is text or UTF-8 bytes; it is quoted if necessary, and `parse_cookie` restores it.
    `expires` is a datetime, a time tuple (both UTC) or a timestamp, `max_age` a number of seconds,
    `samesite` one of "Strict", "Lax", "None". Flags that are false and attributes that are None or
    "" are omitted. `other` may contain any attribute in another spelling ("Max-Age", "HttpOnly"),
    which then takes precedence.

    Raises CookieError for a name that is not a token, for control characters anywhere, for a
    space or ";" in an attribute, and for an unknown attribute: a misspelt one would protect
    nothing.
    """
    if other:
        attributes = {"domain": domain, "expires": expires, "path": path, "max_age": max_age,
                      "secure": secure, "httponly": httponly, "samesite": samesite,
                      "partitioned": partitioned}
        for key in other:
            known = key.lower().replace("-", "_")
            if known not in attributes:
                raise CookieError("%r is not an attribute of a cookie; the attributes are: %s"
                                  % (key, ", ".join(sorted(attributes))))
            attributes[known] = other[key]
        return format_set_cookie(name, value, **attributes)
    name = native_str(name)
    if not _is_name(name):
        raise CookieError("%r cannot be the name of a cookie: only letters, digits and "
                          "!#$%%&'*+-.^_`|~: are allowed" % (name,))
    line = name + "=" + _quote(name, value)
    if domain is not None and _is_given(domain):
        line += "; Domain=" + _write_text("Domain", domain)
    if expires is not None and _is_given(expires):
        line += "; expires=" + _write_time(expires)
    if httponly:
        line += "; HttpOnly"
    if max_age is not None and _is_given(max_age):
        line += "; Max-Age=" + _write_seconds(max_age)
    if partitioned:
        line += "; Partitioned"
    if path is not None and _is_given(path):
        line += "; Path=" + _write_text("Path", path)
    if samesite is not None and _is_given(samesite):
        line += "; SameSite=" + _write_same_site(samesite)
    return line + "; Secure" if secure else line


def _is_given(value):
    # Zero is a number of seconds, and an error in other attributes.
    return value or (value is not False and isinstance(value, numbers.Real))


def _quote(name, value):
    if type(value) is str and _is_plain_value(value):
        return value
    # One character per octet, so that both Pythons escape the same ones.
    text = utf8(value)
    if str is not bytes:  # version: py2
        text = text.decode("latin-1")
    if _is_plain_value(text):
        return text
    if _find_unquotable(text):
        # Without the value, which may be a secret: errors are logged.
        raise CookieError("the value of cookie %s contains control characters; encode it, for "
                          "example with url_escape" % name)
    return '"%s"' % _QUOTE.sub(_escape_one, text)


def _escape_one(match):
    char = match.group()
    return "\\" + char if char in '"\\' else "\\%03o" % ord(char)


def _write_text(label, value):
    text = value
    if type(value) is not str:
        text = native_str(value) if isinstance(value, (bytes, six.text_type)) else ""
    if not _is_attribute_value(text):
        raise CookieError("%s=%r: an attribute of a cookie must be ASCII without control "
                          "characters, spaces and ';'" % (label, value))
    return text


def _write_time(value):
    # Most cookies that are set within one second expire in the same one.
    text = _times.get(value) if type(value) is int else None
    if text is None:
        try:
            text = format_timestamp(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise CookieError("expires: %s" % error)
        if type(value) is int:
            remember(_times, _MAX_TIMES, value, text)
    return text


def _write_seconds(value):
    # Browsers ignore a number with a decimal point (RFC 6265 5.2.2).
    text = ""
    if isinstance(value, (bytes, six.text_type)):
        text = native_str(value)
    elif isinstance(value, numbers.Real) and abs(value) < 1e15 and value is not True:
        text = str(int(value))
    if not re.match(r"-?[0-9]{1,15}\Z", text):
        raise CookieError("Max-Age must be a number of seconds, not %r" % (value,))
    return text


def _write_same_site(value):
    text = _write_text("SameSite", value).lower()
    if text not in _SAME_SITE:
        raise CookieError("SameSite must be Strict, Lax or None, not %r" % (value,))
    return _SAME_SITE[text]


# Signing

_is_timestamp = re.compile(br"(?:0|[1-9][0-9]{0,15})\Z").match
#: A version has at most three digits. A longer number before the first "|" means format 1: base64
#: may look like a number.
_match_version = re.compile(br"([1-9][0-9]{0,2})\|").match
_match_length = re.compile(br"(0|[1-9][0-9]{0,8}):").match


def create_signed_value(secret, name, value, version=None, clock=None, key_version=None):
    """`value` signed for a cookie called `name`: ASCII bytes.

    `secret` is a string, or {key_version: string}; then `key_version` selects the one to sign with.
    `clock()` returns seconds since 1970, as time.time, the default, does. Raises ValueError for an
    unknown `version` or `key_version` and for an empty secret.
    """
    if version is None:
        version = DEFAULT_SIGNED_VALUE_VERSION
    if isinstance(secret, dict):
        if key_version not in secret:
            raise ValueError("key_version must be one of the keys of the secrets, not %r"
                             % (key_version,))
        key = _check_key(secret[key_version])
    else:
        key = _check_key(secret)
    name = utf8(name)
    timestamp = _ascii((clock or time.time)())
    payload = base64.b64encode(utf8(value))
    if version == 1:
        if isinstance(secret, dict) and key_version != 0:
            raise ValueError("format 1 does not include a key version, so only key 0 can sign")
        return b"|".join([payload, timestamp, _sign_v1(key, name, payload, timestamp)])
    if version == 2:
        signed = b"2|" + b"".join([
            b"%d:%s|" % (len(field), field)
            for field in (_ascii(key_version or 0), timestamp, name, payload)])
        return signed + _sign_v2(key, signed)
    raise ValueError("unknown version %r of signed values: it must be 1 or 2" % (version,))


def decode_signed_value(secret, name, value, max_age_days=31, clock=None, min_version=None):
    """The bytes that were signed for a cookie called `name`; None unless `value` is genuine.

    Also None for a value that is older than `max_age_days`, dated more than 31 days ahead, of a
    format below `min_version`, signed with a key that is no longer in `secret`, or unsigned;
    `value` never causes an error. With several secrets, format 1 is verified with key 0. Raises
    ValueError for an unknown `min_version` and an empty secret.
    """
    if min_version is None:
        min_version = DEFAULT_SIGNED_VALUE_MIN_VERSION
    if min_version > MAX_SUPPORTED_SIGNED_VALUE_VERSION:
        raise ValueError("unknown version %r of signed values: it must be 1 or 2"
                         % (min_version,))
    value = utf8(value)
    if not value:
        return None
    version = _version_of(value)
    if version < min_version or version not in _VERIFY:
        return None
    verified = _VERIFY[version](secret, utf8(name), value)
    if verified is None:
        return None
    timestamp, payload = verified
    now = (clock or time.time)()
    if timestamp < now - max_age_days * _DAY or timestamp > now + _MAX_AHEAD:
        return None
    try:
        return base64.b64decode(payload)
    except (TypeError, ValueError):
        return None


def get_signature_key_version(value):
    """The version of the key with which a value of format 2 claims to be signed.

    None for format 1 and for anything but a signed value. The signature is not verified.
    """
    value = utf8(value)
    if not value or _version_of(value) != 2:
        return None
    fields = _split_v2(value)
    return None if fields is None else fields[0]


def _ascii(number):
    return str(int(number)).encode("ascii")


def _check_key(key):
    if not key:
        raise ValueError("the secret must not be empty: anyone could sign with it")
    return utf8(key)


def _choose_key(secret, key_version):
    if not isinstance(secret, dict):
        return _check_key(secret)
    return _check_key(secret[key_version]) if key_version in secret else None


def _sign_v1(key, name, payload, timestamp):
    signature = hmac.new(key, digestmod=hashlib.sha1)
    for part in (name, payload, timestamp):
        signature.update(part)
    return signature.hexdigest().encode("ascii")


def _sign_v2(key, signed):
    return hmac.new(key, signed, digestmod=hashlib.sha256).hexdigest().encode("ascii")


def _version_of(value):
    match = _match_version(value)
    return int(match.group(1)) if match else 1


def _verify_v1(secret, name, value):
    parts = value.split(b"|")
    key = _choose_key(secret, 0)
    if len(parts) != 3 or key is None:
        return None
    payload, timestamp, signature = parts
    if not hmac.compare_digest(signature, _sign_v1(key, name, payload, timestamp)):
        return None
    # The signature is the same wherever the payload ends and the timestamp begins: digits may have
    # been moved from one to the other. That results in a date far ahead, or in a leading zero.
    if not _is_timestamp(timestamp):
        return None
    return int(timestamp), payload


def _verify_v2(secret, name, value):
    fields = _split_v2(value)
    if fields is None:
        return None
    key_version, timestamp, signed_name, payload, signature = fields
    key = _choose_key(secret, key_version)
    if key is None:
        return None
    signed = value[:len(value) - len(signature)]
    if not hmac.compare_digest(signature, _sign_v2(key, signed)) or signed_name != name:
        return None
    return timestamp, payload


_VERIFY = {1: _verify_v1, 2: _verify_v2}


def _split_v2(value):
    """(key version, timestamp, name, payload, signature), the first two as integers; or None."""
    fields = []
    position = len(b"2|")
    for _ in range(4):
        match = _match_length(value, position)
        if match is None:
            return None
        end = match.end() + int(match.group(1))
        if value[end:end + 1] != b"|":
            return None
        fields.append(value[match.end():end])
        position = end + 1
    key_version, timestamp, name, payload = fields
    if not _is_timestamp(key_version) or not _is_timestamp(timestamp):
        return None
    return int(key_version), int(timestamp), name, payload, value[position:]


def _time_independent_equals(a, b):
    # The name of `hmac.compare_digest` in Tornado.
    return hmac.compare_digest(utf8(a), utf8(b))
