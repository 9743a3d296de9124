"""Locks between coroutines of one loop. They are not for threads.

    lock = Lock()

    @gen.coroutine
    def update():
        with (yield lock.acquire()):
            ...                         # one coroutine at a time

On Python 3 also ``async with lock:``. A `timeout` is a deadline as for `IOLoop.add_timeout`: a time
of the loop's clock, or a timedelta from now; None means no limit. Those who wait are served in the
order in which they came.
"""
from __future__ import absolute_import, division, print_function

import collections

from friendserve.concurrent import Future
from friendserve.ioloop import IOLoop
from friendserve.util import TimeoutError

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "Semaphore"]


class Waiters(object):
    """Futures in line, each with its time limit."""

    def __init__(self):
        self._timers = collections.OrderedDict()    # Future -> (loop, timer), or None

    def __len__(self):
        return len(self._timers)

    def add(self, timeout=None, expire=None):
        """A new Future at the end of the line. Once `timeout` is over, it leaves the line, with the
        outcome that `expire(future)` gives it; without `expire`, a TimeoutError."""
        future = Future()
        self._timers[future] = None
        if timeout is not None:
            io_loop = IOLoop.current()
            self._timers[future] = io_loop, io_loop.add_timeout(
                timeout, self._expire, future, expire)
        return future

    def _expire(self, future, expire):
        del self._timers[future]
        if expire is not None:
            expire(future)
        else:
            future.set_exception(TimeoutError("Timeout"))

    def pop(self):
        """Remove and return the first Future of the line. Raises KeyError if it is empty."""
        future, timer = self._timers.popitem(last=False)
        if timer is not None:
            io_loop, timer = timer
            io_loop.remove_timeout(timer)
        return future


class Condition(object):
    """Lets coroutines wait until they are notified."""

    def __init__(self):
        self._waiters = Waiters()

    def __repr__(self):
        return "<Condition waiters[%d]>" % len(self._waiters)

    def wait(self, timeout=None):
        """A Future: True once notified, False after the timeout."""
        return self._waiters.add(timeout, lambda future: future.set_result(False))

    def notify(self, n=1):
        """Wake the first `n` that wait."""
        for _ in range(min(n, len(self._waiters))):
            self._waiters.pop().set_result(True)

    def notify_all(self):
        """Wake all that wait."""
        self.notify(len(self._waiters))


class Event(object):
    """Lets coroutines wait until a flag is set."""

    def __init__(self):
        self._waiters = Waiters()
        self._is_set = False

    def __repr__(self):
        return "<Event %s>" % ("set" if self._is_set else "clear")

    def is_set(self):
        """Whether the flag is set."""
        return self._is_set

    def set(self):
        """Set the flag, and wake all that wait."""
        self._is_set = True
        while self._waiters:
            self._waiters.pop().set_result(None)

    def clear(self):
        """Clear the flag."""
        self._is_set = False

    def wait(self, timeout=None):
        """A Future: None once the flag is set, a TimeoutError after the timeout."""
        if not self._is_set:
            return self._waiters.add(timeout)
        future = Future()
        future.set_result(None)
        return future


class _Release(object):
    """The result of an acquire: a context manager that releases at the end."""
    __slots__ = ("_release",)

    def __init__(self, release):
        self._release = release

    def __enter__(self):
        return None

    def __exit__(self, *exc_info):
        self._release()


class Semaphore(object):
    """A counter that `acquire` takes one from, waiting while it is 0, and `release` adds one to.

    `value`: where it begins, 0 or more.
    """
    def __init__(self, value=1):
        if value < 0:
            raise ValueError("a semaphore begins with 0 or more, not %r" % (value,))
        self._value = value
        self._waiters = Waiters()

    def __repr__(self):
        return "<%s %s%s>" % (
            type(self).__name__, "unlocked,value:%d" % self._value if self._value else "locked",
            ",waiters:%d" % len(self._waiters) if self._waiters else "")

    def acquire(self, timeout=None):
        """A Future of a context manager that releases at its end; a TimeoutError after the
        timeout."""
        if not self._value:
            return self._waiters.add(timeout)
        self._value -= 1
        future = Future()
        future.set_result(_Release(self.release))
        return future

    def release(self):
        """Add one, which the first that waits takes at once."""
        if self._waiters:
            self._waiters.pop().set_result(_Release(self.release))
        else:
            self._value += 1

    def __enter__(self):
        raise RuntimeError("use `with (yield %s.acquire())`, or `async with`"
                           % type(self).__name__.lower())

    def __exit__(self, *exc_info):
        """Never called, as `__enter__` raises; the ``with`` statement looks for it first."""

    def __aenter__(self):
        return self.acquire()

    def __aexit__(self, *exc_info):
        self.release()
        done = Future()
        done.set_result(None)
        return done


class BoundedSemaphore(Semaphore):
    """A Semaphore that `release` cannot raise above the `value` with which it began."""

    def __init__(self, value=1):
        super(BoundedSemaphore, self).__init__(value)
        self._bound = value

    def release(self):
        """As for a Semaphore; raises ValueError when it is released more often than acquired."""
        if self._value >= self._bound:
            raise ValueError("Semaphore released too many times")
        super(BoundedSemaphore, self).release()


class Lock(object):
    """A lock: one coroutine holds it at a time."""

    def __init__(self):
        self._semaphore = BoundedSemaphore(1)

    def __repr__(self):
        return "<Lock %r>" % (self._semaphore,)

    def acquire(self, timeout=None):
        """A Future of a context manager that releases at its end; a TimeoutError after the
        timeout."""
        return self._semaphore.acquire(timeout)

    def release(self):
        """Let the first that waits have the lock. Raises RuntimeError if it is not held."""
        try:
            self._semaphore.release()
        except ValueError:
            raise RuntimeError("release unlocked lock")

    def __enter__(self):
        raise RuntimeError("use `with (yield lock.acquire())`, or `async with`")

    __exit__ = Semaphore.__dict__["__exit__"]

    def __aenter__(self):
        return self._semaphore.__aenter__()

    def __aexit__(self, *exc_info):
        return self._semaphore.__aexit__(*exc_info)
