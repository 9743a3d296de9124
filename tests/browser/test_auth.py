# coding: utf-8
"""Sign-in in Chromium: redirect, consent, return, sign-out; in two tabs; on phones."""
from __future__ import absolute_import, division, print_function

import unittest

from tests.browsercase import DESKTOP, PHONE, Window, needs_browser
from tests.signincase import AuthDemo

pytestmark = needs_browser


class AuthBrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = AuthDemo()

    @classmethod
    def tearDownClass(cls):
        cls.demo.close()

    def open(self, size=DESKTOP):
        self.window = Window(size)
        self.addCleanup(self.window.quit)
        self.driver = self.window.driver
        self.driver.get(self.demo.url + "/")

    def press(self, selector, then):
        """Press it, and wait for an element of the next page."""
        self.window.one(selector).click()
        self.window.wait(lambda: self.window.find(then), then)

    def names(self):
        return [found.text for found in self.window.find(".identity h2")]

    def assert_fits(self):
        self.assertLessEqual(*self.driver.execute_script(
            "return [document.documentElement.scrollWidth, screen.width]"))

    def test_whole_round_trip(self):
        self.open()
        self.press("[href='/auth/harbour']", ".person")
        self.press(".person[value='2']", "#harbour")
        self.assertEqual([u"נועה לוי"], self.names())
        cookies = dict((cookie["name"], cookie) for cookie in self.driver.get_cookies())
        self.assertTrue(cookies["session"]["httpOnly"])
        self.driver.refresh()
        self.assertEqual([u"נועה לוי"], self.names())
        self.press(".there", "[href='/auth/harbour']")
        self.press("[href='/auth/harbour']", ".person")
        self.press(".cancel", "#problem")
        self.assertEqual("The sign-in was cancelled.", self.window.one("#problem").text)
        self.assertEqual([], [line for line in self.window.complaints() if "403" not in line])

    def test_two_tabs(self):
        self.open()
        self.press("[href='/auth/harbour']", ".person")
        first = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        self.driver.get(self.demo.url + "/auth/lighthouse")
        self.press(".person[value='3']", "#lighthouse")
        self.assertEqual([u"佐藤花子"], self.names())
        self.driver.switch_to.window(first)
        self.press(".person[value='1']", "#harbour")
        self.assertEqual([u"Ada Lovelace", u"佐藤花子"], self.names())

    def test_phone_in_four_languages(self):
        self.open(PHONE)
        # A window cannot be as narrow as a phone.
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 1, "mobile": True})
        self.driver.refresh()
        self.assertEqual(PHONE[0], self.driver.execute_script("return screen.width"))
        for number, language in enumerate(("en_US", "de", "he", "ja")):
            self.press(".languages [value='%s']" % language,
                       ".languages [value='%s'][aria-current]" % language)
            self.assert_fits()
            self.press("[href='/auth/harbour']", ".person")
            self.assert_fits()
            self.press(".person[value='1']", "#harbour")
            self.assert_fits()
            self.press(".there", "[href='/auth/harbour']")


if __name__ == "__main__":
    unittest.main()
