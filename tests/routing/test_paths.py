# -*- coding: utf-8 -*-
"""URLSpec: from a path to arguments, and back."""
from __future__ import absolute_import, division, print_function

import random
import unittest

from friendserve.protocol.urls import to_octets
from friendserve.routing.paths import PathTable, compile_whole
from friendserve.web import ErrorHandler, URLSpec, is_safe_next, url


def spec(pattern, **kwargs):
    return URLSpec(pattern, ErrorHandler, **kwargs)


class MatchTest(unittest.TestCase):
    def test_whole_path(self):
        for pattern in ("/a", "/a$", "^/a$"):
            self.assertEqual(spec(pattern).match("/a"), ([], None))
            for path in ("/ab", "/a/", "a", "/", "", "x/a", "/A"):
                self.assertIsNone(spec(pattern).match(path), (pattern, path))

    def test_whole_path_with_alternatives(self):
        for pattern in ("/a|/b|/bc", "/a|/b|/bc$", "(?:/a|/b|/bc)", "(?i)/a|/b|/bc"):
            for path in ("/a", "/b", "/bc"):
                self.assertEqual(spec(pattern).match(path), ([], None))
            for path in ("/ax", "/bx", "/bcx", "x/b"):
                self.assertIsNone(spec(pattern).match(path), (pattern, path))

    def test_an_escaped_dollar_is_no_end(self):
        self.assertIsNone(spec(r"/a\$").match("/a$b"))
        self.assertIsNotNone(spec(r"/a\$").match("/a$"))
        self.assertIsNone(spec(r"/a\\$").match("/a\\b"))
        self.assertIsNotNone(spec(r"/a\\$").match("/a\\"))

    def test_groups(self):
        self.assertEqual(spec("/([a-z]+)/([0-9]+)").match("/a/12"), ([b"a", b"12"], None))
        self.assertEqual(spec("/(?P<name>[a-z]+)/(?P<n>[0-9]+)").match("/a/12"),
                         (None, {"name": b"a", "n": b"12"}))
        self.assertEqual(spec("/(a)?/(b)?").match("/a/"), ([b"a", None], None))
        self.assertEqual(spec("/(?P<a>a)?").match("/"), (None, {"a": None}))
        self.assertEqual(spec("/(?:a|b)/(c)").match("/b/c"), ([b"c"], None))

    def test_groups_are_unquoted(self):
        match = spec("/(.*)").match
        self.assertEqual(match("/a%20b+c%2Fd%zz"), ([b"a b+c/d%zz"], None))
        self.assertEqual(match("/%C3%A9%ff"), ([b"\xc3\xa9\xff"], None))
        # Bytes that a client sends unquoted.
        wire = b"/\xc3\xa9".decode("latin-1") if str is not bytes else b"/\xc3\xa9"
        self.assertEqual(match(wire), ([b"\xc3\xa9"], None))

    def test_b499_characters_that_paths_cannot_contain(self):
        with self.assertRaises(ValueError) as caught:
            spec(u"/caf\u00e9/(.*)")
        self.assertIn("is percent-encoded in paths, as %C3%A9", str(caught.exception))
        self.assertEqual(([b"\xc3\xa9"], None), spec("/caf%C3%A9/(.*)").match("/caf%C3%A9/%C3%A9"))

    def test_mixed_groups_are_refused(self):
        self.assertRaises(ValueError, spec, "/(a)/(?P<b>b)")

    def test_handler_by_name(self):
        self.assertIs(URLSpec("/", "friendserve.web.ErrorHandler").handler_class, ErrorHandler)
        self.assertRaises(ImportError, URLSpec, "/", "friendserve.web.Missing")

    def test_fields(self):
        self.assertIs(url, URLSpec)
        one = spec("/a", kwargs={"status_code": 404}, name="a")
        self.assertEqual((one.kwargs, one.name, one.regex.pattern),
                         ({"status_code": 404}, "a", "/a$"))
        self.assertIn("/a$", repr(one))
        self.assertEqual(spec("/").kwargs, {})


class TableTest(unittest.TestCase):
    """A PathTable finds the spec that trying all in order would find."""

    PATTERNS = ["/", "/a", "/a/", "/a/b", "/a/b/", "/a/(.*)", "/a/b/([0-9]+)", "/(.*)", "/a/b/c/d",
                "/a.b/c", "/(?:a|b)/c", "/a/b|/c", "(?i)/A/b/.*", "/a/b/?", "/a(/b)?/c", "^/a/x$",
                "/a/(?P<x>[^/]+)/d", "(?x) /a /b", "/%C3%A9/(.*)", ".*", r"\*", "/a/b/c/(?=d)d.*"]
    PATHS = ["/", "", "*", "/a", "/a/", "/a/b", "/a/b/", "/a/b/7", "/a/b/c/d", "/a/b/c/e/f/g", "/c",
             "/A/B/x", "/a/c", "/a/b/c", "/a/x", "/a/y/d", "/%C3%A9/x", "/axb/c", "//", "/a//b",
             "/b/c", "/zzz/zzz/zzz/zzz", "/" + "a/" * 3000]

    def test_b497_as_when_all_are_tried(self):
        choose = random.Random(7)
        for _ in range(300):
            specs = [spec(pattern) for pattern in choose.sample(self.PATTERNS, 8)]
            table = PathTable(specs)
            for path in self.PATHS:
                expected = [one for one in specs if one.match(path)]
                found = [one for one in table.find(path) if one.match(path)]
                self.assertEqual(expected, found, path)

    def test_b497_only_those_for_its_folder_are_tried(self):
        specs = [spec("/users/%d/([a-z]+)" % number) for number in range(100)]
        specs += [spec("/page%d" % number) for number in range(100)]
        table = PathTable(specs)
        self.assertEqual([specs[7]], table.find("/users/7/name"))
        self.assertEqual([], table.find("/users/x/name"))
        self.assertEqual(specs[100:], table.find("/page"))


class ReverseTest(unittest.TestCase):
    def test_round_trips(self):
        for pattern, args, path in [
                ("/", (), "/"), ("^/a$", (), "/a"), ("/a/([0-9]+)", (5,), "/a/5"),
                ("/(a|b)/([^/]+)", ("a", u"\u00e9"), "/a/%C3%A9"),
                ("/(?P<x>[^)(]+)/z", ("x",), "/x/z"), (r"/a\.b/(.*)", (b"c d",), "/a.b/c%20d"),
                (r"/((a)|b)c", ("x",), None), (r"/(.*)\$", ("x",), "/x$"),
                ("/(.*)", ("a/b&c=~",), "/a/b%26c%3D~")]:
            if path is None:
                self.assertRaises(ValueError, spec(pattern).reverse, *args)
                continue
            self.assertEqual(spec(pattern).reverse(*args), path)
            self.assertIsInstance(spec(pattern).reverse(*args), str)
            self.assertIsNotNone(spec(pattern).match(path), pattern)

    def test_wrong_number_of_arguments(self):
        for args in ((), (1, 2)):
            with self.assertRaises(ValueError) as caught:
                spec("/([0-9]+)").reverse(*args)
            self.assertIn("takes 1 arguments, not %d" % len(args), str(caught.exception))

    def test_not_reversible(self):
        for pattern in ("/[a-b]/(c)", "/.(c)", r"/\d+/(c)", "/(a)|/(b)", "/((a)b)", r"/(a)\1",
                        "/[^/](c)"):
            with self.assertRaises(ValueError) as raised:
                spec(pattern).reverse("a")
            self.assertIn("cannot be reversed", str(raised.exception))


class HelperTest(unittest.TestCase):
    def test_compile_whole(self):
        self.assertEqual(compile_whole(".*").pattern, ".*$")
        self.assertEqual(compile_whole(".*$").pattern, ".*$")

    def test_to_octets(self):
        self.assertEqual(to_octets(u"\xe9"), b"\xe9")
        self.assertEqual(to_octets(b"\xe9"), b"\xe9")


class NextTest(unittest.TestCase):
    def test_a303_paths_of_this_site_only(self):
        for path in ("/", "/a?b=c#d", "/%e9", "/a//b"):
            self.assertTrue(is_safe_next(path), path)
        for path in ("", "a", "//evil", "/\\evil", "\\/evil", "/\t/evil", "/\n", "http://evil",
                     "javascript:x", " /", "/a b", u"/\xe9", "/a\\b"):
            self.assertFalse(is_safe_next(path), path)
