from __future__ import absolute_import, division, print_function

import os
import unittest

import six

from friendserve.serve.scoreboard import (
    DRAINING, FREE, MAX_NUMBERS, PLACES, READY, STARTING, Scoreboard)
from friendserve.testing import ExpectLog


def in_child(function):
    """Run a function in a child process, and wait for it; True if it returned."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


class ScoreboardTest(unittest.TestCase):
    def setUp(self):
        self.board = Scoreboard(2)

    def work(self, place, count):
        def work():
            place.start()
            place.state = READY
            place.beat()
            index = place.declare(["counter", u"caf\xe9_total", u"", {u"a": u"\u2028"}], 1)
            place.numbers[index] += count
            index = place.declare(["gauge", u"open", u"", {}], 1)
            place.numbers[index] = 7

        self.assertTrue(in_child(work))

    def values(self, place):
        return [list(place.numbers[index:index + count])
                for _, index, count in place.entries()]

    def test_b400_the_master_sees_what_a_worker_writes(self):
        place = self.board.begin(1, 5)
        self.assertEqual((STARTING, 0), (place.state, place.pid))
        self.work(place, 3)
        self.assertEqual((1, 5, READY, 1), (place.slot, place.generation, place.state, place.turns))
        self.assertNotIn(place.pid, (0, os.getpid()))
        self.assertEqual([place], self.board.workers())
        self.assertEqual([[3.0], [7.0]], self.values(place))

    def test_b400_the_next_worker_of_a_slot_adds_to_the_counters(self):
        for count in (3, 4):
            place = self.board.begin(0, count)
            self.work(place, count)
            self.board.end(place)
        self.assertEqual((FREE, 0), (place.state, place.pid))
        # The gauge of a worker that has ended is 0.
        self.assertEqual([[7.0], [0.0]], self.values(place))

    def test_b400_a_worker_that_drains_keeps_its_place(self):
        old = self.board.begin(0, 1)
        old.state = DRAINING
        new = self.board.begin(0, 2)
        self.work(new, 2)
        self.work(old, 1)
        self.assertEqual([[[1.0], [7.0]], [[2.0], [7.0]]],
                         [self.values(place) for place in self.board.workers()])

    def test_b400_more_workers_than_places_are_an_error(self):
        for _ in range(PLACES):
            self.board.begin(0, 1)
        with six.assertRaisesRegex(self, RuntimeError, "slot 0 already has %d workers" % PLACES):
            self.board.begin(0, 2)
        self.board.begin(1, 2)

    def test_b401_what_does_not_fit_is_told_once(self):
        place = self.board.begin(0, 1)
        self.assertEqual(0, place.declare(["counter", "a", "", {}], MAX_NUMBERS - 1))
        with ExpectLog("friendserve.general", "There is no room for"):
            self.assertIsNone(place.declare(["counter", "b", "", {}], 2))
            self.assertIsNone(place.declare(["counter", "c", "", {}], 2))
        self.assertEqual(MAX_NUMBERS - 1, place.declare(["counter", "d", "", {}], 1))
        self.assertEqual(0, place.declare(["counter", "a", "", {}], MAX_NUMBERS - 1))


if __name__ == "__main__":
    unittest.main()
