"""Callbacks that are called periodically."""
from __future__ import absolute_import, division, print_function

import numbers
import random

from friendserve.ioloop.callbacks import refuse_callback
from friendserve.ioloop.interface import IOLoop
from friendserve.stack_context import NullContext


class PeriodicCallback(object):
    """Call `callback` every `callback_time` milliseconds (more than 0), from `start` to `stop`.

    Each call is scheduled relative to the scheduled time of the previous one, not to when that ran,
    so the period holds on average; calls that were due while the loop was busy are skipped.
    `jitter` (0 to 1, such as 0.1) lets each period vary by that fraction. Raises ValueError for
    other values. A callback that is a coroutine does not delay the next call, which may begin
    before it has ended.
    """
    def __init__(self, callback, callback_time, io_loop=None, jitter=0):
        if isinstance(io_loop, numbers.Real):
            # By position, as in Tornado 5.
            io_loop, jitter = None, io_loop
        if not callback_time or callback_time <= 0:
            raise ValueError("callback_time must be a positive number of milliseconds")
        if not 0 <= jitter <= 1:
            raise ValueError("jitter must be a fraction from 0 to 1, not %r" % (jitter,))
        self.callback = callback
        self.callback_time = callback_time
        self.jitter = jitter
        self.io_loop = io_loop
        self._timer = None
        self._planned = None

    def start(self):
        """Start, or start again, with the first call one period from now. Raises TypeError if the
        callback cannot be called."""
        if not callable(self.callback):
            refuse_callback(self.callback)
        self.stop()
        self.io_loop = self.io_loop or IOLoop.current()
        self._planned = self.io_loop.time()
        self._plan_next()

    def stop(self):
        """Stop calling until the next `start`."""
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None

    def is_running(self):
        """Whether it has been started and not stopped since."""
        return self._timer is not None

    def _plan_next(self):
        now = self.io_loop.time()
        period = self.callback_time / 1000.0
        if self.jitter:
            period *= 1 + self.jitter * (random.random() - 0.5)
        behind = now - self._planned
        if -behind > period:
            # The clock of this loop was set back: do not wait for it to catch up.
            self._planned, behind = now, 0
        self._planned += period * (1 + max(0, int(behind / period)))
        # The timer outlives the request that started it, so it must not carry that request's
        # context.
        with NullContext():
            self._timer = self.io_loop.call_at(self._planned, self._fire)

    def _fire(self):
        timer = self._timer
        try:
            # The loop runs it if it is a coroutine.
            return self.callback()
        except Exception:
            self.io_loop.handle_callback_exception(self.callback)
        finally:
            # The callback may have stopped or restarted it.
            if self._timer is timer:
                self._plan_next()
