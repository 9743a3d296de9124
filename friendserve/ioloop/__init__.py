"""The loop: it waits for fds and timers, and it alone calls callbacks.

    from friendserve.ioloop import IOLoop

    loop = IOLoop.instance()
    loop.call_later(1, lambda: (print("one second later"), loop.stop()))
    loop.start()

One turn of the loop has five phases:

1. *callbacks*: run those that were queued before this turn began;
2. *timers*: fire those that are due at one reading of the clock;
3. *wait*: compute the time until the next timer, 0 if callbacks are queued;
4. *poll*: wait that long for the fds;
5. *dispatch*: call the handlers of the fds that are ready, except those removed in the meantime.

A program with another main loop runs one turn at a time, when the loop has something to do:

    import select

    loop.call_later(1, loop.stop)
    wait = 0
    while True:
        select.select([loop], [], [], wait)
        wait = loop.run_once()
        if loop.stopped():
            break

Callbacks added by a callback run in the next turn, so no chain of callbacks can starve the fds.
Other threads may only call `add_callback`, and signal handlers only `add_callback_from_signal`;
`add_signal_handler` does that for you. `IOLoop.set_debug` finds the places that do otherwise, and
the callbacks that are slow.
"""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop.interface import IOLoop
from friendserve.ioloop.periodic import PeriodicCallback
from friendserve.ioloop.polling import PollIOLoop
from friendserve.ioloop.watching import Turn
from friendserve.util import TimeoutError, set_public_module

__all__ = ["IOLoop", "PollIOLoop", "PeriodicCallback", "TimeoutError", "Turn"]

set_public_module(globals())
