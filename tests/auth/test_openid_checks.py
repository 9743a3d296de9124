"""OpenID 2.0 against the server of python-openid, and against responses that are not its own."""
from __future__ import absolute_import, division, print_function

import time

from six.moves.urllib.parse import parse_qsl, urlencode, urlsplit

from friendserve.auth import openid as openid_room
from tests.providercase import AuthCase, Browser, OpenIdProvider, OpenIdSignIn, ScriptedProvider


def change(url, drop=(), **fields):
    """`url` with other values of arguments openid.NAME, and without those in `drop`."""
    pairs = [(name, fields.pop(name.replace("openid.", ""), value))
             for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
             if name not in drop]
    return url.partition("?")[0] + "?" + urlencode(
        pairs + [("openid." + name, value) for name, value in fields.items()])


class OpenIdTest(AuthCase):
    def setUp(self):
        super(OpenIdTest, self).setUp()
        self.openid = OpenIdProvider()
        self.sign_in_at(OpenIdSignIn, self.openid)

    def back(self, path="/login"):
        return self.browser.answer(self.browser.start(self.site + path))

    def test_a_user_signs_in_with_attributes(self):
        response = self.browser.get(self.back("/login?next=/there"))
        self.assertEqual((302, "/there"), (response.code, response.headers["Location"]))
        self.assertEqual(
            {"claimed_id": self.provider + "/id/alice", "email": "alice@example.com",
             "first_name": "Alice", "last_name": "Liddell", "name": "Alice Liddell"},
            self.application.user)
        self.assertEqual(1, self.openid.verifications)

    def test_programs_for_tornado_find_next_at_the_return(self):
        self.application.on_user = lambda handler, user: handler.redirect(
            handler.get_argument("next", "/"))
        response = self.browser.get(self.back("/login?next=/there%3Fa%3Db"))
        self.assertEqual("/there?a=b", response.headers["Location"])

    def test_a_callback_uri_may_have_arguments(self):
        self.sign_in_at(type("SignIn", (OpenIdSignIn,), {
            "authenticate_redirect": lambda handler: super(
                OpenIdSignIn, handler).authenticate_redirect("/login?from=a+b")}), self.openid)
        self.browser.get(self.back())
        self.assertEqual("Alice Liddell", self.application.user["name"])

    def test_check_1_two_tabs_both_succeed(self):
        first = self.browser.start(self.site + "/login?next=/there")
        second = self.browser.start(self.site + "/login")
        for page, where in ((second, "/"), (first, "/there")):
            response = self.browser.get(self.browser.answer(page))
            self.assertEqual((302, where), (response.code, response.headers["Location"]))

    def test_check_8_a_denial_is_told(self):
        self.assert_refused("denied", self.browser.answer(
            self.browser.start(self.site + "/login"), "deny"))

    def test_a440_check_27_another_browser_is_refused(self):
        self.assert_refused("state", self.back(), Browser(self))

    def test_a440_check_27_return_to_is_this_url(self):
        for where in ("http://127.0.0.1/login", self.site + "/other", self.site + "/login/"):
            back = self.back()
            values = dict(parse_qsl(urlsplit(back).query))
            self.assert_refused("audience", change(back, return_to=values[
                "openid.return_to"].replace(self.site + "/login", where)))
        # A response for another flow of this browser.
        back = self.back()
        other = dict(parse_qsl(urlsplit(self.back()).query))
        self.assert_refused("audience", change(back, return_to=other["openid.return_to"]))
        # Two flows are named.
        back = self.back()
        self.assert_refused("token", back.replace("?", "?auth_state=x&", 1))

    def test_a440_check_27_the_endpoint_and_the_identity_are_the_providers(self):
        self.assert_refused("issuer", change(self.back(), op_endpoint="http://evil.example/"))
        for identity in ("http://evil.example/id/alice", self.provider + ".evil.example/alice",
                         self.provider + "@evil.example/", self.provider + "/"):
            self.assert_refused("issuer", change(self.back(), claimed_id=identity))

    def test_a441_check_27_what_must_be_signed_is(self):
        for name in ("op_endpoint", "return_to", "response_nonce", "assoc_handle", "claimed_id",
                     "identity"):
            back = self.back()
            signed = dict(parse_qsl(urlsplit(back).query))["openid.signed"].split(",")
            self.assert_refused("signature", change(back, signed=",".join(
                one for one in signed if one != name)))
            self.assert_refused("signature", change(self.back(), drop=["openid." + name]))
        self.assertEqual(0, self.openid.verifications)

    def test_a441_check_27_a_value_that_is_not_signed_does_not_count(self):
        back = change(self.back(), **{
            "ax.type.evil": "http://axschema.org/namePerson", "ax.value.evil": "Mallory",
            "ax.type.ext9": "http://axschema.org/contact/email", "ax.value.ext9": "root@here"})
        self.browser.get(back)
        self.assertEqual(("Alice Liddell", "alice@example.com"),
                         (self.application.user["name"], self.application.user["email"]))

    def test_a441_check_27_a_changed_value_is_refused(self):
        self.assert_refused("signature", change(self.back(), claimed_id=self.provider + "/id/bob"))
        back = self.back()
        self.assert_refused("signature", back.replace("alice%40example", "mallory%40example"))

    def test_a441_check_27_a_value_that_is_sent_twice_is_refused(self):
        back = self.back()
        self.assert_refused("token", back + "&" + urlencode(
            {"openid.claimed_id": self.provider + "/id/bob"}))

    def test_a442_check_27_a_response_is_accepted_once(self):
        back = self.back()
        cookies = dict(self.browser.cookies)
        self.browser.get(back)
        self.assertIsNotNone(self.application.user)
        # A copy of the browser, with the cookie of the flow.
        copy = Browser(self)
        copy.cookies = cookies
        self.assert_refused("signature", back, copy)

    def test_a442_check_27_a_response_is_fresh(self):
        for seconds, reason in ((-3600, "clock"), (3600, "clock")):
            nonce = time.strftime("%Y-%m-%dT%H:%M:%SZabc", time.gmtime(time.time() + seconds))
            self.assert_refused(reason, change(self.back(), response_nonce=nonce))
        self.assert_refused("nonce", change(self.back(), response_nonce="abc"))


class VerificationTest(AuthCase):
    """A provider that says this and that to the question whether a response is its own."""

    def respond(self, said, status=200, nonce="x"):
        """Sign in with a response that the provider verifies so; returns its URL."""
        self.script = ScriptedProvider(openid=(status, {}, said))
        self.sign_in_at(OpenIdSignIn, self.script)
        return self.response(nonce)

    def response(self, nonce):
        asked = dict(parse_qsl(urlsplit(self.browser.start(self.site + "/login")).query))
        fields = {"mode": "id_res", "ns": "http://specs.openid.net/auth/2.0",
                  "return_to": asked["openid.return_to"], "op_endpoint": self.provider + "/openid",
                  "claimed_id": self.provider + "/1", "identity": self.provider + "/1",
                  "response_nonce": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) + nonce,
                  "assoc_handle": "h", "sig": "s", "signed": "op_endpoint,claimed_id,identity,"
                  "return_to,response_nonce,assoc_handle,ns.ax,ax.type.n,ax.value.n",
                  "ns.ax": "http://openid.net/srv/ax/1.0",
                  "ax.type.n": "http://axschema.org/namePerson", "ax.value.n": u"Zo\xeb".encode(
                      "utf-8")}
        return asked["openid.return_to"] + "&" + urlencode(
            dict(("openid." + name, value) for name, value in fields.items()))

    def test_a443_a047_only_the_whole_line_is_valid_true_counts(self):
        for said in ("x-is_valid:true-no", "is_valid:true-no", "is_valid:truely", "x-is_valid:true",
                     "is_valid: true", "is_valid:TRUE", "is_valid:false", "", "is_valid:true\r\n",
                     "a:b\ris_valid:true", "a:b\x0bis_valid:true",
                     "is_valid:false\nis_valid:true\n",
                     "is_valid:true\nis_valid:false\n", "is_valid:true is_valid:true"):
            self.assert_refused("signature", self.respond(said))
        self.assert_refused("provider", self.respond("is_valid:true\n", 500))
        self.assert_refused("provider", self.respond("is_valid:true\n" + 9000000 * "x"))
        for said in ("is_valid:true", "ns:x\nis_valid:true\n"):
            url = self.respond(said)
            self.browser.get(url)
            self.assertIsNone(self.application.error)
            self.assertEqual(u"Zo\xeb", self.application.user["name"])

    def test_a442_check_27_a_nonce_counts_once_whatever_the_provider_says(self):
        url = self.respond("is_valid:true\n")
        cookies = dict(self.browser.cookies)
        self.browser.get(url)
        self.assertIsNotNone(self.application.user)
        copy = Browser(self)
        copy.cookies = cookies
        self.assert_refused("nonce", url, copy)

    def test_a442_the_nonces_that_are_remembered_are_limited(self):
        before = openid_room.MAX_NONCES
        openid_room.MAX_NONCES = 3
        self.addCleanup(setattr, openid_room, "MAX_NONCES", before)
        url = self.respond("is_valid:true\n", nonce="0")
        for number in range(1, 6):
            self.browser.get(url)
            self.assertIsNotNone(self.application.user)
            url = self.response(str(number))
        self.assertEqual(3, len(openid_room._nonces))

    def test_a_provider_that_is_down_is_told(self):
        url = self.respond("")
        self.servers[-2].stop()
        self.assert_refused("network", url)
