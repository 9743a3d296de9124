"""Deadlines in order: a heap of timers with lazy cancellation.

    timers = TimerQueue()
    timer = timers.add(deadline, callback)
    ...
    for timer in timers.pop_due(now):
        callback = timer.take()  # None when an earlier one of this batch cancelled it
        if callback is not None:
            callback()

The queue reads no clock. Deadlines and `now` are seconds of one clock, which ought to be
monotonic.
"""

from __future__ import absolute_import, division, print_function

import heapq
import itertools

# Below this many cancelled timers the room they take is not worth a pass over the heap.
_COMPACT_MIN = 64

_heappush = heapq.heappush
_heappop = heapq.heappop


class Timer(object):
    """One callback to be run once. To users an opaque handle, good for `TimerQueue.remove`;
    hashable, and equal only to itself."""

    __slots__ = ("deadline", "_callback", "_cancelled")

    def __init__(self, deadline, callback, cancelled):
        self.deadline = deadline
        self._callback = callback  # None once taken or cancelled
        # Its queue's count, so that `remove` counts right in whichever queue it is called; not
        # the queue, which would be a cycle. None once popped.
        self._cancelled = cancelled

    def take(self):
        """Returns the callback and forgets it: None when cancelled or taken before."""
        callback = self._callback
        self._callback = None
        return callback


class TimerQueue(object):
    """Timers by deadline; those with one deadline in the order in which they were added.

    `len()` is the number of timers that wait: neither cancelled nor popped. For one thread.
    """

    def __init__(self):
        # (deadline, number, timer): tuples compare in C, and the number breaks every tie.
        self._heap = []
        self._numbers = itertools.count()
        self._cancelled = [0]  # how many in the heap were cancelled; its timers share the list

    def __len__(self):
        return len(self._heap) - self._cancelled[0]

    def add(self, deadline, callback):
        """Queues `callback` (not None) for `deadline`, in seconds, and returns its Timer.

        A deadline may be past, or infinite: then it never comes. Raises ValueError when it is
        not a number (NaN), TypeError when it is no number at all.
        """
        deadline = deadline + 0.0
        if deadline != deadline:
            raise ValueError("the deadline of a timer must not be NaN")
        timer = Timer(deadline, callback, self._cancelled)
        _heappush(self._heap, (deadline, next(self._numbers), timer))
        return timer

    def remove(self, timer):
        """Cancels `timer`: its callback is released at once and `take` returns None.

        Also works between `pop_due` and `take`, and when called on another queue than the one
        it was added to. Does nothing when it was cancelled or taken.
        """
        if timer._callback is None:
            return
        timer._callback = None
        cancelled = timer._cancelled
        if cancelled is not None:
            cancelled[0] += 1
            if cancelled[0] > _COMPACT_MIN and cancelled[0] * 2 > len(self._heap):
                self._compact()

    def next_deadline(self):
        """The earliest deadline of a timer that waits, or None when there is none."""
        heap = self._heap
        while heap:
            deadline, _, timer = heap[0]
            if timer._callback is not None:
                return deadline
            _heappop(heap)
            self._cancelled[0] -= 1
        return None

    def pop_due(self, now):
        """Takes the timers with a deadline of `now` or before out of the queue.

        Returns them as a list in the order in which they have to run. Call `take` on each just
        before running it, so that one callback can still cancel a later one. What a callback
        adds is not in this list, even when it is due at once.
        """
        heap = self._heap
        due = []
        while heap and heap[0][0] <= now:
            timer = _heappop(heap)[2]
            if timer._callback is None:
                self._cancelled[0] -= 1
            else:
                timer._cancelled = None
                due.append(timer)
        return due

    def _compact(self):
        self._heap = [entry for entry in self._heap if entry[2]._callback is not None]
        heapq.heapify(self._heap)
        self._cancelled[0] = 0
