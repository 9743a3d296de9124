"""What the loop can say of a callback: its name, and the place that scheduled it."""
from __future__ import absolute_import, division, print_function

import functools
import os
import sys

from friendserve.awaitable import as_future, is_awaitable
from friendserve.stack_context import unwrap, wrap_like


class Timed(object):
    """A callback without arguments that notes how long it took: it calls `note(callback, seconds)`
    whatever the outcome."""

    __slots__ = ("callback", "_clock", "_note")

    def __init__(self, callback, clock, note):
        self.callback = callback
        self._clock = clock
        self._note = note

    def __call__(self):
        began = self._clock()
        try:
            return self.callback()
        finally:
            self._note(self.callback, self._clock() - began)


class Scheduled(object):
    """A callback and the place that scheduled it, a pair (file, line)."""

    __slots__ = ("callback", "place")

    def __init__(self, callback, place):
        self.callback = callback
        self.place = place

    def __call__(self, *args, **kwargs):
        return self.callback(*args, **kwargs)

    def __repr__(self):
        return "%r, scheduled at %s:%d" % ((plain(self.callback),) + self.place)


def plain(callback):
    """The callback or handler that a program passed, without what the loop wrapped around it; in
    debug mode a `Scheduled`. For logs: arguments, which may be secrets, are left out."""
    while isinstance(callback, Timed):
        callback = callback.callback
    return unwrap(callback)


def refuse_callback(callback):
    """Raise TypeError for something that was passed as a callback and cannot be called."""
    hint = ""
    if is_awaitable(callback) or callback is None:
        hint = ": pass the function itself, f and not f(), and its arguments after it"
    raise TypeError("a callback must be a function or another callable, not %r%s"
                    % (callback, hint))


def run_returned(callback, result):
    """Run `result` if it is a coroutine, which `callback` has returned to the loop, in the stack
    context of that callback; its exception is raised from the loop in that context. Other results
    are dropped: Futures report their errors themselves."""
    if hasattr(result, "send") and hasattr(result, "__await__"):
        while isinstance(callback, Timed):
            callback = callback.callback
        scheduled = plain(callback)
        if isinstance(scheduled, Scheduled):
            # In debug mode the contexts are inside.
            callback = scheduled.callback
        wrap_like(callback, as_future)(result)


def name_and_place(callback):
    """(dotted name, "file:line" or None) of a callback: what it is, and where it was scheduled. The
    object of a method may define ``name_callbacks()``, which returns a better name."""
    callback = plain(callback)
    place = None
    if isinstance(callback, Scheduled):
        place = "%s:%d" % callback.place
        callback = plain(callback.callback)
    owner = getattr(callback, "__self__", None)
    if hasattr(type(owner), "name_callbacks"):
        return owner.name_callbacks(), place
    if hasattr(callback, "__func__"):
        cls = owner if isinstance(owner, type) else type(owner)
        return "%s.%s.%s" % (cls.__module__, cls.__name__, callback.__name__), place
    if not hasattr(callback, "__name__"):
        callback = type(callback)
    name = getattr(callback, "__qualname__", callback.__name__)
    return "%s.%s" % (getattr(callback, "__module__", None) or type(owner).__module__, name), place


def calling_place():
    """The line that called the loop, as (file, line): the nearest one outside this package. In a
    callback of the package itself, it is the nearest one outside this folder. A partial, which has
    a frame on PyPy, is passed over."""
    frame = nearest = sys._getframe(1)
    inside = True
    while frame is not None:
        path = frame.f_code.co_filename
        if path == _FUNCTOOLS:
            pass
        elif not path.startswith(_FOLDER):
            if inside:
                nearest, inside = frame, False
            if not path.startswith(_PACKAGE):
                nearest = frame
                break
        elif not inside:
            break   # the loop, which called the callback
        frame = frame.f_back
    return nearest.f_code.co_filename, nearest.f_lineno


# From code, because paths in frames are spelled as they were when the module was compiled.
_FOLDER = os.path.join(os.path.dirname(calling_place.__code__.co_filename), "")
_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(_FOLDER)), "")
_FUNCTOOLS = functools.wraps.__code__.co_filename
