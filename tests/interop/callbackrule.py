"""Which tests of a suite are in callback style: a rule over their source, with no list of names.

A test is in callback style if none of the identifiers in `OTHER_STYLE`, no ``yield`` from a method
of its class and no ``async def`` is found in its source: that is its function, what its class and
the base classes in the same folder define beside tests (fixtures, the application and its
handlers), and every function and class of the module that any of these names.
"""
from __future__ import absolute_import, division, print_function

import ast

OTHER_STYLE = frozenset([
    "Future", "TracebackFuture", "add_done_callback", "add_future", "chain_future", "concurrent",
    "coroutine", "dummy_executor", "engine", "gen", "gen_test", "return_future", "run_on_executor",
    "run_sync"])

_FUNCTIONS = (ast.FunctionDef,) + tuple(
    getattr(ast, name) for name in ("AsyncFunctionDef",) if hasattr(ast, name))


class Suite(object):
    """The modules of a suite: a dictionary of their names and sources."""

    def __init__(self, sources):
        self._definitions = {}
        for name, source in sources.items():
            definitions = {}
            for node in ast.parse(source).body:
                _collect(node, definitions)
            self._definitions[name] = definitions

    def is_callback_style(self, module, case, test):
        """Whether `test`, a method of the class `case`, is; `module` is that of the class. A test
        that is not written out in the suite (one made by a program) is not."""
        roots, found = [], False
        for home, node in self._lineage(module, case):
            for member in node.body:
                if getattr(member, "name", None) == test and isinstance(member, _FUNCTIONS):
                    if not found:
                        roots.append((home, member))
                    found = True
                elif not getattr(member, "name", "").startswith("test"):
                    roots.append((home, member))
        return found and not any(_is_other_style(node) for node in self._reach(roots))

    def _lineage(self, module, case):
        """The class and its bases, so far as the suite has them, as (module, node)."""
        node = self._definitions.get(module, {}).get(case)
        if not isinstance(node, ast.ClassDef):
            return
        yield module, node
        for base in node.bases:
            name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", None)
            for home in [module] + sorted(self._definitions):
                if isinstance(self._definitions[home].get(name), ast.ClassDef):
                    for ancestor in self._lineage(home, name):
                        yield ancestor
                    break

    def _reach(self, roots):
        """`roots` and the definitions that they name, that these name, and so on."""
        waiting, seen = list(roots), set()
        while waiting:
            module, node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            for name in _names(node):
                definition = self._definitions[module].get(name)
                if definition is not None and not _is_case(definition):
                    waiting.append((module, definition))


def _collect(node, definitions):
    if isinstance(node, _FUNCTIONS + (ast.ClassDef,)):
        definitions[node.name] = node
    elif isinstance(node, (ast.If, ast.Try if hasattr(ast, "Try") else ast.TryExcept)):
        for inner in node.body + node.orelse:
            _collect(inner, definitions)


def _is_case(node):
    return isinstance(node, ast.ClassDef) and any(
        isinstance(member, _FUNCTIONS) and member.name.startswith("test") for member in node.body)


def _names(node):
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def _is_other_style(node):
    if any(name in OTHER_STYLE for name in _names(node)):
        return True
    return any(isinstance(inner, _FUNCTIONS[1:]) for inner in ast.walk(node))
