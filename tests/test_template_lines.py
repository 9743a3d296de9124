"""Whitespace that is visible, and directives of several lines (B304, B305)."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.template import DictLoader, Template


class PreformattedTest(unittest.TestCase):
    def check(self, expected, source, **values):
        self.assertEqual(expected, Template(source, name="a.html").generate(**values))

    def test_b304_across_tags(self):
        self.check(b"a b <pre>a \n  1 \n  c</pre> d e",
                   "a  b  <pre>a \n  {{ x }} \n  c</pre>  d  e", x=1)
        self.check(b"<textarea>a  \n  1  </textarea> b",
                   "<textarea>{% if x %}a  \n  {{ x }}{% end %}  </textarea>  b", x=1)

    def test_b304_with_attributes(self):
        self.check(b'<pre class="a">a  b</pre> c', '<pre class="a">a  b</pre>  c')
        self.check(b'<pre class="1">a  b</pre > c', '<pre class="{{ x }}">a  b</pre >  c', x=1)
        self.check(b"<pre\nid=a>a  b</pre> c", "<pre\nid=a>a  b</pre>  c")
        self.check(b"<textarea rows=1>a  b</textarea> c",
                   "<textarea{% if x %} rows=1{% end %}>a  b</textarea>  c", x=1)

    def test_b304_in_any_case(self):
        self.check(b"<PRE>a  b</pre> c", "<PRE>a  b</pre>  c")
        self.check(b"<TextArea>a  b</TEXTAREA> c", "<TextArea>a  b</TEXTAREA>  c")

    def test_b304_only_these_elements(self):
        self.check(b"<prefix>a b", "<prefix>a  b")
        self.check(b"<pre-view>a b", "<pre-view>a  b")
        self.check(b"</pre>a b</textarea>c d", "</pre>a  b</textarea>c  d")
        self.check(b"&lt;pre> a", "&lt;pre>  a")

    def test_b304_one_inside_the_other(self):
        self.check(b"<textarea><pre>  </pre>  </textarea> a",
                   "<textarea><pre>  </pre>  </textarea>  a")
        self.check(b"<pre><textarea>  </textarea>  </pre> a",
                   "<pre><textarea>  </textarea>  </pre>  a")

    def test_b304_branches(self):
        self.check(b"<pre>  a</pre> b",
                   "{% if x %}<pre class=a>{% else %}<pre>{% end %}  a</pre>  b", x=0)

    def test_b304_the_mode_still_applies_outside(self):
        self.check(b"<pre>a  b</pre> c d",
                   "{% whitespace oneline %}<pre>a  b</pre> \n c  d")
        self.check(b"<pre>a  b</pre>  c", "{% whitespace all %}<pre>a  b</pre>  c")

    def test_b304_across_files(self):
        loader = DictLoader({
            "base.html": "<pre>{% block code %}{% end %}</pre>  a  <pre>{% include 'i.html' %}",
            "page.html": "{% extends 'base.html' %}{% block code %}b\n  c{% end %}",
            "i.html": "d\n  e</pre>  f"})
        self.assertEqual(b"<pre>b\n  c</pre> a <pre>d\n  e</pre> f",
                         loader.load("page.html").generate())
        self.assertEqual(b"d\ne</pre> f", loader.load("i.html").generate())


class LinesTest(unittest.TestCase):
    def check(self, expected, source, **values):
        try:
            result = Template(source).generate(**values)
        except Exception as error:
            self.fail("%s: %s" % (type(error).__name__, error))
        self.assertEqual(expected, result)

    def test_b305_conditions_and_loops(self):
        self.check(b"yes", "{% if a and\n b %}yes{% end %}", a=1, b=1)
        self.check(b"yes", "{% if\n  a\r\n  and b %}yes{% end %}", a=1, b=1)
        self.check(b"2", "{% if a == 1 %}1{% elif a\n == 2 %}2{% end %}", a=2)
        self.check(b"012", "{% for i\n in\n range(3) %}{{ i }}{% end %}")
        self.check(b"1", "{% set b = 0 %}{% while a\n and not b %}1{% set b\n = 1 %}{% end %}", a=1)
        self.check(b"bad", "{% try %}{{ 1 / a }}{% except (ValueError,\n  ZeroDivisionError)\n"
                           "  as error %}bad{% end %}", a=0)

    def test_b305_statements(self):
        self.check(b"3", "{% set a = 1 +\n 2 %}{{ a }}")
        self.check(b"/", "{% from os.path\n import sep %}{{ sep }}")
        self.check(b"A", "{% apply (lambda text:\n text.upper()) %}a{% end %}")

    def test_b305_comments_and_continued_lines(self):
        self.check(b"yes", "{% if a  # why it's so\n and b # and that %}yes{% end %}", a=1, b=1)
        self.check(b"yes", "{% if a and \\\n b %}yes{% end %}", a=1, b=1)

    def test_b305_strings_are_kept(self):
        self.check(b"a\n#b", '{% set a = """a\n#b""" %}{% raw a %}')
        self.check(b"it's #1", "{% if a == 'it\\'s #1' and\n b %}{% raw a %}{% end %}",
                   a="it's #1", b=1)
        self.check(b"#", "{% if a == \"#\" %}{{ a }}{% end %}", a="#")
