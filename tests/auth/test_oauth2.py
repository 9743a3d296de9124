"""OAuth 2.0: the code flow with state and PKCE, and providers that misbehave."""
from __future__ import absolute_import, division, print_function

import base64
import hashlib
import time

from six.moves.urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from friendserve.auth import OAuth2Mixin, flows
from friendserve.escape import native_str
from friendserve.web import RequestHandler
from tests.providercase import SECRET, AuthCase, Browser, OAuth2SignIn, ScriptedProvider

BEARER = {"access_token": "access", "token_type": "Bearer"}


class OAuth2Case(AuthCase):
    def provide(self, attributes=(), **replies):
        replies.setdefault("token", BEARER)
        replies.setdefault("resource", {"name": "Bob"})
        self.script = ScriptedProvider(**replies)
        self.sign_in_at(OAuth2SignIn, self.script, **dict(attributes))

    def begin(self, path="/login"):
        """Begin a sign-in; the arguments of the provider's page."""
        return dict(parse_qsl(urlsplit(self.browser.start(self.site + path)).query))

    def back(self, state, **fields):
        return self.site + "/login?" + urlencode(dict(fields or {"code": "c"}, state=state))


class OAuth2Test(OAuth2Case):
    def setUp(self):
        super(OAuth2Test, self).setUp()
        self.provide()

    def test_a_user_signs_in(self):
        asked = self.begin("/login?next=/there")
        self.assertEqual(("code", "consumer", self.site + "/login", "profile"),
                         (asked["response_type"], asked["client_id"], asked["redirect_uri"],
                          asked["scope"]))
        response = self.browser.get(self.back(asked["state"]))
        self.assertEqual((302, "/there"), (response.code, response.headers["Location"]))
        self.assertEqual(("Bob", "access"), (self.application.user["name"],
                                             self.application.user["access_token"]))

    def test_a434_check_4_the_verifier_fits_the_challenge(self):
        asked = self.begin()
        self.browser.get(self.back(asked["state"]))
        sent = parse_qs(native_str(self.script.requests[0].body))
        verifier, = sent["code_verifier"]
        self.assertEqual(43, len(verifier))
        self.assertEqual("S256", asked["code_challenge_method"])
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        self.assertEqual(base64.urlsafe_b64encode(digest).decode("ascii").rstrip("="),
                         asked["code_challenge"])
        self.assertEqual([self.site + "/login"], sent["redirect_uri"])

    def test_a434_check_4_rfc_7636_appendix_b(self):
        flow = flows.Flow("key", "seed", "/")
        flow.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        self.assertEqual("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", flows._hash(flow.verifier))

    def test_a434_check_4_extra_params_cannot_replace_what_protects_a_flow(self):
        class Handler(RequestHandler, OAuth2Mixin):
            def get(self):
                self.authorize_redirect("/login", "id", "secret", {
                    self.get_argument("name"): "plain"})
        site = self.serve(self.application.__class__(
            [("/", Handler)], cookie_secret=SECRET))
        Handler._OAUTH_AUTHORIZE_URL, Handler._OAUTH_ACCESS_TOKEN_URL = self.site, self.site
        for name in ("state", "code_challenge", "code_challenge_method", "nonce"):
            self.assertEqual(500, self.fetch(site + "/?name=" + name).code)
        self.assertEqual(302, self.fetch(site + "/?name=prompt").code)

    def test_check_1_a_cookie_of_each_flow(self):
        first, second = self.begin("/login?next=/there"), self.begin()
        self.assertEqual(2, len(self.browser.flows()))
        self.assertGreaterEqual(len(first["state"].split(".")[0]), 43)
        for name in self.browser.flows():
            value, path, fields = self.browser.cookies[name]
            self.assertLessEqual(len(name) + len(value), 300)
            self.assertEqual(("/login", "600", "Lax"), (path, fields["max-age"],
                                                        fields["samesite"]))
            self.assertIn("httponly", fields)
            self.assertNotIn("secure", fields)
        for asked, where in ((second, "/"), (first, "/there")):
            response = self.browser.get(self.back(asked["state"]))
            self.assertEqual((302, where), (response.code, response.headers["Location"]))

    def test_check_1_the_cookie_is_secure_on_https(self):
        site = self.serve(self.application, xheaders=True)
        headers = {"X-Forwarded-Proto": "https"}
        self.assertEqual(302, self.browser.get(site + "/login", headers=headers).code)
        name, = self.browser.flows()
        self.assertIn("secure", self.browser.cookies[name][2])

    def test_check_1_at_most_five_flows_and_the_oldest_is_dropped(self):
        clock = [time.time() - 100]
        before, flows.create_signed_value = flows.create_signed_value, lambda *args, **kwargs: (
            before(*args, clock=lambda: clock[0], **kwargs))
        self.addCleanup(setattr, flows, "create_signed_value", before)
        asked = []
        for _ in range(7):
            clock[0] += 1
            asked.append(self.begin())
        self.assertEqual(5, len(self.browser.flows()))
        self.assert_refused("state", self.back(asked[1]["state"]))
        self.browser.get(self.back(asked[2]["state"]))
        self.assertIsNotNone(self.application.user)

    def test_check_2_a_flow_is_bound_to_provider_client_and_address(self):
        for name, value in (("_OAUTH_ACCESS_TOKEN_URL", "https://other.example/token"),
                            ("_oauth_consumer_token", lambda: {"key": "other", "secret": "s"})):
            asked = self.begin()
            other = type(self.application)(
                [("/login", OAuth2SignIn, {"provider": self.provider, name: value})],
                cookie_secret=SECRET)
            other.user = other.error = other.on_user = None
            self.application = other
            self.site = self.serve(other)
            self.assert_refused("state", self.back(asked["state"]))

    def test_check_3_next_is_a_path_of_this_host(self):
        for bad in ("//evil.example/", "/\\evil.example", "\\/evil.example", "https://evil.example",
                    "/a\nb", "/\t/evil.example", "javascript:alert(1)", "evil", "/a\x00b", ""):
            asked = self.begin("/login?" + urlencode({"next": bad}))
            response = self.browser.get(self.back(asked["state"]))
            self.assertEqual("/", response.headers["Location"], bad)
        asked = self.begin("/login?" + urlencode({"next": "/" + 1000 * "a"}))
        self.assertEqual("/", self.browser.get(self.back(asked["state"])).headers["Location"])

    def test_check_8_what_is_wrong_is_told_apart(self):
        self.assert_refused("token", self.back(self.begin()["state"], code=""))
        self.assert_refused("denied", self.back(self.begin()["state"], error="access_denied"))
        self.assert_refused("provider", self.back(self.begin()["state"], error="server_error"))
        state = self.begin()["state"]
        self.browser.get(self.back(state))
        self.assertEqual(302, self.browser.get(self.back(state)).code)
        del self.browser.cookies["user"]
        nobody = Browser(self)
        self.assert_refused("state", self.back(self.begin()["state"]), nobody)
        self.assertIn("cookies", self.application.error.message)
        nobody.cookies["other"] = "1", "/", {}
        asked = self.begin()
        self.assert_refused("state", self.back(asked["state"]), nobody)
        self.assertIn("not started in this browser", self.application.error.message)
        random, _, host = asked["state"].split(".")
        self.assert_refused("expired", self.back("%s.%x.%s" % (
            random, int(time.time()) - 700, host)), nobody)
        self.assert_refused("state", self.back(asked["state"].replace(host, "elsewh")), nobody)
        self.assertIn("another address", self.application.error.message)

    def test_check_8_a_cookie_that_is_too_old_is_expired(self):
        asked = self.begin()
        before = flows.decode_signed_value
        flows.decode_signed_value = lambda *args, **kwargs: before(
            *args, clock=lambda: time.time() + 601, **kwargs)
        self.addCleanup(setattr, flows, "decode_signed_value", before)
        self.assert_refused("expired", self.back(asked["state"]))

    def test_check_9_a_description_counts_only_in_a_flow(self):
        fields = {"error": "server_error", "error_description": "<b>Call 555</b>"}
        self.assert_refused("provider", self.back(self.begin()["state"], **fields))
        self.assertIn("555", str(self.application.error))
        response = self.browser.get(self.back("unknown", **fields))
        self.assertNotIn(b"555", response.body)
        self.assertNotIn("555", str(self.application.error))

    def test_check_10_a_flow_ends_at_its_first_use(self):
        state = self.begin()["state"]
        self.assert_refused("denied", self.back(state, error="access_denied"))
        self.assertEqual([], self.browser.flows())
        self.assert_refused("state", self.back(state))
        self.assertEqual([], self.script.requests)

    def test_a_forged_cookie_is_refused(self):
        state = self.begin()["state"]
        name, = self.browser.flows()
        value, path, fields = self.browser.cookies[name]
        self.browser.cookies[name] = value[:-1] + ("0" if value[-1] != "0" else "1"), path, fields
        self.assert_refused("expired", self.back(state))


class MisbehavingProviderTest(OAuth2Case):
    def check(self, reason, attributes=(), **replies):
        self.provide(attributes, **replies)
        self.assert_refused(reason, self.back(self.begin()["state"]))

    def test_a433_b237_wrong_replies_are_told(self):
        for reply in ((500, {}, "broken"), (200, {}, ""), (200, {}, b"\xff<html>"),
                      (400, {}, '{"error": "invalid_grant"}'), (200, {}, "error=no"),
                      (307, {"Location": "/elsewhere"}, ""), (200, {}, 5000 * '{"a":'),
                      (200, {}, '{"a": "%s"}' % (10000000 * "x"))):
            self.check("provider", token=reply)
        for reply in ({"other": 1}, {"access_token": ""}, dict(BEARER, token_type="mac"),
                      dict(BEARER, token_type=7)):
            self.check("token", token=reply)
        for reply in ((500, {}, ""), (200, {}, "["), (200, {}, '{"error": {"message": "no"}}')):
            self.check("provider", resource=reply)

    def test_a_reply_may_be_a_form(self):
        self.provide(token=(200, {"Content-Type": "text/plain"}, "access_token=access"))
        self.browser.get(self.back(self.begin()["state"]))
        self.assertEqual("access", self.application.user["access_token"])

    def test_another_issuer_is_refused_before_the_code_is_sent(self):
        self.provide({"_OAUTH_ISSUER": "https://good.example"})
        self.assert_refused("issuer", self.back(self.begin()["state"], code="c",
                                                iss="https://evil.example"))
        self.assertEqual([], self.script.requests)

    def test_the_credentials_may_be_in_the_header(self):
        self.provide({"_OAUTH_CLIENT_AUTH": "basic"})
        self.browser.get(self.back(self.begin()["state"]))
        sent = self.script.requests[0]
        kind, _, credentials = sent.headers["Authorization"].partition(" ")
        self.assertEqual(("Basic", "consumer:consumer secret /+~"), (
            kind, unquote_plus(native_str(base64.b64decode(credentials)))))
        self.assertNotIn(b"client_secret", sent.body)
