# coding: utf-8
"""The demos facebook and twitter in Chromium: sign-in, a post, sign-out; on phones, in four
languages."""
from __future__ import absolute_import, division, print_function

import unittest

from tests.browsercase import DESKTOP, Window, needs_browser
from tests.signincase import FacebookDemo, TwitterDemo

pytestmark = needs_browser

WIDTHS = (320, 390, 1280)


class Streams(object):
    @classmethod
    def setUpClass(cls):
        cls.demo = cls.DEMO()
        cls.window = Window(DESKTOP)
        cls.driver = cls.window.driver

    @classmethod
    def tearDownClass(cls):
        cls.window.quit()
        cls.demo.close()

    def setUp(self):
        self.driver.delete_all_cookies()
        self.driver.get(self.demo.url + "/")

    def press(self, selector, then):
        """Press it, and wait for an element of the next page."""
        self.window.one(selector).click()
        self.window.wait(lambda: self.window.find(then), then)

    def sign_in(self):
        self.press("a.primary", "#allow")
        self.press("#allow", ".composer")

    def texts(self):
        # At once, because the page may be replaced between two questions.
        return self.driver.execute_script(
            "return Array.from(document.querySelectorAll('.text'), (one) => one.innerText)")

    def complaints(self):
        return [line for line in self.window.complaints() if "403" not in line]

    def test_sign_in_post_and_sign_out(self):
        self.press("a.primary", "#deny")
        self.press("#deny", "#problem")
        self.assertEqual("The sign-in was cancelled.", self.window.one("#problem").text)
        self.sign_in()
        count = len(self.texts())
        self.window.one("textarea").send_keys(u"<b>caf\xe9</b> / שלום")
        self.window.one(".composer .primary").click()
        self.window.wait(lambda: len(self.texts()) > count, "the post")
        self.assertEqual(u"<b>caf\xe9</b> / שלום", self.texts()[0])
        self.driver.refresh()
        self.assertEqual(count + 1, len(self.texts()))
        self.press(".bar button", "a.primary")
        self.assertEqual([], self.texts())
        self.assertEqual([], self.complaints())

    def test_two_tabs(self):
        self.press("a.primary", "#allow")
        first = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        self.driver.get(self.demo.url + "/")
        self.sign_in()
        self.driver.switch_to.window(first)
        self.press("#allow", ".composer")
        self.driver.close()
        self.driver.switch_to.window(self.driver.window_handles[0])

    def test_four_languages_fit_on_phones(self):
        for language in ("en_US", "de", "he", "ja"):
            self.press(".languages [value='%s']" % language,
                       ".languages [value='%s'][aria-current]" % language)
            self.assert_fits()
            self.sign_in()
            self.assert_fits()
            # Times are in the words of the page's language.
            self.assertEqual(["rtl" if language == "he" else "ltr"], self.driver.execute_script(
                "return Array.from(new Set(Array.from(document.querySelectorAll('time'),"
                " (time) => getComputedStyle(time).direction)))"))
            self.press(".bar button", "a.primary")
        self.assertEqual([], self.complaints())

    def assert_fits(self):
        for width in WIDTHS:
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500})
            self.assertEqual(width, self.driver.execute_script("return innerWidth"))
            self.assertLessEqual(self.driver.execute_script(
                "return document.documentElement.scrollWidth"), width)
            # A button is not laid over the text next to it.
            self.assertEqual([], self.driver.execute_script("""
                return Array.from(document.querySelectorAll('a.primary'), (link) => [
                    link.getBoundingClientRect(), link.parentNode.getBoundingClientRect()]
                ).filter(([link, parent]) => link.top < parent.top || link.bottom > parent.bottom
                ).map(String)"""))


class FacebookBrowserTest(Streams, unittest.TestCase):
    DEMO = FacebookDemo


class TwitterBrowserTest(Streams, unittest.TestCase):
    DEMO = TwitterDemo


if __name__ == "__main__":
    unittest.main()
