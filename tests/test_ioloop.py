"""The loop: on every poller of this system, and with scripted ones where the clock matters."""
from __future__ import absolute_import, division, print_function

import contextlib
import datetime
import fcntl
import functools
import gc
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
import unittest
import weakref

import six

from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.platform.auto import available_pollers, make_poller
from friendserve.platform.interface import monotonic_time
from friendserve.stack_context import ExceptionStackContext, StackContext, state
from tests.fakes import FakeClock, FakePoller

try:
    from concurrent.futures import ThreadPoolExecutor
except ImportError:  # version: py2
    ThreadPoolExecutor = None

PATIENCE = 10.0  # seconds until something that must happen counts as missing
READ, WRITE, ERROR = IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR


class Logs(logging.Handler):
    """The records of a logger, while it is entered."""

    def __init__(self, name="friendserve", level=logging.DEBUG):
        logging.Handler.__init__(self)
        self.logger = logging.getLogger(name)
        self.wanted = level
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def __enter__(self):
        self.before = self.logger.level, self.logger.propagate
        self.logger.setLevel(self.wanted)
        self.logger.propagate = False
        self.logger.addHandler(self)
        return self.records

    def __exit__(self, *exc_info):
        self.logger.removeHandler(self)
        self.logger.level, self.logger.propagate = self.before


class CountingPoller(object):
    """A real poller that notes what each poll has returned, but for events of the waker."""

    def __init__(self, poller):
        self.poller = poller
        self.polls = []

    def __getattr__(self, name):
        return getattr(self.poller, name)

    def poll(self, seconds):
        events = self.poller.poll(seconds)
        self.polls.append(events)
        return events


class Loops(object):
    """Makes loops, and closes them at the end; an assertion that fails in a callback counts."""
    def make_loop(self, *args, **kwargs):
        kwargs.setdefault("make_current", False)
        loop = IOLoop(*args, **kwargs)
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

    def drive(self, condition, loop=None):
        """Run turns until the condition holds."""
        loop = loop or self.loop
        end = time.time() + PATIENCE
        while not condition():
            if time.time() > end:
                self.fail("the condition has not come true")
            loop.run_once(0.002)

    def socket_pair(self):
        pair = socket.socketpair()
        for sock in pair:
            sock.setblocking(False)
            self.addCleanup(sock.close)
        return pair

    def pipe_end_at(self, number):
        """The reading end of a pipe gets the number of an fd that was closed just now."""
        ends = list(os.pipe())
        if number not in ends:
            os.dup2(ends[0], number)
            ends.append(number)
        for fd in ends:
            self.addCleanup(os.close, fd)


class LoopContract(Loops):
    """B1 of the catalogue of cases: the same on every poller."""
    impl = None

    def setUp(self):
        self.poller = CountingPoller(make_poller(self.impl))
        self.loop = self.make_loop(self.poller)

    def assert_quiet(self, turns=20):
        """The poller soon has nothing more to tell, and that stays so."""
        for _ in range(turns):
            self.loop.run_once(0)
            if not self.poller.polls[-1]:
                break
        else:
            self.fail("the loop spins: %r" % (self.poller.polls[-3:],))
        del self.poller.polls[:]
        for _ in range(3):
            self.loop.run_once(0.01)
        self.assertEqual([[], [], []], self.poller.polls)

    def test_b001_idle_loop_does_not_wake_up(self):
        a, _ = self.socket_pair()
        self.loop.add_handler(a.fileno(), None, READ)
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
                # Until it is full, it is writable anyway.
                with self.assertRaises(EnvironmentError):
                    while True:
                        a.send(b"x" * 65536)
            self.loop.add_handler(a.fileno(), handler, asked)
            b.close()
            if asked != ERROR:
                self.drive(lambda: seen)
            self.assert_quiet()
            self.assertLessEqual(len(seen), 1)
            self.loop.remove_handler(a.fileno())

    def test_b005_fd_that_select_cannot_watch(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2048, limits[1]))
            fd = fcntl.fcntl(self.socket_pair()[0].fileno(), fcntl.F_DUPFD, 1500)
        except (ValueError, EnvironmentError):
            self.skipTest("no fd as high as that here")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.addCleanup(os.close, fd)
        if self.impl != "select":
            self.loop.add_handler(fd, None, READ)
            return
        with self.assertRaises(ValueError) as caught:
            self.loop.add_handler(fd, None, READ)
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
        self.drive(lambda: called)
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
        self.drive(lambda: fresh)
        self.assert_quiet()
        self.assertEqual(([], 1), (called, len(fresh)))

    def test_b008_fd_closed_behind_the_back_of_the_loop(self):
        a, b = socket.socketpair()
        self.addCleanup(b.close)
        number = a.fileno()
        self.loop.add_handler(a, None, READ)
        a.close()
        with self.assertRaises((EnvironmentError, KeyError, ValueError)):
            self.loop.update_handler(number, READ | WRITE)
        self.assert_quiet()
        with Logs(level=logging.INFO) as records:
            # A closed socket does not know its number any more.
            self.loop.remove_handler(a)
            self.loop.remove_handler(a)
            self.loop.remove_handler(number)
        self.assertEqual([], records)
        self.assertNotIn(number, self.loop._handlers)
        self.pipe_end_at(number)
        self.loop.add_handler(number, None, READ)

    def test_b009_second_handler_for_an_fd(self):
        a, b = self.socket_pair()
        seen = []
        self.loop.add_handler(a, lambda fd, events: seen.append(a.recv(9)), READ)
        self.assertRaises(ValueError, self.loop.add_handler, a.fileno(), None, WRITE)
        b.send(b"first")
        self.drive(lambda: seen)
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
        with Logs() as records:
            self.drive(lambda: records)
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
            self.drive(lambda: turns.append(1) or seen)
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
        loop = IOLoop(self.impl, make_current=False)
        sockets = []
        for _ in range(50):
            sockets.extend(socket.socketpair())
            loop.add_handler(sockets[-1], None, READ)
            loop.add_handler(sockets[-2].fileno(), None, READ)
        loop.close(all_fds=True)
        if six.PY3:
            # What was given as an object knows that it is closed: its number is free for others.
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
            loop = IOLoop(self.impl, make_current=False)
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
        self.drive(lambda: len(seen) == 10 * count)
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
        self.drive(lambda: len(seen) == 100)
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
        """The handler only sets a flag; the poll that follows must not wait all the same."""
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


class TurnTest(Loops, unittest.TestCase):
    """What does not depend on the poller: the clock moves only by waiting."""
    def setUp(self):
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.loop = self.make_loop(self.poller, time_func=self.clock)
        self.log = []

    def run_until(self, when):
        self.loop.call_at(when, self.loop.stop)
        self.loop.start()

    def test_b014_timers_with_one_deadline_run_in_order(self):
        for number in range(20):
            self.loop.call_at(1005.0, self.log.append, number)
        self.run_until(1010)
        self.assertEqual(list(range(20)), self.log)

    def test_b015_cancelled_timers(self):
        loop = self.loop
        later = [loop.call_at(1001, self.fail) for _ in range(3)]
        loop.add_callback(loop.remove_timeout, later[0])
        loop.call_at(1000.5, loop.remove_timeout, later[1])
        # Of the same batch, after the two that it cancels.
        fired = loop.call_at(999, lambda: loop.remove_timeout(due))
        due = loop.call_at(999, self.fail)
        loop.call_at(1002, loop.remove_timeout, fired)
        loop.remove_timeout(later[2])
        loop.remove_timeout(later[2])
        self.run_until(1010)
        for _ in range(100000):
            loop.remove_timeout(loop.call_later(1000, self.fail))
        self.assertLess(len(loop._timers._heap), 1000)

    def test_keyboard_interrupt_of_a_timer_leaves_the_others_of_its_batch(self):
        def interrupt():
            raise KeyboardInterrupt()
        self.loop.call_at(999, self.log.append, 1)
        self.loop.call_at(999, interrupt)
        for number in range(2, 5):
            timer = self.loop.call_at(999, self.log.append, number)
        self.loop.call_at(998.5, self.log.append, 0)
        self.assertRaises(KeyboardInterrupt, self.loop.start)
        self.assertEqual([0, 1], self.log)
        self.loop.remove_timeout(timer)
        self.run_until(1010)
        self.assertEqual([0, 1, 2, 3], self.log)

    def test_b011_callback_raises(self):
        class Mine(Exception):
            pass

        def fail(error):
            raise error
        for add in (self.loop.add_callback, functools.partial(self.loop.call_at, 999)):
            add(fail, Mine())
            add(self.log.append, "next")
        with Logs() as records:
            self.run_until(1010)
        self.assertEqual(["next"] * 2, self.log)
        self.assertEqual([Mine] * 2, [record.exc_info[0] for record in records])
        for error in (SystemExit, KeyboardInterrupt):
            self.loop.add_callback(fail, error())
            self.loop.add_callback(self.log.append, error)
            self.assertRaises(error, self.loop.start)
            self.run_until(1020)
            self.assertIs(error, self.log[-1])

    def test_b016_stop_before_start(self):
        self.loop.add_callback(self.log.append, 1)
        self.loop.stop()
        self.loop.start()
        self.assertEqual([], self.log)
        self.run_until(1010)
        self.assertEqual([1], self.log)

    def test_b017_start_while_running(self):
        for start in (self.loop.start, self.loop.run_once):
            self.loop.add_callback(self.assertRaises, RuntimeError, start)
        thread = threading.Thread(
            target=lambda: self.log.append(self.assertRaises(RuntimeError, self.loop.start)))
        self.loop.add_callback(thread.start)
        self.loop.add_callback(thread.join, PATIENCE)
        self.loop.add_callback(self.assertRaises, RuntimeError, self.loop.close)
        with Logs() as records:
            self.run_until(1010)
        self.assertEqual(([], [None]), (records, self.log))

    def test_b022_what_a_callback_returns_is_ignored(self):
        for result in ([], {}, [1], object(), iter(()), False):
            self.loop.add_callback(lambda result=result: result)
        self.loop.run_once(0)
        self.assertEqual(1, len(self.poller.waits))
        self.assertIsNone(self.loop._wait_time(None))

    def test_b023_nothing_that_a_callback_held_lives_through_the_wait(self):
        class Big(object):
            pass
        big = [Big(), Big(), Big()]
        references = list(map(weakref.ref, big))
        self.loop.add_callback(lambda big=big[0]: None)
        self.loop.call_at(999, lambda big=big[1]: None)
        self.loop.call_at(999, lambda big=big[2]: {}["missing"])
        del big[:]
        alive = []
        self.poller.poll = lambda seconds: alive.append([r() for r in references]) or []
        gc.disable()
        try:
            with Logs("friendserve", logging.CRITICAL):
                self.loop.run_once(0)
        finally:
            gc.enable()
        self.assertEqual([[None] * 3], alive)

    def test_b037_forms_of_deadlines(self):
        loop = self.loop
        loop.call_later(1e18, self.fail)
        loop.add_timeout(float("inf"), self.fail)
        for handle in (loop.add_timeout(datetime.timedelta(seconds=5), self.log.append, "delta"),
                       loop.add_timeout(1004, self.log.append, "deadline"),
                       loop.add_timeout(-5, self.log.append, "past"),
                       loop.call_later(-1, self.log.append, "negative"),
                       loop.call_at(1006.5, self.log.append, "at")):
            self.assertIsNotNone(handle)
        for wrong in (None, "5", datetime.datetime.now()):
            self.assertRaises(TypeError, loop.add_timeout, wrong, self.fail)
        self.run_until(1010)
        self.assertEqual(["past", "negative", "deadline", "delta", "at"], self.log)

    def test_b038_wall_clock_deadlines_of_old_programs(self):
        self.loop.add_timeout(time.time() + 20, self.log.append, "wall")
        self.run_until(1019)
        self.assertEqual([], self.log)
        self.run_until(1022)
        self.assertEqual(["wall"], self.log)
        # A loop on the wall clock understands nothing else.
        clock = FakeClock(time.time())
        loop = self.make_loop(FakePoller(clock), time_func=clock)
        loop.add_timeout(clock() + 5, loop.stop)
        loop.start()
        self.assertAlmostEqual(5, clock() - time.time(), delta=2)

    def test_b041_add_callback_inside_add_callback(self):
        """As a destructor would that the garbage collector runs anywhere."""
        def wake():
            if len(self.log) < 3:
                self.log.append(1)
                self.loop._wake_needed = True
                self.loop.add_callback(self.log.append, "nested")
        self.loop._waker.wake = wake
        self.loop.add_callback(self.log.append, "outer")
        self.run_until(1010)
        self.assertEqual(3, self.log.count("nested"))
        with IOLoop._instance_lock:
            self.assertIs(IOLoop.initialized(), IOLoop._instance is not None)
            self.assertTrue(IOLoop._instance_lock.acquire(False))
            IOLoop._instance_lock.release()

    def test_callbacks_take_their_context_along_and_those_from_signals_do_not(self):
        seen = []
        with StackContext(functools.partial(keeping, self.log)):
            before = len(self.log)
            self.loop.add_callback(lambda: seen.append(len(state.contexts)))
            self.loop.call_at(999, lambda: seen.append(len(state.contexts)))
            self.loop.add_callback_from_signal(lambda: seen.append(len(state.contexts)))
        self.run_until(1010)
        self.assertEqual([1, 0, 1], seen)
        self.assertEqual(before + 1 + 4, len(self.log))

    def test_failed_loop_is_not_current(self):
        self.assertRaises(ValueError, IOLoop, "abacus", make_current=True)
        self.assertIsNone(IOLoop.current(instance=False))


class PeriodicCallbackTest(Loops, unittest.TestCase):
    def setUp(self):
        self.clock = FakeClock()
        self.loop = self.make_loop(FakePoller(self.clock), time_func=self.clock)
        self.times = []
        self.work = 0

    def tick(self):
        self.times.append(round(self.clock() - 1000, 3))
        self.clock.advance(self.work)

    def make(self, period, callback=None, **kwargs):
        periodic = PeriodicCallback(callback or self.tick, period, io_loop=self.loop, **kwargs)
        self.addCleanup(periodic.stop)
        periodic.start()
        return periodic

    def run_until(self, when):
        self.loop.call_at(1000 + when, self.loop.stop)
        self.loop.start()

    def test_b030_period_is_kept(self):
        self.work = 0.03
        self.make(100)
        self.run_until(0.55)
        self.assertEqual([0.1, 0.2, 0.3, 0.4, 0.5], self.times)

    def test_b031_missed_ticks_are_skipped(self):
        self.work = 0.25
        self.make(100)
        self.run_until(1)
        self.assertEqual([0.1, 0.4, 0.7, 1.0], self.times[:4])
        self.assertLessEqual(len(self.loop._timers), 1)

    def test_b032_clock_set_forward(self):
        self.make(100, lambda: self.times.append(1) or self.clock.advance(86400 * 365))
        self.run_until(86400)
        self.assertEqual([1], self.times)

    def test_b032_clock_set_back(self):
        def callback():
            self.tick()
            if len(self.times) == 1:
                self.clock.advance(-86400)
        self.make(1000, callback)
        self.run_until(1)
        self.run_until(1 - 86400 + 3.5)
        self.assertEqual([1, -86398, -86397, -86396], self.times)

    def test_b033_woken_early(self):
        self.work = -0.003
        self.make(100)
        self.run_until(0.25)
        self.assertEqual([0.1, 0.2], self.times)

    def test_b034_period_that_makes_no_sense(self):
        for wrong in (0, -1, None):
            self.assertRaises(ValueError, PeriodicCallback, self.fail, wrong)
        for wrong in (-0.1, 3):
            self.assertRaises(ValueError, PeriodicCallback, self.fail, 100, None, wrong)

    def test_b035_stop_and_start_inside_the_callback(self):
        for actions, expected in ((("stop",), 1), (("stop", "start"), 5), (("start",), 5)):
            del self.times[:]
            now = self.clock() - 1000

            def callback():
                self.tick()
                for action in actions:
                    getattr(periodic, action)()
            periodic = self.make(100, callback)
            self.assertTrue(periodic.is_running())
            self.run_until(now + 0.55)
            self.assertEqual(expected, len(self.times), actions)
            self.assertEqual(actions != ("stop",), periodic.is_running())
            periodic.stop()
            self.assertFalse(periodic.is_running())
            self.assertEqual(0, len(self.loop._timers))

    def test_b036_callback_raises(self):
        self.make(100, lambda: self.tick() or {}["missing"])
        with Logs() as records:
            self.run_until(0.35)
        self.assertEqual(([0.1, 0.2, 0.3], 3), (self.times, len(records)))

    def test_jitter(self):
        self.make(1000, jitter=0.5)
        self.run_until(100)
        gaps = [b - a for a, b in zip(self.times, self.times[1:])]
        self.assertTrue(0.74 <= min(gaps) < 0.95 and 1.05 < max(gaps) <= 1.26, gaps)

    def test_b158_does_not_carry_the_context_that_started_it(self):
        with StackContext(functools.partial(keeping, [])):
            self.make(100, lambda: self.times.append(state.contexts))
        self.run_until(0.35)
        self.assertEqual([()] * 3, self.times)


class ProcessTest(Loops, unittest.TestCase):
    """Signals, threads, forks and executors, on the poller that is chosen by itself."""
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
        with Logs() as records:
            self.loop.call_later(0.15, block_here)    # waits longer than the threshold
            self.loop.call_later(0.16, self.loop.stop)
            self.loop.start()
            # It is off when the loop does not run.
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
            # They come while the main program is inside add_callback.
            self.drive(lambda: self.loop.add_callback(int) or len(seen) > 30)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def test_b043_wakeup_fd_of_somebody_else(self):
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

    def in_child(self, function):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(writer, str(function()).encode("ascii", "replace"))
            except Exception as error:
                os.write(writer, repr(error).encode("ascii", "replace"))
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as answer:
            return answer.read().decode("ascii")

    def test_b045_loop_in_a_forked_process(self):
        for run in (self.loop.start, self.loop.run_once):
            answer = self.in_child(run)
            self.assertIn("RuntimeError", answer)
            self.assertIn("after the fork", answer)
            self.assertIn(os.path.basename(__file__)[:14], answer)
        # Even one that was running; and its end leaves the loop of the parent alone.
        answers = []
        self.loop.add_callback(lambda: answers.append(self.in_child(self.loop.close)))
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
        self.drive(lambda: len(seen) == 3)
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


@unittest.skipIf(ThreadPoolExecutor is None, "the package futures is not there")
class ExecutorTest(Loops, unittest.TestCase):
    def setUp(self):
        self.loop = self.make_loop()
        self.executor = ThreadPoolExecutor(1)
        self.addCleanup(self.executor.shutdown)
        self.seen = []

    def test_result(self):
        main = threading.current_thread()
        for executor in (self.executor, None):
            self.loop.run_in_executor(
                executor, lambda *args: (args, threading.current_thread() is main), 1, 2,
                callback=lambda result: self.seen.append(
                    result + (threading.current_thread() is main,)))
            self.drive(lambda: self.seen)
            self.assertEqual([((1, 2), False, True)], self.seen)
            del self.seen[:]
        self.loop.set_default_executor(self.executor)
        self.loop.run_in_executor(None, self.seen.append, 5)
        self.drive(lambda: self.seen)
        self.assertRaises(TypeError, self.loop.run_in_executor, None, int, calback=self.fail)

    def test_exception_comes_home(self):
        def handler(kind, value, traceback):
            self.seen.append(str(value))
            return True

        def fail(text="on purpose"):
            raise ValueError(text)
        with ExceptionStackContext(handler):
            self.loop.run_in_executor(self.executor, fail, callback=self.fail)
            # This one is ready before anybody waits for it.
            self.executor.submit(int).result()
            self.loop.run_in_executor(self.executor, int, callback=lambda result: fail("late"))
        self.drive(lambda: len(self.seen) == 2)
        self.assertEqual(["on purpose", "late"], self.seen)
        with Logs() as records:
            self.loop.run_in_executor(self.executor, fail)
            self.drive(lambda: records)

    @unittest.skipIf(sys.version_info < (3, 10), "result() of older futures makes a cycle")
    def test_exception_leaves_no_cycle(self):
        class Mine(Exception):
            pass
        references = []

        def fail():
            error = Mine()
            references.append(weakref.ref(error))
            try:
                raise error
            finally:
                del error
        gc.collect()
        gc.disable()
        try:
            with Logs("friendserve", logging.CRITICAL):
                self.loop.run_in_executor(self.executor, fail)
                self.executor.submit(int).result()
                self.loop.run_once(0)
                self.loop.run_once(0)
            self.executor.submit(int).result()
            self.assertIsNone(references[0]())
        finally:
            gc.enable()

    def test_b052_outcome_after_the_loop_was_closed(self):
        go = threading.Event()
        with Logs() as records:
            self.loop.run_in_executor(self.executor, go.wait, PATIENCE, callback=self.fail)
            self.loop.close()
            go.set()
            self.executor.shutdown()
        self.assertEqual([], records)


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


for _name in available_pollers():
    globals()["%sLoopTest" % _name.title()] = type(
        str("%sLoopTest" % _name.title()), (LoopContract, unittest.TestCase), {"impl": _name})
