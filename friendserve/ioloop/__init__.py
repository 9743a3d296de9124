"""The loop: it waits for fds and clocks, and it alone calls callbacks.

    from friendserve.ioloop import IOLoop

    loop = IOLoop.instance()
    loop.call_later(1, lambda: (print("one second later"), loop.stop()))
    loop.start()

One turn of the loop has five phases:

1. *callbacks*: run those that were queued before this turn began;
2. *timers*: fire the ones due at one reading of the clock;
3. *wait*: work out how long nothing can happen by itself;
4. *poll*: wait that long for the fds;
5. *dispatch*: call the handlers of the fds that are ready, without those that were removed
   meanwhile.

What a callback adds runs in the next turn, so that no chain of callbacks can starve the fds.
Other threads may only call `add_callback`, and signal handlers `add_callback_from_signal`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop.interface import IOLoop
from friendserve.ioloop.periodic import PeriodicCallback
from friendserve.ioloop.polling import PollIOLoop
from friendserve.util import TimeoutError, set_public_module

__all__ = ["IOLoop", "PollIOLoop", "PeriodicCallback", "TimeoutError"]

set_public_module(globals())
