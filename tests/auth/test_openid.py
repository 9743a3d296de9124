# coding: utf-8
"""OpenID 2.0, against python-openid."""
from __future__ import absolute_import, division, print_function

from six.moves.urllib.parse import parse_qsl, urlencode

from friendserve.auth import OpenIdMixin
from tests.auth import openid_provider
from tests.authcase import AuthCase, Browser, query_of


class OpenIdCase(AuthCase):
    def serve_provider(self, **members):
        self.provider = openid_provider.make_provider()
        self.there = self.serve_on(self.provider)
        openid_provider.set_url(self.provider, self.there)
        members.setdefault("_OPENID_ENDPOINT", self.there + "/openid")
        members.setdefault("start", lambda handler: handler.authenticate_redirect())
        self.serve_site(OpenIdMixin, returns=("openid.mode",), **members)

    def begin(self, browser=None, query=""):
        return (browser or self.browser).follow(self.site + "/in" + query, until=self.there)

    def click(self, page, answer="yes"):
        return Browser(self).follow(page + "&answer=" + answer, until=self.site)

    def come_back(self, change=None):
        """Sign in, with a change of the fields that come back: the status of the page."""
        url = self.click(self.begin())
        if change is not None:
            fields = dict(parse_qsl(query_of(url), keep_blank_values=True))
            change(fields)
            url = "%s/in?%s" % (self.site, urlencode(fields))
        return self.browser.follow(url).code


class OpenIdTest(OpenIdCase):
    def setUp(self):
        super(OpenIdTest, self).setUp()
        self.serve_provider()

    def test_a_whole_sign_in(self):
        url = self.click(self.begin(query="?next=/%3Fa%3D1"))
        response = self.browser.follow(url)
        self.assertEqual(b"signed in", response.body)
        self.assertEqual(self.site + "/?a=1", response.effective_url)
        self.assertEqual([({
            "claimed_id": self.there + "/id/ann", "name": "Ann Example", "first_name": "Ann",
            "last_name": "Example", "email": "ann@example.com", "locale": "de",
            "username": "ann"}, None)], self.outcomes)
        self.assertEqual("check_authentication", self.provider.asked[-1]["openid.mode"])

    def test_two_tabs_and_a_reload(self):
        pages = [self.begin(query="?next=/%d" % number) for number in range(2)]
        for number in (1, 0):
            url = self.click(pages[number])
            self.assertEqual("/%d" % number, self.browser.get(url).headers["Location"])
            self.assertEqual("/%d" % number, self.browser.get(url).headers["Location"])
        self.assertEqual(2, len(self.outcomes))

    def test_denied(self):
        self.assertEqual(403, self.browser.follow(self.click(self.begin(), "no")).code)
        self.assertEqual("denied", self.reason())

    def test_another_browser_cannot_finish_it(self):
        url = self.click(self.begin())
        self.assertEqual(403, Browser(self).follow(url).code)
        self.assertEqual("state", self.reason())

    def test_a440_check_27_another_provider(self):
        other = openid_provider.make_provider()
        there = self.serve_on(other)
        openid_provider.set_url(other, there)
        page = self.begin()
        url = self.click(page.replace(self.there, there, 1))
        self.assertEqual(403, self.browser.follow(url).code)
        self.assertEqual("issuer", self.reason())

    def test_a440_check_27_an_identity_of_another_site(self):
        self.provider.identity = "http://evil.example/id/ann"
        self.assertEqual(403, self.come_back())
        self.assertEqual("issuer", self.reason())
        self.serve_provider(_OPENID_CLAIMED_ID="http://127.0.0.1:1/id/")
        self.assertEqual(403, self.come_back())
        self.assertEqual("issuer", self.reason())

    def test_a440_check_27_return_to_is_this_page(self):
        def change(fields):
            fields["openid.return_to"] = fields["openid.return_to"].replace("/in?", "/out?")
        self.assertEqual(403, self.come_back(change))
        self.assertEqual("audience", self.reason())
        self.assertEqual(403, self.come_back(lambda fields: fields.update({
            "openid.return_to": fields["openid.return_to"] + "&admin=1"})))
        self.assertEqual("audience", self.reason())

    def test_a440_check_27_fresh(self):
        for nonce, reason in (("2001-01-01T00:00:00Zx", "clock"), ("2101-01-01T00:00:00Z", "clock"),
                              ("now", "nonce")):
            self.assertEqual(403, self.come_back(lambda fields: fields.update({
                "openid.response_nonce": nonce})))
            self.assertEqual(reason, self.reason())

    def test_a440_check_27_what_must_be_signed(self):
        for name in ("op_endpoint", "return_to", "response_nonce", "assoc_handle", "claimed_id",
                     "identity"):
            def change(fields):
                fields["openid.signed"] = ",".join(
                    one for one in fields["openid.signed"].split(",") if one != name)
            self.assertEqual(403, self.come_back(change))
            self.assertEqual("signature", self.reason())
            self.assertEqual(403, self.come_back(lambda fields: fields.pop("openid." + name)))

    def test_a440_check_27_changed_after_it_was_signed(self):
        self.assertEqual(403, self.come_back(lambda fields: fields.update({
            "openid.claimed_id": self.there + "/id/root", "openid.identity": self.there
            + "/id/root"})))
        self.assertEqual("signature", self.reason())

    def test_a440_check_27_attributes_count_only_if_signed(self):
        def change(fields):
            fields["openid.ns.evil"] = "http://openid.net/srv/ax/1.0"
            fields["openid.evil.type.email"] = "http://axschema.org/contact/email"
            fields["openid.evil.value.email"] = "root@example.com"
        # This provider refuses such a response; others ignore what they have not signed.
        self.assertEqual(403, self.come_back(change))
        self.provider.server = _Says("is_valid:true", self.provider.server)
        self.assertEqual(200, self.come_back(change))
        self.assertEqual("ann@example.com", self.outcomes[-1][0]["email"])

    def test_a_field_twice(self):
        url = self.click(self.begin())
        self.assertEqual(403, self.browser.follow(
            url + "&openid.claimed_id=http://evil.example/").code)
        self.assertEqual("token", self.reason())


class VerificationTest(OpenIdCase):
    def test_a047_the_line_is_valid_true(self):
        for said in ("x-is_valid:true-no", "is_valid:false", "is_valid:true-no", "is_valid: true",
                     "Is_valid:true", "", "is_valid:tru", "a:is_valid:true", "is_valid:true x"):
            self.serve_provider()
            url = self.click(self.begin())
            self.provider.server = _Says(said)
            self.assertEqual(403, self.browser.follow(url).code, said)
            self.assertEqual("signature", self.reason())


class _Says(object):
    """A server whose answer to a site is this text; others are left to a real one."""
    def __init__(self, text, server=None):
        self.text = text
        self.server = server

    def decodeRequest(self, fields):
        if fields["openid.mode"] != "check_authentication":
            return self.server.decodeRequest(fields)

    def handleRequest(self, request):
        return None

    def encodeResponse(self, response):
        return _Response(self.text) if response is None else self.server.encodeResponse(response)


class _Response(object):
    code, headers = 200, {}

    def __init__(self, text):
        self.body = "ns:http://specs.openid.net/auth/2.0\n%s\n" % text


class ArgumentTest(OpenIdCase):
    def test_unknown_attributes(self):
        self.serve_provider(start=lambda handler: handler.authenticate_redirect(
            ax_attrs=["shoe size"]))
        self.assertEqual(502, self.browser.get(self.site + "/in").code)
