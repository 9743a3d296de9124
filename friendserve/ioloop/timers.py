"""Deadlines in order: a heap of timers with lazy cancellation.

    timers = TimerQueue()
    timer = timers.add(deadline, callback)
    ...
    due = []
    timers.pop_due(now, due)
    for timer in due:
        callback = timer.take()  # None when an earlier one of this batch cancelled it
        if callback is not None:
            callback()

The queue reads no clock. Deadlines and `now` are seconds of one clock, which should be monotonic.

Facts about the timers of a loop:

1. Nearly all are time limits, and nearly all of these are cancelled, long before they are due.
2. Each turn needs the earliest deadline. What the loop does next depends on the exact value: a
   timer must not fire early, and the order of equal deadlines is promised.
3. Deadlines are floats, from microseconds to years away.

What follows: a binary heap. The earliest deadline is its first entry, adding costs O(log n)
comparisons, all in C, and ties are broken by a number. Buckets (a timer wheel) would add in O(1),
but they need a fixed resolution, a sort within each bucket, and a second level for distant
deadlines: much Python code to save a few comparisons in C.

Cancelling is lazy because a heap cannot remove from its middle without a search. The callback and
all that it holds are released at once; the entry stays until it reaches the front. So that entries
of distant deadlines cannot pile up, the heap is rebuilt when more than half of its entries are
cancelled. One pass over 2n entries then pays for at least n cancellations, so each costs O(1) on
average, and the heap never has more than twice as many entries as waiting timers, or `_COMPACT_MIN`
more. That limit spares a loop with few timers a pass at every second cancellation; at 64, the
entries take 11 kB and a pass about 10 microseconds.

An exception of a signal handler may end any method between two instructions. So the count of
cancelled timers is lowered before an entry goes, as one too low only delays a rebuild, while one
too high would make the length negative; and a due timer is appended to the caller's list before it
leaves the heap, as one in both runs once, but one in neither never.

Given up: the entry of a cancelled timer (172 bytes) keeps its memory until it reaches the front or
the heap is rebuilt.
"""

from __future__ import absolute_import, division, print_function

import heapq
import itertools

# Up to this many cancelled timers are left in the heap, see above.
_COMPACT_MIN = 64

_heappush = heapq.heappush
_heappop = heapq.heappop


class Timer(object):
    """A callback to be run once. To users it is an opaque handle to pass to `TimerQueue.remove`;
    hashable, and equal only to itself."""

    __slots__ = ("deadline", "_callback", "_cancelled")

    def __init__(self, deadline, callback, cancelled):
        self.deadline = deadline
        self._callback = callback  # None once taken or cancelled
        # The count of its queue, so that `remove` is correct on whichever queue it is called; not
        # the queue itself, which would be a reference cycle. None once popped.
        self._cancelled = cancelled

    def take(self):
        """Return the callback and forget it; None if it was cancelled or taken before."""
        callback = self._callback
        self._callback = None
        return callback


class TimerQueue(object):
    """Timers by deadline; those with equal deadlines in the order in which they were added.

    `len()` is the number of waiting timers: neither cancelled nor popped. Not thread-safe.
    """

    def __init__(self):
        # (deadline, number, timer): tuples compare in C, and the number breaks every tie.
        self._heap = []
        self._numbers = itertools.count()
        self._cancelled = [0]  # the number of cancelled timers in the heap; they share the list

    def __len__(self):
        return len(self._heap) - self._cancelled[0]

    def add(self, deadline, callback):
        """Queue `callback` (not None) for `deadline`, in seconds, and return its Timer.

        A deadline may be in the past, or infinite, which is never reached. Raises ValueError if it
        is NaN, TypeError if it is not a number.
        """
        deadline = deadline + 0.0
        if deadline != deadline:
            raise ValueError("the deadline of a timer must not be NaN")
        timer = Timer(deadline, callback, self._cancelled)
        _heappush(self._heap, (deadline, next(self._numbers), timer))
        return timer

    def remove(self, timer):
        """Cancel `timer`: its callback is released at once and `take` returns None.

        This also works between `pop_due` and `take`, and on a queue other than the one it was
        added to. It does nothing if the timer was cancelled or taken before.
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
        """The earliest deadline of the waiting timers, or None if there are none."""
        heap = self._heap
        while heap:
            deadline, _, timer = heap[0]
            if timer._callback is not None:
                return deadline
            self._cancelled[0] -= 1
            _heappop(heap)
        return None

    def pop_due(self, now, due):
        """Remove the timers with a deadline of `now` or earlier and append them to `due`, in the
        order in which they have to run.

        Call `take` on each just before running it, so that one callback can still cancel a later
        one. Timers that a callback adds are not among them, even if they are already due.
        """
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heap[0][2]
            if timer._callback is None:
                self._cancelled[0] -= 1
            else:
                timer._cancelled = None
                due.append(timer)
            _heappop(heap)

    def _compact(self):
        heap = [entry for entry in self._heap if entry[2]._callback is not None]
        heapq.heapify(heap)
        self._cancelled[0] = 0
        self._heap = heap
