"""Sign-in by OAuth 1.0a and OpenID 2.0 in Chromium, to the sign-out, in two tabs."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.web import Application
from tests.browsercase import DESKTOP, Window, needs_browser
from tests.demo_server import DemoServer
from tests.providercase import (
    OAuthProvider, OAuthSignIn, OpenIdProvider, OpenIdSignIn, make_application)

pytestmark = needs_browser


class RoundTrips(object):
    def setUp(self):
        self.window = Window(DESKTOP)
        self.addCleanup(self.window.quit)
        self.driver = self.window.driver

    def serve(self, sign_in, provider):
        self.provider = DemoServer(lambda: Application(provider.rules()))
        self.addCleanup(self.provider.stop)
        site = DemoServer(lambda: make_application(sign_in, self.provider.url))
        self.addCleanup(site.stop)
        self.site = site.url
        self.driver.get(self.site + "/")

    def who(self):
        return self.window.one("#who").text

    def begin(self, path="/login"):
        self.driver.get(self.site + path)
        self.window.wait(lambda: self.window.find("#allow"), "the page of the provider")
        self.assertTrue(self.driver.current_url.startswith(self.provider.url))

    def answer(self, button="#allow"):
        self.window.one(button).click()
        self.window.wait(lambda: self.driver.current_url.startswith(self.site), "the return")

    def test_the_whole_round_trip(self):
        self.begin("/login?next=/there")
        self.answer()
        self.assertEqual(self.site + "/there", self.driver.current_url)
        self.assertEqual(self.NAME, self.who())
        self.driver.refresh()
        self.assertEqual(self.NAME, self.who())
        self.window.one("#out").click()
        self.window.wait(lambda: self.window.find("#who") and self.who() == "nobody", "sign-out")

    def test_a_denial(self):
        self.begin()
        self.answer("#deny")
        self.assertIn("The sign-in was cancelled.", self.driver.page_source)
        self.driver.get(self.site + "/")
        self.assertEqual("nobody", self.who())

    def test_two_tabs_at_once(self):
        first = self.driver.current_window_handle
        self.begin("/login?next=/there")
        self.driver.switch_to.new_window("tab")
        self.begin()
        second = self.driver.current_window_handle
        self.driver.switch_to.window(first)
        self.answer()
        self.assertEqual((self.site + "/there", self.NAME), (self.driver.current_url, self.who()))
        self.driver.switch_to.window(second)
        self.answer()
        self.assertEqual((self.site + "/", self.NAME), (self.driver.current_url, self.who()))

    def test_back_and_forward_after_a_sign_in(self):
        self.begin("/login?next=/there")
        self.answer()
        self.driver.back()
        self.driver.forward()
        self.assertEqual(self.NAME, self.who())


class OAuthBrowserTest(RoundTrips, unittest.TestCase):
    NAME = u"Zo\xeb"

    def setUp(self):
        super(OAuthBrowserTest, self).setUp()
        self.serve(OAuthSignIn, OAuthProvider())


class OpenIdBrowserTest(RoundTrips, unittest.TestCase):
    NAME = u"Alice Liddell"

    def setUp(self):
        super(OpenIdBrowserTest, self).setUp()
        self.serve(OpenIdSignIn, OpenIdProvider())
