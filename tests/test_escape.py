# -*- coding: utf-8 -*-
"""Text for HTML, JSON and URLs, conversions, and links in text."""
from __future__ import absolute_import, division, print_function

import json
import unittest

import six

from friendserve import escape
from friendserve.escape import (
    json_decode, json_encode, linkify, native_str, parse_qs_bytes, recursive_unicode, squeeze,
    to_basestring, to_unicode, url_escape, url_unescape, utf8, xhtml_escape, xhtml_unescape)

try:
    from hypothesis import given, settings, strategies as st
except ImportError:  # version: py2
    given = None


class ConversionTest(unittest.TestCase):
    def assert_same(self, expected, value):
        self.assertEqual((type(expected), expected), (type(value), value))

    def test_utf8(self):
        self.assert_same(b"\xc3\xa9", utf8(u"\u00e9"))
        self.assert_same(b"\xff", utf8(b"\xff"))
        self.assertIsNone(utf8(None))

    def test_to_unicode(self):
        self.assert_same(u"\u00e9", to_unicode(b"\xc3\xa9"))
        self.assert_same(u"\u00e9", to_unicode(u"\u00e9"))
        self.assertIsNone(to_unicode(None))
        for octets in (b"\xff", b"\xed\xa0\x80", b"a\xed\xbf\xbf"):
            self.assertRaises(UnicodeDecodeError, to_unicode, octets)
        self.assert_same(u"\ud7ff", to_unicode(b"\xed\x9f\xbf"))

    def test_native_str(self):
        self.assert_same("a", native_str(b"a"))
        self.assert_same("a", native_str(u"a"))
        self.assertIsNone(native_str(None))

    def test_to_basestring(self):
        self.assert_same(u"\u00e9", to_basestring(u"\u00e9"))
        self.assert_same("a", to_basestring(b"a"))
        self.assertIsNone(to_basestring(None))

    def test_other_types_are_refused(self):
        for convert in (utf8, to_unicode, native_str, to_basestring):
            for value in (1, [], bytearray(b"a"), object()):
                self.assertRaises(TypeError, convert, value)

    def test_recursive_unicode(self):
        self.assertEqual(
            {u"a": [u"\u00e9", (u"b", None, 1)], u"c": {u"d": u"e"}},
            recursive_unicode({b"a": [b"\xc3\xa9", (b"b", None, 1)], u"c": {b"d": u"e"}}))
        value = recursive_unicode((b"a", [b"b"], {b"c": b"d"}))
        self.assertEqual([six.text_type] * 4,
                         [type(value[0]), type(value[1][0])] +
                         [type(text) for pair in value[2].items() for text in pair])
        self.assertIs(tuple, type(value))


class HtmlTest(unittest.TestCase):
    def test_escape(self):
        self.assertEqual(u"&lt;a href=&quot;?b&amp;c&quot;&gt;&amp;amp;",
                         xhtml_escape(u'<a href="?b&c">&amp;'))
        self.assertEqual(u"\u00e9", xhtml_escape(u"\u00e9"))
        self.assertIs(six.text_type, type(xhtml_escape(u"<")))
        self.assertIs(str, type(xhtml_escape(b"<")))
        self.assertEqual(u"&lt;\u00e9", to_unicode(xhtml_escape(u"<\u00e9".encode("utf-8"))))

    def test_a015_apostrophe(self):
        self.assertEqual("&#39;", xhtml_escape("'"))

    def test_escape_refuses_other_types(self):
        for value in (None, 1, []):
            self.assertRaises(TypeError, xhtml_escape, value)

    def test_unescape(self):
        for text, expected in (
                (u"&lt;&gt;&amp;&quot;&#39;", u"<>&\"'"),
                (u"&amp;lt;", u"&lt;"),
                (u"&#233;&#xe9;&#XE9;&eacute;&#0233;", u"\u00e9" * 5),
                (u"&#128512;", u"\U0001f600"),
                (b"&#256;", u"\u0100"),
                (u"&euro;&apos;", u"\u20ac'")):
            value = xhtml_unescape(text)
            self.assertEqual((six.text_type, expected), (type(value), value))

    def test_unescape_leaves_what_names_no_character(self):
        for text in (u"&", u"&;", u"&#;", u"&#x;", u"&none;", u"&lt", u"& lt;", u"&#1114112;",
                     u"&#xd800;", u"&#0;", u"&#x-1;", u"&#\u0661;", u"&#99999999999999999999;"):
            self.assertEqual(text, xhtml_unescape(text))

    def test_unescape_in_linear_time(self):
        for text in (u"&" * 500000, u"&a" * 300000, u"&#1" * 200000, u"&" + u"a" * 500000):
            self.assertEqual(text, xhtml_unescape(text))

    def test_squeeze(self):
        self.assertEqual(u"a b c", squeeze(u" a\t\n\r b \x00 c \x1f"))
        self.assertEqual("", squeeze(" \n"))
        self.assertIs(str, type(squeeze(" a ")))


class JsonTest(unittest.TestCase):
    def test_encode(self):
        self.assertEqual({u"a": [1, None, u"\u00e9"]},
                         json.loads(json_encode({"a": [1, None, u"\u00e9"]})))
        self.assertEqual('"<\\/script>"', json_encode("</script>"))
        self.assertIs(str, type(json_encode(u"\u00e9")))
        # A browser that sees these two would miss the end of the element.
        text = "<!--<script>"
        self.assertNotIn("<!--", json_encode(text))
        self.assertEqual(text, json.loads(json_encode(text)))
        self.assertEqual('"\\u2028"', json_encode(u"\u2028"))
        self.assertRaises(TypeError, json_encode, object())

    def test_decode(self):
        for text in (u'["\u00e9"]', u'["\u00e9"]'.encode("utf-8"), '["\\u00e9"]'):
            value = json_decode(text)
            self.assertEqual(([u"\u00e9"], six.text_type), (value, type(value[0])))
        self.assertEqual("</script>", json_decode(json_encode("</script>")))
        for text in ("", "{", b"'a'"):
            self.assertRaises(ValueError, json_decode, text)


class UrlTest(unittest.TestCase):
    def test_escape(self):
        for value, plus, path in (
                (u"\u00e9", "%C3%A9", "%C3%A9"), (b"\xc3\xa9", "%C3%A9", "%C3%A9"),
                (u"a b+c", "a+b%2Bc", "a%20b%2Bc"), ("a/b", "a%2Fb", "a/b"),
                ("-._~", "-._~", "-._~"), ("&=?#%", "%26%3D%3F%23%25", "%26%3D%3F%23%25"),
                ("", "", "")):
            for expected, found in ((plus, url_escape(value)), (plus, url_escape(value, True)),
                                    (path, url_escape(value, plus=False))):
                self.assertEqual((str, expected), (type(found), found))

    def test_unescape(self):
        for value in ("a%20%C3%A9+b%zz%", u"a%20\u00e9+b%zz%", b"a%20\xc3\xa9+b%zz%"):
            self.assertEqual(u"a \u00e9 b%zz%", url_unescape(value))
            self.assertEqual(u"a \u00e9+b%zz%", url_unescape(value, plus=False))
            self.assertEqual(b"a \xc3\xa9 b%zz%", url_unescape(value, encoding=None))
        for value in ("%C3%A9", u"%c3%a9", b"\xc3\xa9"):
            self.assertEqual(u"\u00c3\u00a9", url_unescape(value, "latin-1"))
        self.assertEqual(u"\ufffd", url_unescape("%ff"))
        self.assertEqual(b"\xff+ ", url_unescape("%ff%2B+", encoding=None))


class ParseQsTest(unittest.TestCase):
    def test_names_are_native_and_values_bytes(self):
        fields = parse_qs_bytes(u"a=1&b=%C3%A9&a=2+3%2B&%C3%A9=x")
        self.assertEqual({"a": [b"1", b"2 3+"], "b": [b"\xc3\xa9"], native_str(u"\u00e9"): [b"x"]},
                         fields)
        self.assertEqual({str}, set(type(name) for name in fields))
        self.assertEqual(fields, parse_qs_bytes(b"a=1&b=%C3%A9&a=2+3%2B&%C3%A9=x"))

    def test_name_that_is_no_utf8(self):
        name, = parse_qs_bytes("%E9=1")
        self.assertEqual("\xe9", name)

    def test_blank_values(self):
        query = "a=&b&c=1&=&=2&&"
        self.assertEqual({"c": [b"1"], "": [b"2"]}, parse_qs_bytes(query))
        self.assertEqual({"a": [b""], "b": [b""], "c": [b"1"], "": [b"", b"2"]},
                         parse_qs_bytes(query, keep_blank_values=True))

    def test_a213_broken_escapes_stay(self):
        self.assertEqual({"a": [b"%zz"], "%": [b""], "": [b""]},
                         parse_qs_bytes("a=%zz&%&=&&&", keep_blank_values=True))

    def test_strict(self):
        self.assertEqual({"a": [b"1"]}, parse_qs_bytes("a=1&b=", strict_parsing=True))
        for query in ("a", "a=1&", "a=1&&b=1"):
            self.assertRaises(ValueError, parse_qs_bytes, query, strict_parsing=True)
        with self.assertRaises(ValueError) as caught:
            parse_qs_bytes("a=1&b+%63", strict_parsing=True)
        self.assertIn("b+%63", str(caught.exception))

    def test_escapes_and_spaces_of_each_part(self):
        for query, name, value in [("a+b=c", "a b", b"c"), ("a=b+c", "a", b"b c"),
                                   ("%41=b", "A", b"b"), ("a=%2B+%25+%3D", "a", b"+ % ="),
                                   ("a%2b=%2b", "a+", b"+"), ("%3D=%26&", "=", b"&")]:
            self.assertEqual({name: [value]}, parse_qs_bytes(query))
            self.assertEqual({"z": [b"%"], name: [value]}, parse_qs_bytes("z=%&" + query))

    def test_semicolon_separates_nothing(self):
        self.assertEqual({"a": [b"1;b=2"]}, parse_qs_bytes("a=1;b=2"))


def link(url, text=None, extra=""):
    return u'<a href="%s"%s>%s</a>' % (url, extra, url if text is None else text)


class LinkifyTest(unittest.TestCase):
    def assert_links(self, text, expected, **kwargs):
        found = linkify(text, **kwargs)
        self.assertEqual(expected, found)
        self.assertIs(six.text_type, type(found))

    def test_text_without_link_is_escaped(self):
        self.assert_links(u"<b> & \u00e9 'x' \"y\"",
                          u"&lt;b&gt; &amp; \u00e9 &#39;x&#39; &quot;y&quot;")
        self.assert_links(b"a < b", u"a &lt; b")
        self.assert_links(u"", u"")
        for text in (u"http://", u"http://...", u"http", u"www.", u"www", u"x@y.org", u"a:b",
                     u"http:example.com", u"awww.example.com", u"x-http://example.com"):
            self.assert_links(text, text)

    def test_links(self):
        for url in (u"http://example.com", u"https://example.com/", u"http://a.example/b-c_d/~e",
                    u"http://example.com:8080/a#b", u"http://example.com/a,b;c",
                    u"HTTP://EXAMPLE.COM", u"http://\u27a1.example/\u00e9", u"http://[::1]/",
                    u"http://example.com/?a[]=1", u"http:/example.com", u"http://localhost"):
            self.assert_links(url, link(url))
            self.assert_links(u"see %s there" % url, u"see %s there" % link(url))
        self.assert_links(u"http://example.com/?a=1&b=%20'x",
                          link(u"http://example.com/?a=1&amp;b=%20&#39;x"))
        self.assert_links(u"http://a.com\nhttp://b.com\thttp://c.com\u3000http://d.com",
                          u"%s\n%s\t%s\u3000%s" % tuple(link(u"http://%s.com" % one)
                                                        for one in u"abcd"))
        self.assert_links(u"\u770bhttp://example.com", u"\u770b" + link(u"http://example.com"))

    def test_without_protocol(self):
        self.assert_links(u"www.example.com/a", link(u"http://www.example.com/a",
                                                     u"www.example.com/a"))
        self.assert_links(u"www.example.com http://b.com",
                          u"www.example.com " + link(u"http://b.com"), require_protocol=True)
        self.assert_links(u"site:WWW.example.com", u"site:" + link(u"http://WWW.example.com",
                                                                   u"WWW.example.com"))

    def test_sentence_around_a_link(self):
        url = u"http://example.com/a"
        for before, after in ((u"", u"."), (u"", u"!?"), (u"(", u")"), (u"(see ", u")."),
                              (u"", u", b"), (u"\u201c", u"\u201d"), (u"'", u"'"), (u"", u"..."),
                              (u"[", u"]"), (u"{", u"},"), (u"*", u"*"), (u"a:", u":"), (u"", u"("),
                              (u"\uff08", u"\uff09\u3002")):
            quoted = [piece.replace(u"'", u"&#39;") for piece in (before, after)]
            self.assert_links(before + url + after, quoted[0] + link(url) + quoted[1])
        self.assert_links(u'"http://example.com/a"', u"&quot;" + link(url) + u"&quot;")
        self.assert_links(u"<http://example.com/a>", u"&lt;" + link(url) + u"&gt;")
        self.assert_links(u"<i>http://example.com/a</i>",
                          u"&lt;i&gt;" + link(url) + u"&lt;/i&gt;")

    def test_parentheses_in_pairs_belong_to_it(self):
        url = u"http://example.com/a_(b)"
        for text in (u"%s", u"(%s)", u"(see %s).", u"%s!"):
            self.assert_links(text % url, text % link(url))
        for url in (u"http://example.com/(a)b(c)/d", u"http://example.com/()"):
            self.assert_links(url, link(url))
        self.assert_links(u"(http://a.com),(http://b.com)",
                          u"(%s),(%s)" % (link(u"http://a.com"), link(u"http://b.com")))

    def test_permitted_protocols(self):
        text = u"ftp://a.com javascript://b mailto:a@b.com http://c.com javascript:alert(1)"
        self.assert_links(text, text.replace(u"http://c.com", link(u"http://c.com")))
        self.assert_links(
            text, u"%s javascript://b %s http://c.com javascript:alert(1)"
            % (link(u"ftp://a.com"), link(u"mailto:a@b.com")),
            permitted_protocols=["FTP", b"mailto"])
        self.assert_links(u"www.a.com", u"www.a.com", require_protocol=True,
                          permitted_protocols=[])

    def test_a_refused_protocol_hides_the_whole(self):
        self.assert_links(u"foo://www.example.com", u"foo://www.example.com")

    def test_extra_params(self):
        url = u"http://example.com/?a&b"
        href = u"http://example.com/?a&amp;b"
        for extra in (u'rel="nofollow"', ' rel="nofollow" ', b'rel="nofollow"'):
            self.assert_links(url, link(href, extra=u' rel="nofollow"'), extra_params=extra)
            self.assert_links(url, link(href, extra=u' rel="nofollow"'),
                              extra_params=lambda href: extra)
        given_urls = []
        self.assert_links(u"www.a.com " + url, link(u"http://www.a.com", u"www.a.com") + u" " +
                          link(href), extra_params=lambda href: given_urls.append(href) or "")
        self.assertEqual([u"http://www.a.com", href], given_urls)

    def test_shorten(self):
        url = u"http://example.com/a/very/long/path/that/goes/on?and=on"
        self.assert_links(url, link(url, u"http://example.com/a...", u' title="%s"' % url),
                          shorten=True)
        url = u"https://example.com/averylongname/x"
        self.assert_links(url, link(url, u"https://example.com/averylon...",
                                    u' class="x" title="%s"' % url),
                          shorten=True, extra_params='class="x"')
        self.assert_links(u"http://example.com/short", link(u"http://example.com/short"),
                          shorten=True)
        url = u"http://a-host-with-a-long-name.and-more.of.it.example.com/"
        self.assert_links(url, link(url, url[:30] + u"...", u' title="%s"' % url), shorten=True)
        url = u"www.example.com/?a=1&b=2&c=3&d=4&e=5"
        full = u"http://" + url.replace(u"&", u"&amp;")
        self.assert_links(url, link(full, u"www.example.com/...", u' title="%s"' % full),
                          shorten=True)
        # Cutting would save nothing.
        url = u"http://an.example.com/abcdefgh.x"
        self.assert_links(url, link(url), shorten=True)

    def test_nothing_of_a_url_gets_out_of_its_attribute(self):
        for text in (u'http://a.com/"onclick="x', u"http://a.com/'onclick='x",
                     u"http://a.com/<script>", u"http://a.com/>x"):
            for shorten in (True, False):
                html = linkify(text, shorten=shorten)
                self.assertEqual(2, html.count(u"<"), html)
                self.assertNotIn(u"'", html)
                self.assertEqual(2, html.count(u'"'), html)

    def test_linear_time(self):
        for text in (u"a" * 300000, u"a-" * 150000, u"http://a" * 40000, u"http://a(" * 40000,
                     u"http://a)" * 20000, u"(" * 300000, u"http://" + u"(" * 300000,
                     u"http://" + u"a" * 300000, u"http://" + u"()" * 150000, u"www." * 80000,
                     u"http://a" + u"." * 300000, u"&" * 300000, u":/" * 150000,
                     u"http://a(b" * 30000):
            self.assertTrue(linkify(text))


class PublicNamesTest(unittest.TestCase):
    def test_all_is_there(self):
        for name in escape.__all__:
            self.assertTrue(callable(getattr(escape, name)), name)


if given is not None:
    class PropertyTest(unittest.TestCase):
        texts = st.text(st.characters(blacklist_categories=["Cs"]))

        @settings(max_examples=200, deadline=None)
        @given(texts)
        def test_xhtml_round_trip(self, text):
            escaped = xhtml_escape(text)
            self.assertEqual(text, xhtml_unescape(escaped))
            self.assertFalse(set(escaped) & set("<>\"'"))

        @settings(max_examples=200, deadline=None)
        @given(texts, st.booleans())
        def test_url_round_trip(self, text, plus):
            self.assertEqual(text, url_unescape(url_escape(text, plus=plus), plus=plus))

        @settings(max_examples=200, deadline=None)
        @given(st.lists(st.tuples(texts, st.binary(min_size=1))))
        def test_query_round_trip(self, pairs):
            fields = {}
            for name, value in pairs:
                fields.setdefault(name, []).append(value)
            query = "&".join(url_escape(name) + "=" + url_escape(value) for name, value in pairs)
            self.assertEqual(fields, parse_qs_bytes(query))

        @settings(max_examples=200, deadline=None)
        @given(st.binary(), st.booleans())
        def test_parse_qs_takes_anything(self, query, blank):
            for name, values in parse_qs_bytes(query, keep_blank_values=blank).items():
                self.assertIs(str, type(name))
                self.assertEqual({bytes}, set(map(type, values)))

        @settings(max_examples=300, deadline=None)
        @given(st.lists(st.sampled_from(
            [u"http://", u"www.", u"a", u"(", u")", u".", u'"', u"<", u"&", u" ", u"/", u":"]))
            .map(u"".join), st.booleans())
        def test_linkify_loses_no_text(self, text, shorten):
            html = linkify(text)
            pieces = html.split(u"<a href=")
            plain = pieces[0] + u"".join(piece.partition(u">")[2] for piece in pieces[1:])
            self.assertEqual(text, xhtml_unescape(plain.replace(u"</a>", u"")))


if __name__ == "__main__":
    unittest.main()
