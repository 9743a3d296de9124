"""Twisted's own tests of reactors on `IOLoopReactor`.

    python -m tests.interop.twisted_reactors [--poller=epoll|poll|select] [MODULE ...]

Our reactor over a poller is compared with the reactor of Twisted over the same one. Prints the
tests that fail or do not run only on ours, and fails if there are any. MODULE is one such as
"test_tcp"; by default, every module of twisted.internet.test that has such tests (ten seconds).
It needs Twisted, and PyHamcrest for its tests; with pyOpenSSL and service_identity
(``pip install 'twisted[tls]'``), TLS is tested too.
"""
from __future__ import absolute_import, division, print_function

import collections
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import twisted.internet.test
from twisted.internet.test.reactormixins import ReactorBuilder

from friendserve.ioloop import IOLoop
from friendserve.platform.twisted import IOLoopReactor
from tests import ROOT

#: Seconds until a test fails that does not stop its reactor. Most take less than 0.1 s.
TEST_LIMIT = 20

#: Seconds until a run is killed whose test waits without a limit.
RUN_LIMIT = 600

THEIRS = {
    "epoll": "twisted.internet.epollreactor.EPollReactor",
    "poll": "twisted.internet.pollreactor.PollReactor",
    "select": "twisted.internet.selectreactor.SelectReactor",
}

# Twisted's tests know by the name of a class what its poller can do, so ours have the same names.
CLASSES = dict((poller, type(name.rpartition(".")[2], (IOLoopReactor,), {}))
               for poller, name in THEIRS.items())


def epoll_reactor(case):
    return _make_reactor(case, "epoll")


def poll_reactor(case):
    return _make_reactor(case, "poll")


def select_reactor(case):
    return _make_reactor(case, "select")


def _make_reactor(case, poller):
    loop = IOLoop(poller, make_current=False)
    case.addCleanup(loop.close)
    return CLASSES[poller](loop)


class Journal(unittest.TestResult):
    """Writes each test's outcome to a file at once, so that it survives a run that is killed."""

    def __init__(self, path, suffix):
        super(Journal, self).__init__()
        self._file = open(path, "w", 1)
        self._suffix = suffix
        self._outcome = None

    def startTest(self, test):
        self._outcome = "started"
        self._write(test)
        self._outcome = "ok"

    def stopTest(self, test):
        self._write(test)

    def _write(self, test):
        # Without the name of the reactor, the names are the same in every run.
        name = test.id().replace(self._suffix, "").rpartition("twisted.internet.test.")[2]
        self._file.write("%s %s\n" % (name, self._outcome))

    def addSkip(self, test, reason):
        self._outcome = "skipped"

    def addError(self, test, error):
        self._outcome = "failed"
        print("%s\n%s" % (test.id(), self._exc_info_to_string(error, test)), file=sys.stderr)

    addFailure = addError

    def addExpectedFailure(self, test, error):
        self._outcome = "ok"

    def addUnexpectedSuccess(self, test):
        self._outcome = "failed"


def run_here(reactor, journal, modules):
    """Run the tests of `modules` on the reactor with this dotted name."""
    suffix = "_%sTests" % reactor.rpartition(".")[2]
    ReactorBuilder._reactors = [reactor]
    ReactorBuilder.timeout = TEST_LIMIT
    suite = unittest.TestSuite()
    for name in modules:
        module = importlib.import_module("twisted.internet.test." + name)
        for value in vars(module).values():
            if (isinstance(value, type) and issubclass(value, ReactorBuilder)
                    and issubclass(value, unittest.TestCase)
                    and value.__name__.endswith(suffix)):
                suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(value))
    suite.run(Journal(journal, suffix))


def run(reactor, modules):
    """The outcomes of a run in another process: {name: "ok", "skipped", "failed" or, for the test
    in which it had to be killed, "started"}, and what it wrote to standard error."""
    # Tests leave files where they run.
    folder = tempfile.mkdtemp()
    journal = os.path.join(folder, "journal")
    try:
        with open(os.devnull) as nothing, tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.interop.twisted_reactors", "--run", reactor, journal]
                + list(modules), cwd=folder, env=dict(os.environ, PYTHONPATH=ROOT), stdin=nothing,
                stderr=errors)
            limit = threading.Timer(RUN_LIMIT, process.kill)
            limit.start()
            process.wait()
            limit.cancel()
            errors.seek(0)
            with open(journal) as lines:
                return dict(line.split() for line in lines), errors.read()
    finally:
        shutil.rmtree(folder)


def compare(poller, modules):
    """(outcomes on our reactor, {name: (outcome on ours, on that of Twisted)} of the tests that
    only ours does not pass, standard error of ours)."""
    ours, errors = run("tests.interop.twisted_reactors.%s_reactor" % poller, modules)
    failed = set(name for name, outcome in ours.items() if outcome != "ok")
    suspects = sorted(set(name.partition(".")[0] for name in failed))
    theirs = run(THEIRS[poller], suspects)[0] if suspects else {}
    return ours, dict((name, (ours[name], theirs.get(name))) for name in failed
                      if ours[name] != theirs.get(name)), errors


def modules_with_tests():
    """Names of the modules of twisted.internet.test with tests that run on several reactors."""
    for _, name, _ in pkgutil.iter_modules(twisted.internet.test.__path__):
        if name.startswith("test_"):
            try:
                module = importlib.import_module("twisted.internet.test." + name)
            except ImportError:
                continue
            if any(isinstance(value, type) and issubclass(value, ReactorBuilder)
                   and value is not ReactorBuilder for value in vars(module).values()):
                yield name


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--run"]:
        run_here(arguments[1], arguments[2], arguments[3:])
        return
    poller = "epoll"
    if arguments and arguments[0].startswith("--poller="):
        poller = arguments.pop(0).partition("=")[2]
    ours, worse, errors = compare(poller, arguments or list(modules_with_tests()))
    print("IOLoopReactor over %s: %s" % (poller, ", ".join(
        "%d %s" % (count, outcome)
        for outcome, count in sorted(collections.Counter(ours.values()).items()))))
    if worse:
        print(errors)
        sys.exit("Otherwise on %s: %s" % (THEIRS[poller], ", ".join(
            "%s %s, not %s" % ((name,) + pair) for name, pair in sorted(worse.items()))))
    print("Those that do not pass are the same on %s" % THEIRS[poller])


if __name__ == "__main__":
    main()
