# -*- coding: utf-8 -*-
"""The page for an exception in debug mode (A006, A305)."""
from __future__ import absolute_import, division, print_function

import json
import os
import re
import shutil
import tempfile

import six

from friendserve.escape import native_str
from friendserve.protocol.cookies import create_signed_value
from friendserve.web import HTTPError, RequestHandler, debugpage
from tests.webcase import WebCase

HTML = [("Accept", "text/html,*/*")]


class Failing(RequestHandler):
    def get(self, what):
        getattr(self, "fail_" + what)()

    post = get

    def fail_plainly(self):
        raise ValueError(u"<b>bold</b> & \xe9")  # the line that failed

    def fail_twice(self):
        try:
            {}["a key"]
        except KeyError:
            raise RuntimeError("second")

    def fail_deep(self):
        self.fail_deep()

    def fail_http(self):
        raise HTTPError(404, "nothing here")

    def fail_unshown(self):
        class Unshown(Exception):
            def __str__(self):
                raise KeyError("x")

        raise Unshown()


class DebugPageTest(WebCase):
    def page(self, path, debug=True, headers=HTML, **kwargs):
        self.serve_app([("/(.*)", Failing)], serve_traceback=debug)
        response = self.ask(path, headers=headers, **kwargs)
        return response, response.body.decode("utf-8")

    def test_a006_only_in_debug_mode_and_as_a_page_only_to_browsers(self):
        response, page = self.page("/plainly")
        self.assertEqual(500, response.status)
        self.assertEqual("text/html; charset=UTF-8", response.headers["Content-Type"])
        self.assertIn(u"<title>ValueError on /plainly</title>", page)
        response, page = self.page("/plainly", headers=[("Accept", "application/json")])
        self.assertEqual("application/json; charset=UTF-8", response.headers["Content-Type"])
        self.assertIn("Traceback (most recent call last):", json.loads(page)["traceback"])
        response, page = self.page("/plainly", headers=[("Accept", "*/*")])
        self.assertEqual("text/plain; charset=UTF-8", response.headers["Content-Type"])
        self.assertIn("Traceback", page)
        response, page = self.page("/plainly", debug=False)
        self.assertIn("<title>500: Internal Server Error</title>", page)
        self.assertNotIn("ValueError", page)

    def test_source_and_message_are_there_and_escaped(self):
        _, page = self.page("/plainly?a=%3Cscript%3E")
        self.assertIn(u"# the line that failed</span>", page)
        self.assertIn(u"fail_plainly", page)
        self.assertIn(u"&lt;b&gt;bold&lt;/b&gt; &amp; é", page)
        self.assertIn(u"&lt;script&gt;", page)
        self.assertNotIn(u"<script>", page)
        self.assertNotIn(u"<b>bold", page)

    def test_a305_what_the_client_sends_is_escaped(self):
        _, page = self.page("/plainly?<x>", headers=HTML + [("X-Evil", "<img src=x>")])
        self.assertIn(u"&lt;img src=x&gt;", page)
        self.assertNotIn(u"<img", page)
        self.assertNotIn(u"<x>", page)

    def test_secrets_are_not_shown(self):
        _, page = self.page("/plainly?password=hush1&q=shown", method="POST",
                            body={"api_key": "hush2", "_xsrf": "hush3"}, headers=HTML + [
                                ("Cookie", "session=hush4"), ("Authorization", "Basic hush5")])
        for number in (1, 2, 3, 4, 5):
            self.assertNotIn("hush%d" % number, page)
        self.assertIn("shown", page)
        self.assertIn("(13 characters, not shown)", page)

    if not six.PY2:
        def test_b339_what_it_came_from(self):
            _, page = self.page("/twice")
            self.assertIn(u"Raised while handling KeyError", page)
            self.assertIn(u"second", page)
            # Only the last call of the program itself is open, and only in the first traceback.
            opened, = re.findall(u"<details open><summary><b>([^<]*)</b> <small>([^<]*):", page)
            self.assertEqual((u"fail_twice", __file__), opened)

    def test_b339_endless_recursion_and_exceptions_without_text(self):
        response, page = self.page("/deep")
        self.assertIn("calls not shown", page)
        self.assertLess(len(page), 200000)
        before, after = page.split("calls not shown")
        for part in (before, after):
            frames = part.partition("As text")[0]
            self.assertEqual(debugpage.MAX_FRAMES // 2, frames.count("</details>"))
        left_out = int(before.rpartition(">")[2])
        self.assertGreater(left_out, 100)
        # The last call is the first that is shown, and the first call the last.
        self.assertIn("<b>fail_deep</b>", before)
        self.assertIn("<b>_run_method</b>", after)
        self.assertEqual(1, page.count("<details open>"))
        _, page = self.page("/unshown")
        self.assertIn("(cannot be shown)", page)

    def test_other_statuses(self):
        response, page = self.page("/http")
        self.assertEqual(404, response.status)
        self.assertIn("nothing here", page)


class DeveloperTest(WebCase):
    """What helps a developer to find a mistake."""

    def page(self, handlers, path="/", templates=None, headers=HTML, **settings):
        self.serve_app(handlers, debug=True, autoreload=False, template_path=templates, **settings)
        return self.ask(path, headers=headers).body.decode("utf-8")

    def test_the_template_first(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)

        class Shown(RequestHandler):
            def get(self, name):
                self.render(name)

        for source, hot in ((u"<p>\n{% for a in b %}\n{% endfor %}\n</p>", u"{% endfor %}"),
                            (u"<p>\n{{ 1 / 0 }}\n</p>", u"{{ 1 / 0 }}"),
                            (u"<p>\n\n{{ a b }}\n</p>", u"{{ a b }}")):
            with open(os.path.join(folder, "page.html"), "w") as template:
                template.write(str(source))
            page = self.page([("/(.*)", Shown)], "/page.html", folder)
            line = source[:source.index(hot)].count(u"\n") + 1
            start = page.index(u"<h2>Template page.html, line %d</h2>" % line)
            self.assertLess(start, page.index("<h2>Traceback"))
            self.assertIn(u'<span class="hot"><i>%d</i>%s</span>' % (line, hot), page)

    def test_the_nearest_patterns_of_a_path_that_matches_none(self):
        page = self.page([("/entries", Failing), ("/users/([0-9]+)", Failing)], "/user/7")
        table = page[page.index("No pattern matches /user/7"):]
        self.assertLess(table.index("/users/([0-9]+)$"), table.index("/entries$"))
        self.assertIn("Failing", table)
        self.assertNotIn("No pattern", self.page([("/(.*)", Failing)], "/http"))

    def test_b481_letters_of_a_path_are_shown_and_its_parts_are_isolated(self):
        path = "/%D7%A9%D7%9C%D7%95%D7%9D/a%2Fb%E3%80%80%E2%80%AE/%FF?%D7%A9%D7%9D=%3Cb%3E%C3%A9"
        page = self.page([("/entries", Failing)], path)
        self.assertIn(u"GET /<bdi>שלום</bdi>/a%2Fb%E3%80%80%E2%80%AE/%FF?"
                      u"<bdi>שם</bdi>=<bdi>&lt;b&gt;é</bdi></p>", page)
        # Patterns are compared with the path as it is.
        self.assertIn(u"<td>%s</td>" % path.partition("?")[0], page)

    def test_cookies_and_settings_without_secrets(self):
        secret = "a secret of more than sixteen"
        signed = create_signed_value(secret, "user", "ann")
        page = self.page([("/(.*)", Failing)], "/plainly?password=hush1&q=shown", headers=HTML + [
            ("Cookie", "user=%s; session=hush2" % native_str(signed))], cookie_secret=secret,
            api_token="hush3", blog_title="Mine")
        self.assertIn("GET /plainly?password=(not shown)&amp;q=shown", page)
        self.assertIn('<th scope="row">user</th><td>signed: ann</td>', page)
        self.assertIn('<th scope="row">session</th><td>(5 characters, not shown)</td>', page)
        self.assertIn("Mine", page)
        for word in ("hush", secret, native_str(signed)):
            self.assertNotIn(word, page)

    def test_text_to_copy(self):
        page = self.page([("/(.*)", Failing)], "/plainly")
        self.assertIn('<pre class="text">Traceback (most recent call last):\n', page)
