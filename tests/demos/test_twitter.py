# coding: utf-8
"""The demo of X's timeline with the stand-in that it starts, run as users run it."""
from __future__ import absolute_import, division, print_function

import re
import unittest

from tests.signincase import TwitterDemo, Visitor

TEXTS = r'<p class="text"[^>]*>(.*?)</p>'
DETAIL = 'data-reason="([^"]*)"'


class TwitterDemoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = TwitterDemo()

    @classmethod
    def tearDownClass(cls):
        cls.demo.close()

    def setUp(self):
        self.visitor = Visitor()
        page = self.visitor.get(self.demo.url + "/")
        self.assertEqual(["/auth/twitter?next=%2F"], page.texts(r'class="primary" href="([^"]*)"'))
        self.dialog = self.visitor.get(self.demo.url + "/auth/twitter?next=%2F")

    def sign_in(self):
        return self.visitor.get(self.dialog.texts('id="allow" href="([^"]*)"')[0])

    def test_the_timeline_is_read_and_written(self):
        page = self.sign_in()
        count = len(page.texts(TEXTS))
        self.assertEqual((self.demo.url + "/", True), (page.url, count >= 4))
        page = self.visitor.post(self.demo.url + "/", text=u"<b> & “quotes” é + / ~ %41")
        self.assertEqual([count + 1, u"<b> & “quotes” é + / ~ %41"],
                         [len(page.texts(TEXTS)), page.texts(TEXTS)[0]])
        self.visitor.post(self.demo.url + "/signout")
        self.assertEqual([], self.visitor.get(self.demo.url + "/").texts(TEXTS))

    def test_a_text_that_x_or_the_site_refuses(self):
        self.sign_in()
        self.visitor.post(self.demo.url + "/", text="once")
        self.visitor.get(self.demo.url + "/")
        page = self.visitor.post(self.demo.url + "/", text="once")
        self.assertEqual((502, ["provider"]), (page.status, page.texts(DETAIL)))
        self.visitor.get(self.demo.url + "/")
        self.assertEqual(400, self.visitor.post(self.demo.url + "/", text="x" * 281).status)

    def test_b482_times_are_in_the_words_of_the_language(self):
        self.sign_in()
        for code, words in (("en_US", r"\d+ minutes ago"), ("de", r"vor \d+ Minuten"),
                            ("he", u"לפני \\d+ דקות"), ("ja", u"\\d+分前")):
            page = self.visitor.post(self.demo.url + "/language", language=code)
            times = page.texts("<time [^>]*>(.*?)</time>")
            self.assertTrue([one for one in times if re.match(words + "$", one)], times)

    def test_denied(self):
        page = self.visitor.get(self.dialog.texts('id="deny" href="([^"]*)"')[0])
        self.assertEqual((403, ["denied"]), (page.status, page.texts(DETAIL)))

    def test_the_return_belongs_to_one_browser_and_works_once(self):
        url = self.dialog.texts('id="allow" href="([^"]*)"')[0]
        page = Visitor().get(url)
        self.assertEqual((403, ["state"]), (page.status, page.texts(DETAIL)))
        self.assertEqual(self.demo.url + "/", self.visitor.get(url).url)
        self.assertEqual(self.demo.url + "/", self.visitor.get(url).url)
        self.assertEqual(403, self.visitor.get(
            self.demo.stand_in() + "/oauth/authenticate?oauth_token=none").status)

    def test_languages(self):
        self.sign_in()
        for code, words in (("de", u"Deine Timeline"), ("he", u"ציר הזמן שלך"),
                            ("ja", u"タイムライン")):
            page = self.visitor.post(self.demo.url + "/language", language=code)
            self.assertEqual([words], page.texts("<h1>(.*?)</h1>"))

    def test_the_stand_in_refuses_what_is_not_signed(self):
        for path in ("/2/users/me", "/2/users/10/timelines/reverse_chronological",
                     "/2/users/me?oauth_token=none&oauth_consumer_key=demo"):
            self.assertEqual(401, self.visitor.get(self.demo.stand_in() + path).status, path)


if __name__ == "__main__":
    unittest.main()
