# -*- coding: utf-8 -*-
"""The responses for errors, unless the application has its own: a page for browsers, JSON for
programs that ask for it, and a short page for all others."""
from __future__ import absolute_import, division, print_function

import re
import traceback

from friendserve.escape import json_encode, to_unicode, xhtml_escape
from friendserve.web.debugpage import debug_page
from friendserve.web.page import accepted_languages

_HTML = "text/html; charset=UTF-8"
_JSON = "application/json; charset=UTF-8"
_TEXT = "text/plain; charset=UTF-8"

#: Statuses and what a reader can do, by language. 0 is for other errors of the client, 1 for other
#: errors of the server.
_ADVICE = {
    "en": {404: u"There is no page at this address.",
           403: u"You are not allowed to see this page.",
           405: u"This page cannot be used that way.",
           413: u"What you sent is too large.",
           429: u"Too many requests. Please wait a moment.",
           503: u"The server is busy or being updated. Please try again in a moment.",
           0: u"The server cannot answer this request.",
           1: u"Something went wrong on the server. The error was logged."},
    "de": {404: u"Unter dieser Adresse gibt es keine Seite.",
           403: u"Sie dürfen diese Seite nicht ansehen.",
           405: u"So lässt sich diese Seite nicht verwenden.",
           413: u"Die gesendeten Daten sind zu groß.",
           429: u"Zu viele Anfragen. Bitte warten Sie einen Moment.",
           503: u"Der Server ist ausgelastet oder wird aktualisiert. Bitte versuchen Sie es gleich "
                u"noch einmal.",
           0: u"Der Server kann diese Anfrage nicht beantworten.",
           1: u"Auf dem Server ist ein Fehler aufgetreten. Er wurde protokolliert."},
    "he": {404: u"אין דף בכתובת הזאת.",
           403: u"אין לך הרשאה לצפות בדף הזה.",
           405: u"אי אפשר להשתמש בדף הזה בדרך הזאת.",
           413: u"המידע שנשלח גדול מדי.",
           429: u"יותר מדי בקשות. נא להמתין רגע.",
           503: u"השרת עמוס או מתעדכן. נא לנסות שוב בעוד רגע.",
           0: u"השרת אינו יכול לענות על הבקשה הזאת.",
           1: u"משהו השתבש בשרת. התקלה תועדה."},
    "ja": {404: u"ページが見つかりません。",
           403: u"このページを表示する権限がありません。",
           405: u"このページではその操作はできません。",
           413: u"送信されたデータが大きすぎます。",
           429: u"リクエストが多すぎます。しばらくお待ちください。",
           503: u"サーバーが混み合っているか、更新中です。しばらくしてからもう一度お試しください。",
           0: u"サーバーはこのリクエストに応答できません。",
           1: u"サーバーで問題が発生しました。エラーは記録されました。"},
}

_PAGE = u"""<!DOCTYPE html>
<html lang="{lang}" dir="{dir}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>
:root{{--paper:#fff;--ink:#1c2330;--faint:#5b6574}}
@media(prefers-color-scheme:dark){{:root{{--paper:#12161d;--ink:#e6eaf1;--faint:#9aa6b8}}}}
body{{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);
color:var(--ink);font:17px/1.5 system-ui,sans-serif}}
main{{max-width:32rem;padding:1.5rem;overflow-wrap:anywhere}}
h1{{margin:0 0 .5rem;font-size:1.4rem;line-height:1.3}}
p{{margin:0;color:var(--faint)}}
</style></head><body><main><h1 dir="ltr" style="text-align:{align}">{title}</h1>
<p>{advice}</p></main></body></html>
"""


_WEIGHT = re.compile(r"(?:.*;)?\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*\Z")


def short_page(title):
    """The page for clients that do not say what they accept."""
    title = xhtml_escape(title)
    return "<html><head><title>%s</title></head><body>%s</body></html>" % (title, title)


def error_body(request, status, reason):
    """(Content-Type, body) for an error, as `request` accepts it."""
    title = "%d: %s" % (status, reason)
    wanted = _wanted(request)
    if wanted == _HTML:
        language = _choose(accepted_languages(request.headers.get("Accept-Language", "")))
        advice = _ADVICE[language]
        return _HTML, _PAGE.format(
            lang=language, dir="rtl" if language == "he" else "ltr",
            align="right" if language == "he" else "left",
            title=to_unicode(xhtml_escape(title)),
            advice=advice.get(status) or advice[0 if status < 500 else 1])
    if wanted == _JSON:
        return _JSON, json_encode({"status": status, "error": title})
    return _HTML, short_page(title)


def traceback_body(handler, status, reason, exc_info):
    """(Content-Type, body) for an exception in debug mode: the debug page for browsers, JSON for
    programs that ask for it, else text."""
    wanted = _wanted(handler.request)
    if wanted == _HTML:
        return _HTML, debug_page(*exc_info, request=handler.request, handler=handler)
    text = "".join(traceback.format_exception(*exc_info))
    if wanted == _JSON:
        return _JSON, json_encode({"status": status, "error": "%d: %s" % (status, reason),
                                   "traceback": text.splitlines()})
    return _TEXT, text


def _wanted(request):
    """_HTML or _JSON, whichever of the two `request` names with the higher weight; else None."""
    weights = {}
    for item in request.headers.get("Accept", "").split(","):
        kind, _, parameters = item.partition(";")
        kind = kind.strip().lower()
        if kind.endswith("+json"):
            kind = "application/json"
        match = _WEIGHT.match(parameters)
        weights[kind] = float(match.group(1)) if match is not None else 1.0
    html, json = weights.get("text/html", 0), weights.get("application/json", 0)
    if not html and not json:
        return None
    return _HTML if html >= json else _JSON


def _choose(languages):
    for code in languages:
        language = code.replace("-", "_").partition("_")[0].lower()
        language = "he" if language == "iw" else language
        if language in _ADVICE:
            return language
    return "en"
