"""Watching the turns of a loop: how long each takes, by which callback; and its debug mode.

    loop.watch_turns(print, slow=0.05)
    loop.set_debug(True)

As long as there are no watchers, none of this takes part in a turn. A watch replaces methods of its
loop, for this loop only, by methods that measure and then call those of the class.
"""
from __future__ import absolute_import, division, print_function

import sys
import threading

from friendserve.ioloop.callbacks import (
    Scheduled, Timed, calling_place, name_and_place, refuse_callback)
from friendserve.log import gen_log
from friendserve.stack_context import NullContext, wrap

_MEASURED = ("_turn", "_poll", "_run_callbacks", "_fire_timers", "_dispatch")
_METERED = ("_poll", "_run_callbacks")
_TRACED = ("add_callback", "call_at", "remove_timeout", "add_handler", "update_handler",
           "remove_handler")


class Turn(object):
    """A turn of the loop, as its watchers see it.

    `seconds`: how long it took, without its wait. What became ready meanwhile waited for its end,
    so this is the lag of the loop.
    `late`: how late the first of its timers was, 0.0 if none was due. In a loop driven by
    `run_once`, this includes what the program did between turns.
    `slowest`: the dotted name of the callback or handler that took longest, None if none ran.
    `slowest_seconds`: how long that one took.
    `place`: where it was scheduled, "file:line"; None for the handler of an fd, and without debug
    mode.
    """
    __slots__ = ("seconds", "late", "slowest", "slowest_seconds", "place")

    def __init__(self, late):
        self.seconds = 0.0
        self.late = late
        self.slowest = None
        self.slowest_seconds = 0.0
        self.place = None

    def __str__(self):
        text = "%.3f seconds" % self.seconds
        if self.slowest is not None:
            text += ", %.3f of them in %s" % (self.slowest_seconds, self.slowest)
        if self.place is not None:
            text += ", scheduled at " + self.place
        return text


class TurnWatch(object):
    """The watchers of one loop. It measures from the first `watch` to the last `unwatch`."""

    def __init__(self, loop):
        self._loop = loop
        self._watchers = []     # pairs (callback, slow)
        self._replaced = set()  # names of methods
        self._turn_now = Turn(0.0)
        self._slowest = None    # the callback, until its name is needed
        self._meter = None
        self._metered_count = 0     # callbacks of this turn
        self._wait_ended = loop.time_func()
        self._thread = None     # the one that drives the loop, in debug mode
        self._log = _log_turn   # for slow turns, in debug mode
        self._warned = set()

    def watch(self, callback, slow):
        self._forget(callback)
        self._watchers.append((callback, slow))
        self._replace(_MEASURED)

    def unwatch(self, callback):
        self._forget(callback)
        if not self._watchers:
            self._restore(_MEASURED)
            self.set_meter(self._meter)

    def set_meter(self, meter):
        """Call `meter(seconds, callbacks)` before each wait, or remove it with None."""
        self._meter = meter
        if self._watchers:
            return
        for name in _METERED:
            if meter is not None:
                setattr(self._loop, name, getattr(self, "_metered" + name))
            else:
                self._loop.__dict__.pop(name, None)

    def _forget(self, callback):
        # A bound method of a list is not hashable.
        self._watchers = [pair for pair in self._watchers if pair[0] != callback]

    def set_debug(self, enabled, slow, log=None):
        self._forget(self._log)
        if enabled:
            self._log = log or _log_turn
            self._replace(_TRACED)
            self.watch(self._log, slow)
        else:
            self.unwatch(self._log)
            self._restore(_TRACED)
            self._thread = None

    def _replace(self, names):
        for name in names:
            setattr(self._loop, name, getattr(self, "_watched_" + name.lstrip("_")))
        self._replaced.update(names)

    def _restore(self, names):
        for name in self._replaced.intersection(names):
            delattr(self._loop, name)
        self._replaced.difference_update(names)

    # Measuring

    def _watched_turn(self, limit):
        loop = self._loop
        began = loop.time_func()
        deadline = loop._timers.next_deadline()
        # Timers that were due before the end of the last wait were set after it, for the past.
        late = 0.0 if deadline is None else max(0.0, began - max(deadline, self._wait_ended))
        turn = self._turn_now = Turn(late)
        if self._replaced.issuperset(_TRACED):
            self._thread = threading.current_thread()
        try:
            type(loop)._turn(loop, limit)
        except BaseException:
            self._thread = None
            raise
        if loop._stopping:
            self._thread = None     # another thread may start it next
        self._name_slowest()
        for callback, slow in self._watchers:
            if turn.seconds >= slow:
                try:
                    callback(turn)
                except Exception:
                    loop.handle_callback_exception(callback)

    def _watched_poll(self, wait):
        # What a callback refers to may not live through the wait.
        self._name_slowest()
        if self._meter is not None:
            return self._metered_poll(wait)
        try:
            return type(self._loop)._poll(self._loop, wait)
        finally:
            self._wait_ended = self._loop.time_func()

    # The work is added up part by part: between them a hosted loop waits outside `_poll`.

    def _watched_run_callbacks(self):
        loop, callbacks = self._loop, self._loop._callbacks
        self._metered_count = len(callbacks)
        began = loop.time_func()
        for index in range(len(callbacks)):
            callbacks[index] = Timed(callbacks[index], loop.time_func, self._note)
        type(loop)._run_callbacks(loop)
        self._turn_now.seconds += loop.time_func() - began

    def _watched_fire_timers(self):
        loop = self._loop
        began = loop.time_func()
        loop._timers.pop_due(began, loop._due)
        for timer in loop._due:
            callback = timer._callback
            if callback is not None:
                timer._callback = Timed(callback, loop.time_func, self._note)
        type(loop)._fire_timers(loop)
        self._turn_now.seconds += loop.time_func() - began

    def _watched_dispatch(self, events):
        loop = self._loop
        began = now = loop.time_func()
        removed = set()
        for event in events:
            fd = event[0]
            if fd not in removed:
                _, handler = loop._handlers.get(fd, (fd, None))
                before = now
                # One event at a time. At each call the loop forgets which fds were removed.
                type(loop)._dispatch(loop, [event])
                removed |= loop._removed
                now = loop.time_func()
                self._note(handler, now - before)
        self._turn_now.seconds += now - began

    def _note(self, callback, seconds):
        turn = self._turn_now
        if callback is not None and seconds >= turn.slowest_seconds:
            turn.slowest_seconds = seconds
            self._slowest = callback

    def _name_slowest(self):
        if self._slowest is not None:
            turn = self._turn_now
            turn.slowest, turn.place = name_and_place(self._slowest)
            self._slowest = None

    # The meter: two calls a turn, whatever the number of callbacks

    def _metered_run_callbacks(self):
        loop = self._loop
        self._metered_count = len(loop._callbacks)
        type(loop)._run_callbacks(loop)

    def _metered_poll(self, wait):
        loop = self._loop
        try:
            self._meter(loop.time_func() - self._wait_ended, self._metered_count)
        except Exception:
            loop.handle_callback_exception(self._meter)
        try:
            return type(loop)._poll(loop, wait)
        finally:
            self._wait_ended = loop.time_func()

    # Debug mode

    def _watched_add_callback(self, callback, *args, **kwargs):
        if not callable(callback):
            refuse_callback(callback)
        # With its contexts inside, so that they are entered once.
        scheduled = Scheduled(wrap(callback), calling_place())
        with NullContext():
            type(self._loop).add_callback(self._loop, scheduled, *args, **kwargs)

    def _watched_call_at(self, when, callback, *args, **kwargs):
        self._check_thread("call_at")
        if not callable(callback):
            refuse_callback(callback)
        scheduled = Scheduled(wrap(callback), calling_place())
        with NullContext():
            return type(self._loop).call_at(self._loop, when, scheduled, *args, **kwargs)

    def _watched_remove_timeout(self, timeout):
        self._check_thread("remove_timeout")
        type(self._loop).remove_timeout(self._loop, timeout)

    def _watched_add_handler(self, fd, handler, events):
        self._check_thread("add_handler")
        type(self._loop).add_handler(self._loop, fd, handler, events)

    def _watched_update_handler(self, fd, events):
        self._check_thread("update_handler")
        type(self._loop).update_handler(self._loop, fd, events)

    def _watched_remove_handler(self, fd):
        self._check_thread("remove_handler")
        type(self._loop).remove_handler(self._loop, fd)

    def _check_thread(self, name):
        owner, caller = self._thread, threading.current_thread()
        # A dead one ran the loop before a fork.
        if owner is None or owner is caller or not owner.is_alive():
            return
        outer = sys._getframe(2).f_code.co_name
        if outer in ("call_later", "add_timeout"):
            name = outer
        place = calling_place()
        # Once for each line of the program.
        if (name, place) not in self._warned:
            self._warned.add((name, place))
            gen_log.warning(
                "%s:%d calls %s in thread %s, but the loop runs in thread %s: other threads may "
                "only call add_callback, as in loop.add_callback(loop.%s, ...)",
                place[0], place[1], name, caller.name, owner.name, name)


def _log_turn(turn):
    gen_log.warning("A turn of the loop took %s", turn)
