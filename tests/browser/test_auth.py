# coding: utf-8
"""Sign-in in Chromium: redirect, consent, return, sign-out; in two tabs; on phones; at the provider
of the demo, and at oidc-provider."""
from __future__ import absolute_import, division, print_function

import json
import os
import unittest

from tests import services
from tests.browsercase import DESKTOP, Window, needs_browser
from tests.signincase import AuthDemo

pytestmark = needs_browser


class CertifiedDemo(AuthDemo):
    """The demo with oidc-provider, of which it is two clients: a person may sign in as two."""
    name = "auth with oidc-provider"

    def prepare(self):
        clients = [{"client_id": name, "client_secret": "a secret of thirty-two characters",
                    "redirect_uris": ["%s/auth/%s" % (self.url, name)],
                    "post_logout_redirect_uris": [self.url + "/"],
                    "grant_types": ["authorization_code", "refresh_token"],
                    "backchannel_logout_uri": "%s/auth/%s/ended" % (self.url, name),
                    "backchannel_logout_session_required": True} for name in ("one", "two")]
        self.provider = services.OIDCProvider(clients)
        self.providers = os.path.join(self.folder, "providers.json")
        with open(self.providers, "w") as target:
            json.dump(dict((client["client_id"], {
                "label": client["client_id"].title(), "issuer": self.provider.url(),
                "key": client["client_id"], "secret": client["client_secret"]})
                for client in clients), target)

    def command(self):
        return super(CertifiedDemo, self).command() + ["--providers=" + self.providers]

    def close(self):
        super(CertifiedDemo, self).close()
        self.provider.close()


class DemoCase(unittest.TestCase):
    DEMO = None

    @classmethod
    def setUpClass(cls):
        cls.demo = cls.DEMO()
        cls.window = Window(DESKTOP)
        cls.driver = cls.window.driver

    @classmethod
    def tearDownClass(cls):
        cls.window.quit()
        cls.demo.close()

    def open(self):
        """The page of the demo in one tab, without cookies of it and of its providers."""
        for handle in self.driver.window_handles[1:]:
            self.driver.switch_to.window(handle)
            self.driver.close()
        self.driver.switch_to.window(self.driver.window_handles[0])
        self.driver.get(self.demo.url + "/")
        self.driver.delete_all_cookies()
        self.driver.refresh()

    def press(self, selector, then):
        """Press it, and wait for an element of the next page."""
        self.window.one(selector).click()
        self.window.wait(lambda: self.window.find(then), then)

    def names(self):
        return [found.text for found in self.window.find(".identity h2")]


class AuthBrowserTest(DemoCase):
    DEMO = AuthDemo

    def assert_fits(self):
        for width in (320, 390, 1280):
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500})
            self.assertLessEqual(self.driver.execute_script(
                "return document.documentElement.scrollWidth"), width)
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

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
        self.open()
        for language in ("en_US", "de", "he", "ja"):
            self.press(".languages [value='%s']" % language,
                       ".languages [value='%s'][aria-current]" % language)
            self.assert_fits()
            self.press("[href='/auth/harbour']", ".person")
            self.assert_fits()
            self.press(".cancel", "#problem")
            self.assert_fits()
            self.press("[href='/auth/harbour']", ".person")
            self.press(".person[value='2']", "#harbour")
            self.assert_fits()
            self.press(".there", "[href='/auth/harbour']")


@services.needs(services.OIDCProvider)
class CertifiedBrowserTest(DemoCase):
    DEMO = CertifiedDemo

    def consent(self, name):
        """Enter the provider as a person, and consent there."""
        self.window.one("[name='login']").send_keys(name)
        self.window.one("[name='password']").send_keys("any")
        self.press("[type='submit']", "[name='prompt'][value='consent']")
        self.window.one("[type='submit']").click()

    def arrive(self, selector):
        self.window.wait(lambda: self.window.find(selector), selector)
        self.assertTrue(self.driver.current_url.startswith(self.demo.url))

    def test_a467_whole_round_trip(self):
        self.open()
        self.press("[href='/auth/one']", "[name='login']")
        self.assertTrue(self.driver.current_url.startswith(self.demo.provider.url()))
        self.consent("ann")
        self.arrive("#one")
        self.assertEqual(["ann"], self.names())
        self.assertIn("ann@example.com", self.window.one("#one dl").text)
        self.driver.refresh()
        self.assertEqual(["ann"], self.names())
        # There and back, without a question: the person is still signed in at the provider.
        self.press("#one .here", "[href='/auth/one']")
        self.window.one("[href='/auth/one']").click()
        self.arrive("#one")
        self.press("#one .there", "[name='logout']")
        self.window.one("[name='logout']").click()
        self.arrive("[href='/auth/one']")
        self.assertEqual([], self.names())
        self.press("[href='/auth/one']", "[name='login']")

    def test_a467_two_tabs_and_the_end_of_both_from_behind(self):
        self.open()
        self.press("[href='/auth/one']", "[name='login']")
        first = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        self.driver.get(self.demo.url + "/auth/two")
        self.consent("ben")
        self.arrive("#two")
        self.driver.switch_to.window(first)
        self.consent("ben")
        self.arrive("#one")
        self.assertEqual(["ben", "ben"], self.names())
        # The end of one session at the provider ends both here, by back-channel logout.
        self.press("#one .there", "[name='logout']")
        self.window.one("[name='logout']").click()
        self.arrive("[href='/auth/one']")

        def have_ended():
            self.driver.refresh()
            return not self.names()
        self.window.wait(have_ended, "back-channel logout")

    def test_a467_denied(self):
        self.open()
        self.press("[href='/auth/one']", "[name='login']")
        self.window.one("[href*='abort']").click()
        self.arrive("#problem")
        self.assertEqual("The sign-in was cancelled.", self.window.one("#problem").text)


if __name__ == "__main__":
    unittest.main()
