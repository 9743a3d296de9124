"""The contract of the loop on every poller of this system, and on every loop that another one
drives, with real signals, threads and forks."""
from __future__ import absolute_import, division, print_function

import functools
import gc
import os
import select
import signal
import socket
import threading
import time
import unittest
import weakref
try:
    import fcntl
    import resource
except ImportError:     # Windows, where only the tests that use them fail
    fcntl = resource = None

import six

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import available_pollers, make_poller
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.stack_context import StackContext, state, wrap
from tests import PATIENCE, ROOT
from tests.bridges import available_bridges, hosted_pollers, rows_for
from tests.forkcase import in_child
from tests.loopcase import CountingPoller, LogCatcher, Loops, keeping, open_fds

READ, WRITE, ERROR = IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR


def ignore(fd, events):
    """A handler."""


class LoopContract(Loops):
    """B1 in the catalogue of cases: the same on every poller."""
    impl = None

    def setUp(self):
        self.poller = CountingPoller(make_poller(self.impl))
        self.loop = self.make_loop(self.poller)

    def test_p01_the_contexts_of_start_do_not_leak_into_callbacks(self):
        seen = []

        def later():
            seen.append(state.contexts)
            self.loop.add_callback(lambda: seen.append(state.contexts))
            self.loop.add_callback(self.loop.stop)

        self.loop.add_callback(later)
        outside = state.contexts
        with StackContext(functools.partial(keeping, [])):
            inside = state.contexts
            self.loop.start()
            self.assertEqual(inside, state.contexts)
        self.assertEqual([seen[0]] * 2, seen)
        self.assertFalse(set(inside) - set(outside) & set(seen[0]))

    def test_b265_a_wrapped_callback_with_arguments_enters_its_context_once(self):
        entered, done = [], []
        with StackContext(functools.partial(keeping, entered)):
            callback = wrap(done.append)
            self.loop.add_callback(callback, 1)
            self.loop.call_later(0, callback, 2)
        self.run_until(lambda: len(done) == 2)
        self.assertEqual(["in", "out"] * 3, entered)

    def test_each_turn_is_another(self):
        turns = []
        for _ in range(3):
            self.loop.add_callback(lambda: turns.append(self.loop.turn))
            self.loop.add_callback(lambda: turns.append(self.loop.turn))
            self.loop.run_once(0)
        self.assertIs(turns[0], turns[1])
        self.assertEqual(3, len(set(turns)))

    def test_b001_idle_loop_does_not_wake_up(self):
        a, _ = self.socket_pair()
        self.loop.add_handler(a.fileno(), ignore, READ)
        self.assert_quiet()
        del self.poller.polls[:]
        self.loop.call_later(0.05, self.loop.stop)
        self.loop.start()
        # One for the timer that was added from outside, one when it is due.
        self.assertLessEqual(len(self.poller.polls), 3)

    def test_b002_peer_closes(self):
        for asked in (READ, READ | WRITE, WRITE, ERROR):
            a, b = self.socket_pair()
            seen = []

            def handler(fd, events, a=a):
                seen.append(events)
                self.loop.remove_handler(a.fileno())
            if asked == WRITE:
                # Until its buffer is full, the socket is writable anyway.
                with self.assertRaises(EnvironmentError):
                    while True:
                        a.send(b"x" * 65536)
            self.loop.add_handler(a.fileno(), handler, asked)
            b.close()
            if asked != ERROR:
                self.run_until(lambda: seen)
            self.assert_quiet()
            self.assertLessEqual(len(seen), 1)
            self.loop.remove_handler(a.fileno())

    def test_b005_fd_that_select_cannot_watch(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2048, limits[1]))
            fd = fcntl.fcntl(self.socket_pair()[0].fileno(), fcntl.F_DUPFD, 1500)
        except (ValueError, EnvironmentError):
            self.skipTest("an fd as high as that is not possible here")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.addCleanup(os.close, fd)
        if self.impl != "select":
            self.loop.add_handler(fd, ignore, READ)
            return
        with self.assertRaises(ValueError) as caught:
            self.loop.add_handler(fd, ignore, READ)
        self.assertIn("FD_SETSIZE", str(caught.exception))
        self.assert_quiet()

    def test_b007_handler_removes_another_of_the_same_batch(self):
        pairs = [self.socket_pair() for _ in range(2)]
        called = []

        def handler(sock, events):
            called.append(sock)
            for (other, _) in pairs:
                self.loop.remove_handler(other)
        for a, b in pairs:
            self.loop.add_handler(a, handler, READ)
            b.send(b"x")
        self.run_until(lambda: called)
        self.loop.run_once(0)
        self.assertEqual(1, len(called))

    def test_b007_stale_event_does_not_reach_a_new_file_with_the_number(self):
        (a, a_peer), (b, b_peer) = self.socket_pair(), self.socket_pair()
        fresh = []
        called = []

        def handler(sock, events):
            other = b if sock is a else a
            number = other.fileno()
            self.loop.remove_handler(other)
            other.close()
            self.pipe_end_at(number)
            fresh.append(number)
            self.loop.add_handler(number, lambda fd, events: called.append(fd), READ)
            self.loop.remove_handler(sock)
        for sock, peer in ((a, a_peer), (b, b_peer)):
            self.loop.add_handler(sock, handler, READ)
            peer.send(b"x")
        self.run_until(lambda: fresh)
        self.assert_quiet()
        self.assertEqual(([], 1), (called, len(fresh)))

    def test_b008_fd_closed_behind_the_back_of_the_loop(self):
        a, b = socket.socketpair()
        self.addCleanup(b.close)
        number = a.fileno()
        self.loop.add_handler(a, ignore, READ)
        a.close()
        with self.assertRaises((EnvironmentError, KeyError, ValueError)):
            self.loop.update_handler(number, READ | WRITE)
        self.assert_quiet()
        with LogCatcher() as records:
            # A closed socket no longer knows its number.
            self.loop.remove_handler(a)
            self.loop.remove_handler(a)
            self.loop.remove_handler(number)
        self.assertEqual([], records)
        self.assertNotIn(number, self.loop._handlers)
        self.pipe_end_at(number)
        self.loop.add_handler(number, ignore, READ)

    def test_b008_removing_an_unknown_closed_object_removes_no_other(self):
        a, b = self.socket_pair()
        seen = []
        self.loop.add_handler(a, lambda sock, events: seen.append(sock.recv(9)), READ)
        stranger = socket.socket()
        stranger.close()
        self.loop.remove_handler(stranger)
        b.send(b"x")
        for _ in range(3):
            self.loop.run_once(0)
        self.assertEqual([b"x"], seen)

    def test_b009_second_handler_for_an_fd(self):
        a, b = self.socket_pair()
        seen = []
        self.loop.add_handler(a, lambda fd, events: seen.append(a.recv(9)), READ)
        self.assertRaises(ValueError, self.loop.add_handler, a.fileno(), ignore, WRITE)
        b.send(b"first")
        self.run_until(lambda: seen)
        self.assertEqual([b"first"], seen)

    def test_handler_that_is_none_leaves_nothing_registered(self):
        a, b = self.socket_pair()
        with StackContext(functools.partial(keeping, [])):
            self.assertRaises(TypeError, self.loop.add_handler, a, 5, READ)
        b.send(b"x")
        self.assert_quiet()
        self.loop.add_handler(a, lambda fd, events: None, READ)

    def test_handlers_get_what_was_given(self):
        a, b = self.socket_pair()
        seen = []
        for fd in (a, a.fileno()):
            self.loop.add_handler(fd, lambda fd, events: seen.append((fd, events)), WRITE)
            self.loop.run_once(1)
            self.loop.remove_handler(fd)
        self.assertEqual([(a, WRITE), (a.fileno(), WRITE)], seen)

    def test_b010_signal_interrupts_the_poll(self):
        called = []
        old = signal.signal(signal.SIGALRM, lambda number, frame: called.append(number))
        self.addCleanup(signal.signal, signal.SIGALRM, old)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        self.loop.call_later(PATIENCE, self.loop.stop)
        self.loop.call_later(0.06, self.loop.stop)
        self.loop.start()
        self.assertEqual([signal.SIGALRM], called)

    def test_b011_handler_raises(self):
        a, b = self.socket_pair()

        def handler(fd, events):
            self.loop.remove_handler(a)
            raise ZeroDivisionError("on purpose")
        self.loop.add_handler(a, handler, READ)
        b.send(b"x")
        with LogCatcher() as records:
            self.run_until(lambda: records)
        self.assertEqual(["friendserve.application"], [r.name for r in records])
        self.assertIs(ZeroDivisionError, records[0].exc_info[0])

    def test_b011_keyboard_interrupt_of_a_handler_passes(self):
        a, b = self.socket_pair()

        def handler(fd, events):
            self.loop.remove_handler(a)
            raise KeyboardInterrupt()
        self.loop.add_handler(a, handler, READ)
        b.send(b"x")
        self.assertRaises(KeyboardInterrupt, self.loop.start)
        self.assertFalse(self.loop.running())
        self.loop.add_callback(self.loop.stop)
        self.loop.start()

    def test_b012_b013_fds_are_served_beside_endless_callbacks_and_timers(self):
        a, b = self.socket_pair()
        seen = []
        self.loop.add_handler(a, lambda fd, events: seen.append(a.recv(1)), READ)

        def again():
            self.loop.add_callback(again)

        def soon():
            self.loop.call_later(0, soon)
        for endless in (again, soon):
            endless()
            b.send(b"x")
            turns = []
            self.run_until(lambda: turns.append(1) or seen)
            self.assertLess(len(turns), 5)
            del seen[:]

    def test_b018_add_callback_after_close(self):
        self.loop.close()
        thread = threading.Thread(target=self.loop.add_callback, args=(self.fail,))
        thread.start()
        thread.join(PATIENCE)
        self.loop.add_callback_from_signal(self.fail)
        self.loop.stop()
        self.loop.close()
        self.assertRaises(RuntimeError, self.loop.start)
        self.assertRaises(RuntimeError, self.loop.run_once)

    def test_b019_close_with_all_fds(self):
        before = open_fds()
        loop = self.new_loop(self.impl, make_current=False)
        sockets = []
        for _ in range(50):
            sockets.extend(socket.socketpair())
            loop.add_handler(sockets[-1], ignore, READ)
            loop.add_handler(sockets[-2].fileno(), ignore, READ)
        loop.close(all_fds=True)
        if six.PY3:
            # A file passed as an object knows that it is closed: its number may be reused.
            self.assertEqual(set([-1]), set(sock.fileno() for sock in sockets[1::2]))
        for sock in sockets[::2]:
            with self.assertRaises(EnvironmentError):
                os.fstat(sock.detach() if six.PY3 else sock.fileno())
        del sock, sockets
        self.assertEqual(before, open_fds())

    def test_b020_a_thousand_loops(self):
        before = open_fds()
        ran = []
        for _ in range(200):
            loop = self.new_loop(self.impl, make_current=False)
            loop.add_callback(ran.append, 1)
            loop.add_callback(loop.stop)
            loop.start()
            loop.close()
        self.assertEqual((200, before), (len(ran), open_fds()))
        reference = weakref.ref(loop)
        del loop
        gc.collect()
        self.assertIsNone(reference())

    def test_b021_own_fds_are_not_inherited(self):
        before = open_fds()
        loop = self.make_loop(self.impl)
        for fd in open_fds() - before:
            self.assertTrue(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC, fd)
        loop.close()

    def test_b040_callbacks_from_ten_threads(self):
        count = 2000
        seen = []

        def work(name):
            for number in range(count):
                self.loop.add_callback(seen.append, (name, number))
        threads = [threading.Thread(target=work, args=(name,)) for name in range(10)]
        for thread in threads:
            thread.start()
        self.run_until(lambda: len(seen) == 10 * count)
        for thread in threads:
            thread.join(PATIENCE)
        for name in range(10):
            self.assertEqual(list(range(count)), [n for who, n in seen if who == name])

    def test_b040_one_wake_up_a_batch(self):
        self.assert_quiet()
        wakes = []
        wake = self.loop._waker.wake
        self.loop._waker.wake = lambda: wakes.append(1) or wake()
        seen = []
        for number in range(100):
            self.loop.add_callback(seen.append, number)
        self.run_until(lambda: len(seen) == 100)
        self.assertEqual(1, len(wakes))
        self.assert_quiet()

    def test_b040_thread_wakes_a_waiting_loop(self):
        polling = threading.Event()
        poll = self.poller.poll

        def slow_poll(seconds):
            polling.set()
            return poll(seconds)
        self.poller.poll = slow_poll

        def work():
            polling.wait(PATIENCE)
            self.loop.add_callback(self.loop.stop)
        thread = threading.Thread(target=work)
        thread.start()
        self.loop.call_later(PATIENCE, self.fail)
        self.loop.start()
        thread.join(PATIENCE)

    def test_b043_signal_between_the_last_look_and_the_poll(self):
        """The handler only sets a flag, but the poll that follows must not wait."""
        flag = []
        old = signal.signal(signal.SIGUSR1, lambda number, frame: flag.append(1))
        self.addCleanup(signal.signal, signal.SIGUSR1, old)
        poll = self.poller.poll

        def poll_after_signal(seconds):
            if not flag:
                os.kill(os.getpid(), signal.SIGUSR1)
            events = poll(seconds)
            self.loop.stop()
            return events
        self.poller.poll = poll_after_signal
        guard = self.loop.call_later(PATIENCE, self.fail)
        self.loop.start()
        self.loop.remove_timeout(guard)
        self.assertEqual([1], flag)

    def test_run_once_waits_no_longer_than_asked(self):
        self.assertIsNone(self.loop.run_once(0))
        self.loop.call_later(1000, self.fail)
        self.assertTrue(900 < self.loop.run_once(0.001) <= 1000)
        self.loop.add_callback(lambda: self.loop.add_callback(int))
        self.assertEqual(0, self.loop.run_once(PATIENCE))

    def test_loop_inside_a_select_loop(self):
        inner = self.loop
        try:
            fd = inner.fileno()
        except NotImplementedError:
            self.assertIn(self.impl, ("select", "poll"))
            return
        a, b = self.socket_pair()
        seen = []
        inner.add_handler(a, lambda fd, events: seen.append(a.recv(9)), READ)
        wait = inner.run_once(0)
        b.send(b"fd")
        self.embed(inner, fd, wait, lambda: seen == [b"fd"])
        del seen[:]
        inner.add_callback(seen.append, "callback")
        self.embed(inner, fd, None, lambda: "callback" in seen)
        # Added while the outer loop waits, so that its timeout is out of date.
        threading.Timer(0.01, inner.add_callback, (
            lambda: inner.call_later(0.01, seen.append, "timer"),)).start()
        self.embed(inner, fd, PATIENCE, lambda: "timer" in seen)
        inner.call_later(0.01, seen.append, "from outside")
        self.embed(inner, fd, PATIENCE, lambda: "from outside" in seen)
        self.assertEqual(([], [], []), select.select([fd], [], [], 0))

    def embed(self, inner, fd, wait, condition):
        end = time.time() + PATIENCE
        while not condition():
            self.assertLess(time.time(), end)
            select.select([fd], [], [], wait)
            wait = inner.run_once(0)

    def test_loop_inside_a_loop(self):
        try:
            self.loop.fileno()
        except NotImplementedError:
            return
        outer = self.make_loop()
        seen = []

        def turn(fd=None, events=None):
            wait = self.loop.run_once(0)
            seen.append(IOLoop.current(instance=False) is outer)
            if wait is not None:
                outer.call_later(wait, turn)
        outer.add_handler(self.loop, turn, READ)
        self.loop.add_callback(lambda: self.loop.call_later(0.01, outer.add_callback, outer.stop))
        outer.call_later(PATIENCE, self.fail)
        outer.start()
        self.assertEqual([True], sorted(set(seen)))

    def turns_in(self, seconds):
        """How many turns the loop makes in this time."""
        del self.poller.polls[:]
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.start()
        return len(self.poller.polls)

    def readable_twin(self, handler):
        """A readable socket with a handler, and another descriptor that keeps it open."""
        a, b = self.socket_pair()
        twin = a.dup()
        self.addCleanup(twin.close)
        self.loop.add_handler(a.fileno(), handler, READ)
        b.send(b"x")
        self.loop.run_once(PATIENCE)
        return a, twin

    def test_closed_and_then_removed_does_not_spin_while_another_descriptor_is_open(self):
        a, twin = self.readable_twin(lambda fd, events: None)
        number = a.fileno()
        a.close()
        self.loop.remove_handler(number)
        self.assertLess(self.turns_in(0.2), 10)
        self.assert_quiet()

    def test_closed_and_then_removed_does_not_spin_while_a_child_has_it(self):
        reader, writer = os.pipe()
        a, b = self.socket_pair()
        number = a.fileno()
        self.loop.add_handler(number, lambda fd, events: None, READ)
        child = os.fork()
        if not child:
            os.close(writer)
            select.select([reader], [], [], PATIENCE)
            os._exit(0)
        try:
            b.send(b"x")
            a.close()
            self.loop.remove_handler(number)
            self.assertLess(self.turns_in(0.2), 10)
        finally:
            os.close(writer)
            os.waitpid(child, 0)
            os.close(reader)

    def test_closed_and_never_removed_does_not_spin_while_another_descriptor_is_open(self):
        calls = []
        a, twin = self.readable_twin(lambda fd, events: calls.append(fd))
        number = a.fileno()
        a.close()
        del calls[:]
        self.assertLess(self.turns_in(0.2), 150)
        # The contract of pollers allows 100.
        self.assertLessEqual(len(calls), 100)
        self.loop.remove_handler(number)
        self.assert_quiet()

    def test_number_of_a_closed_file_gets_a_new_handler(self):
        old, new = [], []
        a, twin = self.readable_twin(lambda fd, events: old.append(fd))
        number = a.fileno()
        a.close()
        c, d = self.socket_pair()
        if c.fileno() != number:
            os.dup2(c.fileno(), number)
            self.addCleanup(os.close, number)
        try:
            self.loop.add_handler(number, lambda fd, events: new.append((fd, c.recv(9))), READ)
        except ValueError as error:
            self.fail("the new file was refused: %s" % error)
        del old[:]
        for _ in range(3):
            self.loop.run_once(0)
        self.assertEqual(([], []), (old, new))
        d.send(b"y")
        self.run_until(lambda: new)
        self.assertEqual([(number, b"y")], new)
        self.assert_quiet()

    def test_new_handler_gets_no_event_polled_for_the_closed_file(self):
        """Two files are ready in one turn; the first handler to run closes the other's file,
        without removing it, and gives its number to a file that is not ready."""
        pairs = [self.socket_pair() for _ in range(2)]
        given, called = [], []

        def replace(sock, events):
            self.loop.remove_handler(sock)
            other = [a for a, _ in pairs if a is not sock][0]
            number = other.fileno()
            other.close()
            self.pipe_end_at(number)
            given.append(number)
            self.loop.add_handler(number, lambda fd, events: called.append(fd), READ)
        for a, b in pairs:
            self.loop.add_handler(a, replace, READ)
            b.send(b"x")
        self.run_until(lambda: given)
        self.assert_quiet()
        self.assertEqual((1, []), (len(given), called))
        # The closed object is forgotten too.
        self.assertEqual([], [fd for fd, _ in self.loop._handlers.values()
                              if not isinstance(fd, int)])


class ProcessTest(Loops, unittest.TestCase):
    """Signals, threads, forks and executors, on the default poller."""
    def setUp(self):
        self.loop = self.make_loop()

    def handle(self, number, handler):
        self.addCleanup(signal.signal, number, signal.signal(number, handler))

    def test_b024_what_blocks_is_logged_once(self):
        self.addCleanup(signal.signal, signal.SIGALRM, signal.getsignal(signal.SIGALRM))
        self.loop.set_blocking_log_threshold(0.05)
        end = monotonic_time() + PATIENCE

        def block_here():
            while not records and monotonic_time() < end:
                pass
            block_until = monotonic_time() + 0.12
            while monotonic_time() < block_until:
                pass
        with LogCatcher() as records:
            self.loop.call_later(0.15, block_here)    # waits longer than the threshold
            self.loop.call_later(0.16, self.loop.stop)
            self.loop.start()
            # The alarm is off when the loop does not run.
            self.assertEqual((0.0, 0.0), signal.getitimer(signal.ITIMER_REAL))
        self.assertEqual(1, len(records))
        self.assertIn("block_here", records[0].getMessage())
        self.loop.set_blocking_log_threshold(None)
        self.loop.add_callback(self.loop.stop)
        self.loop.start()

    def test_b042_callbacks_from_a_signal_handler(self):
        seen = []
        self.handle(signal.SIGALRM, lambda number, frame: (
            self.loop.add_callback_from_signal(seen.append, 1)))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            # The signals arrive while the main program is inside add_callback.
            self.run_until(lambda: self.loop.add_callback(int) or len(seen) > 30)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def test_b043_wakeup_fd_of_another_library(self):
        reader, writer = self.socket_pair()
        signal.set_wakeup_fd(writer.fileno())
        try:
            self.loop.add_callback(self.loop.stop)
            self.loop.start()
        finally:
            self.assertEqual(writer.fileno(), signal.set_wakeup_fd(-1))
        self.loop.add_callback(signal.set_wakeup_fd, writer.fileno())
        self.loop.add_callback(self.loop.stop)
        self.loop.start()
        self.assertEqual(writer.fileno(), signal.set_wakeup_fd(-1))
        self.loop.add_callback(self.loop.stop)
        self.loop.start()
        self.assertEqual(-1, signal.set_wakeup_fd(-1))

    def test_b044_stop_from_a_thread_and_from_a_signal(self):
        self.handle(signal.SIGALRM, lambda number, frame: self.loop.stop())
        self.loop.call_later(PATIENCE, self.fail)
        threading.Timer(0.01, self.loop.add_callback, (self.loop.stop,)).start()
        self.loop.start()
        threading.Timer(0.01, self.loop.stop).start()
        self.loop.start()
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        self.loop.start()

    def test_b045_loop_in_a_forked_process(self):
        for run in (self.loop.start, self.loop.run_once):
            answer = in_child(run)
            self.assertIn("RuntimeError", answer)
            self.assertIn("after the fork", answer)
            # The loop was made in this folder.
            self.assertIn(os.path.join(ROOT, "tests"), answer)
        # Even a loop that was running; and the child's exit does not affect the parent's loop.
        answers = []
        self.loop.add_callback(lambda: answers.append(in_child(self.loop.close)))
        self.loop.add_callback(lambda: threading.Timer(
            0.01, self.loop.add_callback, (self.loop.stop,)).start())
        self.loop.call_later(PATIENCE, self.fail)
        self.loop.start()
        self.assertEqual(["None"], answers)

    def test_b051_loops_of_two_threads(self):
        seen = []

        def work():
            loop = IOLoop()
            seen.append(IOLoop.current() is loop)
            loop.add_callback(lambda: seen.append(IOLoop.current() is loop))
            loop.add_callback(self.loop.add_callback, self.loop.stop)
            loop.add_callback(loop.stop)
            loop.start()
            loop.close()
            seen.append(IOLoop.current(instance=False))
        self.loop.add_callback(threading.Thread(target=work).start)
        self.loop.call_later(PATIENCE, self.fail)
        self.loop.start()
        self.run_until(lambda: len(seen) == 3)
        self.assertEqual([True, True, None], seen)

    def test_current_loop(self):
        self.assertIsNone(IOLoop.current(instance=False))
        self.loop.add_callback(lambda: self.assertIs(self.loop, IOLoop.current()))
        self.loop.run_once(0)
        self.loop.make_current()
        self.assertIs(self.loop, IOLoop.current())
        IOLoop(make_current=False).close()
        second = self.make_loop(make_current=None)
        self.assertIs(self.loop, IOLoop.current())
        second.close()
        self.assertIs(self.loop, IOLoop.current())
        self.loop.close()
        self.assertIsNone(IOLoop.current(instance=False))

    def test_instance(self):
        self.addCleanup(setattr, IOLoop, "_instance", IOLoop._instance)
        IOLoop.clear_instance()
        self.assertFalse(IOLoop.initialized())
        first = IOLoop.instance()
        self.addCleanup(first.close)
        self.assertIs(first, IOLoop.current())
        self.assertTrue(IOLoop.initialized())
        self.loop.install()
        self.assertIs(self.loop, IOLoop.instance())


class DebuggedLoopTest(LoopContract, unittest.TestCase):
    """The same in debug mode, which replaces methods of the loop."""
    def make_loop(self, *args, **kwargs):
        loop = super(DebuggedLoopTest, self).make_loop(*args, **kwargs)
        loop.set_debug(True, slow=PATIENCE)
        return loop


for _name in available_pollers():
    globals()["%sLoopTest" % _name.title()] = type(
        str("%sLoopTest" % _name.title()), (LoopContract, unittest.TestCase), {"impl": _name})

# B293: the same rows on loops that another one drives.
for _name, _class in available_bridges().items():
    for _kind, _bases in (("Loop", (LoopContract, unittest.TestCase)), ("Process", (ProcessTest,))):
        _full_name = str("%s%sTest" % (_name.title(), _kind))
        globals()[_full_name] = type(_full_name, _bases, dict(
            rows_for(_name), impl=hosted_pollers()[0], loop_class=_class))
