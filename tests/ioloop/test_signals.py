"""Signals: the process's wakeup fd, which other libraries use too, and handlers on loops."""
from __future__ import absolute_import, division, print_function

import functools
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import unittest
import weakref

import six

from friendserve.ioloop import IOLoop
from friendserve.stack_context import ExceptionStackContext, StackContext, state
from tests import PATIENCE, ROOT
from tests.loopcase import Loops, keeping, open_fds

USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2


def send(number):
    os.kill(os.getpid(), number)


def run_program(text, *args):
    """What a program wrote: (stdout, stderr). It gets the root of the project as its folder."""
    process = subprocess.Popen([sys.executable, "-c", text] + list(args), cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    guard = threading.Timer(PATIENCE, process.kill)
    guard.start()
    try:
        return [data.decode("utf-8") for data in process.communicate()]
    finally:
        guard.cancel()


class SignalCase(Loops, unittest.TestCase):
    def setUp(self):
        self.assertEqual(-1, signal.set_wakeup_fd(-1))
        self.addCleanup(self.assert_wakeup_fd, -1)
        self.loop = self.make_loop()
        for number in (USR1, USR2):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def assert_wakeup_fd(self, expected):
        found = signal.set_wakeup_fd(-1)
        if found != -1:
            signal.set_wakeup_fd(found)
        self.assertEqual(expected, found)

    def other_library(self):
        """A reader of signal numbers, whose other end is the wakeup fd."""
        reader, writer = self.socket_pair()
        signal.set_wakeup_fd(writer.fileno())
        self.addCleanup(signal.set_wakeup_fd, -1)
        return reader, writer


class WakeupFdTest(SignalCase):
    def signals_at_every_line(self, function, reader):
        """Send this process a signal at each line of the loop that `function()` runs; returns how
        many were sent, and how many `reader` got."""
        seen = []
        signal.signal(USR1, lambda number, frame: seen.append(number))
        sent = []

        def trace(frame, event, arg):
            if "friendserve" not in frame.f_code.co_filename:
                return None
            sent.append(1)
            send(USR1)
            return trace
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function()
        finally:
            sys.settrace(before)
        received = b""
        while select.select([reader], [], [], 0)[0]:
            received += reader.recv(4096)
        self.assertEqual(len(sent), len(seen))
        return len(sent), len(received)

    def test_b274_run_once_loses_no_signal_of_another_library(self):
        reader, writer = self.other_library()
        sent, received = self.signals_at_every_line(self.loop.run_once, reader)
        self.assertGreater(sent, 20)
        self.assertEqual(sent, received)
        self.assert_wakeup_fd(writer.fileno())

    def test_b274_start_loses_no_signal_of_another_library(self):
        reader, writer = self.other_library()
        self.loop.stop()
        sent, received = self.signals_at_every_line(self.loop.start, reader)
        self.assertGreater(sent, 20)
        self.assertEqual(sent, received)
        self.assert_wakeup_fd(writer.fileno())

    def test_b274_nor_does_a_handler_on_the_loop(self):
        reader, writer = self.other_library()

        def add_and_remove():
            self.loop.remove_signal_handler(self.loop.add_signal_handler(USR2, self.fail))
        sent, received = self.signals_at_every_line(add_and_remove, reader)
        self.assertGreater(sent, 20)
        self.assertEqual(sent, received)
        self.assert_wakeup_fd(writer.fileno())

    def test_b274_run_once_sets_no_wakeup_fd(self):
        seen = []
        self.loop.add_callback(lambda: seen.append(signal.set_wakeup_fd(-1)))
        self.loop.run_once(0)
        self.assertEqual([-1], seen)

    def test_b275_a_wakeup_fd_that_was_closed_does_not_keep_a_loop_from_starting(self):
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        self.addCleanup(signal.set_wakeup_fd, -1)
        writer.close()
        reader.close()
        ran = []
        self.loop.add_callback(ran.append, 1)
        self.loop.add_callback(self.loop.stop)
        try:
            self.loop.start()
        except EnvironmentError as error:
            self.fail("the loop did not start: %s" % error)
        self.assertEqual([1], ran)
        self.assertFalse(self.loop.running())

    def test_a_loop_that_another_starts_inside_it_gets_the_signals(self):
        inner = self.make_loop()
        fds = []

        def look():
            fds.append(signal.set_wakeup_fd(-1))
            signal.set_wakeup_fd(fds[-1])
        inner.add_callback(look)
        inner.add_callback(inner.stop)
        for callback in (look, inner.start, look, self.loop.stop):
            self.loop.add_callback(callback)
        self.loop.start()
        self.assertEqual(3, len(fds))
        self.assertNotIn(-1, fds)
        self.assertEqual([True, False], [fds[0] == fds[2], fds[0] == fds[1]])

    def test_b276_a_flood_of_signals_while_the_loop_is_blocked_is_silent(self):
        out, err = run_program("""
import os, signal
from friendserve.ioloop import IOLoop
loop = IOLoop()
seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(1))
def block():
    while len(seen) < 70000:       # a pipe holds 65536 bytes
        os.kill(os.getpid(), signal.SIGUSR1)
    loop.stop()
loop.add_callback(block)
loop.start()
print(len(seen))
""")
        self.assertEqual("70000", out.strip())
        if six.PY2 or sys.version_info >= (3, 7):
            # 3.5 and 3.6 have no way to turn the warning off.
            self.assertEqual("", err)


class HandlerTest(SignalCase):
    def test_b277_callbacks_run_on_the_loop_in_their_context(self):
        log, seen = [], []
        with StackContext(functools.partial(keeping, log)):
            self.loop.add_signal_handler(USR1, lambda *args, **kwargs: seen.append(
                (args, kwargs, IOLoop.current() is self.loop, len(state.contexts))),
                1, key=2)
        del log[:]
        send(USR1)
        self.assertEqual([], seen)
        self.loop.run_once(0)
        self.assertEqual([((1,), {"key": 2}, True, 1)], seen)
        self.assertEqual(["in", "out"], log)

    def test_b277_an_exception_reaches_the_context_of_registration(self):
        seen = []

        def failed(kind, value, tb):
            seen.append(kind)
            return True
        with ExceptionStackContext(failed):
            self.loop.add_signal_handler(USR1, lambda: 1 / 0)
        with StackContext(functools.partial(keeping, [])):
            send(USR1)      # a handler runs wherever the program is
        self.loop.run_once(0)
        self.assertEqual([ZeroDivisionError], seen)

    def test_b277_every_loop_and_callback_that_waits_is_called(self):
        seen = []
        other = self.make_loop()
        self.loop.add_signal_handler(USR1, seen.append, "first")
        self.loop.add_signal_handler(USR1, seen.append, "second")
        other.add_signal_handler(USR1, seen.append, "other")
        other.add_signal_handler(USR2, seen.append, "another signal")
        send(USR1)
        self.loop.run_once(0)
        self.assertEqual(["first", "second"], seen)
        other.run_once(0)
        self.assertEqual(["first", "second", "other"], seen)

    def test_b277_a_removed_handler_is_not_called_and_the_one_before_is_restored(self):
        before = []

        def handler(number, frame):
            before.append(number)
        signal.signal(USR1, handler)
        seen = []
        first = self.loop.add_signal_handler(USR1, seen.append, 1)
        second = self.loop.add_signal_handler(USR1, seen.append, 2)
        self.loop.remove_signal_handler(first)
        self.loop.remove_signal_handler(first)
        send(USR1)
        self.loop.run_once(0)
        self.assertEqual(([2], []), (seen, before))
        self.loop.remove_signal_handler(second)
        self.assertIs(handler, signal.getsignal(USR1))
        send(USR1)
        self.loop.run_once(0)
        self.assertEqual(([2], [USR1]), (seen, before))

    def test_b277_a_closed_loop_restores_what_was_before(self):
        for handler in (signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler):
            signal.signal(USR1, handler)
            loop, other = self.make_loop(), self.make_loop()
            loop.add_signal_handler(USR1, self.fail)
            other.add_signal_handler(USR1, self.fail)
            loop.close()
            self.assertIsNot(handler, signal.getsignal(USR1))
            other.close()
            self.assertEqual(handler, signal.getsignal(USR1))
            self.assert_wakeup_fd(-1)

    def test_b277_a_handler_that_another_library_has_installed_since_stays(self):
        handle = self.loop.add_signal_handler(USR1, self.fail)

        def theirs(number, frame):
            pass
        signal.signal(USR1, theirs)
        self.loop.remove_signal_handler(handle)
        self.assertIs(theirs, signal.getsignal(USR1))

    def in_child(self, work):
        """Run `work()` in a forked child; returns the status that it ended with."""
        child = os.fork()
        if not child:
            try:
                os._exit(0 if work() else 1)
            finally:
                os._exit(2)
        return os.waitpid(child, 0)[1]

    def test_b277_ours_restored_by_another_library_makes_way(self):
        """It kept our handler as the one to restore, and we have removed it since."""
        handle = self.loop.add_signal_handler(USR1, self.fail)
        ours = signal.signal(USR1, signal.SIG_IGN)
        self.loop.remove_signal_handler(handle)
        signal.signal(USR1, ours)
        status = self.in_child(lambda: send(USR1))
        self.assertTrue(os.WIFSIGNALED(status), status)
        self.assertEqual(USR1, os.WTERMSIG(status))

    def test_b277_ours_called_from_another_handler_does_nothing_once_removed(self):
        first, seen = [], []
        signal.signal(USR1, lambda number, frame: first.append(number))
        handle = self.loop.add_signal_handler(USR1, self.fail)
        ours = signal.getsignal(USR1)

        def theirs(number, frame):
            seen.append(number)
            ours(number, frame)
        signal.signal(USR1, theirs)
        self.loop.remove_signal_handler(handle)
        send(USR1)
        self.loop.run_once(0)
        self.assertEqual(([], [USR1]), (first, seen))
        self.assertIs(theirs, signal.getsignal(USR1))

    def test_b277_signals_of_one_turn_are_one_callback(self):
        seen = []
        self.loop.add_signal_handler(USR1, seen.append, 1)
        self.loop.add_callback(lambda: [send(USR1) for _ in range(100)])
        self.loop.run_once(0)
        self.loop.run_once(0)
        self.assertEqual([1], seen)
        send(USR1)
        self.loop.run_once(0)
        self.assertEqual([1, 1], seen)

    def test_b277_a_signal_wakes_a_loop_that_waits(self):
        seen = []

        def called():
            seen.append(1)
            self.loop.stop()
        self.loop.add_signal_handler(USR1, called)
        thread = threading.Timer(0.01, send, (USR1,))
        self.loop.call_later(PATIENCE, self.loop.stop)
        thread.start()
        self.loop.start()
        thread.join(PATIENCE)
        self.assertEqual([1], seen)

    def test_b277_a_signal_just_before_an_outer_loop_waits(self):
        """With handlers, the wakeup fd also belongs to a loop that is driven by `run_once`."""
        seen = []
        self.loop.add_signal_handler(USR1, seen.append, 1)
        reader = self.loop._waker.fileno()
        self.loop.run_once(0)
        # What C code does, before Python calls the handler.
        fd = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(fd)
        os.write(fd, b"\0")
        self.assertEqual([reader], select.select([reader], [], [], 0)[0])
        self.loop.close()
        self.assert_wakeup_fd(-1)

    def test_b277_the_wakeup_fd_is_that_of_the_running_loop(self):
        waiting, fds, handles = self.make_loop(), [], []

        def look():
            fds.append(signal.set_wakeup_fd(-1))
            signal.set_wakeup_fd(fds[-1])
        for callback in (look, lambda: handles.append(waiting.add_signal_handler(USR1, int)), look,
                         self.loop.stop):
            self.loop.add_callback(callback)
        self.loop.start()
        look()
        self.assertEqual(fds[0], fds[1])
        self.assertNotIn(fds[2], (-1, fds[0]))
        waiting.remove_signal_handler(handles[0])
        self.assert_wakeup_fd(-1)

    def test_b277_handlers_of_a_loop_in_another_thread(self):
        seen, ready, done = [], threading.Event(), threading.Event()
        loops = []

        def work():
            loop = IOLoop()
            loops.append(loop)
            with self.assertRaises(ValueError) as caught:
                loop.add_signal_handler(USR2, self.fail)
            seen.append(str(caught.exception))
            # The main thread has added one, so more can be added here.
            second = loop.add_signal_handler(USR1, seen.append, "second")
            loop.add_callback(ready.set)

            def called():
                seen.append(threading.current_thread() is thread)
                loop.remove_signal_handler(second)
                loop.stop()
            loop.add_signal_handler(USR1, called)
            loop.start()
            loop.close()
            done.set()
        handle = self.loop.add_signal_handler(USR1, int)
        thread = threading.Thread(target=work)
        thread.start()
        self.assertTrue(ready.wait(PATIENCE))
        send(USR1)
        self.assertTrue(done.wait(PATIENCE))
        thread.join(PATIENCE)
        self.assertIn("main thread", seen[0])
        self.assertEqual(["second", True], seen[1:])
        self.loop.remove_signal_handler(handle)
        self.assertEqual(signal.SIG_DFL, signal.getsignal(USR1))

    def test_b277_removed_in_another_thread(self):
        """The handler before gets the next signal."""
        seen = []
        signal.signal(USR1, lambda number, frame: seen.append(number))
        before = signal.getsignal(USR1)
        handle = self.loop.add_signal_handler(USR1, self.fail)
        thread = threading.Thread(target=self.loop.remove_signal_handler, args=(handle,))
        thread.start()
        thread.join(PATIENCE)
        send(USR1)
        self.loop.run_once(0)
        self.assertEqual([USR1], seen)
        self.assertIs(before, signal.getsignal(USR1))
        self.loop.close()

    def test_b277_closed_in_another_thread_no_signal_writes_to_a_file_with_its_number(self):
        loop = IOLoop(make_current=False)
        loop.add_signal_handler(USR1, self.fail)
        signal.signal(USR2, lambda number, frame: None)
        number = loop._waker.write_fileno()
        thread = threading.Thread(target=loop.close)
        thread.start()
        thread.join(PATIENCE)
        new = []
        while not new or new[-1] < number:
            new.append(os.open(os.devnull, os.O_RDONLY))
        for fd in new:
            self.addCleanup(os.close, fd)
        self.assertNotIn(number, new)
        self.loop.stop()
        self.loop.start()
        # Once the main thread has taken the wakeup fd away, it is closed.
        self.assertNotIn(number, open_fds())

    def test_b277_in_a_forked_child_the_handler_before_is_restored(self):
        self.loop.add_signal_handler(signal.SIGTERM, self.fail)
        status = self.in_child(lambda: send(signal.SIGTERM))
        self.assertTrue(os.WIFSIGNALED(status), status)
        self.assertEqual(signal.SIGTERM, os.WTERMSIG(status))
        self.loop.run_once(0)

    def test_b277_loops_of_a_forked_child_set_no_wakeup_fd_of_its_parent(self):
        self.loop.add_signal_handler(USR1, self.fail)

        def work():
            loop, seen = IOLoop(make_current=False), []
            handle = loop.add_signal_handler(USR2, seen.append, 1)
            send(USR2)
            loop.stop()
            loop.start()
            loop.run_once(0)
            loop.remove_signal_handler(handle)
            return seen == [1] and signal.set_wakeup_fd(-1) == -1
        self.assertEqual(0, self.in_child(work))

    def test_b277_clear_errors(self):
        with self.assertRaises(ValueError) as caught:
            self.loop.add_signal_handler(signal.SIGKILL, int)
        self.assertIn("cannot be handled", str(caught.exception))
        self.assertRaises(ValueError, self.loop.add_signal_handler, 12345, int)
        self.assertRaises(TypeError, self.loop.add_signal_handler, USR1, 5)
        self.assertEqual(signal.SIG_DFL, signal.getsignal(USR1))
        self.loop.close()
        self.assertRaises(RuntimeError, self.loop.add_signal_handler, USR1, int)
        self.assertEqual(signal.SIG_DFL, signal.getsignal(USR1))

    def test_b277_two_hundred_loops_leave_nothing(self):
        before = open_fds()
        for _ in range(200):
            loop = IOLoop(make_current=False)
            loop.add_signal_handler(USR1, loop.stop)
            send(USR1)
            loop.start()
            loop.close()
        self.assertEqual(before, open_fds())
        reference = weakref.ref(loop)
        del loop
        gc.collect()
        self.assertIsNone(reference())
