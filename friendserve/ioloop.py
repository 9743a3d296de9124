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
`add_callback` is the one method that is safe to call from other threads, and
`add_callback_from_signal` the one for signal handlers.
"""
from __future__ import absolute_import, division, print_function

import collections
import datetime
import functools
import numbers
import os
import random
import signal
import threading
import time
import traceback

import six

try:
    from concurrent.futures import ThreadPoolExecutor
except ImportError:  # version: py2
    ThreadPoolExecutor = None

from friendserve.log import app_log, gen_log
from friendserve.platform.auto import Waker, make_poller
from friendserve.platform.interface import ERROR, NONE, READ, WRITE, monotonic_time
from friendserve.stack_context import NullContext, state, wrap
from friendserve.timers import TimerQueue
from friendserve.util import Configurable, TimeoutError

__all__ = ["IOLoop", "PollIOLoop", "PeriodicCallback", "TimeoutError"]

#: A deadline later than this is of the wall clock: monotonic clocks count from the start of
#: the machine, and none has been up for thirty years.
_WALL_CLOCK = 1e9


class IOLoop(Configurable):
    """The interface of every loop, and the place to find the current one.

    `IOLoop()` makes a `PollIOLoop`; `IOLoop(impl="select")` chooses its poller, and so does
    the environment variable FRIENDSERVE_POLLER. A loop belongs to the thread that starts it.
    """
    NONE = NONE
    READ = READ
    WRITE = WRITE
    ERROR = ERROR

    _current = threading.local()
    _instance = None
    _instance_lock = threading.Lock()

    @classmethod
    def configurable_base(cls):
        return IOLoop

    @classmethod
    def configurable_default(cls):
        return PollIOLoop

    def initialize(self, make_current=None):
        """`make_current`: True or False says whether this becomes the thread's current loop;
        None makes it so when the thread has none."""
        if make_current is None:
            make_current = IOLoop.current(instance=False) is None
        if make_current:
            self.make_current()

    # Which loop

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
        """The loop that runs in this thread or was made current in it.

        Where there is none: the loop of the process, or None if `instance` is false.
        """
        loop = getattr(IOLoop._current, "loop", None)
        return IOLoop.instance() if loop is None and instance else loop

    def make_current(self):
        """Make this the current loop of the calling thread."""
        IOLoop._current.loop = self

    @staticmethod
    def clear_current():
        """Leave the calling thread without a current loop."""
        IOLoop._current.loop = None

    # A loop of another kind gives what PollIOLoop gives: add_handler, update_handler,
    # remove_handler, add_callback, call_at, remove_timeout, start, stop, running and close.

    def time(self):
        """Seconds on the clock of this loop, which never goes back; its zero means nothing."""
        return monotonic_time()

    # What follows from it

    def add_callback_from_signal(self, callback, *args, **kwargs):
        """As `add_callback`, for signal handlers: it takes no context along."""
        with NullContext():
            self.add_callback(callback, *args, **kwargs)

    spawn_callback = add_callback_from_signal

    def add_timeout(self, deadline, callback, *args, **kwargs):
        """Call `callback` once, at `deadline`: seconds of `time()`, or a timedelta from now.

        Programs from the time before monotonic clocks pass `time.time() + seconds`; that is
        understood too. Returns a handle for `remove_timeout`.
        """
        if isinstance(deadline, datetime.timedelta):
            deadline = self.time() + deadline.total_seconds()
        elif not isinstance(deadline, numbers.Real):
            raise TypeError("a deadline is a number of seconds or a timedelta, not %r"
                            % (deadline,))
        elif deadline > _WALL_CLOCK:
            now = self.time()
            if now < _WALL_CLOCK:
                deadline += now - time.time()
        return self.call_at(deadline, callback, *args, **kwargs)

    def call_later(self, delay, callback, *args, **kwargs):
        """Call `callback` once, `delay` seconds from now; returns a handle."""
        return self.call_at(self.time() + delay, callback, *args, **kwargs)

    def handle_callback_exception(self, callback):
        """Called when `callback` let an exception escape: logs it. To be overridden.

        The exception is in sys.exc_info().
        """
        app_log.error("Exception in callback %r", callback, exc_info=True)

    def run_in_executor(self, executor, func, *args, **kwargs):
        """Run `func(*args)` on a thread of `executor`, then `callback(result)` on this loop.

        The keyword `callback` may be left out. An exception of `func` is raised again on the
        loop, in the context of the caller, so that it comes home to the handler that asked.
        `executor` is of concurrent.futures; None means the one of `set_default_executor`, or
        a pool of threads made when first needed.
        """
        callback = kwargs.pop("callback", None)
        if kwargs:
            raise TypeError("unexpected arguments: %s" % ", ".join(sorted(kwargs)))
        if executor is None:
            executor = self._get_default_executor()
        deliver = wrap(functools.partial(_deliver_outcome, callback))

        def on_done(future):
            # On the thread of the executor; the loop may be closed by now, which drops it.
            with NullContext():
                self.add_callback(deliver, future)

        executor.submit(func, *args).add_done_callback(on_done)

    _default_executor = None

    def set_default_executor(self, executor):
        """The executor for `run_in_executor(None, ...)`. The caller shuts it down."""
        self._default_executor = executor

    def _get_default_executor(self):
        if self._default_executor is None:
            if ThreadPoolExecutor is None:
                raise RuntimeError("no executor: install the package 'futures', or pass one")
            self._default_executor = ThreadPoolExecutor(5)
        return self._default_executor

    # fds may be given as numbers or as objects with fileno()

    def split_fd(self, fd):
        """(number, object) for an fd given as a number or as an object with `fileno()`."""
        return (fd, fd) if isinstance(fd, six.integer_types) else (fd.fileno(), fd)

    def close_fd(self, fd):
        """Close an fd given as a number or as an object with `close()`."""
        try:
            if isinstance(fd, six.integer_types):
                os.close(fd)
            else:
                fd.close()
        except (OSError, IOError):
            # Whoever owned it has closed it already.
            gen_log.debug("fd %r was closed before its loop", fd, exc_info=True)

    # Finding what blocks

    def set_blocking_signal_threshold(self, seconds, action):
        """Raise SIGALRM when one turn blocks for longer than `seconds`; None ends that.

        `action` is the handler (signal, frame), or None to let the signal kill the process.
        Only for the loop of the main thread.
        """
        raise NotImplementedError("this loop cannot tell when it is blocked")

    def set_blocking_log_threshold(self, seconds):
        """Log the stack when one turn blocks for longer than `seconds`."""
        self.set_blocking_signal_threshold(seconds, self.log_stack)

    def log_stack(self, signal, frame):
        """A signal handler that logs where the program is."""
        gen_log.warning("The loop is blocked for over %s seconds in\n%s",
                        self._blocking_threshold, "".join(traceback.format_stack(frame)))

    _blocking_threshold = None


def _deliver_outcome(callback, future):
    result = future.result()
    if callback is not None:
        callback(result)


def _creator():
    """The place outside this package that is making a loop, for error messages."""
    here = os.path.dirname(os.path.abspath(__file__))
    for frame in reversed(traceback.extract_stack()):
        if not os.path.abspath(frame[0]).startswith(here):
            return "%s:%d" % (frame[0], frame[1])
    return "an unknown place"


class PollIOLoop(IOLoop):
    """The loop over a poller.

    `impl`: the name of a poller ("epoll", "kqueue", "poll", "select", "auto"), an object under
    the Poller contract, or None for FRIENDSERVE_POLLER or the best there is. `time_func`: a
    clock in place of the monotonic one.
    """
    def initialize(self, impl=None, time_func=None, make_current=None):
        super(PollIOLoop, self).initialize(make_current=make_current)
        if impl is None or isinstance(impl, six.string_types):
            impl = make_poller(impl)
        self.time_func = time_func or monotonic_time
        self._poller = impl
        self._waker = Waker()
        self._handlers = {}     # fd -> handler
        self._fd_objects = {}   # fd -> the object it was given as, where it was one
        self._removed = set()   # fds removed since the last poll: their events are stale
        self._callbacks = collections.deque()
        self._timers = TimerQueue()
        # True while the loop may be waiting, or an outer loop waits on its behalf. Whoever
        # queues a callback then writes to the waker, and the first who does ends it: one
        # wake-up a batch. The loop sets it *before* it looks at the queue a last time, and
        # others append *before* they look at it, so neither can miss the other; no lock.
        self._wake_needed = True
        self._running = False
        self._stopping = False
        self._closed = False
        self._process = os.getpid()
        self._made_at = _creator()
        self.add_handler(self._waker.fileno(), self._on_wake, READ)

    # fds

    def add_handler(self, fd, handler, events):
        """Call `handler(fd, events)` whenever one of `events` (READ, WRITE) is ready on `fd`.

        ERROR is reported without being asked for. `fd` is a number or an object with
        `fileno()`, and the handler gets what was given. One handler an fd: a second raises
        ValueError.
        """
        number, obj = self.split_fd(fd)
        self._poller.register(number, events)
        self._handlers[number] = wrap(handler) if state.contexts else handler
        if obj is not number:
            self._fd_objects[number] = obj

    def update_handler(self, fd, events):
        """Change the events that are waited for on `fd`."""
        self._poller.modify(fd if type(fd) is int else self.split_fd(fd)[0], events)

    def remove_handler(self, fd):
        """Call the handler of `fd` no more, not even for events already polled.

        Harmless for an fd that has no handler or was closed.
        """
        number = fd if type(fd) is int else self.split_fd(fd)[0]
        if self._handlers.pop(number, None) is None:
            return
        self._fd_objects.pop(number, None)
        self._removed.add(number)
        try:
            self._poller.unregister(number)
        except Exception:
            gen_log.debug("Error while removing fd %r from the loop", number, exc_info=True)

    # Callbacks and timers

    def add_callback(self, callback, *args, **kwargs):
        """Call `callback(*args, **kwargs)` in the next turn, in the order of adding.

        Safe from every thread, at every time; nothing happens once the loop is closed. The
        return value of the callback is ignored.
        """
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

    def _on_wake(self, fd, events):
        self._waker.consume()

    def call_at(self, when, callback, *args, **kwargs):
        """Call `callback` once, when `time()` reaches `when`; returns a handle.

        Callbacks with one deadline run in the order of adding. Not safe from other threads.
        """
        if args or kwargs:
            callback = functools.partial(callback, *args, **kwargs)
        if state.contexts:
            callback = wrap(callback)
        return self._timers.add(when, callback)

    def remove_timeout(self, timeout):
        """Forget the timer of that handle; harmless when it has fired or was removed."""
        self._timers.remove(timeout)

    def time(self):
        """Seconds on the clock of this loop; only good for comparing with one another."""
        return self.time_func()

    # Running

    def start(self):
        """Run turns until `stop`. Raises RuntimeError if this loop is running already."""
        self._enter()
        previous = IOLoop.current(instance=False)
        self.make_current()
        wakeup_fd = self._take_signals()
        try:
            while not self._stopping:
                self._turn(None)
        finally:
            self._stopping = False
            self._running = False
            self._wake_needed = True
            IOLoop._current.loop = previous
            self._give_back_signals(wakeup_fd)

    def stop(self):
        """Leave `start` after this turn; before `start`, make its next call return at once.

        From another thread say `loop.add_callback(loop.stop)`.
        """
        self._stopping = True
        if self._wake_needed and not self._closed:
            self._wake()

    def running(self):
        """Whether the loop is in `start` or `run_once`."""
        return self._running

    def run_once(self, timeout=0):
        """Run one turn, waiting `timeout` seconds at most (None: as long as it takes).

        For a program with a loop of its own: it polls `fileno()` for reading and calls this
        when that is ready, or when the returned time is over. Returns the number of seconds
        until there is something to do again, 0 for at once, None for nothing in sight.
        """
        self._enter()
        previous = IOLoop.current(instance=False)
        self.make_current()
        try:
            self._turn(timeout)
        finally:
            self._stopping = False
            self._running = False
            # From now on the owner of the outer loop waits, and must be woken.
            self._wake_needed = True
            IOLoop._current.loop = previous
        return self._wait_time(None)

    def fileno(self):
        """The fd that becomes readable when this loop has something to do.

        Only epoll and kqueue have one; NotImplementedError with the others.
        """
        return self._poller.fileno()

    def _enter(self):
        if self._closed:
            raise RuntimeError("this loop is closed")
        if self._running:
            raise RuntimeError("this loop is already running")
        if os.getpid() != self._process:
            raise RuntimeError(
                "this loop was made at %s in process %d and cannot run in its fork %d: "
                "make the loop after the fork" % (self._made_at, self._process, os.getpid()))
        self._running = True

    def _turn(self, limit):
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
        if self._timers:
            timer = callback = None
            for timer in self._timers.pop_due(self.time_func()):
                callback = timer.take()
                # None: an earlier one of the batch has removed it.
                if callback is not None:
                    try:
                        callback()
                    except Exception:
                        self.handle_callback_exception(callback)
            del timer, callback

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
        signal.setitimer(signal.ITIMER_REAL, 0, 0)
        try:
            return self._poller.poll(wait)
        finally:
            signal.setitimer(signal.ITIMER_REAL, self._blocking_threshold, 0)

    def _dispatch(self, events):
        handlers, objects, removed = self._handlers, self._fd_objects, self._removed
        # An fd removed before the poll may be in use again, and that one was polled.
        removed.clear()
        for fd, mask in events:
            if removed and fd in removed:
                continue
            handler = handlers.get(fd)
            if handler is None:
                continue
            try:
                handler(objects.get(fd, fd) if objects else fd, mask)
            except Exception:
                self.handle_callback_exception(handler)

    # Signals

    def _take_signals(self):
        """Let signals write to the waker, so that one just before a poll ends that poll.

        Returns whether that was done. Only the main thread may, and a wakeup fd that belongs
        to somebody else (Twisted, say) stays.
        """
        try:
            previous = signal.set_wakeup_fd(self._waker.write_fileno())
        except ValueError:
            return False
        if previous != -1:
            signal.set_wakeup_fd(previous)
            return False
        return True

    def _give_back_signals(self, taken):
        if taken:
            signal.set_wakeup_fd(-1)

    def set_blocking_signal_threshold(self, seconds, action):
        if not hasattr(signal, "setitimer"):
            raise NotImplementedError("this system has no interval timers")
        self._blocking_threshold = seconds
        if seconds is None:
            signal.setitimer(signal.ITIMER_REAL, 0, 0)
        else:
            signal.signal(signal.SIGALRM, signal.SIG_DFL if action is None else action)

    # The end

    def close(self, all_fds=False):
        """Give back the fds of the loop itself, and with `all_fds` those of its handlers.

        The loop must not be running. Afterwards callbacks that arrive are dropped.
        """
        if self._running:
            raise RuntimeError("a loop cannot be closed while it runs: stop it first")
        if self._closed:
            return
        self._closed = True
        self._wake_needed = False
        self._callbacks = collections.deque(maxlen=0)
        self._timers = TimerQueue()
        fds = [self._fd_objects.get(fd, fd) for fd in self._handlers
               if fd != self._waker.fileno()]
        self.remove_handler(self._waker.fileno())
        if all_fds:
            for fd in fds:
                self.remove_handler(fd)
                self.close_fd(fd)
        self._handlers.clear()
        self._fd_objects.clear()
        self._poller.close()
        self._waker.close()
        if IOLoop.current(instance=False) is self:
            IOLoop.clear_current()


class PeriodicCallback(object):
    """Call `callback` every `callback_time` milliseconds, from `start` to `stop`.

    Each time is counted from the one that was planned before, not from when it ran, so the
    period holds on average. Times that passed while the loop was busy are skipped. With
    `jitter` (a fraction, such as 0.1) each period varies by that much around its length.
    """
    def __init__(self, callback, callback_time, io_loop=None, jitter=0):
        if not callback_time or callback_time <= 0:
            raise ValueError("callback_time must be a positive number of milliseconds")
        self.callback = callback
        self.callback_time = callback_time
        self.jitter = jitter
        self.io_loop = io_loop
        self._timer = None
        self._planned = None

    def start(self):
        """Begin, with the first call one period from now; starting again begins anew."""
        self.stop()
        if self.io_loop is None:
            self.io_loop = IOLoop.current()
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
        if behind < 0 and -behind > period:
            # Somebody else's clock went back: do not wait until it has come here again.
            self._planned = now
            behind = 0
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
