# coding: utf-8
"""The blog demo: its whole life over HTTP, on every database, and attacks on it."""
from __future__ import absolute_import, division, print_function

import contextlib
import os
import re
import shutil
import tempfile
import threading
import unittest
from xml.etree import ElementTree

from six.moves.urllib.parse import quote, unquote

from friendserve import locale
from friendserve.escape import utf8, xhtml_unescape
from friendserve.protocol.cookies import create_signed_value
from friendserve.protocol.urls import is_safe_next
from tests import PATIENCE
from tests.blogcase import ATOM, FOLDER, PASSWORD, accounts, blog, markup, store
from tests.httpcase import LogCatcher
from tests.localecase import LocaleCase
from tests.loopcase import needs_package
from tests.services import MariaDB, PostgreSQL, needs
from tests.webcase import WebCase, request


class MarkupTest(unittest.TestCase):
    def test_markdown(self):
        html = markup.to_html(u"# Head\n\n**bold** [a](https://example.com/?a=1&b=2)\n\n"
                              u"- x\n- y\n\n```\n<b>\n```\n\n|a|b|\n|-|-|\n|1|2|")
        for text in (u"<h1>Head</h1>", u"<strong>bold</strong>", u"<li>x</li>", u"&lt;b&gt;",
                     u"<td>1", u'href="https://example.com/?a=1&amp;b=2"',
                     u'rel="nofollow ugc noopener"'):
            self.assertIn(text, html)

    def test_no_html_of_strangers(self):
        for text in (u"<script>alert(1)</script>", u"a <b onclick=x>b</b> <img src=x onerror=y>",
                     u"<div>\n\n<svg/onload=alert(1)>\n\n</div>",
                     u"<!-- x --><style>*{}</style>", u"<a href='javascript:x'>", u"`<i>`",
                     u"    <i>", u"<?php x ?>", u"<![CDATA[<i>]]>", u"[a]: <b>\n\n[a]",
                     u"\x02wzxhzdk:0\x03", u"&lt;i&gt;", u"<scr<script>ipt>"):
            html = markup.to_html(text)
            self.assertEqual(set(), set(re.findall(r"<([A-Za-z!?]+)", html)) - set(
                ["p", "code", "pre", "a"]), html)
            self.assertNotIn(u"onerror=\"", html)

    def test_links_lead_to_pages_only(self):
        for target in (u"javascript:alert(1)", u"JaVaScRiPt:alert(1)",
                       u"java&#115;cript:alert(1)",
                       u"javascript&colon;alert(1)", u"javascript&#58;alert(1)",
                       u"&#106;avascript:alert(1)", u"<java\tscript:alert(1)>",
                       u"data:text/html,x", u"vbscript:x", u"//evil.example",
                       u"javascript\\:alert(1)",
                       u"\\javascript:alert(1)", u"x:y", u"<javascript:alert(1)>",
                       u"ja\x01vascript:x"):
            for form in (u"[a](%s)", u"![a](%s)", u"[a][1]\n\n[1]: %s", u"%s", u"<%s>"):
                html = markup.to_html(form % target)
                for name, value in re.findall(r'(href|src)="([^"]*)"', html):
                    self.assertTrue(re.match("https?://|mailto:|/(?!/)|#", value),
                                    (form, target, html))
        for target in (u"https://example.com/", u"HTTP://example.com", u"/entry/a", u"#comments",
                       u"mailto:a@example.com"):
            self.assertIn(u'href="%s"' % target, markup.to_html(u"[a](%s)" % target))

    def test_links_stay_as_they_are(self):
        for target in (u"https://e.example/?a=1&region=2&timestamp=3&section=4&copy=5&lt=6",
                       u"https://e.example/?a=1&amp;b=2", u"/entry/a?x&y"):
            for form in (u"[a](%s)", u"<%s>", u"[a][1]\n\n[1]: %s"):
                if form == u"<%s>" and target[0] == u"/":
                    continue
                found = re.search(u'href="([^"]*)"', markup.to_html(form % target)).group(1)
                self.assertEqual(target.replace(u"&amp;", u"&").replace(u"&", u"&amp;"), found)
        self.assertNotIn(u"src=", markup.to_html(u"![a](http://e.example/a.png)"))
        self.assertIn(u"src=", markup.to_html(u"![a](https://e.example/a.png)"))

    def test_what_is_too_much_for_a_page(self):
        for text in (u"|a" * 600 + u"\n" + u"|-" * 600 + u"\n" + u"x|\n" * 1000,
                     u"- " * 5000 + u"a", u"1. " * 6000,
                     u"[a]: http://" + u"x" * 9900 + u"\n\n" + u"[a][] " * 1600):
            self.assertRaises(markup.TooMuch, markup.to_html, text)
        markup.to_html(u"|a|b|c|d|\n|-|-|-|-|\n" + u"|1|2|3|4|\n" * 1000)

    def test_brackets_that_open_nothing_cost_little(self):
        looked_through = []

        def count(find, room, match, data):
            before = room[0]
            found = find_link(find, room, match, data)
            looked_through.append(before - room[0])
            return found
        find_link, markup._find_link = markup._find_link, count
        try:
            for text in (u"[", u"![", u"[a](", u"[a][", u"[[a](b)]("):
                del looked_through[:]
                html = markup.to_html(text * (20000 // len(text)))
                self.assertEqual(len(html), len(u"<p></p>") + 20000 // len(text) * len(text), text)
                self.assertLess(sum(looked_through), markup._ROOM + 20001)
        finally:
            markup._find_link = find_link
        self.assertIn(u'<a href="/b"', markup.to_html(u"[x] " * 100 + u"[a](/b)"))


class AccountsTest(unittest.TestCase):
    def test_passwords(self):
        hashed = accounts.hash_password(PASSWORD, 10)
        self.assertTrue(accounts.is_password(PASSWORD, hashed))
        self.assertFalse(accounts.is_password(PASSWORD + u"x", hashed))
        self.assertFalse(accounts.is_password(PASSWORD, None))
        self.assertNotEqual(hashed, accounts.hash_password(PASSWORD, 10))
        self.assertNotIn(u"horse", hashed)
        self.assertGreaterEqual(accounts.ROUNDS, 600000)

    def test_guessing_gets_slower(self):
        now = [1000.0]
        guard = accounts.Guard(clock=lambda: now[0])
        waits = []
        for _ in range(8):
            waits.append(guard.wait("a"))
            guard.failed("a")
            now[0] += guard.wait("a")
        self.assertEqual([0] * 8, waits)
        guard.failed("a")
        self.assertEqual(16, guard.wait("a"))
        self.assertEqual(0, guard.wait("b"))
        for _ in range(1000):
            guard.failed("a")
        self.assertEqual(900, guard.wait("a"))
        guard.succeeded("a")
        self.assertEqual(0, guard.wait("a"))
        for _ in range(20):
            guard.failed("a")
            guard.forgive("a")
        guard.forgive("nobody")
        self.assertEqual(0, guard.wait("a"))

    def test_memory_of_guesses_is_bounded(self):
        guard = accounts.Guard(size=100)
        for number in range(1000):
            guard.failed(number)
        self.assertLessEqual(len(guard._failures) + len(guard._older), 100)


class BlogCase(LocaleCase, WebCase):
    def setUp(self):
        WebCase.setUp(self)
        LocaleCase.setUp(self)
        locale.load_translations(os.path.join(FOLDER, "translations"))
        # Fewer rounds, to save time.
        before = accounts.hash_password.__defaults__, accounts._NOBODY
        self.addCleanup(lambda: (setattr(accounts.hash_password, "__defaults__", before[0]),
                                 setattr(accounts, "_NOBODY", before[1])))
        accounts.hash_password.__defaults__ = (10,)
        accounts._NOBODY = accounts._NOBODY.replace(str(accounts.ROUNDS), "10")
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.open(self.url())
        self.cookies = {}

    def url(self):
        return "sqlite:///" + os.path.join(self.folder, "blog.db")

    def open(self, url):
        store.make_tables(url)
        self.application = blog.BlogApplication(url, "a secret of the tests only", threads=2)
        self.addCleanup(self.close_pool, self.application.pool)
        self.addCleanup(self.close_pool, self.application.accounts)
        self.serve(self.application)

    def close_pool(self, pool):
        done = []
        pool.close(lambda: done.append(True))
        self.run_until(lambda: done)

    # The part of the browser

    def visit(self, path, method="GET", body=None, headers=()):
        headers = list(headers)
        if self.cookies:
            headers.append(("Cookie", "; ".join("%s=%s" % pair for pair in self.cookies.items())))
        response = self.ask(path, method, headers, body)
        for name, line in self.cookies_of(response).items():
            value = line.partition(";")[0].partition("=")[2]
            if value in ("", '""'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        response.text = response.body.decode("utf-8")
        return response

    def post(self, path, token=True, **fields):
        if token is True:
            token = re.search(u'name="_xsrf" value="([^"]+)"', self.visit("/").text).group(1)
        if token:
            fields["_xsrf"] = token
        return self.visit(path, "POST", dict((name, utf8(value)) for name, value in fields.items()))

    def join(self, name, password=PASSWORD):
        response = self.post("/join", name=name, password=password)
        self.assertEqual((302, "/"), (response.status, response.headers["Location"]), response.text)

    def write(self, title, text=u"Some *words*."):
        response = self.post("/compose", title=title, text=text)
        self.assertEqual(302, response.status, response.text)
        return response.headers["Location"]

    @contextlib.contextmanager
    def as_another(self, cookies=None):
        mine, self.cookies = self.cookies, cookies if cookies is not None else {}
        try:
            yield
        finally:
            self.cookies = mine


class Story(object):
    """Must run the same way on each database."""

    def test_whole_life(self):
        self.assertIn(u"Nothing has been written yet.", self.visit("/").text)
        self.join(u"Ada \u05d0\U0001f600")
        self.assertIn(u"<bdi>Ada \u05d0\U0001f600</bdi>", self.visit("/").text)
        path = self.write(u"Erster Brief, \u00fcber 100 % Gl\u00fcck \U0001f600",
                          u"Hello **there**, 100 %.")
        entry = self.visit(path).text
        self.assertIn(u"<strong>there</strong>, 100 %.", entry)
        self.assertIn(u"No comments yet", entry)
        with self.as_another():
            self.join(u"Noa")
            response = self.post(path, text=u"So true!\nhttps://example.com/a <b>")
            self.assertEqual(path + "#comments", response.headers["Location"])
            entry = self.visit(path).text
            self.assertIn(u"1 comment<", entry)
            self.assertIn(u'So true!<br><a href="https://example.com/a"', entry)
            self.assertIn(u"&lt;b&gt;", entry)
            self.assertNotIn(u"/compose?slug=", entry)
        form = self.visit(
            re.search(u'href="(/compose[?]slug=[^"]+)"', self.visit("/").text).group(1))
        self.assertIn(u"Hello **there**, 100 %.", form.text)
        slug = xhtml_unescape(re.search(u'name="slug" value="([^"]+)"', form.text).group(1))
        response = self.post("/compose", slug=slug, title=u"Another title", text=u"Changed.")
        self.assertEqual(path, response.headers["Location"])
        entry = self.visit(path).text
        self.assertIn(u"<p>Changed.</p>", entry)
        self.assertIn(u"1 comment<", entry)
        self.assertIn(u"Another title", self.visit("/archive").text)
        feed = ElementTree.fromstring(self.visit("/feed").body)
        self.assertEqual([u"Another title"], [one.text for one in feed.iter(ATOM + "title")][1:])
        self.post("/logout")
        self.assertIn(u"Sign in", self.visit("/").text)
        response = self.post("/login", name=u"ada \u05d0\U0001f600", password=PASSWORD, next=path)
        self.assertEqual((302, path), (response.status, response.headers["Location"]))
        self.assertIn(u"<bdi>Ada", self.visit("/").text)

    def test_names_are_taken_once(self):
        self.join(u"Ada")
        with self.as_another():
            for name in (u"Ada", u"ADA", u" ada ", u"\uff21da", u"A\u200dda"):
                response = self.post("/join", name=name, password=PASSWORD)
                self.assertEqual(409, response.status, name)
                self.assertIn(u"This name is already taken.", response.text)
        self.assertEqual(403, self.post("/login", name=u"Ada'--", password=PASSWORD).status)

    def test_same_title_many_entries_and_pages(self):
        self.join(u"Ada")
        paths = [self.write(u"The same!") for _ in range(12)]
        self.assertEqual(["/entry/the-same", "/entry/the-same-2", "/entry/the-same-3"], paths[:3])
        first = self.visit("/").text
        found = re.findall(u'<h2><a href="([^"]+)"', first)
        while u'rel="next"' in first:
            first = self.visit(re.search(u'rel="next" href="([^"]+)"', first).group(1)).text
            found += re.findall(u'<h2><a href="([^"]+)"', first)
        self.assertEqual(paths[::-1], found)
        self.assertEqual(12, self.visit("/archive").text.count(u"/entry/the-same"))

    def test_the_same_title_at_the_same_time(self):
        self.join(u"Ada")
        # The token of one page is valid for all forms.
        token = re.search(u'name="_xsrf" value="([^"]+)"', self.visit("/").text).group(1)
        cookie = "; ".join("%s=%s" % pair for pair in self.cookies.items())
        fields = {"title": u"Twice", "text": u"x", "_xsrf": token}
        clients = [self.connect(data=request(
            "/compose", "POST", [("Cookie", cookie), ("Connection", "close")],
            dict((name, utf8(value)) for name, value in fields.items()))) for _ in range(8)]
        self.assertEqual([302] * 8, [client.read_response("POST").status for client in clients])
        self.assertEqual(8, self.visit("/archive").text.count(u"/entry/twice"))

    def test_text_that_begins_with_code(self):
        self.join(u"Ada")
        path = self.write(u"Code", u"\n \n    first = 1\n    second = 2\n")
        self.assertIn(u"<pre><code>first = 1\nsecond = 2", self.visit(path).text)
        self.assertEqual(400, self.post("/compose", title=u"x", text=u" \n\t\n ").status)

    def test_characters_that_databases_dislike(self):
        # One character in the name becomes eighteen in its key.
        name = u"\ufdfa" * 40
        response = self.post("/join", name=name, password=PASSWORD)
        self.assertEqual(400, response.status)
        self.assertIn(u"Please use 1 to 40 characters, not 720.", response.text)
        self.join(u"Ada")
        for text in (u"a\0b", u"a\x01\x0b\x0c\x1fb", u"\ufffe\uffff", u"\U0010ffff\ud7ff\ue000",
                     u"'; DROP TABLE users; --", u"%s %(a)s %%", u"\\", u"\\' OR 1=1 --",
                     u"{{ 1 }} {% raw 1 %}", u"\ufdfa" * 150):
            path = self.write(text, text)
            self.assertEqual(302, self.post(path, text=text).status)
            slug = unquote(path[len("/entry/"):])
            self.assertEqual(302, self.post("/compose", slug=slug, title=text, text=text).status)
            self.assertEqual(200, self.visit(path).status)
            self.assertEqual(200, self.visit("/").status)
            self.assertEqual(404, self.visit("/entry/%00").status)
            ElementTree.fromstring(self.visit("/feed").body)
            self.assertIn(self.post("/login", name=text[:40], password=PASSWORD).status, (400, 403))


class SQLiteTest(Story, BlogCase):
    pass


class ServerStory(Story):
    service = None

    @classmethod
    def setUpClass(cls):
        cls.server_process = cls.service_class()

    @classmethod
    def tearDownClass(cls):
        cls.server_process.close()

    def url(self):
        url = self.server_process.url()
        db = store.database.connect(url)
        for table in ("comments", "entries", "users"):
            db.execute("DROP TABLE IF EXISTS " + table)
        db.close()
        return url

    def test_b480_a_database_of_an_earlier_version(self):
        url = self.server_process.url()
        self.join(u"Ada")
        db = store.database.connect(url)
        db.execute("ALTER TABLE users DROP COLUMN session")
        store.make_tables(url)
        self.assertEqual(u"", db.get("SELECT session FROM users").session)
        db.close()
        self.post("/login", name=u"Ada", password=PASSWORD)
        self.post("/logout", everywhere=u"1")
        with self.as_another():
            self.join(u"Noa")
            self.assertIn(u"<bdi>Noa", self.visit("/").text)

    def test_the_database_goes_away_and_comes_back(self):
        self.join(u"Ada")
        path = self.write(u"Kept")
        self.server_process.stop()
        response = self.visit(path)
        self.assertEqual((503, "10"), (response.status, response.headers["Retry-After"]))
        self.assertIn(u"The database is unavailable at the moment.", response.text)
        self.assertNotIn(u"Traceback", response.text)
        self.assertEqual([], [record for record in self.records if record.exc_info])
        self.server_process.start()
        self.assertIn(u"Kept", self.visit(path).text)


@needs(MariaDB)
class MariaDBTest(ServerStory, BlogCase):
    service_class = MariaDB


@needs_package(store.database.engines.postgresql_driver, "psycopg2")
@needs(PostgreSQL)
class PostgreSQLTest(ServerStory, BlogCase):
    service_class = PostgreSQL


class AttackTest(BlogCase):
    def test_a302_every_form_needs_its_token(self):
        self.join(u"Ada")
        path = self.write(u"Mine")
        for target, fields in [("/compose", {"title": u"x", "text": u"y"}), (path, {"text": u"z"}),
                               ("/logout", {}), ("/language", {"language": u"de"}),
                               ("/join", {"name": u"Eve", "password": PASSWORD}),
                               ("/login", {"name": u"Ada", "password": PASSWORD})]:
            for token in (False, u"0" * 32):
                response = self.post(target, token, **fields)
                self.assertEqual(403, response.status, target)
                self.assertIn(u"You are not allowed to do this.", response.text)
        self.assertEqual(1, self.visit("/").text.count(u"<article"))

    def test_entries_of_others(self):
        self.join(u"Ada")
        path = self.write(u"Mine", u"The first words.")
        with self.as_another():
            self.join(u"Eve")
            self.assertEqual(403, self.visit("/compose?slug=mine").status)
            self.assertEqual(403, self.post("/compose", slug=u"mine", title=u"x", text=u"y").status)
            self.assertEqual(403, self.post("/compose", slug=u"none", title=u"x", text=u"y").status)
        self.assertIn(u"The first words.", self.visit(path).text)

    def test_strangers(self):
        response = self.visit("/compose")
        self.assertEqual((302, "/login?next=%2Fcompose"),
                         (response.status, response.headers["Location"]))
        self.assertEqual(403, self.post("/compose", title=u"x", text=u"y").status)
        self.cookies["user"] = ("2|1:0|10:1795705347|4:user|24:eyJpZCI6IDEsICJuYW1lIjogIkEifQ==|"
                                + "0" * 64)
        with LogCatcher():
            self.assertEqual(302, self.visit("/compose").status)

    def test_a030_next_leads_nowhere_else(self):
        self.join(u"Ada")
        for back in (u"//evil.example", u"https://evil.example", u"/\\evil.example",
                     u"javascript:x", u"/\t/evil.example", u" //evil.example"):
            self.assertFalse(is_safe_next(back))
            response = self.post("/login", name=u"Ada", password=PASSWORD, next=back)
            self.assertEqual("/", response.headers["Location"], back)
            form = self.visit("/login?next=" + quote(utf8(back))).text.partition(u"<main>")[2]
            self.assertIn(u'name="next" value="/"', form.partition(u"</main>")[0])

    def test_scripts_in_everything(self):
        evil = u"<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
        self.join(u"<b>Eve</b>\"'")
        path = self.write(evil[:80], evil + u"\n\n[x](javascript:alert(1))")
        self.post(path, text=evil + u" javascript:alert(1)")
        for page in ("/", path, "/archive", "/compose?slug=" + path.rpartition("/")[2],
                     "/nothing" + quote(utf8(evil))):
            text = self.visit(page).text
            for tag in (u"<script", u"<img", u"<b>", u"href=\"javascript"):
                self.assertNotIn(tag, text, page)
        feed = self.visit("/feed")
        self.assertEqual(1, len(ElementTree.fromstring(feed.body).findall(ATOM + "entry")))
        self.assertIn("default-src 'none'", self.visit(path).headers["Content-Security-Policy"])

    def test_sql_in_everything(self):
        self.join(u"Ada")
        self.write(u"Mine")
        for slug in ("x'%20OR%20'1'='1", "mine'--", "%25", "mine%00", "%22", "mine%5C"):
            self.assertEqual(404, self.visit("/entry/" + slug).status, slug)
        for before in ("1%20OR%201=1", "-1", "1'", "99999999999999999999"):
            self.assertEqual(404, self.visit("/?before=" + before).status, before)

    def test_what_is_too_long_or_missing(self):
        self.join(u"Ada")
        path = self.write(u"Mine")
        for target, fields in [
                ("/compose", {"title": u"", "text": u"y"}),
                ("/compose", {"title": u"x" * 151, "text": u"y"}),
                ("/compose", {"title": u"x", "text": u"y" * 20001}), ("/compose", {"title": u"x"}),
                ("/compose", {"title": u"x", "text": u"y\n" * 2001 + u"y"}),
                (path, {"text": u" "}), (path, {"text": u"x" * 2001}),
                ("/join", {"name": u"x" * 41, "password": PASSWORD}),
                ("/join", {"name": u"Eve", "password": u"short"}),
                ("/join", {"name": u"Eve\u202e", "password": PASSWORD}),
                ("/join", {"name": u"\u3164", "password": PASSWORD}),
                ("/join", {"name": u"\u200d\u200d", "password": PASSWORD}),
                ("/join", {"name": u"Eve", "password": u"x" * 201}),
                ("/language", {"language": u"xx"})]:
            response = self.post(target, **fields)
            self.assertEqual(400, response.status, (target, sorted(fields)))
            self.assertNotIn(u"Traceback", response.text)
        response = self.post("/compose", title=u"x" * 151, text=u"what I wrote")
        self.assertIn(u"not 151.", response.text)
        self.assertIn(u"what I wrote", response.text)
        self.assertEqual(1, self.visit("/").text.count(u"<article"))

    def test_guessing(self):
        self.join(u"Ada")
        with self.as_another():
            for _ in range(accounts.Guard.FREE):
                response = self.post("/login", name=u"Ada", password=u"wrong guess")
                self.assertEqual(403, response.status)
                self.assertIn(u"The name or password is wrong.", response.text)
            response = self.post("/login", name=u"Ada", password=PASSWORD)
            self.assertEqual(429, response.status)
            self.assertGreaterEqual(int(response.headers["Retry-After"]), 1)
            # Users who do not guess are not slowed down.
            self.assertEqual(403, self.post("/login", name=u"Noa", password=PASSWORD).status)

    def hidden(self, text, name):
        return re.search(u'name="%s" value="([^"]*)"' % name, text).group(1)

    def test_b459_an_edit_does_not_silently_replace_a_newer_one(self):
        self.join(u"ada")
        self.post("/compose", title=u"One", text=u"first")
        seen = self.hidden(self.visit("/compose?slug=one").text, "seen")
        self.assertEqual(302, self.post("/compose", slug=u"one", title=u"One", text=u"second",
                                        seen=seen).status)
        response = self.post("/compose", slug=u"one", title=u"One", text=u"third", seen=seen)
        self.assertEqual(409, response.status)
        self.assertIn(u"This letter was changed elsewhere in the meantime.", response.text)
        self.assertIn(u"third", response.text)
        self.assertIn(u"second", self.visit("/entry/one").text)
        # Whoever publishes it nevertheless has seen that.
        seen = self.hidden(response.text, "seen")
        self.assertEqual(302, self.post("/compose", slug=u"one", title=u"One", text=u"third",
                                        seen=seen).status)
        self.assertIn(u"third", self.visit("/entry/one").text)

    def test_b459_a_form_that_is_sent_twice_is_carried_out_once(self):
        self.join(u"ada")
        once = self.hidden(self.visit("/compose").text, "once")
        places = [self.post("/compose", title=u"One", text=u"first", once=once).headers["Location"]
                  for _ in range(2)]
        self.assertEqual(["/entry/one"] * 2, places)
        once = self.hidden(self.visit("/entry/one").text, "once")
        for _ in range(2):
            response = self.post("/entry/one", text=u"a comment", once=once)
            self.assertEqual((302, "/entry/one#comments"),
                             (response.status, response.headers["Location"]))
        self.assertEqual(1, self.visit("/entry/one").text.count(u"a comment"))
        self.assertEqual(404, self.visit("/entry/one-2").status)

    def test_b459_a_form_that_is_sent_twice_at_the_same_time(self):
        self.join(u"ada")
        once = self.hidden(self.visit("/compose").text, "once")
        fields = {"_xsrf": self.hidden(self.visit("/").text, "_xsrf"), "title": "One",
                  "text": "first", "once": once}
        cookie = "; ".join("%s=%s" % pair for pair in self.cookies.items())
        clients = [self.connect(data=request("/compose", "POST", [("Cookie", cookie)], fields))
                   for _ in range(2)]
        self.assertEqual(["/entry/one"] * 2, [
            client.read_response().headers["Location"] for client in clients])

    def test_b459_comments_have_a_limit(self):
        self.join(u"ada")
        self.post("/compose", title=u"One", text=u"first")
        statuses = [self.post("/entry/one", text=u"a").status for _ in range(11)]
        self.assertEqual([302] * 10 + [429], statuses)
        self.join(u"grace")
        self.assertEqual(302, self.post("/entry/one", text=u"a").status)

    def test_b459_the_owner_of_an_account_is_not_locked_out_by_guesses(self):
        self.join(u"ada")
        self.post("/logout")
        owner, self.cookies = self.cookies, {}
        for _ in range(10):
            self.post("/login", name=u"ada", password=u"wrong password")
        self.assertEqual(429, self.post("/login", name=u"ada", password=PASSWORD).status)
        self.cookies = owner
        self.assertEqual(302, self.post("/login", name=u"ada", password=PASSWORD).status)
        # And the browser of one account is unknown for all others.
        self.post("/logout")
        self.cookies["known"] = self.cookies["known"][::-1]
        self.assertEqual(429, self.post("/login", name=u"ada", password=PASSWORD).status)

    def test_b480_signing_out_on_all_devices_ends_every_session(self):
        self.join(u"Ada")
        path = self.write(u"One")
        phone = {}
        with self.as_another(phone):
            self.post("/login", name=u"Ada", password=PASSWORD)
            token = self.hidden(self.visit("/compose").text, "_xsrf")
        with self.as_another():
            self.join(u"Noa")
            noa = self.cookies
        response = self.post("/logout", everywhere=u"1")
        self.assertEqual((302, "/"), (response.status, response.headers["Location"]))
        self.assertIn(u"Sign in", self.visit("/").text)
        with self.as_another(phone):
            stolen = self.cookies["user"]
            # What was filled in before is not carried out, by any form.
            for target, fields in (("/compose", {"title": u"Two", "text": u"x"}),
                                   (path, {"text": u"a comment"})):
                self.cookies["user"] = stolen
                self.assertEqual(403, self.post(target, token, **fields).status)
            self.cookies["user"] = stolen
            self.assertIn(u'href="/login"', self.visit("/").text)
            self.assertNotIn("user", self.cookies)
            for there, status in (("/compose", 302), ("/nothing", 404)):
                self.cookies["user"] = stolen
                response = self.visit(there)
                self.assertEqual(status, response.status)
                self.assertNotIn(u"<bdi>Ada", response.text)
            self.assertEqual(302, self.post("/login", name=u"Ada", password=PASSWORD).status)
            self.assertIn(u"<bdi>Ada", self.visit("/").text)
            # A session that has ended ends no other.
            with self.as_another(dict(phone, user=stolen)):
                self.assertEqual(302, self.post("/logout", token, everywhere=u"1").status)
            self.assertIn(u"<bdi>Ada", self.visit("/").text)
        page = self.visit(path).text
        self.assertNotIn(u"a comment", page)
        with self.as_another(noa):
            self.assertIn(u"<bdi>Noa", self.visit("/").text)

    def test_b480_the_ordinary_sign_out_ends_one_session(self):
        self.join(u"Ada")
        phone = dict(self.cookies)
        self.post("/logout")
        self.assertIn(u"Sign in", self.visit("/").text)
        with self.as_another(phone):
            self.assertIn(u"<bdi>Ada", self.visit("/").text)

    def test_b480_one_can_sign_out_here_without_the_database(self):
        self.join(u"Ada")
        token = self.hidden(self.visit("/").text, "_xsrf")
        self.application.pool = store.database.Pool("sqlite:///" + self.folder)
        self.addCleanup(self.close_pool, self.application.pool)
        self.assertEqual(503, self.post("/logout", token, everywhere=u"1").status)
        self.assertIn("user", self.cookies)
        self.assertEqual(503, self.visit("/compose").status)
        self.assertEqual(302, self.post("/logout", token).status)
        self.assertNotIn("user", self.cookies)

    def test_b459_an_allowance_is_of_the_last_seconds(self):
        now = [1000.0]
        allowance = accounts.Allowance(2, 10, clock=lambda: now[0])
        self.assertEqual([True, True, False], [allowance.take("a") for _ in range(3)])
        self.assertTrue(allowance.take("b"))
        now[0] += 11
        self.assertTrue(allowance.take("a"))
        for number in range(5000):
            allowance.take(number)
            now[0] += 1
        self.assertLess(len(allowance._acts), 2100)

    def test_nobody_learns_who_has_an_account(self):
        self.join(u"Ada")
        with self.as_another():
            answers = [self.post("/login", name=name, password=u"wrong guess").text
                       for name in (u"Ada", u"Noa")]
        clean = [re.sub(u'value="[^"]*"', u"", answer) for answer in answers]
        self.assertEqual(clean[0], clean[1])

    def test_the_table_holds_no_passwords(self):
        self.join(u"Ada")
        with open(os.path.join(self.folder, "blog.db"), "rb") as source:
            self.assertNotIn(utf8(PASSWORD), source.read())

    def test_the_session_cookie_is_not_for_scripts(self):
        response = self.post("/join", name=u"Ada", password=PASSWORD)
        cookie = self.cookies_of(response)["user"]
        for attribute in ("HttpOnly", "SameSite=Lax"):
            self.assertIn(attribute, cookie)

    def test_what_is_too_much_comes_back(self):
        self.join(u"Ada")
        text = u"- " * 2000 + u"a"
        response = self.post("/compose", title=u"Deep", text=text)
        self.assertEqual(400, response.status)
        self.assertIn(u"This is too much for one page", response.text)
        self.assertIn(text, response.text)
        self.assertIn(u'value="Deep"', response.text)

    def test_sign_ins_do_not_keep_readers_waiting(self):
        held, go_on = [], threading.Event()
        self.addCleanup(go_on.set)

        def hold(db, name, password):
            held.append(name)
            go_on.wait(2 * PATIENCE)
        original = store.check_account
        self.addCleanup(setattr, store, "check_account", original)
        store.check_account = hold
        token = re.search(u'name="_xsrf" value="([^"]+)"', self.visit("/").text).group(1)
        cookie = "; ".join("%s=%s" % pair for pair in self.cookies.items())
        clients = [self.connect(data=request("/login", "POST", [("Cookie", cookie)], {
            "name": "n%d" % number, "password": "wrong password", "_xsrf": token}))
            for number in range(40)]
        # Two are checked and some wait; the others are refused at once, and not counted as guesses.
        self.run_until(lambda: len(held) == 2 and len(self.application.guard._failures) == 40)
        self.assertEqual(200, self.visit("/").status)
        go_on.set()
        statuses = [client.read_response("POST").status for client in clients]
        self.assertEqual(set([403, 503]), set(statuses))
        counts = [count for count, _ in self.application.guard._failures.values()]
        self.assertEqual(statuses.count(403), sum(counts))

    def test_pages_of_somebody_are_not_kept(self):
        self.assertEqual("no-cache", self.visit("/").headers["Cache-Control"])
        self.join(u"Ada")
        self.assertEqual("private, no-store", self.visit("/").headers["Cache-Control"])

    def test_head_and_what_cannot_be_answered(self):
        self.assertEqual(404, self.visit("/entry/none", "HEAD").status)
        response = self.visit("/", "HEAD")
        self.assertEqual((200, b""), (response.status, response.body))
        for path in ("/entry/%ff", "/logout"):
            self.assertIn(u"This request is not valid.", self.visit(path).text)
        self.assertEqual(404, self.visit("/?before=1").status)
        # A target that is not text.
        client = self.connect(data=b"GET /archive?x=\xff HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(200, client.read_response().status)

    def test_errors_in_the_dress_of_the_site(self):
        for path, status in [("/nothing", 404), ("/entry/none", 404), ("/entry/%ff", 400)]:
            response = self.visit(path)
            self.assertEqual(status, response.status)
            self.assertIn(u'<a class="name" href="/">', response.text)
        self.application.pool.query = None
        response = self.visit("/archive")
        self.assertEqual(500, response.status)
        self.assertIn(u"Something went wrong.", response.text)
        self.assertNotIn(u"TypeError", response.text)

    def test_hashing_does_not_hold_up_the_loop(self):
        seen = []
        original = store.hash_password
        self.addCleanup(setattr, store, "hash_password", original)
        store.hash_password = lambda password: (
            seen.append(threading.current_thread()), original(password))[1]
        self.join(u"Ada")
        self.assertNotEqual([threading.current_thread()], seen)
        self.assertEqual(1, len(seen))


class SlugTest(unittest.TestCase):
    def test_slugs(self):
        for title, slug in [
                (u"Hello, World!", u"hello-world"), (u"\u0939\u093f\u0928\u094d\u0926\u0940", None),
                (u"Stra\xdfe 12", u"stra\xdfe-12"), (u" _-!", u"entry"), (u"a" * 200, u"a" * 80)]:
            self.assertEqual(slug or title, store.make_slug(title))


class LanguageTest(BlogCase):
    def test_languages(self):
        for language, direction, text in [
                ("en", "ltr", u"Slow letters"), ("en-GB,en;q=0.9,de;q=0.3", "ltr", u"Slow letters"),
                ("de", "ltr", u"Langsame Briefe"),
                ("he", "rtl", u"מכתבים בלי חיפזון"), ("ja", "ltr", u"ゆっくり届く手紙")]:
            page = self.visit("/", headers=[("Accept-Language", language)]).text
            self.assertIn(u'dir="%s"' % direction, page)
            self.assertIn(text, page)

    def test_chosen(self):
        response = self.post("/language", language=u"he", next=u"/archive")
        self.assertEqual("/archive", response.headers["Location"])
        self.assertIn(u'dir="rtl"', self.visit("/").text)

    def test_every_text_is_translated(self):
        texts = set(blog.TEXTS.values())
        for folder, _, names in os.walk(FOLDER):
            for name in names:
                if name.endswith((".html", ".xml", "blog.py")):
                    with open(os.path.join(folder, name), "rb") as source:
                        texts.update(re.findall(u"(?:_|translate)\\(\\s*[\"']([^\"']+)[\"']",
                                                source.read().decode("utf-8")))
        self.assertGreater(len(texts), 35)
        for code in ("de", "he", "ja"):
            with open(os.path.join(FOLDER, "translations", code + ".csv"), "rb") as source:
                known = source.read().decode("utf-8")
            for text in texts:
                self.assertIn(u'"%s",' % text, known, code)


class EarlierDatabaseTest(BlogCase):
    """A database and a cookie of the version in which accounts had no session."""

    def url(self):
        url = super(EarlierDatabaseTest, self).url()
        db = store.database.connect(url)
        db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, "
                   "name_key VARCHAR(120) NOT NULL UNIQUE, password VARCHAR(200) NOT NULL)")
        db.execute("INSERT INTO users (name, name_key, password) VALUES (%s, %s, %s)", u"Ada",
                   u"ada", accounts.hash_password(PASSWORD))
        db.close()
        return url

    def test_b480_users_stay_signed_in_until_they_sign_out_on_all_devices(self):
        phone = create_signed_value("a secret of the tests only", "user",
                                    '{"id": 1, "name": "Ada"}').decode("ascii")
        self.cookies["user"] = phone
        self.assertIn(u"<bdi>Ada", self.visit("/").text)
        self.post("/logout", everywhere=u"1")
        with self.as_another({"user": phone}):
            self.assertIn(u"Sign in", self.visit("/").text)
        self.assertEqual(302, self.post("/login", name=u"Ada", password=PASSWORD).status)
        self.assertIn(u"<bdi>Ada", self.visit("/").text)
        # The next start finds the table as it is to be.
        store.make_tables(BlogCase.url(self))
        self.assertIn(u"<bdi>Ada", self.visit("/").text)


class FeedTest(BlogCase):
    def test_atom(self):
        self.join(u"Ada & Co \uffff")
        self.write(u"<One> & \ufffe", u"a & b **c** \uffff \x0b")
        response = self.visit("/feed")
        self.assertEqual("application/atom+xml; charset=UTF-8", response.headers["Content-Type"])
        feed = ElementTree.fromstring(response.body)
        entry = feed.find(ATOM + "entry")
        self.assertEqual(u"<One> & ", entry.find(ATOM + "title").text)
        self.assertEqual(u"Ada & Co ", entry.find(ATOM + "author").find(ATOM + "name").text)
        self.assertIn(u"<p>a &amp; b <strong>c</strong>", entry.find(ATOM + "content").text)
        for name in ("id", "updated", "published"):
            self.assertTrue(entry.find(ATOM + name).text)
        links = dict((link.get("rel"), link.get("href")) for link in feed.findall(ATOM + "link"))
        self.assertEqual("http://example.com/feed", links["self"])
        self.assertTrue(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z",
                                 feed.find(ATOM + "updated").text))

    def test_empty(self):
        feed = ElementTree.fromstring(self.visit("/feed").body)
        self.assertEqual([], feed.findall(ATOM + "entry"))
