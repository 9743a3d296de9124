"""The turns of the loop, its timers and executors, where the clock moves only by waiting.

Behaviour with real pollers is in tests/contract/test_loops.py.
"""
from __future__ import absolute_import, division, print_function

import datetime
import functools
import gc
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
import unittest
import weakref

from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.stack_context import ExceptionStackContext, StackContext, state
from tests import PATIENCE, missing
from tests.fakes import FakeClock, FakeHostLoop, FakePoller
from tests.loopcase import LogCatcher, Loops, is_gone, keeping

try:
    from concurrent.futures import ThreadPoolExecutor
except ImportError:  # version: py2
    ThreadPoolExecutor = None

#: A program that waits, while it is imported, for a loop made in a thread.
IMPORTING = """
import threading
from friendserve.ioloop import IOLoop
from tests import PATIENCE

loops = []
thread = threading.Thread(target=lambda: loops.append(IOLoop(make_current=False)))
thread.daemon = True
thread.start()
thread.join(PATIENCE)
loops = list(loops)
"""


class TurnTest(Loops, unittest.TestCase):
    """Behaviour that does not depend on the poller; the clock moves only by waiting."""
    def setUp(self):
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.loop = self.make_loop(self.poller, time_func=self.clock)
        self.log = []

    def run_to(self, when):
        self.loop.call_at(when, self.loop.stop)
        self.loop.start()

    def test_b014_timers_with_one_deadline_run_in_order(self):
        for number in range(20):
            self.loop.call_at(1005.0, self.log.append, number)
        self.run_to(1010)
        self.assertEqual(list(range(20)), self.log)

    def test_b015_cancelled_timers(self):
        loop = self.loop
        later = [loop.call_at(1001, self.fail) for _ in range(3)]
        loop.add_callback(loop.remove_timeout, later[0])
        loop.call_at(1000.5, loop.remove_timeout, later[1])
        # In the same batch, after the two that it cancels.
        fired = loop.call_at(999, lambda: loop.remove_timeout(due))
        due = loop.call_at(999, self.fail)
        loop.call_at(1002, loop.remove_timeout, fired)
        loop.remove_timeout(later[2])
        loop.remove_timeout(later[2])
        self.run_to(1010)
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
        self.run_to(1010)
        self.assertEqual([0, 1, 2, 3], self.log)

    def test_b011_callback_raises(self):
        class Mine(Exception):
            pass

        def fail(error):
            raise error
        for add in (self.loop.add_callback, functools.partial(self.loop.call_at, 999)):
            add(fail, Mine())
            add(self.log.append, "next")
        with LogCatcher() as records:
            self.run_to(1010)
        self.assertEqual(["next"] * 2, self.log)
        self.assertEqual([Mine] * 2, [record.exc_info[0] for record in records])
        for error in (SystemExit, KeyboardInterrupt):
            self.loop.add_callback(fail, error())
            self.loop.add_callback(self.log.append, error)
            self.assertRaises(error, self.loop.start)
            self.run_to(1020)
            self.assertIs(error, self.log[-1])

    def test_b016_stop_before_start(self):
        self.loop.add_callback(self.log.append, 1)
        self.loop.stop()
        self.loop.start()
        self.assertEqual([], self.log)
        self.run_to(1010)
        self.assertEqual([1], self.log)

    def test_b017_start_while_running(self):
        for start in (self.loop.start, self.loop.run_once):
            self.loop.add_callback(self.assertRaises, RuntimeError, start)
        thread = threading.Thread(
            target=lambda: self.log.append(self.assertRaises(RuntimeError, self.loop.start)))
        self.loop.add_callback(thread.start)
        self.loop.add_callback(thread.join, PATIENCE)
        self.loop.add_callback(self.assertRaises, RuntimeError, self.loop.close)
        with LogCatcher() as records:
            self.run_to(1010)
        self.assertEqual(([], [None]), (records, self.log))

    def test_a_thread_makes_a_loop_while_a_module_is_imported(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        with open(os.path.join(folder, "importing_a_loop.py"), "w") as file:
            file.write(IMPORTING)
        sys.path.insert(0, folder)
        self.addCleanup(sys.path.remove, folder)
        self.addCleanup(sys.modules.pop, "importing_a_loop", None)
        loops = __import__("importing_a_loop").loops
        self.assertEqual(1, len(loops))
        loops[0].close()

    def test_b022_what_a_callback_returns_is_ignored(self):
        for result in ([], {}, [1], object(), iter(()), False):
            self.loop.add_callback(lambda result=result: result)
        self.loop.run_once(0)
        self.assertEqual(1, len(self.poller.waits))
        self.assertIsNone(self.loop.wait_time())

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
        self.poller.poll = lambda seconds: alive.append(list(map(is_gone, references))) or []
        gc.disable()
        try:
            with LogCatcher("friendserve", logging.CRITICAL):
                self.loop.run_once(0)
        finally:
            gc.enable()
        self.assertEqual([[True] * 3], alive)

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
        self.run_to(1010)
        self.assertEqual(["past", "negative", "deadline", "delta", "at"], self.log)

    def test_b038_wall_clock_deadlines_of_old_programs(self):
        self.loop.add_timeout(time.time() + 20, self.log.append, "wall")
        self.run_to(1019)
        self.assertEqual([], self.log)
        self.run_to(1022)
        self.assertEqual(["wall"], self.log)
        # A loop on the wall clock has no other kind of deadline.
        clock = FakeClock(time.time())
        loop = self.make_loop(FakePoller(clock), time_func=clock)
        loop.add_timeout(clock() + 5, loop.stop)
        loop.start()
        self.assertAlmostEqual(5, clock() - time.time(), delta=2)

    def test_b041_add_callback_inside_add_callback(self):
        """As by a destructor, which the garbage collector may run anywhere."""
        def wake():
            if len(self.log) < 3:
                self.log.append(1)
                self.loop._wake_needed = True
                self.loop.add_callback(self.log.append, "nested")
        self.loop._waker.wake = wake
        self.loop.add_callback(self.log.append, "outer")
        self.run_to(1010)
        self.assertEqual(3, self.log.count("nested"))
        before = IOLoop._instance
        self.addCleanup(setattr, IOLoop, "_instance", before)
        self.loop.install()
        IOLoop.instance()
        lock = IOLoop._instance_locks[os.getpid()]
        with lock:
            self.assertTrue(lock.acquire(False))
            lock.release()

    def test_callbacks_take_their_context_along_and_those_from_signals_do_not(self):
        seen = []
        with StackContext(functools.partial(keeping, self.log)):
            before = len(self.log)
            self.loop.add_callback(lambda: seen.append(len(state.contexts)))
            self.loop.call_at(999, lambda: seen.append(len(state.contexts)))
            self.loop.add_callback_from_signal(lambda: seen.append(len(state.contexts)))
            self.loop.spawn_callback(lambda: seen.append(len(state.contexts)))
        self.run_to(1010)
        self.assertEqual([1, 0, 0, 1], seen)
        self.assertEqual(before + 1 + 4, len(self.log))

    def test_attachments_live_as_long_as_the_loop(self):
        loop = self.loop
        self.assertEqual({}, loop.attachments)
        loop.attachments["shop"] = self
        self.assertIs(loop.attachments, loop.attachments)
        self.assertEqual({"shop": self}, loop.attachments)
        other = self.make_loop(FakePoller(self.clock), time_func=self.clock)
        self.assertEqual({}, other.attachments)

    def test_loop_of_another_kind_has_attachments_and_no_turn(self):
        class Minimal(IOLoop):
            pass
        loop = Minimal()
        loop.clear_current()
        loop.attachments["shop"] = 1
        self.assertEqual({"shop": 1}, loop.attachments)
        self.assertIsNone(loop.turn)

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

    def run_to(self, when):
        self.loop.call_at(1000 + when, self.loop.stop)
        self.loop.start()

    def test_b030_period_is_kept(self):
        self.work = 0.03
        self.make(100)
        self.run_to(0.55)
        self.assertEqual([0.1, 0.2, 0.3, 0.4, 0.5], self.times)

    def test_b031_missed_ticks_are_skipped(self):
        self.work = 0.25
        self.make(100)
        self.run_to(1)
        self.assertEqual([0.1, 0.4, 0.7, 1.0], self.times[:4])
        self.assertLessEqual(len(self.loop._timers), 1)

    def test_b032_clock_set_forward(self):
        self.make(100, lambda: self.times.append(1) or self.clock.advance(86400 * 365))
        self.run_to(86400)
        self.assertEqual([1], self.times)

    def test_b032_clock_set_back(self):
        def callback():
            self.tick()
            if len(self.times) == 1:
                self.clock.advance(-86400)
        self.make(1000, callback)
        self.run_to(1)
        self.run_to(1 - 86400 + 3.5)
        self.assertEqual([1, -86398, -86397, -86396], self.times)

    def test_b032_clock_set_back_between_two_calls(self):
        """As the clock of IOLoop(time_func=time.time) by the administrator."""
        self.make(1000)
        self.run_to(1.5)
        self.clock.advance(-86400)
        self.loop.call_later(3, self.loop.stop)
        self.loop.start()
        self.assertEqual([1, -86398, -86397, -86396], self.times)

    def test_b032_timers_keep_their_distance_when_the_clock_is_set_back(self):
        self.loop.call_later(7, self.tick)
        self.loop.call_later(5, self.tick)
        self.loop.run_once(2)
        self.clock.advance(-86400)
        # These are made with the new time.
        self.loop.call_later(4, self.tick)
        self.loop.call_at(self.loop.time() + 2, self.tick)
        self.clock.advance(-10)
        self.loop.call_later(12, self.loop.stop)
        self.loop.start()
        self.assertEqual([-86406, -86405, -86404, -86403], self.times)

    def test_b033_woken_early(self):
        self.work = -0.003
        self.make(100)
        self.run_to(0.25)
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
            self.run_to(now + 0.55)
            self.assertEqual(expected, len(self.times), actions)
            self.assertEqual(actions != ("stop",), periodic.is_running())
            periodic.stop()
            self.assertFalse(periodic.is_running())
            self.assertEqual(0, len(self.loop._timers))

    def test_b036_callback_raises(self):
        self.make(100, lambda: self.tick() or {}["missing"])
        with LogCatcher() as records:
            self.run_to(0.35)
        self.assertEqual(([0.1, 0.2, 0.3], 3), (self.times, len(records)))

    def test_jitter(self):
        self.make(1000, jitter=0.5)
        self.run_to(100)
        gaps = [b - a for a, b in zip(self.times, self.times[1:])]
        self.assertTrue(0.74 <= min(gaps) < 0.95 and 1.05 < max(gaps) <= 1.26, gaps)

    def test_b158_does_not_carry_the_context_that_started_it(self):
        with StackContext(functools.partial(keeping, [])):
            self.make(100, lambda: self.times.append(state.contexts))
        self.run_to(0.35)
        self.assertEqual([()] * 3, self.times)


class HostedTurnTest(TurnTest):
    """B293 in the catalogue of cases: the turns of a loop that another one drives."""
    loop_class = FakeHostLoop


class HostedPeriodicCallbackTest(PeriodicCallbackTest):
    loop_class = FakeHostLoop


@unittest.skipIf(ThreadPoolExecutor is None, missing("futures"))
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
            self.run_until(lambda: self.seen)
            self.assertEqual([((1, 2), False, True)], self.seen)
            del self.seen[:]
        self.loop.set_default_executor(self.executor)
        self.loop.run_in_executor(None, self.seen.append, 5)
        self.run_until(lambda: self.seen)
        self.assertRaises(TypeError, self.loop.run_in_executor, None, int, calback=self.fail)

    def test_exception_comes_home(self):
        def handler(kind, value, traceback):
            self.seen.append(str(value))
            return True

        def fail(text="on purpose"):
            raise ValueError(text)
        with ExceptionStackContext(handler):
            self.loop.run_in_executor(self.executor, fail, callback=self.fail)
            # This one is done before the loop is notified.
            self.executor.submit(int).result()
            self.loop.run_in_executor(self.executor, int, callback=lambda result: fail("late"))
        self.run_until(lambda: len(self.seen) == 2)
        self.assertEqual(["on purpose", "late"], self.seen)
        with LogCatcher() as records:
            self.loop.run_in_executor(self.executor, fail)
            self.run_until(lambda: records)

    if sys.version_info >= (3, 10):     # result() of older futures makes a cycle
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
                with LogCatcher("friendserve", logging.CRITICAL):
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
        with LogCatcher() as records:
            self.loop.run_in_executor(self.executor, go.wait, PATIENCE, callback=self.fail)
            self.loop.close()
            go.set()
            self.executor.shutdown()
        self.assertEqual([], records)


if __name__ == "__main__":
    unittest.main()
