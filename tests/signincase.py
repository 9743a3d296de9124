"""Shared by the tests of sign-in demos: a browser without a window, and the demos as programs."""
from __future__ import absolute_import, division, print_function

import contextlib
import os
import re
import sys

from six.moves import http_cookiejar
from six.moves.html_parser import HTMLParser
from six.moves.urllib.error import HTTPError
from six.moves.urllib.parse import urlencode
from six.moves.urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

from friendserve.escape import utf8
from tests import PATIENCE, ROOT
from tests.services import Service

try:
    from html import unescape
except ImportError:
    unescape = HTMLParser().unescape  # version: py2


class Page(object):
    """What a visit ended with, after all redirects: `url`, `status`, `text`."""

    def __init__(self, response):
        with contextlib.closing(response):
            self.url = response.geturl()
            self.status = response.getcode()
            self.text = response.read().decode("utf-8")

    def texts(self, pattern):
        """What the group of a regular expression matches in the page, as the reader sees it."""
        return [unescape(found) for found in re.findall(pattern, self.text, re.S)]


class Visitor(object):
    """A browser with cookies, and without a window; `page` is what it shows."""

    def __init__(self):
        self.cookies = http_cookiejar.CookieJar()
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(self.cookies))

    def get(self, url, data=None):
        try:
            response = self._opener.open(url, data, PATIENCE)
        except HTTPError as error:
            response = error
        self.page = Page(response)
        return self.page

    def post(self, url, **fields):
        """Send a form, with the token of the page that is shown."""
        tokens = self.page.texts('name="_xsrf" value="([^"]+)"')
        fields = dict(fields, _xsrf=tokens[0] if tokens else "")
        return self.get(url, utf8(urlencode(
            dict((name, utf8(value)) for name, value in fields.items()))))


class DemoProgram(Service):
    """A demo, run as users run it. `path` is relative to demos/."""
    path = None
    options = ()

    @classmethod
    def program(cls):
        return sys.executable

    def command(self):
        return ["env", "PYTHONPATH=" + ROOT, sys.executable,
                os.path.join(ROOT, "demos", self.path), "--port=%d" % self.port] \
            + list(self.options)

    def answers(self):
        return "Ctrl-C to stop" in self.log()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port


class AuthDemo(DemoProgram):
    name = "auth"
    path = os.path.join("auth", "authdemo.py")

    def issuer(self, label):
        """The URL of a provider that the demo has started."""
        return re.search(r"%s: a provider for development only, at (\S+)" % label,
                         self.log()).group(1)


class FacebookDemo(DemoProgram):
    name = "facebook"
    path = os.path.join("facebook", "facebookdemo.py")


class TwitterDemo(DemoProgram):
    name = "twitter"
    path = os.path.join("twitter", "twitterdemo.py")

    def stand_in(self):
        """The URL of the stand-in that the demo has started."""
        return re.search(r"A stand-in for X, for development only, at (\S+)", self.log()).group(1)
