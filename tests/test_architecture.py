"""Proves from the source how the house is built; website/docs/architecture.rst tells it in words.

A new module is first entered in FLOORS, above everything it imports.
"""
from __future__ import absolute_import, division, print_function

import ast
import io
import os
import sys
import tokenize
import unittest

from tests import ROOT

PACKAGE = "friendserve"


def _in(folder, rooms):
    """Dotted names of rooms of a folder; "" is its face."""
    return tuple(folder + "." + room if room else folder for room in rooms)


#: The floors from the ground up, and the rooms of each in their order: a module imports only what
#: stands before it here. Names are relative to the package; "" is friendserve/__init__.py. A
#: package stands after the modules it re-exports.
FLOORS = (
    ("ground", ("", "util", "log", "escape", "stack_context", "platform")),
    ("protocol", _in("protocol", (
        "", "errors", "grammar", "headers", "http1", "http1body", "urls", "httpauth", "forms",
        "multipart", "cookies", "masking", "deflate", "wshandshake", "websocket", "eventstream",
        "oauth1", "jose"))),
    ("pollers", _in("platform.pollers", (
        "", "interface", "clock", "common", "select", "poll", "epoll", "kqueue", "posix",
        "windows", "auto"))),
    ("text", ("template", "locale", "options")),
    ("loop", _in("ioloop", ("timers", "interface", "polling", "periodic", ""))),
    ("streams", _in("netutil", ("resolver", "listening", "tls", ""))
     + _in("iostream", ("buffers", "base", "sockets", "pipe", ""))),
    ("connections", ("process", "autoreload", "tcpserver", "tcpclient")),
    ("other loops", _in("platform", (
        "asyncio", "twisted", "caresresolver", "interface", "common", "posix", "windows", "auto",
        "epoll", "kqueue", "select"))),
    ("futures", ("concurrent", "gen", "locks", "queues")),
    ("http", ("httputil",) + _in("routing", ("paths", "rules", ""))
     + _in("http1connection", ("limits", "response", "server", "client", ""))
     + ("httpserver",)
     + _in("httpclient", (
         "errors", "messages", "interface", "blocking", "command", "cookies", "fetch", "queue", "",
         "__main__"))
     + _in("simple_httpclient", ("pool", "tunnel", "digest", "fetch", "client", ""))
     + _in("curl_httpclient", ("errors", "sockets", "transfer", "options", "client", ""))),
    ("web", _in("web", (
        "errors", "debugpage", "etags", "uimodule", "page", "transforms", "xsrf", "handler",
        "decorators", "eventstream", "upload", "files", "static", "application", ""))),
    ("beside the web", _in("websocket", ("connection", "client", "handler", "")) + ("wsgi",)
     + _in("feed", ("base", "local", "resp", "redis", ""))
     + _in("database", ("errors", "engines", "connection", "pool", ""))),
    ("auth", _in("auth", (
        "openid", "oauth", "oauth2", "facebook", "google", "twitter", "friendfeed",
        "openidconnect", ""))),
    ("tools", ("testing", "porting", "metrics") + _in("serve", (
        "config", "control", "systemd", "worker", "master", "command", "")) + ("__main__",)),
)

#: What protocol/ may import besides itself: modules that compute, and see no file descriptor,
#: clock, logger or file.
PURE = frozenset((
    "__future__", "base64", "binascii", "bisect", "calendar", "codecs", "collections",
    "datetime", "email", "functools", "hashlib", "hmac", "itertools", "math", "numbers",
    "operator", "re", "six", "string", "struct", "unicodedata", "zlib",
    PACKAGE + ".util", PACKAGE + ".escape"))
#: Exceptions to PURE: signed cookies carry a time, which callers may give and tests do; a C
#: function that computes; and StringIO, which is no file.
PURE_HERE = {"protocol.cookies": frozenset(("time",)),
             "protocol.masking": frozenset(("websockets",)),
             "protocol.jose": frozenset(("cryptography",)),
             "protocol.websocket": frozenset(("io",))}

#: Packages from elsewhere beyond six, each needed by one optional module only.
OPTIONAL = {
    "autoreload": frozenset(("inotify_simple",)),
    "curl_httpclient": frozenset(("pycurl",)),
    "curl_httpclient.client": frozenset(("pycurl",)),
    "curl_httpclient.errors": frozenset(("pycurl",)),
    "curl_httpclient.options": frozenset(("pycurl",)),
    "curl_httpclient.sockets": frozenset(("pycurl",)),
    "curl_httpclient.transfer": frozenset(("pycurl",)),
    "database.engines": frozenset(("MySQLdb", "psycopg", "psycopg2", "pymysql")),
    "feed.resp": frozenset(("hiredis",)),
    "httpclient.command": frozenset(("tqdm",)),
    "protocol.jose": frozenset(("cryptography",)),
    "protocol.masking": frozenset(("websockets",)),
    "platform.caresresolver": frozenset(("pycares",)),
    "platform.twisted": frozenset(("twisted", "zope")),
}

#: Modules of the standard library of Python 2 that have another name in Python 3.
STDLIB_OF_2 = frozenset(("__builtin__", "_winreg"))

MAX_LINES = {"web.handler": 900}
MAX_LINES_DEFAULT = 600
MAX_FUNCTION_LINES = 60

FUTURE = frozenset(("absolute_import", "division", "print_function"))

RANK = dict((room, rank) for rank, room in
            enumerate(room for _, rooms in FLOORS for room in rooms))


class Module(object):
    """One parsed source file. `name` is dotted and without the package's own name in front."""

    def __init__(self, name, source, is_package=False, path="<text>"):
        self.name = name
        self.source = source
        self.is_package = is_package
        self.tree = ast.parse(source, path)

    @property
    def code(self):
        """The statements after the docstring."""
        body = self.tree.body
        return body[1:] if ast.get_docstring(self.tree) is not None else body

    def functions(self):
        kinds = (ast.FunctionDef,) + ((ast.AsyncFunctionDef,)
                                      if hasattr(ast, "AsyncFunctionDef") else ())
        return [node for node in ast.walk(self.tree) if isinstance(node, kinds)]

    def imports(self):
        """Pairs (absolute dotted name, line), several candidates for `from a import b`.

        `from a import b` gives "a" and "a.b": whoever asks knows which of them is a module.
        """
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno
            elif isinstance(node, ast.ImportFrom):
                base = self.absolute(node)
                yield base, node.lineno
                for alias in node.names:
                    yield base + "." + alias.name, node.lineno

    def absolute(self, node):
        """The absolute name of what a `from` statement imports from."""
        if not node.level:
            return node.module
        parts = [PACKAGE] + [part for part in self.name.split(".") if part]
        keep = len(parts) - node.level + (1 if self.is_package else 0)
        return ".".join(parts[:keep] + ([node.module] if node.module else []))


def parse_tree(folder, prefix=""):
    """{name: Module} of every file of a package, sub-packages included."""
    modules = {}
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        if os.path.isdir(path) and os.path.exists(os.path.join(path, "__init__.py")):
            modules.update(parse_tree(path, prefix + entry + "."))
        elif entry.endswith(".py"):
            is_package = entry == "__init__.py"
            name = prefix.rstrip(".") if is_package else prefix + entry[:-3]
            with open(path, "rb") as source:
                modules[name] = Module(name, source.read(), is_package, path)
    return modules


def own_imports(module, known):
    """Pairs (name of an own module, line), parents that are executed on the way included."""
    for name, line in module.imports():
        if name != PACKAGE and not name.startswith(PACKAGE + "."):
            continue
        room = name[len(PACKAGE) + 1:]
        if room not in known:
            continue
        yield room, line
        while "." in room:
            room = room.rpartition(".")[0]
            # Inside a package its __init__ is running already, so that it is no import of it.
            if room in known and not (module.name + ".").startswith(room + "."):
                yield room, line


def wrong_imports(modules):
    """What breaks the order of the floors: a list of sentences."""
    known = set(modules) | set(RANK)
    found = []
    for module in modules.values():
        if module.name not in RANK:
            continue
        for room, line in own_imports(module, known):
            if room == module.name:
                found.append("%s:%d imports itself" % (module.name, line))
            elif room == "":
                if RANK[module.name] == 0:
                    found.append("friendserve/__init__.py:%d imports the package" % line)
            elif RANK.get(room, len(RANK)) > RANK[module.name]:
                found.append("%s:%d imports %s, which stands above it" % (module.name, line, room))
    return found


def cycles(modules):
    """Every module that can reach itself by imports."""
    graph = dict((name, set(room for room, _ in own_imports(module, modules)))
                 for name, module in modules.items())
    found = []
    for start in graph:
        reached, todo = set(), [start]
        while todo:
            for room in graph.get(todo.pop(), ()):
                if room not in reached:
                    reached.add(room)
                    todo.append(room)
        if start in reached:
            found.append(start)
    return sorted(found)


def late_imports(module):
    """Lines of imports inside a function or class."""
    holders = module.functions() + [node for node in ast.walk(module.tree)
                                    if isinstance(node, ast.ClassDef)]
    return sorted(set(node.lineno for holder in holders for node in ast.walk(holder)
                      if isinstance(node, (ast.Import, ast.ImportFrom))))


def impure_imports(module):
    """What a module of protocol/ imports and must not: pairs (name, line)."""
    allowed = PURE | PURE_HERE.get(module.name, frozenset())
    inside = PACKAGE + ".protocol"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = module.absolute(node)
            names = ([base + "." + alias.name for alias in node.names] if base == PACKAGE
                     else [base])
        else:
            continue
        for name in names:
            if name == inside or name.startswith(inside + "."):
                continue
            if name not in allowed and name.split(".")[0] not in allowed:
                yield name, node.lineno


def lacks_future_import(module):
    """True when there is code that does not begin with the three __future__ imports."""
    if not module.code:
        return False
    first = module.code[0]
    return not (isinstance(first, ast.ImportFrom) and first.module == "__future__"
                and FUTURE <= set(alias.name for alias in first.names))


def code_lines(source):
    """The numbers of the lines that hold code: no blank, no comment, no docstring."""
    quiet = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
             tokenize.ENDMARKER)
    lines = set()
    tokens = list(tokenize.generate_tokens(io.StringIO(source.decode("utf-8")).readline))
    meaning = [token for token in tokens if token[0] not in (tokenize.COMMENT, tokenize.NL)]
    strings = set()
    for before, token, after in zip(meaning, meaning[1:], meaning[2:]):
        starts = before[0] in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token[0] == tokenize.STRING and starts and after[0] == tokenize.NEWLINE:
            strings.add(token[2])
    for kind, _, start, end, _ in tokens:
        if kind not in quiet and start not in strings:
            lines.update(range(start[0], end[0] + 1))
    return lines


def long_functions(module, limit):
    """Pairs (name, lines of code) of the functions that are longer than `limit`."""
    numbers = code_lines(module.source)
    for function in module.functions():
        last = max(getattr(node, "end_lineno", None) or getattr(node, "lineno", 0)
                   for node in ast.walk(function))
        count = sum(1 for line in range(function.lineno, last + 1) if line in numbers)
        if count > limit:
            yield function.name, count


def bare_excepts(module):
    return [node.lineno for node in ast.walk(module.tree)
            if isinstance(node, ast.ExceptHandler) and node.type is None]


def sources(*folders):
    """Paths of the Python files of these folders of the project."""
    for folder in folders:
        for place, subfolders, names in os.walk(os.path.join(ROOT, folder)):
            # The peers of the benchmark are written for newer Pythons than this project.
            subfolders[:] = sorted(name for name in subfolders if name not in (
                "servers", "clients"))
            for name in sorted(names):
                if name.endswith(".py"):
                    yield os.path.join(place, name)


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
            "enter these modules in FLOORS in tests/test_architecture.py, above everything they "
            "import, and in website/docs/architecture.rst")

    def test_no_room_is_listed_twice(self):
        rooms = [room for _, names in FLOORS for room in names]
        self.assertEqual(sorted(rooms), sorted(set(rooms)))

    def test_imports_only_go_down(self):
        self.assert_nothing(wrong_imports(self.modules), "imports only go down")

    def test_no_cycles(self):
        self.assert_nothing(cycles(self.modules), "these modules import themselves in a circle")

    def test_no_import_inside_a_function(self):
        self.assert_nothing(
            ["%s:%d" % (module.name, line) for module in self.modules.values()
             for line in late_imports(module)],
            "imports stand at the top of a module")

    def test_protocol_is_pure(self):
        self.assert_nothing(
            ["%s:%d imports %s" % (module.name, line, name) for module in self.modules.values()
             if module.name.startswith("protocol.") for name, line in impure_imports(module)],
            "protocol/ takes bytes and gives values; PURE lists what it may import")

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
            "`except:` also catches KeyboardInterrupt; name what is meant")

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
    """The checks themselves: each finds what it is there for."""

    def modules(self, **texts):
        """Modules from `name="source"`, with "__" for the dot in a name."""
        return dict((name.replace("__", "."), Module(name.replace("__", "."), text.encode("utf-8")))
                    for name, text in texts.items())

    def test_upward_import_is_found(self):
        for text in ("import friendserve.iostream", "from friendserve import iostream",
                     "from friendserve.iostream import IOStream", "from . import iostream",
                     "from .iostream import IOStream"):
            self.assertEqual(["ioloop:1 imports iostream, which stands above it"],
                             wrong_imports(self.modules(ioloop=text)), text)

    def test_downward_import_is_allowed(self):
        texts = dict(iostream="from friendserve import ioloop\nimport friendserve.escape\n",
                     ioloop="", escape="")
        self.assertEqual([], wrong_imports(self.modules(**texts)))

    def test_import_of_a_part_counts_as_import_of_its_package(self):
        found = wrong_imports(self.modules(
            httpserver="from friendserve.web.errors import HTTPError", web__errors="", web=""))
        self.assertEqual(2, len(found), found)

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
