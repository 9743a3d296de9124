# coding: utf-8
"""Facebook, X, FriendFeed and Google of old: their mixins against stand-ins of their shape; those
of OAuth 1 are run by oauthlib, those of OpenID by python-openid."""
from __future__ import absolute_import, division, print_function

import hashlib
import hmac
import json

from six.moves.urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from friendserve.auth import (
    FacebookGraphMixin, FacebookMixin, FriendFeedMixin, GoogleMixin, GoogleOAuth2Mixin, OAuthMixin,
    OpenIDConnectMixin, OpenIdMixin, TwitterMixin, TwitterOAuth2Mixin)
from friendserve.escape import native_str
from friendserve.web import HTTPError, asynchronous
from tests.providercase import (
    CONSUMER, AuthCase, OAuthProvider, OpenIdProvider, ScriptedProvider, SignInHandler,
    _AccessToken, _Authorize, _ProviderHandler, _RequestToken)

ZOE = {"id": "17", "name": u"Zoë", "username": "zoe"}


class StandInOfX(OAuthProvider):
    """The paths and shapes of api.x.com. `posts` are the texts that were posted."""

    def __init__(self):
        super(StandInOfX, self).__init__()
        self.posts = []

    def rules(self):
        return [(path, handler, {"provider": self}) for path, handler in (
            ("/oauth/request_token", _RequestToken), ("/oauth/authenticate", _Authorize),
            ("/oauth/access_token", _AccessToken), ("/2/users/me", _Signed),
            ("/2/tweets", _Signed), ("/v2/feedinfo/(.*)", _Signed))]


class _Signed(_ProviderHandler):
    def check(self, body):
        request = self.request
        valid, _ = self.provider.server.validate_protected_resource_request(
            request.full_url(), request.method, body, dict(request.headers.get_all()))
        if not valid:
            raise HTTPError(401)

    def get(self, name=None):
        self.check(None)
        self.write({"data": ZOE} if name is None else {"id": name, "name": u"Zoë"})

    def post(self):
        self.check(native_str(self.request.body))
        is_json = self.request.headers["Content-Type"] == "application/json"
        self.provider.posts.append(json.loads(native_str(self.request.body))["text"] if is_json
                                   else self.get_body_argument("text"))
        self.write({"data": {"id": "1"}})


class XSignIn(SignInHandler, TwitterMixin):
    def initialize(self, provider):
        self._OAUTH_REQUEST_TOKEN_URL = provider + "/oauth/request_token"
        self._OAUTH_ACCESS_TOKEN_URL = provider + "/oauth/access_token"
        self._OAUTH_AUTHENTICATE_URL = provider + "/oauth/authenticate"
        self._TWITTER_BASE_URL = provider
        self.settings.update(twitter_consumer_key=CONSUMER["key"],
                             twitter_consumer_secret=CONSUMER["secret"])

    @asynchronous
    def get(self):
        if self.get_argument("oauth_token", None) or self.get_argument("denied", None):
            self.get_authenticated_user(self.on_user)
        else:
            self.authenticate_redirect()


class TwitterTest(AuthCase):
    def setUp(self):
        super(TwitterTest, self).setUp()
        self.stand_in = StandInOfX()
        self.sign_in_at(XSignIn, self.stand_in)

    def sign_in(self):
        page = self.browser.start(self.site + "/login")
        return self.browser.get(self.browser.answer(page))

    def test_a_user_signs_in(self):
        self.assertEqual(302, self.sign_in().code)
        user = self.application.user
        self.assertEqual(ZOE, dict((name, user[name]) for name in ZOE))
        self.assertEqual({"key", "secret"}, {"key", "secret"} & set(user["access_token"]))

    def test_a460_a_signed_post_with_characters_that_are_escaped(self):
        done = []

        def on_user(handler, user):
            handler.twitter_request("/2/tweets", lambda reply: done.append(reply) or
                                    handler.finish(), access_token=user["access_token"],
                                    post_args={"text": u"a/b + c~ é&=%"})
        self.application.on_user = on_user
        self.sign_in()
        self.assertEqual(([{"data": {"id": "1"}}], [u"a/b + c~ é&=%"]),
                         (done, self.stand_in.posts))

    def test_a468_json_is_sent_as_it_is(self):
        done = []

        def on_user(handler, user):
            handler.twitter_request("/2/tweets", lambda reply: done.append(reply) or
                                    handler.finish(), access_token=user["access_token"],
                                    post_args=json.dumps({"text": u"a/b + c~ é&=%"}))
        self.application.on_user = on_user
        self.sign_in()
        self.assertEqual(([{"data": {"id": "1"}}], [u"a/b + c~ é&=%"]),
                         (done, self.stand_in.posts))

    def test_denied(self):
        page = self.browser.start(self.site + "/login")
        self.assert_refused("denied", self.browser.answer(page, "deny"))


class FriendFeedSignIn(SignInHandler, FriendFeedMixin):
    # Closed before anyone can ask; oauthlib's server speaks 1.0a only.
    _OAUTH_VERSION = "1.0a"
    _OAUTH_NO_CALLBACKS = False

    def initialize(self, provider):
        self._OAUTH_REQUEST_TOKEN_URL = provider + "/oauth/request_token"
        self._OAUTH_ACCESS_TOKEN_URL = provider + "/oauth/access_token"
        self._OAUTH_AUTHORIZE_URL = provider + "/oauth/authenticate"
        self._FRIENDFEED_BASE_URL = provider + "/v2"
        self.settings.update(friendfeed_consumer_key=CONSUMER["key"],
                             friendfeed_consumer_secret=CONSUMER["secret"])

    @asynchronous
    def get(self):
        returned = self.get_argument("oauth_token", None) is not None
        self.get_authenticated_user(self.on_user) if returned else self.authorize_redirect()

    def _oauth_get_user(self, access_token, callback):
        # FriendFeed's reply with the access token contained the name.
        FriendFeedMixin._oauth_get_user(self, dict(access_token, username="zoe"), callback)


class FriendFeedTest(AuthCase):
    def test_a_user_signs_in(self):
        self.sign_in_at(FriendFeedSignIn, StandInOfX())
        page = self.browser.start(self.site + "/login")
        self.assertEqual(302, self.browser.get(self.browser.answer(page)).code)
        self.assertEqual(("zoe", u"Zoë"), (self.application.user["username"],
                                           self.application.user["name"]))


class XOAuth2SignIn(SignInHandler, TwitterOAuth2Mixin):
    def initialize(self, provider):
        self._OAUTH_AUTHORIZE_URL = provider + "/i/oauth2/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = provider + "/2/oauth2/token"
        self._TWITTER_BASE_URL = provider
        self.settings["twitter_oauth2"] = CONSUMER

    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(self.on_user)
        else:
            self.authorize_redirect(scope=["tweet.read", "users.read", "offline.access"])


class TwitterOAuth2Test(AuthCase):
    def test_a461_pkce_basic_credentials_and_a_refresh_token(self):
        stand_in = ScriptedProvider(**{
            "2/oauth2/token": {"access_token": "access", "token_type": "bearer",
                               "refresh_token": "again", "expires_in": 7200},
            "2/users/me": {"data": ZOE}})
        self.sign_in_at(XOAuth2SignIn, stand_in)
        asked = dict(parse_qsl(urlsplit(self.browser.start(self.site + "/login")).query))
        self.assertEqual(("S256", "tweet.read users.read offline.access"),
                         (asked["code_challenge_method"], asked["scope"]))
        self.browser.get(self.site + "/login?" + urlencode(
            {"code": "c", "state": asked["state"]}))
        self.assertEqual(("zoe", "again"), (self.application.user["username"],
                                            self.application.user["refresh_token"]))
        token, me = stand_in.requests
        self.assertEqual("Basic", token.headers["Authorization"].split()[0])
        self.assertNotIn(b"client_secret", token.body)


class GraphSignIn(SignInHandler, FacebookGraphMixin):
    _FACEBOOK_GRAPH_VERSION = "v99.0"

    def initialize(self, provider):
        self._FACEBOOK_DIALOG_URL = self._FACEBOOK_BASE_URL = provider
        self.settings.update(facebook_api_key="app", facebook_secret="app secret")

    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(
                redirect_uri="/login", client_id="app", client_secret="app secret",
                code=self.get_argument("code", None), callback=self.on_user,
                extra_fields=["locale"])
        else:
            self.authorize_redirect(redirect_uri="/login", client_id="app",
                                    extra_params={"scope": "public_profile,email"})


class FacebookGraphTest(AuthCase):
    PROOF = hmac.new(b"app secret", b"EAAB", hashlib.sha256).hexdigest()

    def setUp(self):
        super(FacebookGraphTest, self).setUp()
        self.stand_in = ScriptedProvider(**{
            "v99.0/oauth/access_token": {"access_token": "EAAB", "token_type": "bearer",
                                         "expires_in": 5183944},
            "v99.0/me": {"id": "10", "name": u"Zoë", "picture": {"data": {"url": "u"}}},
            "v99.0/me/feed": {"data": [{"message": "hi", "id": "10_1"}]}})
        self.sign_in_at(GraphSignIn, self.stand_in)

    def back(self, **fields):
        asked = self.browser.start(self.site + "/login")
        self.assertEqual("/v99.0/dialog/oauth", urlsplit(asked).path)
        state = dict(parse_qsl(urlsplit(asked).query))["state"]
        return self.site + "/login?" + urlencode(dict(fields or {"code": "c"}, state=state))

    def test_a462_the_version_is_one_attribute_and_each_request_has_a_proof(self):
        self.browser.get(self.back())
        user = self.application.user
        self.assertEqual(("10", u"Zoë", "EAAB", "5183944", None), (
            user["id"], user["name"], user["access_token"], user["session_expires"],
            user["locale"]))
        asked = parse_qs(self.stand_in.requests[1].query)
        self.assertEqual([self.PROOF], asked["appsecret_proof"])
        self.assertEqual(["email,first_name,id,last_name,locale,name,picture"], asked["fields"])

    def test_the_feed(self):
        done = []
        self.application.on_user = lambda handler, user: handler.facebook_request(
            "/me/feed", lambda reply: done.append(reply) or handler.finish(),
            access_token=user["access_token"], limit="5")
        self.browser.get(self.back())
        self.assertEqual(["10_1"], [post["id"] for post in done[0]["data"]])
        asked = parse_qs(self.stand_in.requests[2].query)
        self.assertEqual(([self.PROOF], ["5"]), (asked["appsecret_proof"], asked["limit"]))

    def test_a_token_in_a_form_as_until_2017(self):
        self.stand_in.replies["/v99.0/oauth/access_token"] = (
            200, {"Content-Type": "text/plain; charset=UTF-8"},
            "access_token=EAAB&token_type=bearer&expires=99")
        self.browser.get(self.back())
        self.assertEqual("99", self.application.user["session_expires"])

    def test_a463_an_error_of_the_interface_is_told(self):
        self.stand_in.replies["/v99.0/me"] = (400, {"Content-Type": "application/json"}, json.dumps(
            {"error": {"message": "Invalid appsecret_proof", "type": "GraphMethodException",
                       "code": 100}}))
        self.assert_refused("provider", self.back())
        self.assertIn("Invalid appsecret_proof", self.application.error.detail)

    def test_denied(self):
        self.assert_refused("denied", self.back(error="access_denied",
                                                error_reason="user_denied"))


class ConnectSignIn(SignInHandler, FacebookMixin):
    def initialize(self, provider):
        self._FACEBOOK_LOGIN_URL = provider + "/login.php"
        self._FACEBOOK_REST_URL = provider + "/restserver.php"
        self.settings.update(facebook_api_key="key", facebook_secret="s")

    @asynchronous
    def get(self):
        if self.get_argument("session", None):
            self.get_authenticated_user(self.on_user)
        else:
            self.authenticate_redirect(extended_permissions=["read_stream"])


class FacebookConnectTest(AuthCase):
    def test_a464_the_interface_of_2009_with_its_signature(self):
        stand_in = ScriptedProvider(**{"restserver.php": (
            200, {"Content-Type": "application/json"}, json.dumps(
                [{"uid": 10, "name": u"Zoë", "first_name": u"Zoë", "pic_square": "p"}]))})
        self.sign_in_at(ConnectSignIn, stand_in)
        asked = dict(parse_qsl(urlsplit(self.browser.start(self.site + "/login")).query))
        self.assertEqual("read_stream", asked["req_perms"])
        response = self.browser.get(asked["next"] + "&" + urlencode({"session": json.dumps(
            {"session_key": "k", "uid": 10, "expires": 0})}))
        self.assertEqual(302, response.code, self.application.error)
        self.assertEqual((10, u"Zoë", "k"), (
            self.application.user["uid"], self.application.user["name"],
            self.application.user["session_key"]))
        request, = stand_in.requests
        sent = dict((name, values[0]) for name, values in parse_qs(request.query).items())
        signature = sent.pop("sig")
        text = "".join("%s=%s" % pair for pair in sorted(sent.items())) + "s"
        self.assertEqual(hashlib.md5(text.encode("utf-8")).hexdigest(), signature)


class GoogleSignIn(SignInHandler, GoogleMixin):
    def initialize(self, provider):
        self._OPENID_ENDPOINT = provider + "/openid"
        self._OPENID_CLAIMED_ID = provider + "/id/"

    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(self.on_user)
        else:
            self.authenticate_redirect()


class GoogleTest(AuthCase):
    def test_openid_as_it_was(self):
        self.sign_in_at(GoogleSignIn, OpenIdProvider())
        page = self.browser.start(self.site + "/login")
        self.assertEqual(302, self.browser.get(self.browser.answer(page)).code)
        self.assertEqual(("Alice Liddell", "alice@example.com"), (
            self.application.user["name"], self.application.user["email"]))

    def test_a465_the_bare_issuer_is_an_alias_for_google_only(self):
        self.assertEqual(("https://accounts.google.com", ("accounts.google.com",)),
                         (GoogleOAuth2Mixin._OIDC_ISSUER, GoogleOAuth2Mixin._OIDC_ALIASES))
        self.assertEqual((), OpenIDConnectMixin._OIDC_ALIASES)


class NamesTest(AuthCase):
    def test_endpoints_are_attributes_of_the_class(self):
        for mixin, base, names in (
                (TwitterMixin, OAuthMixin, ("_OAUTH_REQUEST_TOKEN_URL", "_OAUTH_AUTHENTICATE_URL",
                                            "_OAUTH_ACCESS_TOKEN_URL", "_OAUTH_AUTHORIZE_URL")),
                (FriendFeedMixin, OAuthMixin, ("_OAUTH_REQUEST_TOKEN_URL", "_OAUTH_AUTHORIZE_URL",
                                               "_OAUTH_ACCESS_TOKEN_URL")),
                (GoogleMixin, OpenIdMixin, ("_OPENID_ENDPOINT", "_OAUTH_ACCESS_TOKEN_URL")),
                (GoogleOAuth2Mixin, OpenIDConnectMixin, ("_OIDC_ISSUER",)),
                (FacebookMixin, object, ("_FACEBOOK_LOGIN_URL", "_FACEBOOK_REST_URL"))):
            self.assertTrue(issubclass(mixin, base))
            for name in names:
                self.assertTrue(getattr(mixin, name).startswith("https://"), name)
        self.assertEqual("v26.0", FacebookGraphMixin._FACEBOOK_GRAPH_VERSION)
