"""How the house is built: its floors, and checks of the source.

`FLOORS` is the plan, and the functions read the source. `test_architecture` compares the two, and
`website/docs/draw_floors.py` draws them.
"""
from __future__ import absolute_import, division, print_function

import ast
import io
import os
import tokenize

from tests import ROOT

PACKAGE = "friendserve"

_TRY = getattr(ast, "Try", None) or ast.TryExcept  # version: py2


def _in(folder, rooms):
    """Dotted names of rooms of a folder; "" is its face."""
    return tuple(folder + "." + room if room else folder for room in rooms)


#: The floors from the ground up, and the rooms of each in order: a module imports only what
#: precedes it here. Names are relative to the package; "" is friendserve/__init__.py. A package
#: follows the modules it re-exports.
FLOORS = (
    ("ground", ("", "util", "log", "escape", "stack_context", "awaitable", "platform")),
    ("protocol", _in("protocol", (
        "", "errors", "grammar", "headers", "http1", "http1body", "urls", "httpauth", "forms",
        "multipart", "cookies", "masking", "deflate", "wshandshake", "websocket", "eventstream",
        "oauth1", "jose", "proxyheader"))),
    ("pollers", _in("platform.pollers", (
        "", "interpreter", "interface", "clock", "common", "select", "poll", "epoll", "kqueue",
        "posix", "windows", "auto", "adapted"))),
    ("text", ("template", "locale", "options")),
    ("loop", _in("ioloop", (
        "callbacks", "timers", "watching", "signals", "interface", "polling", "periodic",
        "positional", "")) + ("loopthread",)),
    ("streams", _in("netutil", (
        "endpoints", "resolver", "passedon", "listening", "tls", "certificates", "networks",
        "proxied", ""))
     + _in("iostream", ("buffers", "base", "goodbye", "sockets", "pipe", ""))),
    ("connections", ("callbacks", "process", "autoreload", "tcpserver", "tcpclient")),
    ("other loops", _in("platform", (
        "foreign", "asyncio", "twisted", "caresresolver", "interface", "common", "posix",
        "windows", "auto", "epoll", "kqueue", "select"))),
    ("futures", ("concurrent",) + _in("gen", ("points", "runner", "coroutines", ""))
     + ("locks", "queues")),
    ("http", ("httputil",) + _in("routing", ("paths", "rules", ""))
     + _in("http1connection", ("limits", "response", "server", "client", ""))
     + ("httpserver",)
     + _in("httpclient", (
         "errors", "messages", "interface", "blocking", "output", "command", "cookies", "fetch",
         "queue", "watching", "", "__main__"))
     + _in("simple_httpclient", ("pool", "tunnel", "digest", "fetch", "client", ""))
     + _in("curl_httpclient", ("errors", "sockets", "transfer", "options", "client", ""))),
    ("web", _in("web", (
        "errors", "mistakes", "settings", "etags", "uimodule", "page", "debugpage", "errorpage",
        "jsonbody", "transforms", "xsrf", "handler", "decorators", "eventstream", "upload", "files",
        "conditions", "static", "running", "watching", "application", ""))),
    ("beside the web", _in("websocket", ("connection", "client", "handler", ""))
     + _in("wsgi", ("environ", "body", "container", "adapter", ""))
     + _in("feed", ("base", "local", "resp", "redis", "opening", ""))
     + _in("database", ("errors", "engines", "connection", "pool", ""))),
    ("auth", _in("auth", (
        "errors", "exchange", "flows", "mixin", "openid", "oauth", "oauth2", "discovery",
        "openidconnect", "facebook", "google", "twitter", "friendfeed", "access", ""))),
    ("tools", _in("testing", ("logs", "cases", "command", "plugin", "", "__main__"))
     + _in("porting", (
         "editor", "templates", "knowledge", "adapted", "private", "older", "alias", "running",
         "checking", "installed", "rewriting", "command", "", "__main__"))
     + _in("metrics", ("text", "registry", "watching", "")) + _in("serve", (
         "scoreboard", "config", "accesslog", "logs", "loading", "sockets", "systemd", "pages",
         "control", "ctl", "operators", "worker", "pidfile", "successor", "master", "command",
         "")) + ("__main__",)),
)

#: What protocol/ may import besides itself: modules that compute, and see no file descriptor,
#: clock, logger or file.
PURE = frozenset((
    "__future__", "array", "base64", "binascii", "bisect", "calendar", "codecs", "collections",
    "datetime", "email", "functools", "hashlib", "hmac", "itertools", "json", "math", "numbers",
    "operator", "re", "six", "string", "struct", "unicodedata", "zlib",
    PACKAGE + ".util", PACKAGE + ".escape"))
#: Exceptions to PURE: signed cookies contain a time, which callers may pass and tests do; a C
#: function that computes; and StringIO, which is not a file.
PURE_HERE = {"protocol.cookies": frozenset(("time",)),
             "protocol.masking": frozenset(("websockets",)),
             "protocol.jose": frozenset(("cryptography", "json")),
             "protocol.websocket": frozenset(("io",))}

#: Third-party packages other than six, each needed by one optional module only.
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
    "protocol.jose": frozenset(("cryptography",)),
    "protocol.masking": frozenset(("websockets",)),
    "netutil.tls": frozenset(("_cffi_ssl",)),      # the binding of PyPy's ssl module
    "platform.caresresolver": frozenset(("pycares",)),
    "platform.twisted": frozenset(("twisted", "zope")),
    "porting.installed": frozenset(("pkg_resources",)),
    "porting.rewriting": frozenset(("fissix",)),
    "testing.plugin": frozenset(("pytest",)),
}

#: Modules of the standard library of Python 2 that have another name in Python 3.
STDLIB_OF_2 = frozenset(("__builtin__", "_winreg", "imp"))

MAX_LINES = {"web.handler": 900, "web.static": 700, "iostream.base": 900, "template": 700}
MAX_LINES_DEFAULT = 600
MAX_FUNCTION_LINES = 60

FUTURE = frozenset(("absolute_import", "division", "print_function"))

RANK = dict((room, rank) for rank, room in
            enumerate(room for _, rooms in FLOORS for room in rooms))


class Module(object):
    """One parsed source file. `name` is dotted and does not start with the name of the package."""

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

        `from a import b` gives "a" and "a.b": the caller knows which of them is a module.
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
        """The absolute name of the module that a `from` statement imports from."""
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
    """Pairs (name of a module of the package, line), including parents that are executed on the
    way."""
    for name, line in module.imports():
        if name != PACKAGE and not name.startswith(PACKAGE + "."):
            continue
        room = name[len(PACKAGE) + 1:]
        if room not in known:
            continue
        yield room, line
        while "." in room:
            room = room.rpartition(".")[0]
            # Inside a package, its __init__ is already running, so this does not import it.
            if room in known and not (module.name + ".").startswith(room + "."):
                yield room, line


def wrong_imports(modules):
    """The imports that break the order of the floors: a list of sentences."""
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
                found.append("%s:%d imports %s, which is above it" % (module.name, line, room))
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
    """The imports that a module of protocol/ must not have: pairs (name, line)."""
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
    """Whether there is code that does not begin with the three __future__ imports."""
    if not module.code:
        return False
    first = module.code[0]
    return not (isinstance(first, ast.ImportFrom) and first.module == "__future__"
                and FUTURE <= set(alias.name for alias in first.names))


def code_lines(source):
    """The numbers of the lines that hold code: not blank, comment or docstring."""
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
            # The peers of the benchmark, an asyncio program that embeds this package, and one for
            # the type checkers are not written for all the Pythons that this project supports.
            subfolders[:] = sorted(name for name in subfolders if name not in (
                "servers", "clients"))
            for name in sorted(names):
                if name.endswith(".py") and name not in ("asyncio_service.py", "sample.py"):
                    yield os.path.join(place, name)


def table_of_contents(text):
    """The contents listed by the package's docstring: [(name, [rooms])], in order. A folder's name
    ends in a slash; a room's line is indented, and several may share one."""
    found = []
    for line in text.split("\n\n", 2)[2].splitlines():
        names = line[:18].split() if line[17:18] in ("", " ") else line.split()
        if not line.startswith(" ") and names:
            found.append((line.split()[0], []))
        elif line.startswith("    ") and line[4:5] != " ":
            found[-1][1].extend(names)
    return found


def folder_of(room):
    """The folder with a face that contains a room: "web" for "web.handler", else ""."""
    folder = room.rpartition(".")[0]
    return folder if folder not in ("", "platform") else ""


def face_names(module):
    """The names that a module lists in `__all__`, as a set."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", None)
                                             for target in node.targets] == ["__all__"]:
            return set(ast.literal_eval(node.value))
    return set()


def wrong_doors(modules):
    """Imports that do not use the right door: a list of sentences. A room imports its siblings by
    their full path, another folder by its face where the face shows the name."""
    found = []
    for module in modules.values():
        here = module.name if module.is_package else folder_of(module.name)
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            target = module.absolute(node)[len(PACKAGE) + 1:]
            names = [alias.name for alias in node.names]
            names = [name for name in names if (target + "." + name).strip(".") not in modules]
            if names and target == here and not module.is_package and here:
                found.append("%s:%d imports its own face; import %s from its room" % (
                    module.name, node.lineno, ", ".join(names)))
            folder = folder_of(target)
            if folder and folder != here and folder in modules:
                shown = face_names(modules[folder])
                found.extend("%s:%d imports %s from %s; the face of %s shows it" % (
                    module.name, node.lineno, name, target, folder)
                    for name in names if name in shown)
    return found


def code_of_face(module):
    """Line numbers of everything except imports, `__all__`, aliases, and the call of
    `set_public_module`."""
    def is_plain(node):
        if isinstance(node, _TRY):
            # An optional package: its absence raises an explanation, or leaves None.
            handlers = [inner for handler in node.handlers for inner in handler.body]
            return all(is_plain(inner) for inner in node.body) and all(
                isinstance(inner, ast.Raise) or is_plain(inner) for inner in handlers)
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Call) and \
                getattr(node.value.func, "id", None) == "set_public_module"
        return isinstance(node, (ast.Import, ast.ImportFrom)) or (
            isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call))

    return [node.lineno for node in module.code if not is_plain(node)]


def find_symbol(modules, name):
    """The module that defines a dotted name such as "web.handler.RequestHandler.finish", or None:
    the rest of the name is a function, class or constant in it, or an attribute of a class."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = modules.get(".".join(parts[:count]))
        if module is not None:
            body = module.tree.body
            for part in parts[count:]:
                found = [node for node in body if _defines(node, part)]
                if not found:
                    return None
                body = getattr(found[0], "body", [])
            return module
    return None


def _defines(node, name):
    if isinstance(node, ast.Assign):
        return any(isinstance(inner, ast.Name) and inner.id == name
                   for target in node.targets for inner in ast.walk(target))
    return getattr(node, "name", None) == name
