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

The queue reads no clock. Deadlines and `now` are seconds of one clock, which should be monotonic;
`set_back` tells of one that is not.

Facts about the timers of a loop:

1. Nearly all are time limits, and nearly all of these are cancelled, long before they are due.
2. Each turn needs the earliest deadline. What the loop does next depends on the exact value: a
   timer must not fire early, and the order of equal deadlines is promised.
3. Deadlines are floats, from microseconds to years away.

What follows: a binary heap. The earliest deadline is its first entry, adding costs O(log n)
comparisons, all in C, and ties are broken by a number. Buckets (a timer wheel) would add in O(1),
but they need a fixed resolution, a sort within each bucket, and a second level for distant
deadlines: much Python code to save a few comparisons in C.

Only the thread that asks for due timers, the owner, touches the heap. What `add` adds waits in a
dict until the owner looks; `remove` takes it out of there, or marks it. Both are single operations
on built-in types, so they may also be called from other threads, from signal handlers, and from
destructors that run in the middle of any of these methods. A timer that is cancelled before the
owner looks never costs a comparison.

In the heap, cancelling is lazy because a heap cannot remove from its middle without a search. The
callback and all that it holds are released at once; the entry stays until it reaches the front. So
that entries of distant deadlines cannot pile up, the owner rebuilds the heap when more than half of
its entries are cancelled. One pass over 2n entries then pays for at least n cancellations, so each
costs O(1) on average, and the heap never has more than twice as many entries as waiting timers, or
`_COMPACT_MIN` more. That limit spares a loop with few timers a pass at every second cancellation;
at 64, the entries take 11 kB and a pass about 10 microseconds.

An exception of a signal handler may end any method between two instructions. So a timer is put in
its next place before it leaves the last one: it runs once if it is in both.

Given up: the entry of a cancelled timer (172 bytes) keeps its memory until it reaches the front or
the heap is rebuilt. The number of cancelled entries, which only decides when to rebuild, may be
wrong after such an exception, or after threads have counted at the same time; each rebuild corrects
it.
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

    __slots__ = ("deadline", "_callback")

    def __init__(self, deadline, callback):
        self.deadline = deadline
        self._callback = callback  # None once taken or cancelled

    def take(self):
        """Return the callback and forget it; None if it was cancelled or taken before."""
        callback = self._callback
        self._callback = None
        return callback


class TimerQueue(object):
    """Timers by deadline; those with equal deadlines in the order in which they were added.

    `add`, `remove` and `set_back` may be called from any thread, everything else only from one.
    `len()` is the number of waiting timers, neither cancelled nor popped; it counts them one by
    one.
    """

    def __init__(self):
        # (deadline, number, timer): tuples compare in C, and the number breaks every tie.
        self._heap = []
        self._new = {}          # timer -> number: added since the owner last looked
        self._numbers = itertools.count()
        self._cancelled = 0     # about the number of cancelled timers in the heap
        self._steps = []        # pairs (number of the first timer that is not moved, seconds)

    def __len__(self):
        timers = [entry[2] for entry in self._heap] + list(self._new)
        return sum(1 for timer in timers if timer._callback is not None)

    def add(self, deadline, callback):
        """Queue `callback` (not None) for `deadline`, in seconds, and return its Timer.

        A deadline may be in the past, or infinite, which is never reached. Raises ValueError if it
        is NaN, TypeError if it is not a number.
        """
        deadline = deadline + 0.0
        if deadline != deadline:
            raise ValueError("the deadline of a timer must not be NaN")
        timer = Timer(deadline, callback)
        self._new[timer] = next(self._numbers)
        return timer

    def remove(self, timer):
        """Cancel `timer`: its callback is released at once and `take` returns None.

        This also works between `pop_due` and `take`, and on a queue other than the one it was
        added to. It does nothing if the timer was cancelled or taken before.
        """
        if timer._callback is None:
            return
        timer._callback = None
        if self._new.pop(timer, None) is None:
            self._cancelled += 1

    def set_back(self, seconds):
        """Move the waiting timers forward, because the clock was set back by `seconds`: those that
        had 5 seconds left still have. From any thread."""
        self._steps.append((next(self._numbers), seconds))

    def next_deadline(self):
        """The earliest deadline of the waiting timers, or None if there are none."""
        heap, new = self._heap, self._new
        if new:
            for timer in list(new):
                number = new.get(timer)     # None if another thread has just removed it
                if number is not None:
                    _heappush(heap, (timer.deadline, number, timer))
                    new.pop(timer, None)
        if self._steps:
            self._take_steps()
            heap = self._heap
        if self._cancelled > _COMPACT_MIN and self._cancelled * 2 > len(heap):
            self._compact()
            heap = self._heap
        while heap:
            deadline, _, timer = heap[0]
            if timer._callback is not None:
                return deadline
            _heappop(heap)
            self._cancelled -= 1
        return None

    def pop_due(self, now, due):
        """Remove the timers with a deadline of `now` or earlier and append them to `due`, in the
        order in which they have to run.

        Call `take` on each just before running it, so that one callback can still cancel a later
        one. Timers that a callback adds are not among them, even if they are already due.
        """
        if self._new or self._steps:
            self.next_deadline()
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heap[0][2]
            if timer._callback is None:
                self._cancelled -= 1
            else:
                due.append(timer)
            _heappop(heap)

    def _take_steps(self):
        while self._steps:
            first, seconds = self._steps[0]
            heap = [(deadline - seconds if number < first else deadline, number, timer)
                    for deadline, number, timer in self._heap]
            heapq.heapify(heap)
            self._heap = heap
            del self._steps[0]

    def _compact(self):
        heap = [entry for entry in self._heap if entry[2]._callback is not None]
        heapq.heapify(heap)
        self._cancelled = 0
        self._heap = heap
