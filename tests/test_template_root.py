"""Loader and the names that lead out of its folder (row A651)."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import tempfile
import unittest

from friendserve.template import Loader, ParseError


class RootTest(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.root = os.path.join(self.folder, "templates")
        self.write("secret", "secret")
        self.write("templates2/secret", "secret")
        self.write("templates/page.html", "page")
        self.write("templates/sub/up.html", "{% include ../page.html %}")
        self.write("templates/sub/out.html", "{% include ../../secret %}")
        self.write("templates/out.html", "{% extends ../secret %}")

    def write(self, name, text):
        path = os.path.join(self.folder, *name.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "w") as target:
            target.write(text)

    def outcome(self, loader, *args):
        try:
            return loader.load(*args).generate()
        except (EnvironmentError, ParseError):
            return "refused"

    def test_a651_names_that_lead_out_are_refused(self):
        loader = Loader(self.root)
        for name in ("../secret", "../templates2/secret", "sub/../../secret", "./../secret",
                     os.path.join(self.folder, "secret"), "//" + self.folder + "/secret",
                     "..", ".", "", "page.html\0", "out.html", "sub/out.html"):
            self.assertEqual("refused", self.outcome(loader, name), name)
        for name, parent in (("../secret", "page.html"), ("../../secret", "sub/up.html"),
                             ("secret", os.path.join(self.folder, "x"))):
            self.assertEqual("refused", self.outcome(loader, name, parent), name)

    def test_a651_the_folder_may_be_given_in_any_form(self):
        for root in (self.root + "/", os.path.join(self.folder, "x", "..", "templates"),
                     os.path.relpath(self.root)):
            self.assertEqual(b"page", self.outcome(Loader(root), "page.html"))
            self.assertEqual("refused", self.outcome(Loader(root), "../secret"))

    def test_a651_names_within_the_folder_are_not(self):
        loader = Loader(self.root)
        for name in ("page.html", "sub/up.html", "sub/../page.html", "./page.html",
                     os.path.join(self.root, "page.html")):
            self.assertEqual(b"page", self.outcome(loader, name), name)

    def test_a651_old_programs_can_allow_them(self):
        loader = Loader(self.root, allow_outside=True)
        for name in ("../secret", os.path.join(self.folder, "secret"), "sub/out.html"):
            self.assertEqual(b"secret", self.outcome(loader, name), name)


if __name__ == "__main__":
    unittest.main()
