"""Queues between coroutines of one loop. They are not for threads.

    queue = Queue(maxsize=10)

    @gen.coroutine
    def work():
        while True:
            item = yield queue.get()
            try:
                yield process(item)
            finally:
                queue.task_done()

A `timeout` is a deadline as for `IOLoop.add_timeout`: a time of the loop's clock, or a timedelta
from now; None means no limit.
"""
from __future__ import absolute_import, division, print_function

import collections
import heapq

from friendserve.concurrent import Future
from friendserve.locks import Event, Waiters
from friendserve.util import TimeoutError

__all__ = ["LifoQueue", "PriorityQueue", "Queue", "QueueEmpty", "QueueFull"]


class QueueEmpty(Exception):
    """`Queue.get_nowait` found no item."""


class QueueFull(Exception):
    """`Queue.put_nowait` found `maxsize` items."""


class Queue(object):
    """Items from `put` to `get`, first in, first out.

    `maxsize`: `put` waits while there are this many; 0 means no limit. Subclasses may override
    `_init`, `_put` and `_get`, which keep the items in ``_queue``.
    """
    def __init__(self, maxsize=0):
        if maxsize is None:
            raise TypeError("maxsize is a number; 0 means no limit")
        if maxsize < 0:
            raise ValueError("maxsize is 0 or more, not %r" % (maxsize,))
        self._maxsize = maxsize
        self._getters = Waiters()
        self._putters = Waiters()
        self._put_items = {}            # the Future of a waiting put -> its item
        self._unfinished_tasks = 0
        self._finished = Event()
        self._finished.set()
        self._init()

    # What keeps the items, and how they get in and out.
    _container = collections.deque
    _insert = staticmethod(collections.deque.append)
    _remove = staticmethod(collections.deque.popleft)

    # For subclasses

    def _init(self):
        self._queue = self._container()

    def _put(self, item):
        self._insert(self._queue, item)

    def _get(self):
        return self._remove(self._queue)

    # Asking

    @property
    def maxsize(self):
        """How many items there may be; 0 means no limit."""
        return self._maxsize

    def qsize(self):
        """How many items there are."""
        return len(self._queue)

    def empty(self):
        """Whether there are none."""
        return not self._queue

    def full(self):
        """Whether a put would wait."""
        return 0 < self._maxsize <= self.qsize()

    # Using

    def put(self, item, timeout=None):
        """Put an item; a Future that ends when there was room for it, or with a TimeoutError after
        the timeout."""
        if self.full():
            future = self._putters.add(timeout, self._give_up)
            self._put_items[future] = item
            return future
        self.put_nowait(item)
        future = Future()
        future.set_result(None)
        return future

    def _give_up(self, future):
        del self._put_items[future]
        future.set_exception(TimeoutError("Timeout"))

    def put_nowait(self, item):
        """Put an item. Raises QueueFull if there is no room."""
        if self.full():
            raise QueueFull()
        self._add(item)

    def _add(self, item):
        self._unfinished_tasks += 1
        self._finished.clear()
        self._put(item)
        if self._getters:
            self._getters.pop().set_result(self._get())

    def get(self, timeout=None):
        """A Future of an item, which it removes; a TimeoutError after the timeout."""
        if self.empty() and not self._putters:
            return self._getters.add(timeout)
        future = Future()
        future.set_result(self.get_nowait())
        return future

    def get_nowait(self):
        """Remove and return an item. Raises QueueEmpty if there is none."""
        if self._putters:
            # It is full: this makes room for the item that has waited longest.
            putter = self._putters.pop()
            self._unfinished_tasks += 1
            self._put(self._put_items.pop(putter))
            putter.set_result(None)
        elif self.empty():
            raise QueueEmpty()
        return self._get()

    def task_done(self):
        """Say that the work on an item that `get` returned is done. Raises ValueError if that was
        said of all of them already."""
        if not self._unfinished_tasks:
            raise ValueError("task_done() called too many times")
        self._unfinished_tasks -= 1
        if not self._unfinished_tasks:
            self._finished.set()

    def join(self, timeout=None):
        """A Future that ends when the work on all items is done; a TimeoutError after the
        timeout."""
        return self._finished.wait(timeout)

    def __repr__(self):
        return "<%s maxsize=%r queue=%r>" % (type(self).__name__, self._maxsize, self._queue)

    __str__ = __repr__

    def __aiter__(self):
        return _Iterator(self)


class _Iterator(object):
    """``async for`` over a queue, which never ends by itself."""
    __slots__ = ("_queue",)

    def __init__(self, queue):
        self._queue = queue

    def __anext__(self):
        return self._queue.get()


class PriorityQueue(Queue):
    """A Queue that returns the lowest item first."""
    _container = list
    _insert = staticmethod(heapq.heappush)
    _remove = staticmethod(heapq.heappop)


class LifoQueue(Queue):
    """A Queue that returns the newest item first."""
    _remove = staticmethod(collections.deque.pop)
