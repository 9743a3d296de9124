"""Functions as coroutines, and what helps to wait."""
from __future__ import absolute_import, division, print_function

import collections
import functools
import sys
import types

import six

from friendserve.concurrent import (
    Future, Once, ReturnValueIgnoredError, copy_outcome, is_future)
from friendserve.gen.points import adapt
from friendserve.gen.runner import (
    Return, Runner, convert_yielded, is_native, log_unless_quiet)
from friendserve.ioloop import IOLoop
from friendserve.stack_context import ExceptionStackContext
from friendserve.util import TimeoutError


def coroutine(func, replace_callback=True):
    """A decorator that makes a generator function a coroutine: it returns a Future.

    A function that is not a generator function returns a Future of its result. With
    `replace_callback`, the new function accepts a keyword argument `callback`, which is called with
    the result.
    """
    @six.wraps(func)
    def wrapper(*args, **kwargs):
        callback = kwargs.pop("callback", None) if replace_callback else None
        future = Future()
        try:
            result = func(*args, **kwargs)
        except Return as returned:
            future.set_result(returned.value)
        except Exception:
            future.set_exc_info(sys.exc_info())
        else:
            if isinstance(result, types.GeneratorType):
                Runner(result, future).run()
            elif is_native(result):
                future = convert_yielded(result)
            else:
                future.set_result(result)
        if callback is not None:
            future.add_done_callback(lambda future: callback(future.result()))
        try:
            return future
        finally:
            # A traceback may refer to this frame; see `Runner`.
            future = None

    wrapper.__wrapped__ = func  # version: py2
    wrapper.__tornado_coroutine__ = True
    return wrapper


def is_coroutine_function(func):
    """Whether `func` was made by `coroutine`."""
    return getattr(func, "__tornado_coroutine__", False)


def engine(func):
    """A decorator for a generator function that calls callbacks instead of returning a result.

    The new function returns None. An exception is raised from the loop, in the stack context of
    the call. Raises ReturnValueIgnoredError, in the same way, if the generator returns a value.
    """
    run = coroutine(func, replace_callback=False)

    @six.wraps(func)
    def wrapper(*args, **kwargs):
        run(*args, **kwargs).add_done_callback(functools.partial(_check_engine, func))
    return wrapper


def _check_engine(func, future):
    try:
        result = future.result()
    finally:
        # The traceback refers to this frame.
        future = None
    if result is not None:
        raise ReturnValueIgnoredError("%r is a @gen.engine, which cannot return a value, but has "
                                      "returned %r" % (func, result))


def Task(func, *args, **kwargs):
    """A Future of what `func` passes to its callback: it is called with `args`, `kwargs` and the
    keyword argument `callback`.

    The result is the callback's argument, None if there is none, or an `Arguments` if there are
    several. An exception in `func`, or in a callback that it scheduled, becomes the Future's.
    """
    future = Future()
    once = Once(future)
    try:
        with ExceptionStackContext(once.fail):
            func(*args, callback=adapt(once.deliver), **kwargs)
        return future
    finally:
        # A traceback may refer to this frame.
        future = None


class WaitIterator(object):
    """Futures in the order in which they end.

        waiting = gen.WaitIterator(first, second)
        while not waiting.done():
            result = yield waiting.next()

    The Futures are given by position or by name. After `next`, `current_future` is the Future whose
    result it returned, and `current_index` its position or name. ``async for`` works as well.
    """
    def __init__(self, *args, **kwargs):
        if args and kwargs:
            raise ValueError("give all Futures by position or all by name, not some of each")
        named = [(index, future) for index, future in enumerate(args)] or list(kwargs.items())
        self.current_future = self.current_index = None
        named = [(convert_yielded(future), name) for name, future in named]
        self._names = dict(named)
        self._ended = collections.deque()
        self._next = None           # the Future of a pending `next`
        for future, _ in named:
            future.add_done_callback(self._on_done)

    def done(self):
        """Whether each Future has been returned by `next`."""
        return not self._names and not self._ended

    def next(self):
        """A Future with the outcome of the one that ends next."""
        if self.done():
            raise IndexError("all Futures of this WaitIterator have ended")
        if self._next is not None and not self._next.done():
            raise RuntimeError("a next() of this WaitIterator is pending")
        self._next = Future()
        if self._ended:
            self._deliver(self._ended.popleft())
        return self._next

    def _on_done(self, future):
        if self._next is not None and not self._next.done():
            self._deliver(future)
        else:
            self._ended.append(future)

    def _deliver(self, future):
        self.current_future = future
        self.current_index = self._names.pop(future)
        copy_outcome(future, self._next)

    def __aiter__(self):
        return self

    def __anext__(self):
        if not self.done():
            return self.next()
        raise getattr(six.moves.builtins, "StopAsyncIteration")()


def maybe_future(x):
    """`x` if it is a Future, else a Future with `x` as its result."""
    if is_future(x):
        return x
    future = Future()
    future.set_result(x)
    return future


def with_timeout(timeout, future, io_loop=None, quiet_exceptions=()):
    """A Future with the outcome of `future`, or with a TimeoutError if that is not done in time.

    `timeout` is a deadline as for `IOLoop.add_timeout`: a time of the loop's clock, or a timedelta
    from now. After it, an exception of `future` is logged, unless it is an instance of
    `quiet_exceptions`; nothing is cancelled.
    """
    if isinstance(io_loop, (type, tuple)):
        # By position, as in Tornado 5.
        io_loop, quiet_exceptions = None, io_loop
    io_loop = io_loop or IOLoop.current()
    future = convert_yielded(future)
    result = Future()

    def expired():
        result.set_exception(TimeoutError("Timeout"))
        future.add_done_callback(drop)

    def drop(future):
        try:
            future.result()
        except Exception as error:
            log_unless_quiet(error, quiet_exceptions, "after the timeout")

    def ended(future):
        io_loop.remove_timeout(timer)
        copy_outcome(future, result)

    timer = io_loop.add_timeout(timeout, expired)
    future.add_done_callback(ended)
    return result


def sleep(duration):
    """A Future that ends after `duration` seconds."""
    future = Future()
    IOLoop.current().call_later(duration, future.set_result, None)
    return future
