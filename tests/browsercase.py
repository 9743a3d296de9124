"""Shared by the tests in Chromium: a window, driven through chromedriver."""
from __future__ import absolute_import, division, print_function

import shutil
import tempfile

import pytest

from tests import PATIENCE

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    webdriver = Keys = None

find_program = getattr(shutil, "which", lambda name: None)  # version: py2
CHROMIUM = find_program("chromium")
DRIVER = find_program("chromedriver")

needs_browser = pytest.mark.skipif(
    webdriver is None or CHROMIUM is None or DRIVER is None,
    reason="selenium, chromium or chromedriver is not installed: python -m pip install '.[test]' "
           "and apt-get install chromium chromium-driver")

OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-dev-shm-usage")

PHONE = (390, 844)
DESKTOP = (1280, 800)


class Window(object):
    """A browser with an empty profile, and the actions of a user in it."""

    def __init__(self, size):
        self.profile = tempfile.mkdtemp()
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for option in OPTIONS + ("--user-data-dir=" + self.profile,
                                 "--window-size=%d,%d" % size):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_page_load_timeout(PATIENCE)

    def quit(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        element, = self.find(selector)
        return element

    def wait(self, condition, what):
        WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02).until(
            lambda _: condition(), "not within %d seconds: %s" % (PATIENCE, what))

    def wait_for_focus(self, name):
        self.wait(lambda: self.driver.execute_script(
            "return document.activeElement.id") == name, "focus in " + name)

    def enter(self, url, name):
        self.driver.get(url)
        self.sign_in(name)

    def sign_in(self, name):
        """Sign in by the keyboard alone: the page focuses the right field."""
        self.wait_for_focus("name")
        self.type(name + Keys.ENTER)
        self.wait_for_focus("text")

    def type(self, text):
        """Type into the element that has the focus."""
        self.driver.switch_to.active_element.send_keys(text)

    def texts(self):
        """The text of each message that the server has confirmed."""
        return self.driver.execute_script(
            "return Array.from(document.querySelectorAll('.message:not(.pending) .text'),"
            " (text) => text.textContent)")

    def wait_for_texts(self, *texts):
        self.wait(lambda: self.texts() == list(texts), "messages are %r" % (texts,))

    def wait_for_state(self, words):
        self.wait(lambda: self.one("#state").text == words, "state is " + words)

    def complaints(self):
        """The messages in the browser's console: script errors, violations of the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]
