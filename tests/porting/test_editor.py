from __future__ import absolute_import, division, print_function

import os
import unittest

from friendserve.porting.editor import Source, SourceError, rename_package

STDLIB = os.path.dirname(os.__file__)


class SourceTest(unittest.TestCase):
    def renamed(self, text):
        data, count = rename_package(Source(text), b"tornado".decode("ascii"), "friendserve")
        self.assertEqual((data, 0), rename_package(Source(data), "tornado", "friendserve"))
        return data

    def test_imports_and_their_uses(self):
        for old, new in (
                (b"import tornado\ntornado.web", b"import friendserve\nfriendserve.web"),
                (b"import tornado.web, os\ntornado.web.x(tornado.web)\n",
                 b"import friendserve.web, os\nfriendserve.web.x(friendserve.web)\n"),
                (b"import tornado.web as w\ntornado = 1\n",
                 b"import friendserve.web as w\ntornado = 1\n"),
                (b"from tornado import web\ntornado\n", b"from friendserve import web\ntornado\n"),
                (b"from tornado.web import (a,\n    b)  # tornado\n",
                 b"from friendserve.web import (a,\n    b)  # tornado\n"),
                (b"if x: import tornado; tornado.y\n",
                 b"if x: import friendserve; friendserve.y\n"),
                (b"import \\\n    tornado.web\n", b"import \\\n    friendserve.web\n"),
                (b"import tornado\nf(tornado=tornado.x, y='tornado')\nx.tornado\n",
                 b"import friendserve\nf(tornado=friendserve.x, y='tornado')\nx.tornado\n")):
            self.assertEqual(new, self.renamed(old))

    def test_what_stays(self):
        for text in (b"from . import tornado\n", b"from .tornado import x\n",
                     b"import my.tornado, tornado_x\ntornado_x\n", b"yield_from = tornado\n",
                     b"# import tornado\n'''import tornado'''\n"):
            self.assertEqual(text, self.renamed(text))

    def test_bytes_that_are_kept(self):
        for text in (b"\xef\xbb\xbfimport os\r\n\timport tornado".replace(b"\t", b""),
                     b"# -*- coding: latin-1 -*-\r\nimport tornado # \xe9\r\nx = '\xe9'",
                     b"#!x\n# vim: set fileencoding=iso-8859-15 :\nimport tornado\nx='\xa4'\n",
                     b"if 1:\n\timport tornado\n\t\n\ttornado\r\n", b"import tornado\rtornado\r",
                     b"import tornado\n\x0c\nx = 1\n", b"print 'x'\nimport tornado\nexec 'y'\n",
                     b"", b"\n\n", b"import tornado"):
            self.assertEqual(text.replace(b"tornado", b"friendserve"), self.renamed(text))

    def test_what_cannot_be_read(self):
        for text in (b"# coding: no-such-code\n", b"x = '\xff'\n", b"x = (\n", b"'''\n"):
            self.assertRaises(SourceError, Source, text)

    def test_places(self):
        source = Source(b"import a\nif 1:\n    from b.c import d as e, f\nx = a.b.c(d.e)\n")
        first, second = source.imports()
        self.assertEqual((None, "a", None, 1, 1),
                         (first.module, first.names[0].name, first.names[0].asname, first.line,
                          first.column))
        self.assertEqual(("b.c", [("d", "e"), ("f", None)], 3, 5),
                         (second.module, [name[:2] for name in second.names], second.line,
                          second.column))
        self.assertEqual([("a", ["b", "c"], 4, 5), ("d", ["e"], 4, 11)],
                         [(use.name, use.attributes, use.line, use.column)
                          for use in source.uses(("a", "d"))])

    def test_edits_do_not_overlap(self):
        self.assertRaises(SourceError, Source(b"abc").replace, [((0, 2), "x"), ((1, 3), "y")])

    def test_nothing_changes_in_the_standard_library(self):
        # All of it: tests/porting/roundtrip.py.
        names = sorted(name for name in os.listdir(STDLIB) if name.endswith(".py"))
        self.assertGreater(len(names), 50)
        for name in names[::3]:
            with open(os.path.join(STDLIB, name), "rb") as opened:
                data = opened.read()
            source = Source(data, name)
            spans = [name.head for statement in source.imports() for name in statement.names]
            spans.extend(statement.head for statement in source.imports() if statement.head)
            self.assertEqual(data, source.replace(
                [((start, end), source.text[start:end]) for start, end in spans]))
