"""Behaviour that programs written for Tornado rely on, by the numbers of a list of differences."""
from __future__ import absolute_import, division, print_function

import datetime
import hashlib
import logging
import os
import shutil
import tempfile
import unittest

try:
    from http import cookies as http_cookies
except ImportError:  # version: py2
    http_cookies = None

from friendserve import locale
from friendserve.httputil import HTTPHeaders
from friendserve.protocol.cookies import format_set_cookie, parse_cookie
from friendserve.template import Template
from friendserve.web import Finish, MissingArgumentError, RequestHandler, StaticFileHandler
from tests.webcase import HandlerCase, WebCase


class HandlerTest(HandlerCase):
    def test_p02_finish_with_an_argument_sends_it(self):
        def get(self):
            self.set_status(403)
            raise Finish({"error": "no"})

        self.serve_handler(get)
        response = self.ask()
        self.assertEqual((403, b'{"error": "no"}'), (response.status, response.body))

    def test_p02_an_argument_follows_what_was_written(self):
        def get(self):
            self.write("one ")
            raise Finish(u"two")

        self.serve_handler(get)
        self.assertEqual(b"one two", self.ask().body)

    def test_p15_decode_argument_may_return_bytes(self):
        class Raw(RequestHandler):
            def decode_argument(self, value, name=None):
                return value

            def get(self, piece):
                self.write(repr([self.get_argument("a") == b"\xff\x01", piece == b"\xfe"]))

        self.serve_app([("/(.*)", Raw)])
        response = self.ask("/%FE?a=+%FF%01+")
        self.assertEqual((200, b"[True, True]"), (response.status, response.body))

    def test_p16_the_message_of_a_missing_argument_is_complete(self):
        class Page(RequestHandler):
            def get(self):
                self.get_argument("foo")

            def write_error(self, status, **kwargs):
                self.finish(kwargs["exc_info"][1].log_message)

        self.serve_app([("/", Page)])
        self.assertEqual(b"Missing argument foo", self.ask().body)
        self.assertEqual("HTTP 400: Bad Request (Missing argument 100%)",
                         str(MissingArgumentError("100%")))

    def test_p16_the_message_of_a_missing_token_is_complete(self):
        class Page(RequestHandler):
            def write_error(self, status, **kwargs):
                self.finish(kwargs["exc_info"][1].log_message)

        self.serve_app([("/", Page)], xsrf_cookies=True)
        self.assertEqual(b"'_xsrf' argument missing from POST",
                         self.ask(method="POST", body=b"").body)

    def test_p17_the_xsrf_token_is_bytes(self):
        for version in (1, 2):
            def get(self):
                token = self.xsrf_token
                self.set_header("X-Type", str(type(token) is bytes))
                template = Template("{{ handler.xsrf_token }} {% raw handler.xsrf_token %} "
                                    "{% raw handler.xsrf_form_html() %}")
                self.write(template.generate(handler=self))
                self.write(" " + token.decode("ascii"))

            self.serve_handler(get, {"xsrf_cookie_version": version})
            response = self.ask()
            token = parse_cookie(response.headers["Set-Cookie"].partition(";")[0])["_xsrf"]
            self.assertEqual("True", response.headers.get("X-Type"))
            self.assertEqual(
                '%s %s <input type="hidden" name="_xsrf" value="%s"/> %s'
                % (token, token, token, token), response.body.decode("ascii"))

    def late(self, function, **settings):
        def get(self):
            self.write("one ")
            self.flush()
            function(self)
            self.write("two")

        self.serve_handler(get, settings)
        return self.ask()

    def test_p21_headers_set_after_flush_have_no_effect(self):
        for function, name in [(lambda self: self.set_header("X-Late", "y"), "X-Late"),
                               (lambda self: self.add_header("X-Late", "y"), "X-Late"),
                               (lambda self: self.set_cookie("x", "y"), "cookie x"),
                               (lambda self: self.clear_cookie("x"), "cookie x")]:
            response = self.late(function)
            self.assertEqual(b"one two", response.body)
            self.assertNotIn("X-Late", response.headers)
            self.assertNotIn("Set-Cookie", response.headers)
            self.assertEqual(["GET / (127.0.0.1): cannot set %s: the headers have already been sent"
                              % name], self.logged(logging.WARNING))

    def test_p21_in_debug_mode_they_are_an_error(self):
        raised = []

        def set_late(self):
            try:
                self.set_header("X-Late", "y")
            except RuntimeError as error:
                raised.append(str(error))

        self.assertEqual(b"one two", self.late(set_late, debug=True, autoreload=False).body)
        self.assertEqual(["cannot set X-Late: the headers have already been sent"], raised)
        self.assertEqual([], self.logged(logging.WARNING))


class CookieTest(unittest.TestCase):
    # What http.cookies of Python 3 makes of them.
    LINES = {
        "plain": "plain", "a=b": '"a=b"', "a b": '"a b"', "a,b;c": r'"a\054b\073c"',
        'q"x\\': r'"q\"x\\"', "(x)": '"(x)"', "2|1:0|10:1|3:key|4:eA==|ab":
        '"2|1:0|10:1|3:key|4:eA==|ab"', "a/b": '"a/b"', "~!#$%&'*+-.^_`|:": "~!#$%&'*+-.^_`|:"}

    def test_p23_values_are_quoted_as_by_http_cookies(self):
        for value, quoted in self.LINES.items():
            line = format_set_cookie("n", value, path=None)
            self.assertEqual("n=" + quoted, line)
            self.assertEqual(value, parse_cookie(line)["n"])

    def test_p23_attributes_are_in_the_order_of_http_cookies(self):
        line = format_set_cookie("n", "a=b", domain="example.com", expires=60, path="/x",
                                 max_age=5, secure=True, httponly=True)
        expected = ('n="a=b"; Domain=example.com; expires=Thu, 01 Jan 1970 00:01:00 GMT; '
                    'HttpOnly; Max-Age=5; Path=/x; Secure')
        self.assertEqual(expected, line)
        if http_cookies is not None:
            morsel = http_cookies.SimpleCookie({"n": "a=b"})["n"]
            morsel.update({"domain": "example.com", "expires": "Thu, 01 Jan 1970 00:01:00 GMT",
                           "path": "/x", "max-age": 5, "secure": True, "httponly": True})
            self.assertEqual(morsel.OutputString(), line)


class StaticTest(WebCase):
    def setUp(self):
        super(StaticTest, self).setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(self.folder, "a.txt"), "wb") as target:
            target.write(b"content")

    def serve_class(self, **methods):
        cls = type(str("Handler"), (StaticFileHandler,), dict(
            (str(name), method) for name, method in methods.items()))
        self.serve_app([("/(.*)", cls, {"path": self.folder})])

    def test_p08_should_return_304_is_the_last_word(self):
        self.serve_class(should_return_304=lambda self: False)
        etag = self.ask("/a.txt").headers["Etag"]
        for _ in range(2):
            response = self.ask("/a.txt", headers=[("If-None-Match", etag)])
            self.assertEqual((200, b"content"), (response.status, response.body))

    def test_p22_the_whole_content_has_no_bounds(self):
        seen = []

        def get_content(cls, path, start=None, end=None):
            seen.append((start, end))
            with open(path, "rb") as source:
                return source.read()[start:end]

        self.serve_class(get_content=classmethod(get_content),
                         get_content_version=classmethod(lambda cls, path: "v"))
        self.assertEqual(b"content", self.ask("/a.txt").body)
        self.assertEqual([(None, None)], seen)
        self.assertEqual(b"ont", self.ask("/a.txt", headers=[("Range", "bytes=1-3")]).body)
        self.assertEqual((1, 4), seen[-1])

    def test_p22_a_subclass_with_a_get_of_its_own(self):
        def get(self, path):
            self.set_header("X-Seconds", str(self.get_cache_time(path, None, "text/plain")))
            self.write("made of " + path)

        self.serve_class(get=get)
        response = self.ask("/a.txt")
        self.assertEqual((200, b"made of a.txt", "0"),
                         (response.status, response.body, response.headers["X-Seconds"]))
        response = self.ask("/a.txt", headers=[("If-None-Match", response.headers["Etag"])])
        self.assertEqual(304, response.status)
        version = hashlib.md5(b"content").hexdigest()
        self.assertEqual(str(StaticFileHandler.CACHE_MAX_AGE),
                         self.ask("/a.txt?v=" + version).headers["X-Seconds"])

    def test_p22_content_without_a_file_needs_no_size(self):
        for content in (b"made up", [b"made", b" up"]):
            self.serve_class(
                get_content=classmethod(lambda cls, path, start=None, end=None: content),
                validate_absolute_path=lambda self, root, path: path,
                get_modified_time=lambda self: None)
            response = self.ask("/nothing.txt")
            self.assertEqual((200, b"made up"), (response.status, response.body))
            response = self.ask("/nothing.txt", "HEAD")
            self.assertEqual("7", response.headers["Content-Length"])

    def test_p24_the_version_of_a_file_is_its_md5(self):
        version = hashlib.md5(b"content").hexdigest()
        self.serve_class()
        self.assertEqual('"%s"' % version, self.ask("/a.txt").headers["Etag"])
        self.assertEqual("/static/a.txt?v=" + version, StaticFileHandler.make_static_url(
            {"static_path": self.folder}, "a.txt"))


class TextTest(unittest.TestCase):
    def test_p25_parse_unfolds_continuation_lines(self):
        headers = HTTPHeaders.parse("Foo: bar\r\n baz\r\nAsdf: qwer\r\n\tzxcv\r\n \tuiop\r\n"
                                    "Foo: even\r\n     more\r\n     lines\r\n")
        self.assertEqual("qwer zxcv uiop", headers["asdf"])
        self.assertEqual(["bar baz", "even more lines"], headers.get_list("foo"))

    def test_p26_two_seconds_are_two_seconds(self):
        original = locale.time
        locale.time = lambda: 1000000000.25
        self.addCleanup(setattr, locale, "time", original)
        date = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=1000000000.25 - 2)
        self.assertEqual("2 seconds ago", locale.get("en_US").format_date(date))
        self.assertEqual("2 seconds ago", locale.get("en_US").format_date(999999998.25))
