# -*- coding: utf-8 -*-
"""The template language, its loaders, and their messages about invalid templates."""
from __future__ import absolute_import, division, print_function

import gc
import os
import shutil
import tempfile
import threading
import traceback
import unittest

import six

from friendserve.escape import native_str, to_unicode, utf8
from friendserve.template import (
    BaseLoader, DictLoader, Loader, ParseError, Template, filter_whitespace)
from tests.loopcase import of_cpython


def render(source, **kwargs):
    """The output of the template `source`, as unicode."""
    return to_unicode(Template(source).generate(**kwargs))


def render_name(files, name, **kwargs):
    return to_unicode(DictLoader(files).load(name).generate(**kwargs))


class ParseErrorMixin(object):
    def assert_fails(self, source, line, part=""):
        """Check that `source` does not parse, and that the error names its file and `line`."""
        with self.assertRaises(ParseError) as caught:
            Template(source, name="page.txt")
        self.check(caught.exception, "page.txt", line, part)

    def check(self, error, name, line, part=""):
        self.assertEqual((error.filename, error.lineno), (name, line), str(error))
        self.assertIn(part, error.message)
        self.assertTrue(str(error).endswith(" at %s:%d" % (name, line)), str(error))


class ExpressionTest(unittest.TestCase):
    def test_text_alone(self):
        self.assertEqual(Template("plain").generate(), b"plain")
        self.assertEqual(Template("").generate(), b"")

    def test_values(self):
        self.assertEqual(render("{{ a }} and {{ b + 1 }}", a="x", b=1), "x and 2")
        self.assertEqual(render("{{ None }} {{ 1.5 }} {{ [1] }}"), "None 1.5 [1]")

    def test_unicode_and_bytes_values(self):
        for value in (u"caf\u00e9 \U0001f600", utf8(u"caf\u00e9 \U0001f600")):
            for source in ("{{ x }}", "{% raw x %}", "{% autoescape None %}{{ x }}"):
                self.assertEqual(Template(source).generate(x=value),
                                 utf8(u"caf\u00e9 \U0001f600"))

    def test_source_as_unicode_or_utf8(self):
        for source in (u"caf\u00e9 {{ u'\u00e9' }}", utf8(u"caf\u00e9 {{ u'\u00e9' }}")):
            self.assertEqual(Template(source).generate(), utf8(u"caf\u00e9 \u00e9"))

    def test_object_by_its_str(self):
        class Shown(object):
            def __str__(self):
                return native_str(u"<\u00e9>")

        self.assertEqual(render("{{ x }}", x=Shown()), u"&lt;\u00e9&gt;")

    def test_tuple_without_brackets(self):
        self.assertEqual(render("{{ 1, 2 }}"), "(1, 2)")

    def test_over_several_lines_and_with_a_comment(self):
        self.assertEqual(render("{{ 1\n + 2 }}"), "3")
        self.assertEqual(render("{{ 1 # one\n }}"), "1")
        self.assertEqual(render("{{ 1 # one }}"), "1")
        self.assertEqual(render("{{ '#' }}"), "#")

    def test_literal_tags(self):
        self.assertEqual(render("{{!x}} {%!x%} {#!x#}"), "{{x}} {%x%} {#x#}")

    def test_braces_that_are_no_tags(self):
        self.assertEqual(render("{ } {a} }} %} {"), "{ } {a} }} %} {")

    def test_three_braces(self):
        self.assertEqual(render("{{{ 1 }}} {{{{ 2 }}}}"), "{1} {{2}}")

    def test_comments(self):
        self.assertEqual(render("a{# {{ b }} \n #}c{% comment ' { %}d"), "acd")

    def test_names_always_there(self):
        self.assertEqual(render("{% raw escape('<') %}{% raw xhtml_escape('<') %}"), "&lt;&lt;")
        self.assertEqual(render("{{ url_escape('a b&') }}"), "a+b%26")
        self.assertEqual(render("{% raw json_encode([1]) %}"), "[1]")
        self.assertEqual(render("{{ squeeze('a   b') }}"), "a b")
        self.assertIn("<a href", render("{% raw linkify('http://example.com') %}"))
        self.assertEqual(render("{{ datetime.date(2009, 9, 10) }}"), "2009-09-10")

    def test_arguments_hide_the_names_always_there(self):
        self.assertEqual(render("{{ escape }}", escape=1), "1")

    def test_division_is_the_python_own(self):
        self.assertEqual(render("{{ 1 / 2 }}"), "0.5" if six.PY3 else "0")

    def test_errors_pass_through(self):
        with self.assertRaises(ZeroDivisionError):
            render("{{ 1 // 0 }}")
        with self.assertRaises(NameError):
            render("{{ missing }}")

    def test_generate_twice_and_from_two_threads(self):
        template = Template("{% set y = x %}{{ y }}")
        results = []
        threads = [threading.Thread(target=lambda n=n: results.extend(
            template.generate(x=n) == utf8(str(n)) for _ in range(50))) for n in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [True] * 100)

    @of_cpython
    def test_b170_generate_leaves_no_cycle(self):
        template = Template("{% for x in [1] %}{{ x }}{% end %}{% apply len %}a{% end %}")
        template.generate()
        gc.collect()
        gc.disable()
        try:
            template.generate()
            self.assertEqual(gc.collect(), 0)
        finally:
            gc.enable()


class AutoescapeTest(unittest.TestCase):
    def test_a005_escaped_by_default(self):
        self.assertEqual(render("{{ '<script>' }}"), "&lt;script&gt;")
        self.assertEqual(render("{{ x }}", x=b"<\"'&>"), "&lt;&quot;&#39;&amp;&gt;")
        self.assertEqual(render_name({"a": "{{ '<' }}"}, "a"), "&lt;")

    def test_a005_raw(self):
        self.assertEqual(render("{% raw '<b>' %}"), "<b>")

    def test_a005_none_for_a_file(self):
        # Wherever the directive is, it applies to the whole file.
        self.assertEqual(render("{{ '<' }}{% autoescape None %}{{ '<' }}"), "<<")

    def test_a005_none_for_a_template_or_a_loader(self):
        self.assertEqual(Template("{{ '<' }}", autoescape=None).generate(), b"<")
        loader = DictLoader({"a": "{{ '<' }}"}, autoescape=None)
        self.assertEqual(loader.load("a").generate(), b"<")
        self.assertIsNone(loader.load("a").autoescape)

    def test_a005_each_file_by_its_own_rule(self):
        files = {
            "base": "{% autoescape None %}{{ '<' }}{% block a %}{% end %}{% include inc %}",
            "page": "{% extends base %}{% block a %}{{ '<' }}{% end %}",
            "inc": "{{ '<' }}",
        }
        self.assertEqual(render_name(files, "page"), "<&lt;&lt;")

    def test_own_function_gets_bytes(self):
        seen = []

        def own(value):
            seen.append(value)
            return u"[" + to_unicode(value) + u"]"

        for value in (u"\u00e9", utf8(u"\u00e9")):
            self.assertEqual(render("{% autoescape own %}{{ x }}", x=value, own=own), u"[\u00e9]")
        self.assertEqual(render("{% autoescape own %}{{ 5 }}", own=own), "[5]")
        self.assertEqual(seen, [utf8(u"\u00e9"), utf8(u"\u00e9"), b"5"])

    def test_own_function_that_the_template_imports(self):
        source = "{% from friendserve.escape import url_escape as u %}{% autoescape u %}{{ '&' }}"
        self.assertEqual(render(source), "%26")

    def test_replaced_xhtml_escape_is_used(self):
        self.assertEqual(render("{{ 'x' }}", xhtml_escape=lambda value: value * 2), "xx")
        loader = DictLoader({"a": "{{ 'x' }}"}, namespace={"xhtml_escape": lambda value: "y"})
        self.assertEqual(loader.load("a").generate(), b"y")

    def test_a315_apply_escapes_once(self):
        source = "{% apply twice %}<b>{{ '<&' }}</b>{% end %}"
        self.assertEqual(render(source, twice=lambda value: value * 2),
                         "<b>&lt;&amp;</b><b>&lt;&amp;</b>")

    def test_a315_module_is_not_escaped(self):
        class Modules(object):
            def Entry(self, text):
                return "<p>%s</p>" % text

        self.assertEqual(render("{% module Entry('a') %}", modules=Modules()), "<p>a</p>")
        # The second name is for pages in which the name modules means something else.
        self.assertEqual(render("{% module Entry('a') %}{{ modules }}", modules=1,
                                _tt_modules=Modules()), "<p>a</p>1")


class DirectiveTest(unittest.TestCase, ParseErrorMixin):
    def test_if(self):
        source = "{% if x == 1 %}one{% elif x == 2 %}two{% else %}many{% end %}"
        self.assertEqual([render(source, x=x) for x in (1, 2, 3)], ["one", "two", "many"])

    def test_empty_bodies(self):
        self.assertEqual(render("{% if 1 %}{% else %}{% end %}{% for x in [1] %}{# #}{% end %}"
                                "{% try %}{% finally %}{% end %}{% apply len %}{% end %}"), "0")

    def test_for(self):
        self.assertEqual(render("{% for a, b in x %}{{ a }}{{ b }};{% end %}", x=["12", "34"]),
                         "12;34;")
        self.assertEqual(render("{% for a in [] %}{{ a }}{% else %}none{% end %}"), "none")

    def test_while_break_continue(self):
        source = ("{% set n = 0 %}{% while True %}{% set n = n + 1 %}{% if n == 2 %}"
                  "{% continue %}{% end %}{% if n > 3 %}{% break %}{% end %}{{ n }}{% end %}")
        self.assertEqual(render(source), "13")

    def test_try(self):
        source = ("{% try %}a{{ 1 // x }}{% except ZeroDivisionError as e %}b{% else %}c"
                  "{% finally %}d{% end %}")
        self.assertEqual(render(source, x=1), "a1cd")
        self.assertEqual(render(source, x=0), "abd")

    def test_set_and_imports(self):
        self.assertEqual(render("{% set a, b = 1, 2 %}{{ a + b }}"), "3")
        self.assertEqual(render("{% import os.path %}{{ os.path.basename('a/b') }}"), "b")
        self.assertEqual(render("{% from os import path as p %}{{ p.basename('a/b') }}"), "b")

    def test_comprehension_sees_what_was_set(self):
        self.assertEqual(render("{% set n = 2 %}{{ [n * x for x in y] }}", y=[1, 2]), "[2, 4]")

    def test_apply_gets_bytes(self):
        seen = []

        def upper(value):
            seen.append(value)
            return to_unicode(value).upper()

        self.assertEqual(render(u"{% apply upper %}\u00e9 {{ 1 }}{% end %}", upper=upper),
                         u"\u00c9 1")
        self.assertEqual(seen, [utf8(u"\u00e9 1")])

    def test_apply_nested_with_an_expression_for_its_function(self):
        self.assertEqual(render("{% set y = 'c' %}{% apply f('[]') %}a{% apply f('()') %}b{{ y }}"
                                "{% end %}{% end %}", f=lambda pair: lambda value: native_str(
                                    pair[0] + native_str(value) + pair[1])), "[a(bc)]")

    def test_apply_in_a_loop(self):
        self.assertEqual(render("{% for c in 'ab' %}{% apply f %}{{ c }}{% end %}{% end %}",
                                f=lambda value: value * 2), "aabb")

    def test_end_may_say_what_it_ends(self):
        self.assertEqual(render("{% if 1 %}a{% end if %}"), "a")

    def test_words_may_be_parted_by_any_space_or_a_bracket(self):
        self.assertEqual(render("{%\nif\n1%}a{%\tend\n%}"), "a")
        self.assertEqual(render("{% if(1) %}a{% end %}"), "a")

    def test_many_levels_and_many_tags(self):
        # b236
        deep = "{% if 1 %}" * 50 + "x" + "{% end %}" * 50
        self.assertEqual(render(deep), "x")
        wide = "a{{ 1 }}\n" * 20000
        self.assertEqual(render(wide, whitespace="all"), "a1\n" * 20000)


class ErrorTest(unittest.TestCase, ParseErrorMixin):
    def test_b236_unfinished_tags(self):
        self.assert_fails("a\n\n{{ x", 3, "missing }}")
        self.assert_fails("a\n{% if x", 2, "missing %}")
        self.assert_fails("{# \n\n", 1, "missing #}")

    def test_b236_empty_tags(self):
        self.assert_fails("\n{{ }}", 2, "empty")
        self.assert_fails("\n\n{%%}", 3, "empty")

    def test_b236_blocks_that_do_not_match(self):
        self.assert_fails("{# \n #}{% end %}", 2, "without a block")
        self.assert_fails("a\n{% if x %}\n{% for y in x %}\n{% end %}\n", 2, "{% if %}")
        self.assert_fails("{% for x in y %}\n{% else %}\n\n", 1, "{% for %}")
        self.assert_fails("\n{% else %}", 2, "must be inside for or if or try or while")
        self.assert_fails("{% for x in y %}\n{% elif x %}{% end %}", 2, "must be inside if")
        self.assert_fails("{% if x %}\n{% except %}{% end %}", 2, "must be inside try")
        self.assert_fails("{% if x %}\n{% finally %}{% end %}", 2, "must be inside try")
        self.assert_fails("{% block x %}\n{% else %}{% end %}", 2)

    def test_b236_break_outside_of_a_loop(self):
        self.assert_fails("\n{% break %}", 2, "outside of a loop")
        self.assert_fails("\n{% if x %}{% continue %}{% end %}", 2, "outside of a loop")
        self.assert_fails("{% for x in y %}\n{% apply f %}{% break %}{% end %}{% end %}", 2,
                          "outside of a loop")

    def test_b236_unknown_and_incomplete_directives(self):
        self.assert_fails("\n{% unknown x %}", 2, "unknown")
        self.assert_fails("\n{% = %}", 2, "=")
        self.assert_fails(u"\n{% \u00e9 %}", 2)
        for word in ("apply", "autoescape", "block", "extends", "from", "import", "include",
                     "module", "raw", "set", "whitespace"):
            self.assert_fails("\n{%% %s %%}{%% end %%}" % word, 2, "argument")
        self.assert_fails("\n{% whitespace some %}", 2, "some")
        self.assert_fails("{% if x %}\n{% extends a %}{% end %}", 2, "extends")
        self.assert_fails("{% extends a %}\n{% extends b %}", 2, "extends")

    def test_b236_python_that_does_not_parse(self):
        self.assert_fails("a\n{{ 1 + }}\nb{{ 2 }}", 2)
        self.assert_fails("a\n{{ f( }}\nb\n{{ 2 }}", 2)
        self.assert_fails("a\n\n{{ x = 1 }}", 3)
        self.assert_fails("a\n{% if 1 + %}\nb\n{% end %}", 2)
        self.assert_fails("a\n{% set 1 = x %}", 2)
        self.assert_fails("{{ 1\n }}{% raw 2\n %}\n{% if x y %}{% end %}", 4)

    @of_cpython
    def test_b236_too_deep_for_python(self):
        with self.assertRaises(ParseError):
            Template("{% if 1 %}" * 120 + "{% end %}" * 120)

    def test_b236_in_the_file_where_it_is(self):
        files = {"base": "{% block a %}{% end %}", "inc": "\n\n{{ 1 + }}",
                 "page": "{% extends base %}\n{% block a %}\n{% include inc %}{% end %}"}
        with self.assertRaises(ParseError) as caught:
            DictLoader(files).load("page")
        self.check(caught.exception, "inc", 3)

    def test_b236_a_file_that_leads_back_to_itself(self):
        for files, name, line in [
                ({"a": "\n{% include a %}"}, "a", 2),
                ({"a": "{% include b %}", "b": "\n\n{% include a %}"}, "b", 3),
                ({"a": "{% extends b %}", "b": "\n{% extends a %}"}, "b", 2),
                ({"a": "{% extends b %}", "b": "\n{% include b %}"}, "b", 2),
                ({"a": "\n\n{% extends b %}{% block x %}{% include b %}{% end %}",
                  "b": "{% block x %}{% end %}"}, "a", 3)]:
            with self.assertRaises(ParseError) as caught:
                DictLoader(files).load("a")
            self.check(caught.exception, name, line, "leads back")

    def test_b236_a_block_that_contains_itself(self):
        self.assert_fails("{% block x %}\n{% block x %}{% end %}{% end %}", 2, "contains itself")

    def test_b236_names_that_are_not_ascii(self):
        name = native_str(u"caf\u00e9.html")
        loader = DictLoader({name: "\n{{ 1 // 0 }}", "bad": u"{% \u00e9\u00e9\n%}"})
        with self.assertRaises(ZeroDivisionError):
            loader.load(name).generate()
        with self.assertRaises(ParseError) as caught:
            loader.load("bad")
        self.check(caught.exception, "bad", 1)

    def test_extends_and_include_without_a_loader(self):
        self.assert_fails("\n{% include a %}", 2, "loader")
        self.assert_fails("\n{% extends a %}", 2, "loader")

    def test_source_that_is_not_utf8(self):
        self.assert_fails(b"\n\n a \xff", 3, "UTF-8")

    def test_defaults_of_the_error(self):
        error = ParseError("what")
        self.assertEqual((error.message, error.filename, error.lineno), ("what", None, 0))


class TracebackTest(unittest.TestCase):
    def trace(self, template):
        try:
            template.generate()
        except ZeroDivisionError:
            return traceback.format_exc()
        self.fail("nothing was raised")

    def test_line_of_the_template(self):
        trace = self.trace(Template("a\n{{ 1 // 0 }}", name="own.html"))
        self.assertIn("# own.html:2\n", trace)
        self.assertIn("1 // 0", trace)
        self.assertIn("own_html.generated.py", trace)

    def test_way_through_other_files(self):
        loader = DictLoader({
            "base": "\n{% block a %}{% end %}",
            "page": "{% extends base %}{% block a %}\n\n{% include inc %}{% end %}",
            "inc": "\n\n\n{% if 1 // 0 %}{% end %}",
        })
        self.assertIn("# inc:4 (via page:3, base:2)\n", self.trace(loader.load("page")))

    def test_same_name_again(self):
        first, second = Template("{{ 1 // 0 }}"), Template("{{ 2 // 0 }}")
        for _ in range(2):
            self.assertIn("1 // 0", self.trace(first))
            self.assertIn("2 // 0", self.trace(second))


class WhitespaceTest(unittest.TestCase):
    TEXT = " a \t b\n\n  c \n{{ 1 }} \n d"

    def test_filter(self):
        text = "a  \t b \r\n \n c"
        self.assertEqual(filter_whitespace("all", text), text)
        self.assertEqual(filter_whitespace("single", text), "a b\nc")
        self.assertEqual(filter_whitespace("oneline", text), "a b c")
        self.assertEqual(filter_whitespace("oneline", u"a \u00a0 b"), u"a \u00a0 b")
        with self.assertRaises(ValueError):
            filter_whitespace("none", text)

    def test_default_by_name(self):
        for name, wanted in [("a.html", b" a b\nc\n1\nd"), ("a.js", b" a b\nc\n1\nd"),
                             ("a.txt", b" a \t b\n\n  c \n1 \n d")]:
            self.assertEqual(Template(self.TEXT, name=name).generate(), wanted)

    def test_arguments(self):
        oneline = b" a b c 1 d"
        self.assertEqual(Template(self.TEXT, whitespace="oneline").generate(), oneline)
        loader = DictLoader({"a.txt": self.TEXT}, whitespace="oneline")
        self.assertEqual(loader.load("a.txt").generate(), oneline)
        self.assertEqual(Template(self.TEXT, loader=loader, whitespace="all").generate(),
                         b" a \t b\n\n  c \n1 \n d")
        with self.assertRaises(ValueError):
            Template("", whitespace="none")

    def test_older_argument(self):
        self.assertEqual(Template("a  b", compress_whitespace=True).generate(), b"a b")
        self.assertEqual(Template("a  b", name="a.html", compress_whitespace=False).generate(),
                         b"a  b")
        with self.assertRaises(ValueError):
            Template("", compress_whitespace=True, whitespace="all")

    def test_directive_holds_for_the_rest_of_the_file(self):
        source = "a  b{% whitespace oneline %}a \n b{% whitespace all %}a \n b"
        self.assertEqual(Template(source, name="a.html").generate(), b"a ba ba \n b")

    def test_preformatted_text_is_kept(self):
        self.assertEqual(Template("<pre>a \n  b</pre>", name="a.html").generate(),
                         b"<pre>a \n  b</pre>")

    def test_python_is_kept(self):
        self.assertEqual(Template("{{ 'a   b' }}", name="a.html").generate(), b"a   b")


class InheritanceTest(unittest.TestCase):
    FILES = {
        "base": "<{% block head %}base{% end %}|{% block body %}{{ x }}{% end %}>",
        "middle": "{% extends 'base' %}lost{% block head %}middle{% end %}",
        "page": '{% extends "middle" %}{% block body %}{{ x }}{{ x }}{% end %}{{ lost }}',
    }

    def test_blocks(self):
        self.assertEqual(render_name(self.FILES, "base", x=1), "<base|1>")
        self.assertEqual(render_name(self.FILES, "middle", x=1), "<middle|1>")
        self.assertEqual(render_name(self.FILES, "page", x=1), "<middle|11>")

    def test_block_in_a_block(self):
        files = {
            "base": "{% block a %}[{% block b %}b{% end %}]{% end %}",
            "inner": "{% extends base %}{% block b %}c{% end %}",
            "outer": "{% extends inner %}{% block a %}({% block b %}{% end %}){% end %}",
        }
        self.assertEqual([render_name(files, name) for name in ("base", "inner", "outer")],
                         ["[b]", "[c]", "()"])

    def test_block_sees_the_variables_around_it(self):
        files = {"base": "{% for x in y %}{% block a %}{% end %}{% end %}",
                 "page": "{% extends base %}{% block a %}{{ x }},{% end %}"}
        self.assertEqual(render_name(files, "page", y=[1, 2]), "1,2,")

    def test_include(self):
        files = {"page": "{% for x in y %}{% include 'item' %}{% end %}", "item": "[{{ x }}]"}
        self.assertEqual(render_name(files, "page", y=[1, 2]), "[1][2]")

    def test_blocks_of_included_files(self):
        files = {
            "parts": "{% block a %}part{% end %}",
            "base": "{% block a %}base{% end %}",
            "mixed": "{% extends base %}{% include parts %}",
            "holder": "<{% include parts %}>",
            "page": "{% extends holder %}{% block a %}page{% end %}",
        }
        self.assertEqual(render_name(files, "mixed"), "part")
        self.assertEqual(render_name(files, "holder"), "<part>")
        self.assertEqual(render_name(files, "page"), "<page>")

    def test_same_file_included_twice(self):
        files = {"page": "{% include a %}{% include a %}{% include b %}",
                 "a": "{% include b %}", "b": "b"}
        self.assertEqual(render_name(files, "page"), "bbb")


class LoaderTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        os.mkdir(os.path.join(self.root, "sub"))
        self.write("top.html", u"top caf\u00e9")
        self.write("sub/b.html", u"b")

    def write(self, name, text):
        with open(os.path.join(self.root, name), "wb") as target:
            target.write(utf8(text))

    def test_files(self):
        loader = Loader(self.root)
        self.assertEqual(loader.load("top.html").generate(), utf8(u"top caf\u00e9"))
        self.assertEqual(loader.load("sub/b.html").generate(), b"b")
        with self.assertRaises(IOError):
            loader.load("missing.html")

    def test_relative_to_the_parent(self):
        loader = Loader(self.root)
        self.write("sub/a.html", u"a+{% include b.html %}+{% include ../top.html %}")
        self.assertEqual(loader.load("sub/a.html").generate(), utf8(u"a+b+top caf\u00e9"))
        self.assertEqual(sorted(loader.templates), ["sub/a.html", "sub/b.html", "top.html"])

    def test_resolve_path(self):
        for loader in (Loader(self.root), DictLoader({})):
            for name, parent, wanted in [
                    ("a", None, "a"), ("a", "<string>", "a"), ("a", "/x/y", "a"),
                    ("/a", "sub/x", "/a"), ("a", "sub/x", "sub/a"), ("../a", "sub/x", "a"),
                    ("../../a", "sub/x", "../a"), ("..a", "x", "..a")]:
                self.assertEqual(loader.resolve_path(name, parent_path=parent), wanted)

    def test_missing_in_a_dict(self):
        with self.assertRaises(KeyError):
            DictLoader({}).load("missing")

    def test_kept_until_reset(self):
        loader = Loader(self.root)
        first = loader.load("top.html")
        self.write("top.html", u"new")
        self.assertIs(loader.load("top.html"), first)
        loader.reset()
        self.assertEqual(loader.load("top.html").generate(), b"new")

    def test_namespace(self):
        loader = DictLoader({"a": "{{ x }}{{ y }}"}, namespace={"x": 1, "y": 1})
        self.assertEqual(loader.load("a").generate(y=2), b"12")

    def test_template_of_its_own_with_a_loader(self):
        template = Template("{% include 'b.html' %}", name="sub/own.html", loader=Loader(self.root))
        self.assertEqual(template.generate(), b"b")

    def test_own_loader(self):
        class Shouting(BaseLoader):
            def resolve_path(self, name, parent_path=None):
                return name.upper()

            def _create_template(self, name):
                return Template(name, name=name, loader=self)

        self.assertEqual(Shouting().load("a").generate(), b"A")
        with self.assertRaises(NotImplementedError):
            BaseLoader().load("a")


class AttributesTest(unittest.TestCase):
    def test_attributes(self):
        loader = DictLoader({"a": "{{ x }}"}, namespace={"x": 1})
        template = loader.load("a")
        self.assertEqual((template.name, template.autoescape), ("a", "xhtml_escape"))
        self.assertIs(template.loader, loader)
        self.assertEqual(template.namespace, {"x": 1})
        self.assertIsInstance(template.code, str)
        self.assertIn("def _tt_execute", template.code)
        self.assertEqual(template.get_source(template.name), template.code)
        self.assertIn("_tt_execute", template.compiled.co_names)

    def test_included_file_needs_no_code(self):
        loader = DictLoader({"a": "{% set y = 1 %}{% include b %}", "b": "{{ y }}"})
        loader.load("a")
        self.assertIsNone(loader.templates["b"]._compiled)
        self.assertEqual(loader.load("b").generate(y=2), b"2")


if __name__ == "__main__":
    unittest.main()
