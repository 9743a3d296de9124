# coding: utf-8
"""The project's site in Chromium: clicked through on phones and desktops, in light and dark, judged
by axe-core; and the whole site as files, with the real documentation, judged by vnu.

With FRIENDSERVE_PICTURES, a folder, the tests keep a picture of each page there.
"""
from __future__ import absolute_import, division, print_function

import base64
import io
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import pytest

from tests import PATIENCE
from tests.browsercase import DESKTOP, PHONE, Keys, Window, find_program, needs_browser
from tests.sitecase import SiteCase, broken_links, build, read_site, website

try:
    import sphinx
except ImportError:
    sphinx = None

NODE = os.environ.get("FRIENDSERVE_NODE", "")
AXE = os.path.join(NODE, "node_modules", "axe-core", "axe.min.js")
VNU = os.path.join(NODE, "node_modules", "vnu-jar", "build", "dist", "vnu.jar")
PICTURES = os.environ.get("FRIENDSERVE_PICTURES")

#: Widths and schemes: all of them are clicked through, and two are judged.
SIZES = (320, 800), PHONE, DESKTOP
SCHEMES = ("light", "dark")

#: What users ask for, and the page that should be the first result, or one of several.
QUESTIONS = (
    ("How do I deploy behind nginx?", "tutorial/deploy"),
    ("systemd socket activation", "how-to/deployment"),
    ("run in docker", "how-to/deployment"),
    ("How do I port a program from Tornado?", "how-to/porting"),
    ("import tornado alias", "how-to/porting"),
    ("Which packages work with the alias?", "reference/porting-packages"),
    ("How do I use WebSockets?", "how-to/websocket"),
    ("server-sent events", "how-to/websocket"),
    ("sign in with Google", "how-to/signin"),
    ("OpenID Connect login", "how-to/signin"),
    ("Sign in with Steam", "how-to/sign-in-providers"),
    ("How do I use async and await?", "how-to/coroutines"),
    ("yield a Future in a handler", "how-to/coroutines"),
    ("Can I run it on asyncio?", "how-to/asyncio"),
    ("uvloop", "how-to/asyncio"),
    ("gevent", "how-to/asyncio"),
    ("Twisted reactor", "how-to/twisted"),
    ("GTK program", "how-to/glib"),
    ("fork a daemon", "how-to/forks"),
    ("restart without losing requests", "how-to/restarts"),
    ("zero downtime deploy", "how-to/restarts"),
    ("reload workers on SIGHUP", "how-to/reload"),
    ("Prometheus metrics", "how-to/metrics"),
    ("health check", "how-to/metrics"),
    ("pass requests on to another server", "how-to/gateway"),
    ("reverse proxy in front", "how-to/restarts"),
    ("use it in a program that has its own loop", "how-to/embedding"),
    ("architecture and its floors", "explanation/architecture"),
    ("set_secure_cookie", "reference/api/web"),
    ("cookie_secret setting", "reference/settings"),
    ("limit for the body of a request", "reference/limits"),
    ("StreamClosedError", "reference/api/iostream"),
    ("how do I write a test for a handler?", "tutorial/testing how-to/questions"),
    ("options of friendserve serve", "reference/serve"),
    ("AsyncHTTPClient", "reference/api/httpclient"),
)


class Visit(object):
    """A window on a site, of any size and scheme."""

    def __init__(self, case, root):
        self.case, self.root = case, root
        self.window = Window(DESKTOP)
        case.addCleanup(self.window.quit)
        self.driver = self.window.driver

    def look(self, size, scheme):
        self.size, self.scheme = size, scheme
        # A window cannot be as narrow as a phone.
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme},
                         {"name": "prefers-reduced-motion", "value": "reduce"}]})

    def open(self, path):
        self.driver.get(self.root + path)
        self.check(path)

    def click(self, selector, then):
        """Click, wait for an element of the next page, and check that page."""
        before = self.driver.current_url
        self.window.find(selector)[0].click()
        self.window.wait(lambda: self.driver.current_url != before and self.window.find(then),
                         "%s after %s" % (then, selector))
        self.check(then)

    def check(self, name):
        """Nothing is wider than the window, and the console is empty."""
        where = (name, self.size[0], self.scheme)
        width, room = self.driver.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        self.case.assertLessEqual(width, room, where)
        self.case.assertEqual([], self.window.complaints(), where)
        if PICTURES:
            picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
                "captureBeyondViewport": True})
            words = "".join(c if c.isalnum() else "-" for c in self.driver.current_url)
            with io.open(os.path.join(PICTURES, "%s-%d-%s.png" % (
                    words[-60:], self.size[0], self.scheme)), "wb") as target:
                target.write(base64.b64decode(picture["data"]))

    def judge(self):
        """Findings of axe-core in this page, of any impact: [(rule, elements)]."""
        with io.open(AXE, encoding="utf-8") as source:
            self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": source.read()})
        return self.driver.execute_async_script(
            "const done = arguments[0]; axe.run({preload: false}).then((found) => done("
            "found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])));")


@needs_browser
class SiteBrowserTest(SiteCase):
    def visit(self, size=DESKTOP, scheme="light"):
        self.serve()
        visit = Visit(self, self.server.url)
        visit.look(size, scheme)
        return visit

    def test_b460_the_main_path_on_every_size_in_light_and_dark(self):
        visit = self.visit()
        window = visit.window
        for size in SIZES:
            for scheme in SCHEMES:
                visit.look(size, scheme)
                visit.open("/")
                visit.click("main .door.first", "body.docs #documentation")
                visit.click("main a[href$='#proxies']", "#proxies")
                window.one("#ask").send_keys("channel" + Keys.ENTER)
                window.wait(lambda: window.find("#results li"), "results")
                visit.check("/search")
                visit.click("#results a", "body.docs #waiting")
                visit.click(".turn a[rel=prev]", "#documentation")
                visit.click(".ways a[href='/demos']", "#helloworld")
                for language in ("de", "ja", "he"):
                    visit.click(".tongues a[hreflang=%s]" % language, "html[lang=%s]" % language)
                visit.click(".ways a[href='/he/downloads']", "#files")
                visit.click(".mark", "html[lang=he] #say")

    def test_b463_two_people_talk(self):
        visit = self.visit(PHONE)
        window, driver = visit.window, visit.driver

        def said():
            return [one.text for one in window.find("#messages p")]
        visit.open("/")
        first = driver.current_window_handle
        window.wait(lambda: window.one("#waiting").text.startswith("Only this page"), "a poll")
        driver.switch_to.new_window("tab")
        driver.get(self.server.url + "/he/")
        window.one("#name").send_keys(u"נועה")
        window.one("#text").send_keys(u"<b>שלום</b>" + Keys.ENTER)
        window.wait(lambda: said() == [u"נועה <b>שלום</b>"], "the message here")
        self.assertEqual("", window.one("#text").get_attribute("value"))
        driver.switch_to.window(first)
        window.wait(lambda: said() == [u"נועה <b>שלום</b>"], "the message there")
        window.wait(lambda: "2 pages are waiting" in window.one("#waiting").text, "two pages")
        self.assertEqual(2, len(window.find("#seeds .lit")))
        self.assertEqual([], window.complaints())

    def test_b463_who_posts_too_fast_is_told(self):
        visit = self.visit(PHONE)
        visit.open("/")
        window = visit.window
        window.one("#name").send_keys("Ada")
        for number in range(website.room.BURST + 1):
            window.one("#text").send_keys("%d" % number + Keys.ENTER)
            window.wait(lambda: window.one("#state").text or
                        not window.one("#text").get_attribute("value"), "an answer")
        self.assertEqual("Not so fast, please: wait a few seconds.", window.one("#state").text)
        # What was not accepted can be sent again.
        self.assertEqual("%d" % website.room.BURST, window.one("#text").get_attribute("value"))

    @pytest.mark.skipif(not os.path.exists(AXE), reason="needs axe-core in FRIENDSERVE_NODE")
    def test_b460_axe_finds_nothing(self):
        visit = self.visit()
        for size, scheme in (((320, 800), "dark"), (DESKTOP, "light")):
            visit.look(size, scheme)
            for path in ("/", "/he/", "/ja/demos", "/downloads", "/docs/how-to/waiting",
                         "/search?q=channel", "/search?q=zebra", "/nothing"):
                visit.driver.get(self.server.url + path)
                self.assertEqual([], visit.judge(), (path, size, scheme))


@needs_browser
@pytest.mark.skipif(sphinx is None, reason="needs Sphinx: python -m pip install '.[docs]'")
class WholeSiteTest(unittest.TestCase):
    """The site with the real documentation, as files that the browser opens without a server."""
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.pages = website.pages.build(os.path.join(cls.folder, "pages"))
        cls.site = os.path.join(cls.folder, "site")
        build.build(cls.site, cls.pages, os.path.join(cls.folder, "files"))
        cls.files = read_site(cls.site)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def test_b464_links_and_anchors_of_the_whole_site(self):
        self.assertGreater(len(self.files), 90)
        self.assertEqual([], broken_links(self.files))

    @pytest.mark.skipif(not os.path.exists(VNU) or not find_program("java"),
                        reason="needs java, and vnu-jar in FRIENDSERVE_NODE")
    def test_b464_the_whole_site_is_valid(self):
        # The pages of modules are all made by the same program: one is enough.
        names = [os.path.join(self.site, name) for name in self.files if name.endswith(".html")
                 and (not name.startswith("docs/reference/api/") or name.endswith("/web.html"))]
        process = subprocess.Popen(
            ["timeout", "%d" % (8 * PATIENCE), "java", "-Xss4m", "-jar", VNU, "--skip-non-html",
             "--errors-only", "--format", "json"] + names, stderr=subprocess.PIPE)
        errors = json.loads(process.communicate()[1].decode("utf-8"))["messages"]
        self.assertEqual([], [(os.path.relpath(one["url"], "file:" + self.site), one["message"],
                               one.get("extract")) for one in errors])
        self.assertEqual(0, process.returncode)

    def check_answers(self, answers, begin, end):
        """`answers` are the addresses of the first results."""
        self.assertEqual([], [
            (question, pages, found) for (question, pages), found in zip(QUESTIONS, answers)
            if found.partition("#")[0] not in [begin + page + end for page in pages.split()]])

    def test_b462_the_right_page_is_first(self):
        docs = website.pages.Docs(self.pages)
        self.addCleanup(docs.close)
        if docs.index is not None:
            self.check_answers([docs.search(question)[0].path for question, _ in QUESTIONS],
                               "/docs/", "")

    def test_b462_the_script_finds_the_same_from_files(self):
        visit = Visit(self, "file://" + self.site)
        visit.look(PHONE, "light")
        visit.open("/index.html")
        visit.click("main .door.first", "body.docs")
        visit.window.one("#ask").send_keys("zebra" + Keys.ENTER)
        visit.window.wait(lambda: "Nothing found" in visit.window.one("#found").text, "no result")
        self.check_answers(visit.driver.execute_script(
            "return arguments[0].map((one) => friendserveSearch(one)[0][0])",
            [question for question, _ in QUESTIONS]), "docs/", ".html")

    @pytest.mark.skipif(not os.path.exists(AXE), reason="needs axe-core in FRIENDSERVE_NODE")
    def test_b461_axe_finds_nothing_in_the_documentation(self):
        visit = Visit(self, "file://" + self.site)
        for size, scheme in (((320, 800), "light"), (DESKTOP, "dark")):
            visit.look(size, scheme)
            for page in ("index", "how-to/porting", "reference/api/locks", "reference/settings"):
                visit.open("/docs/%s.html" % page)
                self.assertEqual([], visit.judge(), (page, size, scheme))


if __name__ == "__main__":
    unittest.main()
