"""Signatures of OAuth 1.0 (RFC 5849). Times and nonces are given by the caller."""
from __future__ import absolute_import, division, print_function

import base64
import hashlib
import hmac

import six
from six.moves.urllib.parse import quote, urlsplit

from friendserve.escape import native_str, parse_qs_bytes, utf8
from friendserve.protocol.urls import ASCII

#: The ports that a base string leaves out (3.4.1.2).
_DEFAULT_PORTS = {"http": 80, "https": 443}


def escape(text):
    """Text, or anything that str() makes text of, percent-encoded (3.6): everything but letters,
    digits and ``-._~``."""
    return quote(to_octets(text), safe="-._~")


def to_octets(value):
    """Text as UTF-8, bytes as they are, and anything else as str() writes it."""
    return utf8(value if isinstance(value, (six.text_type, bytes)) else str(value))


def to_pairs(fields):
    """The pairs (name, value) of a dict, sorted by name. A list of values makes several pairs, and
    a value that is None makes none."""
    return [(name, one) for name, value in sorted(fields.items())
            for one in (value if isinstance(value, (list, tuple)) else [value])
            if one is not None]


def base_string(method, url, parameters):
    """What is signed (3.4.1), ASCII bytes. `parameters` is a dict or a list of pairs with those of
    the protocol and of the body; those of the URL's query are added."""
    parts = urlsplit(native_str(url))
    scheme = parts.scheme.lower()
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = "[%s]" % host
    if parts.port and parts.port != _DEFAULT_PORTS.get(scheme):
        host += ":%d" % parts.port
    pairs = [(escape(name), escape(value)) for name, value in (
        to_pairs(parameters) if isinstance(parameters, dict) else parameters)]
    # "+" is a space in a query, and everything is decoded before it is encoded again (3.4.1.3.1).
    # Only "&" separates: parse_qsl of old Pythons takes ";" for a separator as well.
    for name, values in parse_qs_bytes(utf8(parts.query), keep_blank_values=True).items():
        pairs.extend((escape(name), escape(value)) for value in values)
    normalized = "&".join("=".join(pair) for pair in sorted(pairs))
    # A path is signed as it is sent, in ASCII.
    path = quote(utf8(parts.path), safe=ASCII) or "/"
    return utf8("&".join([method.upper(), escape("%s://%s%s" % (scheme, host, path)),
                          escape(normalized)]))


def sign(signature_method, base, consumer_secret, token_secret=""):
    """The signature, text, by "HMAC-SHA1", "HMAC-SHA256" (3.4.2) or "PLAINTEXT" (3.4.4), which is
    for https only. Raises ValueError for another method."""
    key = "%s&%s" % (escape(consumer_secret), escape(token_secret or ""))
    if signature_method == "PLAINTEXT":
        return key
    hashes = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}
    if signature_method not in hashes:
        raise ValueError("signature_method must be HMAC-SHA1, HMAC-SHA256 or PLAINTEXT, not %r"
                         % (signature_method,))
    return native_str(base64.b64encode(
        hmac.new(utf8(key), base, hashes[signature_method]).digest()))


def protocol_parameters(method, url, parameters, consumer, token, timestamp, nonce,
                        signature_method="HMAC-SHA1", **extra):
    """The signed parameters of a request, a dict: `oauth_signature` and the others (3.1), to be
    sent beside `parameters`, which are those of the form or query. `consumer` and `token` (or None)
    are dicts with `key` and `secret`; `extra` are further ones, such as oauth_verifier. Raises
    ValueError for PLAINTEXT over http."""
    if signature_method == "PLAINTEXT" and not native_str(url).lower().startswith("https:"):
        raise ValueError("the signature method PLAINTEXT needs https")
    fields = {"oauth_consumer_key": native_str(consumer["key"]), "oauth_nonce": nonce,
              "oauth_timestamp": str(int(timestamp)), "oauth_version": "1.0",
              "oauth_signature_method": signature_method}
    if token is not None:
        fields["oauth_token"] = native_str(token["key"])
    fields.update((name, native_str(value)) for name, value in extra.items() if value is not None)
    pairs = list(fields.items()) + to_pairs(parameters)
    fields["oauth_signature"] = sign(
        signature_method, base_string(method, url, pairs), consumer["secret"],
        token["secret"] if token is not None else "")
    return fields
