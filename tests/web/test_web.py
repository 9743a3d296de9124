# -*- coding: utf-8 -*-
"""Cookies and the decorators, through a real server; and the names that porters import."""
from __future__ import absolute_import, division, print_function

import base64
import datetime
import logging
import time

import friendserve.web
from friendserve import util
from friendserve.escape import native_str
from friendserve.protocol.cookies import create_signed_value
from friendserve.web import RequestHandler, addslash, authenticated, is_absolute, removeslash
from tests.webcase import HandlerCase

SECRET = "it is a long secret"

OCTETS = b"\xc3\xa9".decode("latin-1") if str is not bytes else b"\xc3\xa9"


class CookieTest(HandlerCase):
    def set_cookies(self, function):
        """{name: lines} of the headers set by a get that calls function(handler)."""
        self.serve_handler(function, settings={"cookie_secret": SECRET})
        self.response = self.ask()
        return self.cookies_of(self.response)

    def test_reading(self):
        self.serve_handler(lambda self: self.write(repr([
            self.get_cookie("a"), self.get_cookie("b"), self.get_cookie("c", "none"),
            sorted(self.cookies), self.cookies["a"].value])))
        response = self.ask(headers=[("Cookie", 'a=1; b="2 3"')])
        self.assertEqual(response.body, b"['1', '2 3', 'none', ['a', 'b'], '1']")

    def test_a024_broken_neighbours(self):
        self.serve_handler(lambda self: self.write(str(self.get_cookie("good"))))
        for cookie in ("a=b[; good=1", "=x; good=1", "good=1; a=\"", "a,b=c; good=1"):
            self.assertEqual(self.ask(headers=[("Cookie", cookie)]).body, b"1", cookie)

    def test_writing(self):
        cookies = self.set_cookies(lambda self: (
            self.set_cookie("a", "x"), self.set_cookie(u"b", u"\u00e9"), self.set_cookie("c", b"y"),
            self.set_cookie("d", "z", domain="example.com", path="/p", httponly=True,
                            secure=True, max_age=5, samesite="lax",
                            expires=datetime.datetime(2030, 1, 2))))
        self.assertEqual(cookies["a"], "a=x; Path=/")
        self.assertEqual(cookies["c"], "c=y; Path=/")
        self.assertEqual(cookies["d"],
                         "d=z; Domain=example.com; expires=Wed, 02 Jan 2030 00:00:00 GMT; "
                         "HttpOnly; Max-Age=5; Path=/p; SameSite=Lax; Secure")

    def test_expires_days(self):
        stamps = [util.format_timestamp(int(time.time()) + 10 * 86400 + second)
                  for second in range(60)]
        line = self.set_cookies(lambda self: self.set_cookie("a", "x", expires_days=10))["a"]
        self.assertIn(line.partition("expires=")[2].partition(";")[0], stamps)

    def test_a042_a309_refused(self):
        for args, kwargs in [
                (("a", "b\r\nX: y"), {}), (("a", "b\x00"), {}), (("a=b", "c"), {}),
                (("a;", "c"), {}), (("", "c"), {}), (("a", "b"), {"domain": "x; HttpOnly"}),
                (("a", "b"), {"path": "/\r\nX: y"}), (("a", "b"), {"samesite": "Lax; Secure"}),
                (("a", "b"), {"Path": "/; x"}), (("a", "b"), {"max_age": "1; x"}),
                (("a", "b"), {"expires": "x; y"}), (("a", "b"), {"unknown": "x"})]:
            self.serve_handler(lambda self: self.set_cookie(*args, **kwargs))
            response = self.ask()
            self.assertEqual(response.status, 500, args)
            self.assertNotIn("Set-Cookie", response.headers)
            self.assertNotIn("X", response.headers)

    def test_a309_clearing(self):
        cookies = self.set_cookies(lambda self: self.clear_cookie(
            "a", path="/p", domain="example.com", secure=True, samesite="None", max_age=9))
        self.assertEqual(cookies["a"], "a=; Domain=example.com; expires=Thu, 01 Jan 1970 "
                                       "00:00:00 GMT; Path=/p; SameSite=None; Secure")
        self.serve_handler(lambda self: self.clear_all_cookies())
        response = self.ask(headers=[("Cookie", "a=1; b=2")])
        self.assertEqual(sorted(self.cookies_of(response)), ["a", "b"])

    def test_a310_flags_that_are_false(self):
        cookies = self.set_cookies(
            lambda self: self.set_cookie("a", "b", httponly=False, secure=False))
        self.assertEqual(cookies["a"], "a=b; Path=/")

    def test_a311_the_last_counts(self):
        cookies = self.set_cookies(lambda self: (
            self.set_cookie("a", "1"), self.set_cookie("a", "2"), self.clear_cookie("b"),
            self.set_cookie("b", "3")))
        self.assertEqual(cookies, {"a": "a=2; Path=/", "b": "b=3; Path=/"})

    def test_cookies_of_304_and_of_flushed_responses(self):
        def get(self):
            self.set_cookie("a", "b")
            self.write("x")
            if self.request.query:
                self.flush()

        self.serve_handler(get)
        response = self.ask()
        known = [("If-None-Match", response.headers["Etag"])]
        for path, headers in [("/?flush", ()), ("/", known)]:
            self.assertEqual(self.cookies_of(self.ask(path, headers=headers)), {"a": "a=b; Path=/"})


class SecureCookieTest(HandlerCase):
    def read(self, value, name="user", settings=None, **kwargs):
        self.serve_handler(
            lambda self: self.write(repr(self.get_secure_cookie("user", **kwargs) == b"7")),
            settings=settings or {"cookie_secret": SECRET})
        return self.ask(headers=[("Cookie", "%s=%s" % (name, native_str(value)))]).body == b"True"

    def test_round_trip(self):
        self.serve_handler(lambda self: (self.set_secure_cookie("user", "7"),
                                         self.write(self.create_signed_value("user", u"\u00e9"))),
                           settings={"cookie_secret": SECRET})
        line = self.cookies_of(self.ask())["user"]
        self.assertIn("; expires=", line)
        self.assertTrue(self.read(line.partition(";")[0].partition("=")[2]))
        self.assertEqual(self.logged(), [])

    def test_a002_a016_of_another_name(self):
        for version in (1, 2):
            self.assertFalse(self.read(create_signed_value(SECRET, "other", "7", version)))
            line, = self.logged(logging.WARNING)
            self.assertIn("'user'", line)

    def test_a001_moved_digits(self):
        for digits in ("1234", "0000"):
            payload, stamp, signature = create_signed_value(
                SECRET, "user", base64.b64decode("Zm9v" + digits), 1).decode("ascii").split("|")
            self.assertEqual(payload, "Zm9v" + digits)
            self.assertFalse(self.read("Zm9v|%s%s|%s" % (digits, stamp, signature)))
            line, = self.logged(logging.WARNING)
            self.assertNotIn(signature, line)

    def test_absent_is_not_logged(self):
        self.assertFalse(self.read("x", name="other"))
        self.assertFalse(self.read(""))
        self.assertEqual(self.logged(), [])

    def test_a314_old_and_early(self):
        day = 24 * 60 * 60
        for age, days, ok in [(30, 31, True), (32, 31, False), (2, 1, False), (32, 40, True),
                              (-30, 31, True), (-32, 31, False)]:
            value = create_signed_value(SECRET, "user", "7",
                                        clock=lambda: time.time() - age * day)
            self.assertEqual(self.read(value, max_age_days=days), ok, age)

    def test_a016_min_version(self):
        value = create_signed_value(SECRET, "user", "7", 1)
        self.assertTrue(self.read(value))
        self.assertFalse(self.read(value, min_version=2))

    def test_a314_key_rotation(self):
        settings = {"cookie_secret": {1: "old", 2: "new"}, "key_version": 2}
        self.serve_handler(lambda self: (self.set_secure_cookie("user", "7"), self.write(
            str(self.get_secure_cookie_key_version("user")))), settings=settings)
        old = create_signed_value({1: "old"}, "user", "7", key_version=1)
        response = self.ask(headers=[("Cookie", "user=" + native_str(old))])
        self.assertEqual(response.body, b"1")
        new = self.cookies_of(response)["user"].partition(";")[0].partition("=")[2]
        self.assertEqual(self.ask(headers=[("Cookie", "user=" + new)]).body, b"2")
        self.assertEqual(self.ask().body, b"None")
        for value, ok in [(old, True), (new, True),
                          (create_signed_value({3: "x"}, "user", "7", key_version=3), False)]:
            self.assertEqual(self.read(value, settings=settings), ok)
        self.serve_handler(lambda self: self.set_secure_cookie("user", "7"),
                           settings={"cookie_secret": {1: "old"}, "key_version": 5})
        self.assertEqual(self.ask().status, 500)


class AuthenticatedTest(HandlerCase):
    def setUp(self):
        super(AuthenticatedTest, self).setUp()

        @authenticated
        def method(self):
            self.write("secret of " + self.current_user)

        self.methods = dict(get=method, head=method, post=method,
                            get_current_user=lambda self: self.get_argument("user", None))

    def location(self, path, login_url="/login"):
        self.serve_handler(settings={"login_url": login_url}, **self.methods)
        response = self.ask(path)
        self.assertEqual((response.status, response.body), (302, b""))
        return response.headers["Location"]

    def test_user(self):
        self.serve_handler(settings={"login_url": "/login"}, **self.methods)
        self.assertEqual(self.ask("/?user=me").body, b"secret of me")
        self.assertEqual(self.ask("/?user=me", "POST", body={}).body, b"secret of me")

    def test_a303_nobody(self):
        self.assertEqual(self.location("/a?b=c&d"), "/login?next=%2Fa%3Fb%3Dc%26d")
        self.assertEqual(self.location("/" + OCTETS), "/login?next=%2F%C3%A9")
        self.assertEqual(self.location("/a", "/login?x=y"), "/login?x=y")
        self.assertEqual(self.location("/a", "https://login.example/"),
                         "https://login.example/?next=http%3A%2F%2Fexample.com%2Fa")
        self.assertEqual(self.location("//evil.com/a"), "/login?next=%2F%2Fevil.com%2Fa")
        self.assertEqual(self.ask("/", "HEAD").status, 302)
        self.assertEqual(self.ask("/", "POST", body={}).status, 403)

    def test_login_url_is_needed(self):
        self.serve_handler(**self.methods)
        self.assertEqual(self.ask().status, 500)
        self.assertIn("login_url", str(self.records[0].exc_info[1]))


class SlashTest(HandlerCase):
    def serve_slash(self, decorator):
        method = decorator(lambda self: self.write("ok"))
        self.serve_handler(get=method, head=method, post=method)

    def check(self, decorator, served, moved):
        self.serve_slash(decorator)
        for path in served:
            self.assertEqual(self.ask(path).body, b"ok", path)
        for path, location in moved:
            response = self.ask(path)
            self.assertEqual((response.status, response.headers["Location"]), (301, location))
            self.assertEqual(self.ask(path, "HEAD").status, 301)
            self.assertEqual(self.ask(path, "POST", body={}).status, 404)

    def test_a301_addslash(self):
        self.check(addslash, ["/", "/a/", "/a/?b"], [
            ("/a", "/a/"), ("/a?b=c&d", "/a/?b=c&d"), ("//evil.com", "/evil.com/"),
            ("/\\evil.com", "/evil.com/"), ("/\\/evil.com", "/evil.com/"), ("/%5Cx", "/%5Cx/"),
            ("/" + OCTETS + "?" + OCTETS, "/%C3%A9/?%C3%A9"), ("/%C3%A9", "/%C3%A9/")])

    def test_a301_removeslash(self):
        self.check(removeslash, ["/", "/a", "/a?b/"], [
            ("/a/", "/a"), ("/a//?b", "/a?b"), ("//evil.com/", "/evil.com"),
            ("/\\evil.com/", "/evil.com"), ("/" + OCTETS + "/", "/%C3%A9")])


class NamesTest(HandlerCase):
    def test_all(self):
        for name in friendserve.web.__all__:
            self.assertTrue(hasattr(friendserve.web, name), name)
        for name in ("Application", "RequestHandler", "asynchronous", "url", "HTTPError"):
            self.assertIn(name, friendserve.web.__all__)

    def test_is_absolute(self):
        for path, absolute in [("/a", True), ("http://a", True), ("https://a", True),
                               ("a/b", False), ("", False), ("httpx", False)]:
            self.assertIs(is_absolute(path), absolute)

    def test_a317_what_proxies_say(self):
        def get(self):
            self.write("%s %s" % (self.request.protocol, self.request.remote_ip))

        forwarded = [("X-Forwarded-Proto", "javascript, https"),
                     ("X-Forwarded-For", "9.9.9.9, 1.2.3.4")]
        for xheaders, body in [(False, b"http 127.0.0.1"), (True, b"https 1.2.3.4")]:
            self.serve_app([("/", type(str("Page"), (RequestHandler,), {"get": get}))],
                           {"xheaders": xheaders})
            self.assertEqual(self.ask(headers=forwarded).body, body)
        for value in ("https, http", "javascript", "https, x"):
            self.assertEqual(self.ask(headers=[("X-Forwarded-Proto", value)]).body,
                             b"http 127.0.0.1")
        for value in ("<script>", "", "localhost", "1" * 100, "1.2.3.4, evil"):
            self.assertEqual(self.ask(headers=[("X-Real-Ip", value)]).body, b"http 127.0.0.1")

    def test_a316_static_url_with_host(self):
        self.serve_handler(lambda self: self.write(self.static_url("a.txt", include_host=True)),
                           settings={"static_path": "/nonexistent"})
        self.assertEqual(self.ask(host="h:81").body, b"http://h:81/static/a.txt")
