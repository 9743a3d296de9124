"""Watching the turns of a loop, and its debug mode; the clock moves only by hand."""
from __future__ import absolute_import, division, print_function

import functools
import gc
import os
import sys
import threading
import unittest
import weakref

from friendserve.ioloop import IOLoop
from friendserve.stack_context import StackContext
from tests import PATIENCE
from tests.fakes import FakeClock, FakeHostLoop, FakePoller
from tests.forkcase import ForkCase
from tests.loopcase import LogCatcher, Loops, keeping

READ = IOLoop.READ
FILE = os.path.splitext(os.path.abspath(__file__))[0]


class Worker(object):
    def __init__(self, clock):
        self.clock = clock

    def work(self, seconds, events=None):
        self.clock.advance(seconds if events is None else 0.3)

    def __call__(self):
        self.clock.advance(0.1)


class WatchingTest(ForkCase, Loops, unittest.TestCase):
    def setUp(self):
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.loop = self.make_loop(self.poller, time_func=self.clock)
        self.worker = Worker(self.clock)
        self.turns = []

    def watch(self, slow=0, callback=None):
        watch = getattr(self.loop, "watch_turns", None)
        self.assertIsNotNone(watch, "the loop cannot watch its turns")
        watch(callback or self.turns.append, slow)

    def debug(self, enabled=True, **kwargs):
        set_debug = getattr(self.loop, "set_debug", None)
        self.assertIsNotNone(set_debug, "the loop has no debug mode")
        set_debug(enabled, **kwargs)

    def assert_slowest(self, name, seconds):
        self.loop.run_once(5)
        self.assertEqual((name, seconds), (
            self.turns[-1].slowest, round(self.turns[-1].slowest_seconds, 6)))

    def test_b284_seconds_of_a_turn_without_its_wait(self):
        self.watch()
        self.loop.run_once(7)
        self.loop.add_callback(self.worker.work, 0.25)
        self.loop.call_at(1007.2, self.worker.work, 0.5)
        self.loop.run_once(7)
        self.loop.run_once(7)
        self.assertEqual([0.0, 0.75, 0.0], [round(turn.seconds, 6) for turn in self.turns])
        self.assertEqual(1014.75 + 7, self.clock())

    def test_b284_name_of_the_slowest(self):
        self.watch()
        name = "%s.Worker.work" % __name__
        self.loop.add_callback(self.worker)
        self.loop.add_callback(functools.partial(self.worker.work, seconds=0.2))
        self.assert_slowest(name, 0.2)
        self.loop.add_callback(self.worker)
        self.assert_slowest("%s.Worker" % __name__, 0.1)
        with StackContext(functools.partial(keeping, [])):
            self.loop.call_later(0, self.worker.work, 0.15)
        self.assert_slowest(name, 0.15)
        self.loop.add_callback(self.clock.advance, 0.01)
        self.assert_slowest("tests.fakes.FakeClock.advance", 0.01)
        self.loop.run_once(5)
        self.assertIsNone(self.turns[-1].slowest)

    def test_b284_name_of_a_handler(self):
        """Registered by number, as an object, and in a stack context."""
        a, b = self.socket_pair()
        self.watch()
        with StackContext(functools.partial(keeping, [])):
            self.loop.add_handler(a.fileno(), self.worker.work, READ)
            self.loop.add_handler(b, self.worker.work, READ)
        for sock in (a, b):
            self.poller.script([(sock.fileno(), READ)])
            self.assert_slowest("%s.Worker.work" % __name__, 0.3)

    def test_b284_a_handler_that_was_removed_in_the_same_batch_is_not_called(self):
        a, b = self.socket_pair()
        called = []

        def handler(sock, events):
            called.append(sock)
            for other in (a, b):
                self.loop.remove_handler(other)
            # An event polled for the old handler does not reach the new one.
            self.loop.add_handler(b if sock is a else a, lambda fd, events: called.append(0), READ)
        for sock in (a, b):
            self.loop.add_handler(sock, handler, READ)
        self.watch()
        self.poller.script([(a.fileno(), READ), (b.fileno(), READ)])
        self.loop.run_once(0)
        self.assertEqual(1, len(called))

    def test_b284_only_slow_turns(self):
        fast = []
        self.watch(0.2)
        self.watch(0, fast.append)
        for seconds in (0.1, 0.2, 0.3):
            self.loop.add_callback(self.worker.work, seconds)
            self.loop.run_once(5)
        self.assertEqual([0.2, 0.3], [round(turn.seconds, 6) for turn in self.turns])
        self.assertEqual(3, len(fast))
        self.watch(0.25)
        self.loop.unwatch_turns(fast.append)
        for seconds in (0.2, 0.3):
            self.loop.add_callback(self.worker.work, seconds)
            self.loop.run_once(5)
        self.assertEqual((3, 3), (len(self.turns), len(fast)))

    def test_b284_how_late_timers_are(self):
        self.watch()
        self.loop.run_once(5)
        self.loop.call_later(2, int)
        # As a driver that does something else.
        self.clock.advance(2.5)
        self.loop.run_once(5)
        # A deadline in the past is not late.
        self.loop.call_at(3, int)
        self.loop.run_once(5)
        self.loop.run_once(5)
        self.assertEqual([0.0, 0.5, 0.0, 0.0], [turn.late for turn in self.turns])

    def test_b284_an_exception_of_a_watcher_is_logged(self):
        self.watch(0, lambda turn: {}["missing"])
        self.watch()
        with LogCatcher() as records:
            self.loop.run_once(0)
        self.assertEqual((1, 1), (len(records), len(self.turns)))

    def test_b284_nothing_remains_when_nobody_watches(self):
        before = set(self.loop.__dict__)
        self.watch()
        self.debug()
        # Within a turn too.
        self.loop.add_callback(self.loop.unwatch_turns, self.turns.append)
        self.loop.add_callback(self.debug, False)
        self.loop.run_once(0)
        self.assertEqual(set(["_watch"]), set(self.loop.__dict__) - before - set(["attachments"]))
        self.loop.add_callback(self.worker.work, 1)
        self.loop.run_once(0)
        self.assertEqual([], self.turns)

    def test_b284_nothing_that_a_callback_held_lives_through_the_wait(self):
        class Big(object):
            pass
        big = Big()
        alive = weakref.ref(big)
        self.watch()
        self.debug()
        self.loop.add_callback(lambda big: self.clock.advance(1), big)
        del big
        seen = []
        self.poller.poll = lambda seconds: gc.collect() and [] or seen.append(alive()) or []
        with LogCatcher():
            self.loop.run_once(0)
        self.assertEqual([None], seen)

    def test_b284_the_place_that_scheduled_a_slow_callback(self):
        self.debug(slow=0.5)
        lines = []

        def here():
            frame = sys._getframe(1)
            lines.append(frame.f_lineno)
            return self.worker.work
        with LogCatcher() as records:
            self.loop.add_callback(here(), 0.6)
            self.loop.run_once(0)
            self.loop.call_later(0, here(), 0.7)
            self.loop.run_once(0)
            with StackContext(functools.partial(keeping, [])):
                self.loop.add_callback(here(), 0.8)
            self.loop.run_once(0)
            self.loop.add_callback(here(), 0.4)
            self.loop.run_once(0)
        self.assertEqual(3, len(records))
        for record, line, seconds in zip(records, lines, ("0.600", "0.700", "0.800")):
            self.assertIn("%s.Worker.work" % __name__, record.message)
            self.assertIn(seconds, record.message)
            self.assertTrue(FILE + ".py:%d" % line in record.message, record.message)

    def test_b284_the_place_that_scheduled_a_callback_that_raises(self):
        self.debug()
        with LogCatcher() as records:
            self.loop.add_callback(lambda: {}["missing"])
            self.loop.run_once(0)
        self.assertEqual(1, len(records))
        self.assertIn("scheduled at " + FILE, records[0].message)

    def test_b470_the_place_that_scheduled_a_callback_through_a_partial(self):
        self.debug()
        with LogCatcher() as records:
            functools.partial(self.loop.add_callback, lambda: {}["missing"])()
            self.loop.run_once(0)
        self.assertEqual(1, len(records))
        self.assertIn("scheduled at " + FILE, records[0].message)

    def in_thread(self, function):
        thread = threading.Thread(target=function, name="the-other-thread")
        thread.start()
        thread.join(PATIENCE)

    def test_b281_debug_mode_names_calls_from_other_threads(self):
        a, _ = self.socket_pair()
        timers = []
        calls = {
            "call_at": lambda: self.loop.call_at(2000, self.fail),
            "call_later": lambda: timers.append(self.loop.call_later(1000, self.fail)),
            "add_timeout": lambda: self.loop.add_timeout(1500, self.fail),
            "remove_timeout": lambda: self.loop.remove_timeout(timers[0]),
            "add_handler": lambda: self.loop.add_handler(a, lambda fd, events: None, READ),
            "update_handler": lambda: self.loop.update_handler(a, READ),
            "remove_handler": lambda: self.loop.remove_handler(a),
        }
        self.debug()
        for name in ("call_at", "call_later", "add_timeout", "remove_timeout", "add_handler",
                     "update_handler", "remove_handler"):
            with LogCatcher() as records:
                for _ in range(3):
                    self.loop.add_callback(self.in_thread, calls[name])
                    self.loop.run_once(0)
                    if name == "add_handler":
                        self.loop.remove_handler(a)
                if name == "add_handler":
                    self.loop.add_handler(a, lambda fd, events: None, READ)
            # Once for each place.
            self.assertEqual(1, len(records), name)
            message = records[0].message
            for part in ("calls %s in thread the-other-thread" % name,
                         "runs in thread %s" % threading.current_thread().name, FILE,
                         "add_callback(loop.%s" % name):
                self.assertIn(part, message)

    def test_b281_what_other_threads_may_do_is_not_named(self):
        self.debug()
        with LogCatcher() as records:
            self.loop.add_callback(self.in_thread, lambda: (
                self.loop.add_callback(int), self.loop.spawn_callback(int), self.loop.time()))
            self.loop.run_once(0)
            self.loop.add_callback(self.loop.stop)
            self.loop.start()
            # It may be started in another thread, and so be prepared there.
            self.in_thread(lambda: self.loop.call_later(1, int))
            self.loop.add_callback(sys.exit)
            self.assertRaises(SystemExit, self.loop.start)
            self.in_thread(lambda: self.loop.call_later(1, int))
            self.debug(False)
            self.in_thread(lambda: self.loop.call_later(1, int))
        self.assertEqual([], records)

    def test_b281_a_thread_that_a_fork_has_left_behind_is_not_named(self):
        self.loop = self.make_loop()
        self.debug()
        running = threading.Event()
        thread = threading.Thread(target=self.loop.start)
        thread.start()
        self.loop.add_callback(running.set)
        running.wait(PATIENCE)

        def continue_it():
            with LogCatcher() as records:
                self.loop.after_fork()
                self.loop.call_later(0, self.loop.stop)
                self.loop.start()
            return [record.message for record in records]
        try:
            self.assertEqual("[]", self.in_child(continue_it))
        finally:
            self.loop.add_callback(self.loop.stop)
            thread.join(PATIENCE)


class HostedWatchingTest(Loops, unittest.TestCase):
    loop_class = FakeHostLoop

    def test_b284_the_wait_of_a_hosted_loop_is_not_counted(self):
        clock, turns = FakeClock(), []
        loop = self.make_loop(FakePoller(clock), time_func=clock)
        loop.watch_turns(turns.append)
        loop.run_once(5)
        loop.add_callback(clock.advance, 0.25)
        loop.call_later(7, clock.advance, 0.5)
        for _ in range(3):
            loop.run_once(10)
        self.assertEqual([0.0, 0.25, 0.5, 0.0], [round(turn.seconds, 6) for turn in turns])
        self.assertLess(1012, clock())


if __name__ == "__main__":
    unittest.main()
