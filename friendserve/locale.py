# -*- coding: utf-8 -*-
"""Texts, dates, lists and numbers in the language of the reader.

    from friendserve import locale

    locale.load_translations("translations")        # es_LA.csv, de.csv ...
    spanish = locale.get("es_LA", "es")
    print(spanish.translate("Sign out"))
    print(spanish.translate("A person liked this", "%(num)d people liked this", 5) % {"num": 5})

A translation file is CSV: the text, its translation, and "singular" or "plural" if there are both
forms. Languages with more than two forms, and texts whose meaning depends on their context
(`pgettext`), need gettext: `load_gettext_translations` reads the files that `msgfmt` makes.

The texts of this module itself (dates, "and") are translated by the same files as all others: each
is in one of the calls of `translate` below.
"""
from __future__ import absolute_import, division, print_function

import codecs
import csv
import datetime
import gettext
import io
import os
import re
from time import time

import six

from friendserve.escape import to_unicode
from friendserve.log import gen_log
from friendserve.util import remember

__all__ = ["CONTEXT_SEPARATOR", "CSVLocale", "GettextLocale", "LOCALE_NAMES", "Locale", "get",
           "get_supported_locales", "load_gettext_translations", "load_translations",
           "set_default_locale"]

#: Separates a context from its message in a gettext catalogue.
CONTEXT_SEPARATOR = "\x04"

# Code, English name, native name.
_NAMES = u"""
af_ZA|Afrikaans|Afrikaans
am_ET|Amharic|አማርኛ
ar_AR|Arabic|العربية
az_AZ|Azerbaijani|Azərbaycan
be_BY|Belarusian|Беларуская
bg_BG|Bulgarian|Български
bn_IN|Bengali|বাংলা
bs_BA|Bosnian|Bosanski
ca_ES|Catalan|Català
cs_CZ|Czech|Čeština
cy_GB|Welsh|Cymraeg
da_DK|Danish|Dansk
de_DE|German|Deutsch
el_GR|Greek|Ελληνικά
en_GB|English (UK)|English (UK)
en_US|English (US)|English (US)
eo_EO|Esperanto|Esperanto
es_ES|Spanish (Spain)|Español (España)
es_LA|Spanish|Español
et_EE|Estonian|Eesti
eu_ES|Basque|Euskara
fa_IR|Persian|فارسی
fi_FI|Finnish|Suomi
fr_CA|French (Canada)|Français (Canada)
fr_FR|French|Français
ga_IE|Irish|Gaeilge
gl_ES|Galician|Galego
gu_IN|Gujarati|ગુજરાતી
he_IL|Hebrew|עברית
hi_IN|Hindi|हिन्दी
hr_HR|Croatian|Hrvatski
hu_HU|Hungarian|Magyar
hy_AM|Armenian|Հայերեն
id_ID|Indonesian|Bahasa Indonesia
is_IS|Icelandic|Íslenska
it_IT|Italian|Italiano
ja_JP|Japanese|日本語
ka_GE|Georgian|ქართული
kk_KZ|Kazakh|Қазақша
km_KH|Khmer|ខ្មែរ
ko_KR|Korean|한국어
lt_LT|Lithuanian|Lietuvių
lv_LV|Latvian|Latviešu
mk_MK|Macedonian|Македонски
ml_IN|Malayalam|മലയാളം
mn_MN|Mongolian|Монгол
mr_IN|Marathi|मराठी
ms_MY|Malay|Bahasa Melayu
my_MM|Burmese|မြန်မာဘာသာ
nb_NO|Norwegian (bokmal)|Norsk (bokmål)
ne_NP|Nepali|नेपाली
nl_NL|Dutch|Nederlands
nn_NO|Norwegian (nynorsk)|Norsk (nynorsk)
pa_IN|Punjabi|ਪੰਜਾਬੀ
pl_PL|Polish|Polski
ps_AF|Pashto|پښتو
pt_BR|Portuguese (Brazil)|Português (Brasil)
pt_PT|Portuguese (Portugal)|Português (Portugal)
ro_RO|Romanian|Română
ru_RU|Russian|Русский
si_LK|Sinhala|සිංහල
sk_SK|Slovak|Slovenčina
sl_SI|Slovenian|Slovenščina
sq_AL|Albanian|Shqip
sr_Latn|Serbian (Latin)|Srpski
sr_RS|Serbian|Српски
sv_SE|Swedish|Svenska
sw_KE|Swahili|Kiswahili
ta_IN|Tamil|தமிழ்
te_IN|Telugu|తెలుగు
th_TH|Thai|ภาษาไทย
tl_PH|Filipino|Filipino
tr_TR|Turkish|Türkçe
uk_UA|Ukrainian|Українська
ur_PK|Urdu|اردو
uz_UZ|Uzbek|Oʻzbekcha
vi_VN|Vietnamese|Tiếng Việt
zh_CN|Chinese (Simplified)|中文(简体)
zh_TW|Chinese (Traditional)|中文(繁體)
"""

#: {code: {"name_en": English name, "name": native name}}
LOCALE_NAMES = dict((str(_code), {"name_en": _english, "name": _own}) for _code, _english, _own in
                    (_line.split(u"|") for _line in _NAMES.split(u"\n") if _line))

#: Languages that are written from right to left.
_RIGHT_TO_LEFT = frozenset(("ar", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"))

#: Locales that get a twelve-hour clock; in Tornado 1.0 all English ones did.
_TWELVE_HOURS = frozenset(("en", "en_US"))

#: The separator between groups of three digits, by locale or language.
_GROUPING = dict((_code, _mark) for _mark, _codes in {
    u",": "en ja ko zh th he hi ta te ml mr gu pa bn ne",
    u".": "de nl da es it pt_BR id tr el ro sl hr bs sr mk vi is gl ca eu",
    u"\u00a0": "fr ru uk be bg cs sk pl pt hu fi sv nb nn et lt lv hy ka kk uz sq eo af az",
    u"\u066c": "ar fa ur ps"}.items() for _code in _codes.split())

#: Scripts that are written from right to left, where a code names its script.
_RIGHT_TO_LEFT_SCRIPTS = frozenset(("Adlm", "Arab", "Hebr", "Nkoo", "Syrc", "Thaa"))

#: Codes that are treated as an older one for their name and clock.
_SAME_AS = {"zh_Hans": "zh_CN", "zh_Hant": "zh_TW", "es_419": "es_LA"}

# A language tag (RFC 5646 2.1): language, script, region, variants. Extended languages are skipped,
# and extensions ignored.
_CODE = re.compile(
    r"([a-z]{2,3})(?:_[a-z]{3}){0,3}(?:_([a-z]{4}))?(?:_([a-z]{2}|[0-9]{3}))?"
    r"((?:_(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)(?:_[a-z0-9]_[a-z0-9_]+)?\Z", re.IGNORECASE)

#: Older and narrower codes of languages, and what they are called here.
_LANGUAGES = {"iw": "he", "in": "id", "ji": "yi", "cmn": "zh", "fil": "tl", "no": "nb"}

#: Languages with several scripts: for each, the regions that use it. The first script is that
#: of all other regions, and of the language alone (CLDR, likely subtags).
_SCRIPTS = {
    "az": (("latn", "az"), ("arab", "ir")),
    "bs": (("latn", "ba"), ("cyrl", "")),
    "kk": (("cyrl", "kz"), ("arab", "cn")),
    "mn": (("cyrl", "mn"), ("mong", "cn")),
    "pa": (("guru", "in"), ("arab", "pk")),
    "sr": (("cyrl", "rs ba"), ("latn", "me")),
    "uz": (("latn", "uz"), ("arab", "af")),
    "zh": (("hans", "cn sg my"), ("hant", "tw hk mo")),
}

#: Regions of several countries (UN M.49), and the older "LA" for Latin America.
_REGIONS = dict((_country, ("419", "la")) for _country in
                "ar bo br cl co cr cu do ec gt hn mx ni pa pe pr py sv uy ve us 419".split())

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_default = "en_US"
_files = []             # those that were loaded
_translations = {}      # code -> the argument `translations` of its Locale
_use_gettext = False    # whether these are Locales of gettext
_supported_locales = frozenset((_default,))     # the codes in `_translations`, and the default
_locales = {}           # code -> its Locale
# code -> the supported one that `get` chooses for it, or "". Replaced when these change, so that
# another thread does not add what it found among the old ones.
_matches = {}


def get(*locale_codes):
    """The best match: the Locale of the first code that is supported, with or without its country;
    otherwise the default. None among the codes is skipped.

    A code is a language tag (BCP 47) with "_" or "-". What is not supported as it is falls back: to
    the wider region (es-MX, es_419), to the script (zh-TW, zh_Hant) and the regions that use it
    (zh-Hant, zh_TW), to the language."""
    return Locale.get_closest(*locale_codes)


def set_default_locale(code):
    """Set the language in which the texts of the program are written (default "en_US")."""
    global _default, _supported_locales, _matches
    _default = code
    _supported_locales = frozenset(_translations) | frozenset((code,))
    _locales.clear()
    _matches = {}


def get_supported_locales(cls=None):
    """The codes that have translations, and the default."""
    return _supported_locales


def load_translations(directory, encoding=None):
    """Load every CSV file of a folder; ``de_AT.csv`` holds the translations for de_AT.

    With `encoding` None, a file is UTF-16 if it begins with its byte order mark, else UTF-8.
    Invalid files and rows are logged and skipped; a folder that cannot be read raises OSError.
    Replaces all translations loaded before.
    """
    loaded, files = {}, []
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".csv"):
            continue
        path = os.path.join(directory, name)
        code = str(name[:-len(".csv")].replace("-", "_"))
        if not _CODE.match(code):
            gen_log.error("%s is not named after a locale, such as de.csv or de_AT.csv", path)
            continue
        try:
            files.append(path)
            loaded[code] = _read_csv(path, encoding)
        except (UnicodeError, csv.Error, EnvironmentError) as error:
            gen_log.error("Cannot read the translations in %s: %s", path, error)
    _use(loaded, files, is_gettext=False)


def load_gettext_translations(directory, domain):
    """Load the gettext catalogues ``<directory>/<code>/LC_MESSAGES/<domain>.mo``.

    Catalogues that cannot be read are logged and skipped. Replaces all translations loaded before.
    """
    loaded, files = {}, []
    for code in sorted(os.listdir(directory)):
        if code.startswith(".") or os.path.isfile(os.path.join(directory, code)):
            continue
        path = os.path.join(directory, code, "LC_MESSAGES", domain + ".mo")
        if not os.path.exists(path):
            continue
        files.append(path)
        try:
            with open(path, "rb") as source:
                loaded[code] = gettext.GNUTranslations(source)
        except Exception as error:  # for a damaged file, the module raises errors of many types
            gen_log.error("Cannot read the translations in %s: %s", path, error)
    _use(loaded, files, is_gettext=True)


def loaded_files():
    """The paths of the files that the translations were read from, a list."""
    return list(_files)


def _use(loaded, files, is_gettext):
    global _translations, _use_gettext, _supported_locales, _matches
    _translations, _use_gettext = loaded, is_gettext
    _files[:] = [os.path.abspath(path) for path in files]
    _supported_locales = frozenset(loaded) | frozenset((_default,))
    _locales.clear()
    _matches = {}
    gen_log.debug("Supported locales: %s", sorted(get_supported_locales()))


def _read_csv(path, encoding):
    with open(path, "rb") as source:
        data = source.read()
    if encoding is None:
        marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if marked else "utf-8-sig"
    text = data.decode(encoding)
    if six.PY2:  # version: py2
        rows = csv.reader(io.BytesIO(text.encode("utf-8")))
    else:
        rows = csv.reader(io.StringIO(text, newline=""))
    forms = {"singular": {}, "plural": {}, "unknown": {}}
    for number, row in enumerate(rows, 1):
        row = [to_unicode(cell).strip() for cell in row]
        if len(row) < 2 or not row[0]:
            if any(row):
                gen_log.error("%s, row %d has no translation: %r", path, number, row)
            continue
        form = row[2] if len(row) > 2 and row[2] else "unknown"
        if form not in forms:
            gen_log.error("%s, row %d: the third cell must be singular or plural, not %r",
                          path, number, form)
            continue
        forms[form][row[0]] = row[1]
    return forms


class Locale(object):
    """A language, possibly as used in one country.

    `code` is "de" or "de_AT", for example, `name` the native name, and `rtl` whether the language
    is written from right to left.
    """

    @classmethod
    def get_closest(cls, *locale_codes):
        """The same as the function `get`."""
        matches = _matches
        for code in locale_codes:
            if not code:
                continue
            match = matches.get(code)
            if match is None:
                match = _find_match(code)
                if len(code) <= _MAX_TAG_LENGTH:
                    remember(matches, 1000, code, match)
            if match:
                return cls.get(match)
        return cls.get(_default)

    @classmethod
    def get(cls, code):
        """The Locale of a supported code. Raises ValueError for any other."""
        locale = _locales.get(code)
        if locale is None:
            if code not in get_supported_locales():
                raise ValueError("no translations for %r are loaded" % (code,))
            if code in _translations:
                locale = (GettextLocale if _use_gettext else CSVLocale)(code, _translations[code])
            else:
                locale = CSVLocale(code, {})
            _locales[code] = locale
        return locale

    def __init__(self, code, translations):
        self.code = code
        names = LOCALE_NAMES.get(_SAME_AS.get(code, code), {})
        self.name = names.get("name") or self._name_of_language()
        script = (_tag(code) or ("", None))[1]
        self.rtl = self.language in _RIGHT_TO_LEFT if script is None else \
            script.title() in _RIGHT_TO_LEFT_SCRIPTS
        self.translations = translations

    @property
    def language(self):
        """The code without its country."""
        return self.code.partition("_")[0]

    def _name_of_language(self):
        names = sorted((code, names["name"]) for code, names in LOCALE_NAMES.items()
                       if code.partition("_")[0] == self.language)
        # Without the country, as in "Português (Portugal)".
        return names[-1][1].partition(u" (")[0] if names else u"Unknown"

    def translate(self, message, plural_message=None, count=None):
        """The text in this language, or unchanged if it has no translation; with `plural_message`,
        the form for `count`."""
        raise NotImplementedError()

    def pgettext(self, context, message, plural_message=None, count=None):
        """As `translate`, for a text whose meaning depends on `context`."""
        raise NotImplementedError()

    # Dates, lists and numbers

    def format_date(self, date, gmt_offset=0, relative=True, shorter=False, full_format=False,
                    now=None):
        """A moment in everyday words: "2 minutes ago", "yesterday at 5:30 pm", "July 10, 2009".

        `date` is a datetime (UTC if it is naive) or seconds since 1970, and `gmt_offset` how many
        minutes the reader's clock is behind UTC. `relative` False gives only times of day and
        dates, `shorter` omits the time if there is a date, `full_format` gives date and time in
        full. A moment in the future is given in full, unless it is less than a minute away, which
        may be a difference between clocks. `now` is a datetime, by default the current time.
        """
        date = _to_utc(date)
        now = _to_utc(now) if now is not None else _utc_now()
        if date > now:
            if relative and date - now < datetime.timedelta(seconds=60):
                date = now
            else:
                full_format = True
        offset = datetime.timedelta(minutes=gmt_offset)
        local, today = date - offset, (now - offset).date()
        if not full_format:
            age = now - date
            if relative and age < datetime.timedelta(days=1):
                return self._format_age(age.seconds)
            short = self._format_recent(local, today, age, relative, shorter)
            if short is not None:
                return short
        form = self.translate("%(month_name)s %(day)s, %(year)s") if shorter else \
            self.translate("%(month_name)s %(day)s, %(year)s at %(time)s")
        return form % self._parts(local)

    def _format_age(self, seconds):
        if seconds == 0:
            now = self.translate("just now")
            # Translations made for Tornado do not have it.
            if now != "just now" or self.language == "en":
                return now
        if seconds < 50:
            return self.translate("1 second ago", "%(seconds)d seconds ago", seconds) % {
                "seconds": seconds}
        if seconds < 50 * 60:
            minutes = (seconds + 30) // 60
            return self.translate("1 minute ago", "%(minutes)d minutes ago", minutes) % {
                "minutes": minutes}
        hours = (seconds + 1800) // 3600
        return self.translate("1 hour ago", "%(hours)d hours ago", hours) % {"hours": hours}

    def _format_recent(self, local, today, age, relative, shorter):
        """A recent moment, in words without a year; None if it needs one."""
        days = (today - local.date()).days
        form = None
        if days == 0:
            form = "%(time)s"
        elif days == 1 and relative:
            form = self.translate("yesterday") if shorter else \
                self.translate("yesterday at %(time)s")
        elif age.days < 5:
            form = self.translate("%(weekday)s") if shorter else \
                self.translate("%(weekday)s at %(time)s")
        elif age.days < 334:    # eleven months, so that a month is never that of last year
            form = self.translate("%(month_name)s %(day)s") if shorter else \
                self.translate("%(month_name)s %(day)s at %(time)s")
        return None if form is None else form % self._parts(local)

    def _parts(self, local):
        return {"month_name": self.translate(_MONTHS[local.month - 1]),
                "weekday": self.translate(_WEEKDAYS[local.weekday()]),
                "day": str(local.day), "year": str(local.year), "time": self._format_time(local)}

    def _format_time(self, local):
        if self.code in _TWELVE_HOURS:
            return u"%d:%02d %s" % (local.hour % 12 or 12, local.minute,
                                    "am" if local.hour < 12 else "pm")
        if _SAME_AS.get(self.code, self.code) == "zh_CN":
            return u"%s%d:%02d" % (u"上午" if local.hour < 12 else u"下午",
                                   local.hour % 12 or 12, local.minute)
        return u"%d:%02d" % (local.hour, local.minute)

    def format_day(self, date, gmt_offset=0, dow=True):
        """A day as "Monday, January 22", or without `dow` (day of the week), "January 22"."""
        form = self.translate("%(weekday)s, %(month_name)s %(day)s") if dow else \
            self.translate("%(month_name)s %(day)s")
        return form % self._parts(_to_utc(date) - datetime.timedelta(minutes=gmt_offset))

    def list(self, parts):
        """The texts as an enumeration: "A, B and C"."""
        parts = [to_unicode(part) for part in parts]
        if len(parts) < 2:
            return u"".join(parts)
        if self.language in ("ja", "zh"):
            return u"\u3001".join(parts)
        comma = u" \u0648 " if self.language == "fa" else \
            u"\u060c " if self.language in ("ar", "ur") else u", "
        return self.translate("%(commas)s and %(last)s") % {
            "commas": comma.join(parts[:-1]), "last": parts[-1]}

    def friendly_number(self, value):
        """An integer with its digits in groups of three: "1,234,567"."""
        mark = _GROUPING.get(self.code) or _GROUPING.get(self.language, u"")
        return u"{0:,d}".format(value).replace(u",", mark)


class CSVLocale(Locale):
    """A Locale with translations from a CSV file."""

    def translate(self, message, plural_message=None, count=None):
        form = "unknown"
        if plural_message is not None:
            if count is None:
                raise ValueError("plural_message needs a count")
            if count != 1:
                message, form = plural_message, "plural"
            else:
                form = "singular"
        table = self.translations.get(form, {})
        if form != "unknown" and message not in table:
            table = self.translations.get("unknown", {})
        return table.get(to_unicode(message), message)

    def pgettext(self, context, message, plural_message=None, count=None):
        """The same as `translate`: CSV files have no contexts."""
        return self.translate(message, plural_message, count)


class GettextLocale(Locale):
    """A Locale with translations from a gettext catalogue."""

    def __init__(self, code, translations):
        # On Python 2, the methods without "u" return bytes.
        self.ngettext = getattr(translations, "ungettext", None) or translations.ngettext
        self.gettext = getattr(translations, "ugettext", None) or translations.gettext
        super(GettextLocale, self).__init__(code, translations)

    def translate(self, message, plural_message=None, count=None):
        if plural_message is None:
            return self.gettext(message)
        if count is None:
            raise ValueError("plural_message needs a count")
        return self.ngettext(message, plural_message, count)

    def pgettext(self, context, message, plural_message=None, count=None):
        prefix = context + CONTEXT_SEPARATOR
        if plural_message is None:
            text = self.gettext(prefix + message)
        else:
            if count is None:
                raise ValueError("plural_message needs a count")
            text = self.ngettext(prefix + message, prefix + plural_message, count)
        # If there is no translation for this context, use the one without a context.
        return text if CONTEXT_SEPARATOR not in text else \
            self.translate(message, plural_message, count)


_tags = {}      # code -> its `_tag`
_MAX_TAG_LENGTH = 50


def _tag(code):
    """The (language, script, region, variants) of a code in lower case, None for what it lacks; or
    None if it is malformed."""
    if code in _tags:
        return _tags[code]
    # The modifiers are those of POSIX, in the names of gettext's folders.
    match = _CODE.match(code.lower().replace("-", "_").replace("@latin", "_latn").replace(
        "@cyrillic", "_cyrl")) if len(code) <= _MAX_TAG_LENGTH else None
    if match is None:
        return None
    language, script, region, variants = match.groups()
    language = _LANGUAGES.get(language, language)
    return remember(_tags, 1000, code, (language, script, region, variants))


def _find_match(code):
    """The supported code that serves a reader of `code` best, or "" if there is none."""
    supported = get_supported_locales()
    if code in supported:
        return code
    tag = _tag(code)
    if tag is None:
        return ""
    by_tag = dict((_tag(code), code) for code in sorted(supported, reverse=True))
    for candidate in _candidates(*tag):
        if candidate in by_tag:
            return by_tag[candidate]
    default = _tag(_default)
    # en_US for en or en_GB, rather than a code that is preferred less.
    return _default if default is not None and default[0] == tag[0] else ""


def _candidates(language, script, region, variants):
    """The tags that serve a reader of this one, the best first (RFC 4647 3.4, with scripts)."""
    found = []
    while variants:
        found.append((language, script, region, variants))
        variants = variants.rpartition("_")[0]
    scripts = _SCRIPTS.get(language, ())
    usual = next((name for name, regions in scripts if region in regions.split()),
                 scripts[0][0] if scripts else None)
    script = script or usual
    # A tag without a script means the usual one of its region.
    written = (script, None) if script == usual else (script,)
    for place in (region,) + _REGIONS.get(region, ()):
        if place is not None:
            found.extend((language, name, place, "") for name in written)
    if script is not None:
        found.append((language, script, None, ""))
        for place in dict(scripts).get(script, "").split():
            found.extend((language, name, place, "") for name in (script, None))
    return found + [(language, None, region, ""), (language, None, None, "")]


def _utc_now():
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=time())


def _to_utc(date):
    """A naive datetime in UTC."""
    if not isinstance(date, datetime.datetime):
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=date)
    if date.tzinfo is not None:
        date = (date - date.utcoffset()).replace(tzinfo=None)
    return date
