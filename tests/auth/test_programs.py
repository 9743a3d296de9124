"""Programs that use the mixins: that of the documentation, and some written for Tornado."""
from __future__ import absolute_import, division, print_function

from friendserve import gen
from friendserve.auth import AuthError
from friendserve.concurrent import Future
from tests.docscase import program
from tests.providercase import (
    SECRET, AuthCase, OAuth2SignIn, OAuthProvider, OAuthSignIn, OpenIdProvider, OpenIdSignIn,
    ScriptedProvider)


class PageTest(AuthCase):
    def test_the_program_for_steam(self):
        self.sign_in_at(OpenIdSignIn, OpenIdProvider())
        page = program("how-to/sign-in-providers.rst")
        page["SteamMixin"]._OPENID_ENDPOINT = self.provider + "/openid"
        page["SteamMixin"]._OPENID_CLAIMED_ID = self.provider + "/id/"
        site = self.serve(page["make_application"](SECRET))
        self.assertIn(b"/login/steam", self.browser.get(site + "/").body)
        self.browser.get(self.browser.answer(self.browser.start(site + "/login/steam")))
        self.assertEqual(b"Hello, alice", self.browser.get(site + "/").body)
        page["SteamMixin"]._OPENID_CLAIMED_ID = self.provider + "/others/"
        back = self.browser.answer(self.browser.start(site + "/login/steam"))
        self.assertEqual(403, self.browser.get(back).code)


class CoroutineTest(AuthCase):
    """Handlers in the style of Tornado 4: Futures, and _oauth_get_user_future."""

    def test_a_sign_in_with_futures(self):
        class SignIn(OAuthSignIn):
            _oauth_get_user = property()    # as if it were not defined

            @gen.coroutine
            def get(self):
                if self.get_argument("oauth_token", None):
                    user = yield self.get_authenticated_user()
                    self.set_secure_cookie("user", user["access_token"]["key"])
                    self.finish(user["name"])
                else:
                    yield self.authorize_redirect()

            def _oauth_get_user_future(self, access_token):
                future = Future()
                future.set_result({"name": "Bob"})
                return future

        self.sign_in_at(SignIn, OAuthProvider())
        back = self.browser.answer(self.browser.start(self.site + "/login"))
        self.assertEqual(b"Bob", self.browser.get(back).body)

    def test_a_failure_is_raised_by_the_future(self):
        class SignIn(OAuth2SignIn):
            @gen.coroutine
            def get(self):
                try:
                    yield self.get_authenticated_user()
                except AuthError as error:
                    self.finish(error.reason)

        self.sign_in_at(SignIn, ScriptedProvider())
        self.assertEqual(b"state", self.browser.get(self.site + "/login?code=c&state=s").body)

    def test_a_redirect_that_fails_and_is_not_awaited_is_answered(self):
        class SignIn(OAuthSignIn):
            def on_redirect(self):
                self.finish("%s" % self.auth_error.reason)

        self.sign_in_at(SignIn, ScriptedProvider(request_token=(500, {}, "")))
        self.assertEqual(b"provider", self.browser.get(self.site + "/login").body)
        SignIn.authorize_redirect = lambda self, callback=None: super(
            OAuthSignIn, self).authorize_redirect()
        self.assertEqual(502, self.browser.get(self.site + "/login").code)

    def test_numbers_are_arguments(self):
        class SignIn(OAuth2SignIn):
            @gen.coroutine
            def get(self):
                reply = yield self.oauth2_request(self.resource, access_token="t", limit=5,
                                                  ids=[1, 2], left=None)
                self.finish(reply)

        provider = ScriptedProvider(resource={"name": "Bob"})
        self.sign_in_at(SignIn, provider)
        self.assertEqual(200, self.browser.get(self.site + "/login").code)
        self.assertEqual("/resource?ids=1&ids=2&limit=5", provider.requests[0].uri)
        self.assertEqual("Bearer t", provider.requests[0].headers["Authorization"])
