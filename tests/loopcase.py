"""Shared by all tests with a loop: bounded waits, log records, loops, fake kqueues."""
from __future__ import absolute_import, division, print_function

import contextlib
import gc
import importlib
import logging
import os
import select
import socket
import sys
import threading
import unittest

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.stack_context import VARIABLES, state
from tests import PATIENCE, missing
from tests.fakes import KQUEUE_CONSTANTS, FakeKevent, FakeKqueue

#: Whether an object goes as soon as nothing refers to it, as not on PyPy.
COUNTS_REFERENCES = hasattr(sys, "getrefcount")

KQUEUE_MODULE = "friendserve.platform.pollers.kqueue"


def of_cpython(test):
    """A decorator that leaves a test or a class of tests undefined on PyPy; not skipped, as in CI
    none may be. tests/pypy.rst lists these tests, each with the reason."""
    return test if COUNTS_REFERENCES else None


def needs_package(package, name):
    """A decorator that skips a test or a class of tests where the package with this name is not
    installed, so that `package` is None. On PyPy, for which some packages that are written in C
    cannot be built, the test is left undefined instead."""
    if package is not None:
        return lambda test: test
    return unittest.skip(missing(name)) if COUNTS_REFERENCES else lambda test: None


def free_unreferenced():
    """Free what nothing refers to, where references are not counted. (Where they are, that has been
    done, and what this could free besides is in cycles.)"""
    if not COUNTS_REFERENCES:
        for _ in range(3):
            # What an object with a destructor refers to goes in the next one.
            gc.collect()


def count_objects():
    """How many objects there are that may refer to others; PyPy counts numbers and texts, too."""
    gc.collect()
    free_unreferenced()
    return sum(not isinstance(found, (type(u""), bytes, int, float)) for found in gc.get_objects())


def is_gone(reference):
    """Whether the object of a weak reference is gone: at once if references are counted, otherwise
    when garbage has been collected, no more often than needed: on PyPy that takes long."""
    for _ in range(0 if COUNTS_REFERENCES else 3):
        if reference() is None:
            break
        gc.collect()
    return reference() is None


class LogCatcher(logging.Handler):
    """Catches the log records of the package, or of one of its loggers, in a `with` block.

    The block gets the list of records, each with its text as `message`.
    """
    def __init__(self, name="friendserve", level=logging.INFO):
        logging.Handler.__init__(self)
        self._logger = logging.getLogger(name)
        self._wanted = level

    def emit(self, record):
        record.message = record.getMessage()
        self.records.append(record)

    def __enter__(self):
        assert self not in self._logger.handlers, "this catcher is at work already"
        self.records = []
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(self._wanted)
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self.records

    def __exit__(self, *exc_info):
        self._logger.removeHandler(self)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)


class _Collector(object):
    """Collects garbage from time to time. Not every few turns of a loop: a collection takes about
    as long as a thousand of them, and more on a busy machine."""

    def __init__(self):
        self.due = monotonic_time() + 0.3

    def is_due(self):
        return monotonic_time() > self.due

    def collect(self):
        start = monotonic_time()
        gc.collect()
        end = monotonic_time()
        self.due = end + max(0.3, 4 * (end - start))


class LoopCase(object):
    """The part of a TestCase that waits: it runs `loop` until a condition is true."""
    loop = None
    #: Whether garbage is collected while the case waits: what it waits for may happen when an
    #: object is freed.
    collects = not COUNTS_REFERENCES

    def run_until(self, condition, loop=None):
        """Run the loop until `condition()` is true; the test fails after PATIENCE seconds."""
        loop = loop or self.loop
        deadline = monotonic_time() + PATIENCE
        collector = _Collector()
        turns = 0
        while not condition():
            if monotonic_time() > deadline:
                self.fail("the condition did not become true within %d seconds" % PATIENCE)
            # Usually a few turns are enough, without anything to wait for.
            loop.run_once(0 if turns < 10 else 0.002)
            turns += 1
            if self.collects and collector.is_due():
                # On the loop: elsewhere, the error of a Future that is dropped is only logged.
                loop.add_callback(collector.collect)

    def assert_quiet(self, turns=50):
        """Check that `poller`, a CountingPoller, soon stops reporting, and stays silent for three
        waits. (The kernel may report once more, after a while: that a peer has taken bytes out of a
        full buffer.)"""
        silent = 0
        for _ in range(turns):
            self.loop.run_once(0.001 if silent else 0)
            silent = 0 if self.poller.polls[-1] else silent + 1
            if silent == 4:
                return
        self.fail("the loop spins: %r" % (self.poller.polls[-3:],))


class CountingPoller(object):
    """A real poller that records the events returned by each call of `poll`, in `polls`."""

    def __init__(self, poller):
        self.poller = poller
        self.polls = []

    def __getattr__(self, name):
        return getattr(self.poller, name)

    def poll(self, seconds):
        events = self.poller.poll(seconds)
        self.polls.append(events)
        return events


class Loops(LoopCase):
    """Makes loops, and closes them at the end; a failed assertion in a callback fails the test."""
    loop_class = None   # the implementation; None for the configured one

    def new_loop(self, *args, **kwargs):
        """A loop that the caller closes."""
        return (self.loop_class or IOLoop)(*args, **kwargs)

    def make_loop(self, *args, **kwargs):
        kwargs.setdefault("make_current", False)
        loop = self.new_loop(*args, **kwargs)
        self.addCleanup(loop.close)
        failures = []
        handle = loop.handle_callback_exception

        def handle_callback_exception(callback):
            error = sys.exc_info()[1]
            if isinstance(error, self.failureException):
                failures.append(str(error))
            handle(callback)
        loop.handle_callback_exception = handle_callback_exception
        self.addCleanup(lambda: self.assertEqual([], failures))
        return loop

    def socket_pair(self):
        pair = socket.socketpair()
        for sock in pair:
            sock.setblocking(False)
            self.addCleanup(sock.close)
        return pair

    def pipe_end_at(self, number):
        """Give the reading end of a pipe the number of an fd that was just closed."""
        ends = list(os.pipe())
        if number not in ends:
            os.dup2(ends[0], number)
            ends.append(number)
        for fd in ends:
            self.addCleanup(os.close, fd)


def stack_depth():
    """The number of active stack contexts, without the one of loops whose callbacks keep context
    variables."""
    return len([context for context in state.contexts if context not in VARIABLES])


@contextlib.contextmanager
def keeping(log):
    log.append("in")
    try:
        yield
    finally:
        log.append("out")


def open_fds():
    found = set()
    for fd in range(3, 512):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.add(fd)
    return found


class GrowthCase(object):
    """The part of a TestCase that does something a hundred times; nothing may grow."""

    def assert_no_growth(self, restart):
        for _ in range(10):
            restart()
        growth = []
        # On PyPy, compiled code keeps some objects: fewer each time, unlike a leak.
        for _ in range(1 if COUNTS_REFERENCES else 3):
            fds, threads, objects = open_fds(), threading.active_count(), count_objects()
            for _ in range(100):
                restart()
            growth.append(count_objects() - objects)
            self.assertEqual(fds, open_fds())
            self.assertEqual(threads, threading.active_count())
            if growth[-1] < 100:
                return
        self.fail("it grew by one object for each restart, or more: %r" % growth)


# Python 2 empties a module that nothing refers to, though its classes are in use.
_fake_modules = []


def import_fake_kqueue():
    """platform/pollers/kqueue.py as imported on a BSD, over FakeKqueue; sys.modules is restored."""
    names = dict(KQUEUE_CONSTANTS, kqueue=FakeKqueue, kevent=FakeKevent)
    for name, value in names.items():
        setattr(select, name, value)
    try:
        _fake_modules.append(importlib.import_module(KQUEUE_MODULE))
        return _fake_modules[-1]
    finally:
        sys.modules.pop(KQUEUE_MODULE, None)
        for name in names:
            delattr(select, name)


class FakeKqueueSelect(object):
    """The replacement for the standard select module in the imported kqueue.py."""

    error = select.error
    kqueue = FakeKqueue
    kevent = FakeKevent
