# coding: utf-8
"""The demo of Facebook's stream with the stand-in that it starts, run as users run it."""
from __future__ import absolute_import, division, print_function

import re
import unittest

from tests.signincase import FacebookDemo, Visitor

TEXTS = r'<p class="text"[^>]*>(.*?)</p>'


class FacebookDemoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = FacebookDemo()

    @classmethod
    def tearDownClass(cls):
        cls.demo.close()

    def setUp(self):
        self.visitor = Visitor()
        page = self.visitor.get(self.demo.url + "/")
        self.assertEqual(["/auth/facebook?next=%2F"], page.texts(r'class="primary" href="([^"]*)"'))
        self.dialog = self.visitor.get(self.demo.url + "/auth/facebook?next=%2F")

    def sign_in(self):
        return self.visitor.get(self.dialog.texts('id="allow" href="([^"]*)"')[0])

    def test_the_stream_is_read_and_written(self):
        page = self.sign_in()
        self.assertEqual((self.demo.url + "/", 4), (page.url, len(page.texts(TEXTS))))
        page = self.visitor.post(self.demo.url + "/", message=u"<b> & “quotes” é")
        self.assertEqual(u"<b> & “quotes” é", page.texts(TEXTS)[0])
        self.visitor.post(self.demo.url + "/signout")
        self.assertEqual([], self.visitor.get(self.demo.url + "/").texts(TEXTS))

    def test_b482_times_are_in_the_words_of_the_language(self):
        self.sign_in()
        for code, words in (("en_US", r"\d+ minutes ago"), ("de", r"vor \d+ Minuten"),
                            ("he", u"לפני \\d+ דקות"), ("ja", u"\\d+分前")):
            page = self.visitor.post(self.demo.url + "/language", language=code)
            times = page.texts("<time [^>]*>(.*?)</time>")
            self.assertTrue([one for one in times if re.match(words + "$", one)], times)

    def test_denied(self):
        page = self.visitor.get(self.dialog.texts('id="deny" href="([^"]*)"')[0])
        self.assertEqual((403, ["denied"]), (page.status, page.texts('data-reason="([^"]*)"')))

    def test_languages(self):
        self.sign_in()
        for code, words in (("de", u"Dein Stream"), ("he", u"הפיד שלך"),
                            ("ja", u"ストリーム")):
            page = self.visitor.post(self.demo.url + "/language", language=code)
            self.assertEqual([words], page.texts("<h1>(.*?)</h1>"))


if __name__ == "__main__":
    unittest.main()
