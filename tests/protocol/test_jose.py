# coding: utf-8
"""Signed tokens: vectors of the RFCs, tokens that others make, and those that must be refused."""
from __future__ import absolute_import, division, print_function

import json
import unittest

from friendserve.protocol import jose
from friendserve.protocol.jose import JoseError, decode_base64url, encode_base64url, verify
from tests.auth import keys

RSA = {"kty": "RSA", "n": (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4"
    "QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo"
    "9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB"
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh"
    "9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2"
    "ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"), "e": "AQAB"}

#: RFC 7515 A.2: RS256.
RS256 = (
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb"
    "S9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dz"
    "ERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB-"
    "-f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
    "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6"
    "BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98r"
    "qVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw")

#: RFC 7515 A.3: ES256.
EC = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
ES256 = (
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb"
    "S9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F"
    "4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")

#: RFC 7515 A.1: HS256.
HS256 = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb"
    "2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcG"
    "xlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
HS256_KEY = (
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"
    "-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")

#: RFC 7515 A.5: unsecured.
NONE = (
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMD"
    "A4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij"
    "p0cnVlfQ.")

#: RFC 8037 A.1, A.2 and A.4: Ed25519. The payload is no JSON.
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
EDDSA = ("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
         "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")


class VectorTest(unittest.TestCase):
    def test_rfc_7515_a(self):
        claims = {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
        self.assertEqual(claims, verify(RS256, [RSA]))
        self.assertEqual(claims, verify(ES256, [EC]))
        self.assertEqual(claims, verify(HS256, [], ("HS256",),
                                        secret=decode_base64url(HS256_KEY)))

    def test_rfc_7515_a_5_unsecured_is_refused(self):
        for algorithms in (jose.DEFAULT_ALGORITHMS, ("none",), ("none", "RS256")):
            with self.assertRaises(JoseError) as caught:
                verify(NONE, [RSA, EC], algorithms)
            self.assertEqual("signature", caught.exception.reason)

    def test_rfc_8037_a(self):
        with self.assertRaises(JoseError) as caught:
            verify(EDDSA, [OKP])
        # The signature is right; the payload is no JSON.
        self.assertEqual("token", caught.exception.reason)
        with self.assertRaises(JoseError) as caught:
            verify(EDDSA[:-4] + "AAAA", [OKP])
        self.assertEqual("signature", caught.exception.reason)

    def test_one_changed_bit_anywhere(self):
        for token, key in ((RS256, RSA), (ES256, EC)):
            head, payload, signature = token.split(".")
            for changed in ("X" + head[1:] + "." + payload + "." + signature,
                            head + ".X" + payload[1:] + "." + signature,
                            head + "." + payload + "." + ("A" if signature[0] != "A" else "B")
                            + signature[1:]):
                with self.assertRaises(JoseError):
                    verify(changed, [key])


class FormTest(unittest.TestCase):
    def refuse(self, function, *args):
        with self.assertRaises(JoseError):
            function(*args)

    def test_base64url_is_strict(self):
        self.assertEqual(b"\xfb\xff", decode_base64url("-_8"))
        for text in ("-_8=", "+/8", "-_9", "A", "-_8\n", u"\u05d0\u05d0", "-_ 8"):
            self.refuse(decode_base64url, text)

    def test_json_is_strict(self):
        self.assertEqual({"a": 1}, jose.parse_object(b'{"a": 1}'))
        for data in (b"[]", b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b"{", b'{"a": NaN}', b"\xff",
                     b"", b"1", b"[" * 100000):
            self.refuse(jose.parse_object, data)

    def test_parts(self):
        for token in ("", "a", "a.b", "a.b.c.d", RS256 + ".", RS256.replace(".", "", 1),
                      "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d"):
            self.refuse(verify, token, [RSA])


class RefusedTest(unittest.TestCase):
    """Tokens by which other libraries were deceived. Each is signed as its maker would sign it."""

    def refused(self, token, keys_, *args, **kwargs):
        with self.assertRaises(JoseError) as caught:
            verify(token, keys_, *args, **kwargs)
        return caught.exception

    def test_a400_cve_2022_29217_a_public_key_as_the_secret_of_hmac(self):
        key = keys.rsa_key()
        pem = keys.pem(key)
        for secret in (pem, json.dumps(keys.public(key)).encode("ascii")):
            token = keys.sign_hmac({"sub": "a"}, secret)
            self.refused(token, [keys.public(key)])
            self.refused(token, [keys.public(key)], ("RS256", "HS256"), secret=secret)

    def test_a401_cve_2025_59420_and_2026_32597_critical_extensions(self):
        key = keys.rsa_key()
        for crit in (["exp"], [], ["b64"], "x", None):
            token = keys.sign(key, {"sub": "a"}, crit=crit)
            self.assertEqual("token", self.refused(token, [keys.public(key)]).reason)

    def test_a402_cve_2026_27962_a_key_in_the_header(self):
        key, other = keys.rsa_key(), keys.rsa_key(1)
        token = keys.sign(other, {"sub": "a"}, jwk=keys.public(other), jku="https://evil.example/",
                          x5u="https://evil.example/", x5c=["AAAA"])
        self.assertEqual("signature", self.refused(token, [keys.public(key)]).reason)
        # They do no harm beside a signature that is right.
        self.assertEqual({"sub": "a"}, verify(
            keys.sign(key, {"sub": "a"}, jwk=keys.public(other)), [keys.public(key)]))

    def test_a403_cve_2026_48526_a_jwk_as_the_secret_of_hmac(self):
        key = {"kty": "oct", "k": encode_base64url(b"x" * 32), "kid": "1"}
        token = keys.sign_hmac({"sub": "a"}, b"x" * 32, kid="1")
        self.refused(token, [key])
        self.refused(token, [key], ("HS256",))
        self.refused(token, [key], ("HS256",), secret="")

    def test_a404_headers(self):
        key = keys.rsa_key()
        public = keys.public(key)
        for header in ({"typ": "at+jwt"}, {"typ": 5}, {"alg": "RS1"}, {"alg": "RS999"},
                       {"alg": None}, {"alg": "rs256"}, {"alg": ["RS256"]}):
            token = keys.sign(key, {"sub": "a"}, **header)
            self.refused(token, [public], jose.DEFAULT_ALGORITHMS)
        self.refused(keys.sign(key, {"sub": "a"}), [public], ("ES256",))
        for kind in ("JWT", "jwt"):
            self.assertEqual({"sub": "a"}, verify(keys.sign(key, {"sub": "a"}, typ=kind), [public]))


class KeyTest(unittest.TestCase):
    """Which key is used: check 15."""

    def setUp(self):
        self.key, self.other = keys.rsa_key(), keys.rsa_key(1)
        self.token = keys.sign(self.key, {"sub": "a"}, kid="1")

    def verify(self, *known):
        return verify(self.token, list(known))["sub"]

    def refused(self, *known):
        with self.assertRaises(jose.UnknownKeyError):
            self.verify(*known)

    def test_a405_check_15_by_kid(self):
        fitting = keys.public(self.key, kid="1")
        other = keys.public(self.other, kid="2")
        self.assertEqual("a", self.verify(other, fitting))
        self.refused(other)
        self.refused(fitting, keys.public(self.other, kid="1"))
        self.refused()
        self.refused("text", None)

    def test_a405_check_15_by_use_and_algorithm(self):
        for changes in ({"use": "enc"}, {"key_ops": ["encrypt"]}, {"alg": "PS256"},
                        {"kty": "EC"}):
            self.refused(dict(keys.public(self.key, kid="1"), **changes))
        self.assertEqual("a", self.verify(dict(
            keys.public(self.key, kid="1"), use="sig", key_ops=["verify"], alg="RS256")))

    def test_a405_check_15_without_a_kid_the_only_one_that_fits(self):
        self.token = keys.sign(self.key, {"sub": "a"})
        self.assertEqual("a", self.verify(keys.public(self.key, kid="x"), EC))
        self.refused(keys.public(self.key), keys.public(self.other))

    def test_a406_weak_and_broken_keys(self):
        for changes in ({"n": encode_base64url(b"\xff" * 128)}, {"n": "!"}, {"n": None},
                        {"e": encode_base64url(b"\x02")}, {"e": None}):
            with self.assertRaises(JoseError):
                self.verify(dict(keys.public(self.key, kid="1"), **changes))
        for changes in ({"crv": "P-384"}, {"x": "AAAA"}, {"y": None}):
            with self.assertRaises(JoseError):
                verify(ES256, [dict(EC, **changes)])
        with self.assertRaises(JoseError):
            verify(EDDSA, [dict(OKP, crv="X25519")])


class ClaimsTest(unittest.TestCase):
    NOW = 1700000000

    def check(self, reason, **changes):
        claims = {"iss": "https://a.example", "aud": "me", "sub": "ann", "nonce": "n",
                  "iat": self.NOW, "exp": self.NOW + 300}
        max_age = changes.pop("max_age", None)
        for name, value in changes.items():
            claims[name] = value
            if value is None:
                del claims[name]
        try:
            jose.check_id_token(claims, ("https://a.example",), "me", self.NOW, "n", max_age)
        except JoseError as error:
            self.assertEqual(reason, error.reason, changes)
        else:
            self.assertIsNone(reason, changes)

    def test_a407_check_17_issuer_and_audience(self):
        self.check(None)
        for issuer in ("https://a.example/", "https://A.example", "a.example", None, ["x"]):
            self.check("issuer", iss=issuer)
        for audience in ("you", None, ["you"], [], "me ", 5):
            self.check("audience", aud=audience)
        self.check(None, aud=["me"])
        self.check("audience", aud=["me", "you"])
        self.check(None, aud=["me", "you"], azp="me")
        self.check("audience", azp="you")

    def test_a408_check_18_times(self):
        self.check("clock", exp=self.NOW - 60)
        self.check(None, exp=self.NOW - 59)
        self.check("clock", iat=self.NOW + 61)
        self.check("clock", nbf=self.NOW + 61)
        self.check(None, nbf=self.NOW + 59)
        self.check(None, max_age=100, auth_time=self.NOW - 150)
        self.check("clock", max_age=100, auth_time=self.NOW - 161)
        self.check("clock", max_age=100)
        for name in ("exp", "iat"):
            self.check("token", **{name: None})
            self.check("token", **{name: "5"})
            self.check("token", **{name: True})

    def test_a409_check_19_nonce_and_hashes(self):
        self.check("nonce", nonce="other")
        self.check("nonce", nonce=None)
        self.check("token", sub=None)
        self.check("token", sub="")
        # The example of OpenID Connect Core A.3 and A.4.
        jose.check_hash({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}, "at_hash",
                        "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256")
        jose.check_hash({"c_hash": "LDktKdoQak3Pk0cnXxCltA"}, "c_hash",
                        "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "RS256")
        for claims in ({"at_hash": "77QmUPtjPfzWtF2AnpK9RA"}, {"at_hash": ""}, {"at_hash": 5}):
            with self.assertRaises(JoseError):
                jose.check_hash(claims, "at_hash", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
                                "RS256")


try:
    import jwt
except ImportError:
    jwt = None
try:
    from joserfc import jwk as joserfc_jwk, jwt as joserfc_jwt
except ImportError:
    joserfc_jwt = None
try:
    from jwcrypto import jwk as jwcrypto_jwk, jwt as jwcrypto_jwt
except ImportError:
    jwcrypto_jwt = None


class JudgeTest(unittest.TestCase):
    """Tokens that other libraries make."""
    ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "RS512", "ES384", "ES512", "PS384")

    def check(self, make):
        for algorithm in self.ALGORITHMS:
            key = keys.key_for(algorithm)
            token = make(algorithm, key)
            known = [keys.public(key, kid="1"), keys.public(keys.rsa_key(1), kid="2")]
            self.assertEqual({"sub": u"\u05d0"}, verify(token, known, (algorithm,)), algorithm)
            head, payload, signature = native(token).split(".")
            with self.assertRaises(JoseError):
                verify(".".join([head, payload, signature[:-8] + "AAAAAAAA"]), known, (algorithm,))

    if jwt is not None:
        def test_a410_pyjwt(self):
            self.check(lambda algorithm, key: jwt.encode(
                {"sub": u"\u05d0"}, keys.pem(key, private=True), algorithm, headers={"kid": "1"}))

    if joserfc_jwt is not None:
        def test_a410_joserfc(self):
            def make(algorithm, key):
                kind = {"R": joserfc_jwk.RSAKey, "P": joserfc_jwk.RSAKey, "E": joserfc_jwk.ECKey}
                kind = joserfc_jwk.OKPKey if algorithm == "EdDSA" else kind[algorithm[0]]
                return joserfc_jwt.encode({"alg": algorithm, "kid": "1"}, {"sub": u"\u05d0"},
                                          kind.import_key(keys.pem(key, private=True)),
                                          algorithms=[algorithm])
            self.check(make)

    if jwcrypto_jwt is not None:
        def test_a410_jwcrypto(self):
            def make(algorithm, key):
                token = jwcrypto_jwt.JWT(header={"alg": algorithm, "kid": "1"},
                                         claims={"sub": u"\u05d0"}, algs=[algorithm])
                token.make_signed_token(jwcrypto_jwk.JWK.from_pem(keys.pem(key, private=True)))
                return token.serialize()
            self.check(make)


def native(token):
    return token if isinstance(token, str) else token.decode("ascii")
