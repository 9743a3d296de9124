"""The loop over a poller: its queue of callbacks, its timers, its turn."""
from __future__ import absolute_import, division, print_function

import collections
import functools
import os
import signal
import sys
import warnings

import six
from six.moves._thread import get_ident

from friendserve.ioloop.callbacks import calling_place, plain, refuse_callback, run_returned
from friendserve.ioloop.interface import IOLoop
from friendserve.ioloop.signals import forget_loop, hold_wakeup_fd, release_wakeup_fd
from friendserve.ioloop.timers import TimerQueue
from friendserve.ioloop.watching import TurnWatch
from friendserve.log import app_log, gen_log
from friendserve.platform.pollers.adapted import AdaptedPoller
from friendserve.platform.pollers.auto import Waker, make_poller
from friendserve.platform.pollers.clock import monotonic_time, noticing_steps
from friendserve.platform.pollers.interface import MAX_WAIT, NONE, READ
from friendserve.stack_context import state, wrap

_NEVER = float("inf")


class PollIOLoop(IOLoop):
    """The loop over a poller.

    `impl`: a poller or its name ("epoll", "kqueue", "poll", "select", "auto"), or None for the one
    named by the environment variable FRIENDSERVE_POLLER, or else the best one on this system. It
    may be a poller that was written for Tornado, and watch objects without `fileno()`.
    `time_func`: a clock to use instead of the monotonic one. If it is set back, timers move with
    it, and are called when they would have been.
    """
    _watch = None
    _contexts = ()      # those in which callbacks run that have none

    def initialize(self, impl=None, time_func=None, make_current=None):
        self._closed = True     # until it is complete
        self.time_func = monotonic_time
        self._handlers = {}     # number -> (the number or object that was added, its handler)
        self._removed = set()   # fds removed since the last poll: their events are stale
        self._callbacks = collections.deque()
        self._timers = TimerQueue()
        if time_func is not None:
            # Otherwise timers would wait until the clock has caught up, perhaps for a day.
            self.time_func = noticing_steps(
                time_func, lambda seconds: self._timers.set_back(seconds))
        self._due = collections.deque()     # timers of this turn that have not fired yet
        # True while the loop, or an outer one on its behalf, may be waiting: the first thread that
        # queues a callback resets it and wakes the loop, once per batch. The loop sets it *before*
        # its last look at the queue, and others append *before* they test it, so neither can miss
        # the other without a lock.
        self._wake_needed = True
        self.turn = object()
        # At most one item, {None: before}; `before` belongs to the call of `start` or `run_once` in
        # progress. setdefault adds it in one step, and afterwards shows whose it is.
        self._running = {}
        self._thread = None     # the one that ran the loop last
        self._stopping = False
        self._stopped = False
        self._made_at = "%s:%d" % calling_place()
        self._open(impl)
        self._closed = False
        super(PollIOLoop, self).initialize(make_current=make_current)

    def _open(self, impl):
        waker = self._waker = Waker()
        poller = None
        try:
            if impl is None or isinstance(impl, six.string_types):
                impl = poller = make_poller(impl)
            if not hasattr(impl, "watched"):
                impl = AdaptedPoller(impl)
                self._takes_objects = True
            self._poller = impl
            impl.register(waker.fileno(), READ)
            self._handlers[waker.fileno()] = (
                waker.fileno(), lambda fd, events: waker.consume())
        except BaseException:
            waker.close()
            if poller is not None:
                poller.close()
            raise

    if six.PY3:
        # A destructor would keep Python 2 from collecting the cycles that loops are part of.
        def __del__(self):
            if not (self._closed or self.is_inherited() or sys.is_finalizing()):
                try:
                    warnings.warn("%s made at %s was never closed"
                                  % (type(self).__name__, self._made_at), ResourceWarning, 2, self)
                finally:
                    self.close()

    def add_handler(self, fd, handler, events):
        """Call `handler(fd, events)` whenever one of `events` (READ, WRITE) is ready on `fd`, and
        for ERROR always. `fd` is a number or an object with `fileno()`, and is passed on unchanged;
        pass the object if there is one, so that ``close(all_fds=True)`` can close it. Each fd can
        have one handler; a second raises ValueError, which is also an IOError. Raises TypeError if
        `handler` cannot be called, and RuntimeError if this loop is closed or was made in another
        process."""
        if not callable(handler):
            raise TypeError("a handler must be callable with (fd, events), unlike %r" % (handler,))
        if self._closed or os.getpid() != self._process:
            raise self._cannot_run()
        number, fd = self.split_fd(fd)
        if state.contexts:
            handler = wrap(handler)
        try:
            self._poller.register(number, events)
        except ValueError:
            if not self._is_outdated(number):
                raise
            self._poller.unregister(number)
            self._poller.register(number, events)
        if number in self._handlers:
            # The number's old file was closed without remove_handler, and its events are stale.
            gen_log.warning(
                "fd %d was closed while it had the handler %r, which is now replaced; call "
                "remove_handler before closing an fd", number, plain(self._handlers[number][1]))
            self._removed.add(number)
        self._handlers[number] = fd, handler

    def update_handler(self, fd, events):
        """Change the events to wait for on `fd`. Raises RuntimeError if this loop was made in
        another process."""
        if os.getpid() != self._process:
            raise self._cannot_run()
        self._poller.modify(fd if type(fd) is int else self.split_fd(fd)[0], events)

    def remove_handler(self, fd):
        """Stop calling the handler of `fd`, even for events already polled. Harmless for an fd
        without a handler. Call it before closing the fd: if another descriptor keeps the file open
        (dup, fork), removing it later costs a new epoll and a warning in the log. In a child
        process it has no effect on the parent's loop."""
        number = fd if type(fd) is int else self._number_of(fd)
        if self._handlers.pop(number, None) is None:
            return
        self._removed.add(number)
        try:
            self._poller.unregister(number)
        except Exception:
            gen_log.debug("Error while removing fd %r from the loop", number, exc_info=True)

    def _is_outdated(self, number):
        """Whether the object that was added with this number says that it has another one now, or
        none. Some files, such as the sockets of Windows, look the same to a poller."""
        known = self._handlers.get(number)
        try:
            return known is not None and self.split_fd(known[0])[0] != number
        except (OSError, IOError, ValueError):
            return True

    def _number_of(self, fd):
        try:
            number = self.split_fd(fd)[0]
        except (OSError, IOError, ValueError):
            number = -1
        if isinstance(number, six.integer_types) and number < 0:
            # A closed object no longer knows its number.
            for known, (obj, _) in six.iteritems(self._handlers):
                if obj is fd:
                    return known
        return number

    def add_callback(self, callback, *args, **kwargs):
        """Call `callback(*args, **kwargs)` in the next turn, in the order added. May be called from
        any thread; does nothing once the loop is closed. If the callback returns a coroutine, as
        an ``async def`` function does, that is run. The same holds for timers. Raises TypeError
        for a `callback` that cannot be called."""
        if not callable(callback):
            refuse_callback(callback)
        if state.contexts:
            callback = wrap(callback)
        if args or kwargs:
            callback = functools.partial(callback, *args, **kwargs)
        self._callbacks.append(callback)
        if self._wake_needed:
            self._wake()

    def _wake(self):
        try:
            self._wake_needed = False
            self._waker.wake()
        except BaseException:
            # Interrupted: the next callback wakes the loop, perhaps once too often.
            self._wake_needed = True
            raise

    def call_at(self, when, callback, *args, **kwargs):
        """Call `callback` once, when `time()` reaches `when`; callbacks with equal times are called
        in the order added. Returns a handle.

        Like all methods that set timers, it is meant for the loop's thread. In another one it does
        no harm, and wakes the loop, but use `loop.add_callback(loop.call_at, ...)` there."""
        if not callable(callback):
            refuse_callback(callback)
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
        """Cancel a timer; harmless if it has fired or was removed. Called from another thread, it
        may be too late: the callback may be running."""
        self._timers.remove(timeout)

    def time(self):
        return self.time_func()

    def start(self):
        """Run turns until `stop`. Raises RuntimeError if this loop is already running, was closed,
        or was made in another process."""
        before = [getattr(IOLoop._current, "loop", None), state.contexts]
        try:
            try:
                self._enter(before)
                # Signals write to the waker, so that one just before a poll ends that poll.
                hold_wakeup_fd(before, self._waker, True)
                self._run()
            finally:
                release_wakeup_fd(before)
                self._leave(before)
        except BaseException:
            # A signal handler may have raised anywhere above, also in what undoes the rest.
            release_wakeup_fd(before)
            self._leave(before)
            self._waker.wake()      # an outer loop: something may be left
            raise

    def _run(self):
        # Not in `start`: Python 3.13 has no exception handlers for the end of a loop's body.
        while not self._stopping:
            self._turn(None)

    def stop(self):
        """Leave `start` after this turn; before `start`, make its next call return at once. After
        `run_once`, `stopped()` tells of it. From another thread use
        `loop.add_callback(loop.stop)`."""
        self._stopping = True
        if self._wake_needed:
            self._wake()

    def stopped(self):
        """Whether `stop` was called before or during the last `start` or `run_once`. A program that
        drives the loop with `run_once` asks this after each turn."""
        return self._stopped

    def running(self):
        """Whether the loop is in `start` or `run_once`."""
        return None in self._running

    def run_once(self, timeout=0):
        """Run one turn, waiting at most `timeout` seconds (None: no limit).

        For a program with another main loop: it polls `fileno()` for reading and calls this when
        that is ready, or when the returned time, that of `wait_time`, has passed. If `stopped()` is
        true afterwards, a callback has asked the program to leave its main loop. When a callback
        raises KeyboardInterrupt or SystemExit, those that did not run are kept, and `fileno()` is
        readable. Raises as `start` does.
        """
        before = [getattr(IOLoop._current, "loop", None), state.contexts]
        try:
            try:
                self._enter(before)
                self._turn(timeout)
            finally:
                self._leave(before)
        except BaseException:
            self._leave(before)     # as in `start`
            # The caller gets no time to wait, but callbacks and timers may be left.
            self._waker.wake()
            raise
        return self.wait_time()

    def wait_time(self):
        """The seconds until the loop has something to do, unless an fd is ready before: 0 for
        immediately, at most MAX_WAIT (a day), None if nothing is scheduled. Only for the thread
        that drives the loop, between turns."""
        if self._callbacks or self._due or self._stopping:
            return 0.0
        deadline = self._timers.next_deadline()
        if deadline is None or deadline == _NEVER:
            return None
        wait = deadline - self.time_func()
        # Not by max and min: each turn asks this.
        return 0.0 if wait < 0 else wait if wait < MAX_WAIT else MAX_WAIT

    def watched(self):
        """{fd: events} of what the loop waits for, READ, WRITE and PRI combined. An outer loop on
        select or poll waits for these where there is no `fileno()`, asks again after each turn, and
        runs one when its wait fails, because then the loop drops fds that were closed."""
        return self._poller.watched()

    def fileno(self):
        """An fd that is readable when this loop has something to do, except for timers. Only epoll
        and kqueue have one; raises NotImplementedError with the other pollers, see `watched`."""
        return self._poller.fileno()

    def after_fork(self):
        """Continue in the calling child process, with the handlers, timers and callbacks that the
        loop had at the fork. May be called in a callback, and does nothing in the process that the
        loop belongs to.

        The parent's loop does not change. But both now watch the same files, so first close the
        servers, streams and HTTP clients that only the parent is to use: closing them here does not
        affect it. A loop that is polled by another is continued before that one.

        Raises RuntimeError if the loop is closed, EnvironmentError when out of fds.
        """
        if self._closed:
            raise self._cannot_run()
        if not self.is_inherited():
            return
        self._waker.after_fork()
        self._poller.after_fork()
        # Pollers distinguish files: this one is new.
        self._poller.unregister(self._waker.fileno())
        self._poller.register(self._waker.fileno(), READ)
        self._process = os.getpid()
        # Events that were polled before the fork are left to the parent.
        self._removed.update(self._handlers)
        if self._thread != get_ident():
            # If it was running, the thread that ran it does not exist here.
            self._running = {}
            self._stopping = False
        self._wake()

    def _cannot_run(self):
        if self._closed:
            return RuntimeError("this loop is closed")
        return RuntimeError(
            "this loop was made at %s in process %d and cannot run in its child %d: make the loop "
            "after the fork, or call its after_fork() there"
            % (self._made_at, self._process, os.getpid()))

    def _enter(self, before):
        if self._closed or os.getpid() != self._process:
            raise self._cannot_run()
        if self._running.setdefault(None, before) is not before:
            raise RuntimeError("this loop is already running")
        self._thread = get_ident()
        IOLoop._current.loop = self
        # Callbacks carry their own contexts; the caller's must not apply to those without any.
        state.contexts = self._contexts
        if self._blocking_threshold is not None:
            self._set_alarm(self._blocking_threshold)

    def _leave(self, before):
        """Undo `_enter`, completely or what an exception has left of it; harmless after that."""
        if self._running.get(None) is not before:
            return
        if self._blocking_threshold is not None:
            self._set_alarm(None)
        IOLoop._current.loop, state.contexts = before
        # A `stop` after this test is for the next `start`.
        self._stopped = self._stopping
        if self._stopped:
            self._stopping = False
        # From now on an outer loop may be waiting on our behalf, and must be woken.
        self._wake_needed = True
        self._running.clear()

    def _turn(self, limit):
        self.turn = object()
        self._run_callbacks()
        self._fire_timers()
        if self._callbacks or self._stopping:
            wait = 0.0
        else:
            self._wake_needed = True
            wait = self.wait_time()
            if limit is not None and (wait is None or wait > limit):
                wait = limit
        events = self._poll(wait)
        self._wake_needed = False
        self._dispatch(events)

    def _run_callbacks(self):
        callbacks = self._callbacks
        callback = result = None
        for _ in range(len(callbacks)):
            callback = callbacks.popleft()
            try:
                result = callback()
                if result is not None:
                    run_returned(callback, result)
            except Exception:
                self.handle_callback_exception(callback)
        # Nothing held by a callback may stay alive during the wait.
        del callback, result

    def _fire_timers(self):
        due, timers = self._due, self._timers
        deadline = timers.next_deadline()
        if deadline is not None:
            now = self.time_func()
            if deadline <= now:
                timers.pop_due(now, due)
        callback = result = None
        # Timers that a KeyboardInterrupt leaves here run first in the next turn.
        while due:
            callback = due.popleft().take()
            # None: an earlier timer of the batch removed it.
            if callback is not None:
                try:
                    result = callback()
                    if result is not None:
                        run_returned(callback, result)
                except Exception:
                    self.handle_callback_exception(callback)
        del callback, result

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
            found = handlers.get(fd)
            if found is None:
                continue
            fd, handler = found
            try:
                handler(fd, mask)
            except Exception:
                self.handle_callback_exception(handler)

    def _signal_waker(self):
        if self._closed:
            raise self._cannot_run()
        return self._waker

    def watch_turns(self, callback, slow=0):
        self._turn_watch().watch(callback, slow)

    def unwatch_turns(self, callback):
        self._turn_watch().unwatch(callback)

    def meter_turns(self, meter):
        self._turn_watch().set_meter(meter)

    def set_debug(self, enabled, slow=0.1, log=None):
        self._turn_watch().set_debug(enabled, slow, log)

    def _turn_watch(self):
        if self._watch is None:
            self._watch = TurnWatch(self)
        return self._watch

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
        """Close the loop's own fds. Callbacks added later are dropped. Raises RuntimeError while
        the loop is running.

        `all_fds`: also close the objects that were added, and for each number the object whose
        method handles it, if that has a `close`. Other numbers are closed as well, which is a
        mistake if an object has that number and closes it later: add the object instead.

        In a child process, the parent's loop does not change.
        """
        if self.running() and not self.is_inherited():
            raise RuntimeError("a loop cannot be closed while it runs: stop it first")
        if self._closed:
            return
        if getattr(IOLoop._current, "loop", None) is self:
            IOLoop.clear_current()
        self._closed = True
        self._wake_needed = False
        self._callbacks = collections.deque(maxlen=0)
        self._timers = TimerQueue()
        self._due.clear()
        # If the loop made the executor, its threads end with it.
        self._default_executor = None
        del self._handlers[self._waker.fileno()]
        owners = self._find_owners() if all_fds else ()
        # All at once, by closing the poller: after a fork the parent has the same epoll, so
        # unregistering one by one would remove the parent's registrations.
        self._handlers.clear()
        self._poller.close()
        forget_loop(self, self._waker)
        for owner in owners:
            try:
                self.close_fd(owner)
            except Exception:
                app_log.error("Exception while closing %r", owner, exc_info=True)

    def _find_owners(self):
        """What to close for the handlers, each once: a list of objects and numbers."""
        owners = {}
        for number, (fd, handler) in six.iteritems(self._handlers):
            owner = self._find_owner(fd, handler)
            if not isinstance(owner, six.integer_types) or self._has_its_file(number):
                owners[id(owner)] = owner
        return list(owners.values())

    def _has_its_file(self, number):
        """Whether a number still belongs to the file that was added."""
        try:
            if not self.is_inherited():
                self._poller.modify(number, NONE)
        except EnvironmentError:
            return False
        return True
