"""OpenID Connect against a provider that does what each test wants: the checks of the start, the
return, the token request and the ID token, by their numbers."""
from __future__ import absolute_import, division, print_function

import base64
import functools
import hashlib
import time
import unittest

from six.moves.urllib.parse import unquote_plus

from friendserve.auth import exchange
from friendserve.auth.discovery import provider as known_provider
from friendserve.escape import json_decode
from tests import PATIENCE, josecase
from tests.authcase import count_objects
from tests.oidccase import CLIENT, SECRET, OIDCCase, Provider, encode, key


def at_hash(value, bits=256):
    digest = getattr(hashlib, "sha%d" % bits)(value.encode("ascii")).digest()
    return encode(digest[:len(digest) // 2])


class Start(OIDCCase):
    def test_a410_check_04_pkce_s256_always(self):
        for secret in (SECRET, None):
            self.settings["providers"]["/login"]["secret"] = secret
            url = self.begin()
            query = self.query_of(url)
            self.assertEqual("S256", query["code_challenge_method"])
            self.come_back(url)
            sent = self.provider.requests[-1].arguments
            verifier = sent["code_verifier"][0]
            self.assertEqual(43, len(verifier))
            self.assertEqual(query["code_challenge"],
                             encode(hashlib.sha256(verifier).digest()))

    def test_a410_check_05_one_redirect_uri_for_each_provider(self):
        other = Provider()
        self.addCleanup(other.close)
        self.settings["providers"]["/login/other"] = {
            "issuer": other.issuer, "key": CLIENT, "secret": SECRET}
        first, second = self.begin("/login"), self.begin("/login/other")
        self.assertEqual([self.url + "/login", self.url + "/login/other"],
                         [self.query_of(url)["redirect_uri"] for url in (first, second)])
        self.assertTrue(second.startswith(other.issuer + "/authorize?"))
        # The return of one, at the address of the other, is refused, and no code is sent.
        state, code = self.query_of(first)["state"], self.provider.make_code(first)
        response = self.visit("/login/other?code=%s&state=%s" % (code, state))
        self.check_refused(response, "state")
        self.assertEqual(([], []), (self.provider.requests, other.requests))

    def test_a410_check_06_parameters_pass_through(self):
        more = {"prompt": "login", "login_hint": "a@b.example", "ui_locales": "de fr"}
        self.settings["redirect"] = {"extra_params": more, "scope": ["openid", "x"]}
        query = self.query_of(self.begin())
        self.assertEqual(more, dict((name, query[name]) for name in more))
        self.assertEqual("openid x", query["scope"])
        self.settings["redirect"] = {"extra_params": {"max_age": "30"}}
        self.assertEqual(500, self.visit("/login").code)


class Return(OIDCCase):
    def test_a411_check_07_issuer_of_the_response(self):
        self.accepted()
        self.accepted(iss=self.provider.issuer)
        requests = len(self.provider.requests)
        self.refused("issuer", iss="https://evil.example")
        self.refused("issuer", iss=self.provider.issuer + "/")
        self.forget_keys()
        self.provider.metadata["authorization_response_iss_parameter_supported"] = True
        self.refused("issuer")
        self.assertEqual(requests, len(self.provider.requests))
        self.accepted(iss=self.provider.issuer)

    def test_a411_denied_and_errors_send_no_code(self):
        self.refused("denied", error="access_denied", error_description="<b>no</b>")
        self.refused("provider", "server_error", error="server_error")
        self.refused("token", code="")
        self.assertEqual([], self.provider.requests)


class TokenRequest(OIDCCase):
    def test_a412_check_11_no_redirect_is_followed(self):
        for path in ("/token", "/jwks", "/userinfo", "/.well-known/openid-configuration"):
            self.forget_keys()
            other = Provider()
            self.addCleanup(other.close)
            self.provider.answers = {path: lambda handler: handler.redirect(
                other.issuer + path, status=307)}
            if path.startswith("/."):
                self.assertEqual(502, self.visit("/login").code)
            else:
                self.refused("provider")
            self.assertEqual([], other.asked)

    def test_a412_check_11_a_reply_of_ten_megabytes(self):
        def large(handler):
            handler.set_header("Content-Type", "application/json")
            handler.finish(b'{"a": "' + b"x" * 10485760 + b'"}')

        for path in ("/token", "/jwks", "/userinfo"):
            self.forget_keys()
            self.provider.answers = {path: large}
            self.refused("provider", "bytes")
        self.forget_keys()
        self.provider.answers = {"/.well-known/openid-configuration": large}
        self.assertEqual(502, self.visit("/login").code)

    def test_a412_check_11_a_slow_provider_ends_with_the_deadline(self):
        before = exchange.DEADLINE, exchange.REQUEST_TIMEOUT
        self.addCleanup(lambda: (setattr(exchange, "DEADLINE", before[0]),
                                 setattr(exchange, "REQUEST_TIMEOUT", before[1])))
        self.assertEqual((20, 10), before)
        self.accepted()
        for exchange.DEADLINE, exchange.REQUEST_TIMEOUT in ((20, 0.2), (0.2, 10)):
            for path in ("/token", "/userinfo"):
                self.provider.answers = {path: lambda handler: None}
                self.refused("network")

    def test_a412_check_11_a_provider_that_is_down_fails_or_talks_nonsense(self):
        def status(code, body=b""):
            def answer(handler):
                handler.set_status(code)
                handler.finish(body)
            return answer

        for answer in (status(500), status(503, b"<html>down</html>"), status(200, b"garbage"),
                       status(200, b"[1]"), status(200, b"null"), status(200, b"\xff\xfe"),
                       status(200), status(200, b"[" * 60000), status(400, b'{"error": "x"}'),
                       status(200, b'{"error": "invalid_grant"}')):
            for path in ("/token", "/userinfo"):
                self.provider.answers = {path: answer}
                response = self.sign_in()
                self.assertEqual(403, response.code)
                self.assertIn(self.settings["errors"].pop().reason, ("provider", "token"))
        url = self.begin()
        self.provider.close()
        self.check_refused(self.come_back(url), "network")

    def test_a412_check_12_client_credentials(self):
        self.accepted()
        sent = self.provider.requests[-1]
        kind, _, value = sent.headers["Authorization"].partition(" ")
        name, _, secret = base64.b64decode(value).decode("ascii").partition(":")
        self.assertEqual(("Basic", CLIENT, SECRET),
                         (kind, unquote_plus(name), unquote_plus(secret)))
        self.assertNotEqual(CLIENT, name)
        self.assertNotIn("client_secret", sent.arguments)
        self.forget_keys()
        self.provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        self.accepted()
        sent = self.provider.requests[-1]
        self.assertNotIn("Authorization", sent.headers)
        self.assertEqual([SECRET.encode("ascii")], sent.arguments["client_secret"])
        self.settings["providers"]["/login"]["secret"] = None
        self.accepted()
        self.assertNotIn("client_secret", self.provider.requests[-1].arguments)

    def test_a412_check_13_token_type_is_bearer(self):
        for kind in ("bearer", "BEARER"):
            self.provider.tokens["token_type"] = kind
            self.accepted()
        for kind in ("mac", "DPoP", 5, ["Bearer"]):
            self.provider.tokens["token_type"] = kind
            self.refused("token")
        self.provider.tokens = {"access_token": None}
        self.refused("token")


class IDToken(OIDCCase):
    def claims(self, reason, words="", **claims):
        self.provider.claims = claims
        self.refused(reason, words)
        self.provider.claims = {}

    def test_a413_check_14_shape_and_header(self):
        for token in (None, "", "a.b", "a.b.c", "e30.e30.e30", 5, {}, "x" * 40000):
            self.provider.tokens["id_token"] = token
            self.refused("token")
        self.provider.tokens = {}
        for header, reason in (({"alg": "none"}, "token"), ({"alg": "HS256"}, "token"),
                               ({"crit": ["exp"]}, "token"), ({"typ": "at+jwt"}, "token"),
                               ({"typ": "logout+jwt"}, "token"), ({"kid": 5}, "token")):
            self.provider.header = header
            self.refused(reason)
        self.provider.header = {"typ": "JWT", "jwk": key("RS256", "evil").jwk}
        self.accepted()
        evil = key("RS256", "evil")
        self.provider.signer, self.provider.header = evil, {"jwk": evil.jwk, "kid": "one"}
        self.refused("signature")

    def test_a413_check_15_every_default_algorithm(self):
        pairs = [key(alg, alg) for alg in ("RS256", "PS256", "ES256", "EdDSA")]
        self.provider.keys = pairs
        for self.provider.signer in pairs:
            self.accepted()
        self.provider.signer = key("RS256", "short", 1024)
        self.forget_keys()
        self.provider.keys = [self.provider.signer]
        self.refused("token", "2048")

    def test_a413_hs256_only_by_itself_with_the_secret(self):
        pair = josecase.Key("HS256", "secret")
        pair.private = SECRET.encode("ascii")
        self.provider.signer = pair
        self.refused("token", "HS256")
        from_class = self.login._OIDC_ALGORITHMS
        self.addCleanup(setattr, self.login, "_OIDC_ALGORITHMS", from_class)
        self.login._OIDC_ALGORITHMS = ("HS256",)
        self.provider.header = {"kid": None}
        self.accepted()
        pair.private = b"another secret of thirty-two bytes"
        self.refused("signature")

    def test_a414_check_16_new_keys_are_fetched_once_a_minute(self):
        self.accepted()
        self.assertEqual(1, self.provider.asked.count("/jwks"))
        known = known_provider(self.provider.issuer)
        new = key("RS256", "new")
        self.provider.keys, self.provider.signer = [new], new
        # The keys were asked for a moment ago.
        self.refused("signature")
        self.refused("signature")
        self.assertEqual(1, self.provider.asked.count("/jwks"))
        known._keys_asked -= 60
        self.accepted()
        self.accepted()
        self.assertEqual(2, self.provider.asked.count("/jwks"))

    def test_a414_check_16_old_keys_serve_while_the_provider_is_down(self):
        self.accepted()
        known = known_provider(self.provider.issuer)
        self.provider.answers = {"/jwks": lambda handler: handler.send_error(500)}
        known._keys_asked -= 3700
        known._keys_time -= 3700
        self.accepted()
        asked = self.provider.asked.count("/jwks")
        self.accepted()
        self.assertEqual(asked, self.provider.asked.count("/jwks"))
        known._keys_asked -= 86400
        known._keys_time -= 86400
        self.refused("provider")

    def test_a415_check_17_issuer_and_audience(self):
        issuer = self.provider.issuer
        for wrong in (issuer + "/", issuer.upper(), "https://evil.example", None, 5, [issuer]):
            self.claims("issuer", iss=wrong)
        for wrong in ("other", [], ["other"], None, 5, CLIENT + "x", {CLIENT: 1}, [CLIENT, 5]):
            self.claims("audience", aud=wrong)
        self.claims("audience", aud=[CLIENT, "other"])
        self.claims("audience", aud=[CLIENT, "other"], azp="other")
        self.claims("audience", azp="other")
        for claims in ({"aud": [CLIENT]}, {"aud": [CLIENT, "other"], "azp": CLIENT},
                       {"azp": CLIENT}):
            self.provider.claims = claims
            self.accepted()

    def test_a415_check_18_times(self):
        now = int(time.time())
        for name, wrong in (("exp", now - 61), ("nbf", now + 90), ("iat", now + 90)):
            self.claims("clock", **{name: wrong})
        for name in ("exp", "iat", "nbf"):
            for wrong in ("%d" % now, True, [], None if name != "nbf" else {}):
                self.claims("token", **{name: wrong})
        for claims in ({"exp": now - 30}, {"iat": now + 30, "nbf": now + 30}, {"exp": now + 0.5}):
            self.provider.claims = claims
            self.accepted()

    def test_a415_check_18_max_age(self):
        self.addCleanup(setattr, self.login, "_OIDC_MAX_AGE", None)
        self.login._OIDC_MAX_AGE = 30
        self.assertEqual("30", self.query_of(self.begin())["max_age"])
        self.accepted()
        self.claims("clock", auth_time=int(time.time()) - 100)
        self.claims("token", auth_time=None)

    def test_a416_check_19_nonce_and_hashes(self):
        for wrong in ("other", "", None, 5):
            self.claims("nonce", nonce=wrong)
        self.provider.claims = {"at_hash": at_hash("access")}
        self.accepted()
        for wrong in (at_hash("other"), "", 5, None):
            if wrong is not None:
                self.claims("token", at_hash=wrong)
        self.claims("token", c_hash=at_hash("other"))
        url = self.begin()
        self.provider.claims = {"c_hash": at_hash("code%d" % len(self.provider.codes))}
        self.assertEqual(302, self.come_back(url).code)

    def test_a416_check_20_subject(self):
        for wrong in (None, "", 5, "x" * 256):
            self.claims("token", sub=wrong)
        user = self.accepted()
        self.assertEqual(("someone", "someone@example.com", True),
                         (user["sub"], user["email"], user["email_verified"]))
        for wrong in ("another", None):
            self.provider.userinfo = {"sub": wrong}
            self.refused("token", "another user")


class After(OIDCCase):
    def test_a417_check_25_metadata(self):
        self.accepted()
        self.accepted()
        path = "/.well-known/openid-configuration"
        self.assertEqual(1, self.provider.asked.count(path))
        known_provider(self.provider.issuer)._metadata_time -= 3601
        self.accepted()
        self.assertEqual(2, self.provider.asked.count(path))
        for wrong in ({"issuer": self.provider.issuer + "/"}, {"issuer": None},
                      {"token_endpoint": "http://provider.example/token"},
                      {"jwks_uri": "ftp://provider.example/"}, {"jwks_uri": None},
                      {"authorization_endpoint": "javascript:alert(1)"}, {"token_endpoint": 5},
                      {"userinfo_endpoint": "http://provider.example/"}):
            self.forget_keys()
            self.provider.metadata = wrong
            self.assertEqual(502, self.visit("/login").code, wrong)

    def test_a418_check_24_end_of_session(self):
        self.begin()
        response = self.visit("/login?out=token")
        url = response.headers["Location"]
        self.assertTrue(url.startswith(self.provider.issuer + "/end?a=b&"), url)
        query = self.query_of(url)
        self.assertEqual(("token", "over", self.url + "/", CLIENT), (
            query["id_token_hint"], query["state"], query["post_logout_redirect_uri"],
            query["client_id"]))
        self.forget_keys()
        self.provider.metadata = {"end_session_endpoint": None}
        self.assertEqual(self.url + "/", self.visit("/login?out=token").headers["Location"])

    def refresh(self, *tokens):
        """What refreshes that are begun at once end with: pairs of tokens and reason."""
        done = []

        def got(response):
            answer = json_decode(response.body)
            done.append((answer["tokens"], answer["reason"]))
            self.stop()

        for token in tokens:
            self.visit("/refresh?token=" + token, got)
        self.wait(lambda: len(done) == len(tokens), timeout=PATIENCE)
        return done

    def test_a421_check_23_refresh_tokens_rotate_and_one_request_is_in_flight(self):
        first = self.accepted()["refresh_token"]
        self.provider.requests[:] = []
        outcomes = self.refresh(*[first] * 5)
        self.assertEqual(["refresh1"] * 5, [tokens["refresh_token"] for tokens, _ in outcomes])
        self.assertEqual(1, len(self.provider.requests))
        self.assertEqual("refresh2", self.refresh("refresh1")[0][0]["refresh_token"])
        self.assertEqual(2, len(self.refresh("a", "b")))
        self.assertEqual(4, self.provider.refreshes)
        # A provider that does not rotate them: the old one is kept.
        self.provider.tokens = {"refresh_token": None}
        self.assertEqual("kept", self.refresh("kept")[0][0]["refresh_token"])

    def test_a421_check_23_a_refresh_that_fails(self):
        self.provider.claims = {"sub": "another"}
        self.assertEqual([(None, "token")], self.refresh("a"))
        self.provider.claims = {"iss": "https://evil.example"}
        self.assertEqual([(None, "issuer")], self.refresh("a"))
        self.provider.claims = {}
        self.provider.tokens = {"error": "invalid_grant"}
        self.assertEqual([(None, "provider")] * 3, self.refresh("a", "a", "a"))
        self.provider.tokens = {}
        self.assertEqual(None, self.refresh("a")[0][1])

    def log_out(self, token):
        response = self.visit("/logout", method="POST", cookies={},
                              body=exchange.encode_form({"logout_token": token}))
        self.assertEqual("no-store", response.headers["Cache-Control"])
        return response.code

    def test_a419_check_24_back_channel_logout(self):
        token = self.provider.logout_token({"typ": "logout+jwt"})
        self.assertEqual(200, self.log_out(token))
        self.assertEqual([("session", None)], self.settings["ended"])
        # Once.
        self.assertEqual(400, self.log_out(token))
        self.assertEqual(200, self.log_out(self.provider.logout_token(sub="someone", sid=None)))
        self.assertEqual([("session", None), (None, "someone")], self.settings["ended"])
        now = int(time.time())
        for wrong in ({"events": None}, {"events": {}}, {"events": ["x"]}, {"nonce": "x"},
                      {"sid": None}, {"sid": 5}, {"jti": None}, {"jti": 5}, {"iat": now - 400},
                      {"iat": None}, {"exp": now - 100}, {"iss": "https://evil.example"},
                      {"aud": "other"}, {"aud": None}):
            self.assertEqual(400, self.log_out(self.provider.logout_token(**wrong)), wrong)
        for token in (self.provider.id_token(), "", "a.b.c",
                      self.provider.logout_token({"typ": "at+jwt"}),
                      self.provider.logout_token({"alg": "none"})):
            self.assertEqual(400, self.log_out(token))
        self.provider.signer = key("RS256", "evil")
        self.assertEqual(400, self.log_out(self.provider.logout_token({"kid": "one"})))
        self.assertEqual(2, len(self.settings["ended"]))

    def test_a419_a_logout_token_signs_nobody_in(self):
        self.provider.tokens["id_token"] = self.provider.logout_token(sub="someone")
        self.refused("nonce")


class Growth(OIDCCase):
    def test_a420_two_hundred_sign_ins_without_growth(self):
        def some(number):
            for _ in range(number):
                self.cookies.clear()
                self.accepted()
                del self.settings["users"][:]
                del self.provider.asked[:], self.provider.requests[:]
                self.provider.codes.clear()

        some(20)
        before = count_objects()
        some(200)
        self.assertLess(count_objects() - before, 100)

    def test_a420_fifty_sign_ins_at_once(self):
        ended = []
        count = 50

        def begin(jar):
            self.visit("/login", functools.partial(begun, jar), cookies=jar)

        def begun(jar, response):
            url = response.headers["Location"]
            self.visit("/login?code=%s&state=%s" % (
                self.provider.make_code(url), self.query_of(url)["state"]),
                functools.partial(over, jar), cookies=jar)

        def over(jar, response):
            ended.append((response.code, "user" in jar))
            self.stop()

        for _ in range(count):
            begin({})
        self.wait(lambda: len(ended) == count, timeout=60)
        self.assertEqual([(302, True)] * count, ended)

    def test_a420_two_tabs(self):
        first, second = self.begin("/login?next=/first"), self.begin("/login?next=/second")
        self.assertEqual("/second", self.come_back(second).headers["Location"])
        self.assertEqual("/first", self.come_back(first).headers["Location"])


if __name__ == "__main__":
    unittest.main()
