"""The documentation as one PDF: outline, contents, footers, and links that lead to the right page.

Where Sphinx, WeasyPrint or pypdf is not installed, there are no such tests.
"""
from __future__ import absolute_import, division, print_function

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests.demo_server import load_demo
from tests.docscase import DOCS

try:
    import pypdf
    import weasyprint
    build = load_demo(os.path.join(DOCS, "build.py"))
except (ImportError, OSError):      # WeasyPrint raises OSError if the system lacks Pango
    weasyprint = None

#: Seconds for one build.
LIMIT = 120

SOURCES = {
    "conf": u"project = 'friendserve'\nhtml_theme = 'basic'\nhtml_style = 'basic.css'\n",
    "index": u"friendserve\n===========\n\nThe introduction.\n\n"
             u".. toctree::\n\n   first/index\n   second/index\n",
    "first/index": u"First part\n==========\n\n.. toctree::\n\n   page\n",
    "first/page": u"A page\n======\n\nSee :py:func:`m.call`.\n\nErrors\n------\n\n"
                  + u"Text.\n\n" * 90,
    "second/index": u"Second part\n===========\n\n.. toctree::\n\n   m\n",
    "second/m": u"m\n=\n\n.. py:module:: m\n\nErrors\n------\n\nNone; see Errors_.\n\n"
                + u"Text.\n\n" * 90 + u".. py:function:: call(name)\n\n   Call it.\n",
}


if weasyprint is not None and not sys.flags.optimize:
    class PdfTest(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.folder = tempfile.mkdtemp()
            for name, text in SOURCES.items():
                path = os.path.join(cls.folder, *name.split("/"))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with io.open(path + (".py" if name == "conf" else ".rst"), "w") as target:
                    target.write(text)
            cls.pages = os.path.join(cls.folder, "pages")
            subprocess.run([sys.executable, "-m", "sphinx", "-b", "singlehtml", "-q", "-W",
                            cls.folder, cls.pages], check=True, timeout=LIMIT,
                           stdin=subprocess.DEVNULL)
            cls.status, cls.errors, cls.pdf = cls.print_pdf(os.path.join(cls.pages, "index.html"))

        @classmethod
        def tearDownClass(cls):
            shutil.rmtree(cls.folder)

        @classmethod
        def print_pdf(cls, source):
            errors, target = io.StringIO(), os.path.join(cls.folder, "the.pdf")
            with contextlib.redirect_stderr(errors):
                status = build.print_pdf(source, target, "7.6.5")
            with io.open(target, "rb") as file:
                return status, errors.getvalue(), pypdf.PdfReader(io.BytesIO(file.read()))

        def lines(self, number):
            return [" ".join(line.split())
                    for line in self.pdf.pages[number - 1].extract_text().splitlines()]

        def page_with(self, line):
            """The first page after the contents that has this line."""
            return next(number for number in range(3, len(self.pdf.pages) + 1)
                        if line in self.lines(number))

        def outline(self, entries=None):
            """[(title, page, [entries below it]), ...]"""
            found = []
            for entry in self.pdf.outline if entries is None else entries:
                if isinstance(entry, list):
                    found[-1] = found[-1][:2] + (self.outline(entry),)
                else:
                    found.append((entry.title, self.page_of(entry), []))
            return found

        def page_of(self, destination):
            return self.pdf.get_destination_page_number(destination) + 1

        def test_b465_outline(self):
            second = self.page_with("Second part")
            self.assertLess(4, second)
            self.assertEqual([("friendserve", 1, [
                ("Contents", 2, []),
                ("First part", 3, [("A page", 3, [("Errors", 3, [])])]),
                ("Second part", second, [("m", second, [("Errors", second, [])])])])],
                self.outline())

        def test_b465_the_version_is_on_the_first_page_which_has_no_number(self):
            self.assertEqual(["friendserve", "Version 7.6.5", "The introduction."], self.lines(1))

        def test_b465_contents_with_the_numbers_of_pages(self):
            found = [(line.split(".")[0].strip(), line.split(".")[-1].strip())
                     for line in self.lines(2) if "..." in line]
            second = str(self.page_with("Second part"))
            self.assertEqual([("First part", "3"), ("A page", "3"), ("Second part", second),
                              ("m", second)], found)

        def test_b465_footer(self):
            self.assertEqual({u"First part \u00b7 A page 4"}, set(self.lines(4)) - {"Text."})

        def test_b465_a_link_leads_to_the_anchor_of_its_page(self):
            """Two pages have a section of the same name."""
            places = self.pdf.named_destinations
            links = [(number, self.page_of(places[note.get_object()["/Dest"]]))
                     for number, page in enumerate(self.pdf.pages, 1) if number > 2
                     for note in page.get("/Annots", ())]
            second = self.page_with("Second part")
            self.assertEqual([(3, self.page_with("Call it.")), (second, second)],
                             sorted(set(links)))

        def test_b465_a_complete_document_has_no_complaint(self):
            self.assertEqual((0, ""), (self.status, self.errors))

        def test_b465_a_link_that_leads_nowhere_is_an_error(self):
            path = os.path.join(self.pages, "broken.html")
            with io.open(os.path.join(self.pages, "index.html"), encoding="utf-8") as source:
                text = source.read()
            with io.open(path, "w", encoding="utf-8") as target:
                target.write(text.replace(u"The introduction.", u'<a href="#nowhere">x</a>'))
            status, errors, _ = self.print_pdf(path)
            self.assertEqual(1, status)
            self.assertIn("#nowhere", errors)


if __name__ == "__main__":
    unittest.main()
