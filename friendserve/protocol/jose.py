"""Signed tokens: compact JWS (RFC 7515), their keys (RFC 7517, 7518, 8037), and the claims of ID
tokens (OpenID Connect Core 3.1.3.7) and logout tokens (Back-Channel Logout 1.0).

    header, claims = verify(token, keys, ["RS256", "ES256"])
    check_id_token(claims, ["https://accounts.example"], "client-id", now=time.time())

Algorithms are chosen by the caller and never by the token: "none" is unknown here, a header that
carries a key is not looked at, and a critical extension refuses the token, since there are none
that this module implements. Signatures other than HMAC are checked by the package ``cryptography``
(``python -m pip install 'friendserve[oidc]'``). What is wrong with a token raises TokenError.
"""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import hashlib
import hmac
import json
import re

import six

from friendserve.escape import to_unicode, utf8
from friendserve.protocol.errors import TokenError, UnknownKeyError

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
except ImportError:
    hashes = None

#: The algorithms that are accepted unless the caller says otherwise.
DEFAULT_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
#: Characters of a token. Those of providers have about 1,000; with many groups in it, 10,000.
MAX_TOKEN = 32768
#: Bits of an RSA modulus: shorter ones are forgeable (RFC 7518 3.3), longer ones cost time.
RSA_BITS = (2048, 8192)
#: Seconds by which the clocks of two machines may differ.
SKEW = 60
# Larger numbers are no seconds since 1970, and infinity is later than every time.
_MAX_TIME = 1 << 53
#: The one event of a logout token (Back-Channel Logout 2.4).
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

#: {alg: (kty, crv or None, bits of the hash)} (RFC 7518 3.1, RFC 8037 3.1, RFC 9864 2.2)
ALGORITHMS = {"EdDSA": ("OKP", "Ed25519", 512), "Ed25519": ("OKP", "Ed25519", 512),
              "ES256": ("EC", "P-256", 256), "ES384": ("EC", "P-384", 384),
              "ES512": ("EC", "P-521", 512)}
for _bits in (256, 384, 512):
    ALGORITHMS["HS%d" % _bits] = ("oct", None, _bits)
    ALGORITHMS["RS%d" % _bits] = ALGORITHMS["PS%d" % _bits] = ("RSA", None, _bits)

_BASE64URL = re.compile(br"[A-Za-z0-9_-]*\Z")


# Text.

def encode_base64url(data):
    """Bytes as base64url without padding (RFC 7515 2), a native string."""
    return str(base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii"))


def decode_base64url(text):
    """The bytes of a base64url string without padding. There is one spelling of each: white space,
    padding, other characters and stray bits at the end raise TokenError."""
    try:
        data = text.encode("ascii") if isinstance(text, six.text_type) else text
        if not isinstance(data, bytes) or not _BASE64URL.match(data):
            raise ValueError("other characters")
        decoded = base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
        if base64.urlsafe_b64encode(decoded).rstrip(b"=") != data:
            raise ValueError("stray bits")
    except (AttributeError, TypeError, ValueError):
        raise TokenError("this is not base64url without padding: %.40r" % (text,))
    return decoded


def _to_object(pairs):
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refuse_constant(name):
    raise ValueError("%s is not JSON" % name)


def decode_object(data):
    """The JSON object in UTF-8 bytes, as a dict. Members that occur twice, at any depth, NaN and
    infinities raise TokenError, as does what is not an object."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_to_object,
                           parse_constant=_refuse_constant)
    except (ValueError, RuntimeError) as error:     # RuntimeError: nested too deeply
        raise TokenError("this is not a JSON object: %s" % error)
    if not isinstance(value, dict):
        raise TokenError("this is JSON, but not an object: %.40r" % (value,))
    return value


# Signatures.

def check_algorithms(algorithms):
    """Raise ValueError for a list of algorithms that nothing could be verified by safely, and
    ImportError if they need the package cryptography and it is missing.

    HMAC is not mixed with others: a public key would become a secret.
    """
    unknown = [name for name in algorithms if name not in ALGORITHMS]
    if unknown or not algorithms or isinstance(algorithms, six.string_types):
        raise ValueError("algorithms must be a list of names among %s, not %r"
                         % (", ".join(sorted(ALGORITHMS)), algorithms))
    symmetric = [name for name in algorithms if ALGORITHMS[name][0] == "oct"]
    if symmetric and len(algorithms) > 1:
        raise ValueError("%s must be the only algorithm, not one of %r"
                         % (symmetric[0], algorithms))
    if hashes is None and not symmetric:
        raise ImportError("verifying %s needs the package cryptography: python -m pip install "
                          "'friendserve[oidc]'" % ", ".join(algorithms))


def uses_secret(algorithms):
    """Whether these algorithms use a secret that is shared with the issuer, and not its keys."""
    return [ALGORITHMS[name][0] for name in algorithms] == ["oct"]


def secret_key(secret):
    """The key for HMAC, a dict, that is the UTF-8 bytes of a client's secret (OpenID Connect Core
    10.1)."""
    return {"kty": "oct", "k": encode_base64url(utf8(secret))}


def verify(token, keys, algorithms=DEFAULT_ALGORITHMS, types=("jwt",)):
    """The pair (header, claims) of a signed token with claims, both dicts. As `verify_bytes`."""
    header, payload = verify_bytes(token, keys, algorithms, types)
    return header, decode_object(payload)


def verify_bytes(token, keys, algorithms=DEFAULT_ALGORITHMS, types=("jwt",)):
    """The pair (header, payload) of a compact JWS: a dict and bytes.

    `keys` are those of the issuer, a list of dicts (JWK); `algorithms` are the names that the
    caller accepts; `types` are the values accepted for a "typ", in lower case. Raises
    UnknownKeyError if no key fits, for which the caller may have old keys, and TokenError.
    """
    check_algorithms(algorithms)
    if not isinstance(token, (bytes, six.text_type)) or len(token) > MAX_TOKEN:
        raise TokenError("a token is a string of up to %d characters" % MAX_TOKEN)
    parts = utf8(token).split(b".")
    if len(parts) != 3:
        raise TokenError("a signed token has 3 parts, not %d" % len(parts))
    header = decode_object(decode_base64url(parts[0]))
    _check_header(header, algorithms, types)
    key = choose_key(header, keys)
    _check_signature(header["alg"], key, decode_base64url(parts[2]), parts[0] + b"." + parts[1])
    return header, decode_base64url(parts[1])


def _check_header(header, algorithms, types):
    name = header.get("alg")
    if not isinstance(name, six.text_type) or name not in algorithms:
        raise TokenError("the token's alg is %r, and %s is accepted"
                         % (name, " or ".join(algorithms)))
    # RFC 7515 4.1.11: what is critical and not understood refuses the token. The unencoded payload
    # of RFC 7797 is announced there, too; a "b64" that is not announced has no meaning.
    if "crit" in header:
        raise TokenError("the token has critical extensions: %.80r" % (header["crit"],))
    if "typ" in header:
        kind = header["typ"]
        # RFC 7515 4.1.9: "application/" may be left out.
        kind = kind.lower() if isinstance(kind, six.text_type) else kind
        if kind not in types and kind not in ["application/" + name for name in types]:
            raise TokenError("the token's typ is %.40r, not %s" % (kind, " or ".join(types)))
    if "kid" in header and not isinstance(header["kid"], six.text_type):
        raise TokenError("the token's kid is not a string")


def choose_key(header, keys):
    """The one key (a dict) of a list that may have signed a token with this header.

    By "kid", and among those by "kty", "crv", "use", "key_ops" and "alg" (RFC 7517 4). Without a
    "kid" exactly one key must fit (OpenID Connect Core 10.1). Raises UnknownKeyError otherwise.
    """
    fitting = [key for key in keys if isinstance(key, dict) and _fits(key, header)]
    if len(fitting) != 1:
        raise UnknownKeyError("%s of the issuer's keys fit alg %s, kid %r"
                              % (len(fitting) or "none", header["alg"], header.get("kid")))
    return fitting[0]


def _fits(key, header):
    kind, curve, _ = ALGORITHMS[header["alg"]]
    operations = key.get("key_ops", ["verify"])
    return (key.get("kty") == kind and (curve is None or key.get("crv") == curve)
            and ("kid" not in header or key.get("kid") == header["kid"])
            and key.get("use", "sig") == "sig"
            and isinstance(operations, list) and "verify" in operations
            and key.get("alg", header["alg"]) == header["alg"])


def _number(key, name):
    data = decode_base64url(key.get(name))
    if not data:
        raise TokenError("the key has an empty %r" % name)
    return int(binascii.hexlify(data), 16)


def _coordinate(key, name, size):
    """A coordinate, always of the full length (RFC 7518 6.2.1.2)."""
    if len(decode_base64url(key.get(name))) != size:
        raise TokenError("the key's %r must have %d bytes" % (name, size))
    return _number(key, name)


def _check_signature(name, key, signature, signed):
    kind, curve, bits = ALGORITHMS[name]
    if kind == "oct":
        secret = decode_base64url(key.get("k"))
        if len(secret) * 8 < bits:
            # RFC 7518 3.2
            raise TokenError("a key for %s must have %d bytes or more" % (name, bits // 8))
        right = hmac.new(secret, signed, getattr(hashlib, "sha%d" % bits)).digest()
        if not hmac.compare_digest(right, signature):
            raise TokenError("the token's signature is wrong", "signature")
        return
    check = {"RSA": _check_rsa, "EC": _check_ec, "OKP": _check_ed25519}[kind]
    try:
        check(name, key, signature, signed)
    except InvalidSignature:
        raise TokenError("the token's signature is wrong", "signature")
    except (UnsupportedAlgorithm, ValueError) as error:
        raise TokenError("the key cannot be used: %s" % error)


def _hash(name):
    return getattr(hashes, "SHA%d" % ALGORITHMS[name][2])()


def _check_rsa(name, key, signature, signed):
    modulus, exponent = _number(key, "n"), _number(key, "e")
    shortest, longest = RSA_BITS
    if not shortest <= modulus.bit_length() <= longest or exponent.bit_length() > 32:
        raise TokenError("an RSA key must have %d to %d bits and an exponent below 2**32, not %d "
                         "and %d" % (shortest, longest, modulus.bit_length(), exponent))
    digest = _hash(name)
    if name.startswith("PS"):
        # RFC 7518 3.5: the salt is as long as the hash.
        pad = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    else:
        pad = padding.PKCS1v15()
    rsa.RSAPublicNumbers(exponent, modulus).public_key().verify(
        signature, signed, pad, digest)


def _check_ec(name, key, signature, signed):
    curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}[key["crv"]]()
    size = (curve.key_size + 7) // 8
    point = [_coordinate(key, axis, size) for axis in "xy"]
    # RFC 7518 3.4: r and s, each of the full length.
    if len(signature) != 2 * size:
        raise TokenError("a signature by %s has %d bytes, not %d"
                         % (name, 2 * size, len(signature)), "signature")
    halves = [int(binascii.hexlify(half), 16) for half in (signature[:size], signature[size:])]
    ec.EllipticCurvePublicNumbers(point[0], point[1], curve).public_key().verify(
        utils.encode_dss_signature(*halves), signed, ec.ECDSA(_hash(name)))


def _check_ed25519(name, key, signature, signed):
    ed25519.Ed25519PublicKey.from_public_bytes(decode_base64url(key.get("x"))).verify(
        signature, signed)


# Claims.

def check_id_token(claims, issuers, client_id, now, nonce=None, max_age=None):
    """Check the claims of an ID token (OpenID Connect Core 2 and 3.1.3.7).

    `issuers` are the spellings of its one issuer that are accepted. `nonce` is what the request
    had, None if it had none, as at a refresh. `max_age` is the number of seconds since the user's
    sign-in that the request allowed. Raises TokenError, whose `reason` is issuer, audience, clock,
    nonce or token.
    """
    _check_common(claims, issuers, client_id, now)
    if ("azp" in claims or isinstance(claims["aud"], list) and len(claims["aud"]) > 1) \
            and claims.get("azp") != to_unicode(client_id):
        raise TokenError("the token was issued to %.200r, not to %r"
                         % (claims.get("azp"), client_id), "audience")
    subject = claims.get("sub")
    if not isinstance(subject, six.text_type) or not 0 < len(subject) <= 255:
        raise TokenError("the token's sub must be a string of 1 to 255 characters")
    if nonce is not None and not _is_same(claims.get("nonce"), nonce):
        raise TokenError("the token's nonce is not that of this sign-in", "nonce")
    if max_age is not None and _time(claims, "auth_time") + max_age + SKEW < now:
        raise TokenError("the user signed in at the provider more than %d seconds ago" % max_age,
                         "clock")


def check_logout_token(claims, issuers, client_id, now):
    """Check the claims of a logout token (Back-Channel Logout 2.6). That each "jti" is used once is
    for the caller to check. Raises TokenError as `check_id_token` does."""
    _check_common(claims, issuers, client_id, now)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise TokenError("a logout token must have the event %s" % LOGOUT_EVENT)
    if "nonce" in claims:
        raise TokenError("a logout token has no nonce; this may be an ID token")
    for name in ("jti", "sub", "sid"):
        if name in claims and not (isinstance(claims[name], six.text_type) and claims[name]):
            raise TokenError("the logout token's %s must be a string" % name)
    if "jti" not in claims or not ("sub" in claims or "sid" in claims):
        raise TokenError("a logout token must have a jti, and a sub or a sid")
    if _time(claims, "iat") + 2 * SKEW < now:
        raise TokenError("the logout token is older than %d seconds" % (2 * SKEW), "clock")


def check_hash(claims, name, value, algorithm):
    """Check "at_hash" or "c_hash", if the token has it: the left half of the hash of an access
    token or a code (OpenID Connect Core 3.1.3.6). `algorithm` is the token's. Raises TokenError."""
    if name not in claims:
        return
    digest = getattr(hashlib, "sha%d" % ALGORITHMS[algorithm][2])(utf8(value)).digest()
    if not _is_same(claims[name], encode_base64url(digest[:len(digest) // 2])):
        raise TokenError("the token's %s is that of another one" % name)


def _is_same(value, expected):
    return isinstance(value, six.text_type) and hmac.compare_digest(utf8(value), utf8(expected))


def _time(claims, name):
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, six.integer_types + (float,)):
        raise TokenError("the token's %s must be a number, not %.40r" % (name, value))
    if not abs(value) < _MAX_TIME:
        raise TokenError("the token's %s is no time" % name)
    return value


def _check_common(claims, issuers, client_id, now):
    # Byte for byte, as the specification says: no slash, case or port is forgiven.
    if claims.get("iss") not in [to_unicode(issuer) for issuer in issuers]:
        raise TokenError("the token's issuer is %.200r, not %s"
                         % (claims.get("iss"), " or ".join(issuers)), "issuer")
    audience, client_id = claims.get("aud"), to_unicode(client_id)
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences or \
            not all(isinstance(one, six.text_type) for one in audiences):
        raise TokenError("the token is for %.200r, not for %r" % (audience, client_id), "audience")
    if _time(claims, "exp") + SKEW <= now:
        raise TokenError("the token expired %d seconds ago" % (now - claims["exp"]), "clock")
    for name in ("iat", "nbf"):
        if (name == "iat" or name in claims) and _time(claims, name) - SKEW > now:
            raise TokenError("the token's %s is %d seconds in the future"
                             % (name, claims[name] - now), "clock")
