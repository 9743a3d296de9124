"""What debug mode watches while an application is served: handlers that block the loop, and
responses that are never finished.

An Application with the setting `debug` passes its handlers to the `Watch` of its loop, which calls
`_execute`. Without that setting there is no Watch.
"""
from __future__ import absolute_import, division, print_function

import collections
import gc
import linecache
import os
import sys
import types
import weakref

import six

from friendserve.httpclient.watching import watch_fetches
from friendserve.log import app_log
from friendserve.stack_context import NullContext

_ATTACHED_AS = "friendserve.web.watching"

#: Seconds that a turn of the loop may take.
SLOW = 0.1

#: Seconds after which a response without `finish` is reported.
UNFINISHED = 10.0

#: The most callbacks that a report names.
_MAX_NAMED = 5

_Pending = collections.namedtuple("_Pending", "due handler request text kind")


def watch_loop(io_loop):
    """The Watch of a loop, made by the first call; None if the loop cannot watch its turns."""
    watch = io_loop.attachments.get(_ATTACHED_AS)
    if watch is None:
        try:
            watch = Watch(io_loop)
        except NotImplementedError:
            return None
        io_loop.attachments[_ATTACHED_AS] = watch
    return watch


class Watch(object):
    """Runs handlers, and logs what is wrong with how they run."""

    def __init__(self, io_loop):
        self._loop = io_loop
        self._turn = None           # the turn of `_seconds` and `_slowest`
        self._seconds = 0.0
        self._slowest = None        # the handler that took this long
        self._pending = collections.deque()
        self._timer = None
        self._reported = set()
        io_loop.set_debug(True, SLOW, log=self._on_slow_turn)
        watch_fetches(io_loop)

    def execute(self, handler, transforms, args, kwargs):
        """Answer the request of a handler."""
        loop = self._loop
        if loop.turn is not self._turn:
            self._turn, self._seconds, self._slowest = loop.turn, 0.0, None
        began = loop.time()
        try:
            handler._execute(transforms, args, kwargs)
        finally:
            now = loop.time()
            if now - began > self._seconds:
                self._seconds, self._slowest = now - began, _describe(handler)
            if not getattr(handler, "_finished", True) and not _is_meant_to_wait(type(handler)):
                self._pending.append(_Pending(
                    now + UNFINISHED, weakref.ref(handler), handler.request, _describe(handler),
                    (type(handler), handler.request.method)))
                self._set_timer()

    def _on_slow_turn(self, turn):
        slowest, self._slowest = self._slowest, None
        if slowest is not None and self._turn is self._loop.turn \
                and self._seconds > turn.seconds / 2:
            app_log.warning("%s took %.2f seconds, during which nothing else was answered: pass "
                            "slow work to IOLoop.run_in_executor", slowest, self._seconds)
        else:
            app_log.warning("A turn of the loop took %s; nothing else was answered meanwhile", turn)

    def _set_timer(self):
        if self._timer is None and self._pending:
            with NullContext():
                self._timer = self._loop.call_at(self._pending[0].due, self._look)

    def _look(self):
        self._timer = None
        now = self._loop.time()
        while self._pending and self._pending[0].due <= now:
            pending = self._pending.popleft()
            handler = pending.handler()
            stream = getattr(pending.request.connection, "stream", None)
            # If the connection has moved on to another request, this one was answered.
            if getattr(handler, "_finished", False) or pending.kind in self._reported \
                    or getattr(pending.request.connection, "request", None) is not pending.request \
                    or stream is not None and stream.closed():
                continue
            self._reported.add(pending.kind)
            app_log.warning("%s has not called finish() for %d seconds: %s", pending.text,
                            UNFINISHED, waits_for(handler))
        self._set_timer()


# From code, because paths in frames are spelled as they were when the module was compiled.
_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(watch_loop.__code__.co_filename)), "")


def _is_meant_to_wait(cls):
    """Whether a class is made for long requests: it overrides a method that is called at their
    end."""
    defined = [name for base in cls.__mro__
               if base.__name__ != "RequestHandler" and base is not object
               for name in base.__dict__]
    return cls.__module__.startswith("friendserve.") or not set(defined).isdisjoint(
        ("on_connection_close", "on_drain", "on_server_stop"))


def _describe(handler):
    """ "GET /path (address): Handler.get (file:line)"."""
    name = handler.request.method.lower()
    text = "%s: %s.%s" % (handler._request_summary(), type(handler).__name__, name)
    method = getattr(handler, name, None)
    # A decorator of this package keeps the function that it was given.
    code = getattr(getattr(method, "__wrapped__", method), "__code__", None)
    return text if code is None or _is_ours(code) else "%s (%s)" % (text, _place(code))


def _is_ours(code):
    return code.co_filename.startswith(_PACKAGE)


def _place(code, line=None):
    return "%s:%d" % (code.co_filename, line or code.co_firstlineno)


def waits_for(handler):
    """What has to happen before a handler can finish its response, as far as the objects that refer
    to it show."""
    if handler is None:
        return "nothing refers to the handler any more, so nothing can finish the response. " \
               "Does an @asynchronous method return without a callback that ends in finish()?"
    lines, callbacks = [], []
    running = set()
    frame = sys._getframe()
    while frame is not None:
        running.add(id(frame))
        frame = frame.f_back
    for found in _referrers(handler):
        frame = found if isinstance(found, types.FrameType) else \
            getattr(found, "gi_frame", None) or getattr(found, "cr_frame", None)
        if frame is not None:
            if id(frame) not in running and not _is_ours(frame.f_code):
                lines.append("it waits at %s: %s" % (
                    _place(frame.f_code, frame.f_lineno),
                    linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()))
        else:
            callbacks.extend(_functions(found))
    names = sorted(set(
        "%s (%s)" % (getattr(function, "__qualname__", function.__name__),
                     _place(function.__code__))
        for function in callbacks if not _is_ours(function.__code__)))
    if names:
        lines.append("it waits until one of its callbacks is called: " +
                     ", ".join(names[:_MAX_NAMED]))
    return "; ".join(lines) or \
        "it has no callback left that could do so. Does every path through it end in finish()?"


def _referrers(*objects):
    own = set(map(id, objects))
    own.add(id(objects))
    return [found for found in gc.get_referrers(*objects)
            if id(found) not in own and found is not sys._getframe()]


def _functions(found):
    """The functions of the program that `found`, which refers to a handler, belongs to."""
    if isinstance(found, types.MethodType):
        # Only the function: its class has other attributes too.
        function = six.get_method_function(found)
        return [function] if hasattr(function, "__code__") else []
    if type(found).__name__ == "cell":
        closures = [closure for closure in _referrers(found) if isinstance(closure, tuple)]
        return [function for closure in closures for function in _referrers(closure)
                if isinstance(function, types.FunctionType) and function.__closure__ is closure]
    if isinstance(found, tuple):
        return [partial.func for partial in _referrers(found)
                if hasattr(partial, "func") and hasattr(partial.func, "__code__")
                and isinstance(partial.func, types.FunctionType)]
    return []
