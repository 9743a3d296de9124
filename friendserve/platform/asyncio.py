"""Bridges to asyncio, in both directions. Python 3.6 or newer.

The IOLoop interface on an asyncio loop, uvloop included::

    from friendserve.ioloop import IOLoop

    IOLoop.configure("friendserve.platform.asyncio.AsyncIOLoop")
    IOLoop.current().start()

or inside a program that runs its asyncio loop itself::

    async def main():
        AsyncIOMainLoop()           # the current IOLoop from now on
        application.listen(8888)
        await asyncio.Event().wait()

    asyncio.run(main())

And asyncio code on an IOLoop, whichever that is::

    loop = IOLoopEventLoop()        # on IOLoop.current()
    loop.create_task(fetch_with_aiohttp())
    IOLoop.current().start()

On an asyncio loop, ``async def`` coroutines run as tasks of asyncio, so handlers can ``await`` its
awaitables and those of its libraries. On any loop, asyncio tasks can ``await`` the Futures of
`friendserve.concurrent`, and everything else that is awaitable here.

On an asyncio loop, context variables (PEP 567; Python 3.7) go along with callbacks, timers and
handlers as stack contexts do: each is called with the values that were set when it was added, and
the callbacks of streams, clients and servers with those set when they were passed in.

The loops are described in `friendserve.platform.foreign`. The asyncio loop must have `add_reader`,
which the Windows loop for pipes and subprocesses (ProactorEventLoop) lacks.
"""
from __future__ import absolute_import, division, print_function

import functools
import os
import warnings

try:
    import asyncio
    import selectors
except ImportError:  # version: py2
    raise ImportError("friendserve.platform.asyncio needs Python 3.6 or newer: this one has no "
                      "asyncio")

from friendserve import awaitable
from friendserve.ioloop import IOLoop
from friendserve.platform.foreign import ForeignIOLoop
from friendserve.stack_context import (
    VARIABLES, NullContext, contextvars, state, wrap_step, wrap_with_variables)

__all__ = ["AnyThreadEventLoopPolicy", "AsyncIOLoop", "AsyncIOMainLoop", "BaseAsyncIOLoop",
           "IOLoopEventLoop", "to_asyncio_future", "to_tornado_future"]


class BaseAsyncIOLoop(ForeignIOLoop):
    """An IOLoop that `asyncio_loop` drives, which may be running already. `close` also closes that
    loop if `close_loop` is true. The other arguments are those of `PollIOLoop`."""

    def initialize(self, asyncio_loop, close_loop=False, **kwargs):
        self.asyncio_loop = asyncio_loop
        self.close_loop = close_loop
        super(BaseAsyncIOLoop, self).initialize(**kwargs)
        if asyncio_loop.is_running() and not state.contexts:
            self._keep_variables()

    def _host_watch(self, fd, callback):
        self.asyncio_loop.add_reader(fd, callback)

    def _host_unwatch(self, fd):
        if not self.asyncio_loop.is_closed():
            self.asyncio_loop.remove_reader(fd)

    def _host_soon(self, callback):
        return self.asyncio_loop.call_soon(callback)

    def _host_later(self, seconds, callback):
        return self.asyncio_loop.call_later(seconds, callback)

    def _host_run(self):
        if self.asyncio_loop.is_running():
            # asyncio in Python 3.13.0 stops running if it is asked to run once more.
            raise RuntimeError("the asyncio loop is already running, and this loop with it: no "
                               "start() is needed")
        contexts = state.contexts
        self._keep_variables()
        try:
            self.asyncio_loop.run_forever()
        finally:
            state.contexts = contexts

    def _host_stop(self):
        self.asyncio_loop.stop()

    def run_native(self, awaitable):
        """Run an awaitable as an asyncio task, and return the task. Its steps run in the stack
        contexts of the call."""
        if state.contexts and state.contexts is not VARIABLES:
            awaitable = _InContexts(awaitable.__await__())
        return asyncio.ensure_future(awaitable, loop=self.asyncio_loop)

    def close(self, all_fds=False):
        was_closed = self._closed
        super(BaseAsyncIOLoop, self).close(all_fds)
        if state.contexts is VARIABLES:
            state.contexts = ()
        # A forked child only forgets: its asyncio loop shares the fds of the parent's.
        if self.close_loop and not was_closed and os.getpid() == self._process:
            self.asyncio_loop.close()

    def _keep_variables(self):
        """From now on, have all callbacks that are wrapped in this thread keep the context
        variables."""
        if contextvars is not None:
            state.contexts = VARIABLES

    if contextvars is not None:
        _contexts = VARIABLES

        def _advance(self):
            # Not undone afterwards: coroutines of this thread call streams and clients too.
            state.contexts = VARIABLES
            super(BaseAsyncIOLoop, self)._advance()

        def add_handler(self, fd, handler, events):
            if not state.contexts:
                handler = wrap_with_variables(handler)
            super(BaseAsyncIOLoop, self).add_handler(fd, handler, events)

        def add_callback(self, callback, *args, **kwargs):
            if not state.contexts:
                callback = wrap_with_variables(callback)
            super(BaseAsyncIOLoop, self).add_callback(callback, *args, **kwargs)

        def call_at(self, when, callback, *args, **kwargs):
            if not state.contexts:
                callback = wrap_with_variables(callback)
            return super(BaseAsyncIOLoop, self).call_at(when, callback, *args, **kwargs)


class AsyncIOLoop(BaseAsyncIOLoop):
    """An IOLoop on its own asyncio loop, which ends with it: `asyncio_loop`, or else a new one from
    ``asyncio.new_event_loop()`` (so ``uvloop.install()`` makes it a uvloop)."""

    def initialize(self, impl=None, asyncio_loop=None, **kwargs):
        host = asyncio_loop or asyncio.new_event_loop()
        try:
            super(AsyncIOLoop, self).initialize(host, close_loop=True, impl=impl, **kwargs)
        except BaseException:
            if host is not asyncio_loop:
                host.close()
            raise


class AsyncIOMainLoop(BaseAsyncIOLoop):
    """An IOLoop on the asyncio loop of the thread: the running one, or else the one that
    ``asyncio.get_event_loop()`` returns. It does not close that loop."""

    def initialize(self, impl=None, **kwargs):
        super(AsyncIOMainLoop, self).initialize(_event_loop(), impl=impl, **kwargs)


def _event_loop():
    loop = asyncio._get_running_loop()
    if loop is None:
        with warnings.catch_warnings():
            # From Python 3.12 on it warns if it makes the loop.
            warnings.simplefilter("ignore", DeprecationWarning)
            loop = asyncio.get_event_loop()
    return loop


def _step(function, arguments):
    """(whether it has ended, its result or what it yields, None or its exception) of a coroutine.
    """
    try:
        return False, function(*arguments), None
    except StopIteration as end:
        return True, end.value, None
    except BaseException as error:
        return True, None, error


class _InContexts(object):
    """An awaitable that does what the awaitable of `iterator` does, each step in the stack contexts
    that were active when it was made. These do not see the exception with which it ends."""

    def __init__(self, iterator):
        self._iterator = iterator
        self._step = wrap_step(_step)

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        return self._advance(self._iterator.send, value)

    def throw(self, *exc_info):
        # Exceptions are instances since Python 3.12, and may be ones before.
        return self._advance(getattr(self._iterator, "throw", _raise), *exc_info)

    def _advance(self, function, *arguments):
        ended, result, error = self._step(function, arguments)
        try:
            if error is not None:
                raise error
            if ended:
                raise StopIteration(result)
            return result
        finally:
            # The traceback refers to this frame.
            error = None


def _raise(kind, error=None, trace=None):
    raise error or kind


_current_task = getattr(asyncio, "current_task", None) or asyncio.Task.current_task  # Python 3.6


def _await_by(future):
    """What ``await future`` yields: in a task, a Future of asyncio that ends with `future`, and can
    be cancelled without it."""
    loop = asyncio._get_running_loop()
    if loop is None or _current_task(loop) is None:
        return future
    waiter = loop.create_future()
    waiter._asyncio_future_blocking = True  # what its `__await__` does
    future.add_done_callback(functools.partial(_wake, waiter))
    return waiter


def _wake(waiter, future):
    # The result is taken from `future` itself.
    if not waiter.done():
        waiter.set_result(None)


awaitable.await_by = _await_by


def to_asyncio_future(future):
    """A Future of asyncio for a `friendserve.concurrent.Future` or anything else that a coroutine
    can wait for. Cancelling it does not cancel the original."""
    io_loop = IOLoop.current()
    loop = io_loop.asyncio_loop if isinstance(io_loop, BaseAsyncIOLoop) else _event_loop()
    theirs = loop.create_future()
    awaitable.as_future(future).add_done_callback(functools.partial(_copy_outcome, theirs))
    return theirs


def _copy_outcome(target, source):
    if target.done():
        return
    error = source.exception()
    if error is None:
        target.set_result(source.result())
    else:
        target.set_exception(error)


def to_tornado_future(asyncio_future):
    """A `friendserve.concurrent.Future` for a Future, a task or a coroutine of asyncio."""
    return awaitable.as_future(asyncio_future)


class AnyThreadEventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """The default policy, except that ``asyncio.get_event_loop()`` makes a loop in any thread that
    has none, not only in the main one. Pass an instance to ``asyncio.set_event_loop_policy``."""

    def get_event_loop(self):
        try:
            return super(AnyThreadEventLoopPolicy, self).get_event_loop()
        except RuntimeError:
            loop = self.new_event_loop()
            self.set_event_loop(loop)
            return loop


class IOLoopEventLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that `io_loop` drives (None: the current one), for coroutines and libraries
    of asyncio in a program whose loop is an IOLoop.

    Create tasks with `create_task`, and from other threads with
    ``asyncio.run_coroutine_threadsafe``. `run_forever` and `run_until_complete` start the IOLoop,
    `stop` stops it. Signal handlers work as on any asyncio loop; subprocesses are not supported.
    `close` it before the IOLoop; as long as it is open, the IOLoop watches its fd.
    """
    def __init__(self, io_loop=None):
        selector = selectors.DefaultSelector()
        super(IOLoopEventLoop, self).__init__(selector)
        self.io_loop = io_loop or IOLoop.current()
        self._busy = False          # in an iteration, or the IOLoop is about to make one
        self._timer = None          # in the IOLoop, for our first timer
        self._timer_for = None      # and its deadline
        self._watched = None
        try:
            if isinstance(self.io_loop, BaseAsyncIOLoop):
                raise TypeError("%r is already on an asyncio loop: use its asyncio_loop"
                                % (self.io_loop,))
            if not hasattr(selector, "fileno"):
                raise NotImplementedError("the selectors of this system have no fd to be watched")
            with NullContext():
                self.io_loop.add_handler(selector.fileno(), self._on_ready, IOLoop.READ)
            self._watched = selector.fileno()
        except BaseException:
            self.close()
            raise

    def run_forever(self):
        self._check_closed()
        self.io_loop.start()

    def stop(self):
        self.io_loop.stop()

    def call_soon(self, callback, *args, **kwargs):
        handle = super(IOLoopEventLoop, self).call_soon(callback, *args, **kwargs)
        if not self._busy:
            self._iterate_soon()
        return handle

    def call_at(self, when, callback, *args, **kwargs):
        handle = super(IOLoopEventLoop, self).call_at(when, callback, *args, **kwargs)
        if not self._busy:
            self._plan()
        return handle

    def _on_ready(self, fd, events):
        self._iterate()

    def _iterate(self):
        """Check the fds without waiting, and call what is ready, in one iteration: asyncio does
        that for a loop that was stopped before it runs."""
        if self._closed:
            return
        self._busy = True
        try:
            super(IOLoopEventLoop, self).stop()
            super(IOLoopEventLoop, self).run_forever()
        finally:
            self._busy = False
            self._plan()

    def _plan(self):
        if self._ready:
            self._iterate_soon()
        elif self._scheduled:
            when = self._scheduled[0]._when
            if when != self._timer_for:
                self._forget_timer()
                self._timer_for = when
                with NullContext():
                    self._timer = self.io_loop.call_later(when - self.time(), self._on_timer)

    def _iterate_soon(self):
        self._busy = True
        self.io_loop.spawn_callback(self._iterate)

    def _on_timer(self):
        self._timer = self._timer_for = None
        self._iterate()

    def _forget_timer(self):
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = self._timer_for = None

    def close(self):
        if self._watched is not None and not self.is_running():
            self.io_loop.remove_handler(self._watched)
            self._watched = None
            self._forget_timer()
        super(IOLoopEventLoop, self).close()
