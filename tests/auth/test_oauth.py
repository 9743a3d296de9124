# coding: utf-8
"""OAuth 1.0a, against the server half of oauthlib."""
from __future__ import absolute_import, division, print_function

from six.moves.urllib.parse import parse_qs

from friendserve.auth import TwitterMixin
from friendserve.web import Application, RequestHandler
from tests.auth.oauth1_provider import make_provider
from tests.authcase import AuthCase, Browser, count_objects, query_of


class OAuthCase(AuthCase):
    returns = "oauth_token", "denied"

    def serve_provider(self, provider=None, **members):
        self.provider = provider or make_provider()
        self.there = self.serve_on(self.provider)
        self.serve_site(TwitterMixin, returns=self.returns, _TWITTER_BASE_URL=self.there,
                        _OAUTH_REQUEST_TOKEN_URL=self.there + "/oauth/request_token",
                        _OAUTH_ACCESS_TOKEN_URL=self.there + "/oauth/access_token",
                        _OAUTH_AUTHORIZE_URL=self.there + "/oauth/authorize",
                        _OAUTH_AUTHENTICATE_URL=self.there + "/oauth/authenticate",
                        settings=dict(twitter_consumer_key="site",
                                      twitter_consumer_secret="site secret"), **members)

    def begin(self, browser=None, query=""):
        """The URL of the provider's page."""
        return (browser or self.browser).follow(self.site + "/in" + query, until=self.there)

    def click(self, page, answer="yes"):
        """The URL to which the provider sends the browser."""
        return Browser(self).follow(page + "&answer=" + answer, until=self.site)


class OAuthTest(OAuthCase):
    def setUp(self):
        super(OAuthTest, self).setUp()
        self.serve_provider()

    def test_a_whole_sign_in(self):
        page = self.begin(query="?next=/%3Fa%3D1")
        response = self.browser.follow(self.click(page))
        self.assertEqual(b"signed in", response.body)
        self.assertEqual(self.site + "/?a=1", response.effective_url)
        (user, error), = self.outcomes
        self.assertIsNone(error)
        self.assertEqual((u"ann", u"Ann \u05d0", u"7"),
                         (user["username"], user["name"], user["id"]))
        self.assertEqual(user["access_token"]["secret"],
                         self.provider.validator.access_tokens[user["access_token"]["key"]])

    def test_other_signature_methods_and_the_other_page(self):
        for members in ({"_OAUTH_SIGNATURE_METHOD": "HMAC-SHA256"},
                        {"start": lambda self: self.authenticate_redirect("/in")}):
            self.serve_provider(**members)
            self.assertEqual(b"signed in", self.browser.follow(self.click(self.begin())).body)

    def test_requests_are_signed(self):
        class Post(TwitterMixin):
            def on_user(self, user):
                self.twitter_request("/statuses", lambda reply: self.finish(reply or "failed"),
                                     access_token=user["access_token"], a="1 +/~",
                                     post_args={"status": u"a/b +\u05d0"})

        self.serve_provider(on_user=Post.__dict__["on_user"])
        response = self.browser.follow(self.click(self.begin()))
        self.assertIn(b'"said": "a/b +\\u05d0"', response.body)

    def test_a458_check_1_two_tabs_at_once(self):
        pages = [self.begin(query="?next=/%d" % number) for number in range(2)]
        for number in (1, 0):
            url = self.click(pages[number])
            response = self.browser.get(url)
            self.assertEqual("/%d" % number, response.headers["Location"])
        self.assertEqual(2, len(self.outcomes))

    def test_a320_check_26_another_browser_cannot_finish_it(self):
        url = self.click(self.begin())
        self.assertEqual(403, Browser(self).follow(url).code)
        self.assertEqual("state", self.reason())

    def test_a320_check_26_the_verifier_is_needed_and_checked(self):
        url = self.click(self.begin())
        self.assertEqual(403, self.browser.follow("%s/in?oauth_token=%s" % (
            self.site, parse_qs(query_of(url))["oauth_token"][0])).code)
        self.assertEqual("token", self.reason())
        url = self.click(self.begin())
        verifier = parse_qs(query_of(url))["oauth_verifier"][0]
        self.assertEqual(403, self.browser.follow(url.replace(verifier, "wrong")).code)
        self.assertEqual("provider", self.reason())
        self.assertEqual([], self.browser.cookies("user"))

    def test_check_10_a_flow_is_used_once(self):
        url = self.click(self.begin())
        self.browser.get(url)
        # After a success, a reload goes on to where the first went.
        response = self.browser.get(url)
        self.assertEqual((302, "/"), (response.code, response.headers["Location"]))
        self.assertEqual(1, len(self.outcomes))

    def test_check_8_denied(self):
        url = self.click(self.begin(), "no")
        self.assertEqual(403, self.browser.follow(url).code)
        self.assertEqual("denied", self.reason())

    def test_check_8_someone_else_cannot_deny(self):
        self.assertEqual(403, self.browser.follow(self.site + "/in?denied=abc").code)
        self.assertEqual("state", self.reason())

    def test_a459_two_hundred_one_after_another(self):
        def sign_in():
            browser = Browser(self)
            self.assertEqual(b"signed in", browser.follow(self.click(self.begin(browser))).body)
            del self.outcomes[:], self.logged[:]
            self.provider.validator.nonces.clear()
            self.provider.validator.access_tokens.clear()
        for _ in range(20):
            sign_in()
        before = count_objects()
        for _ in range(200):
            sign_in()
        self.assertLess(count_objects() - before, 100)


class Failing(RequestHandler):
    """A provider that answers the wrong way."""
    def post(self):
        how = self.application.settings["how"]
        if how == "500":
            self.set_status(500)
        elif how == "large":
            self.write("oauth_token=a&x=" + "x" * 10000000)
        elif how == "redirect":
            self.redirect("/stolen")
        else:
            self.write(how)


class FailingTest(OAuthCase):
    """B237, A320: whatever a provider does, there is an answer."""

    def check(self, how):
        self.serve_provider(Application([("/oauth/request_token", Failing)], how=how))
        response = self.browser.get(self.site + "/in")
        self.assertEqual(502, response.code)
        self.assertEqual([], self.outcomes)

    def test_b237_answers_that_are_wrong(self):
        for how in ("500", "large", "redirect", "", "garbage", "<html>", "{}", "oauth_token=",
                    "oauth_token=a&oauth_token_secret=b", "\xff"):
            self.check(how)

    def test_b237_a_provider_that_is_down(self):
        self.serve_site(TwitterMixin, returns=self.returns,
                        _OAUTH_REQUEST_TOKEN_URL="http://127.0.0.1:1/",
                        settings=dict(twitter_consumer_key="a", twitter_consumer_secret="b"))
        self.assertEqual(502, self.browser.get(self.site + "/in").code)

    def test_http_is_for_loopback_only(self):
        self.serve_site(TwitterMixin, returns=self.returns,
                        _OAUTH_REQUEST_TOKEN_URL="http://api.example/",
                        settings=dict(twitter_consumer_key="a", twitter_consumer_secret="b"))
        self.assertEqual(502, self.browser.get(self.site + "/in").code)
