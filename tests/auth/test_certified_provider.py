"""OpenID Connect, against the certified provider `oidc-provider` of npm."""
from __future__ import absolute_import, division, print_function

import os
import re

from six.moves.html_parser import HTMLParser
from six.moves.urllib.parse import urlencode, urljoin

from friendserve.auth import BackChannelLogoutHandler, OpenIDConnectMixin
from friendserve.web import RequestHandler, asynchronous
from tests import services
from tests.authcase import AuthCase, Browser


class CertifiedProvider(services.Service):
    """The provider; its one client is the site whose URL it is given."""
    name = "oidc-provider"
    advice = (": run `npm install oidc-provider@9` in a folder, and set FRIENDSERVE_NODE to that "
              "folder")

    def __init__(self, site):
        self.site = site
        super(CertifiedProvider, self).__init__()

    @classmethod
    def program(cls):
        return services.find_program("node") if os.environ.get("FRIENDSERVE_NODE") else None

    def command(self):
        return ["env", "MODULES=" + os.environ["FRIENDSERVE_NODE"], self.program(),
                os.path.join(services.PEERS, "oidc_site.mjs"), str(self.port), self.site]


class Forms(HTMLParser):
    """The first form of a page: its `action` and `fields`."""
    def __init__(self, page):
        HTMLParser.__init__(self)
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = attributes.get("action")
        elif tag == "input" and attributes.get("name"):
            self.fields[attributes["name"]] = attributes.get("value") or ""

    error = None    # version: py2


class Bye(RequestHandler):
    def get(self):
        self.clear_cookie("user")
        self.write("bye")


@services.needs(CertifiedProvider)
class CertifiedProviderTest(AuthCase):
    def setUp(self):
        super(CertifiedProviderTest, self).setUp()
        ended = self.ended = []

        class Logout(BackChannelLogoutHandler):
            def get_auth_http_client(self):
                return self.application.client

            def on_logout(self, sid, sub):
                ended.append((sid, sub))

        class Out(RequestHandler, OpenIDConnectMixin):
            def get_auth_http_client(self):
                return self.application.client

            @asynchronous
            def get(self):
                self.end_session_redirect(self.get_argument("id_token"), "/bye")

        class Refresh(RequestHandler, OpenIDConnectMixin):
            def get_auth_http_client(self):
                return self.application.client

            @asynchronous
            def get(self):
                self.refresh(self.get_argument("token"), lambda tokens: self.finish(
                    tokens or {"error": self.auth_error.reason}))

        settings = {}
        self.serve_site(OpenIDConnectMixin, settings=settings,
                        start=lambda handler: handler.authenticate_redirect(
                            scope=["openid", "email", "profile", "offline_access"],
                            extra_params={"prompt": "consent"}))
        self.app.add_handlers(".*", [("/bye", Bye), ("/backchannel", Logout), ("/out", Out),
                                     ("/refresh", Refresh)])
        self.provider = CertifiedProvider(self.site)
        self.addCleanup(self.provider.close)
        self.there = "http://127.0.0.1:%d" % self.provider.port
        self.app.settings["openid_connect"] = dict(issuer=self.there, key="site",
                                                   secret="site secret")

    def submit(self, browser, response, **fields):
        """Send the form of a page, and follow to the next page or to the site."""
        form = Forms(response.body.decode("utf-8"))
        answer = browser.get(
            urljoin(response.effective_url, form.action), method="POST",
            body=urlencode(dict(form.fields, **fields)),
            headers={"Content-Type": "application/x-www-form-urlencoded"})
        return urljoin(response.effective_url, answer.headers["Location"]) \
            if "Location" in answer.headers else answer

    def come_back(self, browser, account="ann", query=""):
        """The URL of the site with which the provider answers, after the person has signed in and
        consented there."""
        response = browser.follow(self.site + "/in" + query)
        for fields in ({"login": account, "password": "x"}, {}):
            url = self.submit(browser, response, **fields)
            for _ in range(5):
                if url.startswith(self.site):
                    return url
                response = browser.get(url)
                if "Location" not in response.headers:
                    break
                url = urljoin(url, response.headers["Location"])
        raise AssertionError("no way back from %s: %r" % (url, response.body))

    def test_a425_sign_in_refresh_and_sign_out(self):
        browser = self.browser
        response = browser.follow(self.come_back(browser, query="?next=/"))
        self.assertEqual(b"signed in", response.body)
        user = self.outcomes[0][0]
        self.assertEqual(("ann", "Name of ann", "ann@example.com", True), tuple(
            user[name] for name in ("sub", "name", "email", "email_verified")))
        # The refresh token is rotated: the old one is refused.
        token = user["refresh_token"]
        reply = browser.get("%s/refresh?%s" % (self.site, urlencode({"token": token}))).body
        self.assertIn(b'"access_token"', reply)
        self.assertNotIn(token.encode("ascii"), reply)
        reply = browser.get("%s/refresh?%s" % (self.site, urlencode({"token": token}))).body
        self.assertIn(b'"error": "provider"', reply)
        # To sign out there ends the session, which the site is told of behind the scenes.
        response = browser.follow("%s/out?%s" % (self.site, urlencode(
            {"id_token": user["id_token"]})))
        url = self.submit(browser, response, logout="yes")
        self.assertEqual(b"bye", browser.follow(url).body)
        self.run_until(lambda: self.ended)
        self.assertEqual([(user["sid"], "ann")], self.ended)

    def test_a425_two_tabs(self):
        browser = self.browser
        pages = [browser.follow(self.site + "/in?next=/%d" % number, until=self.there)
                 for number in range(2)]
        url = self.come_back(browser, query="?next=/third")
        self.assertEqual("/third", browser.get(url).headers["Location"])
        for number in (1, 0):
            response = browser.follow(pages[number])
            url = self.submit(browser, response)
            while not url.startswith(self.site):
                url = urljoin(url, browser.get(url).headers["Location"])
            self.assertEqual("/%d" % number, browser.get(url).headers["Location"])

    def test_a425_denied(self):
        response = self.browser.follow(self.site + "/in")
        cancel = re.search(r'href="([^"]*abort[^"]*)"', response.body.decode("utf-8")).group(1)
        response = self.browser.follow(urljoin(response.effective_url, cancel))
        self.assertEqual(403, response.code)
        self.assertEqual("denied", self.reason())

    def test_a425_the_code_of_another_browser(self):
        url = self.come_back(Browser(self))
        self.assertEqual(403, self.browser.follow(url).code)
        self.assertEqual("state", self.reason())
