"""Signed tokens: text, headers, keys, signatures. Claims are in test_jose_claims."""
from __future__ import absolute_import, division, print_function

import hashlib
import hmac
import json
import subprocess
import sys
import unittest

from friendserve.protocol import jose
from friendserve.protocol.errors import TokenError, UnknownKeyError
from tests import ROOT
from tests.josecase import encode, key, make_token, resign, vectors

CLAIMS = {"sub": "someone"}
SAFE = ["RS256", "PS256", "ES256", "EdDSA"]

if sys.version_info >= (3, 9):
    import joserfc.jwk
    import joserfc.jwt
    import jwcrypto.jwk
    import jwcrypto.jwt
    import jwt


def keys(*pairs):
    return [pair if isinstance(pair, dict) else pair.jwk for pair in pairs]


def changed(pair, **members):
    """The public half of a key with other members; None leaves one out."""
    jwk = dict(pair.jwk, **members)
    return dict((name, value) for name, value in jwk.items() if value is not None)


class Text(unittest.TestCase):
    def test_a400_each_value_has_one_spelling_in_base64url(self):
        for data in (b"", b"f", b"fo", b"foo", b"\xff\xfe\xfd"):
            self.assertEqual(data, jose.decode_base64url(jose.encode_base64url(data)))
        for text in ("Zg==", "Zg=", "Zh", "Z", "Zm9v\n", " Zm9v", "Zm+v", "Zm/v", "Zm9v.",
                     u"Zm9\xe4", None, 5, ["Zg"]):
            with self.assertRaises(TokenError, msg=repr(text)):
                jose.decode_base64url(text)

    def test_a400_a_member_that_occurs_twice_is_refused(self):
        self.assertEqual({"a": {"b": 1}}, jose.decode_object(b'{"a": {"b": 1}}'))
        for data in (b'{"a": 1, "a": 1}', b'{"x": {"a": 1, "a": 2}}', b'[1]', b'"a"', b"", b"{",
                     b'{"a": NaN}', b'{"a": Infinity}', b"\xff", b'{"a": "\xff"}', b"{} {}",
                     b"[" * 100000):
            with self.assertRaises(TokenError, msg=repr(data[:40])):
                jose.decode_object(data)

    def test_a400_a_header_whose_member_occurs_twice_is_refused(self):
        pair = key()
        token = resign(b'{"alg": "none", "alg": "RS256", "kid": "one"}', b"{}", pair.sign)
        with self.assertRaisesRegex(TokenError, "twice"):
            jose.verify(token, keys(pair), SAFE)
        with self.assertRaisesRegex(TokenError, "twice"):
            jose.verify(resign(b'{"alg": "RS256", "kid": "one"}', b'{"sub": "a", "sub": "b"}',
                               pair.sign), keys(pair), SAFE)

    if not hasattr(unittest.TestCase, "assertRaisesRegex"):     # version: py2
        assertRaisesRegex = unittest.TestCase.assertRaisesRegexp


class Vectors(unittest.TestCase):
    def test_a401_examples_of_the_specifications(self):
        seen = []
        for name, vector in sorted(vectors().items()):
            if vector["key"] is None:
                continue
            header, payload, _ = vector["token"].split(".")
            alg = json.loads(jose.decode_base64url(header).decode("utf-8"))["alg"]
            found = jose.verify_bytes(vector["token"], keys(vector["key"]), [alg])
            self.assertEqual(jose.decode_base64url(payload), found[1], name)
            seen.append(alg)
            # Each bit of the signature counts, as does each of what is signed.
            head, body, signature = vector["token"].split(".")
            wrong = bytearray(jose.decode_base64url(signature))
            wrong[-1] ^= 1
            for token in (".".join([head, body, encode(bytes(wrong))]),
                          ".".join([head, encode(b"another"), signature]),
                          ".".join([head, body, ""]),
                          ".".join([head, body, encode(bytes(wrong[:-1]))])):
                with self.assertRaises(TokenError, msg=name) as caught:
                    jose.verify_bytes(token, keys(vector["key"]), [alg])
                self.assertEqual("signature", caught.exception.reason, name)
        self.assertEqual(["HS256", "RS256", "ES256", "ES512", "RS256", "PS384", "ES512", "HS256",
                          "EdDSA"], seen)

    def test_a401_the_unsecured_example_is_refused(self):
        token = vectors()["RFC 7515 A.5"]["token"]
        for algorithms in (SAFE, ["HS256"]):
            with self.assertRaises(TokenError) as caught:
                jose.verify(token, keys(key()), algorithms)
            self.assertIn("none", str(caught.exception))
        with self.assertRaises(ValueError):
            jose.verify(token, keys(key()), ["none"])


class Headers(unittest.TestCase):
    def refused(self, token, jwks, algorithms=SAFE, reason="token", words=""):
        with self.assertRaises(TokenError) as caught:
            jose.verify(token, jwks, algorithms)
        self.assertEqual(reason, caught.exception.reason)
        self.assertIn(words, str(caught.exception))

    def test_a402_three_parts_exactly(self):
        token = make_token(CLAIMS, key())
        self.assertEqual(CLAIMS, jose.verify(token, keys(key()), SAFE)[1])
        for wrong in (token + ".", token + ".e30", token.rpartition(".")[0], "", "..", None, {},
                      "." + token, token + "=", token + "\n", u"\u20ac.e30.e30"):
            self.refused(wrong, keys(key()))
        self.refused("a" * (jose.MAX_TOKEN + 1), keys(key()), words="characters")

    def test_a402_only_listed_algorithms(self):
        for alg in ("ES384", "RS512"):
            self.refused(make_token(CLAIMS, key(alg)), keys(key(alg)), words=alg)
        for alg in (None, 5, ["RS256"], "", "none", "None", "NONE", "rs256", "HS256"):
            self.refused(make_token(CLAIMS, key(), {"alg": alg}), keys(key()))

    def test_a402_every_algorithm(self):
        for alg in sorted(jose.ALGORITHMS):
            pair = key(alg)
            self.assertEqual(CLAIMS, jose.verify(make_token(CLAIMS, pair), keys(pair), [alg])[1])
            other = key(alg, "other")
            token = make_token(CLAIMS, other, {"kid": "one"})
            self.refused(token, keys(pair), [alg], "signature")

    def test_a402_lists_of_algorithms_that_are_not_safe(self):
        for algorithms in ([], ["none"], ["RS256", "none"], ["HS256", "RS256"],
                           ["HS256", "HS512"], "RS256", ["dir"]):
            with self.assertRaises(ValueError):
                jose.check_algorithms(algorithms)

    def test_a403_type_of_the_token(self):
        for kind in ("JWT", "jwt", "application/jwt"):
            jose.verify(make_token(CLAIMS, key(), {"typ": kind}), keys(key()), SAFE)
        for kind in ("at+jwt", "logout+jwt", "JWE", "", 5, ["JWT"]):
            self.refused(make_token(CLAIMS, key(), {"typ": kind}), keys(key()))
        jose.verify(make_token(CLAIMS, key(), {"typ": "logout+jwt"}), keys(key()), SAFE,
                    ("jwt", "logout+jwt"))

    # The advisories.

    def test_a404_cve_2022_29217_a_public_key_is_no_hmac_secret(self):
        pair = key()
        for secret in (pair.pem(), pair.pem().strip(), json.dumps(pair.jwk).encode("ascii")):
            for alg in ("HS256", "HS384", "HS512"):
                token = resign(
                    json.dumps({"alg": alg, "kid": "one"}).encode("ascii"), b'{"sub": "evil"}',
                    lambda data: hmac.new(secret, data, getattr(hashlib, "sha" + alg[2:])).digest())
                self.refused(token, keys(pair), words=alg)
                # Nor where HMAC was chosen, and the set has the public key.
                self.refused(token, keys(pair), [alg], "signature")

    def test_a404_cve_2025_59420_and_2026_32597_unknown_critical_extensions(self):
        for crit in (["exp"], ["b64"], ["bork"], [], None, "exp", {"a": 1}, False):
            header = {"alg": "RS256", "kid": "one", "crit": crit, "bork": True}
            token = resign(json.dumps(header).encode("ascii"), b"{}", key().sign)
            self.refused(token, keys(key()), words="critical")

    def test_a404_cve_2026_27962_the_key_in_the_header_is_ignored(self):
        evil = key("RS256", "evil")
        for header in ({"jwk": evil.jwk}, {"jwk": evil.jwk, "kid": None},
                       {"jwk": evil.jwk, "kid": "one"}, {"jku": "https://evil.example/keys"},
                       {"x5u": "https://evil.example/keys"}, {"x5c": ["MIIB"]}):
            self.refused(make_token(CLAIMS, evil, header), keys(key()), reason="signature")
            # With no key in the set, none is taken from elsewhere.
            self.refused(make_token(CLAIMS, evil, header), keys(), reason="signature")
        # It may be there: it is not looked at.
        jose.verify(make_token(CLAIMS, key(), {"jwk": evil.jwk, "jku": "x"}), keys(key()), SAFE)

    def test_a404_cve_2026_48526_a_jwk_is_no_hmac_secret(self):
        pair = key("ES256")
        text = json.dumps(pair.jwk)
        for secret in (text, json.dumps(keys(pair)), pair.jwk["x"]):
            token = resign(b'{"alg": "HS256", "kid": "one"}', b'{"sub": "evil"}',
                           lambda data: hmac.new(secret.encode("ascii"), data,
                                                 hashlib.sha256).digest())
            self.refused(token, keys(pair), ["HS256"], "signature")
            self.refused(token, keys(pair), ["ES256"])


class Keys(unittest.TestCase):
    def test_a405_choice_by_kid_and_what_fits(self):
        pair, other = key(), key("RS256", "other")
        token = make_token(CLAIMS, pair)
        for fitting in (pair.jwk, changed(pair, alg=None), changed(pair, use=None),
                        changed(pair, key_ops=["verify"]), changed(pair, key_ops=None)):
            jose.verify(token, keys(other, fitting, key("ES256"), {}, {"kty": 5}), SAFE)
        for wrong in (changed(pair, alg="RS512"), changed(pair, use="enc"), changed(pair, use=5),
                      changed(pair, key_ops=["encrypt"]), changed(pair, key_ops="verify"),
                      changed(pair, kty="EC"), changed(pair, kid="two"), changed(pair, kid=None),
                      changed(key("ES256"), kid="one")):
            with self.assertRaises(UnknownKeyError, msg=repr(wrong)) as caught:
                jose.verify(token, keys(wrong, other), SAFE)
            self.assertEqual("signature", caught.exception.reason)

    def test_a405_without_kid_exactly_one_key_fits(self):
        token = make_token(CLAIMS, key(), {"kid": None})
        jose.verify(token, keys(key(), key("ES256")), SAFE)
        with self.assertRaises(UnknownKeyError):
            jose.verify(token, keys(key(), key("RS256", "other")), SAFE)
        for kid in (5, ["one"], None):
            header = json.dumps({"alg": "RS256", "kid": kid}).encode("ascii")
            with self.assertRaises(TokenError):
                jose.verify(resign(header, b"{}", key().sign), keys(key()), SAFE)

    def test_a406_keys_of_wrong_sizes_and_shapes(self):
        short = key("RS256", "short", 1024)
        rsa, curve, edwards = key(), key("ES256"), key("EdDSA")
        for pair, jwk in (
                (short, short.jwk), (rsa, changed(rsa, n=None)), (rsa, changed(rsa, e="")),
                (rsa, changed(rsa, e="AA")), (rsa, changed(rsa, e="AQAAAAAAAQ")),
                (rsa, changed(rsa, e="Ag")), (rsa, changed(rsa, n=rsa.jwk["n"] + "=")),
                (rsa, changed(rsa, n=encode(b"\xff" * 2000))), (rsa, changed(rsa, n=5)),
                (curve, changed(curve, x=curve.jwk["x"][:-2])), (curve, changed(curve, y=None)),
                (curve, changed(curve, x=encode(b"\x01" * 32))),
                (curve, changed(curve, x=encode(b"\0" + b"\x01" * 32))),
                (edwards, changed(edwards, x=encode(b"1" * 31))),
                (edwards, changed(edwards, x=None))):
            with self.assertRaises(TokenError, msg=repr(jwk)) as caught:
                jose.verify(make_token(CLAIMS, pair), keys(jwk), SAFE)
            self.assertEqual("token", caught.exception.reason)

    def test_a406_an_hmac_key_is_as_long_as_the_hash(self):
        secret = {"kty": "oct", "k": encode(b"x" * 31)}
        token = resign(b'{"alg": "HS256"}', b"{}", lambda data: hmac.new(
            b"x" * 31, data, hashlib.sha256).digest())
        with self.assertRaises(TokenError) as caught:
            jose.verify(token, keys(secret), ["HS256"])
        self.assertIn("32 bytes", str(caught.exception))

    def test_a406_a_der_signature_of_ecdsa_is_refused(self):
        pair = key("ES256")
        from_library = pair.private.sign
        signed = encode(b'{"alg": "ES256"}') + "." + encode(b"{}")
        der = from_library(signed.encode("ascii"), *_ecdsa())
        with self.assertRaises(TokenError) as caught:
            jose.verify(signed + "." + encode(der), keys(pair), SAFE)
        self.assertIn("64", str(caught.exception))


def _ecdsa():
    return (jose.ec.ECDSA(jose.hashes.SHA256()),)


class WithoutCryptography(unittest.TestCase):
    def test_a407_the_error_names_the_extra(self):
        program = (
            "import sys; sys.modules['cryptography'] = None\n"
            "from friendserve.protocol import jose\n"
            "jose.check_algorithms(['HS256'])\n"
            "try:\n    jose.check_algorithms(['RS256'])\n"
            "except ImportError as error:\n    print(error)\n")
        output = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT)
        self.assertIn(b"friendserve[oidc]", output)


if sys.version_info >= (3, 9):
    class Judges(unittest.TestCase):
        """Other libraries make tokens, and ours verifies them."""

        def check(self, alg, token):
            pair = key(alg)
            header, claims = jose.verify(token, keys(pair), [alg])
            self.assertEqual((alg, "someone"), (header["alg"], claims["sub"]))
            with self.assertRaises(UnknownKeyError):
                jose.verify(token, keys(key(alg, "other")), [alg])

        ALGORITHMS = sorted(set(jose.ALGORITHMS) - set(["Ed25519"]))

        def test_a408_pyjwt(self):
            for alg in self.ALGORITHMS:
                self.check(alg, jwt.encode(CLAIMS, key(alg).private, alg, headers={"kid": "one"}))

        def test_a408_joserfc(self):
            for alg in self.ALGORITHMS:
                pair = key(alg)
                kind = {"HS": joserfc.jwk.OctKey, "RS": joserfc.jwk.RSAKey,
                        "PS": joserfc.jwk.RSAKey, "ES": joserfc.jwk.ECKey,
                        "Ed": joserfc.jwk.OKPKey}[alg[:2]]
                theirs = kind.import_key(pair.private if alg.startswith("HS")
                                         else pair.private_pem())
                self.check(alg, joserfc.jwt.encode({"alg": alg, "kid": "one"}, CLAIMS, theirs,
                                                   algorithms=[alg]))

        def test_a408_jwcrypto(self):
            for alg in self.ALGORITHMS:
                pair = key(alg)
                theirs = jwcrypto.jwk.JWK(**pair.jwk) if alg.startswith("HS") else \
                    jwcrypto.jwk.JWK.from_pem(pair.private_pem())
                token = jwcrypto.jwt.JWT(header={"alg": alg, "kid": "one"}, claims=CLAIMS)
                token.make_signed_token(theirs)
                self.check(alg, token.serialize())
