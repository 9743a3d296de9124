# coding: utf-8
"""OpenID Connect, against a small provider that may answer wrongly; the checks of a sign-in."""
from __future__ import absolute_import, division, print_function

import base64
import hashlib
import time

from six.moves.urllib.parse import parse_qs, urlencode, urlsplit

from friendserve.auth import (
    AuthError, BackChannelLogoutHandler, GoogleOAuth2Mixin, OpenIDConnectMixin, discovery,
    exchange, flows, is_allowed)
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous
from tests.auth import keys
from tests.auth.oidc_provider import Provider, basic
from tests.authcase import AuthCase, Browser, query_of


class OIDCCase(AuthCase):
    def setUp(self):
        super(OIDCCase, self).setUp()
        self.provider = Provider()
        self.provider.url = self.there = self.serve_on(self.provider)
        self.serve()

    def serve(self, **members):
        members.setdefault("start", lambda handler: handler.authenticate_redirect())
        self.client_settings = dict(issuer=self.there, key="site", secret="site secret")
        return self.serve_site(OpenIDConnectMixin, settings=dict(
            openid_connect=self.client_settings), **members)

    def come_back(self, browser=None, query=""):
        """The URL of the site with which the provider answers."""
        return (browser or self.browser).follow(self.site + "/in" + query, until="/in?")

    def sign_in(self, browser=None, query=""):
        browser = browser or self.browser
        return browser.follow(self.come_back(browser, query))

    def refused(self, reason):
        self.browser = Browser(self)
        self.assertEqual(403, self.sign_in().code)
        self.assertEqual(reason, self.reason())
        self.assertEqual([], self.browser.cookies("user"))


class SignInTest(OIDCCase):
    def test_a_whole_sign_in(self):
        response = self.sign_in(query="?next=/%3Fa%3D1")
        self.assertEqual((b"signed in", self.site + "/?a=1"),
                         (response.body, response.effective_url))
        (user, error), = self.outcomes
        self.assertIsNone(error)
        self.assertEqual(("ann", "Ann", "the access token", 3600, True), tuple(
            user[name] for name in ("sub", "name", "access_token", "expires_in",
                                    "email_verified")))

    def test_the_future_of_it(self):
        class Main(RequestHandler, OpenIDConnectMixin):
            def get_auth_http_client(self):
                return self.application.client

            def get(self):
                if self.is_authentication_response():
                    return self.get_authenticated_user()
                return self.authenticate_redirect()

        self.app.add_handlers(".*", [("/future", Main)])
        url = self.browser.follow(self.site + "/future", until="/future?")
        self.assertEqual(200, self.browser.get(url).code)
        self.provider.claims["aud"] = "other"
        url = self.browser.follow(self.site + "/future", until="/future?")
        self.assertEqual(500, self.browser.get(url).code)
        error = [record.exc_info[1] for record in self.logged if record.exc_info][-1]
        self.assertEqual("audience", error.reason)

    def test_what_the_callback_raises_is_answered(self):
        def on_user(handler, user):
            raise HTTPError(418)

        self.serve(on_user=on_user)
        self.assertEqual(418, self.sign_in().code)

    def test_a450_check_4_pkce(self):
        self.sign_in()
        asked, posted = self.provider.asked, self.provider.posted
        self.assertEqual(("S256", 43), (asked["code_challenge_method"],
                                        len(posted["code_verifier"])))
        self.assertEqual(asked["code_challenge"], base64.urlsafe_b64encode(hashlib.sha256(
            posted["code_verifier"].encode("ascii")).digest()).decode("ascii").rstrip("="))

    def test_rfc_7636_b(self):
        self.assertEqual("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
                         flows._hash("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))

    def test_a451_check_6_parameters_pass_through(self):
        self.serve(start=lambda handler: handler.authenticate_redirect(
            scope=["openid"], extra_params={"prompt": "login", "login_hint": u"ann\xe9",
                                            "ui_locales": "de he"}))
        self.sign_in()
        asked = self.provider.asked
        self.assertEqual(("openid", "login", u"ann\xe9", "de he"), tuple(
            asked[name] for name in ("scope", "prompt", "login_hint", "ui_locales")))

    def test_a452_check_1_the_cookie_of_a_flow(self):
        response = self.browser.get(self.site + "/in")
        cookie, = response.headers.get_list("Set-Cookie")
        state = parse_qs(query_of(response.headers["Location"]))["state"][0]
        self.assertGreaterEqual(len(state.split(".")[0]), 43)
        name, _, rest = cookie.partition("=")
        attributes = [part.strip().lower() for part in cookie.split(";")[1:]]
        for attribute in ("httponly", "samesite=lax", "path=/in", "max-age=600"):
            self.assertIn(attribute, attributes)
        self.assertNotIn("secure", attributes)
        self.assertNotIn(state, cookie)
        self.assertLessEqual(len(cookie.partition(";")[0]), 300)
        # A long `next` does not make it longer.
        response = self.browser.get(self.site + "/in?next=/" + "x" * 1000)
        cookie, = response.headers.get_list("Set-Cookie")
        self.assertLessEqual(len(cookie.partition(";")[0]), 300)

    def test_a452_check_1_form_post(self):
        self.serve(start=lambda handler: handler.authenticate_redirect(
            "https://site.example/in", extra_params={"response_mode": "form_post"}))
        cookie = self.browser.get(self.site + "/in").headers["Set-Cookie"].lower()
        self.assertIn("samesite=none", cookie)
        self.assertIn("secure", cookie)

    def test_a452_check_1_two_tabs_and_five_at_most(self):
        urls = [self.come_back(query="?next=/%d" % number) for number in range(2)]
        for number in (1, 0):
            self.assertEqual("/%d" % number, self.browser.get(urls[number]).headers["Location"])
        for _ in range(8):
            self.browser.get(self.site + "/in")
        self.assertEqual(5, len(self.browser.cookies("fs_auth_")))

    def test_a453_check_3_next_is_a_path_of_this_host(self):
        for wanted in ("//evil.example", "/\\evil.example", "https://evil.example/", "evil",
                       "/a\tb", "/%0d%0aSet-Cookie:a", "javascript:alert(1)", ""):
            self.browser = Browser(self)
            response = self.browser.get(self.come_back(query="?" + urlencode({"next": wanted})))
            expected = "/%0d%0aSet-Cookie:a" if wanted.startswith("/%0d") else "/"
            self.assertEqual(expected, response.headers["Location"])

    def test_a454_check_8_what_went_wrong_is_told_apart(self):
        url = self.come_back()
        cases = [
            (Browser(self), self.site + "/in?code=a", "state", "end of a sign-in"),
            (Browser(self), url, "state", "no cookies"),
            (self.browser, self.site + "/in?code=a&state=abc", "state", "not started in this"),
            (self.browser, url + "&error=access_denied", "denied", "cancelled"),
        ]
        for browser, url, reason, text in cases:
            self.assertEqual(403, browser.get(url).code)
            self.assertEqual(reason, self.reason())
            self.assertIn(text, self.outcomes[-1][1].message)

    def test_a454_check_8_another_host_and_another_time(self):
        key = "x" * 43
        there = flows._hash("other.example")[:6]
        self.browser.get(self.come_back())
        for state, reason, text in (
                ("%s.%x.%s" % (key, int(time.time()) - 700, there), "expired", "too long"),
                ("%s.%x.%s" % (key, int(time.time()), there), "state", "another address")):
            self.browser.get("%s/in?code=a&state=%s" % (self.site, state))
            self.assertEqual(reason, self.reason())
            self.assertIn(text, self.outcomes[-1][1].message)

    def test_a454_check_8_a_reload_after_success(self):
        url = self.come_back(query="?next=/there")
        self.browser.get(url)
        for _ in range(2):
            response = self.browser.get(url)
            self.assertEqual((302, "/there"), (response.code, response.headers["Location"]))
        self.assertEqual((1, 1), (len(self.outcomes), self.provider.counts["token"]))

    def test_a455_check_9_the_description_only_with_a_valid_state(self):
        url = self.come_back()
        bad = url + "&error=server_error&error_description=%3Cb%3Ehello"
        Browser(self).get(bad)
        self.assertNotIn("hello", str(self.outcomes[-1][1]))
        response = self.browser.get(bad)
        self.assertIn("server_error: <b>hello", str(self.outcomes[-1][1]))
        self.assertNotIn(b"<b>", response.body)

    def test_a456_check_10_a_flow_is_used_once_also_without_success(self):
        self.provider.claims["aud"] = "other"
        url = self.come_back()
        self.browser.get(url)
        self.assertEqual("audience", self.reason())
        del self.provider.claims["aud"]
        self.browser.get(url)
        self.assertEqual("state", self.reason())
        self.assertEqual(1, self.provider.counts["token"])

    def test_a457_check_21_the_xsrf_token_is_renewed(self):
        self.app.settings["xsrf_cookies"] = True
        url = self.come_back()
        response = self.browser.get(url)
        self.assertTrue([line for line in response.headers.get_list("Set-Cookie")
                         if line.startswith("_xsrf=")])

    def test_a459_fifty_at_once(self):
        browsers = [Browser(self) for _ in range(50)]
        urls = [self.come_back(browser) for browser in browsers]
        responses = []
        for browser, url in zip(browsers, urls):
            self.client.fetch(url, responses.append, follow_redirects=False,
                              cookie_jar=browser.jar)
        self.run_until(lambda: len(responses) == 50)
        self.assertEqual([302] * 50, [response.code for response in responses])


class ProviderTest(OIDCCase):
    """A hostile provider, or one that has trouble."""

    def test_a411_check_7_the_issuer_of_the_response(self):
        self.provider.response["iss"] = "http://evil.example"
        self.refused("issuer")
        self.assertNotIn("token", self.provider.counts)
        self.provider.response["iss"] = None
        self.assertEqual(200, self.sign_in().code)
        self.provider.metadata["authorization_response_iss_parameter_supported"] = True
        discovery.provider(self.there)._metadata_time = None
        self.refused("issuer")

    def test_a412_check_11_redirects_are_not_followed(self):
        self.provider.token_answer = lambda handler: handler.redirect("/stolen", status=307)
        self.refused("provider")

    def test_a412_check_11_replies_are_limited(self):
        self.provider.token_answer = {"access_token": "x" * 10000000, "token_type": "bearer"}
        self.refused("provider")

    def test_a412_check_11_garbage(self):
        for answer in ("", "garbage", "[]", "<html>", b"\xff\xfe", {"error": "invalid_grant"},
                       {"error": {"message": "no"}}, {"access_token": ""}, {"id_token": "x"}):
            self.provider.token_answer = answer
            self.browser = Browser(self)
            self.assertEqual(403, self.sign_in().code)
            self.assertIn(self.reason(), ("provider", "token"))
        self.provider.token_answer = lambda handler: handler.send_error(500)
        self.refused("provider")

    def test_a412_check_11_slow(self):
        class Slow(RequestHandler):
            @asynchronous
            def post(self):
                pass

        self.patch(exchange, "DEADLINE", 0.3)
        self.provider.token_answer = None
        slow = self.serve_on(Application([("/token", Slow)]))
        self.provider.metadata["token_endpoint"] = slow + "/token"
        self.refused("network")

    def patch(self, owner, name, value):
        self.addCleanup(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, value)

    def test_a413_check_12_the_credentials_of_the_client(self):
        self.client_settings.update(key="si:te", secret=u"s/\xe9 +")
        self.provider.claims["aud"] = "si:te"
        self.assertEqual(200, self.sign_in().code)
        # The user's data are asked for last.
        self.assertEqual("Bearer the access token", self.provider.authorization)
        self.assertNotIn("client_secret", self.provider.posted)
        self.provider.userinfo["sub"] = "other"
        self.provider.metadata["userinfo_endpoint"] = None
        self.provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        discovery.provider(self.there)._metadata_time = None
        self.serve(_OIDC_USERINFO=False)
        self.provider.claims["aud"] = "site"
        self.assertEqual(200, self.sign_in().code)
        self.assertEqual("site secret", self.provider.posted["client_secret"])
        self.assertIsNone(self.provider.authorization)
        self.assertEqual(basic("a", "b"), exchange.basic_credentials("a", "b"))
        self.assertEqual(basic("si%3Ate", "s%2F%C3%A9+%2B"),
                         exchange.basic_credentials("si:te", u"s/\xe9 +"))

    def test_a414_check_13_bearer_tokens(self):
        for kind in ("bearer", "BEARER"):
            self.provider.token_fields["token_type"] = kind
            self.assertEqual(200, self.sign_in(Browser(self)).code)
        for kind in ("mac", 5):
            self.provider.token_fields["token_type"] = kind
            self.refused("token")

    def test_a416_check_16_new_keys_are_fetched_once_a_minute(self):
        self.assertEqual(200, self.sign_in().code)
        self.assertEqual(1, self.provider.counts["jwks"])
        self.assertEqual(200, self.sign_in(Browser(self)).code)
        self.assertEqual(1, self.provider.counts["jwks"])
        self.provider.key, self.provider.kid = keys.rsa_key(1), "2"
        # Too early to ask again.
        self.refused("signature")
        known = discovery.provider(self.there)
        known._keys_asked -= 61
        self.assertEqual(200, self.sign_in(Browser(self)).code)
        self.assertEqual(2, self.provider.counts["jwks"])

    def test_a416_check_16_old_keys_serve_while_the_provider_is_down(self):
        self.assertEqual(200, self.sign_in().code)
        known = discovery.provider(self.there)
        known._keys_time -= 3700
        self.provider.status["jwks"] = 503
        self.assertEqual(200, self.sign_in(Browser(self)).code)
        known._keys_time -= 86400
        self.refused("provider")

    def test_a417_checks_17_to_19_claims(self):
        now = int(time.time())
        for name, value, reason in (
                ("iss", "http://evil.example", "issuer"), ("iss", self.there + "/", "issuer"),
                ("aud", "other", "audience"), ("aud", ["site", "other"], "audience"),
                ("azp", "other", "audience"), ("exp", now - 100, "clock"),
                ("iat", now + 1000, "clock"), ("nbf", now + 1000, "clock"),
                ("nonce", "other", "nonce"), ("nonce", None, "nonce"), ("sub", None, "token"),
                ("at_hash", "wrong", "token"), ("c_hash", "wrong", "token")):
            self.provider.claims = {name: value}
            self.refused(reason)

    def test_a419_check_20_the_userinfo_of_another_user(self):
        self.provider.userinfo["sub"] = "bob"
        self.refused("token")

    def test_a420_check_25_discovery(self):
        for changes, reason in (
                ({"issuer": self.there + "/"}, "issuer"), ({"issuer": None}, "issuer"),
                ({"token_endpoint": "http://a.example/token"}, "provider"),
                ({"jwks_uri": "ftp://127.0.0.1/"}, "provider"), ({"jwks_uri": 5}, "provider"),
                ({"authorization_endpoint": None}, "provider")):
            self.provider.metadata = changes
            discovery.provider(self.there)._metadata_time = None
            response = self.browser.get(self.site + "/in")
            self.assertEqual(502, response.code)
        self.provider.metadata = {}
        self.assertEqual(200, self.sign_in().code)
        before = self.provider.counts["metadata"]
        self.assertEqual(200, self.sign_in(Browser(self)).code)
        self.assertEqual(before, self.provider.counts["metadata"])
        discovery.provider(self.there)._metadata_time -= 3700
        self.assertEqual(200, self.sign_in(Browser(self)).code)
        self.assertEqual(before + 1, self.provider.counts["metadata"])

    def test_check_5_a_response_for_another_provider(self):
        """Two providers of one site: a response of one cannot be used for the other."""
        other = Provider()
        other.url = self.serve_on(other)

        class Other(self.app.handlers[0][1][1].target):
            def _oidc_client(self):
                return dict(issuer=other.url, key="site", secret="s")

        self.app.add_handlers(".*", [("/other", Other)])
        url = self.come_back()
        self.browser.get(url.replace("/in?", "/other?"))
        self.assertEqual("state", self.reason())
        self.assertNotIn("token", other.counts)

    def test_google_has_one_alias(self):
        self.serve_site(type(str("Google"), (GoogleOAuth2Mixin,), {"_OIDC_ISSUER": self.there}),
                        start=lambda handler: handler.authenticate_redirect(),
                        settings=dict(google_oauth=dict(key="site", secret="s")))
        self.provider.claims["iss"] = "accounts.google.com"
        self.assertEqual(200, self.sign_in().code)
        self.serve()
        self.refused("issuer")


class SessionTest(OIDCCase):
    """Refresh, sign-out, and the provider's word that a session has ended."""

    def handler(self, **members):
        class Main(RequestHandler, OpenIDConnectMixin):
            def get_auth_http_client(self):
                return self.application.client
        for name, value in members.items():
            setattr(Main, name, value)
        self.app.add_handlers(".*", [("/main", Main)])

    def test_a421_check_23_refresh(self):
        self.sign_in()
        token = self.outcomes[0][0]["refresh_token"]
        got = []

        @asynchronous
        def get(handler):
            handler.refresh(token, got.append)
            handler.refresh(token, got.append, subject="ann")
            handler.refresh(token, lambda tokens: (got.append(tokens), handler.finish())[:0])

        self.handler(get=get)
        self.provider.claims["nonce"] = None
        before = self.provider.counts["token"]
        self.browser.get(self.site + "/main")
        self.assertEqual(before + 1, self.provider.counts["token"])
        self.assertEqual(["refresh %d" % (before + 1)] * 3,
                         [tokens["refresh_token"] for tokens in got])
        self.assertEqual(("refresh_token", token), (self.provider.posted["grant_type"],
                                                    self.provider.posted["refresh_token"]))

    def test_a421_check_23_a_refresh_that_fails(self):
        self.sign_in()
        got = []

        @asynchronous
        def get(handler):
            handler.refresh("old", lambda tokens: (
                got.append((tokens, handler.auth_error.reason)), handler.finish())[:0],
                subject="ann")

        self.handler(get=get)
        self.provider.claims.update(nonce=None, sub="bob")
        self.browser.get(self.site + "/main")
        self.provider.token_answer = {"error": "invalid_grant"}
        self.browser.get(self.site + "/main")
        self.assertEqual([(None, "token"), (None, "provider")], got)

    def test_a422_check_24_the_end_of_the_session(self):
        self.handler(get=asynchronous(lambda handler: handler.end_session_redirect(
            "the id token", callback_uri="/bye", state="s")))
        parts = urlsplit(self.browser.get(self.site + "/main").headers["Location"])
        self.assertEqual(self.there + "/logout", "%s://%s%s" % parts[:3])
        self.assertEqual({"id_token_hint": ["the id token"], "state": ["s"], "client_id": ["site"],
                          "post_logout_redirect_uri": [self.site + "/bye"]}, parse_qs(parts.query))
        self.provider.metadata["end_session_endpoint"] = None
        discovery.provider(self.there)._metadata_time = None
        self.assertEqual(self.site + "/bye",
                         self.browser.get(self.site + "/main").headers["Location"])

    def send_logout(self, token):
        return self.browser.get(self.site + "/backchannel", method="POST",
                                body=urlencode({"logout_token": token})).code

    def test_a423_check_24_back_channel_logout(self):
        ended = []

        class Logout(BackChannelLogoutHandler):
            def get_auth_http_client(self):
                return self.application.client

            def on_logout(self, sid, sub):
                ended.append((sid, sub))

        self.app.add_handlers(".*", [("/backchannel", Logout)])
        self.app.settings["xsrf_cookies"] = True
        make = self.provider.logout_token
        self.assertEqual(200, self.send_logout(make()))
        self.assertEqual(200, self.send_logout(make(jti="j2", sid=None, header={"typ": "JWT"})))
        self.assertEqual([("s1", "ann"), (None, "ann")], ended)
        now = int(time.time())
        for token in (make(), make(jti="a", nonce="n"), make(jti="b", events={}),
                      make(jti="c", events=None), make(jti="d", aud="other"), make(jti=None),
                      make(jti="e", iss="http://evil.example"), make(jti="f", iat=now - 400),
                      make(jti="g", exp=now - 100), make(jti="h", sid=None, sub=None),
                      make(jti="i", header={"alg": "none"}), "", "a.b.c",
                      keys.sign(keys.rsa_key(1), {"jti": "k"}, kid="1")):
            self.assertEqual(400, self.send_logout(token))
        self.assertEqual(2, len(ended))


class AccessTest(AuthCase):
    def test_a424_check_22_who_may_come_in(self):
        ann = {"email": "Ann@Example.com", "email_verified": True}
        self.assertTrue(is_allowed(ann, emails=["ann@example.COM"]))
        self.assertTrue(is_allowed(ann, domains=["example.com"]))
        self.assertFalse(is_allowed(ann))
        self.assertFalse(is_allowed(None, domains=["example.com"]))
        for changes in ({"email_verified": False}, {"email_verified": None},
                        {"email_verified": "false"}, {"email": "ann@example.com.evil.example"},
                        {"email": "ann@evil-example.com"}, {"email": "ann@sub.example.com"},
                        {"email": "a@example.com@evil.example"}, {"email": ""}, {"email": None}):
            self.assertFalse(is_allowed(dict(ann, **changes), ["x@example.com"], ["example.com"]),
                             changes)
        google = dict(ann, iss="https://accounts.google.com")
        self.assertFalse(is_allowed(google, domains=["example.com"]))
        self.assertTrue(is_allowed(dict(google, hd="example.com"), domains=["example.com"]))


class ErrorTest(AuthCase):
    def test_every_reason_has_a_sentence(self):
        for reason in ("state", "expired", "denied", "issuer", "network", "provider", "token",
                       "signature", "audience", "nonce", "clock"):
            self.assertTrue(AuthError(reason).message.endswith("."))
        with self.assertRaises(KeyError):
            AuthError("other")
