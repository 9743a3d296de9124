# coding: utf-8
"""What an attacker, or a provider out of its mind, may try against each mixin."""
from __future__ import absolute_import, division, print_function

import json
import time
import unittest

from friendserve import gen
from friendserve.auth import exchange as exchange_room
from friendserve.auth import (
    FacebookGraphMixin, FriendFeedMixin, TwitterMixin, TwitterOAuth2Mixin)
from friendserve.auth.discovery import Provider
from friendserve.auth.errors import AuthError
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.protocol import jose
from friendserve.protocol.errors import TokenError
from friendserve.web import Application, asynchronous
from tests import CERTS
from tests.oidccase import OIDCCase
from tests.providercase import (
    AuthCase, Browser, OAuth2SignIn, OAuthSignIn, ScriptedProvider)

BEARER = {"access_token": "access", "token_type": "bearer"}


class OAuth2Case(AuthCase):
    def provide(self, attributes=(), **replies):
        self.script = ScriptedProvider(**dict({"token": BEARER, "resource": {"name": "Zoe"}},
                                              **replies))
        self.sign_in_at(OAuth2SignIn, self.script, **dict(attributes))

    def begin(self, browser=None, query=""):
        page = (browser or self.browser).start(self.site + "/login" + query)
        return page.partition("state=")[2].partition("&")[0]

    def back(self, state, query="&code=c"):
        return self.site + "/login?state=" + state + query


class UserTest(OAuth2Case):
    def check(self, get_user, reason="provider", words="mistake"):
        """The method of a program that asks for the user fails; the person is told at once."""
        before = exchange_room.DEADLINE
        exchange_room.DEADLINE = 10 * before
        self.addCleanup(setattr, exchange_room, "DEADLINE", before)
        self.provide()

        class SignIn(OAuth2SignIn):
            _oauth_get_user = get_user
        self.sign_in_at(SignIn, self.script)
        self.assert_refused(reason, self.back(self.begin()))
        self.assertIn(words, str(self.application.error))

    def test_a426_a_later_callback_that_raises(self):
        def get_user(handler, access_token, callback):
            def later():
                raise KeyError("mistake")
            IOLoop.current().add_callback(later)
        self.check(get_user)

    def test_a426_the_callback_of_a_request_that_raises(self):
        def get_user(handler, access_token, callback):
            handler.oauth2_request(handler.resource, lambda reply: reply["mistake"])
        self.check(get_user)

    def test_a426_a_coroutine_that_raises(self):
        @gen.coroutine
        def get_user(handler, access_token, callback):
            yield gen.moment
            raise KeyError("mistake")
        self.check(get_user)

    def test_a426_an_auth_error_is_kept(self):
        @gen.coroutine
        def get_user(handler, access_token, callback):
            yield gen.moment
            raise AuthError("denied", "mistake")
        self.check(get_user, "denied")

    def test_a426_what_the_program_raises_later_is_not_the_providers(self):
        def on_user(handler, user):
            def later():
                raise KeyError("of the program")
            IOLoop.current().add_callback(later)
        self.provide()
        self.application.on_user = on_user
        self.assertEqual(500, self.browser.get(self.back(self.begin())).code)
        self.assertEqual("Zoe", self.application.user["name"])


class EndlessTest(OAuth2Case):
    def test_a427_an_endless_reply_is_read_to_the_limit(self):
        sent, closed = [], []

        def flood(handler):
            handler.request.connection.stream.set_close_callback(lambda: closed.append(True))

            def more():
                if not closed:
                    sent.append(1)
                    handler.write(b"x" * 16384)
                    handler.flush(callback=more)
            more()
        self.provide(token=flood)
        before = exchange_room.REQUEST_TIMEOUT
        exchange_room.REQUEST_TIMEOUT = 1000
        self.addCleanup(setattr, exchange_room, "REQUEST_TIMEOUT", before)
        self.assert_refused("provider", self.back(self.begin()))
        self.assertIn("65536", str(self.application.error))
        self.run_until(lambda: closed)
        # What the systems keep between the two is less than this.
        self.assertLess(len(sent) * 16384, 16 << 20)


class ParametersTest(OAuth2Case):
    def test_a471_a_parameter_that_is_sent_twice_is_refused(self):
        self.provide()
        for query in ("&code=a&code=b", "&code=a&state=x", "&code=a&iss=x&iss=y",
                      "&code=a&error=no&error=yes"):
            state = self.begin()
            if "state=" in query:
                url = self.site + "/login?code=a&state=x&state=" + state
            else:
                url = self.back(state, query)
            self.assert_refused("token", url)
            self.assertEqual([], self.script.requests, query)

    def test_a474_an_access_token_is_text(self):
        for token in (7, {"a": 1}, ["x"], True):
            self.provide(token=dict(BEARER, access_token=token))
            self.assert_refused("token", self.back(self.begin()))
        self.provide(token=dict(BEARER, access_token=u"a\r\nCookie: b"))
        self.assert_refused("provider", self.back(self.begin()))
        self.assertEqual(["/token"], [request.path for request in self.script.requests])

    def test_a476_next_never_leaves_the_host(self):
        self.provide()
        for path in ("//evil.example", "/%5Cevil.example", "%5C%5Cevil.example",
                     "/%09/evil.example", "%09//evil.example", "https:evil.example",
                     "/%0a/evil.example", "%20//evil.example", "/ok%0d%0aSet-Cookie:a=b",
                     "/a&next=//evil.example", "//evil.example&next=%5C%5Cevil.example",
                     "javascript:x", "/%00/evil.example", "///evil.example", "/%e2%80%a8/x%0b"):
            page = self.begin(query="?next=" + path)
            response = self.browser.get(self.back(page))
            self.assertEqual(302, response.code)
            where = response.headers["Location"]
            self.assertNotIn("evil", where.partition("/")[0], path)
            self.assertFalse(where.startswith(("//", "/\\")), (path, where))
            self.assertTrue(where.startswith("/"), (path, where))
            self.assertFalse(set(where) & set("\t\r\n\\\0"), (path, where))

    def test_a473_the_flows_of_another_page_are_limited_at_the_return(self):
        self.provide()
        states = [self.begin() for _ in range(2)]
        jar = dict(self.browser.cookies)
        for _ in range(9):
            self.browser.cookies.clear()    # the page that starts a flow does not see them
            states.append(self.begin())
            jar.update(self.browser.cookies)
        self.browser.cookies = jar
        self.assertEqual(11, len(self.browser.flows()))
        self.browser.get(self.back(states[-1]))
        self.assertEqual("Zoe", self.application.user["name"])
        self.assertLessEqual(len(self.browser.flows()), 5)

    def test_a476_a_host_that_is_not_ascii(self):
        self.provide()
        for host in (u"ex\xe4mple.com", "a b", "evil.example/x", "a@b", "x\\y"):
            response = self.fetch(self.site + "/login", headers={"Host": host})
            self.assertIn(response.code, (400, 599), host)


class TlsTest(OAuth2Case):
    def test_a475_the_certificate_of_a_provider_is_verified(self):
        script = ScriptedProvider(token=BEARER, resource={"name": "Zoe"})
        server = HTTPServer(Application(script.rules()), ssl_options={
            "certfile": CERTS + "/selfsigned.crt", "keyfile": CERTS + "/server.key"})
        self.servers.append(server)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        self.provide()
        self.sign_in_at(OAuth2SignIn, self.script,
                        _OAUTH_ACCESS_TOKEN_URL="https://localhost:%d/token" % port)
        self.assert_refused("network", self.back(self.begin()))
        self.assertEqual([], script.requests)

    def test_a475_a_secret_is_not_sent_without_tls(self):
        self.provide()
        self.sign_in_at(OAuth2SignIn, self.script,
                        _OAUTH_ACCESS_TOKEN_URL="http://id.invalid/token")
        self.assert_refused("provider", self.back(self.begin()))
        self.assertIn("must be an https URL", str(self.application.error))


class OutOfBandTest(AuthCase):
    def test_a472_a_code_that_a_person_types(self):
        class SignIn(OAuthSignIn):
            @asynchronous
            def get(self):
                if self.get_argument("oauth_token", None):
                    self.get_authenticated_user(self.on_user)
                else:
                    self.authorize_redirect(callback_uri="oob", callback=self.on_redirect)

            def _oauth_get_user(self, access_token, callback):
                callback({"name": "Zoe"})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        script = ScriptedProvider(
            request_token=(200, form, "oauth_token=request&oauth_token_secret=secret&"
                                      "oauth_callback_confirmed=true"),
            access_token=(200, form, "oauth_token=a&oauth_token_secret=b"))
        self.sign_in_at(SignIn, script)
        response = self.browser.get(self.site + "/login")
        self.assertIn("/authorize?oauth_token=request", response.headers["Location"])
        self.assertIn(b"oauth_callback=oob", script.requests[0].body)
        back = self.site + "/login?oauth_token=request&oauth_verifier=1234567"
        self.assert_refused("state", back, Browser(self))
        self.browser.get(back)
        self.assertEqual("Zoe", self.application.user["name"])
        self.application.user = None
        self.browser.get(back)
        self.assertIsNone(self.application.user)


class ClaimsTest(unittest.TestCase):
    def test_a429_times_that_are_no_times(self):
        now = time.time()
        claims = {"iss": u"i", "aud": u"c", "sub": u"s", "exp": now + 60, "iat": now}
        jose.check_id_token(claims, ["i"], "c", now)
        for text in ("1e999", "-1e999", "1" + 400 * "0", "-1" + 400 * "0", '"1"', "true", "null",
                     "[1]"):
            for name in ("exp", "iat", "nbf"):
                wrong = jose.decode_object(
                    json.dumps(dict(claims, **{name: 7})).replace(
                        '"%s": 7' % name, '"%s": %s' % (name, text)).encode("ascii"))
                with self.assertRaises(TokenError):
                    jose.check_id_token(wrong, ["i"], "c", now)
            wrong = dict(claims, auth_time=json.loads(text))
            with self.assertRaises(TokenError):
                jose.check_id_token(wrong, ["i"], "c", now, max_age=60)


class DiscoveryTest(unittest.TestCase):
    METADATA = {"issuer": "https://id.example", "authorization_endpoint": "https://id.example/a",
                "token_endpoint": "https://id.example/t", "jwks_uri": "https://id.example/k"}

    def test_a470_an_issuer_elsewhere_names_no_endpoint_of_this_machine(self):
        Provider("https://id.example")._check(self.METADATA)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint",
                     "end_session_endpoint"):
            for url in ("http://127.0.0.1:6379/", "http://localhost/", "http://[::1]/",
                        "http://id.example/", "file:///etc/passwd", "javascript:alert(1)",
                        "//id.example/", "", 7, {}):
                with self.assertRaises(AuthError):
                    Provider("https://id.example")._check(dict(self.METADATA, **{name: url}))


class RequestPathTest(AuthCase):
    def test_a476_a_path_does_not_become_a_part_of_the_host(self):
        for mixin, request in ((TwitterMixin, "twitter_request"),
                               (TwitterOAuth2Mixin, "twitter_request"),
                               (FriendFeedMixin, "friendfeed_request"),
                               (FacebookGraphMixin, "facebook_request")):
            for path in ("@evil.example/", ".evil.example/", "2/users/me", "", ":80/", "\\x"):
                with self.assertRaises(ValueError) as caught:
                    getattr(mixin(), request)(path, self.fail)
                self.assertIn("path", str(caught.exception))


class OIDCAttackTest(OIDCCase):
    def test_b237_every_reply_may_be_wrong(self):
        def hang(handler):
            pass

        def vanish(handler):
            handler.request.connection.stream.close()

        def answer(status, body, **headers):
            def send(handler):
                handler.set_status(status)
                for name, value in headers.items():
                    handler.set_header(name, value)
                handler.finish(body)
            return send

        kinds = (("provider", answer(500, b"")), ("provider", answer(200, b"<html>\xff")),
                 ("provider", answer(200, b"[" * 50000)),
                 ("provider", answer(200, b"x" * 10000000)),
                 ("provider", answer(307, b"", Location=self.url + "/elsewhere")),
                 ("provider", answer(200, b"")), ("network", vanish), ("network", hang))
        before = exchange_room.DEADLINE
        self.addCleanup(setattr, exchange_room, "DEADLINE", before)
        for path in ("/.well-known/openid-configuration", "/jwks", "/token", "/userinfo"):
            for reason, wrong in kinds:
                url = self.begin()
                self.forget_keys()
                exchange_room.DEADLINE = 0.3 if wrong is hang else before
                self.provider.answers = {path: wrong}
                response = self.come_back(url)
                self.provider.answers = {}
                self.check_refused(response, reason)
                exchange_room.DEADLINE = before
                self.forget_keys()
        self.accepted()

    def test_a428_a_missing_package_is_named(self):
        self.begin()
        token = self.provider.logout_token()
        self.addCleanup(setattr, jose, "hashes", jose.hashes)
        jose.hashes = None
        for path, options in (("/login", {}), ("/login?code=c&state=s", {}),
                              ("/refresh?token=t", {}),
                              ("/logout", {"method": "POST", "body": "logout_token=" + token})):
            response = self.visit(path, **options)
            self.assertEqual(500, response.code, path)
        self.assertEqual([], self.settings["errors"])

    def test_a469_a_verified_address_is_the_one_that_was_verified(self):
        self.provider.claims = {"email": "boss@example.com"}
        user = self.accepted()
        self.assertEqual(("boss@example.com", None), (user["email"], user.get("email_verified")))
        self.provider.claims = {"email_verified": True}
        self.provider.userinfo = {"email": "boss@example.com", "email_verified": None}
        user = self.accepted()
        self.assertEqual(("boss@example.com", None), (user["email"], user.get("email_verified")))
        self.provider.claims = {"email": "someone@example.com"}
        self.provider.userinfo = {}
        self.assertIs(True, self.accepted()["email_verified"])

    def test_a477_a_thousand_keys(self):
        jwk = dict(self.provider.keys[0].jwk)
        self.provider.answers["/jwks"] = lambda handler: self.provider.send(
            handler, {"keys": [dict(jwk, kid="k%d" % number) for number in range(400)] + [
                None, 7, "x", [], {"kty": "RSA"}, dict(jwk, kid=None), dict(jwk, kid="k", n=7),
                jwk]})
        self.accepted()

    def test_a477_a_text_that_utf8_does_not_have(self):
        for name in ("nonce", "sub", "iss", "aud", "azp", "at_hash"):
            self.provider.claims = {name: u"\ud800"}
            response = self.sign_in()
            self.assertEqual(403, response.code, name)
            self.assertNotIn("user", self.cookies)

    def test_a476_a_path_with_a_semicolon_is_no_attribute_of_a_cookie(self):
        self.settings["providers"]["/login;Domain=evil"] = self.settings["providers"]["/login"]
        response = self.visit("/login;Domain=evil")
        for line in response.headers.get_list("Set-Cookie"):
            self.assertNotIn("domain", line.lower().replace("%3bdomain", ""))

    def test_a478_words_of_a_provider_make_no_line_of_the_log(self):
        url = self.begin()
        state = self.query_of(url)["state"]
        self.visit("/login?state=%s&error=access_denied&error_description="
                   "a%%0d%%0a%%1b[31mERROR%%20forged" % state)
        self.assertNotIn("\x1b", str(self.settings["errors"][-1]))
        self.assertNotIn("\n", str(self.settings["errors"][-1]))

    def test_a479_the_reply_of_another_provider_at_this_page(self):
        # A response to a flow with one provider, sent to the page of another one (mix-up).
        self.settings["providers"]["/login/other"] = dict(
            self.settings["providers"]["/login"], key="another client")
        url = self.begin("/login")
        started = self.query_of(url)
        cookies = dict(self.cookies)
        code = self.provider.make_code(url)
        response = self.visit("/login/other?code=%s&state=%s" % (code, started["state"]),
                              cookies=cookies)
        self.check_refused(response, "state")
        self.assertNotIn("/token", self.provider.asked)


if __name__ == "__main__":
    unittest.main()
