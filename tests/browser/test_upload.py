"""The upload demo in Chromium: files with a progress bar, and the list of stored files."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import tempfile
import unittest

from tests import ROOT
from tests.browsercase import PHONE, Window, needs_browser
from tests.demo_server import DemoServer, load_demo

pytestmark = needs_browser


class UploadTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.stored = os.path.join(self.folder, "stored")
        os.mkdir(self.stored)
        demo = load_demo(os.path.join(ROOT, "demos", "upload", "upload.py"))
        server = DemoServer(lambda: demo.make_application(self.stored, 50000000))
        self.addCleanup(server.stop)
        self.window = Window(PHONE)
        self.addCleanup(self.window.quit)
        self.driver = self.window.driver
        self.driver.get(server.url + "/")

    def choose(self, *files):
        """Choose files, (name, content), in the page."""
        paths = []
        for name, content in files:
            paths.append(os.path.join(self.folder, name))
            with open(paths[-1], "wb") as target:
                target.write(content)
        self.window.find("#file")[0].send_keys("\n".join(paths))

    def shown(self):
        """The names in the list; None while the page is being reloaded."""
        return self.driver.execute_script(
            "return Array.from(document.querySelectorAll('.files a'), a => a.textContent)")

    def test_files_arrive_and_are_shown(self):
        large = os.urandom(30000000)
        # Record the values of every bar: they disappear with the page.
        self.driver.execute_script("""
            sessionStorage.seen = "";
            new MutationObserver(() => {
                for (const bar of document.querySelectorAll("progress"))
                    sessionStorage.seen += bar.value + " ";
            }).observe(document.body, {subtree: true, childList: true, characterData: true,
                                       attributes: true});
        """)
        self.choose(("large.bin", large), (u"\u05e9\u05dc\u05d5\u05dd.txt", b"small"))
        self.window.wait(lambda: len(self.shown() or ()) == 2, "two files")
        self.assertEqual({u"large.bin", u"\u05e9\u05dc\u05d5\u05dd.txt"}, set(self.shown()))
        values = [float(value) for value in
                  self.driver.execute_script("return sessionStorage.seen").split()]
        self.assertIn(1, values)
        name, = [name for name in os.listdir(self.stored) if name.endswith("large.bin")]
        with open(os.path.join(self.stored, name), "rb") as source:
            self.assertEqual(large, source.read())

    def test_one_that_is_too_large_is_said_and_not_sent(self):
        self.choose(("huge.bin", b"x" * 50000001))
        self.window.wait(lambda: "too large" in self.window.find("#progress")[0].text, "the words")
        self.assertEqual([], os.listdir(self.stored))

    def test_deleted(self):
        self.choose(("a.txt", b"a"))
        self.window.wait(lambda: self.shown() == ["a.txt"], "the file")
        self.window.find(".files button")[0].click()
        self.window.wait(lambda: self.shown() == [], "an empty list")
        self.assertEqual([], os.listdir(self.stored))
