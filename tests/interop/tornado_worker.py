"""Runs one module of Tornado's tests; started by tornado_suite.py:

    python tornado_worker.py original|alias FOLDER MODULE

Prints a line of JSON for each test: its name, its outcome, and the last line of its error.

A name that a module of tests imports and that friendserve lacks fails the tests that use it, not
the module: it becomes a placeholder.
"""
from __future__ import absolute_import, division, print_function

import ast
import importlib
import io
import json
import logging
import os
import signal
import sys
import types
import unittest
import warnings

#: How long one test may take, in seconds.
PATIENCE = 20


class MissingType(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError("friendserve has no " + cls.__name__)


def make_missing(name):
    """A class that can be subclassed and decorate; using one fails."""
    def __init__(self, *args, **kwargs):
        self.args = args

    def fail(self, *args, **kwargs):
        raise NotImplementedError("friendserve has no " + name)

    return MissingType(str(name), (object,), {"__init__": __init__, "__call__": fail,
                                              "__getattr__": fail})


def import_from(module, name):
    """The object that "from module import name" means."""
    try:
        home = importlib.import_module(module)
        return getattr(home, name) if hasattr(home, name) else importlib.import_module(
            module + "." + name)
    except ImportError:
        return make_missing("%s.%s" % (module, name))


def base(home, name):
    """The class that ``home.name`` means among the bases of a class."""
    return getattr(home, name) if hasattr(home, name) else make_missing(
        "%s.%s" % (home.__name__, name))


class ImportChanger(ast.NodeTransformer):
    """Has `import_from` do the imports from Tornado, but for those that the tests try."""

    def visit_Try(self, node):
        return node

    visit_TryExcept = visit_FunctionDef = visit_Try

    def visit_ClassDef(self, node):
        node.bases = [self._change_base(base) for base in node.bases]
        return node

    def _change_base(self, base):
        if not isinstance(base, ast.Attribute):
            return base
        call = ast.parse("__base(None, %r)" % str(base.attr)).body[0].value
        call.args[0] = base.value
        return ast.copy_location(call, base)

    def visit_ImportFrom(self, node):
        module = node.module or ""
        if module.split(".")[0] != "tornado" or module.split(".")[:2] == ["tornado", "test"]:
            return node
        text = "; ".join("%s = __import_from(%r, %r)" % (
            name.asname or name.name, str(module), str(name.name)) for name in node.names)
        return [ast.copy_location(assign, node) for assign in ast.parse(text).body]


class SuiteFinder(object):
    """Finds and loads `tornado.test` and its modules of tests, in the distribution."""

    def __init__(self, place):
        self._place = place

    def find_module(self, name, path=None):
        return self if name == "tornado.test" or name.startswith("tornado.test.") else None

    def load_module(self, name):
        if name in sys.modules:
            return sys.modules[name]
        path = os.path.join(self._place, *name.split("."))
        module = sys.modules[name] = types.ModuleType(name)
        if os.path.isdir(path):
            module.__path__ = [path]
            path = os.path.join(path, "__init__")
        module.__file__ = path + ".py"
        module.__package__ = "tornado.test"
        module.__dict__.update(__import_from=import_from, __base=base)
        with io.open(module.__file__, "rb") as source:
            tree = ast.parse(source.read(), module.__file__)
        tree = ast.fix_missing_locations(ImportChanger().visit(tree))
        exec(compile(tree, module.__file__, "exec", 0, True), module.__dict__)
        return module


class Reporter(unittest.TestResult):
    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self._outcome = "passed", ""
        # Again and again: the first exception may go to the log of a loop.
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, 1)

    def stopTest(self, test):
        signal.setitimer(signal.ITIMER_REAL, 0)
        unittest.TestResult.stopTest(self, test)
        self.report(test, self._outcome)

    def report(self, test, outcome):
        name = "%s.%s.%s" % (type(test).__module__.rpartition(".")[2], type(test).__name__,
                             getattr(test, "_testMethodName", "doctest"))
        print("\n\x1e" + json.dumps((name,) + outcome))
        sys.stdout.flush()

    def _fail(self, test, error):
        self._outcome = "failed", "%s: %s" % (error[0].__name__, str(error[1])[:300])
        if os.environ.get("TRACE"):
            import traceback
            print(test, "".join(traceback.format_exception(*error)))

    def addError(self, test, error):
        if not hasattr(test, "_testMethodName"):
            # A setUpClass or setUpModule.
            print(error)
            sys.exit("%s: %s" % (test, error[1]))
        self._fail(test, error)

    addFailure = _fail

    def addSkip(self, test, reason):
        self._outcome = "skipped", reason

    def addExpectedFailure(self, test, error):
        self._outcome = "failed as expected", ""

    def addUnexpectedSuccess(self, test):
        self._outcome = "passed unexpectedly", ""


def flatten(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            for inner in flatten(test):
                yield inner
        else:
            yield test


def on_alarm(number, frame):
    raise AssertionError("took longer than %d seconds" % PATIENCE)


def main(mode, place, module):
    signal.signal(signal.SIGALRM, on_alarm)
    warnings.simplefilter("ignore")
    sys.path[0] = place if mode == "original" else os.path.join(place, "nothing")
    if mode == "alias":
        from friendserve import porting
        version = os.path.basename(place).partition("-")[2]
        porting.alias(version=version)
        sys.meta_path.insert(0, SuiteFinder(place))
    from tornado import options
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    options.parse_command_line(["runtests"])
    tests = unittest.defaultTestLoader.loadTestsFromModule(
        importlib.import_module("tornado.test." + module))
    reporter = Reporter()
    for test in flatten(tests):
        try:
            unittest.TestSuite([test]).run(reporter)
        except Exception as error:
            reporter.report(test, ("failed", "out of the test case: %s" % error))


if __name__ == "__main__":
    main(*sys.argv[1:])
