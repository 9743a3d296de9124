from __future__ import absolute_import, division, print_function

import datetime
import random
import sys
import unittest
import weakref

from friendserve.ioloop import timers as timers_module
from friendserve.ioloop.timers import TimerQueue
from tests.fakes import FakeClock
from tests.loopcase import is_gone


class Callback(object):
    """A callback that can be weakly referenced and records its name when it runs."""

    def __init__(self, name=None, ran=None):
        self.name = name
        self.ran = ran

    def __call__(self):
        self.ran.append(self.name)


def pop_due(timers, now):
    due = []
    timers.pop_due(now, due)
    return due


def run_due(timers, now):
    for timer in pop_due(timers, now):
        callback = timer.take()
        if callback is not None:
            callback()


class TestOrder(unittest.TestCase):
    def setUp(self):
        self.timers = TimerQueue()
        self.ran = []

    def add(self, deadline, name):
        return self.timers.add(deadline, Callback(name, self.ran))

    def test_by_deadline(self):
        for deadline in (3, 1.5, 2, 0.25, -1):
            self.add(deadline, deadline)
        self.assertEqual(self.timers.next_deadline(), -1)
        run_due(self.timers, 2)
        self.assertEqual(self.ran, [-1, 0.25, 1.5, 2])
        self.assertEqual(self.timers.next_deadline(), 3)
        self.assertEqual(len(self.timers), 1)

    def test_b014_equal_deadlines_run_in_order_of_adding(self):
        for name in range(500):
            self.add(7 if name % 2 else 7.0, name)
        run_due(self.timers, 7)
        self.assertEqual(self.ran, list(range(500)))

    def test_b014_callbacks_are_never_compared(self):
        self.timers.add(1, {})
        self.timers.add(1, {})
        self.assertEqual(len(pop_due(self.timers, 1)), 2)

    def test_b013_what_a_callback_adds_waits_for_the_next_batch(self):
        def again():
            self.ran.append("again")
            self.timers.add(0, again)
        self.timers.add(0, again)
        run_due(self.timers, 5)
        self.assertEqual(self.ran, ["again"])
        self.assertEqual(self.timers.next_deadline(), 0)

    def test_b033_early_is_not_due(self):
        clock = FakeClock()
        self.add(clock() + 0.5, "x")
        clock.advance(0.497)
        run_due(self.timers, clock())
        self.assertEqual(self.ran, [])
        clock.advance(0.003)
        run_due(self.timers, clock())
        run_due(self.timers, clock())
        self.assertEqual(self.ran, ["x"])

    def test_empty(self):
        self.assertEqual(len(self.timers), 0)
        self.assertIsNone(self.timers.next_deadline())
        self.assertEqual(pop_due(self.timers, float("inf")), [])

    def test_against_a_plain_list(self):
        for seed in range(20):
            self.check_against_a_plain_list(random.Random(seed))

    def check_against_a_plain_list(self, rng):
        timers, ran, expected, waiting, now = TimerQueue(), [], [], [], 0
        for name in range(600):
            action = rng.random()
            if action < 0.55:
                deadline = now + rng.randrange(-2, 30)
                timer = timers.add(deadline, Callback(name, ran))
                waiting.append((deadline, name, timer))
            elif action < 0.9 and waiting:
                timers.remove(waiting.pop(rng.randrange(len(waiting)))[2])
            else:
                now += rng.randrange(3)
                run_due(timers, now)
                expected += [entry[1] for entry in sorted(waiting, key=lambda e: e[:2])
                             if entry[0] <= now]
                waiting = [entry for entry in waiting if entry[0] > now]
            self.assertEqual(len(timers), len(waiting))
            self.assertEqual(timers.next_deadline(),
                             min(entry[0] for entry in waiting) if waiting else None)
        self.assertEqual(ran, expected)


class TestRemove(unittest.TestCase):
    def setUp(self):
        self.timers = TimerQueue()
        self.ran = []

    def add(self, deadline, name):
        return self.timers.add(deadline, Callback(name, self.ran))

    def test_b015_removed_does_not_run(self):
        first, second = self.add(1, "first"), self.add(2, "second")
        self.timers.remove(first)
        self.assertEqual(len(self.timers), 1)
        self.assertEqual(self.timers.next_deadline(), 2)
        self.timers.remove(second)
        self.assertIsNone(self.timers.next_deadline())
        run_due(self.timers, 3)
        self.assertEqual(self.ran, [])

    def test_b015_twice(self):
        timer = self.add(1, "x")
        self.add(2, "y")
        self.timers.remove(timer)
        self.timers.remove(timer)
        self.assertEqual(len(self.timers), 1)

    def test_b015_after_it_ran(self):
        timer = self.add(1, "x")
        self.add(9, "y")
        run_due(self.timers, 1)
        self.timers.remove(timer)
        self.assertEqual(self.ran, ["x"])
        self.assertEqual(len(self.timers), 1)

    def test_b015_from_an_earlier_one_of_the_same_batch(self):
        later = []
        self.timers.add(1, lambda: self.timers.remove(later[0]))
        later.append(self.add(1, "later"))
        self.add(1, "last")
        self.add(9, "waiting")
        run_due(self.timers, 1)
        self.assertEqual(self.ran, ["last"])
        self.assertEqual(len(self.timers), 1)

    def test_b015_from_itself(self):
        own = []
        own.append(self.timers.add(1, lambda: self.timers.remove(own[0])))
        run_due(self.timers, 1)
        self.assertEqual(len(self.timers), 0)

    def test_b015_many_are_compacted(self):
        self.add(1e6, "stays")
        for i in range(100000):
            self.timers.remove(self.add(1000 + i, "x"))
            self.assertLess(len(self.timers._heap), 200)
        self.assertEqual(len(self.timers), 1)
        run_due(self.timers, 1e6)
        self.assertEqual(self.ran, ["stays"])

    def test_b015_compaction_keeps_the_order(self):
        handles = [self.add(i % 7, i) for i in range(1000)]
        for i in range(1000):
            if i % 4:
                self.timers.remove(handles[i])
        self.assertLess(len(self.timers._heap), 600)
        run_due(self.timers, 7)
        self.assertEqual(self.ran, sorted(range(0, 1000, 4), key=lambda i: (i % 7, i)))

    def test_removed_through_another_queue(self):
        other = TimerQueue()
        timer = self.add(1, "x")
        self.add(2, "y")
        other.add(2, Callback("z", self.ran))
        other.remove(timer)
        self.assertEqual((len(self.timers), len(other)), (1, 1))
        run_due(self.timers, 2)
        self.assertEqual((len(self.timers), len(other)), (0, 1))
        self.assertEqual(self.ran, ["y"])

    def test_queue_is_no_reference_cycle(self):
        callback = Callback()
        alive = weakref.ref(callback)
        timers = TimerQueue()
        timers.add(1, callback)
        del timers, callback
        self.assertTrue(is_gone(alive))

    def test_callback_is_released_at_once(self):
        callback = Callback()
        alive = weakref.ref(callback)
        timer = self.timers.add(1, callback)
        del callback
        self.assertIsNotNone(alive())
        self.timers.remove(timer)
        self.assertTrue(is_gone(alive))

    def test_b023_callback_is_released_when_taken(self):
        callback = Callback()
        alive = weakref.ref(callback)
        kept = self.timers.add(1, callback)
        del callback
        timer, = pop_due(self.timers, 1)
        self.assertIs(timer, kept)
        self.assertIs(timer.take(), alive())
        self.assertIsNone(timer.take())
        self.assertTrue(is_gone(alive))


class TestInterleaving(unittest.TestCase):
    """Another thread, a signal handler or a destructor calls `add` and `remove` between any two
    lines of the queue's methods."""

    def between_lines(self, action, function):
        """Call `function()`, and `action()` before each line of the module of timers."""
        def trace(frame, event, argument):
            if frame.f_code.co_filename != timers_module.TimerQueue.add.__code__.co_filename:
                return None
            if event == "line":
                action()
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function()
        finally:
            sys.settrace(before)

    def run_all(self, add, seed):
        """Run a queue to its end; between its lines timers are removed, and if `add` added."""
        rng = random.Random(seed)
        timers, ran, expected, waiting = TimerQueue(), [], set(), {}

        def new(deadline):
            name = len(expected) + len(removed)
            expected.add(name)
            waiting[name] = timers.add(deadline, Callback(name, ran))

        def cancel():
            name = rng.choice(sorted(waiting))
            timers.remove(waiting.pop(name))
            # It may be running: then it has been called, once.
            if name not in ran:
                expected.discard(name)
                removed.add(name)

        removed = set()
        left = [300]

        def other_thread():
            if left[0] > 0:
                left[0] -= 1
                if add:
                    # Earlier than all others.
                    new(-left[0] if seed & 1 else rng.randrange(100))
                if waiting:
                    cancel()

        for _ in range(300):
            new(rng.randrange(100))
        for _ in range(100):
            cancel()

        def owner():
            for now in range(101):
                run_due(timers, now)
                timers.next_deadline()
            timers.remove(timers.add(1e9, Callback("never", ran)))
        try:
            self.between_lines(other_thread, owner)
            run_due(timers, 101)
        except (IndexError, KeyError, RuntimeError, ValueError) as error:
            self.fail("%s: %r" % (type(error).__name__, error))
        self.assertLessEqual(left[0], 0)
        self.assertEqual((sorted(expected), 0), (sorted(ran), len(timers)))

    def test_b281_remove_between_the_lines(self):
        for seed in range(4):
            self.run_all(False, seed)

    def test_b281_add_and_remove_between_the_lines(self):
        for seed in range(4):
            self.run_all(True, seed)


class TestDeadlines(unittest.TestCase):
    def setUp(self):
        self.timers = TimerQueue()

    def test_b037_endless(self):
        self.timers.add(float("inf"), print)
        self.timers.add(1e300, print)
        self.assertEqual(self.timers.next_deadline(), 1e300)
        self.assertEqual(pop_due(self.timers, 1e9), [])

    def test_nonsense_is_refused(self):
        self.assertRaises(ValueError, self.timers.add, float("nan"), print)
        for deadline in (None, "1", datetime.timedelta(seconds=1)):
            self.assertRaises(TypeError, self.timers.add, deadline, print)
        self.assertEqual(len(self.timers), 0)

    def test_handles_are_hashable_and_distinct(self):
        first, second = self.timers.add(1, print), self.timers.add(1, print)
        self.assertNotEqual(first, second)
        self.assertEqual(len(set([first, second, first])), 2)
        self.assertTrue(first)
