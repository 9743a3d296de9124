# coding: utf-8
"""How the pages of the demos and of errors look: nothing overflows, and no text is under another,
in the widths of phones and desks and in four languages."""
from __future__ import absolute_import, division, print_function

import os

from friendserve import autoreload, locale
from friendserve.loopthread import LoopThread
from friendserve.serve.pages import Pages
from friendserve.serve.scoreboard import READY, Scoreboard
from friendserve.template import DictLoader
from friendserve.web import Application, RequestHandler
from tests import PATIENCE, ROOT
from tests.blogcase import FOLDER, PASSWORD, blog, store
from tests.browsercase import needs_browser
from tests.demo_server import ChatServer, DemoServer, load_demo
from tests.gallerycase import LANGUAGES, GalleryCase
from tests.signincase import AuthDemo, FacebookDemo, TwitterDemo

pytestmark = needs_browser

_OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true; })"

#: The characters of an element's text, sorted from left to right.
_IN_ORDER = """
const text = arguments[0].firstChild, range = document.createRange();
return Array.from(text.data, (letter, index) => {
    range.setStart(text, index);
    range.setEnd(text, index + 1);
    return [range.getBoundingClientRect().x, letter];
}).sort((a, b) => a[0] - b[0]).map(pair => pair[1]).join('');
"""

#: Long words, both directions, and scripts of other widths.
TEXTS = (u"Guten Morgen! Wer war im Donaudampfschifffahrtsgesellschaftsgebäude?",
         u"おはようございます。今日はとても良い天気ですね。", u"שלום לכולם, מה שלומכם היום?",
         u"A link: https://example.com/" + u"a-long-path/" * 12)


def demo(*names):
    return load_demo(os.path.join(ROOT, "demos", *names))


class PicturesTest(GalleryCase):
    def serve(self, make):
        server = DemoServer(make)
        self.addCleanup(server.stop)
        return server

    def test_b457_chat(self):
        server = ChatServer()
        self.addCleanup(server.stop)
        self.addCleanup(self.driver.get, "about:blank")
        locale.load_translations(os.path.join(ROOT, "demos", "chat", "translations"))
        kept = []
        names = u"Ada", u"A name that is quite long", u"Grace"
        for number, text in enumerate(TEXTS * 2):
            server.loop.add_callback(server.application.say, names[number % 3], text,
                                     "token%d" % number, kept.append, kept.append)
        for language in LANGUAGES:
            self.send("Network.clearBrowserCookies")
            self.read(language)
            self.look("chat-login", server.url + "/login")
            self.driver.get(server.url + "/login")
            self.window.sign_in("Ada")
            self.look("chat-room")
            self.look("chat-online", prepare="document.getElementById('online').open = true")
            if language == "en":
                # The sharp corner is on the side of the room, whatever the direction of a text.
                self.assertEqual({"6.4px"}, set(self.driver.execute_script(
                    "return Array.from(document.querySelectorAll("
                    "'.message:not(.own, .follows) .text'), "
                    "text => getComputedStyle(text).borderTopLeftRadius)")))
                self.assertEqual(1, len(self.window.find(".day")))
            # What scrolls is the log, not the page.
            tall, room = self.driver.execute_script(
                "return [document.documentElement.scrollHeight, innerHeight]")
            self.assertLessEqual(tall, room)
        self.assert_fits()

    def test_b457_blog(self):
        url = "sqlite:///" + os.path.join(self.folder, "blog.db")

        def make():
            locale.load_translations(os.path.join(FOLDER, "translations"))
            store.make_tables(url)
            application = blog.BlogApplication(url, "a secret of the tests only")
            self.addCleanup(application.pool.close)
            return application
        server = self.serve(make)
        self.read("en")
        self.sign_up(server.url)
        for title in (u"A plain title", u"Über Donaudampfschifffahrtsgesellschaftskapitäne",
                      u"今日の天気について", u"מכתב קצר על מזג האוויר"):
            self.post("/compose", title=title, text=(
                u"# A heading\n\n## A smaller one\n\n### The smallest\n\n" + u"\n\n".join(TEXTS)
                + u"\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n    code " + u"long " * 40))
        entry = self.driver.current_url
        self.driver.execute_script(
            "document.querySelector('#text').value = arguments[0];"
            "document.querySelector('main form').submit()", TEXTS[0])
        for language in LANGUAGES:
            self.read(language)
            for title, path in (("home", "/"), ("archive", "/archive"), ("compose", "/compose"),
                                ("entry", entry[len(server.url):]), ("join", "/join"),
                                ("login", "/login"), ("missing", "/nothing")):
                self.look("blog-" + title, server.url + path, complaints=["404 (Not Found)"])
        # The lines about an entry are on the side of its title.
        self.driver.get(server.url + "/")
        self.assertEqual("rtl", self.driver.execute_script(
            "return getComputedStyle(document.querySelector('.by')).direction"))
        self.assert_fits()

    def sign_up(self, url):
        self.driver.get(url + "/join")
        self.post("/join", name=u"Ada", password=PASSWORD)

    def post(self, path, **fields):
        """Send the form of a page by its fields."""
        self.driver.get(self.driver.current_url.split("/", 3)[0] + "//" +
                        self.driver.current_url.split("/", 3)[2] + path)
        before = self.window.one("html")
        self.driver.execute_script(
            "for (const name in arguments[0]) document.querySelector('main [name=' + name + ']')"
            ".value = arguments[0][name]; document.querySelector('main form').submit()", fields)
        self.window.wait(lambda: self.window.find("html") != [before], "another page")

    def test_b457_small_demos(self):
        stored = os.path.join(self.folder, "stored")
        os.mkdir(stored)
        for number, name in enumerate((u"a.txt", u"long-" * 20 + u"name.tar.gz", u"שלום.txt")):
            with open(os.path.join(stored, u"%012x-%s" % (number, name)), "wb") as target:
                target.write(b"x" * 10 ** (3 * number // 2))
        upload = self.serve(lambda: demo("upload", "upload.py").make_application(stored, 10 ** 9))
        for language in LANGUAGES:
            self.read(language)
            self.look("upload", upload.url + "/")
        localized = self.serve(demo("localized", "localized.py").make_application)
        for language in LANGUAGES:
            self.read(language)
            self.look("localized", localized.url + "/?guests=4")
        proxyfetch = demo("proxyfetch", "proxyfetch.py")
        service = self.serve(lambda: proxyfetch.make_service(0))
        pages = self.serve(lambda: proxyfetch.make_application(service.url))
        for language in LANGUAGES:
            self.read(language)
            for title, path in (("home", "/"), ("feed", "/feed/ada"), ("missing", "/x")):
                self.look("proxyfetch-" + title, pages.url + path, complaints=["404 (Not Found)"])
        self.assert_fits()

    def test_b457_status(self):
        thread = LoopThread()
        self.addCleanup(thread.stop, PATIENCE)
        self.addCleanup(self.driver.get, "about:blank")
        thread.start()
        page = thread.call(demo("embed", "statuspage.py").StatusPage, u"A <b>bold</b> program",
                           [u"clients", u"lines"])
        url = thread.call(page.listen, 0)
        thread.call(page.tell, u"something has happened " + u"x" * 100)
        self.read("en")
        self.look("status", url)
        self.assert_fits()

    def test_b457_errors(self):
        class Fails(RequestHandler):
            def get(self):
                raise ValueError(u"a message of some length, with a word: " + u"long" * 40)

        class Renders(RequestHandler):
            def get(self):
                self.render("page.html")

        self.write("page.html", u"<p>\n{{ 1 // 0 }}\n</p>\n" + u"<!-- " + u"wide " * 60 + u"-->\n")
        handlers = [("/", Fails), ("/page", Renders)]
        plain = self.serve(lambda: Application(handlers, template_path=self.folder))
        debug = self.serve(lambda: Application(handlers, template_path=self.folder,
                                               serve_traceback=True))
        for language in LANGUAGES:
            self.read(language)
            for title, path in (("500", "/"), ("404", "/" + "x" * 100)):
                self.look("error-" + title, plain.url + path, complaints=["status of"])
        self.read("en")
        for title, path in (("exception", "/"), ("template", "/page?a=" + "b" * 200),
                            ("404", "/pag"), ("404-long", "/" + "x" * 100)):
            self.look("debug-" + title, debug.url + path, complaints=["status of"])
        self.assert_fits()

    def test_b481_the_debug_page_with_texts_of_every_language(self):
        class Fails(RequestHandler):
            def get(self, name):
                raise ValueError(self.get_argument("text"))     # שלום, "עולם" + "חדש"

        class Renders(RequestHandler):
            def get(self):
                self.render(u"דף.html")

        template = u"<p>שלום</p>\n<p>{{ 1 // 0 }} " + u"ארוך " * 40 + u"</p>\n"
        server = self.serve(lambda: Application(
            [("/page", Renders), ("/of/(.*)", Fails)], serve_traceback=True,
            template_loader=DictLoader({u"דף.html": template}),
            title_of_ours=u"כותרת!"))
        for language, text in zip(LANGUAGES, (
                u"A name is missing!", u"Donaudampfschifffahrtsgesellschaftskapitän" * 3,
                u"名前がありません。" * 12, u"חסר שם!")):
            self.read(language)
            self.look("debug-exception", u"%s/of/%s/%s?text=%s&שם=דנה" % (
                server.url, text[:4], text[4:], text), _OPEN_ALL, complaints=["status of"])
            self.look("debug-404", u"%s/%s" % (server.url, text * 4), complaints=["status of"])
        self.look("debug-template", server.url + "/page", complaints=["status of"])
        # A text begins on its side, and the parts of a URL follow each other as in English.
        self.driver.get(server.url + u"/of/שלום/עולם?text=חסר שם!&שם=דנה")
        self.assertEqual([u"שלום", u"עולם", u"חסר שם!", u"שם", u"דנה"], self.driver.execute_script(
            "return Array.from(document.querySelectorAll('.where bdi')).sort((a, b) => "
            "a.getBoundingClientRect().x - b.getBoundingClientRect().x).map(e => e.textContent)"))
        self.assertEqual([u"!םש רסח"] * 2, [self.driver.execute_script(_IN_ORDER, element)
                                            for element in (self.window.one(".message"), [
                                                cell for cell in self.window.find("td")
                                                if cell.text == u"חסר שם!"][0])])
        self.assert_fits()

    def test_b457_the_page_of_a_service(self):
        board = Scoreboard(4)
        for slot in range(4):
            place = board.begin(slot, slot)
            place.start(4190000 + slot)
            place.state, place.connections = READY, 12345
            place.report([{"remote_ip": u"2001:db8:1111:2222:3333:4444:5555:%d" % slot,
                           "state": u"responding", "seconds": 86400,
                           "request": u"GET /" + u"a-long-path/" * 12 + u" HTTP/1.1"}])
        server = self.serve(lambda: Pages(board).by_path(connections="/")["/"])
        self.read("en")
        self.look("connections", server.url + "/")
        self.assert_fits()

    def test_b457_the_page_of_a_program_that_cannot_start(self):
        failure = u"Traceback (most recent call last):\n  File \"" + u"folder/" * 30 + u"\"\n"
        self.write("page.html", autoreload._PAGE % (failure + u"SyntaxError: לא תקין!\n"))
        self.read("en")
        self.look("autoreload", "file://" + os.path.join(self.folder, "page.html"))
        self.assert_fits()

    def test_b457_demos_of_sign_in(self):
        for name, demo_class, path, yes, no in (
                ("auth", AuthDemo, "/auth/harbour", ".person[value='2']", ".cancel"),
                ("facebook", FacebookDemo, "/auth/facebook", "#allow", "#deny"),
                ("twitter", TwitterDemo, "/auth/twitter", "#allow", "#deny")):
            program = demo_class()
            self.addCleanup(program.close)
            self.send("Network.clearBrowserCookies")
            for language in LANGUAGES:
                self.read(language)
                self.look(name + "-welcome", program.url + "/")
                self.driver.get(program.url + path)
                if name == "auth" or language == "en":
                    self.look(name + "-consent")
                self.press(no)
                self.look(name + "-problem", complaints=["403 (Forbidden)"])
            self.driver.get(program.url + path)
            self.press(yes)
            for language in LANGUAGES:
                self.read(language)
                self.look(name + "-home", program.url + "/")
            program.close()
        self.assert_fits()

    def press(self, selector):
        """Press a link or a button that leads to another page."""
        before = self.window.one("html")
        self.driver.execute_script("arguments[0].click()", self.window.one(selector))
        self.window.wait(lambda: self.window.find("html") not in ([], [before])
                         and self.driver.execute_script("return document.readyState") == "complete",
                         "another page")
