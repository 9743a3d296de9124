"""The loop: it waits for fds and clocks, and it alone calls callbacks.

    from friendserve.ioloop import IOLoop

    loop = IOLoop.instance()
    loop.call_later(1, lambda: (print("one second later"), loop.stop()))
    loop.start()

One turn of the loop has five phases:

1. *callbacks*: run those that were queued before this turn began;
2. *timers*: fire the ones due at one reading of the clock;
3. *wait*: work out how long nothing can happen by itself;
4. *poll*: wait that long for the fds;
5. *dispatch*: call the handlers of the fds that are ready, without those that were removed
   meanwhile.

What a callback adds runs in the next turn, so that no chain of callbacks can starve the fds.
Other threads may only call `add_callback`, and signal handlers `add_callback_from_signal`.
"""
from __future__ import absolute_import, division, print_function

import collections
import datetime
import functools
import numbers
import os
import random
import signal
import sys
import threading
import time
import traceback

import six

try:
    from concurrent.futures import ThreadPoolExecutor
except ImportError:  # version: py2
    ThreadPoolExecutor = None

from friendserve.log import app_log, gen_log
from friendserve.platform.pollers.auto import Waker, make_poller
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.platform.pollers.interface import ERROR, NONE, READ, WRITE
from friendserve.stack_context import NullContext, state, unwrap, wrap
from friendserve.timers import TimerQueue
from friendserve.util import Configurable, TimeoutError

__all__ = ["IOLoop", "PollIOLoop", "PeriodicCallback", "TimeoutError"]

#: A later deadline is of the wall clock: monotonic ones count from the start of the machine.
_WALL_CLOCK = 1e9


class IOLoop(Configurable):
    """The interface of every loop, and the place to find the current one.

    `IOLoop()` makes a `PollIOLoop`. A loop of another kind gives what that gives: add_handler,
    update_handler, remove_handler, add_callback, call_at, remove_timeout, start, stop, running
    and close. A loop belongs to the thread that starts it and the process that made it.
    """
    NONE = NONE
    READ = READ
    WRITE = WRITE
    ERROR = ERROR

    _current = threading.local()
    _instance = None
    # Destructors run anywhere, also inside `instance`, and may ask for it.
    _instance_lock = threading.RLock()

    _default_executor = None
    _blocking_threshold = None

    @classmethod
    def configurable_base(cls):
        return IOLoop

    @classmethod
    def configurable_default(cls):
        return PollIOLoop

    def initialize(self, make_current=None):
        """`make_current`: whether this becomes the thread's current loop; None: if it has none."""
        if make_current or make_current is None and IOLoop.current(instance=False) is None:
            self.make_current()

    @staticmethod
    def instance():
        """The loop of the process, made at the first call; the same in every thread."""
        with IOLoop._instance_lock:
            if IOLoop._instance is None:
                IOLoop._instance = IOLoop(make_current=False)
            return IOLoop._instance

    @staticmethod
    def initialized():
        """Whether `instance` has a loop already."""
        return IOLoop._instance is not None

    def install(self):
        """Make this loop the one that `instance` returns. Call it before anybody asks."""
        IOLoop._instance = self

    @staticmethod
    def clear_instance():
        """Forget the loop of the process; the next `instance` makes another."""
        IOLoop._instance = None

    @staticmethod
    def current(instance=True):
        """The loop that runs in this thread or was made current in it; where there is none,
        the loop of the process, or None if `instance` is false."""
        loop = getattr(IOLoop._current, "loop", None)
        return IOLoop.instance() if loop is None and instance else loop

    def make_current(self):
        """Make this the current loop of the calling thread."""
        IOLoop._current.loop = self

    @staticmethod
    def clear_current():
        """Leave the calling thread without a current loop."""
        IOLoop._current.loop = None

    def time(self):
        """Seconds on the clock of this loop, which never goes back; its zero means nothing."""
        return monotonic_time()

    def add_callback_from_signal(self, callback, *args, **kwargs):
        """As `add_callback`, for signal handlers: it takes no context along."""
        with NullContext():
            self.add_callback(callback, *args, **kwargs)

    spawn_callback = add_callback_from_signal

    def add_timeout(self, deadline, callback, *args, **kwargs):
        """Call `callback` once, at `deadline`: seconds of `time()`, or a timedelta from now.

        Old programs pass `time.time() + seconds`, which is understood too. Returns a handle
        for `remove_timeout`. Raises TypeError for a deadline of another type.
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
        """Log what `callback` raised, which is in sys.exc_info(). To be overridden."""
        app_log.error("Exception in callback %r", unwrap(callback), exc_info=True)

    def run_in_executor(self, executor, func, *args, **kwargs):
        """Run `func(*args)` on a thread of `executor`, then `callback(result)` on this loop.

        The keyword `callback` may be left out. An exception of `func` is raised again on the
        loop, in the context of the caller; once the loop is closed either is dropped.
        `executor` is of concurrent.futures; None means that of `set_default_executor`, or a
        pool of 5 threads made when first needed.
        """
        callback = kwargs.pop("callback", None)
        if kwargs:
            raise TypeError("unexpected arguments: %s" % ", ".join(sorted(kwargs)))
        executor = executor or self._default_executor
        if executor is None:
            if ThreadPoolExecutor is None:
                raise RuntimeError("no executor: install the package 'futures', or pass one")
            executor = self._default_executor = ThreadPoolExecutor(5)
        deliver = wrap(functools.partial(_deliver_outcome, callback))
        # A list, to be emptied, or else frames lead from the exception back to its future.
        executor.submit(func, *args).add_done_callback(
            lambda future: self.spawn_callback(deliver, [future]))

    def set_default_executor(self, executor):
        """The executor for `run_in_executor(None, ...)`. The caller shuts it down."""
        self._default_executor = executor

    def split_fd(self, fd):
        """(number, what was given) of a number or of an object with `fileno()`."""
        return (fd, fd) if isinstance(fd, six.integer_types) else (fd.fileno(), fd)

    def close_fd(self, fd):
        """Close a number or an object with `close()`, even if that was closed before."""
        try:
            os.close(fd) if isinstance(fd, six.integer_types) else fd.close()
        except (OSError, IOError):
            gen_log.debug("fd %r was closed before its loop", fd, exc_info=True)

    def set_blocking_signal_threshold(self, seconds, action):
        """Raise SIGALRM when one turn takes longer than `seconds`, waiting apart; None ends
        that. `action` is the handler (signal, frame), or None to let the signal kill the
        process. Only for the loop of the main thread."""
        raise NotImplementedError("this loop cannot tell when it is blocked")

    def set_blocking_log_threshold(self, seconds):
        """Log the stack when one turn takes longer than `seconds`; None ends that."""
        self.set_blocking_signal_threshold(seconds, self.log_stack)

    def log_stack(self, signal, frame):
        """A signal handler that logs where the program is."""
        gen_log.warning("The loop is blocked for over %s seconds in\n%s",
                        self._blocking_threshold, "".join(traceback.format_stack(frame)))


def _deliver_outcome(callback, futures):
    result = futures.pop().result()
    if callback is not None:
        callback(result)


def _creator():
    """The place outside this package that is making a loop, for error messages."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
    frame = sys._getframe()
    while frame.f_back and os.path.abspath(frame.f_code.co_filename).startswith(here):
        frame = frame.f_back
    return "%s:%d" % (frame.f_code.co_filename, frame.f_lineno)


class PollIOLoop(IOLoop):
    """The loop over a poller.

    `impl`: a poller or its name ("epoll", "kqueue", "poll", "select", "auto"), or None for what
    the environment variable FRIENDSERVE_POLLER names, else the best there is. `time_func`: a
    clock in place of the monotonic one.
    """
    def initialize(self, impl=None, time_func=None, make_current=None):
        if impl is None or isinstance(impl, six.string_types):
            impl = make_poller(impl)
        self.time_func = time_func or monotonic_time
        self._poller = impl
        waker = self._waker = Waker()
        self._handlers = {}     # fd -> handler
        self._fd_objects = {}   # fd -> the object it was given as, where it was one
        self._removed = set()   # fds removed since the last poll: their events are stale
        self._callbacks = collections.deque()
        self._timers = TimerQueue()
        self._due = collections.deque()     # timers of this turn that have not fired yet
        # True while the loop, or an outer one on its behalf, may be waiting: the first to queue
        # a callback ends it and wakes the loop, once a batch. The loop sets it *before* a last
        # look at the queue, and others append *before* they look at it, so neither can miss
        # the other; no lock.
        self._wake_needed = True
        #: Another object in each turn: what was asked before it has not been asked in this one.
        self.turn = object()
        self._running = threading.Lock()
        self._stopping = False
        self._closed = False
        self._process = os.getpid()
        self._made_at = _creator()
        self.add_handler(waker.fileno(), lambda fd, events: waker.consume(), READ)
        super(PollIOLoop, self).initialize(make_current=make_current)

    def add_handler(self, fd, handler, events):
        """Call `handler(fd, events)` whenever one of `events` (READ, WRITE) is ready on `fd`,
        and for ERROR unasked. `fd` is a number or an object with `fileno()`, and the handler
        gets what was given. One handler an fd: a second raises ValueError."""
        number, obj = self.split_fd(fd)
        if state.contexts:
            handler = wrap(handler)
        self._poller.register(number, events)
        if obj is number:
            self._handlers[number] = handler
        else:
            self._handlers[number] = lambda number, events: handler(obj, events)
            self._fd_objects[number] = obj

    def update_handler(self, fd, events):
        """Change the events that are waited for on `fd`."""
        self._poller.modify(fd if type(fd) is int else self.split_fd(fd)[0], events)

    def remove_handler(self, fd):
        """Call the handler of `fd` no more, not even for events already polled. Harmless for
        an fd that has no handler or was closed."""
        number = fd if type(fd) is int else self._number_of(fd)
        if self._handlers.pop(number, None) is None:
            return
        self._fd_objects.pop(number, None)
        self._removed.add(number)
        try:
            self._poller.unregister(number)
        except Exception:
            gen_log.debug("Error while removing fd %r from the loop", number, exc_info=True)

    def _number_of(self, fd):
        try:
            number = self.split_fd(fd)[0]
        except (OSError, IOError, ValueError):
            number = -1
        if number < 0:
            # It was closed, and does not know its number any more.
            for number, obj in six.iteritems(self._fd_objects):
                if obj is fd:
                    return number
        return number

    def add_callback(self, callback, *args, **kwargs):
        """Call `callback(*args, **kwargs)` in the next turn, in the order of adding. Safe from
        every thread; does nothing once the loop is closed."""
        if args or kwargs:
            callback = functools.partial(callback, *args, **kwargs)
        if state.contexts:
            callback = wrap(callback)
        self._callbacks.append(callback)
        if self._wake_needed:
            self._wake()

    def _wake(self):
        self._wake_needed = False
        self._waker.wake()

    def call_at(self, when, callback, *args, **kwargs):
        """Call `callback` once, when `time()` reaches `when`, in the order of adding where that
        is equal; returns a handle."""
        if args or kwargs:
            callback = functools.partial(callback, *args, **kwargs)
        if state.contexts:
            callback = wrap(callback)
        timer = self._timers.add(when, callback)
        if self._wake_needed:
            # An outer loop may be waiting for longer than that.
            self._wake()
        return timer

    def remove_timeout(self, timeout):
        """Forget that timer; harmless when it has fired or was removed."""
        self._timers.remove(timeout)

    def time(self):
        return self.time_func()

    def start(self):
        """Run turns until `stop`. RuntimeError if this loop is running already, was closed, or
        was made in another process."""
        before = self._enter()
        try:
            while not self._stopping:
                self._turn(None)
        finally:
            self._leave(before)

    def stop(self):
        """Leave `start` after this turn; before `start`, make its next call return at once.
        From another thread say `loop.add_callback(loop.stop)`."""
        self._stopping = True
        if self._wake_needed:
            self._wake()

    def running(self):
        """Whether the loop is in `start` or `run_once`."""
        return self._running.locked()

    def run_once(self, timeout=0):
        """Run one turn, waiting `timeout` seconds at most (None: as long as it takes).

        For a program with a loop of its own: it polls `fileno()` for reading and calls this
        when that is ready, or when the returned time is over: the seconds until there is
        something to do, 0 for at once, None for nothing in sight. Raises as `start` does.
        """
        before = self._enter()
        try:
            self._turn(timeout)
        finally:
            self._leave(before)
        return self._wait_time(None)

    def fileno(self):
        """The fd that is readable when this loop has something to do, timers excepted. Only
        epoll and kqueue have one; NotImplementedError with the other pollers."""
        return self._poller.fileno()

    def _enter(self):
        if os.getpid() != self._process:
            raise RuntimeError(
                "this loop was made at %s in process %d and cannot run in its fork %d: "
                "make the loop after the fork" % (self._made_at, self._process, os.getpid()))
        if self._closed:
            raise RuntimeError("this loop is closed")
        if not self._running.acquire(False):
            raise RuntimeError("this loop is already running")
        before = IOLoop.current(instance=False), self._take_signals()
        self.make_current()
        self._set_alarm(self._blocking_threshold)
        return before

    def _leave(self, before):
        self._set_alarm(None)
        IOLoop._current.loop, has_signals = before
        if has_signals:
            current = signal.set_wakeup_fd(-1)
            if current != self._waker.write_fileno():
                signal.set_wakeup_fd(current)
        self._stopping = False
        # From now on whoever runs this loop waits, and must be woken.
        self._wake_needed = True
        self._running.release()

    def _turn(self, limit):
        self.turn = object()
        self._run_callbacks()
        self._fire_timers()
        if self._callbacks or self._stopping:
            wait = 0.0
        else:
            self._wake_needed = True
            wait = self._wait_time(limit)
        events = self._poll(wait)
        self._wake_needed = False
        self._dispatch(events)

    def _run_callbacks(self):
        callbacks = self._callbacks
        callback = None
        for _ in range(len(callbacks)):
            callback = callbacks.popleft()
            try:
                callback()
            except Exception:
                self.handle_callback_exception(callback)
        # Nothing that a callback held may live through the wait that follows.
        del callback

    def _fire_timers(self):
        due = self._due
        if self._timers:
            due.extend(self._timers.pop_due(self.time_func()))
        callback = None
        # Those that a KeyboardInterrupt leaves in there are the first of the next turn.
        while due:
            callback = due.popleft().take()
            # None: an earlier one of the batch has removed it.
            if callback is not None:
                try:
                    callback()
                except Exception:
                    self.handle_callback_exception(callback)
        del callback

    def _wait_time(self, limit):
        if self._callbacks or self._stopping:
            return 0.0
        deadline = self._timers.next_deadline()
        if deadline is None:
            return limit
        wait = max(0.0, deadline - self.time_func())
        return wait if limit is None else min(wait, limit)

    def _poll(self, wait):
        if self._blocking_threshold is None:
            return self._poller.poll(wait)
        # Waiting is not blocking: the alarm is off meanwhile.
        self._set_alarm(0)
        try:
            return self._poller.poll(wait)
        finally:
            self._set_alarm(self._blocking_threshold)

    def _dispatch(self, events):
        handlers, removed = self._handlers, self._removed
        # An fd removed before the poll may be in use again, and that one was polled.
        removed.clear()
        for fd, mask in events:
            if removed and fd in removed:
                continue
            handler = handlers.get(fd)
            if handler is None:
                continue
            try:
                handler(fd, mask)
            except Exception:
                self.handle_callback_exception(handler)

    def _take_signals(self):
        # Signals shall write to the waker, so that one just before a poll ends that poll. Only
        # the main thread may ask for it, and what somebody else (Twisted, say) asked for stays.
        try:
            previous = signal.set_wakeup_fd(self._waker.write_fileno())
        except ValueError:
            return False
        if previous != -1:
            signal.set_wakeup_fd(previous)
        return previous == -1

    def set_blocking_signal_threshold(self, seconds, action):
        if not hasattr(signal, "setitimer"):
            raise NotImplementedError("this system has no interval timers")
        self._set_alarm(0)
        self._blocking_threshold = seconds
        if seconds is not None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL if action is None else action)
            if self.running():
                self._set_alarm(seconds)

    def _set_alarm(self, seconds):
        if self._blocking_threshold is not None:
            signal.setitimer(signal.ITIMER_REAL, seconds or 0, 0)

    def close(self, all_fds=False):
        """Give back the fds of the loop itself, and with `all_fds` close those of its handlers.
        Callbacks that arrive later are dropped. RuntimeError while the loop is running."""
        if self.running() and os.getpid() == self._process:
            raise RuntimeError("a loop cannot be closed while it runs: stop it first")
        if self._closed:
            return
        self._closed = True
        self._wake_needed = False
        self._callbacks = collections.deque(maxlen=0)
        self._timers = TimerQueue()
        self._due.clear()
        # If that was our own, its threads end with it.
        self._default_executor = None
        del self._handlers[self._waker.fileno()]
        fds = [self._owner(fd) for fd in self._handlers]
        # Before the poller, and not one by one: after a fork the parent has the same epoll.
        self._handlers.clear()
        self._fd_objects.clear()
        self._poller.close()
        self._waker.close()
        if all_fds:
            for fd in fds:
                self.close_fd(fd)
        if IOLoop.current(instance=False) is self:
            IOLoop.clear_current()

    def _owner(self, fd):
        """What to close for `fd`: the object it was given as, or else the one whose method
        is its handler. A stream gives its number, but must itself learn that it is closed."""
        owner = getattr(self._handlers[fd], "__self__", None)
        if hasattr(owner, "close") and hasattr(owner, "fileno") and owner.fileno() == fd:
            return owner
        return self._fd_objects.get(fd, fd)


class PeriodicCallback(object):
    """Call `callback` every `callback_time` milliseconds (more than 0), from `start` to `stop`.

    Each time is counted from the one that was planned before, not from when it ran, so the
    period holds on average; times that passed while the loop was busy are skipped. `jitter`
    (0 to 1, such as 0.1) lets each period vary by that fraction. Raises ValueError for others.
    """
    def __init__(self, callback, callback_time, io_loop=None, jitter=0):
        if not callback_time or callback_time <= 0:
            raise ValueError("callback_time must be a positive number of milliseconds")
        if not 0 <= jitter <= 1:
            raise ValueError("jitter must be a fraction from 0 to 1, not %r" % (jitter,))
        self.callback = callback
        self.callback_time = callback_time
        self.jitter = jitter
        self.io_loop = io_loop
        self._timer = None
        self._planned = None

    def start(self):
        """Begin (anew), with the first call one period from now."""
        self.stop()
        self.io_loop = self.io_loop or IOLoop.current()
        self._planned = self.io_loop.time()
        self._plan_next()

    def stop(self):
        """Call no more until the next `start`."""
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None

    def is_running(self):
        """Whether it was started and not stopped."""
        return self._timer is not None

    def _plan_next(self):
        now = self.io_loop.time()
        period = self.callback_time / 1000.0
        if self.jitter:
            period *= 1 + self.jitter * (random.random() - 0.5)
        behind = now - self._planned
        if -behind > period:
            # Somebody else's clock went back: do not wait until it has come here again.
            self._planned, behind = now, 0
        self._planned += period * (1 + max(0, int(behind / period)))
        # It outlives the request that started it, and so must not carry its context.
        with NullContext():
            self._timer = self.io_loop.call_at(self._planned, self._fire)

    def _fire(self):
        timer = self._timer
        try:
            self.callback()
        except Exception:
            self.io_loop.handle_callback_exception(self.callback)
        finally:
            # The callback may have stopped it, or started it anew.
            if self._timer is timer:
                self._plan_next()
