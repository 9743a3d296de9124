"""The ends of loops: closed, dropped, or never made; on every poller where it matters."""
from __future__ import absolute_import, division, print_function

import contextlib
import errno
import functools
import gc
import os
import resource
import subprocess
import sys
import threading
import unittest
import warnings

import six

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import available_pollers
from tests import PATIENCE, ROOT
from tests.fakes import FakePoller
from tests.loopcase import Loops, open_fds

READ = IOLoop.READ

#: A program that ends while its loop is open, which is usual.
ENDING = """
from friendserve.ioloop import IOLoop
loop = IOLoop.instance()
mine = IOLoop(make_current=False)
loop.add_callback(loop.stop)
loop.start()
"""


class CurrentTest(Loops, unittest.TestCase):
    def setUp(self):
        IOLoop.clear_current()
        self.addCleanup(IOLoop.clear_current)
        self.addCleanup(setattr, IOLoop, "_instance", IOLoop._instance)
        IOLoop.clear_instance()

    def close_elsewhere(self, loop):
        thread = threading.Thread(target=loop.close)
        thread.start()
        thread.join(PATIENCE)

    def test_b272_a_loop_closed_in_another_thread_is_not_current(self):
        loop = self.make_loop(make_current=True)
        self.close_elsewhere(loop)
        self.assertIsNone(IOLoop.current(instance=False))
        new = self.make_loop(make_current=None)
        self.assertIs(new, IOLoop.current())

    def test_b272_a_loop_that_a_callback_of_another_closed_is_not_current(self):
        outer = self.make_loop(make_current=True)
        inner = self.make_loop()
        inner.add_callback(outer.close)
        inner.run_once(0)
        self.assertIsNone(IOLoop.current(instance=False))

    def test_b272_a_closed_loop_is_not_the_instance(self):
        closed = IOLoop.instance()
        self.assertIs(closed, IOLoop.current())
        closed.close()
        self.assertFalse(IOLoop.initialized())
        new = IOLoop.instance()
        self.addCleanup(new.close)
        self.assertIsNot(closed, new)
        self.assertIs(new, IOLoop.current())
        self.assertTrue(IOLoop.initialized())
        ran = []
        new.add_callback(ran.append, 1)
        new.run_once(0)
        self.assertEqual([1], ran)

    def test_b272_a_closed_loop_that_was_installed_is_not_the_instance(self):
        closed = self.make_loop()
        closed.install()
        self.close_elsewhere(closed)
        new = IOLoop.instance()
        self.addCleanup(new.close)
        self.assertIsNot(closed, new)

    def test_b272_a_loop_closed_in_its_thread_is_released(self):
        loop = self.make_loop(make_current=True)
        loop.close()
        self.assertIsNone(IOLoop._current.loop)


class LifetimeContract(Loops):
    impl = None

    def setUp(self):
        self.before = open_fds()

    @contextlib.contextmanager
    def few_fds(self, free):
        """Let this process open only `free` more files."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(self.before) + 30, limits[1]))
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            for _ in range(free):
                os.close(taken.pop())
        try:
            yield
        finally:
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    def test_b273_a_handler_must_be_callable(self):
        loop = self.make_loop(self.impl)
        a, b = self.socket_pair()
        for wrong in (None, 5, "handler"):
            for fd in (a, a.fileno()):
                with self.assertRaises(TypeError) as caught:
                    loop.add_handler(fd, wrong, READ)
                self.assertIn("must be callable with (fd, events)", str(caught.exception))
        # The first call has registered nothing.
        seen = []
        loop.add_handler(a, lambda sock, events: seen.append(sock.recv(9)), READ)
        b.send(b"x")
        self.run_until(lambda: seen, loop)

    def test_b273_a_timer_must_be_callable(self):
        loop = self.make_loop(self.impl)
        for debug in (False, True):
            loop.set_debug(debug)
            self.assertRaises(TypeError, loop.call_later, 0, None)
            self.assertRaises(TypeError, loop.call_at, loop.time(), None)
            self.assertRaises(TypeError, loop.add_timeout, loop.time(), None)

    def test_b273_a_closed_loop_takes_no_handler(self):
        loop = self.make_loop(self.impl)
        loop.close()
        sock, _ = self.socket_pair()
        with self.assertRaises(RuntimeError) as caught:
            loop.add_handler(sock, lambda sock, events: None, READ)
        self.assertIn("closed", str(caught.exception))

    def test_b273_a_loop_that_cannot_be_made_leaves_nothing_open(self):
        IOLoop.clear_current()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.before = open_fds()
        errors = []
        for free in range(3):
            with self.few_fds(free):
                try:
                    self.make_loop(self.impl, make_current=None).close()
                except EnvironmentError as error:
                    errors.append(error)
            kept = open_fds()
            self.assertEqual(self.before, kept)
            self.assertIsNone(IOLoop.current(instance=False))
        self.assertEqual(set([errno.EMFILE]), set(error.errno for error in errors))
        self.assertGreaterEqual(len(errors), 2)

    def test_b273_nor_does_one_whose_waker_cannot_be_watched(self):
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

        class Full(FakePoller):
            def register(self, fd, events):
                raise ValueError("full")
        poller = Full()
        before = open_fds()
        with self.assertRaises(ValueError) as caught:
            IOLoop(poller)
        self.assertEqual("full", str(caught.exception))
        del caught
        # The poller belongs to the caller.
        self.assertEqual((before, False), (open_fds(), poller.closed))

    def dropped(self, use):
        """The ResourceWarnings after `use(loop)` and the drop of the last reference to the loop."""
        loop = IOLoop(self.impl, make_current=False)
        loop.call_later(PATIENCE, functools.partial(int, loop))     # a cycle
        with warnings.catch_warnings(record=True) as records:
            warnings.simplefilter("always")
            use(loop)
            del loop
            gc.collect()
        return [str(record.message) for record in records
                if record.category.__name__ == "ResourceWarning"]

    def test_b273_a_loop_that_is_dropped_unclosed_is_reported_and_closed(self):
        found = self.dropped(lambda loop: loop.run_once(0))
        if six.PY2:
            # No ResourceWarning, and a destructor would keep the cycle in memory.
            self.assertEqual([], found)
            return
        self.assertEqual(1, len(found), found)
        self.assertIn("PollIOLoop made at", found[0])
        self.assertIn("test_lifetime.py", found[0])
        self.assertEqual(self.before, open_fds())

    def test_b273_a_closed_loop_is_dropped_silently(self):
        self.assertEqual([], self.dropped(lambda loop: loop.close()))

    def test_b273_with_closes(self):
        self.assertTrue(hasattr(IOLoop, "__exit__"), "IOLoop in a with block")
        IOLoop.clear_current()
        ran = []
        with IOLoop(self.impl) as loop:
            self.assertIs(loop, IOLoop.current())
            loop.add_callback(ran.append, 1)
            loop.add_callback(loop.stop)
            loop.start()
        self.assertEqual([1], ran)
        self.assertRaises(RuntimeError, loop.start)
        with self.assertRaises(ZeroDivisionError):
            with IOLoop(self.impl):
                1 / 0
        self.assertIsNone(IOLoop.current(instance=False))
        self.assertEqual(self.before, open_fds())


class EndOfProgramTest(unittest.TestCase):
    def test_b273_a_program_may_end_with_an_open_loop(self):
        program = subprocess.Popen([sys.executable, "-W", "always", "-c", ENDING],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env=dict(os.environ, PYTHONPATH=ROOT))
        self.assertEqual(b"", program.communicate()[0])
        self.assertEqual(0, program.returncode)


for _name in available_pollers():
    globals()["%sLifetimeTest" % _name.title()] = type(
        str("%sLifetimeTest" % _name.title()), (LifetimeContract, unittest.TestCase),
        {"impl": _name})


if __name__ == "__main__":
    unittest.main()
