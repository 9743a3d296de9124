"""The interface of every loop, and access to the current one."""
from __future__ import absolute_import, division, print_function

import datetime
import functools
import numbers
import os
import sys
import threading
import time
import traceback

import six

try:
    from concurrent.futures import ThreadPoolExecutor
except ImportError:  # version: py2
    ThreadPoolExecutor = None

from friendserve.awaitable import as_future, future_of, is_awaitable
from friendserve.log import app_log, gen_log
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.platform.pollers.interface import ERROR, NONE, READ, WRITE
from friendserve.stack_context import NullContext, unwrap, wrap
from friendserve.util import Configurable, TimeoutError

#: A deadline above this belongs to the wall clock: monotonic ones count from the machine's start.
_WALL_CLOCK = 1e9


class IOLoop(Configurable):
    """The interface of every loop, and access to the current one.

    `IOLoop()` makes a `PollIOLoop`. Any other implementation provides the same methods:
    add_handler, update_handler, remove_handler, add_callback, call_at, remove_timeout, start, stop,
    running and close; it may also set `turn`. A loop belongs to the thread that starts it and the
    process that made it.
    """
    #: A new object each turn; compare it to find out whether something was already done in this
    #: turn. None if this loop does not set it: then do it each time.
    turn = None

    _attachments = None

    NONE = NONE
    READ = READ
    WRITE = WRITE
    ERROR = ERROR

    _current = threading.local()
    _instance = None
    # Destructors run anywhere, even inside `instance`, and may acquire it.
    _instance_lock = threading.RLock()

    _default_executor = None
    _blocking_threshold = None

    @classmethod
    def configurable_base(cls):
        return IOLoop

    @classmethod
    def configurable_default(cls):
        # By name, as that module imports this one; but not by an import, for which a thread would
        # wait on Python 2 while the main thread imports the program. It is loaded with the package.
        return sys.modules["friendserve.ioloop.polling"].PollIOLoop

    def initialize(self, make_current=None):
        """`make_current`: whether this becomes the thread's current loop; None: only if the
        thread has none."""
        if make_current or make_current is None and IOLoop.current(instance=False) is None:
            self.make_current()

    @staticmethod
    def instance():
        """The process's loop, made at the first call; the same in every thread."""
        with IOLoop._instance_lock:
            if IOLoop._instance is None:
                IOLoop._instance = IOLoop(make_current=False)
            return IOLoop._instance

    @staticmethod
    def initialized():
        """Whether `instance` has already made a loop."""
        return IOLoop._instance is not None

    def install(self):
        """Make this the loop that `instance` returns. Call it before the first `instance`."""
        IOLoop._instance = self

    @staticmethod
    def clear_instance():
        """Forget the process's loop; the next `instance` makes a new one."""
        IOLoop._instance = None

    @staticmethod
    def current(instance=True):
        """The loop that runs in this thread or was made current in it. If there is none: the
        process's loop, or None if `instance` is false."""
        loop = getattr(IOLoop._current, "loop", None)
        return IOLoop.instance() if loop is None and instance else loop

    def make_current(self):
        """Make this the current loop of the calling thread."""
        IOLoop._current.loop = self

    @staticmethod
    def clear_current():
        """Leave the calling thread without a current loop."""
        IOLoop._current.loop = None

    @property
    def attachments(self):
        """A dict for objects that live as long as this loop, such as its HTTP clients. Use the
        name of your module as the key. Only for the loop's thread."""
        # Not by `__dict__`: once that has been read, CPython 3.11 and later look up every attribute
        # of the loop more slowly.
        if self._attachments is None:
            self._attachments = {}
        return self._attachments

    def time(self):
        """Seconds on the loop's clock, which never goes back; its zero is arbitrary."""
        return monotonic_time()

    def spawn_callback(self, callback, *args, **kwargs):
        """Like `add_callback`, but without the caller's stack context."""
        with NullContext():
            self.add_callback(callback, *args, **kwargs)

    #: The same, for signal handlers: the context they interrupt does not belong to them.
    add_callback_from_signal = spawn_callback

    def add_timeout(self, deadline, callback, *args, **kwargs):
        """Call `callback` once, at `deadline`: seconds of `time()`, or a timedelta from now.

        Old programs pass `time.time() + seconds`, which works too. Returns a handle for
        `remove_timeout`. Raises TypeError for a deadline of another type.
        """
        if isinstance(deadline, datetime.timedelta):
            deadline = self.time() + deadline.total_seconds()
        elif not isinstance(deadline, numbers.Real):
            raise TypeError("a deadline is a number of seconds or a timedelta, not %r"
                            % (deadline,))
        elif deadline > _WALL_CLOCK > self.time():
            deadline += self.time() - time.time()
        return self.call_at(deadline, callback, *args, **kwargs)

    def call_later(self, delay, callback, *args, **kwargs):
        """Call `callback` once, `delay` seconds from now; returns a handle."""
        return self.call_at(self.time() + delay, callback, *args, **kwargs)

    def handle_callback_exception(self, callback):
        """Log the exception that `callback` raised, which is in sys.exc_info(). Subclasses may
        override this."""
        app_log.error("Exception in callback %r", unwrap(callback), exc_info=True)

    def add_future(self, future, callback):
        """Call `callback(future)` on this loop, in the current stack context, when `future` is
        done. `future` is a Future of any kind or another awaitable; it may end in any thread."""
        callback = wrap(callback)
        if not hasattr(future, "add_done_callback"):
            future = as_future(future)
        future.add_done_callback(lambda future: self.add_callback(callback, future))

    def run_sync(self, func, timeout=None):
        """Run the loop until the Future or coroutine that ``func()`` returns has ended, and return
        its result.

        Raises its exception; TimeoutError after `timeout` seconds (None: no limit); RuntimeError if
        the loop was stopped before that.
        """
        ended, expired = [], []

        def run():
            result = func()
            if is_awaitable(result):
                self.add_future(result, end)
            else:
                ended.append(lambda: result)
                self.stop()

        def run_or_fail():
            try:
                run()
            except Exception:
                exc_info = sys.exc_info()
                ended.append(lambda: six.reraise(*exc_info))
                self.stop()

        def end(future):
            ended.append(future.result)
            self.stop()

        def expire():
            expired.append(True)
            self.stop()

        timer = None if timeout is None else self.call_later(timeout, expire)
        self.add_callback(run_or_fail)
        try:
            self.start()
        finally:
            if timer is not None:
                self.remove_timeout(timer)
        if ended:
            return ended[0]()
        if expired:
            raise TimeoutError("Operation timed out after %s seconds" % timeout)
        raise RuntimeError("the loop was stopped before the function of run_sync had ended")

    def run_in_executor(self, executor, func, *args, **kwargs):
        """Run `func(*args)` on a thread of `executor`, then `callback(result)` on this loop, or
        `on_error(error)` if it raised an exception.

        These two are keyword arguments. Without `on_error` the exception is raised again on the
        loop, in the caller's stack context; without both this returns a Future. Once the loop is
        closed, results and exceptions are dropped. `executor` is one from concurrent.futures; None
        means the one passed to `set_default_executor`, or a pool of 5 threads made when first
        needed.
        """
        callback, on_error = kwargs.pop("callback", None), kwargs.pop("on_error", None)
        if kwargs:
            raise TypeError("unexpected arguments: %s" % ", ".join(sorted(kwargs)))
        if callback is None and on_error is None:
            return future_of(self.run_in_executor, executor, func, *args)
        executor = executor or self._default_executor
        if executor is None:
            if ThreadPoolExecutor is None:
                raise RuntimeError("no executor: install the package 'futures', or pass one")
            executor = self._default_executor = ThreadPoolExecutor(5)
        deliver = wrap(functools.partial(_deliver_outcome, callback, on_error))
        # In a list that is emptied: otherwise frames refer from the exception back to its future.
        executor.submit(func, *args).add_done_callback(
            lambda future: self.spawn_callback(deliver, [future]))

    def set_default_executor(self, executor):
        """Set the executor for `run_in_executor(None, ...)`. The caller shuts it down."""
        self._default_executor = executor

    def split_fd(self, fd):
        """(number, `fd`) for a number or an object with `fileno()`."""
        return (fd, fd) if isinstance(fd, six.integer_types) else (fd.fileno(), fd)

    def close_fd(self, fd):
        """Close a number or an object with `close()`; harmless if it was closed before."""
        try:
            os.close(fd) if isinstance(fd, six.integer_types) else fd.close()
        except (OSError, IOError):
            gen_log.debug("fd %r was closed before its loop", fd, exc_info=True)

    def set_blocking_signal_threshold(self, seconds, action):
        """Raise SIGALRM when a turn takes longer than `seconds`, not counting the wait; None turns
        this off. `action` is the handler (signal, frame), or None to let the signal kill the
        process. Only for the loop of the main thread."""
        raise NotImplementedError("this loop cannot detect when it is blocked")

    def set_blocking_log_threshold(self, seconds):
        """Log the stack when a turn takes longer than `seconds`; None turns this off."""
        self.set_blocking_signal_threshold(seconds, self.log_stack)

    def log_stack(self, signal, frame):
        """A signal handler that logs the stack of `frame`."""
        gen_log.warning("The loop has been blocked for over %s seconds in\n%s",
                        self._blocking_threshold, "".join(traceback.format_stack(frame)))


def _deliver_outcome(callback, on_error, futures):
    future = futures.pop()
    error = future.exception()
    if error is not None and on_error is not None:
        on_error(error)
    else:
        result = future.result()
        if callback is not None:
            callback(result)
