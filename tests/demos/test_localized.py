# -*- coding: utf-8 -*-
"""The localized demo: languages, directions, plurals, and how a reader changes them."""
from __future__ import absolute_import, division, print_function

import csv
import io
import os
import re

from friendserve import locale
from tests import ROOT
from tests.demo_server import load_demo
from tests.localecase import LocaleCase
from tests.webcase import WebCase

FOLDER = os.path.join(ROOT, "demos", "localized")


class LocalizedTest(LocaleCase, WebCase):
    def setUp(self):
        WebCase.setUp(self)
        LocaleCase.setUp(self)
        self.demo = load_demo(os.path.join(FOLDER, "localized.py"))
        self.serve(self.demo.make_application())

    def page(self, path="/", language="", cookie=""):
        return self.ask(path, headers=[("Accept-Language", language), ("Cookie", cookie)])

    def test_languages_of_the_browser(self):
        for language, code, direction, text in [
                ("", "en-US", "ltr", u"3 guests are coming."),
                ("de-AT,en;q=0.5", "de", "ltr", u"3 Gäste kommen."),
                ("he", "he", "rtl", u"3 אורחים מגיעים."), ("ja", "ja", "ltr", u"3人が来ます。"),
                ("xx", "en-US", "ltr", u"3 guests are coming.")]:
            page = self.page(language=language).body.decode("utf-8")
            self.assertIn(u'<html lang="%s" dir="%s">' % (code, direction), page)
            self.assertIn(text, page)

    def test_plurals_lists_and_numbers(self):
        for count, text in [(0, u"0 Gäste kommen."), (1, u"1 Gast kommt."), (2, u"Ada und Noa")]:
            self.assertIn(text, self.page("/?guests=%d" % count, "de").body.decode("utf-8"))
        self.assertIn(u"1.234.567", self.page(language="de").body.decode("utf-8"))
        for wrong in ("5", "-1", "x"):
            self.assertEqual(400, self.page("/?guests=" + wrong).status)

    def test_the_reader_chooses(self):
        response = self.page()
        token = re.search(br'name="_xsrf" value="([^"]+)"', response.body).group(1).decode("ascii")
        cookie = self.cookies_of(response)["_xsrf"].partition(";")[0]

        def choose(language, back):
            return self.ask("/language", "POST", body={
                "language": language, "next": back, "_xsrf": token}, headers=[("Cookie", cookie)])

        response = choose("he", "/?guests=1")
        self.assertEqual((302, "/?guests=1"), (response.status, response.headers["Location"]))
        chosen = self.cookies_of(response)["language"].partition(";")[0]
        self.assertIn(u"אורח אחד מגיע.", self.page("/?guests=1", "de", chosen).body.decode("utf-8"))
        self.assertEqual("/", choose("de", "//evil.example").headers["Location"])
        self.assertEqual(400, choose("xx", "/").status)
        # An invalid cookie is ignored.
        self.assertIn(u"Gäste", self.page("/", "de", "language=../x").body.decode("utf-8"))

    def test_every_language_has_every_text(self):
        texts = {}
        for code in self.demo.LANGUAGES[1:]:
            path = os.path.join(FOLDER, "translations", code + ".csv")
            with io.open(path, encoding="utf-8") as source:
                rows = csv.reader([line.encode("utf-8") if str is bytes else line
                                   for line in source])
                texts[code] = set(row[0] for row in rows)
        self.assertEqual(texts["de"], texts["he"])
        # A Japanese list needs no "and".
        self.assertEqual(texts["de"] - texts["ja"], {"%(commas)s and %(last)s"})
        self.assertEqual({"en_US", "de", "he", "ja"}, locale.get_supported_locales())
