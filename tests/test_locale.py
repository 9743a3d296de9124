# -*- coding: utf-8 -*-
"""Locales: translation files, choosing the best match, and formatting dates, lists and numbers."""
from __future__ import absolute_import, division, print_function

import array
import codecs
import datetime
import os
import struct
import unittest

import six

from friendserve import locale
from friendserve.web import RequestHandler
from friendserve.web import page
from friendserve.web.page import accepted_languages
from tests.httpcase import LogCatcher
from tests.localecase import LocaleCase
from tests.webcase import WebCase

NOW = datetime.datetime(2026, 11, 26, 10, 30)


class FilesTest(LocaleCase):
    def test_texts_and_plurals(self):
        self.assertEqual([], self.load(
            de=u'"Sign out","Abmelden"\n"%(n)d friend","%(n)d Freund",singular\n'
               u'"%(n)d friends","%(n)d Freunde","plural"\n\n"quoted ""x""",„x“\n'))
        german = locale.get("de")
        self.assertEqual(u"Abmelden", german.translate("Sign out"))
        self.assertEqual(u"„x“", german.translate('quoted "x"'))
        for count, text in [(1, u"%(n)d Freund"), (0, u"%(n)d Freunde"), (2, u"%(n)d Freunde")]:
            self.assertEqual(text, german.translate("%(n)d friend", "%(n)d friends", count))
        self.assertEqual("Sign in", german.translate("Sign in"))
        self.assertEqual("b", german.translate("a", "b", 5))
        self.assertEqual(u"Abmelden", german.pgettext("menu", "Sign out"))
        with self.assertRaises(ValueError):
            german.translate("a", "b")

    def test_b233_marks_and_encodings(self):
        self.write("de.csv", codecs.BOM_UTF8 + u"a,ä\n".encode("utf-8"))
        self.write("fr.csv", u"a,é\n".encode("utf-16"))
        locale.load_translations(self.folder)
        self.assertEqual((u"ä", u"é"), (locale.get("de").translate("a"),
                                        locale.get("fr").translate("a")))
        self.write("de.csv", u"a,ö\n", "latin-1")
        self.write("fr.csv", u"a,ê\n", "latin-1")
        locale.load_translations(self.folder, "latin-1")
        self.assertEqual(u"ö", locale.get("de").translate("a"))

    def test_b233_what_makes_no_sense_is_logged_and_left_out(self):
        logged = self.load(de=u"only one cell\na,b,many\nx,y\n,\n,z\n", nothing=u"a,b\n",
                           fr=b"a,\xff\n")
        self.assertEqual(5, len(logged), logged)
        for text in ("row 1", "row 2", "named after a locale", "fr.csv"):
            self.assertTrue(any(text in line for line in logged), text)
        german = locale.get("de")
        self.assertEqual(("a", "y"), (german.translate("a"), german.translate("x")))
        self.assertEqual({"de", "en_US"}, locale.get_supported_locales())

    def test_b233_a_folder_that_is_missing(self):
        for load in (locale.load_translations,
                     lambda folder: locale.load_gettext_translations(folder, "app")):
            with self.assertRaises(EnvironmentError):
                load(os.path.join(self.folder, "missing"))

    def test_loading_again_forgets_what_was(self):
        self.load(de=u"a,b\n")
        german = locale.get("de")
        os.remove(os.path.join(self.folder, "de.csv"))
        self.load(fr=u"a,c\n")
        self.assertEqual({"fr", "en_US"}, locale.get_supported_locales())
        self.assertIsNot(german, locale.get("de"))


def make_mo(messages):
    """The bytes of a gettext catalogue (the format is described in the GNU gettext manual)."""
    pairs = sorted((key.encode("utf-8"), value.encode("utf-8")) for key, value in messages.items())
    ids, texts, offsets = b"", b"", []
    for key, value in pairs:
        offsets.append((len(ids), len(key), len(texts), len(value)))
        ids += key + b"\0"
        texts += value + b"\0"
    start = 7 * 4 + 16 * len(pairs)
    keys, values = [], []
    for id_at, id_size, text_at, text_size in offsets:
        keys += [id_size, start + id_at]
        values += [text_size, start + len(ids) + text_at]
    head = struct.pack("Iiiiiii", 0x950412de, 0, len(pairs), 7 * 4, 7 * 4 + 8 * len(pairs), 0, 0)
    table = array.array(str("i"), keys + values)
    return head + (table.tostring() if six.PY2 else table.tobytes()) + ids + texts


class GettextTest(LocaleCase):
    def setUp(self):
        super(GettextTest, self).setUp()
        self.write("pl/LC_MESSAGES/app.mo", make_mo({
            u"": u"Content-Type: text/plain; charset=UTF-8\n"
                 u"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && "
                 u"(n%100<10 || n%100>=20) ? 1 : 2);\n",
            u"Open": u"Otwórz", u"state\x04Open": u"Otwarte",
            u"%d file\0%d files": u"%d plik\0%d pliki\0%d plików",
            u"box\x04%d file\0box\x04%d files": u"%d akta\0%d akty\0%d akt"}))
        self.write("broken/LC_MESSAGES/app.mo", b"x")
        self.write("de/LC_MESSAGES/other.mo", b"x")
        self.write("readme.txt", b"x")
        with LogCatcher() as self.records:
            locale.load_gettext_translations(self.folder, "app")

    def test_texts_plurals_and_contexts(self):
        polish = locale.get("pl")
        self.assertEqual(u"Otwórz", polish.translate("Open"))
        self.assertEqual([u"%d plików", u"%d plik", u"%d pliki", u"%d plików", u"%d pliki"], [
            polish.translate("%d file", "%d files", count) for count in (0, 1, 2, 5, 22)])
        self.assertEqual(u"Otwarte", polish.pgettext("state", "Open"))
        self.assertEqual(u"Otwórz", polish.pgettext("button", "Open"))
        self.assertEqual(u"%d akt", polish.pgettext("box", "%d file", "%d files", 5))
        self.assertEqual(u"%d plików", polish.pgettext("x", "%d file", "%d files", 5))
        self.assertEqual("x", polish.pgettext("y", "x"))
        for ask in (lambda: polish.translate("a", "b"), lambda: polish.pgettext("c", "a", "b")):
            with self.assertRaises(ValueError):
                ask()

    def test_b233_a_damaged_file(self):
        self.assertIn("broken", self.records[0].getMessage())
        self.assertEqual({"pl", "en_US"}, locale.get_supported_locales())


class ClosestTest(LocaleCase):
    def setUp(self):
        super(ClosestTest, self).setUp()
        self.load(de=u"a,b\n", de_AT=u"a,c\n", pt_BR=u"a,d\n", zh_TW=u"a,e\n")

    def test_closest(self):
        for codes, code in [
                (["de_AT"], "de_AT"), (["DE-at"], "de_AT"), (["de_CH"], "de"), (["de"], "de"),
                (["en-GB", "de"], "en_US"), (["en", "de"], "en_US"), (["fr", "en", "de"], "en_US"),
                (["fr", "pt-br"], "pt_BR"), (["zh-Hant-TW"], "zh_TW"), (["pt"], "en_US"),
                ([], "en_US"), ([None, "", "x_y_z_w", "de"], "de"), (["../etc"], "en_US")]:
            self.assertEqual(code, locale.get(*codes).code, codes)

    def test_default(self):
        locale.set_default_locale("de_AT")
        self.assertEqual("de_AT", locale.get("fr").code)
        locale.set_default_locale("sv")
        self.assertEqual("sv", locale.get("fr").code)
        self.assertEqual("x", locale.get().translate("x"))
        self.assertIn("sv", locale.get_supported_locales())

    def test_a_code_that_is_not_supported(self):
        with self.assertRaises(ValueError):
            locale.Locale.get("fr")

    def test_names_and_directions(self):
        self.load(he=u"a,b\n", ar_AR=u"a,b\n", pt=u"a,b\n", xx=u"a,b\n")
        self.assertEqual([u"Deutsch", u"עברית", u"Português (Brasil)", u"Português", u"Unknown"], [
            locale.get(code).name for code in ("de", "he", "pt_BR", "pt", "xx")])
        self.assertEqual([True, True, False], [
            locale.get(code).rtl for code in ("he", "ar_AR", "de")])


class SayingsTest(LocaleCase):
    def say(self, *age, **options):
        """The English text for a moment `age` (arguments of timedelta) ago."""
        return locale.get("en_US").format_date(
            NOW - datetime.timedelta(*age), now=NOW, **options)

    def test_ages(self):
        for seconds, text in [(0, "just now"), (1, "1 second ago"), (49, "49 seconds ago"),
                              (60, "1 minute ago"), (150, "3 minutes ago"),
                              (49 * 60, "49 minutes ago"), (50 * 60, "1 hour ago"),
                              (3 * 3600, "3 hours ago"), (86399, "24 hours ago")]:
            self.assertEqual(text, self.say(0, seconds))

    def test_just_now_only_where_it_is_translated(self):
        self.load(de=u'"just now","gerade eben"\n', fr=u'"a","b"\n')
        self.assertEqual(u"gerade eben", locale.get("de").format_date(NOW, now=NOW))
        self.assertEqual(u"0 seconds ago", locale.get("fr").format_date(NOW, now=NOW))

    def test_b233_near_a_day(self):
        self.assertEqual("24 hours ago", self.say(0, 86399))
        self.assertEqual("yesterday at 10:30 am", self.say(1))
        self.assertEqual("yesterday at 12:00 am", self.say(1, 10.5 * 3600))
        self.assertEqual("Tuesday at 11:59 pm", self.say(1, 10.5 * 3600 + 1))

    def test_dates(self):
        for days, text, shorter in [
                (2, "Tuesday at 10:30 am", "Tuesday"),
                (4, "Sunday at 10:30 am", "Sunday"),
                (5, "November 21 at 10:30 am", "November 21"),
                (333, "December 28 at 10:30 am", "December 28"),
                (334, "December 27, 2025 at 10:30 am", "December 27, 2025")]:
            self.assertEqual(text, self.say(days))
            self.assertEqual(shorter, self.say(days, shorter=True))
        self.assertEqual("yesterday", self.say(1, shorter=True))

    def test_not_relative_and_full(self):
        self.assertEqual("10:29 am", self.say(0, 60, relative=False))
        self.assertEqual("Wednesday at 10:30 am", self.say(1, relative=False))
        self.assertEqual("November 26, 2026 at 10:29 am", self.say(0, 60, full_format=True))
        self.assertEqual("November 26, 2026", self.say(0, 60, full_format=True, shorter=True))

    def test_b233_the_future(self):
        self.assertEqual("just now", self.say(0, -59))
        self.assertEqual("November 26, 2026 at 10:31 am", self.say(0, -60))
        self.assertEqual("November 26, 2026 at 10:30 am", self.say(0, -59, relative=False))

    def test_zones_and_other_kinds_of_moments(self):
        english = locale.get("en_US")
        self.assertEqual("November 26, 2026 at 5:30 am",
                         self.say(0, gmt_offset=300, full_format=True))
        self.assertEqual("January 1, 1970 at 12:00 am", english.format_date(0))
        self.assertEqual("just now", english.format_date(
            locale._utc_now() + datetime.timedelta(seconds=5)))
        if not six.PY2:
            zone = datetime.timezone(datetime.timedelta(hours=2))
            self.assertEqual("1 minute ago", english.format_date(
                datetime.datetime(2026, 11, 26, 12, 29, tzinfo=zone), now=NOW))

    def test_days(self):
        english = locale.get("en_US")
        self.assertEqual("Thursday, November 26", english.format_day(NOW))
        self.assertEqual("November 26", english.format_day(NOW, dow=False))
        self.assertEqual("Wednesday, November 25", english.format_day(NOW, gmt_offset=700))

    def test_clocks(self):
        self.load(de=u'"%(month_name)s %(day)s, %(year)s at %(time)s",'
                     u'"%(day)s. %(month_name)s %(year)s um %(time)s Uhr"\n', zh_CN=u"x,y\n")
        moment = datetime.datetime(2026, 11, 26, 15, 5)
        for code, text in [("de", u"26. November 2026 um 15:05 Uhr"),
                           ("zh_CN", u"November 26, 2026 at 下午3:05")]:
            self.assertEqual(text, locale.get(code).format_date(moment, full_format=True))

    def test_lists(self):
        self.load(de=u'%(commas)s and %(last)s,%(commas)s und %(last)s\n', ja=u"x,y\n",
                  ar=u'%(commas)s and %(last)s,%(commas)s و%(last)s\n', fa=u"x,y\n")
        for code, parts, text in [
                ("en_US", [], ""), ("en_US", ["a"], "a"), ("en_US", ["a", "b"], "a and b"),
                ("de", ["a", "b", u"ä"], u"a, b und ä"), ("ja", ["a", "b"], u"a、b"),
                ("ar", ["a", "b", "c"], u"a، b وc"), ("fa", ["a", "b", "c"], u"a و b and c")]:
            self.assertEqual(text, locale.get(code).list(parts))

    def test_numbers(self):
        self.load(de=u"x,y\n", fr=u"x,y\n", ar=u"x,y\n", xx=u"x,y\n")
        for code, text in [("en_US", u"1,234,567"), ("de", u"1.234.567"),
                           ("fr", u"1\xa0234\xa0567"), ("ar", u"1٬234٬567"), ("xx", u"1234567")]:
            self.assertEqual(text, locale.get(code).friendly_number(1234567))
        self.assertEqual(u"999", locale.get("en_US").friendly_number(999))
        self.assertEqual(u"-1,000", locale.get("en_US").friendly_number(-1000))


class AcceptLanguageTest(unittest.TestCase):
    def test_headers(self):
        for header, codes in [
                ("de", ["de"]), ("de-AT, en;q=0.5, fr;q=0.7", ["de-AT", "fr", "en"]),
                ("en;q=0.1,de;q=0.1", ["en", "de"]), ("", []), ("*", []), ("de;q=0", []),
                ("de;q=x, fr;q=2, en", ["en"]), ("de;q=0.5;x, en", ["en"]),
                (" zh-Hant-TW ; q=0.9 ", ["zh-Hant-TW"]), (u"\xe9,de", ["de"]), (",,;,=", []),
                (",".join(["aa"] * 10000), ["aa"] * 20)]:
            # The second time it is remembered, and shared with nothing.
            for _ in range(2):
                self.assertEqual(codes, accepted_languages(header))
                accepted_languages(header).append("changed")

    def test_b423_the_headers_that_are_remembered_are_few_and_short(self):
        for number in range(2 * page._MAX_HEADERS):
            accepted_languages("de;q=0.%d" % number)
            self.assertLessEqual(len(page._languages), page._MAX_HEADERS)
        self.assertIn("de;q=0.%d" % number, page._languages)
        accepted_languages("x" * (page._MAX_HEADER + 1))
        self.assertTrue(all(len(header) <= page._MAX_HEADER for header in page._languages))


class HandlerTest(LocaleCase, WebCase):
    def setUp(self):
        WebCase.setUp(self)
        LocaleCase.setUp(self)
        self.load(de=u"Hello,Hallo\n", fr=u"Hello,Bonjour\n")

    def serve_languages(self):
        asked = self.asked = []

        class Hello(RequestHandler):
            def get_user_locale(self):
                asked.append(self.request.uri)
                return locale.get(self.get_argument("user")) if self.get_argument(
                    "user", None) else None

            def get(self):
                if self.get_argument("set", None):
                    self.locale = locale.get("fr")
                self.write(self.locale.translate("Hello") + " " + self.locale.code)

        self.serve_app([("/", Hello)])

    def test_the_browser_and_the_user(self):
        self.serve_languages()
        for path, header, body in [
                ("/", "de-CH,de;q=0.9", b"Hallo de"), ("/", "ja,fr;q=0.5", b"Bonjour fr"),
                ("/", "ja", b"Hello en_US"), ("/", "%%%", b"Hello en_US"),
                ("/?user=fr", "de", b"Bonjour fr"), ("/?set=1", "de", b"Bonjour fr")]:
            self.assertEqual(body, self.ask(path, headers=[("Accept-Language", header)]).body)
        self.assertEqual(b"Hello en_US", self.ask("/").body)

    def test_b161_is_asked_once_and_not_in_the_constructor(self):
        self.serve_languages()
        self.ask("/?a")
        self.ask("/?set=1")
        self.assertEqual(["/?a"], self.asked)

    def test_templates_have_it(self):
        self.write("page.html", u"{{ _('Hello') }} {{ locale.code }} {{ pgettext('x', 'Hello') }}")
        templates = self.folder

        class Page(RequestHandler):
            def get(self):
                self.render("page.html")

        self.serve_app([("/", Page)], template_path=templates)
        self.assertEqual(b"Hallo de Hallo",
                         self.ask(headers=[("Accept-Language", "de")]).body)
