from __future__ import absolute_import, division, print_function

import datetime
import sys
import textwrap
import unittest

from friendserve import gen, locks, queues
from friendserve.ioloop import IOLoop
from tests.loopcase import LoopCase

SOON = datetime.timedelta(milliseconds=1)
LATER = datetime.timedelta(seconds=60)


class LocksCase(LoopCase, unittest.TestCase):
    def setUp(self):
        self.loop = IOLoop(make_current=True)
        self.addCleanup(self.loop.close)
        self.log = []

    def run_gen(self, function):
        return self.loop.run_sync(gen.coroutine(function), timeout=10)

    def note(self, future, name):
        """Log `name`, and the result or the class of the error, when `future` is done."""
        def done(future):
            self.log.append((name, future.exception() and type(future.exception())
                             or future.result()))
        future.add_done_callback(done)


class ConditionTest(LocksCase):
    def test_notify(self):
        condition = locks.Condition()
        for name in "abcd":
            self.note(condition.wait(), name)
        self.assertEqual("<Condition waiters[4]>", repr(condition))
        condition.notify(2)
        self.run_until(lambda: len(self.log) == 2)
        condition.notify_all()
        self.run_until(lambda: len(self.log) == 4)
        self.assertEqual([(name, True) for name in "abcd"], self.log)
        condition.notify()

    def test_timeout(self):
        condition = locks.Condition()
        for name, timeout in (("a", SOON), ("b", LATER), ("c", self.loop.time() + 0.001)):
            self.note(condition.wait(timeout), name)
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual([("a", False), ("c", False)], sorted(self.log))
        condition.notify(5)
        self.run_until(lambda: len(self.log) == 3)
        self.assertEqual(("b", True), self.log[2])


class EventTest(LocksCase):
    def test_set_and_clear(self):
        event = locks.Event()
        self.note(event.wait(), "a")
        self.assertFalse(event.is_set())
        event.set()
        self.assertEqual("<Event set>", repr(event))
        self.note(event.wait(), "b")
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual([("a", None), ("b", None)], self.log)
        event.clear()
        self.note(event.wait(SOON), "c")
        self.run_until(lambda: len(self.log) == 3)
        self.assertEqual(("c", gen.TimeoutError), self.log[2])


class SemaphoreTest(LocksCase):
    def test_the_first_in_line_gets_it(self):
        semaphore = locks.Semaphore(2)
        held = []

        @gen.coroutine
        def work(name):
            with (yield semaphore.acquire()):
                held.append(name)
                self.assertLessEqual(len(held), 2)
                yield gen.sleep(0.001)
                held.remove(name)
            self.log.append(name)

        self.run_gen(lambda: (yield [work(name) for name in "abcde"]))
        self.assertEqual(list("abcde"), self.log)
        self.assertEqual("<Semaphore unlocked,value:2>", repr(semaphore))

    def test_timeout(self):
        semaphore = locks.Semaphore(0)
        self.note(semaphore.acquire(SOON), "a")
        self.note(semaphore.acquire(), "b")
        self.run_until(lambda: self.log)
        self.assertEqual([("a", gen.TimeoutError)], self.log)
        self.assertEqual("<Semaphore locked,waiters:1>", repr(semaphore))
        semaphore.release()
        self.run_until(lambda: len(self.log) == 2)

    def test_misuse(self):
        self.assertRaises(ValueError, locks.Semaphore, -1)
        self.assertRaises(ValueError, locks.BoundedSemaphore(1).release)
        self.assertRaises(RuntimeError, locks.Lock().release)
        for lock in (locks.Lock(), locks.Semaphore()):
            with self.assertRaises(RuntimeError):
                with lock:
                    self.fail("it was entered")

    def test_lock(self):
        lock = locks.Lock()
        self.note(lock.acquire(), "a")
        self.note(lock.acquire(SOON), "b")
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual(("b", gen.TimeoutError), self.log[1])
        lock.release()
        self.assertIn("unlocked", repr(lock))

    def test_an_exception_releases(self):
        lock = locks.Lock()

        def main():
            for _ in range(2):
                try:
                    with (yield lock.acquire(SOON)):
                        raise KeyError("k")
                except KeyError:
                    self.log.append("released")

        self.run_gen(main)
        self.assertEqual(["released"] * 2, self.log)


class QueueTest(LocksCase):
    def test_orders(self):
        for kind, expected in ((queues.Queue, [2, 3, 1]), (queues.LifoQueue, [1, 3, 2]),
                               (queues.PriorityQueue, [1, 2, 3])):
            queue = kind()
            for item in (2, 3, 1):
                queue.put_nowait(item)
            self.assertEqual((3, False, False, 0),
                             (queue.qsize(), queue.empty(), queue.full(), queue.maxsize))
            self.assertEqual(expected, [queue.get_nowait() for _ in range(3)])
            self.assertRaises(queues.QueueEmpty, queue.get_nowait)

    def test_a_full_queue(self):
        queue = queues.Queue(2)
        for item in range(2):
            queue.put_nowait(item)
        self.assertRaises(queues.QueueFull, queue.put_nowait, 2)
        self.note(queue.put(2), "put")
        self.note(queue.put(3, SOON), "late")
        self.run_until(lambda: self.log)
        self.assertEqual([("late", gen.TimeoutError)], self.log)
        self.assertEqual([0, 1, 2], [queue.get_nowait() for _ in range(3)])
        self.run_until(lambda: len(self.log) == 2)

    def test_gets_wait_in_line(self):
        queue = queues.Queue()
        self.note(queue.get(), "a")
        self.note(queue.get(SOON), "b")
        self.run_until(lambda: self.log)
        self.assertEqual([("b", gen.TimeoutError)], self.log)
        self.note(queue.get(), "c")
        for item in (1, 2, 3):
            queue.put(item)
        self.run_until(lambda: len(self.log) == 3)
        self.assertEqual([("a", 1), ("c", 2)], self.log[1:])
        self.assertEqual(1, queue.qsize())

    def test_join(self):
        queue = queues.Queue(1)
        self.note(queue.join(), "empty")
        queue.put(1)
        queue.put(2)
        self.note(queue.join(SOON), "soon")
        self.note(queue.join(), "end")
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual([("empty", None), ("soon", gen.TimeoutError)], self.log)
        for _ in range(2):
            queue.get_nowait()
            queue.task_done()
        self.run_until(lambda: len(self.log) == 3)
        self.assertRaises(ValueError, queue.task_done)

    def test_misuse_and_repr(self):
        self.assertRaises(TypeError, queues.Queue, None)
        self.assertRaises(ValueError, queues.Queue, -1)
        self.assertEqual("<Queue maxsize=3 queue=deque([])>", repr(queues.Queue(3)))

    def test_workers(self):
        queue, done = queues.Queue(3), []

        @gen.coroutine
        def work():
            while True:
                item = yield queue.get()
                yield gen.moment
                done.append(item)
                queue.task_done()

        def main():
            for _ in range(4):
                work()
            for item in range(1000):
                yield queue.put(item)
            yield queue.join()

        self.run_gen(main)
        self.assertEqual(list(range(1000)), sorted(done))


NATIVE = textwrap.dedent("""
    async def use(lock, log):
        async with lock:
            log.append("locked")

    async def read(queue, log):
        async for item in queue:
            if item is None:
                break
            log.append(item)
""")


if sys.version_info >= (3,):  # version: py2
    class NativeTest(LocksCase):
        def test_async_with_and_async_for(self):
            names = {}
            exec(NATIVE, names)
            lock, semaphore, queue = locks.Lock(), locks.Semaphore(1), queues.Queue()
            for _ in range(2):
                self.loop.run_sync(lambda: names["use"](lock, self.log))
                self.loop.run_sync(lambda: names["use"](semaphore, self.log))
            for item in (1, 2, None):
                queue.put(item)
            self.loop.run_sync(lambda: names["read"](queue, self.log))
            self.assertEqual(["locked"] * 4 + [1, 2], self.log)
