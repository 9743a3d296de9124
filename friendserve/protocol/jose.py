"""Signed tokens: JWS in its compact form (RFC 7515), keys (RFC 7517), and the claims of OpenID
Connect. Times are given by the caller.

The signatures are verified by the package ``cryptography``
(``python -m pip install 'friendserve[oidc]'``).
"""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import hashlib
import hmac
import json
import re

import six

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
except ImportError:
    hashes = None

#: The algorithms that are accepted unless the caller says otherwise (RFC 7518 3.1, RFC 8037).
DEFAULT_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")

#: The fewest bits of an RSA key (RFC 7518 3.3).
MIN_RSA_BITS = 2048

#: Seconds by which the clocks of issuer and server may differ.
SKEW = 60

_KEY_TYPES = {"R": "RSA", "P": "RSA", "E": "EC", "H": "oct"}
_CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48), "ES512": ("P-521", 66)}

_is_base64url = re.compile(r"[A-Za-z0-9_-]*\Z").match


class JoseError(ValueError):
    """A token that is not accepted. `reason` is one word: token, signature, issuer, audience,
    nonce or clock."""

    def __init__(self, reason, message):
        super(JoseError, self).__init__(message)
        self.reason = reason


class UnknownKeyError(JoseError):
    """The key that a token names is not among the known ones: they may be outdated."""


def decode_base64url(text):
    """Bytes from text (RFC 7515 2), strictly: no padding, no other characters, no leftover bits.
    Raises JoseError."""
    if not _is_base64url(text) or len(text) % 4 == 1:
        raise JoseError("token", "not base64url")
    try:
        data = base64.urlsafe_b64decode(str(text) + "=" * (-len(text) % 4))
    except (TypeError, ValueError, binascii.Error):
        raise JoseError("token", "not base64url")
    if encode_base64url(data) != text:
        raise JoseError("token", "base64url with leftover bits")
    return data


def encode_base64url(data):
    """Text from bytes, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def parse_object(data):
    """A JSON object as a dict, from bytes. Raises JoseError, also for a member that occurs twice
    (RFC 7515 4) and for NaN."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique,
                           parse_constant=_refuse_constant)
    except (ValueError, RuntimeError) as error:
        raise JoseError("token", "not JSON: %s" % error)
    if not isinstance(value, dict):
        raise JoseError("token", "not a JSON object")
    return value


def _unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refuse_constant(name):
    raise ValueError("%s is not JSON" % name)


def split_token(token):
    """(header, payload, signed bytes, signature) of a compact JWS; the payload is bytes. Raises
    JoseError."""
    if isinstance(token, bytes):
        token = token.decode("latin-1")
    parts = token.split(u".")
    if len(parts) != 3:
        raise JoseError("token", "a token has three parts, not %d" % len(parts))
    header = parse_object(decode_base64url(parts[0]))
    return (header, decode_base64url(parts[1]), u".".join(parts[:2]).encode("ascii"),
            decode_base64url(parts[2]))


def verify(token, keys, algorithms=DEFAULT_ALGORITHMS, secret=None, types=("JWT",)):
    """The claims of a signed token, a dict.

    `keys` is a list of public keys as dicts (JWK). HS256 is accepted only as the one algorithm in
    `algorithms`, with `secret`. `types` are the accepted values of the header `typ`, which may be
    missing. Keys in the header (jwk, jku, x5c, x5u) are ignored. Raises JoseError; UnknownKeyError
    if none of the keys fits.
    """
    header, payload, signed, signature = split_token(token)
    algorithm = header.get("alg")
    if algorithm not in algorithms or algorithm in (None, "none") \
            or algorithm.startswith("HS") and (len(algorithms) != 1 or not secret):
        raise JoseError("signature", "the algorithm %r is not accepted" % (algorithm,))
    if "crit" in header:
        # No extension is understood here (RFC 7515 4.1.11).
        raise JoseError("token", "the header has critical extensions")
    kind = header.get("typ")
    if kind is not None and (not isinstance(kind, six.string_types)
                             or kind.upper() not in [one.upper() for one in types]):
        raise JoseError("token", "the type %r is not accepted" % (kind,))
    if algorithm.startswith("HS"):
        _verify_hmac(algorithm, secret, signed, signature)
    else:
        _verify_signature(algorithm, choose_key(header, keys), signed, signature)
    return parse_object(payload)


def choose_key(header, keys):
    """The key for a token: the one with its `kid`, or without a kid the only one that fits. It must
    fit by kty, use, key_ops and alg (RFC 7517 4). Raises UnknownKeyError."""
    algorithm, kid = header["alg"], header.get("kid")
    kind = "OKP" if algorithm == "EdDSA" else _KEY_TYPES.get(algorithm[0])
    fitting = [key for key in keys if isinstance(key, dict) and key.get("kty") == kind
               and key.get("use", "sig") == "sig"
               and "verify" in (key.get("key_ops") or ["verify"])
               and key.get("alg", algorithm) == algorithm
               and (kid is None or key.get("kid") == kid)]
    if len(fitting) != 1:
        raise UnknownKeyError("signature", "%s key fits this token (kid %r)" % (
            "more than one" if fitting else "no", kid))
    return fitting[0]


def _verify_hmac(algorithm, secret, signed, signature):
    functions = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
    if algorithm not in functions:
        raise JoseError("signature", "the algorithm %r is unknown" % algorithm)
    secret = secret if isinstance(secret, bytes) else secret.encode("utf-8")
    if not hmac.compare_digest(hmac.new(secret, signed, functions[algorithm]).digest(), signature):
        raise JoseError("signature", "the signature is wrong")


def _verify_signature(algorithm, key, signed, signature):
    if hashes is None:
        raise RuntimeError("to verify tokens, install the package cryptography: "
                           "python -m pip install 'friendserve[oidc]'")
    try:
        if algorithm == "EdDSA":
            _ed25519_key(key).verify(signature, signed)
            return
        function = getattr(hashes, "SHA" + algorithm[2:])()
        if algorithm in _CURVES:
            size = _CURVES[algorithm][1]
            if len(signature) != 2 * size:
                raise JoseError("signature", "the signature has the wrong length")
            _ec_key(key, algorithm).verify(utils.encode_dss_signature(
                _to_int(signature[:size]), _to_int(signature[size:])), signed, ec.ECDSA(function))
        elif algorithm[:2] in ("RS", "PS"):
            pad = padding.PKCS1v15() if algorithm[0] == "R" else padding.PSS(
                padding.MGF1(function), function.digest_size)
            _rsa_key(key).verify(signature, signed, pad, function)
        else:
            raise JoseError("signature", "the algorithm %r is unknown" % algorithm)
    except InvalidSignature:
        raise JoseError("signature", "the signature is wrong")
    except JoseError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JoseError("signature", "the key cannot be used: %s" % error)


def _to_int(data):
    return int(binascii.b2a_hex(data) or b"0", 16)


def _number(key, name):
    return _to_int(decode_base64url(key[name]))


def _rsa_key(key):
    modulus, exponent = _number(key, "n"), _number(key, "e")
    if modulus.bit_length() < MIN_RSA_BITS:
        raise JoseError("signature", "the RSA key has fewer than %d bits" % MIN_RSA_BITS)
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _ec_key(key, algorithm):
    curve = _CURVES[algorithm][0]
    if key.get("crv") != curve:
        raise JoseError("signature", "%s needs a key of the curve %s" % (algorithm, curve))
    return ec.EllipticCurvePublicNumbers(
        _number(key, "x"), _number(key, "y"),
        {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}[curve]()
    ).public_key()


def _ed25519_key(key):
    if key.get("crv") != "Ed25519":
        raise JoseError("signature", "the curve %r is not accepted" % (key.get("crv"),))
    return ed25519.Ed25519PublicKey.from_public_bytes(decode_base64url(key["x"]))


# Claims

def check_times(claims, now, max_age=None):
    """Raise JoseError "clock" unless a token is valid at `now`, in seconds since 1970. `max_age`:
    how many seconds ago the user may have signed in (auth_time)."""
    for name in ("exp", "iat", "nbf", "auth_time"):
        value = claims.get(name)
        if value is not None and (isinstance(value, bool)
                                  or not isinstance(value, six.integer_types + (float,))):
            raise JoseError("token", "%s is not a number" % name)
    if claims.get("exp") is None or claims.get("iat") is None:
        raise JoseError("token", "exp or iat is missing")
    if now >= claims["exp"] + SKEW:
        raise JoseError("clock", "the token has expired")
    if max(claims.get("nbf", 0), claims["iat"]) > now + SKEW:
        raise JoseError("clock", "the token is from the future")
    if max_age is not None and not now - max_age - SKEW <= claims.get("auth_time", 0):
        raise JoseError("clock", "the user signed in more than %d seconds ago" % max_age)


def check_audience(claims, issuers, client_id):
    """Raise JoseError unless a token is from one of `issuers`, for `client_id` (OpenID Connect Core
    3.1.3.7, 2 to 5)."""
    if claims.get("iss") not in issuers:
        raise JoseError("issuer", "the token is from %r" % (claims.get("iss"),))
    audience = claims.get("aud")
    audience = audience if isinstance(audience, list) else [audience]
    if client_id not in audience:
        raise JoseError("audience", "the token is for %r" % (claims.get("aud"),))
    if (len(audience) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise JoseError("audience", "the token is used by %r" % (claims.get("azp"),))


def check_id_token(claims, issuers, client_id, now, nonce, max_age=None):
    """Raise JoseError unless these are the claims of an ID token for this sign-in (OpenID Connect
    Core 3.1.3.7). `nonce` None: the token is from a refresh, which has none."""
    check_audience(claims, issuers, client_id)
    check_times(claims, now, max_age)
    if nonce is not None and claims.get("nonce") != nonce:
        raise JoseError("nonce", "the nonce is another one")
    if not isinstance(claims.get("sub"), six.string_types) or not claims["sub"]:
        raise JoseError("token", "sub is missing")


def check_hash(claims, name, value, algorithm):
    """Raise JoseError unless the claim at_hash or c_hash, if it is there, is that of `value`
    (OpenID Connect Core 3.1.3.6): the left half of its hash."""
    if claims.get(name) is None:
        return
    function = hashlib.sha512 if algorithm == "EdDSA" else getattr(
        hashlib, "sha" + algorithm[2:])
    digest = function(value.encode("ascii", "replace")).digest()
    if claims[name] != encode_base64url(digest[:len(digest) // 2]):
        raise JoseError("token", "%s is wrong" % name)


def check_logout_token(claims, issuers, client_id, now):
    """Raise JoseError unless these are the claims of a logout token (OpenID Connect Back-Channel
    Logout 2.6)."""
    check_audience(dict(claims, azp=client_id), issuers, client_id)
    check_times(claims, now)
    if now - claims["iat"] > 5 * SKEW:
        raise JoseError("clock", "the logout token was made more than five minutes ago")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise JoseError("token", "the events of the token are not a logout")
    if "nonce" in claims:
        raise JoseError("token", "a logout token has no nonce")
    if not claims.get("sid") and not claims.get("sub"):
        raise JoseError("token", "sid and sub are missing")
    if not isinstance(claims.get("jti"), six.string_types):
        raise JoseError("token", "jti is missing")


LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
