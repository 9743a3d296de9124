"""Finding the places in a program that need a hand before it runs on this package."""
from __future__ import absolute_import, division, print_function

import ast
import collections
import importlib
import inspect
import os
import re
import tokenize

from friendserve.porting.editor import Source, SourceError
from friendserve.porting.knowledge import (
    ALIAS_ONLY, DIFFERS, GIVEN_UP, GONE, NOT_CALLED, REQUIREMENT, STRING)

#: What was found: `line` and `column` count from 1, `name` is dotted and begins with "tornado".
Finding = collections.namedtuple("Finding", "path line column code name text")

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SILENCE = re.compile(r"#.*\bfs:[ \t]*ok\b")
_MODULE = re.compile(r"tornado(\.[A-Za-z_]\w*)+$")
_REQUIREMENT = re.compile(r"tornado[ \t]*([<>=!~;(\[]|$)")
_SELF = frozenset(("self", "cls"))
#: Functions whose string names a logger or a module.
_NAMING = frozenset(("getLogger", "import_module", "import_object", "__import__"))
_SKIPPED_FOLDERS = frozenset(("__pycache__", "build", "dist", "node_modules"))


def needs_hand(finding):
    """Whether something has to be done; otherwise it is a note."""
    return not finding.code.startswith("FS9")


def find_files(paths, suffixes=(".py",)):
    """The files of these paths, in order; of a folder, all files below it with such an ending,
    except in folders whose names begin with a dot. Raises OSError for a path that does not
    exist."""
    for path in paths:
        if not os.path.isdir(path):
            os.stat(path)
            yield path
            continue
        for place, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith(".")
                                and name not in _SKIPPED_FOLDERS)
            for name in sorted(names):
                if name.endswith(suffixes):
                    yield os.path.join(place, name)


def check_file(path, alias_only=False):
    """The places in a file that need a hand or a note: a list of `Finding`, by place."""
    try:
        with open(path, "rb") as opened:
            source = Source(opened.read(), path)
    except (SourceError, EnvironmentError) as error:
        text = str(error).replace(path + " ", "", 1)
        return [Finding(path, 1, 1, "FS001", "-", "%s; check it by hand" % text)]
    return check_source(source, alias_only)


def check_source(source, alias_only=False):
    """Like `check_file`, for a `Source`. With `alias_only`, leave out whatever works under the
    alias (FS5xx)."""
    found = _Checker(source).check()
    silenced = set(token.line for token in source.tokens
                   if token.kind == tokenize.COMMENT and _SILENCE.match(token.text))
    return sorted(set(finding for finding in found if finding.line not in silenced
                      and not (alias_only and finding.code.startswith("FS5"))),
                  key=lambda finding: finding[1:])


def _import(name):
    """(module, whether there is one) for a module of this package. There may be one that cannot be
    imported, because another package is missing."""
    path = os.path.join(_HOME, *name.split("."))
    if not os.path.exists(path + ".py") and not os.path.isdir(path):
        return None, False
    try:
        return importlib.import_module("friendserve." + name), True
    except ImportError:
        return None, True


def _keywords(function):
    """The keyword arguments that a function or class accepts; None if it may be any."""
    if inspect.isclass(function):
        function = function.__init__
    try:
        spec = getattr(inspect, "getfullargspec", None) or inspect.getargspec  # version: py2
        spec = spec(function)
    except TypeError:
        return None
    if spec[2] is not None:
        return None
    return set(spec[0]) | set(getattr(spec, "kwonlyargs", ()))


class _Checker(object):
    """Checks one source."""

    def __init__(self, source):
        self._source = source
        self._code = source.code
        self._index = dict((token.start, index) for index, token in enumerate(source.code)
                           if token.text)
        self._bound = {}        # {name in the program: dotted name below tornado}
        self._found = []

    def check(self):
        self._read_imports()
        for use in self._source.uses(self._bound):
            self._look(".".join([self._bound[use.name]] + use.attributes).strip("."), use.span[0])
            self._check_call(use)
        self._check_classes()
        self._check_strings()
        return self._found

    def _add(self, position, code, name, text):
        token = self._code[self._index[position]]
        self._found.append(Finding(self._source.path, token.line, token.column, code,
                                   ("tornado." + name) if name else "tornado", text))

    # Imports

    def _read_imports(self):
        for statement in self._source.imports():
            if statement.module is None:
                for name in statement.names:
                    self._read_plain(name)
            elif statement.module.split(".")[0] == "tornado":
                self._read_from(statement.module[len("tornado."):], statement.names)

    def _read_plain(self, name):
        head, _, rest = name.name.partition(".")
        if head == "tornado":
            self._bound[name.asname or head] = rest if name.asname else ""
            if rest:
                self._look(rest, name.head[0])

    def _read_from(self, module, names):
        for name in names:
            if name.name != "*":
                dotted = (module + "." + name.name).strip(".")
                self._bound[name.asname or name.name] = dotted
                self._look(dotted, name.head[0])
                continue
            self._add(name.head[0], "FS910", module + ".*",
                      "imports names that check may miss; import them by name")
            ours = self._look(module, name.head[0])
            known = set(getattr(ours, "__all__", ()))
            known.update(gone[len(module) + 1:] for gone in GONE
                         if gone.rpartition(".")[0] == module)
            for public in known:
                self._bound.setdefault(str(public), module + "." + public)

    # Names

    def _look(self, dotted, position):
        """Report the findings about a name. Return the object that it is here, or None."""
        parts = dotted.split(".")
        if not dotted:
            return None
        if parts[0] in ("version", "version_info"):
            return self._add(position, "FS503", parts[0], ALIAS_ONLY[parts[0]])
        if parts[0] in GIVEN_UP:
            return self._add(position, "FS101", parts[0], GIVEN_UP[parts[0]])
        module, known = _import(parts[0])
        if not known:
            return self._add(position, "FS102", parts[0], "there is no such module")
        place = 1
        while len(parts) > place and module is not None and hasattr(module, "__path__") \
                and not hasattr(module, parts[place]):
            inner, known = _import(".".join(parts[:place + 1]))
            if not known:
                break
            module, place = inner, place + 1
        if module is None or len(parts) == place:
            return module
        return self._look_inside(module, parts, place, position)

    def _look_inside(self, module, parts, place, position):
        name = ".".join(parts[:place + 1])
        if name in ALIAS_ONLY:
            self._add(position, "FS501", name, ALIAS_ONLY[name])
        elif not hasattr(module, parts[place]):
            self._add_missing(position, name)
            return None
        ours = getattr(module, parts[place], None)
        if name in DIFFERS:
            self._add(position, DIFFERS[name][0], name, DIFFERS[name][1])
        if inspect.isclass(ours) and len(parts) > place + 1:
            self._look_at_member(ours, parts[place + 1], position)
        return ours if len(parts) == place + 1 else None

    def _add_missing(self, position, name):
        private = name.rpartition(".")[2].startswith("_")
        text = GONE.get(name, "friendserve has none; " + (
            "it was private" if private else "see website/docs/how-to/porting.rst"))
        self._add(position, "FS301" if private else "FS201" if name in GONE else "FS202",
                  name, text)

    def _look_at_member(self, ours, member, position):
        """Report a member that the class `ours`, or one of its bases, has in Tornado."""
        for name in _public_names(ours, member):
            if name in DIFFERS:
                self._add(position, DIFFERS[name][0], name, DIFFERS[name][1])
                break
            if name in GONE and not hasattr(ours, member):
                self._add_missing(position, name)
                break

    # Calls

    def _check_call(self, use):
        index = self._index[use.span[0]] + 2 * len(use.attributes) + 1
        if self._code[index].text != "(":
            return
        silent, self._found = self._found, []
        dotted = ".".join([self._bound[use.name]] + use.attributes).strip(".")
        ours = self._look(dotted, use.span[0])
        self._found = silent
        accepted = _keywords(ours) if callable(ours) else None
        if accepted is None:
            return
        for token in self._find_keywords(index):
            if token.text not in accepted:
                self._add(token.start, "FS401", "%s(%s=)" % (dotted, token.text),
                          "there is no such argument; it takes "
                          + ", ".join(sorted(accepted - _SELF)))

    def _find_keywords(self, index):
        """The tokens of the keywords of the call whose parenthesis is at `index`."""
        depth = 0
        while True:
            token = self._code[index]
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if not depth or token.kind == tokenize.ENDMARKER:
                return
            if depth == 1 and token.text in ("(", ",") \
                    and self._code[index + 1].kind == tokenize.NAME \
                    and self._code[index + 2].text == "=":
                yield self._code[index + 1]
            index += 1

    # Classes

    def _check_classes(self):
        bases = {}      # {name of a class in the program: our classes below it}
        for statement in self._source.classes():
            ours = []
            for base in statement.bases:
                head, _, rest = base.partition(".")
                if base in bases:
                    ours.extend(bases[base])
                elif head in self._bound:
                    found = self._find_class((self._bound[head] + "." + rest).strip("."))
                    if found is not None:
                        ours.append(found)
            if ours:
                bases[statement.name] = ours
                self._check_body(statement, ours)

    def _find_class(self, dotted):
        silent, self._found = self._found, []
        ours = self._look(dotted, self._code[0].start)
        self._found = silent
        return ours if inspect.isclass(ours) else None

    def _check_body(self, statement, ours):
        tokens = [token for token in self._code
                  if statement.body[0] <= token.start < statement.body[1]]
        defined = set(after.text for token, after in zip(tokens, tokens[1:])
                      if token.text == "def")
        for base in ours:
            for index, token in enumerate(tokens):
                before = tokens[index - 1].text if index else ""
                if token.kind != tokenize.NAME:
                    continue
                if before == "def":
                    self._look_at_override(base, token)
                elif before == "." and index > 1:
                    owner = tokens[index - 2].text
                    if owner == ")" and _is_super(tokens, index - 2) \
                            or owner in _SELF and token.text not in defined:
                        self._look_at_member(base, token.text, token.start)

    def _look_at_override(self, base, token):
        table = DIFFERS if hasattr(base, token.text) else NOT_CALLED
        for name in _public_names(base, token.text):
            if name in table:
                self._add(token.start, table[name][0], name, table[name][1])
                break

    # Strings

    def _check_strings(self):
        setup = os.path.basename(self._source.path) == "setup.py"
        for index, token in enumerate(self._code):
            if token.kind != tokenize.STRING or "tornado" not in token.text:
                continue
            try:
                value = ast.literal_eval(token.text)
            except (SyntaxError, ValueError):
                continue
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            names = index > 1 and self._code[index - 1].text == "(" \
                and self._code[index - 2].text in _NAMING
            if _MODULE.match(value) or names and value == "tornado":
                self._add(token.start, "FS502", value[len("tornado."):], STRING)
            elif setup and _REQUIREMENT.match(value):
                self._add(token.start, "FS504", "", REQUIREMENT)


def _public_names(ours, member):
    """The names that a member of a class would have here, in it and in its bases."""
    return ["%s.%s.%s" % (base.__module__.partition(".")[2], base.__name__, member)
            for base in ours.__mro__]


def _is_super(tokens, index):
    """Whether the parenthesis at `index` ends a call of super."""
    depth = 0
    while index >= 0:
        depth += (tokens[index].text == ")") - (tokens[index].text == "(")
        if not depth:
            return index > 0 and tokens[index - 1].text == "super"
        index -= 1
    return False
