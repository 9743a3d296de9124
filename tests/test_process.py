from __future__ import absolute_import, division, print_function

import functools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import unittest

from friendserve import process
from friendserve.ioloop import IOLoop
from friendserve.loopthread import LoopThread
from friendserve.process import Subprocess, add_child_handler, remove_child_handler
from friendserve.stack_context import StackContext, state
from friendserve.util import TimeoutError
from tests import PATIENCE, ROOT
from tests.forkcase import ForkCase
from tests.loopcase import LogCatcher, Loops, keeping, open_fds


class ProcessCase(ForkCase, Loops, unittest.TestCase):
    def setUp(self):
        self.addCleanup(self.assert_restored, signal.getsignal(signal.SIGCHLD))
        self.loop = self.make_loop()
        self.loop.make_current()
        self.addCleanup(IOLoop.clear_current)
        self.ended = []

    def assert_restored(self, handler):
        self.assertEqual(handler, signal.getsignal(signal.SIGCHLD))
        self.assertEqual(-1, signal.set_wakeup_fd(-1))

    def fork(self, status=0, signum=None, wait_for=None):
        """The pid of a child that ends in this way, once the fd `wait_for` is at its end."""
        pid = os.fork()
        if not pid:
            try:
                if wait_for is not None:
                    os.close(self.gate)
                    os.read(wait_for, 1)
                if signum is not None:
                    signal.signal(signum, signal.SIG_DFL)
                    os.kill(os.getpid(), signum)
            finally:
                os._exit(status)
        return pid

    def on_end(self, pid, returncode):
        self.ended.append((pid, returncode))


class ChildHandlerTest(ProcessCase):
    def test_b278_status_and_signal(self):
        pids = [self.fork(status=0), self.fork(status=3), self.fork(signum=signal.SIGTERM)]
        for pid in pids:
            add_child_handler(pid, self.on_end)
        self.run_until(lambda: len(self.ended) == 3)
        self.assertEqual({pids[0]: 0, pids[1]: 3, pids[2]: -signal.SIGTERM}, dict(self.ended))
        for pid in pids:
            # Nothing is left to wait for.
            self.assertRaises(EnvironmentError, os.waitpid, pid, os.WNOHANG)

    def test_b278_a_child_that_ends_while_the_loop_waits(self):
        reader, self.gate = os.pipe()
        pid = self.fork(status=5, wait_for=reader)
        os.close(reader)

        def on_end(pid, returncode):
            self.ended.append((pid, returncode))
            self.loop.stop()
        add_child_handler(pid, on_end)
        self.loop.run_once(0)
        threading.Timer(0.01, os.close, (self.gate,)).start()
        guard = self.loop.call_later(PATIENCE, self.loop.stop)
        self.loop.start()
        self.loop.remove_timeout(guard)
        self.assertEqual([(pid, 5)], self.ended)

    def test_b278_children_of_others_are_not_reaped(self):
        signals = []
        before = signal.signal(signal.SIGCHLD, lambda number, frame: signals.append(number))
        try:
            theirs = subprocess.Popen([sys.executable, "-c", "import sys; sys.exit(7)"])
            self.run_until(lambda: signals)     # it has ended
            pids = [self.fork(status=1), self.fork(status=2)]
            for pid in pids:
                add_child_handler(pid, self.on_end)
            self.run_until(lambda: len(self.ended) == 2)
            self.assertEqual(7, theirs.wait())
            self.assertEqual([(pids[0], 1), (pids[1], 2)], sorted(self.ended))
        finally:
            signal.signal(signal.SIGCHLD, before)

    def test_b278_the_sigchld_handler_before_is_called_and_restored(self):
        seen = []

        def theirs(number, frame):
            seen.append(number)
        before = signal.signal(signal.SIGCHLD, theirs)
        try:
            reader, self.gate = os.pipe()
            pid = self.fork(wait_for=reader)
            os.close(reader)
            add_child_handler(pid, self.on_end)
            self.assertIsNot(theirs, signal.getsignal(signal.SIGCHLD))
            os.close(self.gate)
            self.run_until(lambda: self.ended)
            self.assertEqual([signal.SIGCHLD], seen)
            self.assertIs(theirs, signal.getsignal(signal.SIGCHLD))
        finally:
            signal.signal(signal.SIGCHLD, before)

    def test_b278_a_sigchld_handler_that_calls_the_one_before_it(self):
        """Ours is before it and, installed again, after it."""
        reader, self.gate = os.pipe()
        pids = [self.fork(status=number, wait_for=reader) for number in (1, 2)]
        os.close(reader)
        add_child_handler(pids[0], self.on_end)
        ours, seen = signal.getsignal(signal.SIGCHLD), []

        def theirs(number, frame):
            seen.append(number)
            ours(number, frame)
        signal.signal(signal.SIGCHLD, theirs)
        other = self.make_loop()
        try:
            add_child_handler(pids[1], self.on_end, other)
            os.close(self.gate)
            self.run_until(lambda: (other.run_once(0), len(self.ended) == 2)[1])
            self.assertEqual([(pids[0], 1), (pids[1], 2)], sorted(self.ended))
            self.assertIn(len(seen), (1, 2))
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def test_b278_reaped_elsewhere(self):
        pid = self.fork()
        os.waitpid(pid, 0)
        add_child_handler(pid, self.on_end)
        self.run_until(lambda: self.ended)
        self.assertEqual([(pid, None)], self.ended)

    def test_b278_a_hundred_children_at_once(self):
        reader, self.gate = os.pipe()
        pids = [self.fork(status=number, wait_for=reader) for number in range(100)]
        os.close(reader)
        for pid in pids:
            add_child_handler(pid, self.on_end)
        os.close(self.gate)
        self.run_until(lambda: len(self.ended) == 100)
        self.assertEqual(dict((pid, number) for number, pid in enumerate(pids)), dict(self.ended))

    def test_b278_removed(self):
        pid = self.fork(status=4)
        add_child_handler(pid, self.on_end)
        remove_child_handler(pid)
        remove_child_handler(pid)
        self.loop.run_once(0)
        self.assertEqual((pid, 4 << 8), os.waitpid(pid, 0))
        self.loop.run_once(0)
        self.assertEqual([], self.ended)

    def test_b278_a_callback_that_raises_does_not_affect_others(self):
        def on_end(pid, returncode):
            self.ended.append(returncode)
            raise ZeroDivisionError("on purpose")
        for status in (1, 2):
            add_child_handler(self.fork(status=status), on_end)
        with LogCatcher() as records:
            self.run_until(lambda: len(records) == 2)
        self.assertEqual([1, 2], sorted(self.ended))

    def test_b278_callbacks_run_in_their_context(self):
        log = []
        with StackContext(functools.partial(keeping, log)):
            add_child_handler(self.fork(), lambda *args: self.ended.append(len(state.contexts)))
        add_child_handler(self.fork(), lambda *args: self.ended.append(len(state.contexts)))
        self.run_until(lambda: len(self.ended) == 2)
        self.assertEqual([0, 1], sorted(self.ended))
        self.assertEqual(["in", "out"], log[-2:])

    def test_b278_clear_errors(self):
        pid = self.fork()
        self.assertRaises(TypeError, add_child_handler, pid, 5)
        add_child_handler(pid, self.on_end)
        self.assertRaises(ValueError, add_child_handler, pid, self.on_end)
        self.run_until(lambda: self.ended)
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            with self.assertRaises(RuntimeError) as caught:
                add_child_handler(pid, self.on_end)
            self.assertIn("SIGCHLD is ignored", str(caught.exception))
        finally:
            signal.signal(signal.SIGCHLD, before)

    def in_thread(self, work):
        """Run `work(loop)` in a thread with a loop, and return what it returns or raises."""
        outcome = []

        def run():
            loop = IOLoop()
            try:
                outcome.append(work(loop))
            except Exception as error:
                outcome.append(error)
            loop.close()
        thread = threading.Thread(target=run)
        thread.start()
        self.run_until(lambda: outcome)
        thread.join(PATIENCE)
        return outcome[0]

    def test_b278_a_loop_in_another_thread_needs_the_main_thread(self):
        pid = self.fork(status=6)
        error = self.in_thread(lambda loop: add_child_handler(pid, self.on_end))
        self.assertIsInstance(error, ValueError)
        self.assertIn("main thread", str(error))
        self.assertEqual((pid, 6 << 8), os.waitpid(pid, 0))

    def test_b278_a_loop_in_another_thread(self):
        reader, self.gate = os.pipe()
        pid = self.fork(status=6, wait_for=reader)
        os.close(reader)

        def work(loop):
            add_child_handler(pid, lambda *args: self.ended.append(args) or loop.stop())
            loop.add_callback(os.close, self.gate)
            loop.call_later(PATIENCE, loop.stop)
            loop.start()
            return "done"
        Subprocess.initialize()
        Subprocess.initialize(self.loop)
        self.assertEqual("done", self.in_thread(work))
        Subprocess.uninitialize()
        Subprocess.uninitialize()
        self.assertEqual([(pid, 6)], self.ended)

    def test_b278_a_loop_in_another_thread_while_the_main_thread_waits(self):
        Subprocess.initialize(self.loop)
        self.addCleanup(Subprocess.uninitialize)

        def run(callback):
            child = Subprocess([sys.executable, "-c", "import sys; sys.stdin.read()"],
                               stdin=Subprocess.STREAM)
            child.set_exit_callback(callback)
            IOLoop.current().call_later(0.05, child.stdin.close)
        with LoopThread() as thread:
            for _ in range(5):
                try:
                    self.assertEqual(0, thread.call_async(run, timeout=PATIENCE))
                except TimeoutError as error:
                    self.fail("the end of the child was not noticed: %s" % error)

    def test_b278_initialized_again_in_a_child(self):
        Subprocess.initialize(self.loop)
        self.addCleanup(Subprocess.uninitialize)

        def child():
            self.loop = self.make_loop()
            Subprocess.initialize(self.loop)
            # Without a handler of this process, this would give up that of the parent.
            os.kill(os.getpid(), signal.SIGCHLD)
            pid = self.fork(status=6)

            def work(loop):
                add_child_handler(pid, lambda *args: self.ended.append(args) or loop.stop())
                loop.call_later(PATIENCE, loop.stop)
                loop.start()
            return self.in_thread(work), self.ended == [(pid, 6)]
        self.assertEqual("(None, True)", self.in_child(child))


class SubprocessTest(ProcessCase):
    def python(self, text, **kwargs):
        return Subprocess([sys.executable, "-c", text], **kwargs)

    def wait(self, child):
        returncodes = []
        child.set_exit_callback(returncodes.append)
        self.run_until(lambda: returncodes)
        self.assertEqual(returncodes[0], child.returncode)
        return returncodes[0]

    def test_b278_streams(self):
        child = self.python(
            "import sys; text = sys.stdin.read(); sys.stdout.write(text.upper()); "
            "sys.stderr.write('%d read' % len(text)); sys.exit(9)",
            stdin=Subprocess.STREAM, stdout=Subprocess.STREAM, stderr=Subprocess.STREAM)
        out, err = [], []
        child.stdout.read_until_close(out.append)
        child.stderr.read_until_close(err.append)
        # More than a pipe holds.
        child.stdin.write(b"abc " * 50000, child.stdin.close)
        self.run_until(lambda: out and err)
        self.assertEqual(([b"ABC " * 50000], [b"200000 read"]), (out, err))
        self.assertEqual(9, self.wait(child))
        self.assertEqual(9, child.proc.returncode)

    def test_b278_other_arguments_are_those_of_popen(self):
        child = self.python("import os; print(os.environ['NAME'])", stdout=subprocess.PIPE,
                            env=dict(os.environ, NAME="value"))
        self.assertIsNone(child.stdin)
        self.assertEqual(b"value", child.stdout.read().strip())
        child.stdout.close()
        self.assertEqual(child.proc.pid, child.pid)
        self.assertEqual(0, self.wait(child))

    def test_b278_a_program_that_cannot_be_started_leaves_nothing_open(self):
        before = open_fds()
        for _ in range(3):
            with self.assertRaises(EnvironmentError):
                Subprocess(["/nonexistent/program"], stdin=Subprocess.STREAM,
                           stdout=Subprocess.STREAM, stderr=Subprocess.STREAM)
        self.assertEqual(before, open_fds())

    def test_b278_children_inherit_no_pipe(self):
        """A pipe ends with its own process, although another was started since."""
        first = self.python("import sys; sys.stdin.read()", stdin=Subprocess.STREAM,
                            stdout=Subprocess.STREAM)
        second = self.python("import sys; sys.stdin.read()", stdin=Subprocess.STREAM,
                             close_fds=False)
        first.stdin.close()
        self.assertEqual(0, self.wait(first))
        second.stdin.close()
        self.assertEqual(0, self.wait(second))
        first.stdout.close()

    def test_b278_killed(self):
        child = self.python("import sys; sys.stdin.read()", stdin=Subprocess.STREAM)
        child.proc.kill()
        self.assertEqual(-signal.SIGKILL, self.wait(child))
        child.stdin.close()

    def test_b278_several_callbacks_also_after_the_end(self):
        child = self.python("import sys; sys.exit(3)")
        child.set_exit_callback(self.ended.append)
        self.assertEqual(3, self.wait(child))
        self.assertEqual(3, self.wait(child))
        self.assertEqual([3], self.ended)

    def test_b278_wait_for_exit(self):
        self.assertEqual(0, self.loop.run_sync(self.python("pass").wait_for_exit))
        child = self.python("import sys; sys.exit(3)")
        self.assertEqual(3, self.loop.run_sync(lambda: child.wait_for_exit(raise_error=False)))
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            self.loop.run_sync(child.wait_for_exit)
        self.assertEqual(3, caught.exception.returncode)
        self.assertIn("sys.exit(3)", str(caught.exception))
        child.wait_for_exit(callback=self.fail, on_error=self.ended.append)
        child.wait_for_exit(raise_error=False, callback=self.ended.append)
        self.run_until(lambda: len(self.ended) == 2)
        self.assertIsInstance(self.ended[0], subprocess.CalledProcessError)
        self.assertEqual(3, self.ended[1])

    def test_b278_without_a_handler_of_sigchld_nothing_is_left_behind(self):
        """In a thread, before `initialize`: the second attempt says so again."""
        child = self.python("pass")
        errors = []

        def work():
            for _ in range(2):
                try:
                    child.set_exit_callback(self.ended.append)
                except ValueError as error:
                    errors.append(error)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(PATIENCE)
        self.assertEqual(2, len(errors))
        self.assertEqual(0, self.wait(child))
        self.assertEqual([], self.ended)

    def test_b278_polled_by_its_owner(self):
        child = self.python("import sys; sys.exit(3)")
        child.proc.wait()
        self.assertEqual(3, self.wait(child))

    def test_b278_the_example_of_the_docstring(self):
        example = process.__doc__.split("\n\n", 1)[1].partition("\nOther parts")[0]
        text = "from __future__ import print_function\n" + textwrap.dedent(example)
        child = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, cwd=ROOT)
        guard = threading.Timer(PATIENCE, child.kill)
        guard.start()
        out, _ = child.communicate()
        guard.cancel()
        self.assertEqual(b"apples\npears\n\n", out)
