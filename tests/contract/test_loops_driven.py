"""A loop that is driven by another program, on every poller: its waits, its fds, its stop; and fds
that were closed behind it."""
from __future__ import absolute_import, division, print_function

import os
import select
import socket
import sys
import threading
import unittest

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import available_pollers, make_poller
from friendserve.platform.pollers.interface import MAX_WAIT
from tests import PATIENCE
from tests.loopcase import CountingPoller, LogCatcher, Loops

READ, WRITE = IOLoop.READ, IOLoop.WRITE


def interrupt():
    raise KeyboardInterrupt()


class DrivenContract(Loops):
    impl = None

    def setUp(self):
        self.poller = CountingPoller(make_poller(self.impl))
        self.loop = self.make_loop(self.poller)

    def outer_wait(self, seconds):
        """Wait as an outer select loop does, for `fileno` or else for what is watched. Returns
        whether something was ready."""
        try:
            wanted = {self.loop.fileno(): READ}
        except NotImplementedError:
            wanted = self.loop.watched()
        return any(select.select([fd for fd in wanted if wanted[fd] & READ],
                                 [fd for fd in wanted if wanted[fd] & WRITE], [], seconds))

    def test_b279_nothing_in_sight_is_none(self):
        self.assertIsNone(self.loop.run_once(0))
        self.loop.call_at(float("inf"), self.fail)
        self.assertIsNone(self.loop.run_once(0))
        self.assertIsNone(self.loop.wait_time())

    def test_b279_a_wait_is_never_longer_than_pollers_allow(self):
        for delay in (1e18, 30 * 86400):
            timer = self.loop.call_later(delay, self.fail)
            wait = self.loop.run_once(0)
            self.assertEqual(MAX_WAIT, wait)
            self.assertEqual(MAX_WAIT, self.loop.wait_time())
            select.select([], [], [], wait * 0)
            self.loop.remove_timeout(timer)
        self.loop.call_later(1000, self.fail)
        self.assertTrue(900 < self.loop.run_once(0) <= 1000)

    def test_b279_the_time_to_wait_without_a_turn(self):
        seen = []
        self.assertIsNone(self.loop.wait_time())
        self.loop.call_later(1000, self.fail)
        self.assertTrue(900 < self.loop.wait_time() <= 1000)
        self.loop.call_later(-1, seen.append, "timer")
        self.assertEqual(0, self.loop.wait_time())
        self.loop.run_once(0)
        self.assertTrue(900 < self.loop.wait_time() <= 1000)
        self.loop.add_callback(seen.append, "callback")
        self.assertEqual(0, self.loop.wait_time())
        self.loop.run_once(0)
        self.assertEqual(["timer", "callback"], seen)
        self.loop.stop()
        self.assertEqual(0, self.loop.wait_time())

    def test_b279_what_an_interrupt_leaves_is_visible_to_the_outer_loop(self):
        """Whether it interrupts a handler, a callback or a timer."""
        for run in (self.loop.run_once, self.loop.start):
            for arrange in (self.interrupting_handler, self.interrupting_callback,
                            self.interrupting_timer):
                seen = []
                arrange(seen)
                self.assertRaises(KeyboardInterrupt, run)
                self.assertEqual([], seen)
                self.assertTrue(self.outer_wait(0), arrange)
                self.run_until(lambda: seen)
                self.assertEqual(["left"], seen)
                self.assert_quiet()
                self.assertFalse(self.outer_wait(0))

    def interrupting_handler(self, seen):
        a, b = self.socket_pair()

        def handler(sock, events):
            self.loop.remove_handler(sock)
            self.loop.add_callback(seen.append, "left")
            raise KeyboardInterrupt()
        self.loop.add_handler(a, handler, READ)
        b.send(b"x")

    def interrupting_callback(self, seen):
        # Added by a callback, so that no wake-up is left over from outside.
        self.loop.add_callback(lambda: (
            self.loop.add_callback(interrupt), self.loop.add_callback(seen.append, "left")))
        self.loop.run_once(0)

    def interrupting_timer(self, seen):
        deadline = self.loop.time() + 0.01
        self.loop.call_at(deadline, interrupt)
        self.loop.call_at(deadline, seen.append, "left")
        # Takes the wake-up of call_at.
        while not self.poller.polls[-1:] == [[]]:
            self.loop.run_once(0)
        while self.loop.time() < deadline:
            pass

    def test_b280_a_driver_is_told_of_stop(self):
        self.assertFalse(self.loop.stopped())
        self.loop.run_once(0)
        self.assertFalse(self.loop.stopped())
        self.loop.add_callback(self.loop.stop)
        self.loop.run_once(0)
        self.assertTrue(self.loop.stopped())
        # Only this turn, and not the next `start` either.
        self.assertIsNone(self.loop.run_once(0))
        self.assertFalse(self.loop.stopped())
        self.loop.call_later(0, self.loop.stop)
        self.loop.start()
        self.assertTrue(self.loop.stopped())

    def test_b280_stop_between_turns_ends_the_wait_of_the_driver(self):
        for stop in (self.loop.stop, lambda: self.in_thread(self.loop.stop)):
            self.assert_quiet()
            stop()
            self.assertTrue(self.outer_wait(0))
            self.assertEqual(0, self.loop.wait_time())
            self.loop.run_once(PATIENCE)
            self.assertTrue(self.loop.stopped())

    def in_thread(self, function, *args):
        thread = threading.Thread(target=function, args=args)
        thread.start()
        thread.join(PATIENCE)

    def test_b283_outer_loop_without_a_fileno(self):
        """An outer select loop over `watched` and `wait_time`: nothing is lost."""
        a, b = self.socket_pair()
        seen = []
        self.loop.add_handler(a, lambda sock, events: seen.append(sock.recv(9)), READ)
        watched = self.loop.watched()
        self.assertEqual(READ, watched.pop(a.fileno()))
        # The other one is for wake-ups.
        self.assertEqual([READ], list(watched.values()))
        self.loop.update_handler(a, READ | WRITE | IOLoop.ERROR)
        self.assertEqual(READ | WRITE, self.loop.watched()[a.fileno()])
        self.loop.update_handler(a, READ)

        def callback():
            self.loop.add_callback(seen.append, b"callback")

        def timer():
            self.loop.add_callback(self.loop.call_later, 0.01, seen.append, b"from a thread")
        steps = [lambda: b.send(b"fd"), threading.Thread(target=callback).start,
                 lambda: self.loop.call_later(0.01, seen.append, b"timer"),
                 threading.Thread(target=timer).start]
        for count, step in enumerate(steps, 1):
            step()
            for _ in range(100):
                if len(seen) == count:
                    break
                wait = self.loop.wait_time()
                self.outer_wait(PATIENCE if wait is None else wait)
                self.loop.run_once(0)
        self.assertEqual([b"fd", b"callback", b"timer", b"from a thread"], seen)
        self.loop.remove_handler(a)
        self.assertNotIn(a.fileno(), self.loop.watched())

    def test_b283_a_closed_fd_is_listed_until_a_turn_has_found_it(self):
        if self.impl not in ("poll", "select"):
            return
        a, b = socket.socketpair()
        self.addCleanup(b.close)
        number = a.fileno()
        self.loop.add_handler(number, lambda fd, events: self.fail("called"), READ)
        a.close()
        self.loop.run_once(0)
        self.assertNotIn(number, self.loop.watched())
        self.outer_wait(0)

    def test_b282_a_number_that_was_closed_behind_the_loop_is_not_poisoned(self):
        """Many times, with sockets and pipes, registered by number and as objects."""
        for count in range(20):
            number = self.closed_behind_the_loop(as_object=bool(count & 1))
            self.assert_accepts(number)

    def closed_behind_the_loop(self, as_object):
        a, b = socket.socketpair()
        self.addCleanup(b.close)
        number = a.fileno()
        self.loop.add_handler(a if as_object else number, self.old_handler, READ)
        self.loop.run_once(0)
        a.close()
        return number

    def old_handler(self, fd, events):
        self.fail("the handler of the closed file was called")

    def assert_accepts(self, number):
        """A new connection gets `number` and a handler, which alone is called."""
        c, d = socket.socketpair()
        if c.fileno() != number:
            # sockets() of another test may hold lower numbers.
            os.dup2(c.fileno(), number)
            self.addCleanup(os.close, number)
        self.addCleanup(c.close)
        self.addCleanup(d.close)
        seen = []
        with LogCatcher() as records:
            try:
                self.loop.add_handler(
                    number, lambda fd, events: seen.append(c.recv(9)), READ)
            except ValueError as error:
                self.fail("the new connection was refused: %s" % error)
        self.assertEqual(1, len(records))
        self.assertIn("fd %d was closed" % number, records[0].message)
        self.assertIn("old_handler", records[0].message)
        d.send(b"new")
        self.run_until(lambda: seen)
        self.assertEqual([b"new"], seen)
        self.loop.remove_handler(number)
        self.assert_quiet()

    def test_b282_a_number_that_poll_found_closed_is_free_for_every_kind_of_file(self):
        """The files of /dev/null, like all eventfds, look the same to fstat."""
        if self.impl not in ("poll", "select"):
            return
        fd = os.open(os.devnull, os.O_RDONLY)
        self.loop.add_handler(fd, lambda fd, events: None, READ)
        os.close(fd)
        for _ in range(3):
            self.loop.run_once(0)
        again = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, again)
        self.assertEqual(fd, again)
        seen = []
        try:
            self.loop.add_handler(again, lambda fd, events: seen.append(events), READ)
        except ValueError as error:
            self.fail("the new file was refused: %s" % error)
        self.run_until(lambda: seen)
        self.assertRaises(ValueError, self.loop.add_handler, again, print, READ)
        self.loop.remove_handler(again)

    def test_b282_an_object_that_is_closed_gives_up_its_number(self):
        """Although its file and the next one look the same, as the sockets of Windows do."""
        with open(os.devnull, "rb") as old:
            if self.impl not in ("poll", "select"):
                # epoll cannot wait for it, but here the kernel distinguishes files.
                self.assertRaises(EnvironmentError, self.loop.add_handler, old, print, READ)
                return
            number = old.fileno()
            self.loop.add_handler(old, self.old_handler, READ)
            self.assertRaises(ValueError, self.loop.add_handler, number, print, READ)
        seen = []
        with open(os.devnull, "rb") as new, LogCatcher() as records:
            self.assertEqual(number, new.fileno())
            try:
                self.loop.add_handler(new, lambda file, events: seen.append(file), READ)
            except ValueError as error:
                self.fail("the new file was refused: %s" % error)
            self.run_until(lambda: seen)
            self.loop.remove_handler(old)
            self.assertRaises(ValueError, self.loop.add_handler, number, print, READ)
            self.loop.remove_handler(new)
            self.assertIs(new, seen[0])
        self.assertEqual(1, len(records))
        self.assertIn("old_handler", records[0].message)

    def test_b281_timers_of_other_threads_under_load(self):
        """Each one that is not removed is called once, and the loop survives."""
        called, kept, failed = [], [], []

        def work(name):
            timers = []
            for number in range(400):
                delay = 0.001 * (number * 7 % 13)
                if number % 3:
                    timers.append(self.loop.call_later(PATIENCE, called.append, (name, "late")))
                    if len(timers) > 70:
                        for timer in timers:
                            self.loop.remove_timeout(timer)
                        del timers[:]
                else:
                    kept.append((name, number))
                    self.loop.call_later(delay, called.append, (name, number))
            for timer in timers:
                self.loop.remove_timeout(timer)

        switch = getattr(sys, "setswitchinterval", None)
        if switch is not None:
            self.addCleanup(switch, sys.getswitchinterval())
            switch(1e-5)
        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        try:
            self.run_until(lambda: not any(thread.is_alive() for thread in threads) and (
                len(called) >= len(kept)))
        except (ValueError, IndexError) as error:
            failed.append(error)
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual([], failed)
        self.assertEqual(sorted(kept), sorted(called))
        self.assertEqual(0, len(self.loop._timers))

    def test_b281_a_timer_of_another_thread_wakes_the_loop(self):
        self.loop.call_later(PATIENCE, self.fail)
        thread = threading.Timer(0.01, lambda: self.loop.call_later(0, self.loop.stop))
        thread.start()
        self.loop.start()
        thread.join(PATIENCE)


for _name in available_pollers():
    globals()["%sDrivenTest" % _name.title()] = type(
        str("%sDrivenTest" % _name.title()), (DrivenContract, unittest.TestCase), {"impl": _name})


if __name__ == "__main__":
    unittest.main()
