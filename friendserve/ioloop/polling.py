"""The loop over a poller: its queue of callbacks, its timers, its turn."""
from __future__ import absolute_import, division, print_function

import collections
import functools
import os
import signal
import sys
import threading

import six

from friendserve.ioloop.interface import IOLoop
from friendserve.ioloop.timers import TimerQueue
from friendserve.log import gen_log
from friendserve.platform.pollers.auto import Waker, make_poller
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.platform.pollers.interface import READ
from friendserve.stack_context import state, wrap


def _creator():
    """The line outside this package that is making a loop, for error messages."""
    here = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
    frame = sys._getframe()
    while frame.f_back and os.path.abspath(frame.f_code.co_filename).startswith(here):
        frame = frame.f_back
    return "%s:%d" % (frame.f_code.co_filename, frame.f_lineno)


class PollIOLoop(IOLoop):
    """The loop over a poller.

    `impl`: a poller or its name ("epoll", "kqueue", "poll", "select", "auto"), or None for the one
    named by the environment variable FRIENDSERVE_POLLER, or else the best one on this system.
    `time_func`: a clock to use instead of the monotonic one.
    """
    def initialize(self, impl=None, time_func=None, make_current=None):
        if impl is None or isinstance(impl, six.string_types):
            impl = make_poller(impl)
        self.time_func = time_func or monotonic_time
        self._poller = impl
        waker = self._waker = Waker()
        self._handlers = {}     # fd -> handler
        self._fd_objects = {}   # fd -> the object passed for it, unless it was a number
        self._removed = set()   # fds removed since the last poll: their events are stale
        self._callbacks = collections.deque()
        self._timers = TimerQueue()
        self._due = collections.deque()     # timers of this turn that have not fired yet
        # True while the loop, or an outer one on its behalf, may be waiting: the first thread that
        # queues a callback resets it and wakes the loop, once per batch. The loop sets it *before*
        # its last look at the queue, and others append *before* they test it, so neither can miss
        # the other without a lock.
        self._wake_needed = True
        self.turn = object()
        self._running = threading.Lock()
        self._stopping = False
        self._closed = False
        self._process = os.getpid()
        self._made_at = _creator()
        self.add_handler(waker.fileno(), lambda fd, events: waker.consume(), READ)
        super(PollIOLoop, self).initialize(make_current=make_current)

    def add_handler(self, fd, handler, events):
        """Call `handler(fd, events)` whenever one of `events` (READ, WRITE) is ready on `fd`, and
        for ERROR always. `fd` is a number or an object with `fileno()`, and is passed on unchanged.
        Each fd can have one handler; a second raises ValueError."""
        number, obj = self.split_fd(fd)
        if state.contexts:
            handler = wrap(handler)
        self._poller.register(number, events)
        if number in self._handlers:
            # The number's old file was closed without remove_handler, and its events are stale.
            self._fd_objects.pop(number, None)
            self._removed.add(number)
        if obj is number:
            self._handlers[number] = handler
        else:
            self._handlers[number] = lambda number, events: handler(obj, events)
            self._fd_objects[number] = obj

    def update_handler(self, fd, events):
        """Change the events to wait for on `fd`."""
        self._poller.modify(fd if type(fd) is int else self.split_fd(fd)[0], events)

    def remove_handler(self, fd):
        """Stop calling the handler of `fd`, even for events already polled. Harmless for an fd
        without a handler. Call it before closing the fd: if another descriptor keeps the file open
        (dup, fork), removing it later costs a new epoll and a warning in the log."""
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
            # A closed object no longer knows its number.
            for number, obj in six.iteritems(self._fd_objects):
                if obj is fd:
                    return number
        return number

    def add_callback(self, callback, *args, **kwargs):
        """Call `callback(*args, **kwargs)` in the next turn, in the order added. May be called from
        any thread; does nothing once the loop is closed."""
        if state.contexts:
            callback = wrap(callback)
        if args or kwargs:
            callback = functools.partial(callback, *args, **kwargs)
        self._callbacks.append(callback)
        if self._wake_needed:
            self._wake()

    def _wake(self):
        self._wake_needed = False
        self._waker.wake()

    def call_at(self, when, callback, *args, **kwargs):
        """Call `callback` once, when `time()` reaches `when`; callbacks with equal times are called
        in the order added. Returns a handle."""
        if state.contexts:
            callback = wrap(callback)
        if args or kwargs:
            callback = functools.partial(callback, *args, **kwargs)
        timer = self._timers.add(when, callback)
        if self._wake_needed:
            # An outer loop may have computed a longer wait.
            self._wake()
        return timer

    def remove_timeout(self, timeout):
        """Cancel a timer; harmless if it has fired or was removed."""
        self._timers.remove(timeout)

    def time(self):
        return self.time_func()

    def start(self):
        """Run turns until `stop`. Raises RuntimeError if this loop is already running, was closed,
        or was made in another process."""
        before = self._enter()
        try:
            while not self._stopping:
                self._turn(None)
        finally:
            self._leave(before)

    def stop(self):
        """Leave `start` after this turn; before `start`, make its next call return at once.
        From another thread use `loop.add_callback(loop.stop)`."""
        self._stopping = True
        if self._wake_needed:
            self._wake()

    def running(self):
        """Whether the loop is in `start` or `run_once`."""
        return self._running.locked()

    def run_once(self, timeout=0):
        """Run one turn, waiting at most `timeout` seconds (None: no limit).

        For a program with another main loop: it polls `fileno()` for reading and calls this when
        that is ready, or when the returned time has passed: the seconds until the loop has
        something to do, 0 for immediately, None if nothing is scheduled. Raises as `start` does.
        """
        before = self._enter()
        try:
            self._turn(timeout)
        finally:
            self._leave(before)
        return self._wait_time(None)

    def fileno(self):
        """An fd that is readable when this loop has something to do, except for timers. Only epoll
        and kqueue have one; raises NotImplementedError with the other pollers."""
        return self._poller.fileno()

    def _enter(self):
        if os.getpid() != self._process:
            raise RuntimeError(
                "this loop was made at %s in process %d and cannot run in its child %d: "
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
        # From now on an outer loop may be waiting on our behalf, and must be woken.
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
        # Nothing held by a callback may stay alive during the wait.
        del callback

    def _fire_timers(self):
        due = self._due
        if self._timers:
            due.extend(self._timers.pop_due(self.time_func()))
        callback = None
        # Timers that a KeyboardInterrupt leaves here run first in the next turn.
        while due:
            callback = due.popleft().take()
            # None: an earlier timer of the batch removed it.
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
        # Waiting is not blocking: turn the alarm off.
        self._set_alarm(0)
        try:
            return self._poller.poll(wait)
        finally:
            self._set_alarm(self._blocking_threshold)

    def _dispatch(self, events):
        handlers, removed = self._handlers, self._removed
        # An fd removed before the poll may have been added again; then this event is current.
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
        # Signals write to the waker, so that a signal just before a poll ends that poll. Only the
        # main thread may set this, and a setting made by another library (such as Twisted) is kept.
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
        """Close the loop's own fds, and with `all_fds` also those of its handlers. Callbacks added
        later are dropped. Raises RuntimeError while the loop is running."""
        if self.running() and os.getpid() == self._process:
            raise RuntimeError("a loop cannot be closed while it runs: stop it first")
        if self._closed:
            return
        self._closed = True
        self._wake_needed = False
        self._callbacks = collections.deque(maxlen=0)
        self._timers = TimerQueue()
        self._due.clear()
        # If the loop made the executor, its threads end with it.
        self._default_executor = None
        del self._handlers[self._waker.fileno()]
        fds = [self._owner(fd) for fd in self._handlers]
        # All at once, by closing the poller: after a fork the parent has the same epoll, so
        # unregistering one by one would remove the parent's registrations.
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
        """The object to close for `fd`: the one passed for it, or else the one whose method is its
        handler, or the number. A stream registers its number, but must be closed itself."""
        owner = getattr(self._handlers[fd], "__self__", None)
        if hasattr(owner, "close") and hasattr(owner, "fileno") and owner.fileno() == fd:
            return owner
        return self._fd_objects.get(fd, fd)
