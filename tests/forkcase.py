"""Shared by tests of processes and threads: a child that reports to its parent, and a system that
starts no threads."""
from __future__ import absolute_import, division, print_function

import contextlib
import os
import select
import signal
import threading
import traceback

from tests import PATIENCE


def in_child(function, patience=PATIENCE):
    """The str() of what `function()` returns in a child made by a fork, or the traceback of what it
    raises. Raises AssertionError if the child takes longer than `patience` seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        # Nothing of the test runner may run here, not even its handlers of exceptions.
        try:
            text = str(function())
        except BaseException:
            text = traceback.format_exc()
        try:
            os.write(writer, text.encode("ascii", "replace"))
        finally:
            os._exit(0)
    os.close(writer)
    try:
        if not select.select([reader], [], [], patience)[0]:
            os.kill(child, signal.SIGKILL)
            raise AssertionError("the child did not end within %d seconds" % patience)
        with os.fdopen(os.dup(reader), "rb") as answer:
            return answer.read().decode("ascii")
    finally:
        os.close(reader)
        os.waitpid(child, 0)


class ForkCase(object):
    """The part of a TestCase that runs functions in a child process."""
    in_child = staticmethod(in_child)


@contextlib.contextmanager
def no_threads():
    """The system refuses to start threads: none of its stacks can have that size."""
    before = threading.stack_size(1 << 50)
    try:
        yield
    finally:
        threading.stack_size(before)
