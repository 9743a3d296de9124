"""The interface of every loop, and access to the current one."""
from __future__ import absolute_import, division, print_function

import datetime
import functools
import inspect
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
from friendserve.ioloop.callbacks import plain
from friendserve.ioloop.signals import unwatch_signal, watch_signal
from friendserve.log import app_log, gen_log
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.platform.pollers.interface import ERROR, NONE, PRI, RDHUP, READ, WRITE
from friendserve.stack_context import NullContext, wrap
from friendserve.util import Configurable, TimeoutError, load_now

# Executors of parents, in a process made by a fork.
_of_parents = []

#: A deadline above this belongs to the wall clock: monotonic ones count from the machine's start.
_WALL_CLOCK = 1e9

_NOT_CONTINUED = (
    "A new loop is made for this child process; it does not call the handlers of the inherited one."
    " To continue with that, call its after_fork(); to drop it, call IOLoop.clear_instance() and"
    " IOLoop.clear_current()")


class IOLoop(Configurable):
    """The interface of every loop, and access to the current one.

    `IOLoop()` makes a `PollIOLoop`. Any other implementation provides the same methods:
    add_handler, update_handler, remove_handler, add_callback, call_at, remove_timeout, start, stop,
    running and close; it may also set `turn`. A loop belongs to the thread that starts it and the
    process that made it. In a ``with`` block, it is closed at the end.
    """
    #: A new object each turn; compare it to find out whether something was already done in this
    #: turn. None if this loop does not set it: then do it each time.
    turn = None

    #: ``run_native(awaitable)`` runs an ``async def`` coroutine or another awaitable as the host of
    #: this loop does, and returns a Future of the host. None: `friendserve.gen` runs coroutines.
    run_native = None

    _attachments = None

    # A loop that cannot run is never the current one.
    _closed = False     # set by the `close` of an implementation
    _process = None     # the process it belongs to, set by `initialize`; None: unknown

    NONE = NONE
    READ = READ
    #: Urgent data or an event of a device: poll's POLLPRI. Not on kqueue.
    PRI = PRI
    WRITE = WRITE
    ERROR = ERROR
    #: That the peer of a socket that is not read at the moment has disconnected. A loop may ignore
    #: it.
    RDHUP = RDHUP

    _current = threading.local()
    _instance = None
    # One for each process, since another thread may hold the parent's during a fork. Destructors
    # run anywhere, even inside `instance`, and may acquire it.
    _instance_locks = {}

    _default_executor = None
    _executor_process = None    # the process in which the loop made that; None if it was passed
    _blocking_threshold = None
    _takes_objects = False      # whether fds may be objects without `fileno()`

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
        load_now()
        self._process = os.getpid()
        if make_current or make_current is None and IOLoop.current(instance=False) is None:
            self.make_current()

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        self.close()

    def is_inherited(self):
        """Whether this loop belongs to a process of which this one is a child."""
        return self._process not in (None, os.getpid())

    def after_fork(self):
        """Make this loop, which is inherited, belong to the calling child process."""
        raise NotImplementedError("%s cannot be continued in a child process: make a new loop there"
                                  % type(self).__name__)

    @staticmethod
    def instance():
        """The process's loop, made at the first call and after it was closed; the same in every
        thread. Never that of the parent process."""
        with IOLoop._instance_locks.setdefault(os.getpid(), threading.RLock()):
            if not IOLoop.initialized():
                for loop in (IOLoop._instance, getattr(IOLoop._current, "loop", None)):
                    if loop is not None and not loop._closed and loop.is_inherited():
                        gen_log.warning(_NOT_CONTINUED)
                        break
                IOLoop._instance = IOLoop(make_current=False)
            return IOLoop._instance

    @staticmethod
    def initialized():
        """Whether `instance` would return an existing loop."""
        loop = IOLoop._instance
        return loop is not None and not loop._closed and not loop.is_inherited()

    def install(self):
        """Make this the loop that `instance` returns. Call it before the first `instance`."""
        IOLoop._instance = self

    @staticmethod
    def clear_instance():
        """Forget the process's loop; the next `instance` makes a new one."""
        IOLoop._instance = None

    @staticmethod
    def current(instance=True):
        """The loop that runs in this thread or was made current in it. If there is none, or it is
        closed or inherited: the process's loop, or None if `instance` is false."""
        loop = getattr(IOLoop._current, "loop", None)
        # Not by `is_inherited`: coroutines ask this at each step.
        if loop is None or loop._closed or loop._process not in (None, os.getpid()):
            return IOLoop.instance() if instance else None
        return loop

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

    # What every kind of loop defines; `PollIOLoop` describes them in full.

    def _lacks(self, name):
        return NotImplementedError("%s does not define %s" % (type(self).__name__, name))

    def start(self):
        """Run until `stop` is called."""
        raise self._lacks("start")

    def stop(self):
        """Let `start` return after the present turn, or at once when it is called next."""
        raise self._lacks("stop")

    def running(self):
        """Whether `start` has been called and has not returned."""
        raise self._lacks("running")

    def close(self, all_fds=False):
        """Release what the loop holds, with `all_fds` also the descriptors it watches."""
        raise self._lacks("close")

    def add_handler(self, fd, handler, events):
        """Call ``handler(fd, events)`` whenever one of these events occurs at `fd`."""
        raise self._lacks("add_handler")

    def update_handler(self, fd, events):
        """Wait for other events at `fd`."""
        raise self._lacks("update_handler")

    def remove_handler(self, fd):
        """Wait for events at `fd` no longer."""
        raise self._lacks("remove_handler")

    def add_callback(self, callback, *args, **kwargs):
        """Call `callback` in the next turn; the one method that any thread may call."""
        raise self._lacks("add_callback")

    def call_at(self, deadline, callback, *args, **kwargs):
        """Call `callback` once, at `deadline`, in seconds of `time()`; returns a handle."""
        raise self._lacks("call_at")

    def remove_timeout(self, timeout):
        """Take back what a handle stands for; harmless if it was called."""
        raise self._lacks("remove_timeout")

    def time(self):
        """Seconds on the loop's clock, which never goes back; its zero is arbitrary."""
        return monotonic_time()

    def spawn_callback(self, callback, *args, **kwargs):
        """Like `add_callback`, but without the caller's stack context."""
        with NullContext():
            self.add_callback(callback, *args, **kwargs)

    #: The same, for signal handlers: the context they interrupt does not belong to them.
    add_callback_from_signal = spawn_callback

    def add_signal_handler(self, signum, callback, *args, **kwargs):
        """Call `callback(*args, **kwargs)` on this loop, as any other callback, whenever the
        process gets the signal `signum`. Returns a handle for `remove_signal_handler`.

        Any number of loops, and of callbacks in each, may wait for one signal; several signals that
        arrive during one turn may count as one. The signal also wakes a loop that another one
        drives by `run_once`. The Python handler that the signal had before is not called, except
        for SIGCHLD; it is restored when the last handle is removed or its loop closed, unless
        another library has replaced ours. In a forked child it is restored by the first signal.

        The first handler of a signal must be added in the main thread, where Python handles
        signals, whichever thread the loop runs in. Raises ValueError elsewhere, and for a signal
        that cannot be handled; RuntimeError if the loop is closed, or if the signal has a handler
        that was not installed by Python.
        """
        if args or kwargs:
            callback = functools.partial(callback, *args, **kwargs)
        return watch_signal(self, signum, callback, self._signal_waker())

    def remove_signal_handler(self, handle):
        """No longer call the callback; harmless if it was removed before. May be called in any
        thread, but outside the main thread the handler before is restored only by the next
        signal, which it then gets."""
        unwatch_signal(handle)

    def _signal_waker(self):
        """The Waker that signals may write to, or None if they wake this loop in another way.
        Raises RuntimeError if the loop is closed."""
        return None

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
        app_log.error("Exception in callback %r", plain(callback), exc_info=True)

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
        the loop was stopped before that, or is running already.
        """
        if self.running():
            # Before `func` is scheduled: its end would stop the loop.
            raise RuntimeError("this loop is already running")
        ended, expired, over = [], [], []

        def run():
            result = func()
            if is_awaitable(result):
                self.add_future(result, lambda future: end(future.result))
            else:
                end(lambda: result)

        def run_or_fail():
            try:
                run()
            except Exception:
                exc_info = sys.exc_info()
                end(lambda: six.reraise(*exc_info))

        def end(get_result):
            # After a timeout the loop may be running for something else.
            if not over:
                ended.append(get_result)
                self.stop()

        def expire():
            expired.append(True)
            self.stop()

        timer = None if timeout is None else self.call_later(timeout, expire)
        self.add_callback(run_or_fail)
        try:
            self.start()
        finally:
            over.append(True)
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
        needed in this process.
        """
        callback, on_error = kwargs.pop("callback", None), kwargs.pop("on_error", None)
        if kwargs:
            raise TypeError("unexpected arguments: %s" % ", ".join(sorted(kwargs)))
        if callback is None and on_error is None:
            return future_of(self.run_in_executor, executor, func, *args)
        executor = executor or self._find_executor()
        # Both in lists that are emptied: frames refer from the exception back to its future, which
        # keeps its callbacks, and on Python 2 that cycle would keep ours.
        deliver = [wrap(functools.partial(_deliver_outcome, callback, on_error))]
        executor.submit(func, *args).add_done_callback(
            lambda future: self.spawn_callback(deliver.pop(), [future]))

    def _find_executor(self):
        executor = self._default_executor
        if executor is None or self._executor_process not in (None, os.getpid()):
            if ThreadPoolExecutor is None:
                raise RuntimeError("no executor: install the package 'futures', or pass one")
            if executor is not None:
                # The threads of the parent do not exist in this child, but may have held locks
                # that even the destruction of their executor would acquire.
                _of_parents.append(executor)
            executor = self._default_executor = ThreadPoolExecutor(5)
            self._executor_process = os.getpid()
        return executor

    def set_default_executor(self, executor):
        """Set the executor for `run_in_executor(None, ...)`. The caller shuts it down. Its threads
        do not exist in a child made by a fork: set another there."""
        self._default_executor = executor
        self._executor_process = None

    def split_fd(self, fd):
        """(number, `fd`) for a number or an object with `fileno()`."""
        if isinstance(fd, six.integer_types) or self._takes_objects and not hasattr(fd, "fileno"):
            return fd, fd
        return fd.fileno(), fd

    def close_fd(self, fd):
        """Close a number or an object with `close()`; harmless if it was closed before."""
        try:
            os.close(fd) if isinstance(fd, six.integer_types) else fd.close()
        except (OSError, IOError):
            gen_log.debug("fd %r was closed before its loop", fd, exc_info=True)

    def _find_owner(self, fd, handler):
        """What to close for an `fd` that was added with `handler`: an object itself; for a number,
        the object whose method `handler` is, if that has a `close`, or else the number. If the loop
        closed the number, its owner would close it again, when another file may have it."""
        method = plain(handler)
        if isinstance(fd, six.integer_types) and inspect.ismethod(method):
            owner = method.__self__
            if hasattr(owner, "close") and not inspect.isclass(owner):
                return owner
        return fd

    def set_blocking_signal_threshold(self, seconds, action):
        """Raise SIGALRM when a turn takes longer than `seconds`, not counting the wait; None turns
        this off. `action` is the handler (signal, frame), or None to let the signal kill the
        process. Only for the loop of the main thread."""
        raise NotImplementedError("this loop cannot detect when it is blocked")

    def watch_turns(self, callback, slow=0):
        """Call `callback(turn)` at the end of each turn that took `slow` seconds or longer, not
        counting its wait. `turn` is a `Turn`: how long it took, how late its timers were, and the
        name of the callback that took longest. A watched turn costs about three microseconds more.
        A second call with the same `callback` changes `slow`."""
        raise NotImplementedError("this loop cannot watch its turns")

    def unwatch_turns(self, callback):
        """Stop calling `callback`; harmless if it does not watch."""
        raise NotImplementedError("this loop cannot watch its turns")

    def meter_turns(self, meter):
        """Call `meter(seconds, callbacks)` once a turn, before its wait: how long the loop has
        worked since the last wait, and how many callbacks it had. For counters: it costs about a
        microsecond a turn. There is one meter; None removes it. Loops that run on another one call
        it only when they wait themselves."""
        raise NotImplementedError("this loop cannot watch its turns")

    def set_debug(self, enabled, slow=0.1, log=None):
        """In debug mode, turns of `slow` seconds or more are logged, with the name of the callback
        that took longest and the place that scheduled it; so are calls from another thread that
        only the loop's thread should make, with both threads. It costs a few microseconds for each
        callback. `log(turn)`, if there is one, is called in place of logging slow turns."""
        raise NotImplementedError("this loop has no debug mode")

    def set_blocking_log_threshold(self, seconds):
        """Log the stack when a turn takes longer than `seconds`; None turns this off."""
        self.set_blocking_signal_threshold(seconds, self.log_stack)

    def log_stack(self, signal, frame):
        """A signal handler that logs the stack of `frame`."""
        gen_log.warning("The loop has been blocked for over %s seconds in\n%s",
                        self._blocking_threshold, "".join(traceback.format_stack(frame)))


def _deliver_outcome(callback, on_error, futures):
    future = futures.pop()
    try:
        error = future.exception()
    except Exception as cancelled:
        error = cancelled
    if error is not None and on_error is not None:
        on_error(error)
    else:
        result = future.result()
        if callback is not None:
            callback(result)
