"""Runs one module of Tornado's tests; started by tornado_suite.py:

    python tornado_worker.py original|alias FOLDER MODULE

Prints a line of JSON for each test: its name, its outcome, and the last line of its error.
"""
from __future__ import absolute_import, division, print_function

import importlib
import json
import logging
import os
import signal
import sys
import unittest
import warnings

#: How long one test may take, in seconds.
PATIENCE = 20


class SuiteFinder(object):
    """Finds the package `tornado.test` in the distribution; all else is left to the alias."""

    def __init__(self, place):
        self._folder = os.path.join(place, "tornado")

    def _matches(self, name):
        return name == "tornado.test" or name.startswith("tornado.test.")

    # Python 3

    def find_spec(self, name, path=None, target=None):
        if self._matches(name):
            from importlib.machinery import PathFinder
            return PathFinder.find_spec(
                name, [self._folder] if name == "tornado.test" else path, target)

    # Python 2

    def find_module(self, name, path=None):
        if self._matches(name) and sys.version_info[0] == 2:
            import imp
            return OldLoader(imp.find_module(
                name.rpartition(".")[2], [self._folder] if name == "tornado.test" else path))


class OldLoader(object):
    def __init__(self, found):
        self._found = found

    def load_module(self, name):
        import imp
        return sys.modules.get(name) or imp.load_module(name, *self._found)


class Reporter(unittest.TestResult):
    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self._outcome = "passed", ""
        # Again and again: the first exception may go to the log of a loop.
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, 1)

    def stopTest(self, test):
        signal.setitimer(signal.ITIMER_REAL, 0)
        unittest.TestResult.stopTest(self, test)
        name = "%s.%s.%s" % (type(test).__module__.rpartition(".")[2], type(test).__name__,
                             getattr(test, "_testMethodName", "doctest"))
        print("\n\x1e" + json.dumps((name,) + self._outcome))
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
    import tornado
    from tornado import options
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    options.parse_command_line(["runtests"])
    tests = unittest.defaultTestLoader.loadTestsFromModule(
        importlib.import_module("tornado.test." + module))
    tests.run(Reporter())
    return tornado.version


if __name__ == "__main__":
    main(*sys.argv[1:])
