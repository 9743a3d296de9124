# coding: utf-8
"""The life of the blog in Chromium: an account, a letter, a comment, the feed, two languages."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import tempfile
from xml.etree import ElementTree

from six.moves.urllib.request import urlopen

from friendserve import locale
from tests import PATIENCE, ROOT
from tests.blogcase import ATOM, FOLDER, PASSWORD, blog, store
from tests.browsercase import DESKTOP, PHONE, Window, needs_browser
from tests.demo_server import DemoServer, load_demo
from tests.localecase import LocaleCase

pytestmark = needs_browser


class PageCase(LocaleCase):
    """A window on a demo that is served from a thread."""
    size = DESKTOP

    def open(self, make_application):
        server = DemoServer(make_application)
        self.addCleanup(server.stop)
        self.server = server
        self.window = Window(self.size)
        self.addCleanup(self.window.quit)
        self.driver = self.window.driver
        self.driver.get(server.url + "/")

    def one(self, selector):
        found = self.window.find(selector)
        self.assertEqual(1, len(found), selector)
        return found[0]

    def fill(self, **fields):
        for name, value in fields.items():
            field = self.one("main [name=%s]" % name)
            field.clear()
            field.send_keys(value)

    def send(self, selector="main button"):
        """Press a button and wait for the next page."""
        before = self.one("html")
        self.one(selector).click()
        self.window.wait(
            lambda: self.window.find("html") != [before] and self.driver.execute_script(
                "return document.readyState") == "complete", "another page")

    def follow(self, selector):
        self.send(selector)

    def assert_fits(self):
        """The page is not wider than the window."""
        self.assertLessEqual(*self.driver.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"))


class BlogCase(PageCase):
    def setUp(self):
        super(BlogCase, self).setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        url = "sqlite:///" + os.path.join(self.folder, "blog.db")

        def make():
            locale.load_translations(os.path.join(FOLDER, "translations"))
            store.make_tables(url)
            application = blog.BlogApplication(url, "a secret of the tests only")
            self.addCleanup(application.pool.close)
            return application
        self.open(make)

    def use(self, window):
        self.window, self.driver = window, window.driver

    def join(self, name):
        self.follow("nav a[href='/join']")
        self.fill(name=name, password=PASSWORD)
        self.send()

    def write(self):
        self.follow("nav a[href='/compose']")
        self.fill(title=u"A letter from the sea", text=u"The wind is *strong*.\n\n- salt\n- sand")
        self.send()


class BlogTest(BlogCase):
    def test_whole_life(self):
        self.join(u"Ada")
        self.assertIn(u"Ada", self.one("nav").text)
        self.write()
        self.assertEqual(u"A letter from the sea", self.one("article h1").text)
        self.assertEqual(u"strong", self.one("article em").text)
        self.assertEqual(2, len(self.window.find("article li")))

        self.follow("article a[href^='/compose']")
        self.assertEqual(u"A letter from the sea", self.one("#title").get_attribute("value"))
        self.fill(text=u"The wind is *gone*.")
        self.send()
        self.assertEqual(u"gone", self.one("article em").text)

        # Others read it, and say something.
        self.send("nav button")
        self.join(u"Noa")
        self.follow("article h2 a")
        self.fill(text=u"נפלא!\nhttps://example.com/")
        self.send()
        self.assertEqual(u"1 comment", self.one("#comments h2").text)
        self.assertIn(u"נפלא!", self.one(".comment").text)
        self.assertEqual(u"rtl", self.driver.execute_script(
            "return getComputedStyle(document.querySelector('.comment p + p')).direction"))
        self.assertEqual(u"https://example.com/", self.one(".comment a").get_attribute("href"))
        self.assertEqual([], self.window.find("article a[href^='/compose']"))

        # As a program that gathers feeds would.
        feed = urlopen(self.one("link[rel=alternate]").get_attribute("href"), timeout=PATIENCE)
        self.addCleanup(feed.close)
        entry = ElementTree.fromstring(feed.read()).find(ATOM + "entry")
        self.assertEqual(u"A letter from the sea", entry.find(ATOM + "title").text)
        self.assertIn(u"<em>gone</em>", entry.find(ATOM + "content").text)
        self.driver.get(entry.find(ATOM + "link").get("href"))
        self.assertEqual(u"A letter from the sea", self.one("article h1").text)

        # In two more languages, one of them from right to left.
        self.send("footer button[value=de]")
        self.assertEqual(u"1 Kommentar", self.one("#comments h2").text)
        self.send("footer button[value=he]")
        self.assertEqual(u"תגובה אחת", self.one("#comments h2").text)
        self.assertEqual(u"rtl", self.one("html").get_attribute("dir"))
        self.follow("a[href='/archive']")
        self.assertEqual(u"A letter from the sea", self.one(".titles a").text)
        self.assertEqual([], self.window.complaints())

    def test_a_wrong_password_and_a_right_one(self):
        self.join(u"Ada")
        self.send("nav button")
        self.follow("nav a[href='/login']")
        self.fill(name=u"Ada", password=u"not the one")
        self.send()
        self.assertIn(u"password is wrong", self.one(".problem").text)
        self.fill(password=PASSWORD)
        self.send()
        self.assertIn(u"Ada", self.one("nav").text)


class BlogOnTwoDevicesTest(BlogCase):
    def test_b480_signing_out_on_all_devices(self):
        self.join(u"Ada")
        desk, phone = self.window, Window(PHONE)
        self.addCleanup(phone.quit)
        self.use(phone)
        self.driver.get(self.server.url + "/login")
        self.fill(name=u"Ada", password=PASSWORD)
        self.send()
        self.assertIn(u"Ada", self.one("nav").text)
        self.follow("nav a[href='/compose']")
        self.use(desk)
        self.send("footer button[name=everywhere]")
        self.assertIn(u"Sign in", self.one("nav").text)
        self.use(phone)
        self.fill(title=u"A letter", text=u"of whom?")
        self.send()
        self.assertEqual(u"403", self.one("h1").text)
        self.assertIn(u"Sign in", self.one("nav").text)
        self.driver.get(self.server.url + "/")
        self.assertEqual([], self.window.find("article"))
        self.assertEqual([], self.window.find("footer button[name=everywhere]"))


class BlogOnAPhoneTest(BlogTest):
    size = PHONE

    def test_it_fits(self):
        self.assert_fits()
        self.join(u"Ada of a very long name, forty letters!!")
        self.write()
        self.assert_fits()
        self.driver.get(self.server.url + "/compose")
        self.assert_fits()
        self.send("footer button[value=he]")
        self.assert_fits()


class LocalizedTest(PageCase):
    """The localized demo, in the same way."""
    size = PHONE

    def test_a_reader_chooses(self):
        demo = load_demo(os.path.join(ROOT, "demos", "localized", "localized.py"))
        self.open(demo.make_application)
        self.assertIn(u"3 guests are coming.", self.one("main").text)
        self.send("button[lang=he]")
        self.assertEqual(u"rtl", self.one("html").get_attribute("dir"))
        self.assertIn(u"3 אורחים מגיעים.", self.one("main").text)
        left = self.driver.execute_script(
            "return document.querySelector('h1').getBoundingClientRect().right > innerWidth / 2")
        self.assertTrue(left)
        self.follow("nav a[href='/?guests=1']")
        self.assertIn(u"אורח אחד מגיע.", self.one("main").text)
        self.assert_fits()
        self.send("button[lang=ja]")
        self.assertIn(u"1人が来ます。", self.one("main").text)
