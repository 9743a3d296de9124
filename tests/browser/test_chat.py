# coding: utf-8
"""The chat demo in Chromium, driven through chromedriver."""
from __future__ import absolute_import, division, print_function

import os
import re
import subprocess
import sys
import unittest

from tests import ROOT
from tests.browsercase import DESKTOP, PHONE, Keys, Window, needs_browser
from tests.demo_server import CHAT, ChatServer

pytestmark = needs_browser


class Demo(object):
    """The demo as users start it, in a separate process."""

    def __init__(self, port=0):
        environment = dict(os.environ, PYTHONPATH=ROOT, CHAT_COOKIE_SECRET="of the tests")
        self.process = subprocess.Popen(
            [sys.executable, CHAT, "--port=%d" % port], env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline().decode("utf-8")
        self.url = re.search("http://127.0.0.1:[0-9]+/", line).group()
        self.port = int(self.url.split(":")[2].strip("/"))

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class ChatBrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phone = Window(PHONE)
        try:
            cls.desktop = Window(DESKTOP)
        except Exception:
            cls.phone.quit()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.phone.quit()
        cls.desktop.quit()

    def setUp(self):
        # Cookies do not know ports: they would be sent to the next test's server too.
        for window in (self.phone, self.desktop):
            window.driver.get("about:blank")
            window.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
            window.driver.execute_cdp_cmd(
                "Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
            window.complaints()

    def start_demo(self, port=0):
        demo = Demo(port)
        self.addCleanup(demo.stop)
        return demo

    def enter_both(self, url):
        self.phone.enter(url, "Ada")
        self.desktop.enter(url, "Grace")

    def test_messages_cross_both_ways(self):
        self.enter_both(self.start_demo().url)
        self.phone.type("Hello from the phone" + Keys.ENTER)
        self.desktop.wait_for_texts("Hello from the phone")
        self.desktop.type("two" + Keys.SHIFT + Keys.ENTER + Keys.SHIFT + "lines" + Keys.ENTER)
        for window in (self.phone, self.desktop):
            window.wait_for_texts("Hello from the phone", "two\nlines")
            window.wait_for_state("Connected")
            self.assertEqual([], window.complaints())
        self.assertEqual("two\nlines", self.desktop.one(".own .text").text)
        self.assertEqual("Hello from the phone", self.phone.one(".own .text").text)
        self.assertEqual(["Grace"], [name.text for name in self.phone.find(
            ".message:not(.own) .name")])
        self.assertEqual("", self.phone.one("#text").get_property("value"))

    def way(self, window):
        """How messages reach a window."""
        return window.driver.execute_script("return document.body.dataset.way")

    def choose(self, window, way):
        window.driver.execute_script(
            "document.getElementById('online').open = true;"
            "const s = document.getElementById('transport'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('change'));"
            "document.getElementById('online').open = false;", way)
        window.wait(lambda: self.way(window) == way, "messages come by " + way)
        window.wait_for_focus("text")

    def test_each_way_delivers_in_one_room(self):
        self.enter_both(self.start_demo().url)
        self.phone.wait(lambda: self.way(self.phone) == "socket", "a WebSocket without a choice")
        said = []
        for there, here in [("poll", "socket"), ("stream", "poll"), ("socket", "stream")]:
            self.choose(self.phone, there)
            self.choose(self.desktop, here)
            for window in (self.phone, self.desktop):
                said.append("to %s from %s" % (there, here) if window is self.desktop
                            else "to %s from %s" % (here, there))
                window.type(said[-1] + Keys.ENTER)
                for each in (self.phone, self.desktop):
                    each.wait_for_texts(*said)
                    each.wait_for_state("Connected")
            # The choice is kept, and nothing appears twice.
            self.phone.driver.refresh()
            self.phone.wait(lambda: self.way(self.phone) == there, "still " + there)
            self.phone.wait_for_focus("text")
            self.phone.wait_for_texts(*said)
        for window in (self.phone, self.desktop):
            self.assertEqual([], window.complaints())

    def test_a_reload_misses_nothing(self):
        self.enter_both(self.start_demo().url)
        texts = []
        for way in ("poll", "stream", "socket"):
            self.choose(self.phone, way)
            self.phone.driver.get("about:blank")
            texts.append("said meanwhile, " + way)
            self.desktop.type(texts[-1] + Keys.ENTER)
            self.desktop.wait_for_texts(*texts)
            self.phone.driver.back()
            self.phone.wait_for_texts(*texts)

    def test_a_way_that_is_blocked_falls_back(self):
        server = ChatServer()
        self.addCleanup(server.stop)
        server.demo.SocketHandler.prepare = lambda handler: handler.send_error(502)
        self.phone.enter(server.url, "Ada")
        self.phone.wait(lambda: self.way(self.phone) == "stream", "an event stream")
        server.demo.EventsHandler.prepare = lambda handler: handler.send_error(502)
        self.phone.driver.refresh()
        self.phone.wait(lambda: self.way(self.phone) == "poll", "a long poll")
        self.phone.type("still here" + Keys.ENTER)
        self.phone.wait_for_texts("still here")

    def test_b458_messages_after_a_gap_are_of_the_same_day(self):
        server = ChatServer()
        self.addCleanup(server.stop)
        news = server.application.news
        server.application.news = lambda batch, cursor: news(
            batch._replace(complete=False) if batch.messages else batch, cursor)
        self.phone.enter(server.url, "Ada")
        for texts in (("one",), ("one", "two")):
            self.phone.type(texts[-1] + Keys.ENTER)
            self.phone.wait_for_texts(*texts)
        self.assertEqual(["day", "notice", "message", "notice", "message"], [
            item.get_attribute("class").split()[0]
            for item in self.phone.find("#messages > li")][-5:])
        self.assertEqual(1, len(self.phone.find(".day")))

    def online(self, window):
        return window.driver.execute_script(
            "return Array.from(document.querySelectorAll('#online li'), (li) => li.textContent)")

    def test_who_is_online(self):
        server = ChatServer()
        self.addCleanup(server.stop)
        server.demo.GRACE = 0.05
        self.phone.enter(server.url, "Ada")
        self.phone.wait(lambda: self.online(self.phone) == ["Ada"], "Ada alone")
        for way in ("poll", "stream", "socket"):
            self.desktop.driver.get("about:blank")
            self.phone.wait(lambda: self.online(self.phone) == ["Ada"], "Ada alone")
            if way == "poll":
                self.desktop.enter(server.url + "/?transport=poll", "Grace")
            else:
                self.desktop.driver.get(server.url + "/?transport=" + way)
            for window in (self.phone, self.desktop):
                window.wait(lambda: self.online(window) == ["Ada", "Grace"], "both, by " + way)
                self.assertEqual("2 online", window.one("#online summary").text)

    def test_in_the_direction_of_the_reader(self):
        self.enter_both(self.start_demo().url)
        self.phone.one("#online summary").click()
        self.phone.one("#online button[lang=he]").click()
        self.phone.wait(lambda: self.phone.find("html[dir=rtl]"), "Hebrew")
        self.phone.wait_for_focus("text")
        self.phone.wait_for_state(u"מחובר")
        for window, text in ((self.phone, u"שלום לכולם!"), (self.desktop, u"Hello, all!")):
            window.type(text + Keys.ENTER)
            for each in (self.phone, self.desktop):
                each.wait(lambda: text in each.texts(), "the text")
        directions = "return Array.from(document.querySelectorAll('.message .text'), " \
                     "(text) => getComputedStyle(text).direction)"
        for window in (self.phone, self.desktop):
            self.assertEqual(["rtl", "ltr"], window.driver.execute_script(directions))
        self.assertEqual([], self.phone.complaints())

    def test_nothing_is_wider_than_the_window(self):
        self.enter_both(self.start_demo().url)
        self.phone.type("w" * 300 + Keys.ENTER)
        for window in (self.phone, self.desktop):
            window.wait_for_texts("w" * 300)
            for element in ("document.documentElement", "document.getElementById('log')"):
                self.assertEqual([0, 0], window.driver.execute_script(
                    "const e = %s; e.scrollLeft = 100;"
                    "return [e.scrollLeft, Math.max(0, e.scrollWidth - e.clientWidth)]" % element))

    def test_reload_keeps_history_and_draft(self):
        self.enter_both(self.start_demo().url)
        self.phone.type("first" + Keys.ENTER)
        self.desktop.wait_for_texts("first")
        self.desktop.type("not yet sent")
        self.desktop.driver.refresh()
        self.desktop.wait_for_texts("first")
        self.assertEqual("not yet sent", self.desktop.one("#text").get_property("value"))
        self.phone.type("second" + Keys.ENTER)
        self.desktop.wait_for_texts("first", "second")
        self.phone.wait_for_texts("first", "second")

    def test_markup_is_text_and_addresses_are_links(self):
        self.enter_both(self.start_demo().url)
        text = "<img src=x onerror=alert(1)> see http://example.org/a?b=1."
        self.phone.type(text + Keys.ENTER)
        for _ in range(2):
            self.desktop.wait_for_texts(text)
            self.assertEqual([], self.desktop.find(".message img"))
            self.assertEqual("http://example.org/a?b=1",
                             self.desktop.one(".message a").get_attribute("href"))
            self.desktop.driver.refresh()
        self.assertEqual([], self.desktop.complaints())

    def test_nothing_is_lost_or_doubled_when_the_server_restarts(self):
        demo = self.start_demo()
        self.enter_both(demo.url)
        self.phone.type("before" + Keys.ENTER)
        self.desktop.wait_for_texts("before")
        demo.stop()
        for window in (self.phone, self.desktop):
            window.wait_for_state("Reconnecting…")
        self.phone.type("while away 1" + Keys.ENTER)
        self.phone.type("while away 2" + Keys.ENTER)
        self.assertEqual(2, len(self.phone.find(".message.pending")))
        self.start_demo(demo.port)
        for window in (self.phone, self.desktop):
            # The tab that comes to the front does not wait for the end of its pause.
            window.driver.execute_script("dispatchEvent(new Event('online'))")
            window.wait_for_texts("before", "while away 1", "while away 2")
            window.wait_for_state("Connected")
            self.assertEqual([], window.find(".pending"))

    def test_what_waits_in_the_outbox_survives_a_new_sign_in(self):
        demo = self.start_demo()
        self.phone.enter(demo.url, "Ada")
        demo.stop()
        self.phone.wait_for_state("Reconnecting…")
        self.phone.type("kept" + Keys.ENTER)
        self.start_demo(demo.port)
        self.phone.driver.delete_cookie("name")
        self.phone.driver.execute_script("dispatchEvent(new Event('online'))")
        self.phone.sign_in("Ada")
        self.phone.wait_for_texts("kept")

    def test_old_messages_stay_in_sight_while_one_reads_them(self):
        self.enter_both(self.start_demo().url)
        lines = ["line %d" % number for number in range(30)]
        for line in lines:
            self.desktop.type(line + Keys.ENTER)
        self.phone.wait_for_texts(*lines)
        end = "const l = document.getElementById('log'); return l.scrollHeight - l.scrollTop - " \
              "l.clientHeight < 2"
        self.phone.wait(lambda: self.phone.driver.execute_script(end), "scrolled to the end")
        self.phone.driver.execute_script("document.getElementById('log').scrollTop = 0")
        self.phone.wait(lambda: not self.phone.driver.execute_script(end), "scrolled to the top")
        self.desktop.type("newest" + Keys.ENTER)
        self.phone.wait(lambda: self.phone.one("#latest").is_displayed(), "told of a new message")
        self.assertFalse(self.phone.driver.execute_script(end))
        self.phone.one("#latest").click()
        self.phone.wait(lambda: self.phone.driver.execute_script(end), "scrolled to the end")
        self.assertFalse(self.phone.one("#latest").is_displayed())

    def test_b173_who_leaves_the_page_is_forgotten_until_the_way_back(self):
        server = ChatServer()
        self.addCleanup(server.stop)
        self.enter_both(server.url)
        server.wait_for_waiters(2)
        self.phone.driver.get("about:blank")
        server.wait_for_waiters(1)
        self.desktop.type("alone" + Keys.ENTER)
        self.desktop.wait_for_texts("alone")
        server.wait_for_waiters(1)
        self.phone.driver.back()
        self.phone.wait_for_texts("alone")
        server.wait_for_waiters(2)

    def test_b173_closed_window_is_forgotten(self):
        server = ChatServer()
        self.addCleanup(server.stop)
        first = self.phone.driver.current_window_handle
        self.phone.driver.switch_to.new_window("window")
        self.phone.enter(server.url, "Ada")
        server.wait_for_waiters(1)
        self.phone.driver.close()
        self.phone.driver.switch_to.window(first)
        server.wait_for_waiters(0)


if __name__ == "__main__":
    unittest.main()
