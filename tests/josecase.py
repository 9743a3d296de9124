"""Shared by the tests of sign-in with OpenID Connect: keys, and tokens signed with them.

Keys are made once in a run, by the package cryptography.
"""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import hashlib
import hmac
import json
import os

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from tests import CORPUS

_made = {}


def vectors():
    """The examples of RFC 7515, 7520 and 8037: {name: {"key": a JWK or None, "token": ...}}."""
    with open(os.path.join(CORPUS, "jose", "vectors.json")) as source:
        return dict((vector["name"], vector) for vector in json.load(source))


def encode(data):
    """base64url without padding, a native string."""
    return str(base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii"))


def _encode_number(number, size=None):
    digits = "%x" % number
    digits = digits.rjust(2 * size if size else len(digits) + len(digits) % 2, "0")
    return encode(binascii.unhexlify(digits))


class Key(object):
    """A key pair: `alg`, `kid`, `jwk` (the public half), and `sign`."""

    def __init__(self, alg, kid, bits=2048):
        self.alg = alg
        self.kid = kid
        self.jwk = {"kid": kid, "alg": alg, "use": "sig"}
        getattr(self, "_make_" + alg[:2])(bits)

    def _make_RS(self, bits):
        self.private = rsa.generate_private_key(65537, bits)
        numbers = self.private.public_key().public_numbers()
        self.jwk.update(kty="RSA", n=_encode_number(numbers.n), e=_encode_number(numbers.e))

    _make_PS = _make_RS

    def _make_ES(self, bits):
        curve, name, self.size = {"ES256": (ec.SECP256R1, "P-256", 32),
                                  "ES384": (ec.SECP384R1, "P-384", 48),
                                  "ES512": (ec.SECP521R1, "P-521", 66)}[self.alg]
        self.private = ec.generate_private_key(curve())
        numbers = self.private.public_key().public_numbers()
        self.jwk.update(kty="EC", crv=name, x=_encode_number(numbers.x, self.size),
                        y=_encode_number(numbers.y, self.size))

    def _make_Ed(self, bits):
        self.private = ed25519.Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.jwk.update(kty="OKP", crv="Ed25519", x=encode(raw))

    def _make_HS(self, bits):
        self.private = os.urandom(64)
        self.jwk.update(kty="oct", k=encode(self.private))

    def sign(self, signed):
        """The signature of bytes."""
        kind = self.alg[:2]
        if kind == "Ed":
            return self.private.sign(signed)
        if kind == "HS":
            return hmac.new(self.private, signed, getattr(hashlib, "sha" + self.alg[2:])).digest()
        digest = getattr(hashes, "SHA" + self.alg[2:])()
        if kind == "ES":
            halves = utils.decode_dss_signature(self.private.sign(signed, ec.ECDSA(digest)))
            return b"".join(binascii.unhexlify(("%x" % half).rjust(2 * self.size, "0"))
                            for half in halves)
        pad = padding.PKCS1v15() if kind == "RS" else padding.PSS(
            mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        return self.private.sign(signed, pad, digest)

    def pem(self):
        """The public half in PEM, bytes."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def private_pem(self):
        """The private half in PEM, bytes."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())


def key(alg="RS256", kid="one", bits=2048):
    """A key pair, the same one for the same arguments."""
    if (alg, kid, bits) not in _made:
        _made[alg, kid, bits] = Key(alg, kid, bits)
    return _made[alg, kid, bits]


def make_token(claims, key, header=None):
    """A signed token. `claims` are a dict or bytes; `header` has members besides "alg" and "kid",
    or None for one to leave out."""
    members = {"alg": key.alg, "kid": key.kid}
    members.update(header or {})
    members = dict((name, value) for name, value in members.items() if value is not None)
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode("utf-8")
    signed = ".".join([encode(json.dumps(members).encode("utf-8")), encode(payload)])
    return signed + "." + encode(key.sign(signed.encode("ascii")))


def resign(header, payload, sign):
    """A token of a header and payload in bytes, and a function that signs bytes."""
    signed = encode(header) + "." + encode(payload)
    return signed + "." + encode(sign(signed.encode("ascii")))
