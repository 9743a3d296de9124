# coding: utf-8
"""How the pages of the demos and of errors look: nothing overflows, and no text is under another,
in the widths of phones and desks and in four languages."""
from __future__ import absolute_import, division, print_function

import os

from friendserve import locale
from friendserve.loopthread import LoopThread
from friendserve.web import Application, RequestHandler
from tests import PATIENCE, ROOT
from tests.blogcase import FOLDER, PASSWORD, blog, store
from tests.browsercase import needs_browser
from tests.demo_server import ChatServer, DemoServer, load_demo
from tests.gallerycase import LANGUAGES, GalleryCase

pytestmark = needs_browser

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
                            ("404", "/pag")):
            self.look("debug-" + title, debug.url + path, complaints=["status of"])
        self.assert_fits()
