# coding: utf-8
"""The sign-in demo with the providers that it starts, run as users run it."""
from __future__ import absolute_import, division, print_function

import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest

from six.moves.urllib.parse import parse_qs, urlsplit

from friendserve.auth import REASONS
from tests import PATIENCE, ROOT
from tests.signincase import AuthDemo, Visitor

FOLDER = os.path.join(ROOT, "demos", "auth")
NAMES = r'<h2><bdi>(.*?)</bdi></h2>'


class AuthDemoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = AuthDemo()

    @classmethod
    def tearDownClass(cls):
        cls.demo.close()

    def setUp(self):
        self.visitor = Visitor()
        self.visitor.get(self.demo.url + "/")

    def sign_in(self, provider, person, visitor=None):
        visitor = visitor or self.visitor
        visitor.get("%s/auth/%s" % (self.demo.url, provider))
        return visitor.post(visitor.page.url, person=person)

    def sign_out(self, provider, **fields):
        return self.visitor.post(self.demo.url + "/signout", provider=provider, **fields)

    def test_one_command_and_several_providers_at_once(self):
        self.assertEqual(["Sign in with Harbour", "Sign in with Lighthouse"],
                         self.visitor.page.texts(r'</span>(Sign in with [^<]*)</a>'))
        self.assertIn("For development only", self.visitor.page.text)
        page = self.sign_in("harbour", "1")
        self.assertEqual((self.demo.url + "/", ["Ada Lovelace"]), (page.url, page.texts(NAMES)))
        page = self.sign_in("lighthouse", "3")
        self.assertEqual(["Ada Lovelace", u"佐藤花子"], page.texts(NAMES))
        self.assertEqual(["verified", "not verified"],
                         page.texts(r'<span class="badge[^>]*>(.*?)</span>'))
        self.assertEqual([], page.texts(r'href="/auth/([^"]*)"'))

    def test_sign_out_here_and_there(self):
        self.sign_in("harbour", "1")
        self.assertEqual([], self.sign_out("harbour").texts(NAMES))
        # The provider still knows who this is, and does not ask.
        page = self.visitor.get(self.demo.url + "/auth/harbour")
        self.assertEqual(["Ada Lovelace"], page.texts(NAMES))
        page = self.sign_out("harbour", there="yes")
        self.assertEqual((self.demo.url + "/", []), (page.url, page.texts(NAMES)))
        page = self.visitor.get(self.demo.url + "/auth/harbour")
        self.assertTrue(page.url.startswith(self.demo.issuer("Harbour") + "/authorize?"), page.url)

    def test_the_end_of_a_session_at_the_provider_ends_it_here(self):
        # Two browsers, one session at the provider: the second has only its cookie.
        self.sign_in("harbour", "1")
        other = Visitor()
        for cookie in self.visitor.cookies:
            if cookie.name == "provider_harbour":
                other.cookies.set_cookie(cookie)
        self.assertEqual(["Ada Lovelace"], other.get(self.demo.url + "/auth/harbour").texts(NAMES))
        self.sign_out("harbour", there="yes")
        # The provider tells the site while the browser goes back.
        for _ in range(200):
            names = other.get(self.demo.url + "/").texts(NAMES)
            if not names:
                break
        self.assertEqual([], names)

    def test_cancelled(self):
        self.visitor.get(self.demo.url + "/auth/harbour")
        page = self.visitor.post(self.visitor.page.url)
        self.assertEqual((403, ["denied"], [REASONS["denied"]]), (
            page.status, page.texts('data-reason="([^"]*)"'),
            page.texts(r'<p id="problem"[^>]*>(.*?)</p>')))
        self.assertEqual(["harbour"], page.texts(r'class="primary" href="/auth/([^"]*)"'))

    def test_a_reload_of_the_last_page_is_no_error(self):
        start = self.visitor.get(self.demo.url + "/auth/harbour").url
        self.sign_in("harbour", "1")
        log = self.demo.log()
        path = re.findall(r"302 GET (/auth/harbour\?\S*code=\S+)", log)[-1]
        page = self.visitor.get(self.demo.url + path)
        self.assertEqual((200, ["Ada Lovelace"]), (page.status, page.texts(NAMES)))
        # Another browser cannot use it.
        page = Visitor().get(self.demo.url + path)
        self.assertEqual((400, ["state"]), (page.status, page.texts('data-reason="([^"]*)"')))
        self.assertEqual(["S256"], parse_qs(urlsplit(start).query)["code_challenge_method"])

    def test_two_tabs(self):
        first = self.visitor.get(self.demo.url + "/auth/harbour")
        second = self.visitor.get(self.demo.url + "/auth/lighthouse")
        self.visitor.page = first
        self.assertEqual(["Ada Lovelace"], self.visitor.post(first.url, person="1").texts(NAMES))
        self.visitor.page = second
        self.assertEqual(["Ada Lovelace", u"נועה לוי"],
                         self.visitor.post(second.url, person="2").texts(NAMES))

    def test_the_session_is_another_one_after_each_sign_in(self):
        def session():
            return [cookie.value for cookie in self.visitor.cookies if cookie.name == "session"]
        self.sign_in("harbour", "1")
        before = session()
        self.sign_in("lighthouse", "1")
        self.assertEqual(2, len(set(before + session())))

    def test_the_provider_refuses_what_it_does_not_know(self):
        issuer = self.demo.issuer("Harbour")
        self.assertEqual(400, self.visitor.get(issuer + "/authorize?client_id=x").status)
        page = self.visitor.get(issuer + "/authorize?client_id=demo&redirect_uri=http://evil/")
        self.assertEqual((400, True), (page.status, page.url.startswith(issuer)))
        page = self.visitor.get(issuer + "/token", b"grant_type=authorization_code&code=x")
        self.assertEqual((401, {"error": "invalid_client"}), (page.status, json.loads(page.text)))
        self.assertEqual(401, self.visitor.get(issuer + "/userinfo").status)
        self.assertEqual(400, self.visitor.get(issuer + "/logout?id_token_hint=x").status)

    def test_languages(self):
        for code, words in (("de", u"Wer bin ich?"), ("he", u"מי אני?"), ("ja", u"わたしは誰？")):
            self.visitor.post(self.demo.url + "/language", language=code)
            page = self.sign_in("harbour", "1")
            self.assertEqual([words], page.texts("<h1>(.*?)</h1>"))
            self.assertEqual(["rtl" if code == "he" else "ltr"],
                             page.texts(r'<html [^>]*dir="(.*?)"'))
            self.sign_out("harbour", there="yes")

    def test_every_language_has_every_text(self):
        texts = {}
        for code in ("de", "he", "ja"):
            with io.open(os.path.join(FOLDER, "translations", code + ".csv"),
                         encoding="utf-8") as source:
                rows = csv.reader([line.encode("utf-8") if str is bytes else line
                                   for line in source])
                texts[code] = set(row[0] for row in rows)
        self.assertEqual(texts["de"], texts["he"])
        self.assertEqual(texts["de"], texts["ja"])
        self.assertEqual(set(), set(REASONS.values()) - texts["de"])


class ConfigurationTest(unittest.TestCase):
    def run_with(self, providers):
        """What the demo says of a configuration, and its status."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as opened:
            json.dump(providers, opened)
            opened.flush()
            process = subprocess.Popen(
                [sys.executable, os.path.join(FOLDER, "authdemo.py"), "--port=0",
                 "--providers=" + opened.name], env=dict(os.environ, PYTHONPATH=ROOT),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            timer = threading.Timer(PATIENCE, process.kill)
            timer.start()
            output = process.communicate()[0].decode("utf-8")
            timer.cancel()
        return output

    def test_mistakes_are_named(self):
        for expected, providers in (
                ("work: issuer is missing", {"work": {"key": "k"}}),
                ("x: kind must be one of facebook, oidc, openid, x", {"x": {"kind": "saml"}}),
                ("A B: the name of a provider has letters a to z, digits and dashes, at most 20",
                 {"A B": {}}),
                ("x: secret is missing", {"x": {"kind": "x", "key": "k"}})):
            self.assertIn(expected, self.run_with(providers))


if __name__ == "__main__":
    unittest.main()
