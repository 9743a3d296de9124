# -*- coding: utf-8 -*-
"""Templates, routes and functions do what programs written for Tornado expect (row B341).

The number in a test's name is that of the difference in `website/docs/how-to/porting.rst`.
"""
from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import sys
import tempfile
import textwrap
import unittest

import six

from friendserve.escape import linkify, url_unescape, xhtml_escape
from friendserve.options import Error, OptionParser
from friendserve.template import DictLoader, Loader, ParseError, Template
from friendserve.util import import_object
from friendserve.web import RequestHandler, UIModule, URLSpec
from tests.webcase import WebCase


class RouteTest(unittest.TestCase):
    def assert_reversed(self, expected, pattern, *args):
        spec = URLSpec(pattern, RequestHandler)
        url = spec.reverse(*args)
        self.assertEqual(expected, url, pattern)
        self.assertIsInstance(url, str)
        self.assertIsNotNone(spec.match(url), (pattern, url))

    def test_p32_a_url_that_the_pattern_matches_is_made_of_it(self):
        for expected, pattern, args in [
                ("/entry/5/", "/entry/([0-9]+)/?", [5]),
                ("/entry/5", r"/entry/(\d+)?", [5]),
                ("/entry/", r"/entry/(\d+)?", [None]),
                ("/list/2", "/list(?:/([0-9]+))?", [2]),
                ("/list", "/list(?:/([0-9]+))?", [None]),
                ("/a/1", "/a/([0-9]+).*", [1]),
                ("/a/1", "/a/([0-9]+)[a-z/]*", [1]),
                ("/a/1", r"/a/([0-9]+)(?:\.html)?$", [1]),
                ("/a/b/1", "/a/(?:b|c)/([0-9]+)", [1]),
                ("/a/bd/1", "/a/(?:bd|c|)/([0-9]+)", [1]),
                ("/About/1", "/[Aa]bout/([0-9]+)", [1]),
                ("/a/x", "/a/(?!static)(.*)", ["x"]),
                ("/aab/x", "/a{2}b+/(.*)", ["x"]),
                ("/e/x.json", r"/e/(?P<name>\w+)\.json/*", ["x"]),
                ("/a/x", "(?i)/a/(.*)", ["x"])]:
            self.assert_reversed(expected, pattern, *args)
        self.assert_reversed("/a/1", u"/a/([0-9]+)[^/]?", 1)
        self.assert_reversed("/a/1/", re.compile("/ a /([0-9]+) /? $", re.VERBOSE), 1)


class FunctionTest(unittest.TestCase):
    def test_p35_markup_is_escaped_once(self):
        class Markup(six.text_type):
            def replace(self, old, new):
                return Markup(six.text_type.replace(self, old, xhtml_escape(new)))

        markup = Markup(u"<b>'&")
        self.assertEqual(u"&lt;b&gt;&#39;&amp;", xhtml_escape(markup))
        self.assertEqual(b"&lt;b&gt;&#39;&amp;", Template("{{ x }}").generate(x=markup))
        self.assertEqual(u"&lt;b&gt;&#39;&amp;", linkify(markup))

    def test_p38_links_begin_with_the_letter_of_a_scheme(self):
        for text, link in [(u"(+http://a.example/b)", u"http://a.example/b"),
                           (u"bot -http://a.example/", u"http://a.example/"),
                           (u"--http://a.example/", u"http://a.example/"),
                           (u"-www.a.example", u"www.a.example"),
                           (u"x-www.a.example", u"www.a.example")]:
            linked = linkify(text)
            self.assertIn(u">%s</a>" % link, linked, text)
            self.assertEqual(text, re.sub(u"<[^>]*>", u"", linked))
        for text in (u"3http://a.example", u"_http://a.example", u"xhttp://a.example",
                     u"web+http://a.example"):
            self.assertEqual(text, linkify(text))

    def test_p39_octets_of_no_character_are_replaced(self):
        self.assertEqual(u"\ufffd", url_unescape("%E9"))
        self.assertEqual(u"a\ufffdb", url_unescape(u"a%FFb"))
        self.assertEqual(u"\ufffd", url_unescape(b"\xe9"))
        self.assertEqual(u"\u4e2d\u00e9", url_unescape(u"\u4e2d%E9", encoding="latin1"))
        self.assertEqual(u"\u4e2d \u4e2d", url_unescape(u"\u4e2d+%D6%D0", encoding="gbk"))
        self.assertEqual(b"\xe9", url_unescape("%E9", encoding=None))


class OptionTest(unittest.TestCase):
    def test_p43_true_is_an_integer(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "options.py")
        with open(path, "w") as target:
            target.write("processes = True\n")
        options = OptionParser()
        options.define("processes", default=1)
        options.define("share", default=1.5)
        options.parse_config_file(path)
        self.assertIs(True, options.processes)
        with self.assertRaises(Error):
            options.share = True


class TemplateTest(unittest.TestCase):
    def assert_refused(self, where, *texts, **files):
        files["main"] = texts[0]
        with self.assertRaises(ParseError) as refused:
            DictLoader(files).load("main").generate()
        for part in where:
            self.assertIn(part, str(refused.exception))

    def test_p37_an_expression_of_a_comment_is_refused(self):
        for text in ("\n{{# if x }}", "\n{{ # }}", "\n{% raw # x %}", "\n{{ #a\n#b }}"):
            self.assert_refused(["main:2"], text)

    def test_p40_a_semicolon_may_end_an_expression(self):
        class Modules(object):
            def M(self):
                return "<i>"

        text = "{{ x; }}{% raw x; %}{% module M(); %}{{ ';' }}{{ ';'; }}{% set y = 1; %}{{ y ; }}"
        self.assertEqual(b"&lt;<<i>;;1", Template(text).generate(x="<", modules=Modules()))
        self.assert_refused(["main:1"], "{{ ; }}")

    def test_p41_an_included_file_that_extends_is_refused(self):
        self.assert_refused(["part", "extends", "main:2"], "\n{% include part %}",
                            part="{% extends base %}", base="base")

    def test_p42_bytes_pass_through(self):
        for text in ("a{% raw x %}b", "{% autoescape None %}a{{ x }}b",
                     "a{% apply f %}{% raw x %}{% end %}b",
                     u"{% if 1 %}a{% end %}{% raw x %}b"):
            self.assertEqual(b"a\xff\xd6\xd0b", Template(text).generate(
                x=b"\xff\xd6\xd0", f=lambda value: value))
        if six.PY2:  # version: py2
            self.assertEqual(b"a\xff&lt;", Template("a{{ x }}").generate(x=b"\xff<"))
        self.assertEqual(u"é".encode("utf-8") * 3, Template(u"é{{ x }}{{ y }}").generate(
            x=u"é", y=u"é".encode("utf-8")))

    def test_p45_a_missing_file_is_named_and_where_it_is_wanted(self):
        self.assert_refused(["missing.html", "main:3"], "\n\n{% include missing.html %}")
        self.assert_refused(["missing.html", "part:2"], "{% include part %}",
                            part="\n{% include missing.html %}")
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        with open(os.path.join(folder, "main.html"), "w") as target:
            target.write("\n{% extends missing.html %}")
        with self.assertRaises(ParseError) as refused:
            Loader(folder).load("main.html")
        self.assertIn("missing.html", str(refused.exception))
        self.assertIn("main.html:2", str(refused.exception))


class Part(UIModule):
    """Its locale may be set, as by a module that is always in one language."""
    def __init__(self, handler):
        super(Part, self).__init__(handler)
        self.inherited = self.locale
        self.locale = "de"

    def render(self):
        return "%s %s" % (self.inherited.code, self.locale)


class PageTest(WebCase):
    def render(self, text, **settings):
        class Page(RequestHandler):
            def get(self):
                self.render("page")

        self.serve_app([("/", Page)], template_loader=DictLoader({"page": text}), **settings)
        return self.ask().body

    def test_p33_ui_methods_replace_the_variables_of_a_page(self):
        names = ["static_url", "reverse_url", "locale", "current_user", "request", "handler", "_"]
        methods = dict((name, lambda handler, name=name: "my " + name) for name in names)
        text = " ".join("{{ %s() }}" % name for name in names)
        self.assertEqual(" ".join("my " + name for name in names).encode("ascii"),
                         self.render(text, ui_methods=methods))

    def test_p36_a_modules_locale_can_be_set(self):
        self.assertEqual(b"en_US de", self.render("{% module Part() %}",
                                                  ui_modules={"Part": Part}))

    def test_p44_templates_lie_beside_the_file_that_renders_them(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for place, files in [("handlers", {"page.html": "of the handler"}),
                             ("lib", {"page.html": "of the library {% module Box() %}"
                                                   "{% module Template('inner.html') %}",
                                      "inner.html": "inner"}),
                             ("boxes", {"page.html": "of the box "})]:
            os.mkdir(os.path.join(folder, place))
            for name, text in files.items():
                with open(os.path.join(folder, place, name), "w") as target:
                    target.write(text)
        for path, source in [
                ("lib/p44lib", """
                    from friendserve.web import RequestHandler
                    class Base(RequestHandler):
                        def show(self):
                            self.render("page.html")
                    """),
                ("boxes/p44boxes", """
                    from friendserve.web import UIModule
                    class Box(UIModule):
                        def render(self):
                            return self.render_string("page.html")
                    """),
                ("handlers/p44handlers", """
                    import functools
                    from friendserve.ioloop import IOLoop
                    from friendserve.web import asynchronous
                    from p44lib import Base
                    class Own(Base):
                        def get(self):
                            self.render("page.html")
                    class Inherited(Base):
                        def get(self):
                            self.show()
                    class Later(Base):
                        @asynchronous
                        def get(self):
                            IOLoop.current().add_callback(functools.partial(
                                self.render, "page.html"))
                    """)]:
            with open(os.path.join(folder, path + ".py"), "w") as target:
                target.write(textwrap.dedent(source))
            sys.path.insert(0, os.path.dirname(target.name))
            self.addCleanup(sys.path.remove, os.path.dirname(target.name))
            self.addCleanup(sys.modules.pop, path.split("/")[1], None)
        handlers = "p44handlers."
        self.serve_app([("/own", handlers + "Own"), ("/inherited", handlers + "Inherited"),
                        ("/later", handlers + "Later")],
                       ui_modules={"Box": import_object("p44boxes.Box")})
        self.assertEqual(b"of the handler", self.ask("/own").body)
        self.assertEqual(b"of the library of the box inner", self.ask("/inherited").body)
        # The loop has called it: the file of the handler has to do.
        self.assertEqual(b"of the handler", self.ask("/later").body)


if __name__ == "__main__":
    unittest.main()
