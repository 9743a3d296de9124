# -*- coding: utf-8 -*-
"""Which locale serves a language tag (BCP 47; B310)."""
from __future__ import absolute_import, division, print_function

import sys

from friendserve import locale
from friendserve.web.page import accepted_languages
from tests.localecase import LocaleCase


class MatchTest(LocaleCase):
    def check(self, loaded, **expected):
        """Keywords: a tag, with "_" for "-", and the code of its locale."""
        self.assertEqual([], self.load(**dict.fromkeys(loaded.split(), u"a,b\n")))
        for tag, code in sorted(expected.items()):
            for asked in (tag, tag.replace("_", "-"), tag.lower(), tag.upper()):
                self.assertEqual(code, locale.get(asked).code, (loaded, asked))

    def test_b310_scripts(self):
        self.check("zh_Hans zh_Hant", zh_Hans="zh_Hans", zh_Hant="zh_Hant", zh="zh_Hans",
                   zh_TW="zh_Hant", zh_HK="zh_Hant", zh_Hant_HK="zh_Hant", zh_CN="zh_Hans",
                   zh_SG="zh_Hans", zh_Hans_TW="zh_Hans", cmn_Hant="zh_Hant", zh_cmn_TW="zh_Hant")

    def test_b310_regions_of_a_script(self):
        self.check("zh_CN zh_TW", zh_Hant="zh_TW", zh_Hans="zh_CN", zh_HK="zh_TW", zh_SG="zh_CN",
                   zh_Hant_TW="zh_TW", zh_Hans_CN="zh_CN", zh="zh_CN")

    def test_b310_a_language_in_two_scripts(self):
        self.check("sr_Latn sr", sr="sr", sr_Latn="sr_Latn", sr_RS="sr", sr_Latn_RS="sr_Latn",
                   sr_ME="sr_Latn", sr_Cyrl="sr", sr_Cyrl_ME="sr")

    def test_b310_regions_by_number(self):
        self.check("es es_419", es="es", es_419="es_419", es_MX="es_419", es_ES="es")

    def test_b310_the_older_region(self):
        self.check("es_ES es_LA", es_419="es_LA", es_AR="es_LA", es_ES="es_ES")

    def test_b310_what_is_more_exact_comes_first(self):
        self.check("de de_AT de_1996 ca ca_ES_valencia", de_AT="de_AT", de_AT_1996="de_AT",
                   de_1996="de_1996", de_CH_1996="de", ca_ES_valencia="ca_ES_valencia",
                   ca_ES="ca", ca_valencia="ca")

    def test_b310_extensions_and_older_codes(self):
        self.check("de he nb", de_DE_u_co_phonebk="de", de_x_own="de", iw="he", no="nb",
                   nb_NO="nb")

    def test_b310_browsers_may_send_extensions(self):
        self.assertEqual(["de-Latn-DE-u-co-phonebk", "en"],
                         accepted_languages("en;q=0.5, de-Latn-DE-u-co-phonebk"))

    def test_b310_what_matches_nothing_is_the_default(self):
        self.check("pt_BR", pt="en_US", pt_PT="en_US", x_own="en_US", fr_Latn_FR="en_US")
        for code in ("a", "-", "de--AT", "1", "x" * 10000, u"\xe9", "de_" * 50):
            self.assertEqual("en_US", locale.get(code).code)

    def test_b310_names_directions_and_clocks(self):
        self.check("zh_Hans zh_Hant sr_Latn es_419 uz_Arab")
        self.assertEqual([u"中文(简体)", u"中文(繁體)", u"Srpski", u"Español"], [
            locale.get(code).name for code in ("zh_Hans", "zh_Hant", "sr_Latn", "es_419")])
        self.assertEqual([True, False], [
            locale.get(code).rtl for code in ("uz_Arab", "zh_Hans")])

    def test_b310_a_match_is_found_again_when_others_are_loaded(self):
        self.check("de", de_AT="de", fr_CA="en_US", pt="en_US", en_GB="en_US")
        self.check("de_AT fr pt_BR", de_AT="de_AT", fr_CA="fr", pt="en_US", en_GB="en_US")
        locale.set_default_locale("pt_BR")
        self.check("de_AT", pt="pt_BR", en_GB="pt_BR", de_AT="de_AT")
        locale.set_default_locale("en_US")
        self.assertEqual("en_US", locale.get("pt").code)

    def test_b310_matches_take_little_memory(self):
        for number in range(3000):
            locale.get("xx-%d" % number, "de" * 100 + str(number))
        self.assertLessEqual(len(locale._matches), 1000)
        self.assertLess(max(map(len, locale._matches)), 60)

    def test_b310_a_match_is_not_sought_twice(self):
        self.check("de_AT de fr", de_CH="de", fr_CA="fr", sv="en_US")
        calls = []

        def count(frame, event, argument):
            if event == "call":
                calls.append(frame.f_code.co_name)

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            locale.get("sv", "de-CH")
        finally:
            sys.setprofile(before)
        self.assertLess(len(calls), 8, calls)
