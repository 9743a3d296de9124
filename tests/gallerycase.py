# coding: utf-8
"""Shared by the tests of how pages look: each page in several widths and languages, measured.

With FRIENDSERVE_PICTURES=FOLDER in the environment, a picture of each page is kept there, in light
and in dark.
"""
from __future__ import absolute_import, division, print_function

import base64
import os

from tests.browsercase import DESKTOP, Window
from tests.localecase import LocaleCase

WIDTHS = (320, 390, 1280)
LANGUAGES = ("en", "de", "ja", "he")

#: What does not fit, as texts: elements outside of the window, and texts under other elements.
_MEASURE = u"""
const wide = document.documentElement.clientWidth, found = [];
const name = (element) => element.tagName.toLowerCase() + (element.id && '#' + element.id)
    + (element.className && '.' + element.className)
    + ' "' + element.textContent.trim().slice(0, 40) + '"';
if (document.documentElement.scrollWidth > wide)
    found.push('the page is ' + document.documentElement.scrollWidth + ' wide');
const clipped = (element) => {      // by itself or what is around it: one can scroll there
    for (let e = element; e && e !== document.body; e = e.parentElement)
        if (getComputedStyle(e).overflowX !== 'visible' || getComputedStyle(e).clipPath !== 'none')
            return true;
    return false;
};
for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > wide + 1 || box.left < -1) && !clipped(element)
            && getComputedStyle(element).visibility === 'visible')
        found.push(name(element) + ' goes from ' + box.left + ' to ' + box.right);
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
    const text = walker.currentNode, around = text.parentElement;
    if (!text.data.trim() || getComputedStyle(around).visibility !== 'visible'
            || around.closest('details:not([open]) > :not(summary), option, [popover]')
            || getComputedStyle(around).clipPath !== 'none')
        continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    for (const box of range.getClientRects()) {
        if (box.width < 2 || box.bottom > innerHeight || box.top < 0)
            continue;
        for (const x of [box.left + 1, (box.left + box.right) / 2, box.right - 1]) {
            const top = document.elementFromPoint(x, (box.top + box.bottom) / 2);
            if (top && top !== around && !around.contains(top) && !top.contains(around)
                    && !clipped(around))
                found.push(name(around) + ' is under ' + name(top));
        }
    }
}
return Array.from(new Set(found));
"""


class GalleryCase(LocaleCase):
    """`window` is shared by all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.window = Window(DESKTOP)

    @classmethod
    def tearDownClass(cls):
        cls.window.quit()

    def setUp(self):
        super(GalleryCase, self).setUp()
        self.driver = self.window.driver
        self.driver.get("about:blank")
        self.send("Network.enable")
        self.send("Network.clearBrowserCookies")
        self.send("Storage.clearDataForOrigin", origin="*", storageTypes="all")
        self.window.complaints()
        self.folder_of_pictures = os.environ.get("FRIENDSERVE_PICTURES")
        self.faults = []

    def send(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def read(self, language):
        """Be a reader of this language."""
        self.language = language
        # Not by Network.setUserAgentOverride, which Chromium mixes with languages of its own.
        self.send("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    def look(self, title, url=None, prepare=None, height=800, complaints=()):
        """Measure a page, which `prepare` (JavaScript) may change, in each width; collect faults.
        `complaints` are those that may be in the console."""
        if url is not None:
            self.driver.get(url)
        if prepare is not None:
            self.driver.execute_script(prepare)
        for width in WIDTHS:
            self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=width < 1000)
            place = "%s-%s-%d" % (title, self.language, width)
            self.faults.extend("%s: %s" % (place, fault)
                               for fault in self.driver.execute_script(_MEASURE))
            if self.folder_of_pictures:
                self.take(place)
        self.faults.extend("%s: %s" % (title, line) for line in self.window.complaints()
                           if not any(known in line for known in complaints))

    def take(self, place):
        for scheme in ("light", "dark"):
            self.send("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])
            data = self.send("Page.captureScreenshot", format="png")["data"]
            path = os.path.join(self.folder_of_pictures, "%s-%s.png" % (place, scheme))
            with open(path, "wb") as target:
                target.write(base64.b64decode(data))

    maxDiff = None

    def assert_fits(self):
        """No page that was looked at had a fault."""
        self.assertEqual([], self.faults)
