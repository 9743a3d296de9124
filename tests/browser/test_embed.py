"""The status page of demos/embed in Chromium: it stays current, and says when it cannot."""
from __future__ import absolute_import, division, print_function

import os
import unittest

from friendserve.loopthread import LoopThread
from tests import PATIENCE, ROOT
from tests.browsercase import PHONE, Window, needs_browser
from tests.demo_server import load_demo

pytestmark = needs_browser


class StatusPageTest(unittest.TestCase):
    def setUp(self):
        self.demo = load_demo(os.path.join(ROOT, "demos", "embed", "statuspage.py"))
        self.start(0)
        self.window = Window(PHONE)
        self.addCleanup(self.window.quit)
        self.window.driver.get(self.url)

    def start(self, port):
        self.thread = LoopThread()
        self.addCleanup(self.thread.stop, PATIENCE)
        self.thread.start()
        self.page = self.thread.call(self.demo.StatusPage, u"A <b>bold</b> program",
                                     [u"clients", u"lines"])
        self.url = self.thread.call(self.page.listen, port)

    def wait_for(self, selector, text):
        self.window.wait(lambda: self.window.one(selector).text == text,
                         "%s shows %s" % (selector, text))

    def test_b299_the_page_follows(self):
        self.wait_for("h1", u"A <b>bold</b> program")
        self.wait_for("#contact", u"Live")
        self.wait_for("#quiet", u"Nothing has happened yet.")
        self.thread.call(self.page.tell, u"<i>something</i> has happened " + u"x" * 100)
        self.thread.call(self.page.count, u"lines", 12345)
        self.window.wait(lambda: u"12,345" in self.window.one("#figures").text, "the new figure")
        self.assertIn(u"<i>something</i> has happened", self.window.one("#events").text)
        self.assertFalse(self.window.one("#quiet").is_displayed())
        width, room = self.window.driver.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        self.assertLessEqual(width, room)
        self.assertEqual([], self.window.complaints())

    def test_b299_a_program_that_ends_and_returns(self):
        self.wait_for("#contact", u"Live")
        self.thread.stop(PATIENCE)
        self.wait_for("#contact", u"Lost contact")
        self.start(int(self.url.rstrip("/").rpartition(":")[2]))
        self.wait_for("#contact", u"Live")
        self.thread.call(self.page.count, u"clients", 7)
        self.window.wait(lambda: u"7" in self.window.one("#figures").text, "the new figure")
