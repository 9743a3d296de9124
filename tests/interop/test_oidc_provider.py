"""OpenID Connect against oidc-provider, a certified implementation in JavaScript."""
from __future__ import absolute_import, division, print_function

import re
import time

from six.moves.urllib.parse import urljoin

from friendserve.auth.discovery import provider as known_provider
from friendserve.auth.exchange import encode_form
from friendserve.escape import json_decode, xhtml_unescape
from tests import PATIENCE
from tests.oidccase import OIDCCase
from tests.services import OIDCProvider, needs

_ACTION = re.compile(r'action="([^"]*)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)"')


@needs(OIDCProvider)
class OIDCProviderTest(OIDCCase):
    def setUp(self):
        super(OIDCProviderTest, self).setUp()
        clients = []
        for path, algorithm in (("/login", "RS256"), ("/login/other", "ES256")):
            clients.append({
                "client_id": "client" + path, "client_secret": "a secret of thirty-two characters",
                "redirect_uris": [self.url + path],
                "post_logout_redirect_uris": [self.url + "/"],
                "grant_types": ["authorization_code", "refresh_token"],
                "id_token_signed_response_alg": algorithm,
                "backchannel_logout_uri": self.url + "/logout?provider=" + path,
                "backchannel_logout_session_required": True})
        self.real = OIDCProvider(clients)
        self.addCleanup(self.real.close)
        for client in clients:
            path = client["client_id"][len("client"):]
            self.settings["providers"][path] = {
                "issuer": self.real.url(), "key": client["client_id"],
                "secret": client["client_secret"]}

    def browse(self, response):
        """Follow redirects to the next page that is not one; the URLs are in `self.went`."""
        self.went = []
        while response.code in (302, 303):
            self.went.append(urljoin(response.request.url, response.headers["Location"]))
            self.assertLess(len(self.went), 10)
            response = self.visit(self.went[-1])
        return response

    def submit(self, page, **fields):
        """Send the form of a page, with its hidden fields."""
        text = page.body.decode("utf-8")
        values = dict((name, xhtml_unescape(value)) for name, value in _HIDDEN.findall(text))
        values.update(fields)
        url = urljoin(page.request.url, xhtml_unescape(_ACTION.search(text).group(1)))
        return self.browse(self.visit(url, method="POST", body=encode_form(values), headers={
            "Content-Type": "application/x-www-form-urlencoded"}))

    def enter(self, path="/login", name="ann"):
        """Sign in at the provider, as a person would; the last page."""
        page = self.browse(self.visit(path))
        for _ in range(3):
            if page.request.url.startswith(self.url):
                break
            text = page.body.decode("utf-8")
            page = self.submit(page, login=name, password="x") if 'name="login"' in text \
                else self.submit(page)
        return page

    def test_a422_a_whole_sign_in(self):
        for path in ("/login", "/login/other"):
            page = self.enter(path + "?next=/welcome")
            self.assertEqual(self.url + "/welcome", page.request.url)
            self.assertEqual("ann", json_decode(page.body)["user"])
            user = self.settings["users"].pop()
            self.assertEqual(("ann", "ann@example.com", True, self.real.url()), (
                user["sub"], user["email"], user["email_verified"], user["iss"]))
            # A reload of the last page at which the flow ended.
            back = [url for url in self.went if "code=" in url][-1]
            self.assertIn("iss=", back)
            self.assertEqual("/welcome", self.visit(back).headers["Location"])
            self.assertEqual([], self.settings["users"])

    def test_a422_a_code_that_was_used_is_refused(self):
        self.enter()
        back = [url for url in self.went if "code=" in url][-1]
        code = self.query_of(back)["code"]
        self.cookies.pop("user")
        url = self.begin()
        started = self.query_of(url)
        response = self.visit("/login?" + encode_form({
            "code": code, "state": started["state"], "iss": self.real.url()}).decode("ascii"))
        self.check_refused(response, "provider", "invalid_grant")

    def test_a422_denied_by_the_person(self):
        page = self.browse(self.visit("/login"))
        cancel = re.search(r'href="([^"]*abort[^"]*)"', page.body.decode("utf-8")).group(1)
        page = self.browse(self.visit(urljoin(page.request.url, xhtml_unescape(cancel))))
        self.check_refused(page, "denied")

    def test_a423_rotation_of_keys(self):
        self.enter()
        first = self.settings["users"].pop()["id_token"]
        self.visit(self.real.url() + "/test/rotate?forget=1", method="POST", body=b"")
        self.cookies.pop("user")
        self.check_refused(self.enter(), "signature")
        # A minute later.
        known_provider(self.real.url())._keys_asked -= 60
        self.assertEqual("ann", json_decode(self.enter().body)["user"])
        second = self.settings["users"].pop()["id_token"]
        self.assertNotEqual(first.split(".")[0], second.split(".")[0])

    def test_a424_refresh_tokens_rotate(self):
        self.enter()
        token = self.settings["users"].pop()["refresh_token"]
        page = json_decode(self.visit("/refresh?" + encode_form(
            {"token": token, "subject": "ann"}).decode("ascii")).body)
        self.assertNotIn(page["tokens"]["refresh_token"], (token, None))
        # The old one was used.
        page = json_decode(self.visit("/refresh?" + encode_form(
            {"token": token, "subject": "ann"}).decode("ascii")).body)
        self.assertEqual((None, "provider"), (page["tokens"], page["reason"]))

    def test_a425_end_of_session_and_back_channel_logout(self):
        self.enter("/login")
        self.enter("/login/other")
        users = list(self.settings["users"])
        page = self.browse(self.visit("/login?" + encode_form(
            {"out": users[0]["id_token"]}).decode("ascii")))
        page = self.submit(page, logout="yes")
        self.assertEqual(self.url + "/?state=over", self.went[-1])
        # The provider tells the clients after its answer to the browser.
        deadline = time.time() + PATIENCE
        while len(self.settings["ended"]) < 2 and time.time() < deadline:
            self.visit("/")
        self.assertEqual(sorted(user["sid"] for user in users),
                         sorted(sid for sid, _ in self.settings["ended"]))
        # The provider asks for the password again.
        page = self.browse(self.visit("/login"))
        self.assertIn('name="login"', page.body.decode("utf-8"))
