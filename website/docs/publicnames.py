"""Reads the public names of the package from its source: their signatures, texts and places.

Nothing is imported, so modules whose optional package is not installed are read too.
"""
from __future__ import absolute_import, division, print_function

import ast
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.house import FLOORS, PACKAGE, face_names, parse_tree  # noqa: E402

#: What is public although a folder's face does not show it: names that programs import from there.
ALSO_PUBLIC = ("protocol.cookies", "protocol.errors", "protocol.forms", "protocol.multipart")
#: Modules that can be run or imported and have no names for programs.
WITHOUT_NAMES = ("", "__main__", "platform", "platform.foreign")

_COMMENT = re.compile(r"\s*#: ?(.*)")


class Name(object):
    """A public name: `kind` is "class", "exception", "function", "data", "method", "classmethod",
    "staticmethod", "property" or "attribute".

    `path` is where the documentation has it: "web.RequestHandler.write". `signature` has
    parentheses, or is "". `text` is a docstring, or the comment at an assignment. `module` is where
    it is defined. `same_as` is the path of the name that this one is another name for, or None.
    """
    def __init__(self, kind, path, module, node, text="", signature="", bases=()):
        self.kind = kind
        self.path = path
        self.module = module
        self.node = node
        self.text = text
        self.signature = signature
        self.bases = bases
        self.members = []
        self.same_as = None


class Package(object):
    """All public names: `pages` is {"web": [Name]}, `names` is {path: Name}."""
    def __init__(self):
        self.modules = parse_tree(os.path.join(ROOT, PACKAGE))
        self.order = public_modules(self.modules)
        self.pages = {}
        self.names = {}
        self._canonical = {}    # (module, name) of a definition -> path
        # A name is described where its definition's door has it, otherwise where it is first.
        for door in sorted(self.order, key=lambda door: (door in ALSO_PUBLIC,
                                                         self.order.index(door))):
            for name in public_names(self.modules[door]):
                module, node, own = self.find(self.modules[door], name)
                key = module.name, own, id(node)
                home = (module.name + ".").startswith(door + ".") and own == name
                if key not in self._canonical or home and not self._canonical[key][1]:
                    self._canonical[key] = door + "." + name, home
        for door in self.order:
            self.pages[door] = [self._read(door, name)
                                for name in public_names(self.modules[door])]

    def find(self, module, name):
        """(module, node, name there) of the definition of a name: through imports and aliases."""
        seen = set()
        while True:
            if (module.name, name) in seen:
                raise LookupError("%s.%s is defined by itself" % (module.name, name))
            seen.add((module.name, name))
            for node in statements(module.tree.body):
                target = imported(module, node, name)
                if target is not None:
                    place, other = target
                    if place in self.modules and other is not None:
                        module, name = self.modules[place], other
                        break
                    return module, node, name
                if getattr(node, "name", None) == name:
                    return module, node, name
                if isinstance(node, ast.Assign) and name in assigned(node):
                    if isinstance(node.value, ast.Name) and self.defines(module, node.value.id):
                        name = node.value.id
                        break
                    return module, node, name
            else:
                raise LookupError("%s has no %s" % (module.name, name))

    @staticmethod
    def defines(module, name):
        return any(getattr(node, "name", None) == name or imported(module, node, name)
                   or isinstance(node, ast.Assign) and name in assigned(node)
                   for node in statements(module.tree.body))

    def find_class(self, module, expression):
        """(module, node) of a base class that is given as an expression, or None."""
        if isinstance(expression, ast.Name) and self.defines(module, expression.id):
            found = self.find(module, expression.id)
            if isinstance(found[1], ast.ClassDef):
                return found[:2]
        return None

    def lineage(self, module, node):
        """A class and all of its base classes in this package: [(module, node)]."""
        found = [(module, node)]
        for base in node.bases:
            base = self.find_class(module, base)
            if base is not None:
                found.extend(one for one in self.lineage(*base) if one not in found)
        return found

    def is_exception(self, module, node):
        return any(ast.unparse(base).rpartition(".")[2] in BUILTIN_ERRORS
                   for _, one in self.lineage(module, node) for base in one.bases)

    def path_of_class(self, module, node):
        """Where a class is described, or None."""
        path = self._canonical.get((module.name, node.name, id(node)))
        return path and path[0]

    def _read(self, door, name):
        path = door + "." + name
        module, node, own = self.find(self.modules[door], name)
        home = self._canonical[module.name, own, id(node)][0]
        if isinstance(node, ast.ClassDef):
            found = self._read_class(path, module, node, home == path)
        elif isinstance(node, ast.FunctionDef):
            found = Name("function", path, module, node, docstring(node), signature(node))
        else:
            found = Name("data", path, module, node, comment(module, node))
        if home != path:
            found.same_as = home
        self.names[path] = found
        return found

    def _read_class(self, path, module, node, with_members):
        lineage = self.lineage(module, node)
        bases = []
        for base in node.bases:
            found = self.find_class(module, base)
            known = found and self.path_of_class(*found)
            if known:
                bases.append(known)
            elif not found and ast.unparse(base) != "object":
                bases.append(ast.unparse(base))
        kind = "exception" if self.is_exception(module, node) else "class"
        found = Name(kind, path, module, node, docstring(node), constructor(lineage), bases)
        if with_members:
            for place, one in lineage:
                if one is not node and self.path_of_class(place, one):
                    continue        # its page has them
                for member in members(place, one, path):
                    if member.path not in self.names:
                        member.text = member.text or inherited_text(lineage, member)
                        self.names[member.path] = member
                        found.members.append(member)
        return found


BUILTIN_ERRORS = frozenset((
    "Exception", "ValueError", "TypeError", "RuntimeError", "IOError", "OSError",
    "EnvironmentError", "KeyError", "LookupError", "AssertionError", "error"))


def public_modules(modules):
    """The modules with public names, from the ground up."""
    found = []
    for _, rooms in FLOORS:
        for room in rooms:
            folder = room.rpartition(".")[0]
            if room in modules and room not in WITHOUT_NAMES and (
                    not folder or folder == "platform" or room in ALSO_PUBLIC) and \
                    public_names(modules[room]):
                found.append(room)
    return found


def public_names(module):
    shown = face_names(module)
    if shown:
        return sorted(shown, key=lambda name: name.lower())
    found = []
    for node in statements(module.tree.body):
        names = assigned(node) if isinstance(node, ast.Assign) else [getattr(node, "name", "_")]
        found.extend(name for name in names if not name.startswith("_") and name not in found)
    return sorted(found, key=lambda name: name.lower())


def statements(body):
    """Statements of a module or class, also of the branches of `if` and `try`."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            handlers = [handler.body for handler in getattr(node, "handlers", ())]
            for part in [node.body] + handlers + [node.orelse]:
                for inner in statements(part):
                    yield inner
        else:
            yield node


def assigned(node):
    return [inner.id for target in node.targets for inner in ast.walk(target)
            if isinstance(inner, ast.Name)]


def imported(module, node, name):
    """(module, name) that a statement imports as `name`, without the package's name; or None."""
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if (alias.asname or alias.name) == name:
                place = module.absolute(node)
                return (place[len(PACKAGE) + 1:], alias.name) if (place + ".").startswith(
                    PACKAGE + ".") else (place, None)
    elif isinstance(node, ast.Import):
        if name in [alias.asname or alias.name for alias in node.names]:
            return name, None
    return None


def docstring(node):
    # That of a module is not indented; if only its program is, to clean it would change that.
    return ast.get_docstring(node, clean=not isinstance(node, ast.Module)) or ""


def comment(module, node):
    """The text of the comment that begins with "#:" before or at an assignment."""
    lines = module.source.decode("utf-8").splitlines()
    found = []
    number = node.lineno - 2
    while number >= 0 and _COMMENT.match(lines[number]):
        found.insert(0, _COMMENT.match(lines[number]).group(1))
        number -= 1
    after = re.search(r"#: ?(.*)", lines[node.lineno - 1])
    if not found and after:
        found.append(after.group(1))
    return "\n".join(found)


def signature(function, skip=0):
    """The arguments of a function, as the source has them; without the first `skip`."""
    arguments = function.args
    arguments.args = arguments.args[skip:]
    try:
        return "(%s)" % ast.unparse(arguments)
    finally:
        arguments.args = arguments.args if not skip else [ast.arg("self")] * skip + arguments.args


def constructor(lineage):
    """The arguments of the first `__init__` or `initialize` that says them."""
    for name in ("__init__", "initialize", "__new__"):
        for _, node in lineage:
            for inner in statements(node.body):
                if getattr(inner, "name", None) == name and isinstance(inner, ast.FunctionDef):
                    text = signature(inner, 1)
                    if text != "(*args, **kwargs)":
                        return text
    return ""


def members(module, node, path):
    """The public methods and attributes of a class."""
    for inner in statements(node.body):
        if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
            decorators = [ast.unparse(one) for one in inner.decorator_list]
            if any(one.endswith((".setter", ".deleter")) for one in decorators):
                continue
            kind = ("property" if any("property" in one for one in decorators) else
                    "classmethod" if "classmethod" in decorators else
                    "staticmethod" if "staticmethod" in decorators else "method")
            yield Name(kind, "%s.%s" % (path, inner.name), module, inner, docstring(inner),
                       "" if kind == "property" else signature(inner, kind != "staticmethod"))
        elif isinstance(inner, ast.Assign):
            for name in assigned(inner):
                if not name.startswith("_"):
                    yield Name("attribute", "%s.%s" % (path, name), module, inner,
                               comment(module, inner))
    for inner in statements(node.body):
        if getattr(inner, "name", None) in ("__init__", "initialize"):
            for statement in ast.walk(inner):
                if isinstance(statement, ast.Assign):
                    for target in statement.targets:
                        if isinstance(target, ast.Attribute) and not target.attr.startswith("_"):
                            text = comment(module, statement)
                            if text:
                                yield Name("attribute", "%s.%s" % (path, target.attr), module,
                                           statement, text)


def inherited_text(lineage, member):
    """The docstring of the method that one without a docstring overrides."""
    name = member.path.rpartition(".")[2]
    for _, node in lineage:
        for inner in statements(node.body):
            if getattr(inner, "name", None) == name and docstring(inner):
                return docstring(inner)
    return ""


def value_text(node):
    """The value of an assignment, if it is short."""
    value = getattr(node, "value", None)
    text = "" if value is None or not isinstance(node, ast.Assign) else ast.unparse(value)
    return text if len(text) <= 60 and "\n" not in text else ""
