"""What calls return that were made without a callback.

The core works with callbacks, and knows no Futures. Its calls whose result is the point (a read, a
fetch, a connect) return `future_of(call, ...)` when they are given no callback; calls that are made
for their effect (a write, a flush) return a `Pending`, which becomes a Future only when it is
awaited. `friendserve.concurrent` and `friendserve.gen`, which make those Futures, are imported by
name at the first such call, so a program that works with callbacks never loads them.
"""
from __future__ import absolute_import, division, print_function

import importlib

#: What ``await future`` yields is ``await_by(future)``, unless this is None. Set by the bridge to
#: asyncio, whose tasks accept only its own Futures.
await_by = None

_loaded = {}


def _load(name):
    """The module with this name, imported at the first call."""
    module = _loaded.get(name)
    if module is None:
        module = _loaded[name] = importlib.import_module(name)
    return module


def future_of(call, *args, **kwargs):
    """A Future of the result of ``call(*args, callback=..., on_error=..., **kwargs)``.

    `call` calls one of the two, once: `callback(result)` or `on_error(error)`. What it raises is
    raised here. If the Future is dropped with an error that was never taken from it, the error is
    raised from the loop, in the stack context of this call.
    """
    return _load("friendserve.concurrent").future_of(call, *args, **kwargs)


def is_awaitable(value):
    """Whether `value` stands for a result that may come later: a Future, a coroutine, or what a
    write returns."""
    return hasattr(value, "add_done_callback") or hasattr(value, "__await__")


def as_future(value):
    """The Future for an awaitable `value`; a coroutine starts to run. Raises BadYieldError for
    another value."""
    return _load("friendserve.gen").convert_yielded(value)


class Pending(object):
    """Something that was started and ends later. When it is awaited, or yielded by a coroutine, it
    becomes a Future.

    Subclasses define `when_ended(callback, on_error)`, which calls one of the two, once, when that
    end has come.
    """
    __slots__ = ()

    def when_ended(self, callback, on_error):
        raise NotImplementedError()

    def to_future(self):
        """A Future of the end."""
        return future_of(self.when_ended)

    def add_done_callback(self, callback):
        """As that of a Future."""
        self.to_future().add_done_callback(callback)

    def __await__(self):
        return self.to_future().__await__()

    __iter__ = __await__


class Ended(Pending):
    """A Pending that has ended already: with `error`, unless that is None, or with `result`."""
    # Set after it is made: a constructor would cost a call on hot paths.
    result = error = None

    def when_ended(self, callback, on_error):
        if self.error is not None:
            on_error(self.error)
        else:
            callback(self.result)


#: What a write returns that was finished at once.
DONE = Ended()


def failed(error):
    """A Pending that has ended with `error`."""
    ended = Ended()
    ended.error = error
    return ended


def noted(call, *args, **kwargs):
    """A Pending of the outcome of a call, as for `future_of`, for one that is seldom awaited: an
    error that is not is dropped."""
    outcome = Outcome()
    call(*args, callback=outcome.callback, on_error=outcome.note_error, **kwargs)
    return outcome


class Outcome(Pending):
    """The outcome of a call, to which `callback` and `on_error` are passed, for code that awaits it
    at any time. An error that is not awaited by then is raised by `on_error`."""
    __slots__ = ("_ended", "_waiting")

    def __init__(self):
        self._ended = None          # the Ended, once there is one
        self._waiting = []          # pairs of callbacks

    def callback(self, result=None):
        """Note the result."""
        ended = Ended()
        ended.result = result
        self._end(ended)

    def on_error(self, error):
        """Note the error, and raise it if it is not awaited."""
        is_awaited = bool(self._waiting)
        self.note_error(error)
        if not is_awaited:
            raise error

    def note_error(self, error):
        """Note the error."""
        self._end(failed(error))

    def _end(self, ended):
        self._ended = ended
        for callback, on_error in self._waiting:
            ended.when_ended(callback, on_error)

    def when_ended(self, callback, on_error):
        if self._ended is not None:
            self._ended.when_ended(callback, on_error)
        else:
            self._waiting.append((callback, on_error))
