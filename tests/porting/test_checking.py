"""python -m friendserve.porting check: what in a program needs a hand, and nothing else."""
from __future__ import absolute_import, division, print_function

import importlib
import json
import unittest

from friendserve.porting.checking import check_source
from friendserve.porting.editor import Source
from friendserve.porting.knowledge import DIFFERS, GONE, KINDS, NOT_CALLED
from tests.portingcase import PortingCase


def check(*lines, **options):
    """Findings in a program as (line, column, code, name without "tornado.")."""
    path = options.pop("path", "app.py")
    source = Source(u"\n".join(lines).encode("utf-8"), path)
    return [(found.line, found.column, found.code, found.name.partition(".")[2])
            for found in check_source(source, **options)]


class NamesTest(unittest.TestCase):
    longMessage = True

    def test_however_the_module_was_imported(self):
        for program in (u"import tornado.web as w\nw._nothing",
                        u"import tornado.web\ntornado.web._nothing",
                        u"import tornado\ntornado.web._nothing",
                        u"from tornado import web\nweb._nothing",
                        u"from tornado import (ioloop,\n    web as other)\nother._nothing",
                        u"from tornado.web import _nothing",
                        u"from tornado.web import (Application as A, HTTPError,\n  _nothing as n)",
                        u"def f():\n    import tornado.web\n    return tornado.web._nothing()"):
            self.assertEqual([("FS301", "web._nothing")],
                             [found[2:] for found in check(program)], program)

    def test_places_count_from_one(self):
        self.assertEqual([(1, 39, "FS301", "web._a"), (4, 5, "FS301", "web._b")], check(
            u"from tornado.web import (HTTPError,   _a)", u"from tornado import web",
            u"if x and \\", u"    web._b: web.Application"))

    def test_what_is_right_is_not_found(self):
        self.assertEqual([], check(
            u"# tornado.web._nothing, 'tornado.web'",
            u"import tornado.web, tornado.ioloop, tornadoes, my.tornado",
            u"from .tornado import _x",
            u"from tornado.platform.auto import set_close_exec",
            u"from tornado.httpserver import HTTPServer",
            u"class Handler(tornado.web.RequestHandler):",
            u"    _own = 1",
            u"    def get(self):",
            u"        self._own, self._theirs, self.tornado, other._log",
            u"tornado.ioloop.PeriodicCallback(f, 5, io_loop=None)",
            u"tornado.web.Application([], debug=g(no_such=1))",
            u"HTTPServer(Handler, no_keep_alive=True, io_loop=None)",
            u"function(tornado=1)",
            u"message = 'tornado is used' + 'tornado.web, and others'"))

    def test_modules(self):
        self.assertEqual(
            [(1, 8, "FS101", "epoll"), (1, 23, "FS102", "nothing"),
             (2, 30, "FS202", "platform.nothing"), (3, 26, "FS101", "s3server")],
            check(u"import tornado.epoll, tornado.nothing.more",
                  u"from tornado.platform import nothing",
                  u"from tornado import web, s3server"))

    def test_a_star(self):
        self.assertEqual(
            [(1, 31, "FS910", "websocket.*"), (2, 17, "FS201", "websocket.WebSocketProtocol76"),
             (4, 9, "FS911", "websocket.WebSocketHandler.allow_draft76")],
            check(u"from tornado.websocket import *",
                  u"issubclass(int, WebSocketProtocol76)",
                  u"class Socket(WebSocketHandler):",
                  u"    def allow_draft76(self): pass"))


class ClassesTest(unittest.TestCase):
    def setUp(self):
        self.addCleanup(GONE.pop, "web.RequestHandler._former")
        GONE["web.RequestHandler._former"] = "use the new one"

    def find(self, *lines):
        """Lines and columns at which the former name is found."""
        found = check(u"import tornado.web", *lines)
        self.assertEqual(set(["web.RequestHandler._former"]) if found else set(),
                         set(name for _, _, _, name in found))
        return [place[:2] for place in found]

    def test_through_a_subclass(self):
        self.assertEqual([(4, 14)], self.find(
            u"class A(tornado.web.RequestHandler):",
            u"    def get(self):",
            u"        self._former()"))

    def test_through_subclasses_of_subclasses(self):
        self.assertEqual([(3, 27), (5, 14)], self.find(
            u"class A(Mixin, tornado.web.StaticFileHandler):",
            u"    x = lambda self: self._former",
            u"class B(object, A):",
            u"    y = [cls._former]"))

    def test_through_super_although_it_is_overridden(self):
        self.assertEqual([(4, 36)], self.find(
            u"class A(tornado.web.RequestHandler):",
            u"    def _former(self):",
            u"        return super(A, self.x(1))._former(self._former)"))

    def test_on_the_class(self):
        self.assertEqual([(2, 1)], self.find(u"tornado.web.RequestHandler._former(1)"))

    def test_in_other_classes(self):
        self.assertEqual([], self.find(
            u"class A(tornado.web.Application):",
            u"    x = lambda self: self._former",
            u"class B(other.RequestHandler): y = lambda self: self._former",
            u"class C(metaclass=tornado.web.RequestHandler): z = cls._former",
            u"self._former"))

    def test_where_the_class_ends(self):
        self.assertEqual([(3, 21), (5, 10)], self.find(
            u"class A(tornado.web.RequestHandler): x = 1",
            u"class B(A): y = cls._former; z = 2",
            u"class C(B):",
            u"    self._former",
            u"    # the end",
            u"self._former"))

    def test_hooks_that_are_not_called(self):
        self.assertEqual(
            [(3, 9, "FS911", "websocket.WebSocketHandler.allow_draft76")],
            check(u"from tornado.websocket import WebSocketHandler",
                  u"class A(WebSocketHandler):",
                  u"    def allow_draft76(self): pass",
                  u"    def on_message(self, message): pass"))

    def test_hooks_that_are_called_otherwise(self):
        self.assertEqual(
            [(3, 9, "FS320", "iostream.BaseIOStream.read_from_fd")],
            check(u"from tornado import iostream",
                  u"class A(iostream.IOStream):",
                  u"    def read_from_fd(self, buf): pass"))


class CallsTest(unittest.TestCase):
    def test_arguments(self):
        self.assertEqual(
            [(2, 45, "FS401", "ioloop.PeriodicCallback(late=)"),
             (3, 19, "FS401", "netutil.bind_sockets(reuse=)")],
            check(u"import tornado.ioloop as i, tornado.netutil as n",
                  u"i.PeriodicCallback(f(x=1), callback_time=5, late=1)",
                  u"n.bind_sockets(0, reuse={'a': f(x=1)})"))


class StringsTest(unittest.TestCase):
    def test_what_names_a_module(self):
        self.assertEqual(
            [(1, 1, "FS502", "web.Application"), (2, 11, "FS502", "ioloop"),
             (3, 19, "FS502", "")],
            check(u"'tornado.web.Application'", u"configure(u\"\"\"tornado.ioloop\"\"\")",
                  u"logging.getLogger('tornado')", u"f('tornado')", u"'tornado.web '"))

    def test_requirements(self):
        lines = (u"setup(install_requires=['tornado >=3,<5', 'six'],",
                 u"      tests_require=['tornado', 'tornado_x'])")
        self.assertEqual([(1, 25, "FS504", ""), (2, 22, "FS504", "")],
                         check(*lines, path="some/setup.py"))
        self.assertEqual([], check(*lines))


class AliasOnlyTest(unittest.TestCase):
    PROGRAM = (u"from tornado import netutil, version_info, version as v",
               u"netutil.TCPServer", u"version_info > (3,)")

    def test_what_the_alias_does(self):
        self.assertEqual(
            [(1, 30, "FS503", "version_info"), (1, 44, "FS503", "version"),
             (2, 1, "FS501", "netutil.TCPServer"), (3, 1, "FS503", "version_info")],
            check(*self.PROGRAM))
        self.assertEqual([], check(*self.PROGRAM, alias_only=True))


class KnowledgeTest(unittest.TestCase):
    longMessage = True

    def find(self, name):
        """The value of a dotted name, or None. Its last part may be missing, the others not."""
        parts = name.split(".")
        found = importlib.import_module("friendserve." + parts[0])
        for part in parts[1:-1]:
            if hasattr(found, "__path__") and not hasattr(found, part):
                found = importlib.import_module(found.__name__ + "." + part)
            else:
                found = getattr(found, part)
        return getattr(found, parts[-1], None)

    def test_what_is_gone_is_gone(self):
        self.assertEqual([], [name for name in list(GONE) + list(NOT_CALLED)
                              if not name.startswith("platform.windows") and self.find(name)])

    def test_what_differs_exists(self):
        self.assertEqual([], [name for name in DIFFERS if not self.find(name)])

    def test_every_code_is_of_a_kind(self):
        kinds = [kind for kind, _ in KINDS]
        for code, text in list(NOT_CALLED.values()) + list(DIFFERS.values()):
            self.assertIn(code[:3], kinds)
            self.assertTrue(text)


class CommandTest(PortingCase):
    def setUp(self):
        super(CommandTest, self).setUp()
        self.write("app/bad.py", "import tornado.web\ntornado.web._nothing\n")
        self.write("app/inner/star.py", "from tornado.web import *\n")
        self.write("app/text.txt", "import tornado.nothing")
        self.write("app/.hidden/x.py", "import tornado.nothing")

    def test_lines(self):
        status, output = self.run_command("check", "app")
        self.assertEqual(1, status)
        lines = output.splitlines()
        self.assertEqual(["app/bad.py:2:1: FS301 tornado.web._nothing: ",
                          "app/inner/star.py:1:25: FS910 tornado.web.*: "],
                         [": ".join(line.split(": ")[:2]) + ": " for line in lines])

    def test_notes_need_no_hand(self):
        self.assertEqual(0, self.run_command("check", "app/inner")[0])

    def test_a_comment_silences_its_line(self):
        self.write("app/bad.py", "import tornado.web\ntornado.web._nothing  # here: fs: ok\n")
        status, output = self.run_command("check", "app/bad.py")
        self.assertEqual((0, ""), (status, output))

    def test_json(self):
        status, output = self.run_command("check", "--json", "app")
        self.assertEqual(1, status)
        found = json.loads(output)
        self.assertEqual(["app/bad.py", 2, 1, "FS301", "tornado.web._nothing", True],
                         [found[0][key] for key in
                          ("path", "line", "column", "code", "name", "needs_hand")])
        self.assertEqual([True, False], [entry["needs_hand"] for entry in found])
        self.assertTrue(all(entry["text"] for entry in found))

    def test_a_file_that_cannot_be_read(self):
        self.write_bytes("bad.py", b"x = '\xff'\n")
        status, output = self.run_command("check", "bad.py", "app/inner")
        self.assertEqual(1, status)
        self.assertIn("bad.py:1:1: FS001 ", output)
        self.assertIn("FS910", output)

    def test_syntax_of_both_pythons(self):
        self.write("two.py", "print 'x', `1`\nexec 'y'\nimport tornado.nothing\n")
        self.write("three.py", "import tornado.nothing\nmatch x:\n    case 1: print(1)\n"
                               "async def f(a, /): await tornado.web._b\n")
        output = self.run_command("check", "two.py", "three.py")[1]
        self.assertEqual(["two.py:3:8", "three.py:1:8", "three.py:4:26"],
                         [line.split(": ")[0] for line in output.splitlines()])


if __name__ == "__main__":
    unittest.main()
