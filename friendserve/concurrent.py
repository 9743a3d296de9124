"""Futures: results that are there now or come later.

    from friendserve.concurrent import Future
    from friendserve.ioloop import IOLoop

    loop = IOLoop.current()
    future = Future()
    loop.add_future(future, lambda future: (print(future.result()), loop.stop()))
    loop.call_later(0.1, future.set_result, "done")
    loop.start()

They are a face over callbacks, for programs that use coroutines (see `friendserve.gen`); nothing in
the core needs them.
"""
from __future__ import absolute_import, division, print_function

import functools
import sys

import six

try:
    from concurrent import futures
except ImportError:  # version: py2
    futures = None

from friendserve import awaitable
from friendserve.ioloop import IOLoop
from friendserve.log import app_log
from friendserve.stack_context import ExceptionStackContext, state, wrap
from friendserve.util import ArgReplacer

__all__ = ["DummyExecutor", "FUTURES", "Future", "ReturnValueIgnoredError", "TracebackFuture",
           "chain_future", "dummy_executor", "future_add_done_callback", "future_of",
           "future_set_exc_info", "future_set_result_unless_cancelled", "is_future",
           "return_future", "run_on_executor"]


class ReturnValueIgnoredError(Exception):
    """A function that delivers its result in another way has also returned one."""


class Future(object):
    """A result, or an exception, that is there now or comes later.

    It is made and used in one thread, that of its loop; only `set_result` and its siblings may be
    called from another one. A Future that is dropped with an exception that was never taken from it
    (by `result`, `exception` or `exc_info`) raises it from the loop, in the stack context in which
    the Future was made.
    """
    def __init__(self):
        self._done = False
        self._result = None
        self._exc_info = None       # (type, exception, traceback)
        self._callbacks = []        # functions without arguments that schedule the callbacks
        self._untaken = None        # an _Untaken while there is an exception that was not taken
        self._report = wrap(six.reraise) if state.contexts else six.reraise

    # Asking

    def done(self):
        """Whether there is a result or an exception."""
        return self._done

    def running(self):
        """Whether neither is there yet."""
        return not self._done

    def cancel(self):
        """False: what a Future waits for cannot be cancelled through it."""
        return False

    def cancelled(self):
        """False, see `cancel`."""
        return False

    def result(self, timeout=None):
        """The result; raises the exception if there is one instead. Raises RuntimeError if neither
        is there yet: a Future does not block. `timeout` is ignored."""
        self._take()
        if self._exc_info is not None:
            try:
                six.reraise(*self._exc_info)
            finally:
                # The traceback refers to this frame.
                self = None
        return self._result

    def exception(self, timeout=None):
        """The exception, or None if there is a result. Raises and ignores as `result` does."""
        self._take()
        return self._exc_info[1] if self._exc_info is not None else None

    def exc_info(self):
        """The exception as a tuple, as from sys.exc_info, or None if there is a result. Raises as
        `result` does."""
        self._take()
        return self._exc_info

    def _take(self):
        if not self._done:
            raise RuntimeError("this Future has no result yet: yield it, or add a callback")
        if self._untaken is not None:
            self._untaken.exc_info = None
            self._untaken = None

    def add_done_callback(self, fn):
        """Have the current loop call `fn(self)`, in the current stack context, once this is
        done, or in its next turn if it is done already."""
        self._add(functools.partial(IOLoop.current().add_callback, wrap(fn), self))

    def add_waiter(self, callback):
        """The same for a callback without arguments: no frame then refers to this Future, which a
        traceback might lead to."""
        self._add(functools.partial(IOLoop.current().add_callback, wrap(callback)))

    def _add(self, add):
        if self._done:
            add()
        else:
            self._callbacks.append(add)

    # Answering

    def set_result(self, result):
        """Set the result. Raises RuntimeError if the Future is done."""
        self._set_done()
        self._result = result

    def set_exception(self, exception):
        """Set an exception instead of a result."""
        self.set_exc_info((type(exception), exception, getattr(exception, "__traceback__", None)))

    def set_exc_info(self, exc_info):
        """Set an exception, given as a tuple as from sys.exc_info."""
        report = self._report
        self._set_done()
        self._exc_info = exc_info
        self._untaken = _Untaken(report, exc_info, IOLoop.current(instance=False))

    def _set_done(self):
        if self._done:
            raise RuntimeError("this Future is done already")
        self._done = True
        callbacks, self._callbacks, self._report = self._callbacks, None, None
        for add in callbacks:
            add()

    # Waiting

    def __await__(self):
        return _Awaiting(self)

    __iter__ = __await__

    def __repr__(self):
        return "<%s %s>" % (type(self).__name__, "pending" if not self._done else
                            "done" if self._exc_info is None else "failed")


class _Awaiting(object):
    """The iterator of ``await future``: it yields the Future once, to the coroutine's runner, or
    instead what a task of asyncio accepts."""
    __slots__ = ("_future", "_yielded")

    def __init__(self, future):
        self._future = future
        self._yielded = False

    def __iter__(self):
        return self

    def __next__(self):
        if not self._yielded and not self._future.done():
            self._yielded = True
            return self._future if awaitable.await_by is None else \
                awaitable.await_by(self._future)
        raise StopIteration(self._future.result())

    next = __next__  # version: py2

    def send(self, value):
        """Called instead by a runner that sends the result, which is that of the Future."""
        return self.__next__()


class _Untaken(object):
    """The exception of a Future, until it is taken. Its end means that it never was."""
    __slots__ = ("report", "exc_info", "io_loop")

    def __init__(self, report, exc_info, io_loop):
        self.io_loop = io_loop      # None if there was none
        self.report = report        # what raises it, in its stack context
        # None once it is taken. Python 2 never collects an object with __del__ in a cycle, which
        # frames of the traceback may complete.
        self.exc_info = exc_info if not six.PY2 else exc_info[:2] + (None,)  # version: py2

    def __del__(self):
        if self.exc_info is None:
            return
        # Perhaps in another thread: an executor's may drop it last.
        if self.io_loop is not None and self.io_loop.running():
            self.io_loop.spawn_callback(self.report, *self.exc_info)
        else:
            app_log.error("Exception of a Future that was never asked for it",
                          exc_info=self.exc_info)


#: The name that Tornado 4 has for it.
TracebackFuture = Future

#: Classes of Futures: for isinstance.
FUTURES = Future if futures is None else (Future, futures.Future)


if futures is not None:
    CancelledError = futures.CancelledError
else:  # version: py2
    class CancelledError(Exception):
        """A Future of another kind was cancelled."""


def is_future(x):
    """Whether `x` is a Future, this one or that of concurrent.futures."""
    return isinstance(x, FUTURES)


def settle(future, function, *args, **kwargs):
    """Give `future` the outcome of a call of `function`, and return it."""
    try:
        result = function(*args, **kwargs)
    except Exception:
        future.set_exc_info(sys.exc_info())
    else:
        future.set_result(result)
    try:
        return future
    finally:
        # A traceback refers to this frame.
        future = None


def future_of(call, *args, **kwargs):
    """A Future of the result of ``call(*args, callback=..., on_error=..., **kwargs)``, see
    `friendserve.awaitable.future_of`."""
    future = Future()
    once = Once(future)
    try:
        call(*args, callback=once.deliver, on_error=once.fail_with, **kwargs)
        return future
    finally:
        # The traceback of an error may lead to this frame.
        future = None


def adopt(foreign):
    """A Future with the outcome of a Future of another kind, which may end in another thread."""
    future = Future()
    add = IOLoop.current().add_callback
    foreign.add_done_callback(lambda foreign: add(copy_outcome, foreign, future))
    return future


def copy_outcome(source, target):
    """Give `target` the outcome of `source`, unless it has one."""
    if target.done():
        return
    if source.cancelled():
        target.set_exception(CancelledError())
        return
    error = source.exception()
    if error is None:
        target.set_result(source.result())
    elif isinstance(source, Future):
        target.set_exc_info(source.exc_info())
    else:
        target.set_exception(error)


def chain_future(a, b):
    """Give the Future `b` the outcome of `a` when that is done, unless `b` has one by then."""
    if not isinstance(a, Future):
        a = adopt(a)
    a.add_done_callback(lambda a: copy_outcome(a, b))


def future_set_result_unless_cancelled(future, value):
    """Set the result of a Future that may have been cancelled."""
    if not future.cancelled():
        future.set_result(value)


def future_set_exc_info(future, exc_info):
    """Set the exception of any kind of Future, given as a tuple as from sys.exc_info."""
    if isinstance(future, Future):
        future.set_exc_info(exc_info)
    else:
        future.set_exception(exc_info[1])


def future_add_done_callback(future, callback):
    """Call `callback(future)` when `future` is done: at once if it is done already."""
    if future.done():
        callback(future)
    else:
        future.add_done_callback(callback)


def return_future(f):
    """A decorator that gives a function with an argument `callback` a Future as its result.

    The function calls `callback(result)`; an exception that it raises, or that a callback in its
    stack context raises, becomes that of the Future. The new function may be called with a
    `callback` too: it is called with the result.

    It does not change what the function does with the arguments, and the function must return
    None: otherwise the Future has a ReturnValueIgnoredError.
    """
    replacer = ArgReplacer(f, "callback")

    @six.wraps(f)
    def wrapper(*args, **kwargs):
        future = Future()
        once = Once(future)
        callback, args, kwargs = replacer.replace(once.deliver, args, kwargs)
        if callback is not None:
            # Its errors are those of the caller.
            future.add_done_callback(lambda future: callback(future.result()))
        try:
            with ExceptionStackContext(once.fail):
                if f(*args, **kwargs) is not None:
                    raise ReturnValueIgnoredError("a function with @return_future passes its "
                                                  "result to its callback, and returns None")
            return future
        finally:
            # A traceback may refer to this frame.
            future = None
    return wrapper


class Once(object):
    """Gives a Future the first of several outcomes, and ignores the others. `fail` is the handler
    of an ExceptionStackContext."""
    __slots__ = ("_future",)

    def __init__(self, future):
        self._future = future       # None after the first

    def deliver(self, result=None):
        future, self._future = self._future, None
        if future is not None:
            future.set_result(result)

    def fail(self, type, value, tb):
        """Set the exception. Whether it was the first outcome."""
        future, self._future = self._future, None
        if future is None:
            return False
        future.set_exc_info((type, value, tb))
        return True

    def fail_with(self, error):
        """The same, for an exception alone."""
        return self.fail(type(error), error, getattr(error, "__traceback__", None))


class DummyExecutor(object):
    """An executor that runs each function at once, in the thread of the caller."""
    def submit(self, fn, *args, **kwargs):
        """A Future that is done, of ``fn(*args, **kwargs)``."""
        return settle(Future(), fn, *args, **kwargs)

    def shutdown(self, wait=True):
        """Do nothing."""


dummy_executor = DummyExecutor()


def run_on_executor(*args, **kwargs):
    """A decorator that runs a method on the executor of its object.

        class Work(object):
            executor = ThreadPoolExecutor(4)

            @run_on_executor
            def compute(self, n): ...

    The method then returns a Future; with a keyword argument `callback`, that is called with the
    result. ``@run_on_executor(executor="_pool")`` names another attribute. `io_loop` is accepted
    for old programs, and ignored: callbacks run on the loop of the caller.
    """
    def decorate(fn, executor="executor", io_loop=None):
        @six.wraps(fn)
        def wrapper(self, *args, **kwargs):
            callback = kwargs.pop("callback", None)
            future = adopt(getattr(self, executor).submit(fn, self, *args, **kwargs))
            if callback is not None:
                future.add_done_callback(lambda future: callback(future.result()))
            return future
        return wrapper

    if len(args) == 1 and not kwargs and callable(args[0]):
        return decorate(args[0])
    if args:
        raise TypeError("run_on_executor takes one method, or keyword arguments")
    return functools.partial(decorate, **kwargs)
