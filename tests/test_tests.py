"""Rules for the tests themselves: shared code belongs in modules whose names end in "case"."""
from __future__ import absolute_import, division, print_function

import ast
import io
import os
import sys
import unittest

from tests import ROOT

if sys.version_info >= (3, 8):
    from tests import mutants


def sources():
    """(path, text) of each module of tests, the path relative to the root."""
    for folder, subfolders, names in os.walk(os.path.join(ROOT, "tests")):
        if os.path.basename(folder) == "interop":
            # These programs may need a newer Python than this one.
            subfolders.remove("servers")
        for name in sorted(names):
            # One program has annotations, for the type checkers.
            if name.endswith(".py") and name != "sample.py":
                path = os.path.join(folder, name)
                with io.open(path, "rb") as source:
                    yield os.path.relpath(path, ROOT), source.read()


def imported_tests(text):
    """The dotted names of test modules that a module imports."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["%s.%s" % (node.module or "", alias.name) for alias in node.names]
        found.extend(name for name in names
                     if any(part.startswith("test_") for part in name.split(".")))
    return found


class TestModulesTest(unittest.TestCase):
    def test_no_module_imports_from_a_test_module(self):
        modules = dict(sources())
        self.assertIn(os.path.join("tests", "test_tests.py"), modules)
        self.assertIn(os.path.join("tests", "ioloop", "test_ioloop.py"), modules)
        found = dict((path, imported_tests(text)) for path, text in modules.items())
        self.assertEqual({}, dict((path, names) for path, names in found.items() if names))

    def test_imports_of_test_modules_are_found(self):
        for text in ("from tests.ioloop.test_ioloop import Loops", "import tests.test_util",
                     "from tests import ROOT, test_util", "from . import test_util",
                     "from .test_util import a", "def f():\n    import tests.test_util as b"):
            self.assertEqual(1, len(imported_tests(text)), text)
        self.assertEqual([], imported_tests("from tests import ROOT\nimport tests.loopcase"))


if sys.version_info >= (3, 8):
    class MutantsTest(unittest.TestCase):
        def find(self, source):
            found = mutants.Finder("a.py", (source + "\n").encode("utf-8")).found
            return sorted(mutant.new for mutant in found if mutant.is_valid())

        def test_changes(self):
            for source, changed in (
                    ("a = b < c", ["a = b <= c"]),
                    ("a = b is not c", ["a = b is c"]),
                    ("a = b and c or d", ["a = c or d", "a = b or d", "a = b and c", "a = d",
                                          "a = b or c or d", "a = b and c and d"]),
                    ("a = (b) and c", ["a = (b) or c"]),
                    ("a = not b", ["a = b"]),
                    ("a = b + 1", ["a = b"]),
                    ("if a == 5:\n    b = 7", ["if a != 5:", "if a == 6:"]),
                    ("if a:\n    raise b(\n        c)", ["pass"]),
                    (u"a = u'\u00e9' == b", [u"a = u'\u00e9' != b", u"a = '\u00e9?' == b"]),
                    ("if str is bytes:  # version: py2\n    a = b < c",
                     ["if str is not bytes: # version: py2"])):
                self.assertEqual(sorted(changed), self.find(source), source)

        def test_a_draw(self):
            drawn = mutants.draw("any", 50)
            self.assertEqual(50, len(set((mutant.path, mutant.line) for mutant in drawn)))
            self.assertEqual(set(mutants.TESTS), set(mutant.folder for mutant in drawn))
            self.assertEqual([mutant.change for mutant in drawn],
                             [mutant.change for mutant in mutants.draw("any", 50)])
            for mutant in drawn:
                self.assertTrue(mutant.is_valid())
                for paths in mutants.steps_for(mutant):
                    self.assertTrue(paths and all(os.path.exists(os.path.join(ROOT, path))
                                                  for path in paths), paths)


if __name__ == "__main__":
    unittest.main()
