# coding: utf-8
"""The responses for errors, and JSON in the bodies of requests."""
from __future__ import absolute_import, division, print_function

import json

from friendserve.web import HTTPError, RequestHandler
from tests.webcase import HandlerCase

SHORT = (b"<html><head><title>404: Not Found</title></head><body>404: Not Found</body></html>")


class ErrorPageTest(HandlerCase):
    def ask_for(self, accept=None, language=None, status=404):
        def get(self):
            raise HTTPError(status)

        self.serve_handler(get)
        return self.ask(headers=[(name, value) for name, value in (
            ("Accept", accept), ("Accept-Language", language)) if value])

    def test_the_short_page_for_clients_that_do_not_say(self):
        for accept in (None, "*/*", "image/png", "text/html;q=0"):
            response = self.ask_for(accept)
            self.assertEqual((404, SHORT), (response.status, response.body), accept)

    def test_a_whole_page_for_browsers(self):
        response = self.ask_for("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        page = response.body.decode("utf-8")
        self.assertEqual("text/html; charset=UTF-8", response.headers["Content-Type"])
        self.assertTrue(page.startswith("<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\">"), page)
        for part in ("<title>404: Not Found</title>", "prefers-color-scheme:dark",
                     'name="viewport"', ">404: Not Found</h1>",
                     "There is no page at this address."):
            self.assertIn(part, page)

    def test_in_the_language_of_the_reader(self):
        for language, text in (("de-AT,en;q=0.5", u"Unter dieser Adresse gibt es keine Seite."),
                               ("fr, ja;q=0.7", u"ページが見つかりません。"),
                               ("iw", u"אין דף בכתובת הזאת."),
                               ("fr", u"There is no page at this address.")):
            page = self.ask_for("text/html", language).body.decode("utf-8")
            self.assertIn(text, page)
            self.assertIn(u">404: Not Found</h1>", page)
        self.assertIn(u'dir="rtl"', self.ask_for("text/html", "he").body.decode("utf-8"))

    def test_other_statuses_have_a_sentence_each_language(self):
        for language, client, server in (
                ("en", u"cannot answer this request", u"Something went wrong"),
                ("de", u"nicht beantworten", u"ein Fehler aufgetreten"),
                ("he", u"אינו יכול", u"משהו השתבש"), ("ja", u"応答できません", u"問題が発生")):
            for status, text in ((418, client), (500, server)):
                page = self.ask_for("text/html", language, status).body.decode("utf-8")
                self.assertIn(text, page)

    def test_json_for_programs_that_ask_for_it(self):
        for accept in ("application/json", "application/problem+json, */*",
                       "text/html;q=0.5, application/json"):
            response = self.ask_for(accept)
            self.assertEqual("application/json; charset=UTF-8", response.headers["Content-Type"])
            self.assertEqual({"status": 404, "error": "404: Not Found"},
                             json.loads(response.body.decode("utf-8")))

    def test_the_reason_is_escaped(self):
        def get(self):
            raise HTTPError(400, reason="<b> & co")

        self.serve_handler(get)
        for accept in ("text/html", "*/*"):
            body = self.ask(headers=[("Accept", accept)]).body
            self.assertIn(b"400: &lt;b&gt; &amp; co", body)
            self.assertNotIn(b"<b>", body)


class Echo(RequestHandler):
    def post(self):
        self.write({"got": self.get_json()})


class JSONBodyTest(HandlerCase):
    def send(self, body, kind="application/json"):
        self.serve_app([("/", Echo)])
        return self.ask(method="POST", body=body, headers=[("Content-Type", kind)] if kind else [])

    def test_json(self):
        for kind in ("application/json", "application/json; charset=utf-8",
                     "application/vnd.api+json", "text/json", None):
            response = self.send(u'{"a": ["\u05d0", 1.5, null]}'.encode("utf-8"), kind)
            self.assertEqual({"got": {"a": [u"\u05d0", 1.5, None]}},
                             json.loads(response.body.decode("utf-8")))

    def check(self, status, text, body, kind="application/json"):
        response = self.send(body, kind)
        self.assertEqual(status, response.status)
        self.assertIn(text, response.body.decode("utf-8"))

    def test_what_is_wrong(self):
        self.check(400, "400: The body is empty and should be JSON", b"")
        self.check(400, "400: The body is not JSON: ", b'{"a": }')
        self.check(400, "400: The body is not JSON: ", b"a=1&b=2")
        self.check(400, "400: The body is not JSON: it is not UTF-8", b'"\xff"')
        self.check(400, "400: The body is not JSON: NaN is not JSON", b"[NaN]")
        self.check(400, "400: The body is not JSON: ", b"[" * 100000)
        self.check(415, "415: The body must be application/json, not "
                   "application/x-www-form-urlencoded", b"{}", "application/x-www-form-urlencoded")
