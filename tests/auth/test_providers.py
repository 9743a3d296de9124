# coding: utf-8
"""The mixins of providers, against stand-ins that answer as these are documented to."""
from __future__ import absolute_import, division, print_function

import binascii
import hashlib
import hmac
import json

from six.moves.urllib.parse import parse_qs, urlencode

from friendserve.auth import (
    FacebookGraphMixin, FacebookMixin, FriendFeedMixin, GoogleMixin, TwitterOAuth2Mixin)
from friendserve.web import Application, RequestHandler
from tests.auth import openid_provider
from tests.auth.oauth1_provider import make_provider
from tests.authcase import AuthCase, Browser, query_of


class Stand(RequestHandler):
    """Records requests, and answers from a dict by path."""
    def check_xsrf_cookie(self):
        pass

    def get(self):
        self.application.asked.append((self.request.path, dict(
            (name, self.get_argument(name)) for name in self.request.arguments),
            self.request.headers.get("Authorization")))
        answer = self.application.answers[self.request.path]
        self.finish(answer if not isinstance(answer, list) else json.dumps(answer))

    post = get


class ProviderCase(AuthCase):
    def serve_stand(self, **answers):
        stand = Application([("/.*", Stand)])
        stand.asked, stand.answers = [], answers.pop("answers")
        self.stand = stand
        self.there = self.serve_on(stand)
        return self.there

    def come_back(self, **fields):
        """The page of the site for a response with these fields and the state that was sent."""
        url = self.browser.get(self.site + "/in").headers["Location"]
        self.query = dict((name, values[0]) for name, values in parse_qs(query_of(url)).items())
        if "state" in self.query:
            fields["state"] = self.query["state"]
        return self.browser.follow("%s/in?%s" % (self.site, urlencode(fields)))


class FacebookTest(ProviderCase):
    TOKEN = "/v26.0/oauth/access_token"

    def setUp(self):
        super(FacebookTest, self).setUp()
        there = self.serve_stand(answers={
            self.TOKEN: {"access_token": "t", "token_type": "bearer", "expires_in": 5183944},
            "/v26.0/me": {"id": "7", "name": u"Ann \u05d0", "first_name": "Ann", "age": 5,
                          "email": "ann@example.com"},
            "/v26.0/me/feed": {"data": [{"id": "1"}]}})
        self.site = self.serve_site(
            FacebookGraphMixin, _FACEBOOK_BASE_URL=there, _FACEBOOK_DIALOG_URL=there,
            settings=dict(facebook_api_key="site", facebook_secret="s3"))

    def test_a_whole_sign_in(self):
        self.assertEqual(b"signed in", self.come_back(code="c").body)
        user = self.outcomes[0][0]
        self.assertEqual(("7", u"Ann \u05d0", "t", "5183944", None), tuple(
            user[name] for name in ("id", "name", "access_token", "session_expires", "picture")))
        self.assertNotIn("age", user)
        (path, token, _), (_, me, _) = self.stand.asked
        self.assertEqual(("site", "s3", "c", "authorization_code"), tuple(
            token[name] for name in ("client_id", "client_secret", "code", "grant_type")))
        self.assertEqual("S256", self.query["code_challenge_method"])
        self.assertEqual(binascii.b2a_hex(hmac.new(b"s3", b"t", hashlib.sha256).digest()).decode(),
                         me["appsecret_proof"])

    def test_the_arguments_of_old_programs(self):
        outcomes = self.outcomes

        def get(handler):
            handler.get_authenticated_user(
                redirect_uri=handler.request.full_url().partition("?")[0], client_id="site",
                client_secret="s3", code=handler.get_argument("code"), callback=done,
                extra_fields=["age"])

        def done(user):
            outcomes.append(user)

        def start(handler):
            handler.authorize_redirect(redirect_uri=handler.request.full_url(), client_id="site",
                                       extra_params={"scope": "read_stream,offline_access"})
        self.serve_site(FacebookGraphMixin, start=start, _FACEBOOK_BASE_URL=self.there,
                        _FACEBOOK_DIALOG_URL=self.there, on_user=lambda handler, user: (
                            outcomes.append(user), handler.finish())[:0] or None,
                        settings=dict(facebook_secret="s3", facebook_api_key="site"))
        self.come_back(code="c")
        self.assertEqual("read_stream,offline_access", self.query["scope"])
        self.assertEqual("7", outcomes[-1]["id"])

    def test_the_token_as_a_form_as_before_2017(self):
        self.stand.answers[self.TOKEN] = "access_token=t&expires=5183944"
        self.assertEqual(b"signed in", self.come_back(code="c").body)
        self.assertEqual("5183944", self.outcomes[0][0]["session_expires"])

    def test_errors_of_the_graph(self):
        self.stand.answers[self.TOKEN] = {"error": {"message": "Error validating code",
                                                    "type": "OAuthException", "code": 100}}
        self.assertEqual(403, self.come_back(code="c").code)
        self.assertEqual("provider", self.reason())
        self.assertIn("Error validating code", str(self.outcomes[-1][1]))
        self.assertEqual(403, self.come_back(error="access_denied").code)
        self.assertEqual("denied", self.reason())

    def test_requests(self):
        def on_user(handler, user):
            handler.facebook_request("/me/feed", handler.finish, access_token="t",
                                     post_args={"message": u"\u05d0"}, limit="5")

        self.serve_site(FacebookGraphMixin, on_user=on_user, _FACEBOOK_BASE_URL=self.there,
                        _FACEBOOK_DIALOG_URL=self.there,
                        settings=dict(facebook_api_key="site", facebook_secret="s3"))
        self.assertEqual({"data": [{"id": "1"}]}, json.loads(
            self.come_back(code="c").body.decode("ascii")))
        path, fields, _ = self.stand.asked[-1]
        self.assertEqual(("/v26.0/me/feed", u"\u05d0", "5", "t"), (path, fields["message"],
                         fields["limit"], fields["access_token"]))


class FacebookConnectTest(ProviderCase):
    def test_a_whole_sign_in(self):
        there = self.serve_stand(answers={"/rest": [{"uid": 7, "name": "Ann", "username": "ann"}]})
        self.serve_site(FacebookMixin, returns=("session",),
                        start=lambda handler: handler.authenticate_redirect(),
                        _FACEBOOK_REST_URL=there + "/rest", _FACEBOOK_LOGIN_URL=there + "/login",
                        settings=dict(facebook_api_key="site", facebook_secret="s3"))
        url = self.browser.get(self.site + "/in").headers["Location"]
        back = parse_qs(query_of(url))["next"][0]
        response = self.browser.follow("%s&%s" % (back, urlencode({
            "session": json.dumps({"session_key": "k", "uid": 7, "expires": 5})})))
        self.assertEqual(b"signed in", response.body)
        self.assertEqual((7, "Ann", "k"), tuple(
            self.outcomes[0][0][name] for name in ("uid", "name", "session_key")))
        _, fields, _ = self.stand.asked[0]
        sent = "".join("%s=%s" % pair for pair in sorted(fields.items()) if pair[0] != "sig")
        self.assertEqual(hashlib.md5((sent + "s3").encode("ascii")).hexdigest(), fields["sig"])
        self.assertEqual("facebook.users.getInfo", fields["method"])
        url = self.browser.get(self.site + "/in").headers["Location"]
        back = parse_qs(query_of(url))["next"][0]
        self.assertEqual(403, self.browser.follow(back + "&session=").code)
        self.assertEqual("denied", self.reason())


class TwitterOAuth2Test(ProviderCase):
    def test_a_whole_sign_in(self):
        there = self.serve_stand(answers={
            "/2/oauth2/token": {"access_token": "t", "token_type": "bearer",
                                "refresh_token": "r"},
            "/2/users/me": {"data": {"id": "7", "name": "Ann", "username": "ann"}}})
        self.serve_site(TwitterOAuth2Mixin, _TWITTER_BASE_URL=there,
                        _OAUTH_AUTHORIZE_URL=there + "/i/oauth2/authorize",
                        _OAUTH_ACCESS_TOKEN_URL=there + "/2/oauth2/token",
                        settings=dict(twitter_oauth2=dict(key="site", secret="s")))
        self.assertEqual(b"signed in", self.come_back(code="c").body)
        self.assertEqual(({"id": "7", "name": "Ann", "username": "ann", "access_token": "t",
                           "refresh_token": "r"}, None), self.outcomes[0])
        self.assertTrue(self.stand.asked[0][2].startswith("Basic "))
        self.assertNotIn("client_secret", self.stand.asked[0][1])
        self.assertEqual("Bearer t", self.stand.asked[1][2])


class FriendFeedTest(ProviderCase):
    def test_a_whole_sign_in(self):
        there = self.serve_stand(answers={
            "/request": "oauth_token=a&oauth_token_secret=b",
            "/access": "oauth_token=c&oauth_token_secret=d&username=ann",
            "/v2/feedinfo/ann": {"id": "ann", "name": "Ann"}})
        self.serve_site(FriendFeedMixin, returns=("oauth_token",),
                        _OAUTH_REQUEST_TOKEN_URL=there + "/request",
                        _OAUTH_ACCESS_TOKEN_URL=there + "/access",
                        _OAUTH_AUTHORIZE_URL=there + "/authorize",
                        _FRIENDFEED_BASE_URL=there + "/v2",
                        settings=dict(friendfeed_consumer_key="k", friendfeed_consumer_secret="s"))
        self.assertEqual(b"signed in", self.come_back(oauth_token="a").body)
        user = self.outcomes[0][0]
        self.assertEqual(("ann", "Ann", {"key": "c", "secret": "d", "username": "ann"}),
                         (user["username"], user["name"], user["access_token"]))


class GoogleTest(ProviderCase):
    def test_openid_with_oauth(self):
        oauth, provider = make_provider(), openid_provider.make_provider()
        oauth.add_handlers(".*", [("/openid", openid_provider.Endpoint)])
        oauth.asked = provider.asked
        there = self.serve_on(oauth)
        openid_provider.set_url(oauth, there)
        self.serve_site(GoogleMixin, returns=("openid.mode",), _OPENID_ENDPOINT=there + "/openid",
                        _OPENID_CLAIMED_ID=None, _OAUTH_ACCESS_TOKEN_URL=there + "/token",
                        start=lambda handler: handler.authorize_redirect("https://a.example/feeds"),
                        settings=dict(google_consumer_key="site", google_consumer_secret="s"))
        page = self.browser.follow(self.site + "/in", until=there)
        query = parse_qs(query_of(page))
        self.assertEqual(["https://a.example/feeds"], query["openid.oauth.scope"])
        url = Browser(self).follow(page + "&answer=yes", until=self.site)
        self.assertEqual(b"signed in", self.browser.follow(url).body)
        self.assertEqual("ann@example.com", self.outcomes[0][0]["email"])
