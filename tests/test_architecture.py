"""Proves from the source how the house is built.

website/docs/explanation/architecture.rst describes it.

A new module is first entered in FLOORS in tests/house.py, above everything it imports.
"""
from __future__ import absolute_import, division, print_function

import importlib
import os
import sys
import unittest

import friendserve
from tests import ROOT
from tests.house import (
    FLOORS, MAX_FUNCTION_LINES, MAX_LINES, MAX_LINES_DEFAULT, OPTIONAL, PACKAGE, RANK, STDLIB_OF_2,
    Module, bare_excepts, code_of_face, cycles, face_names, folder_of, impure_imports,
    lacks_future_import, late_imports, long_functions, parse_tree, sources, table_of_contents,
    wrong_doors, wrong_imports)


def _rooms(name, inside):
    """The modules of one entry of the table of contents."""
    folder = name.rstrip("/").replace("/", ".")
    return [folder + "." + room for room in inside] if name.endswith("/") else [folder]


class ArchitectureTest(unittest.TestCase):
    """The package as it is."""

    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.modules = parse_tree(os.path.join(ROOT, PACKAGE))

    def assert_nothing(self, found, rule):
        self.assertEqual([], sorted(found), rule)

    def test_every_module_has_a_floor(self):
        self.assert_nothing(
            set(self.modules) - set(RANK),
            "enter these modules in FLOORS in tests/house.py, above everything they "
            "import, and in website/docs/explanation/architecture.rst")

    def test_no_room_is_listed_twice(self):
        rooms = [room for _, names in FLOORS for room in names]
        self.assertEqual(sorted(rooms), sorted(set(rooms)))

    def test_imports_only_go_down(self):
        self.assert_nothing(wrong_imports(self.modules), "imports only go down")

    def test_no_cycles(self):
        self.assert_nothing(cycles(self.modules), "these modules import each other in a cycle")

    def test_no_import_inside_a_function(self):
        self.assert_nothing(
            ["%s:%d" % (module.name, line) for module in self.modules.values()
             for line in late_imports(module)],
            "imports belong at the top of a module")

    def test_every_import_takes_the_right_door(self):
        self.assert_nothing(
            wrong_doors(self.modules),
            "siblings by full path, other folders by their face where it shows the name")

    def test_faces_hold_no_code(self):
        self.assert_nothing(
            ["%s:%d" % (name, line) for name, module in self.modules.items()
             if name and module.is_package for line in code_of_face(module)],
            "an __init__ imports the public names of its folder, and contains no code")

    def test_every_face_offers_its_names_at_one_place(self):
        for name, module in self.modules.items():
            if module.is_package and face_names(module):
                try:
                    face = importlib.import_module(PACKAGE + "." + name)
                except ImportError:
                    self.assertIn(name, OPTIONAL)
                    continue
                for public in face.__all__:
                    thing = getattr(face, public)
                    home = getattr(thing, "__module__", face.__name__) or face.__name__
                    self.assertFalse(home.startswith(face.__name__ + "."),
                                     "%s.%s has the __module__ %s: end the face with "
                                     "set_public_module(globals())" % (name, public, home))

    def test_the_table_of_contents_lists_the_house(self):
        rooms = [name for _, names in FLOORS for name in names if name in self.modules]
        self.assertEqual([name for name in rooms if name not in ("", "platform")
                          and not name.endswith("__main__") and folder_of(name) != name
                          and not (self.modules[name].is_package)],
                         [room for name, inside in table_of_contents(friendserve.__doc__)
                          for room in _rooms(name, inside)])

    def test_every_name_at_the_top_is_in_the_table_of_contents(self):
        listed = set(name.split("/")[0] for name, _ in table_of_contents(friendserve.__doc__))
        here = os.listdir(os.path.join(ROOT, PACKAGE))
        self.assertEqual(set(), set(name.replace(".py", "") for name in here
                                    if not name.startswith(("_", "."))
                                    and not name.endswith((".pyc", ".pyo", ".pyi", ".typed")))
                         ^ listed)

    def test_protocol_is_pure(self):
        self.assert_nothing(
            ["%s:%d imports %s" % (module.name, line, name) for module in self.modules.values()
             if module.name.startswith("protocol.") for name, line in impure_imports(module)],
            "protocol/ accepts bytes and returns values; PURE lists what it may import")

    def test_package_version_imports_nothing(self):
        self.assert_nothing([name for name, _ in self.modules[""].imports()
                             if not name.startswith("__future__")],
                            "setup.py and people read the version before anything is installed")

    def test_files_are_short(self):
        self.assert_nothing(
            ["%s has %d lines" % (module.name, module.source.count(b"\n"))
             for module in self.modules.values()
             if module.source.count(b"\n") > MAX_LINES.get(module.name, MAX_LINES_DEFAULT)],
            "a file has at most %d lines" % MAX_LINES_DEFAULT)

    def test_functions_are_short(self):
        self.assert_nothing(
            ["%s.%s has %d" % (module.name, name, count) for module in self.modules.values()
             for name, count in long_functions(module, MAX_FUNCTION_LINES)],
            "a function has at most %d lines of code" % MAX_FUNCTION_LINES)

    def test_no_bare_except(self):
        self.assert_nothing(
            ["%s:%d" % (module.name, line) for module in self.modules.values()
             for line in bare_excepts(module)],
            "`except:` also catches KeyboardInterrupt; name the exceptions")

    def test_every_file_starts_with_the_future_imports(self):
        found = []
        for path in list(sources(PACKAGE, "tests", "demos")) + [os.path.join(ROOT, "setup.py")]:
            with open(path, "rb") as source:
                if lacks_future_import(Module("", source.read(), path=path)):
                    found.append(os.path.relpath(path, ROOT))
        self.assert_nothing(found, "the first statement of each file is: from __future__ import "
                                   "absolute_import, division, print_function")

    if hasattr(sys, "stdlib_module_names"):
        def test_only_six_is_needed_from_elsewhere(self):
            found = []
            ours = frozenset((PACKAGE, "six")) | STDLIB_OF_2 | frozenset(
                sys.stdlib_module_names)
            for module in self.modules.values():
                allowed = ours | OPTIONAL.get(module.name, frozenset())
                found.extend("%s:%d imports %s" % (module.name, line, name)
                             for name, line in module.imports()
                             if name.split(".")[0] not in allowed)
            self.assert_nothing(found, "only six is needed; OPTIONAL lists what else may be used")


class CheckerTest(unittest.TestCase):
    """The checks themselves: each finds the faults it is meant to find."""

    def modules(self, **texts):
        """Modules from `name="source"`, with "__" in place of the dot in a name."""
        return dict((name.replace("__", "."), Module(name.replace("__", "."), text.encode("utf-8")))
                    for name, text in texts.items())

    def test_upward_import_is_found(self):
        for text in ("import friendserve.iostream", "from friendserve import iostream",
                     "from friendserve.iostream import IOStream", "from . import iostream",
                     "from .iostream import IOStream"):
            self.assertEqual(["ioloop:1 imports iostream, which is above it"],
                             wrong_imports(self.modules(ioloop=text)), text)

    def test_downward_import_is_allowed(self):
        texts = dict(iostream="from friendserve import ioloop\nimport friendserve.escape\n",
                     ioloop="", escape="")
        self.assertEqual([], wrong_imports(self.modules(**texts)))

    def test_import_of_a_part_counts_as_import_of_its_package(self):
        found = wrong_imports(self.modules(
            httpserver="from friendserve.web.errors import HTTPError", web__errors="", web=""))
        self.assertEqual(2, len(found), found)

    def test_wrong_door_is_found(self):
        texts = dict(web="from friendserve.web.handler import Handler\n__all__ = ['Handler']",
                     web__handler="from friendserve.web.errors import x", web__errors="",
                     websocket__handler="from friendserve.web.handler import Handler\n"
                                        "from friendserve.web.handler import _hidden",
                     web__static="from friendserve.web import Handler\n"
                                 "from friendserve.web import errors")
        modules = self.modules(**texts)
        modules["web"].is_package = True
        self.assertEqual(
            ["web.static:1 imports its own face; import Handler from its room",
             "websocket.handler:1 imports Handler from web.handler; the face of web shows it"],
            sorted(wrong_doors(modules)))

    def test_code_in_a_face_is_found(self):
        module = Module("web", b"import os\nfrom a import b\nurl = b\n__all__ = ['b']\n"
                               b"set_public_module(globals())\ntry:\n    import c\n"
                               b"except ImportError:\n    c = None\ndef f():\n    pass\nx = f()\n")
        self.assertEqual([10, 12], code_of_face(module))

    def test_import_of_an_unknown_module_is_found(self):
        self.assertEqual(1, len(wrong_imports(self.modules(
            ioloop="from friendserve import cellar", cellar=""))))

    def test_cycle_is_found(self):
        self.assertEqual(["escape", "util"], cycles(self.modules(
            util="import friendserve.escape", escape="from friendserve import util",
            ioloop="import friendserve.util")))

    def test_late_import_is_found(self):
        module = Module("x", b"import os\ntry:\n    import a\nexcept ImportError:\n    a = None\n"
                             b"def f():\n    if a:\n        import b\nclass C(object):\n"
                             b"    from c import d\n")
        self.assertEqual([8, 10], late_imports(module))

    def test_impure_import_is_found(self):
        module = Module("protocol.http1", b"import re, socket\nfrom os import path\n"
                                          b"from friendserve.protocol import errors\n"
                                          b"from friendserve.log import app_log\n"
                                          b"from friendserve import log, util\n"
                                          b"from . import grammar\nimport time\n"
                                          b"from six.moves import range\n")
        self.assertEqual(["friendserve.log", "friendserve.log", "os", "socket", "time"],
                         sorted(name for name, _ in impure_imports(module)))
        module.name = "protocol.cookies"
        self.assertNotIn("time", [name for name, _ in impure_imports(module)])

    def test_missing_future_import_is_found(self):
        right = b'"""Text."""\nfrom __future__ import (print_function, division, absolute_import)\n'
        self.assertFalse(lacks_future_import(Module("x", right)))
        self.assertFalse(lacks_future_import(Module("x", b'"""Only text."""\n')))
        self.assertTrue(lacks_future_import(Module("x", b"import os\n")))
        self.assertTrue(lacks_future_import(Module("x", b"from __future__ import division\n")))

    def test_bare_except_is_found(self):
        self.assertEqual([3], bare_excepts(Module("x", b"try:\n    pass\nexcept:\n    pass\n")))

    def test_length_counts_code_only(self):
        text = (b'def f(a,\n      b):\n    """One.\n\n    Two.\n    """\n\n    # reason\n'
                b'    x = """\n    text\n    """\n    return x\n\n\ndef g():\n    pass\n')
        found = dict(long_functions(Module("x", text), 1))
        self.assertEqual({"f": 6, "g": 2}, found)
        self.assertEqual({}, dict(long_functions(Module("x", text), 6)))

    def test_names_of_packages_and_modules(self):
        found = parse_tree(os.path.join(ROOT, PACKAGE))
        self.assertTrue(found[""].is_package and found["protocol"].is_package)
        self.assertFalse(found["protocol.grammar"].is_package)


if __name__ == "__main__":
    unittest.main()
