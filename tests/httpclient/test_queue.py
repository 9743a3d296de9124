"""`Queue`: which items are active, and which is next."""
from __future__ import absolute_import, division, print_function

import random
import unittest

from friendserve.httpclient import queue
from friendserve.httpclient.queue import Queue


def take_all(waiting):
    """Everything that `next` returns until it returns None."""
    return list(iter(waiting.next, None))


class QueueTest(unittest.TestCase):
    def test_active_at_once_while_there_is_room(self):
        items = Queue(2)
        self.assertEqual([True, True, False], [items.add(item, None) for item in "abc"])
        self.assertEqual({"a": None, "b": None}, items.active)
        self.assertEqual({"c": None}, items.waiting)
        self.assertEqual(1, len(items))
        self.assertIsNone(items.next())

    def test_first_come_first_served(self):
        items = Queue(1)
        for item in "abcd":
            items.add(item, None)
        order = []
        for item in "abc":
            items.leave(item)
            order += take_all(items)
        self.assertEqual(["b", "c", "d"], order)

    def test_nothing_overtakes_an_item_that_is_about_to_be_next(self):
        items = Queue(1)
        items.add("a", None)
        items.add("b", None)
        items.leave("a")
        self.assertFalse(items.add("c", None))
        self.assertEqual("b", items.next())

    def test_limits_may_be_changed(self):
        items = Queue(1)
        for item in "abcd":
            items.add(item, None)
        items.limit = 3
        self.assertEqual(["b", "c"], take_all(items))
        items.limit = 1
        items.leave("a")
        self.assertEqual([], take_all(items))
        items = Queue(9, 2)
        for item in "abc":
            items.add(item, "key")
        items.limit_per_key = 1
        items.leave("a")
        self.assertEqual([], take_all(items))
        items.leave("b")
        self.assertEqual(["c"], take_all(items))

    def test_limit_of_a_key_does_not_hold_up_others(self):
        items = Queue(3, 1)
        self.assertTrue(items.add("a1", "a"))
        self.assertFalse(items.add("a2", "a"))
        self.assertFalse(items.add("b1", "b"))
        self.assertEqual(["b1"], take_all(items))
        self.assertEqual({"a2": "a"}, items.waiting)
        self.assertTrue(items.add("c1", "c"))

    def test_a_parked_item_still_precedes_all_that_came_later(self):
        items = Queue(2, 1)
        for item in ("a1", "a2", "b1", "c1", "a3", "d1"):
            items.add(item, item[0])
        self.assertEqual(["b1"], take_all(items))
        items.leave("a1")
        self.assertEqual(["a2"], take_all(items))
        items.leave("b1")
        self.assertEqual(["c1"], take_all(items))
        items.leave("a2")
        items.leave("c1")
        self.assertEqual(["a3", "d1"], take_all(items))

    def test_of_several_parked_items_the_oldest_comes_first(self):
        items = Queue(2, 1)
        for item in ("a1", "b1", "a2", "b2", "c1"):
            items.add(item, item[0])
        items.leave("b1")
        self.assertEqual(["b2"], take_all(items))
        items.leave("b2")
        items.leave("a1")
        self.assertEqual(["a2", "c1"], take_all(items))

    def test_a_parked_item_that_leaves_does_not_hold_up_the_next_of_its_key(self):
        for leave_first in (True, False):
            items = Queue(3, 1)
            for item in ("a1", "a2", "a3"):
                items.add(item, "a")
            self.assertEqual([], take_all(items))
            for item in ("a2", "a1") if leave_first else ("a1", "a2"):
                items.leave(item)
            self.assertEqual(["a3"], take_all(items))

    def test_a_waiting_item_that_leaves_is_never_next(self):
        items = Queue(1)
        for item in "abc":
            items.add(item, None)
        items.leave("b")
        items.leave("a")
        self.assertEqual(["c"], take_all(items))
        items.leave("c")
        self.assertEqual(({}, {}, 0), (items.active, items.waiting, len(items)))
        self.assertTrue(items.add("d", None))

    def test_to_leave_twice_does_nothing(self):
        items = Queue(2, 1)
        items.add("a1", "a")
        items.add("a2", "a")
        for _ in range(2):
            items.leave("a1")
            items.leave("stranger")
        self.assertEqual(["a2"], take_all(items))
        self.assertFalse(items.add("a3", "a"))

    def test_items_that_left_are_not_kept(self):
        for limit_per_key in (None, 1):
            items = Queue(2 if limit_per_key is None else 3, limit_per_key)
            items.add("active", "a")
            items.add("active too", "b")
            items.add("waits", "a")
            take_all(items)
            for number in range(10 * queue.MAX_EMPTY_PLACES):
                items.add(number, "b")
                items.leave(number)
            places = len(items._ready) + sum(map(len, items._parked.values()))
            self.assertLessEqual(places, queue.MAX_EMPTY_PLACES + 2)
            for item in ("active", "active too"):
                items.leave(item)
            self.assertEqual(["waits"], take_all(items))
            self.assertEqual(([], {}, 0), (items._ready, items._parked, items._empty))

    def test_order_and_limits_hold_whatever_happens(self):
        rng = random.Random(13)
        for _ in range(30):
            limit, limit_per_key = rng.randint(1, 4), rng.choice([None, 1, 2])
            items = Queue(limit, limit_per_key)
            active, waiting = [], []        # the same, in a way that is slow and plain
            for number in range(300):
                if rng.random() < 0.6:
                    item = number, rng.choice("abc")
                    if items.add(item, item[1]):
                        active.append(item)
                    else:
                        waiting.append(item)
                elif active or waiting:
                    item = rng.choice(active + waiting)
                    (active if item in active else waiting).remove(item)
                    items.leave(item)
                expected = []
                for item in list(waiting):
                    of_key = sum(1 for other in active if other[1] == item[1])
                    if len(active) < limit and of_key != limit_per_key:
                        waiting.remove(item)
                        active.append(item)
                        expected.append(item)
                self.assertEqual(expected, take_all(items))
                self.assertEqual(set(active), set(items.active))
                self.assertEqual(set(waiting), set(items.waiting))
            for item in active + waiting:
                items.leave(item)
            self.assertEqual(({}, {}, {}), (items._active_of, items._parked, items.active))


if __name__ == "__main__":
    unittest.main()
