"""Running a coroutine: what it may yield, and how it is resumed."""
from __future__ import absolute_import, division, print_function

import functools
import sys

import six

try:
    from functools import singledispatch
except ImportError:  # version: py2
    singledispatch = None

from friendserve.awaitable import Pending
from friendserve.concurrent import Future, adopt, settle
from friendserve.gen.points import (
    BadYieldError, KeyReuseError, LeakedCallbackError, UnknownKeyError, YieldPoint, adapt)
from friendserve.ioloop import IOLoop
from friendserve.log import app_log
from friendserve.stack_context import (
    ExceptionStackContext, StackContextInconsistentError, state)


class Return(Exception):
    """Raised by a coroutine to end with the result `value`, as ``return value`` does on Python 3.
    """
    def __init__(self, value=None):
        super(Return, self).__init__()
        self.value = value
        # For generators that were made by a library's own kind of coroutine.
        self.args = (value,)


def is_native(value):
    """Whether `value` is the coroutine that an ``async def`` function returns."""
    return hasattr(value, "send") and hasattr(value, "__await__")


#: Yield it to let the loop run one turn.
moment = Future()
moment.set_result(None)


class Runner(object):
    """Runs one generator or coroutine. For YieldPoints; made by `coroutine`.

    `run` runs it as far as it can; then `result_future` has its outcome, or the loop will call
    `run` again.
    """
    def __init__(self, gen, result_future, first_yielded=None):
        self.gen = gen
        self.result_future = result_future
        self.future = None          # what it waits for: None before it has begun
        self.running = False
        self.finished = False
        self.io_loop = IOLoop.current()
        # For YieldPoints.
        self.yield_point = None     # the one it waits for
        self.pending_callbacks = None   # the keys of Callbacks without a Wait, a set once used
        self.results = {}
        self.stack_context_deactivate = None
        self.exc_info = None        # an exception to raise in it, from a callback in its context
        self.had_exception = False  # whether one was raised in it
        if first_yielded is not None:
            self.handle_yield(first_yielded)

    def run(self):
        """Run the generator until it waits for something that has not ended, or ends itself."""
        if self.running or self.finished:
            return
        self.running = True
        try:
            while self._advance():
                pass
        finally:
            self.running = False

    def _advance(self):
        """Run it to its next ``yield``, if what it waits for has ended. Return whether what it
        waits for then has ended too."""
        if self.exc_info is None and self.future is not None and not self.future.done():
            return False
        contexts = state.contexts
        try:
            yielded = self._step()
        except (StopIteration, Return) as end:
            result_future = self._end()
            # After an exception, some Callbacks may have nothing left to be called by.
            if self.pending_callbacks and not self.had_exception:
                result_future.set_exception(LeakedCallbackError(
                    "%r ended without waiting for the callbacks %r" % (
                        self.gen, sorted(self.pending_callbacks, key=repr))))
            else:
                result_future.set_result(getattr(end, "value", None))
            return False
        except Exception:
            # The traceback refers to this frame, which must not refer to a Future: an exception
            # that is never taken from one is only raised once it is freed.
            self._end().set_exc_info(sys.exc_info())
            return False
        if state.contexts is not contexts:
            # They would be those of all that the loop calls next.
            state.contexts = contexts
            error = StackContextInconsistentError(
                "a coroutine has yielded inside a StackContext: use run_with_stack_context")
            return self._fail((type(error), error, None))
        return self.handle_yield(yielded)

    def _step(self):
        future, self.future = self.future, None
        exc_info, self.exc_info = self.exc_info, None
        if exc_info is None and future is not None:
            try:
                value = future.result()
            except Exception:
                exc_info = sys.exc_info()
        else:
            value = None
        future = None
        if exc_info is None:
            return self.gen.send(value)
        self.had_exception = True
        try:
            return self.gen.throw(*exc_info if six.PY2 else exc_info[1:2])  # version: py2
        finally:
            # The traceback refers to this frame.
            exc_info = None

    def name_callbacks(self):
        """The name of the coroutine, for logs."""
        code = getattr(self.gen, "gi_code", None) or getattr(self.gen, "cr_code", None)
        name = getattr(self.gen, "__qualname__", None) or getattr(self.gen, "__name__", "?")
        return "the coroutine %s%s" % (name, "" if code is None else " (%s:%d)" % (
            code.co_filename, code.co_firstlineno))

    def _end(self):
        self.finished = True
        if self.stack_context_deactivate is not None:
            self.stack_context_deactivate()
        result_future, self.result_future = self.result_future, None
        try:
            return result_future
        finally:
            result_future = None

    def handle_yield(self, yielded):
        """Begin to wait for `yielded`. Return whether it has ended already; otherwise the loop
        calls `run` when it has."""
        if isinstance(yielded, (list, dict)):
            try:
                yielded = multi(yielded)
            except BadYieldError:
                return self._fail(sys.exc_info())
        if isinstance(yielded, YieldPoint):
            return self._start_yield_point(yielded)
        try:
            future = self.future = convert_yielded(yielded)
        except BadYieldError:
            return self._fail(sys.exc_info())
        if future is moment:
            self.io_loop.add_callback(self.run)
            return False
        if future.done():
            return True
        future.add_waiter(self.run)
        return False

    def _fail(self, exc_info):
        """Raise an exception in the generator."""
        self.future = Future()
        self.future.set_exc_info(exc_info)
        return True

    # YieldPoints

    def _start_yield_point(self, yield_point):
        self.future = Future()
        if self.stack_context_deactivate is not None:
            return self._begin(yield_point)
        # From now on the generator runs in a context of its runner, so that exceptions of
        # callbacks which it schedules are raised in it. It cannot be entered for the code that is
        # being run, only for what the loop calls.
        with ExceptionStackContext(self.handle_exception) as self.stack_context_deactivate:
            self.io_loop.add_callback(self._begin_and_run, yield_point)
        return False

    def _begin_and_run(self, yield_point):
        if self._begin(yield_point):
            self.run()

    def _begin(self, yield_point):
        try:
            yield_point.start(self)
            self.yield_point = yield_point
            return self._finish_yield_point()
        except Exception:
            return self._fail(sys.exc_info())

    def _finish_yield_point(self):
        """Take the result of the YieldPoint if it is ready, and return whether it is."""
        if self.yield_point is None or not self.yield_point.is_ready():
            return False
        yield_point, self.yield_point = self.yield_point, None
        settle(self.future, yield_point.get_result)
        return True

    def handle_exception(self, typ, value, tb):
        """Raise an exception of a callback in the generator, if that has not ended. Return whether
        it did."""
        if self.finished or self.running:
            return False
        self.exc_info = typ, value, tb
        self.yield_point = None
        self.run()
        return True

    def register_callback(self, key):
        """Note that a Callback with this key was made. Raises KeyReuseError."""
        pending = self.pending_callbacks = self.pending_callbacks or set()
        if key in pending:
            raise KeyReuseError("a Callback with the key %r has not been waited for" % (key,))
        pending.add(key)

    def is_ready(self, key):
        """Whether the callback with this key was called. Raises UnknownKeyError."""
        if not self.pending_callbacks or key not in self.pending_callbacks:
            raise UnknownKeyError("there is no Callback with the key %r to wait for" % (key,))
        return key in self.results

    def set_result(self, key, result):
        """Note what the callback with this key was called with."""
        self.results[key] = result
        if self._finish_yield_point() and not self.running:
            self.run()

    def pop_result(self, key):
        """What the callback with this key was called with, which frees the key."""
        self.pending_callbacks.remove(key)
        return self.results.pop(key)

    def result_callback(self, key):
        """The callback for this key."""
        return adapt(functools.partial(self.set_result, key))


def _run_native(coroutine):
    run_native = IOLoop.current().run_native
    if run_native is not None:
        return adopt(run_native(coroutine))
    if not is_native(coroutine):
        coroutine = _Awaited(coroutine.__await__())
    future = Future()
    Runner(coroutine, future).run()
    try:
        return future
    finally:
        # A traceback may refer to this frame.
        future = None


def _convert(yielded):
    """The Future for what a coroutine has yielded: a Future of any kind, a coroutine, what a write
    returns, or a list or dict of these. Raises BadYieldError for anything else."""
    if isinstance(yielded, Future):
        return yielded
    if isinstance(yielded, Pending):
        return yielded.to_future()
    if yielded is None:
        return moment
    if isinstance(yielded, (list, dict)):
        return multi_future(yielded)
    if hasattr(yielded, "add_done_callback"):
        return adopt(yielded)
    if hasattr(yielded, "__await__"):
        return _run_native(yielded)
    raise BadYieldError("a coroutine cannot wait for %r: yield a Future or an awaitable; for a "
                        "function with a callback, use gen.Task" % (yielded,))


class _Awaited(object):
    """The iterator of an awaitable, as a generator."""
    def __init__(self, iterator):
        self._iterator = iterator

    def send(self, value):
        if value is None:
            return next(self._iterator)
        return self._iterator.send(value)

    def throw(self, *exc_info):
        if hasattr(self._iterator, "throw"):
            return self._iterator.throw(*exc_info)
        raise exc_info[0]


if singledispatch is not None:
    #: `register` adds the conversion of another library's class.
    convert_yielded = singledispatch(_convert)
else:  # version: py2
    convert_yielded = _convert


class YieldFuture(YieldPoint):
    """A Future as a YieldPoint. `io_loop` is accepted for old programs, and ignored."""
    def __init__(self, future, io_loop=None):
        self.future = future

    def start(self, runner):
        # The runner looks again at what it waits for; the key and the result do not matter.
        self.future.add_done_callback(functools.partial(runner.set_result, self))

    def is_ready(self):
        return self.future.done()

    def get_result(self):
        return self.future.result()


class MultiYieldPoint(YieldPoint):
    """Waits for several things: a list or a dict of YieldPoints and Futures, at least one of them a
    YieldPoint. The result has the same shape.

    The first exception, in their order, is raised. Others are logged, unless they are instances of
    `quiet_exceptions`.
    """
    def __init__(self, children, quiet_exceptions=()):
        self.keys = list(children) if isinstance(children, dict) else None
        if self.keys is not None:
            children = [children[key] for key in self.keys]
        self.children = [child if isinstance(child, YieldPoint) else
                         YieldFuture(convert_yielded(child)) for child in children]
        self.unfinished_children = set(self.children)
        self.quiet_exceptions = quiet_exceptions

    def start(self, runner):
        for child in self.children:
            child.start(runner)

    def is_ready(self):
        self.unfinished_children = set(child for child in self.unfinished_children
                                       if not child.is_ready())
        return not self.unfinished_children

    def get_result(self):
        results, first = [], None
        for child in self.children:
            try:
                results.append(child.get_result())
            except Exception as error:
                if first is None:
                    first = sys.exc_info()
                else:
                    log_unless_quiet(error, self.quiet_exceptions, "among several")
        if first is not None:
            six.reraise(*first)
        return results if self.keys is None else dict(zip(self.keys, results))


def log_unless_quiet(error, quiet_exceptions, where):
    if not isinstance(error, quiet_exceptions):
        app_log.error("A further exception %s", where, exc_info=(
            type(error), error, getattr(error, "__traceback__", None)))


def multi(children, quiet_exceptions=()):
    """Waits for several things at once: a list or a dict of anything that a coroutine may yield.
    The result has the same shape.

    If some fail, the first exception is raised once all have ended; the others are logged, unless
    they are instances of `quiet_exceptions`. Coroutines may yield the list or dict itself.
    """
    values = list(children.values()) if isinstance(children, dict) else children
    if any(isinstance(child, YieldPoint) for child in values):
        return MultiYieldPoint(children, quiet_exceptions)
    return multi_future(children, quiet_exceptions)


def multi_future(children, quiet_exceptions=()):
    """Like `multi`, without YieldPoints; returns a Future."""
    keys = list(children) if isinstance(children, dict) else None
    waiting = [convert_yielded(child) for child in
               (children if keys is None else [children[key] for key in keys])]
    future = Future()
    left = set(waiting)

    def on_done(child):
        left.discard(child)
        if left:
            return
        results = []
        for child in waiting:
            # Not by an exception here, whose traceback would refer to this frame.
            exc_info = child.exc_info()
            if exc_info is None:
                results.append(child.result())
            elif future.done():
                log_unless_quiet(exc_info[1], quiet_exceptions, "among several")
            else:
                future.set_exc_info(exc_info)
        if not future.done():
            future.set_result(results if keys is None else dict(zip(keys, results)))

    if not waiting:
        future.set_result([] if keys is None else {})
    for child in set(waiting):
        child.add_done_callback(on_done)
    return future
