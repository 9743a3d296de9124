"""OAuth 1.0a against the server half of oauthlib, and against providers that misbehave."""
from __future__ import absolute_import, division, print_function

from six.moves.urllib.parse import parse_qs, urlsplit

from friendserve.auth import exchange as exchange_room
from friendserve.web import HTTPError
from tests.providercase import AuthCase, Browser, OAuthProvider, OAuthSignIn, ScriptedProvider

TOKEN = "oauth_token=request&oauth_token_secret=secret&oauth_callback_confirmed=true"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class OAuthTest(AuthCase):
    def setUp(self):
        super(OAuthTest, self).setUp()
        self.oauth = OAuthProvider()
        self.sign_in_at(OAuthSignIn, self.oauth)

    def test_a_user_signs_in(self):
        page = self.browser.start(self.site + "/login?next=/there")
        back = self.browser.answer(page)
        response = self.browser.get(back)
        self.assertEqual((302, "/there"), (response.code, response.headers["Location"]))
        self.assertEqual(u"Zo\xeb", self.application.user["name"])
        self.assertLessEqual({"key", "secret"}, set(self.application.user["access_token"]))
        self.assertIn(u"Zo\xeb", self.browser.get(self.site + "/there").body.decode("utf-8"))

    def test_check_1_two_tabs_both_succeed_in_either_order(self):
        first = self.browser.start(self.site + "/login?next=/there")
        second = self.browser.start(self.site + "/login")
        self.assertEqual(2, len(self.browser.flows()))
        for page, where in ((second, "/"), (first, "/there")):
            response = self.browser.get(self.browser.answer(page))
            self.assertEqual((302, where), (response.code, response.headers["Location"]))

    def test_check_8_a_reload_after_success_goes_on_to_next(self):
        back = self.browser.answer(self.browser.start(self.site + "/login?next=/there"))
        self.browser.get(back)
        self.application.user = None
        response = self.browser.get(back)
        self.assertEqual((302, "/there"), (response.code, response.headers["Location"]))
        self.assertIsNone(self.application.user)

    def test_check_8_a_denial_is_told_and_can_be_begun_again(self):
        self.assert_refused("denied", self.browser.answer(
            self.browser.start(self.site + "/login"), "deny"))
        self.browser.get(self.browser.answer(self.browser.start(self.site + "/login")))
        self.assertIsNotNone(self.application.user)

    def test_a436_a320_a_request_token_of_another_browser_is_refused(self):
        # The attacker's token, with the consent of the attacker, in the browser of the victim.
        back = self.browser.answer(self.browser.start(self.site + "/login"))
        victim = Browser(self)
        self.assert_refused("state", back, victim)
        victim.start(self.site + "/login")
        self.assert_refused("state", back, victim)

    def test_a431_check_26_no_verifier_and_a_wrong_one_are_refused(self):
        back = self.browser.answer(self.browser.start(self.site + "/login"))
        token = parse_qs(urlsplit(back).query)["oauth_token"][0]
        self.assert_refused("token", self.site + "/login?oauth_token=" + token)
        back = self.browser.answer(self.browser.start(self.site + "/login"))
        self.assert_refused("provider", back.replace("oauth_verifier=", "oauth_verifier=x"))

    def test_check_10_a_flow_ends_at_its_first_use_without_success(self):
        back = self.browser.answer(self.browser.start(self.site + "/login"))
        self.assert_refused("provider", back.replace("oauth_verifier=", "oauth_verifier=x"))
        self.assertEqual([], self.browser.flows())
        self.assert_refused("state", back)

    def test_a432_signatures_of_any_arguments_are_accepted(self):
        def on_user(handler, user):
            args = {"slash": u"a/b", "plus": u"1+1 =~2", "text": [u"\u20ac", u"\xe9"], "count": 5,
                    "empty": u"", "left": None, "semicolon": u"a;b"}
            handler._oauth_request(handler.resource + "?q=%2F", lambda reply: post(
                handler, user, reply, args), user["access_token"], None, dict(args))

        def post(handler, user, reply, args):
            self.replies.append(reply)
            handler._oauth_request(handler.resource, lambda reply: end(handler, reply),
                                   user["access_token"], {"text": [u"b/c +~", u"\u20ac"]}, {})

        def end(handler, reply):
            self.replies.append(reply)
            handler.finish()

        self.replies = []
        self.application.on_user = on_user
        self.browser.get(self.browser.answer(self.browser.start(self.site + "/login")))
        self.assertIsNotNone(self.replies[0])
        self.assertEqual({"text": [u"b/c +~", u"\u20ac"]}, self.replies[1])

    def test_a_callback_that_raises_is_answered(self):
        def on_user(handler, user):
            raise HTTPError(418)
        self.application.on_user = on_user
        back = self.browser.answer(self.browser.start(self.site + "/login"))
        self.assertEqual(418, self.browser.get(back).code)

    def test_check_21_the_xsrf_token_is_renewed(self):
        self.browser.get(self.site + "/")
        before = self.browser.cookies["_xsrf"][0]
        self.browser.get(self.browser.answer(self.browser.start(self.site + "/login")))
        self.browser.get(self.site + "/")
        after = self.browser.cookies["_xsrf"][0]
        self.assertEqual(403, self.browser.get(
            self.site + "/", method="POST", body="_xsrf=" + before).code)
        self.assertEqual(302, self.browser.get(
            self.site + "/", method="POST", body="_xsrf=" + after).code)


class MisbehavingProviderTest(AuthCase):
    def check_start(self, reason, reply):
        self.sign_in_at(OAuthSignIn, ScriptedProvider(request_token=reply))
        self.browser.get(self.site + "/login")
        self.assertIsNotNone(self.application.error)
        self.assertEqual(reason, self.application.error.reason)
        self.assertEqual([], self.browser.flows())

    def check_end(self, reason, **replies):
        replies.setdefault("access_token", (200, FORM, "oauth_token=a&oauth_token_secret=b"))
        self.sign_in_at(OAuthSignIn, ScriptedProvider(request_token=(200, FORM, TOKEN), **replies))
        self.browser.start(self.site + "/login")
        self.assert_refused(reason, self.site + "/login?oauth_token=request&oauth_verifier=v")

    def test_a431_check_26_a_callback_must_be_confirmed(self):
        self.check_start("token", (200, FORM, TOKEN.replace("=true", "=false")))
        self.check_start("token", (200, FORM, TOKEN.replace("oauth_callback_confirmed", "other")))

    def test_a_provider_of_1_0_has_no_verifier(self):
        self.sign_in_at(OAuthSignIn, ScriptedProvider(
            request_token=(200, FORM, "oauth_token=request&oauth_token_secret=secret"),
            access_token=(200, FORM, "oauth_token=a&oauth_token_secret=b"),
            resource={"name": "Bob"}), _OAUTH_VERSION="1.0")
        page = self.browser.start(self.site + "/login")
        self.assertEqual([self.site + "/login"], parse_qs(urlsplit(page).query)["oauth_callback"])
        self.browser.get(self.site + "/login?oauth_token=request")
        self.assertEqual("Bob", self.application.user["name"])

    def test_a433_b237_wrong_replies_are_told(self):
        wrong = [(500, {}, "broken"), (200, FORM, ""), (200, {}, "\xff\x00 <html>"),
                 (200, {"Content-Type": "application/json"}, "{"),
                 (200, {"Content-Type": "application/json"}, '{"error": "no"}'),
                 (302, {"Location": "/elsewhere"}, TOKEN), (200, FORM, "x=" + 10000000 * "y")]
        for reply in wrong:
            self.check_start("provider", reply)
            self.check_end("provider", access_token=reply)
        self.check_start("token", (200, FORM, "a=b"))
        self.check_end("token", access_token=(200, FORM, "a=b"))
        for reply in (wrong[0], wrong[2], wrong[3], wrong[4], wrong[5]):
            self.check_end("provider", resource=reply)

    def test_a433_b237_a_secret_that_no_cookie_holds_is_told(self):
        self.check_start("token", (200, FORM, TOKEN.replace("=secret", "=" + 5000 * "s")))
        self.check_start("token", (200, FORM, TOKEN.replace("=secret", "=s%0a/")))

    def test_a433_b237_a_provider_that_is_down_is_told(self):
        self.sign_in_at(OAuthSignIn, ScriptedProvider())
        self.servers[0].stop()
        self.browser.get(self.site + "/login")
        self.assertEqual("network", self.application.error.reason)

    def test_a433_b237_a_slow_provider_ends_at_the_deadline(self):
        before = exchange_room.DEADLINE
        exchange_room.DEADLINE = 0.05
        self.addCleanup(setattr, exchange_room, "DEADLINE", before)
        self.check_start("network", lambda handler: None)

    def test_a_redirect_of_a_token_request_is_not_followed(self):
        provider = ScriptedProvider(request_token=(307, {"Location": "/elsewhere"}, TOKEN),
                                    elsewhere=(200, FORM, TOKEN))
        self.sign_in_at(OAuthSignIn, provider)
        self.browser.get(self.site + "/login")
        self.assertEqual(["/request_token"], [request.path for request in provider.requests])

    def test_a433_a_failure_shows_in_the_log_without_a_secret(self):
        self.check_start("provider", (500, {}, "broken"))
        lines = "\n".join(record.message for record in self.records)
        self.assertIn("Sign-in failed", lines)
        self.assertNotIn("oauth_signature", lines)
