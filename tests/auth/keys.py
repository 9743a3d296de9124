"""Keys, and the tokens that a provider signs with them; also wrong ones."""
from __future__ import absolute_import, division, print_function

import hashlib
import hmac
import json

from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from friendserve.protocol.jose import encode_base64url

_made = {}


def _once(name, make):
    if name not in _made:
        _made[name] = make()
    return _made[name]


def rsa_key(number=0):
    """A private key; another one for each number."""
    return _once(("RSA", number), lambda: rsa.generate_private_key(
        65537, 2048, default_backend()))


def key_for(algorithm):
    """A private key for an algorithm."""
    if algorithm == "EdDSA":
        return _once("OKP", ed25519.Ed25519PrivateKey.generate)
    if algorithm[:2] == "ES":
        curve = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}[algorithm]
        return _once(algorithm, lambda: ec.generate_private_key(curve(), default_backend()))
    return rsa_key()


def pem(key, private=False):
    """A key as PEM, bytes: by default only its public half."""
    if private:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                 serialization.NoEncryption())
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def _encode_number(number, size=None):
    text = "%x" % number
    text = text.zfill(2 * size if size else len(text) + len(text) % 2)
    return encode_base64url(bytes(bytearray.fromhex(text)))


def public(key, **members):
    """The public half of a key as a JWK, a dict, with further `members`."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = key.public_key().public_bytes(serialization.Encoding.Raw,
                                            serialization.PublicFormat.Raw)
        return dict({"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(raw)}, **members)
    numbers = key.public_key().public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        return dict({"kty": "RSA", "n": _encode_number(numbers.n),
                     "e": _encode_number(numbers.e)}, **members)
    name, size = {256: ("P-256", 32), 384: ("P-384", 48), 521: ("P-521", 66)}[
        numbers.curve.key_size]
    return dict({"kty": "EC", "crv": name, "x": _encode_number(numbers.x, size),
                 "y": _encode_number(numbers.y, size)}, **members)


def _encode(value):
    return encode_base64url(json.dumps(value).encode("ascii"))


def sign(key, claims, **header):
    """A token signed by RS256, or by whatever an EC key is for; `header` are further members."""
    is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
    header = dict({"alg": "ES256" if is_ec else "RS256"}, **header)
    signed = ("%s.%s" % (_encode(header), _encode(claims))).encode("ascii")
    if is_ec:
        r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = bytes(bytearray.fromhex("%064x%064x" % (r, s)))
    else:
        signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return signed.decode("ascii") + "." + encode_base64url(signature)


def sign_hmac(claims, secret, **header):
    """A token signed by HS256."""
    signed = "%s.%s" % (_encode(dict(header, alg="HS256")), _encode(claims))
    return signed + "." + encode_base64url(
        hmac.new(secret, signed.encode("ascii"), hashlib.sha256).digest())
