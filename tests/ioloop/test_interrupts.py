"""Exceptions of signal handlers, raised at every instruction of a turn.

A trace function raises KeyboardInterrupt at the first, second, third... instruction of the loop
(line on Pythons before 3.7), each time on a new loop, until one run is not interrupted any more.
"""
from __future__ import absolute_import, division, print_function

import os
import signal
import sys
import unittest
from random import Random

from friendserve import ioloop
from friendserve.ioloop import IOLoop
from friendserve.ioloop.timers import TimerQueue
from friendserve.platform.pollers import common
from friendserve.platform.pollers.auto import available_pollers, make_poller
from tests import PATIENCE
from tests.loopcase import Loops, open_fds

#: The code that is interrupted: the loop and its waker, but not the pollers.
_PLACES = (os.path.dirname(os.path.abspath(ioloop.__file__)),
           os.path.splitext(os.path.abspath(common.__file__))[0])


class Interrupter(object):
    """Raises KeyboardInterrupt at the instruction with this number, counted from 1."""

    def __init__(self, number):
        self.left = number

    def __call__(self, function, *args):
        """Whether the call was interrupted."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            function(*args)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    def _trace(self, frame, event, arg):
        if os.path.abspath(frame.f_code.co_filename).startswith(_PLACES):
            if hasattr(frame, "f_trace_opcodes"):
                frame.f_trace_opcodes = True
            return self._count

    def _count(self, frame, event, arg):
        if event in ("line", "opcode"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt()
        return self._count


def interrupted_everywhere(function):
    """Call `function(interrupter)` for every instruction. It returns whether it was interrupted;
    the first time that it was not is the last. Returns the number of calls."""
    number = 1
    while next(_apart(function, Interrupter(number))):
        number += 1
    return number


def _apart(function, interrupter):
    # An interrupt between two instructions of CPython may leave an exception as the one that is
    # being handled, until the end of the generator in which it happened.
    yield function(interrupter)


class WatchedPoller(object):
    """A poller that calls `before_poll` just before it waits, where another thread would do
    something. It does not wait for long, and counts in `woken` the waits that something ended."""

    def __init__(self, poller):
        self._poller = poller
        self.before_poll = None
        self.woken = 0

    def __getattr__(self, name):
        return getattr(self._poller, name)

    def poll(self, seconds):
        if self.before_poll is None or seconds == 0:
            return self._poller.poll(seconds)
        self.before_poll()
        events = self._poller.poll(0.01)
        self.woken += bool(events)
        return events


class InterruptContract(Loops):
    impl = None

    def setUp(self):
        self.addCleanup(signal.set_wakeup_fd, signal.set_wakeup_fd(-1))
        self.outer = self.make_loop()
        self.outer.make_current()
        self.addCleanup(IOLoop.clear_current)

    def new_watched_loop(self):
        self.poller = WatchedPoller(make_poller(self.impl))
        return IOLoop(self.poller, make_current=False)

    def work(self, loop, ran):
        """Give `loop` a bit of everything that a turn does."""
        loop.add_callback(ran.append, "callback")
        loop.call_at(0, ran.append, "timer")
        loop.call_at(0, ran.append, "timer")
        loop.remove_timeout(loop.call_at(0, self.fail))
        loop.add_callback(lambda: loop.add_callback(loop.stop))     # after two turns

    def assert_sound(self, loop, ran=None):
        """Check that an interrupt left `loop` as it was before the call."""
        self.assertFalse(loop.running(), "the loop is still running")
        self.assertIs(self.outer, IOLoop.current())
        fd = signal.set_wakeup_fd(-1)
        self.assertEqual(-1, fd, "the wakeup fd is still set")
        woken = []
        for _ in range(3):
            loop.run_once(0)
        self.assert_woken_by(loop, lambda: loop.add_callback(woken.append, 1))
        self.assertEqual([1], woken)
        loop.add_callback(loop.stop)
        loop.start()
        self.assertEqual(-1, signal.set_wakeup_fd(-1))

    def assert_woken_by(self, loop, act):
        """Check that `act()` while the loop waits ends the wait, and run what it has queued."""
        self.poller.before_poll, self.poller.woken = act, 0
        loop.run_once(PATIENCE)
        self.poller.before_poll = None
        self.assertEqual(1, self.poller.woken, "the loop was not woken")
        loop.run_once(0)

    def test_b275_interrupted_anywhere_in_run_once(self):
        def once(interrupt):
            loop, ran = self.new_watched_loop(), []
            self.work(loop, ran)
            found = interrupt(loop.run_once, 0)
            self.assert_sound(loop)
            # At most the callback that was about to run is lost.
            self.assertGreaterEqual(len(ran), 2 if found else 3, ran)
            loop.close()
            return found
        before = open_fds()
        self.assertGreater(interrupted_everywhere(once), 20)
        self.assertEqual(before, open_fds())

    def test_b275_interrupted_anywhere_in_start(self):
        def once(interrupt):
            loop, ran = self.new_watched_loop(), []
            self.work(loop, ran)
            found = interrupt(loop.start)
            self.assert_sound(loop)
            self.assertGreaterEqual(len(ran), 2 if found else 3, ran)
            loop.close()
            return found
        before = open_fds()
        self.assertGreater(interrupted_everywhere(once), 20)
        self.assertEqual(before, open_fds())

    def test_b275_interrupted_anywhere_in_start_the_wakeup_fd_of_another_library_stays(self):
        _, writer = self.socket_pair()

        def once(interrupt):
            loop = self.new_watched_loop()
            loop.stop()
            signal.set_wakeup_fd(writer.fileno())
            found = interrupt(loop.start)
            self.assertEqual(writer.fileno(), signal.set_wakeup_fd(-1))
            self.assert_sound(loop)
            loop.close()
            return found
        self.assertGreater(interrupted_everywhere(once), 20)

    def test_b275_interrupted_anywhere_in_what_wakes_a_waiting_loop(self):
        for name, args in (("add_callback", (int,)), ("call_later", (0, int)), ("stop", ())):
            def once(interrupt):
                loop, found, woken = self.new_watched_loop(), [], []

                def while_it_waits():
                    found.append(interrupt(getattr(loop, name), *args))
                    loop.add_callback(woken.append, 1)
                self.assert_woken_by(loop, while_it_waits)
                self.assertEqual([1], woken)
                self.assert_sound(loop)
                loop.close()
                return found[0]
            before = open_fds()
            self.assertGreater(interrupted_everywhere(once), 5)
            self.assertEqual(before, open_fds())

    def test_b275_interrupted_anywhere_after_an_exception(self):
        """An exit passes through `start`, and a second interrupt comes while it is undone."""
        def once(interrupt):
            def leave():
                if not left:
                    raise SystemExit()
            loop, left = self.new_watched_loop(), []
            loop.add_callback(leave)
            try:
                found = interrupt(loop.start)
            except SystemExit:
                found = False
            left.append(1)
            self.assert_sound(loop)
            loop.close()
            return found
        before = open_fds()
        self.assertGreater(interrupted_everywhere(once), 20)
        self.assertEqual(before, open_fds())


class RealSignalsTest(Loops, unittest.TestCase):
    """Trace functions do not see every place where Python looks for signals."""

    def test_b275_interrupted_by_signals(self):
        self.loop = self.make_loop()
        armed = []

        def handler(number, frame):
            if armed:
                armed.pop()
                raise KeyboardInterrupt()

        def again():
            self.loop.add_callback(again)
            self.loop.call_later(0, int)

        def once():
            self.loop.run_once(0)
            self.loop.add_callback(int)

        def repeat():
            while True:
                once()
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, handler))
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        random = Random(275)
        for number in range(400):
            if number % 2:
                self.loop.add_callback(again)
            armed.append(1)
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-4), 1e-3)
                (self.loop.start if number % 2 else repeat)()
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
            self.assertFalse(self.loop.running(), "round %d" % number)
            self.assertIsNone(IOLoop.current(instance=False))
            self.assertEqual(-1, signal.set_wakeup_fd(-1))
            self.loop._callbacks.clear()


class TimersInterruptTest(unittest.TestCase):
    def test_b275_interrupted_anywhere_in_the_queue_of_timers(self):
        """Of what was added before, nothing is lost, nothing runs twice, and what was cancelled
        does not run; the queue can be asked whether it is empty."""
        def once(interrupt):
            timers, due, ran = TimerQueue(), [], []
            kept = [timers.add(number, number) for number in range(3)]
            cancelled = [timers.add(number / 100, "cancelled") for number in range(70)]
            for timer in cancelled[:-1]:
                timers.remove(timer)

            def work():
                timers.next_deadline()
                timers.remove(cancelled[-1])
                timers.add(1, "added")
                timers.pop_due(1, due)
            found = interrupt(work)
            timers.remove(cancelled[-1])
            for now in (1, 2):
                self.assertEqual(bool(timers), len(timers) > 0)
                timers.pop_due(now, due)
                for timer in due:
                    callback = timer.take()
                    if callback is not None:
                        ran.append(callback)
                del due[:]
            self.assertEqual([0, 1, 2], [number for number in ran if number != "added"])
            self.assertLessEqual(ran.count("added"), 1)
            self.assertEqual([None] * 3, [timer.take() for timer in kept])
            self.assertIsNone(timers.next_deadline())
            return found
        self.assertGreater(interrupted_everywhere(once), 20)


for _name in available_pollers():
    globals()["%sInterruptTest" % _name.title()] = type(
        str("%sInterruptTest" % _name.title()), (InterruptContract, unittest.TestCase),
        {"impl": _name})
