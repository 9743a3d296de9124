"""A loop that another loop drives: the base of the bridges to asyncio and Twisted.

    class GLibIOLoop(ForeignIOLoop):        # a bridge consists of six methods
        def _host_watch(self, fd, callback):
            self._source = GLib.io_add_watch(fd, GLib.IO_IN, lambda *args: callback() or True)
        ...

The loop of the other library, the *host*, waits; this one is a `PollIOLoop` that makes its turns
while the host calls it, and never waits itself. The host watches one fd, that of the poller, which
is readable as soon as an fd of this loop is ready or another thread has called `add_callback`; and
it keeps one timer, for the next deadline. So whatever the host is, fds, timers, callbacks and their
order are those of the native loop, and a stream that changes its events costs the host nothing.

The poller must have a fd: epoll or kqueue, not poll or select.
"""
from __future__ import absolute_import, division, print_function

import os
import sys

import six

from friendserve.ioloop import IOLoop, PollIOLoop
from friendserve.platform.pollers.interface import MAX_WAIT
from friendserve.stack_context import state

#: The turns made at a time before the host gets its turn, if callbacks are queued. In the first, a
#: request usually arrives; in the second, it is answered.
TURNS = 2


class ForeignIOLoop(PollIOLoop):
    """A loop driven by a host. Subclasses define the methods `_host_...`, and set what these need
    before they call `initialize`, whose arguments are those of `PollIOLoop`.

    `start` runs the host until `stop`. If the program runs the host itself, it does not call
    `start`, and this loop takes part from the moment it is made until `close`; `stop` then stops
    the host. `run_once` runs the host for one turn, if the host can be run more than once. Raises
    NotImplementedError if the poller has no fd.
    """
    def initialize(self, **kwargs):
        super(ForeignIOLoop, self).initialize(**kwargs)
        self._in_turn = False
        self._in_run = False        # whether `start` or `run_once` is running the host
        self._soon = None           # the host's handle for the next turn, if that is due
        self._later = None          # the host's handle of the timer
        self._later_at = 0.0        # and its deadline
        self._part = None           # what to do instead of a turn, while `run_once` waits in one
        self._host_stopped = False  # whether `start` or `run_once` has stopped the host
        self._raised = None         # the sys.exc_info() that `start` is to raise
        self._watched = None
        try:
            fd = self._poller.fileno()
            self._host_watch(fd, self._advance)
            self._watched = fd
        except NotImplementedError as error:
            self.close()
            raise NotImplementedError(
                "%s: %s cannot be driven by another loop; use epoll or kqueue, and a host that can "
                "watch them" % (error, type(self).__name__))
        except BaseException:
            self.close()
            raise

    def _host_watch(self, fd, callback):
        """Have the host call `callback()` whenever `fd` is readable (level-triggered)."""
        raise NotImplementedError

    def _host_unwatch(self, fd):
        """Undo `_host_watch`."""
        raise NotImplementedError

    def _host_soon(self, callback):
        """Have the host call `callback()` once, after it has looked at its own fds; return a handle
        with `cancel()`, which is called at most once and only while the call is pending."""
        raise NotImplementedError

    def _host_later(self, seconds, callback):
        """The same, `seconds` (0 to MAX_WAIT) from now. An early call does no harm."""
        raise NotImplementedError

    def _host_run(self):
        """Run the host until `_host_stop`."""
        raise NotImplementedError

    def _host_stop(self):
        """Stop the host. Called by the host's thread, while the host runs."""
        raise NotImplementedError

    def _run(self):
        # `start` ends when the host does, whatever stopped that.
        if not self._stopping:
            self._turn_soon()
            self._run_host()

    def _turn(self, limit):
        if self._in_turn:
            super(ForeignIOLoop, self)._turn(limit)
        else:
            self._run_host_for_a_turn(limit)

    def _run_host_for_a_turn(self, limit):
        timer = None
        try:
            self._part = self._begin_turn
            self._turn_soon()
            self._run_host()
            self._part = self._end_turn
            if self._callbacks or self._stopping or limit == 0:
                self._turn_soon()
            elif limit is not None:
                timer = self._timers.add(self.time() + limit, int)
                self._plan()
            self._run_host()
        finally:
            self._part = None
            if timer is not None:
                self._timers.remove(timer)

    def _begin_turn(self):
        self.turn = object()
        self._run_callbacks()
        self._fire_timers()

    def _end_turn(self):
        self._dispatch(self._poll(0.0))

    def fileno(self):
        raise NotImplementedError("this loop is already driven by another one")

    def after_fork(self):
        raise NotImplementedError("the loop that drives this one belongs to the parent process")

    def running(self):
        """Whether the loop is in `start` or `run_once`, or in a turn."""
        return self._in_turn or super(ForeignIOLoop, self).running()

    def _enter(self, *args):
        if self._in_turn:
            raise RuntimeError("this loop is already running")
        return super(ForeignIOLoop, self)._enter(*args)

    def _run_host(self):
        # The alarm is for turns, and the host waits.
        self._set_alarm(None)
        self._host_stopped = False
        self._in_run = True
        try:
            self._host_run()
        finally:
            self._in_run = self._host_stopped = False
        raised, self._raised = self._raised, None
        if raised is not None:
            try:
                six.reraise(*raised)
            finally:
                del raised

    def _advance(self):
        """Make the turns that are due. Called by the host."""
        if self._in_turn or self._host_stopped:
            # The host runs inside one of our callbacks, or had more to do before it stops.
            return
        self._in_turn = True
        self._wake_needed = False
        before = getattr(IOLoop._current, "loop", None), state.contexts
        IOLoop._current.loop, state.contexts = self, self._contexts
        self._set_alarm(self._blocking_threshold)
        try:
            if self._part is not None:
                self._part()
            else:
                for _ in range(TURNS):
                    self._turn(0.0)
                    if self._stopping or not self._callbacks:
                        break
        except BaseException:
            if not self._in_run:
                raise
            # Hosts log some exceptions and continue; `start` raises all of them.
            self._raised = sys.exc_info()
            self._stopping = True
        finally:
            self._set_alarm(None)
            IOLoop._current.loop, state.contexts = before
            self._in_turn = False
            if self._stopping or self._part is not None:
                self._host_stopped = self._in_run
                if not self._in_run:
                    # The program runs the host itself, and may run it again.
                    self._stopping = False
                self._host_stop()
            self._plan()

    def _plan(self):
        """Tell the host when to make the next turn."""
        # Before looking at the queue: see PollIOLoop.
        self._wake_needed = True
        if self._callbacks or self._due:
            self._wake_needed = False
            self._turn_soon()
            return
        deadline = self._timers.next_deadline()
        if deadline is None or self._later is not None and self._later_at <= deadline:
            # A timer that has become superfluous costs one turn; most are cancelled, and the host
            # would have to be told of each.
            return
        if self._later is not None:
            self._later.cancel()
        self._later_at = deadline
        self._later = self._host_later(min(max(0.0, deadline - self.time()), MAX_WAIT),
                                       self._on_later)

    def _turn_soon(self):
        if self._soon is None:
            self._soon = self._host_soon(self._on_soon)

    def _on_soon(self):
        self._soon = None
        self._advance()

    def _on_later(self):
        self._later = None
        deadline = self._timers.next_deadline()
        if deadline is not None and deadline <= self.time():
            self._advance()
        else:
            # The timer that this was for has been removed, or the host calls early.
            self._plan()

    def close(self, all_fds=False):
        if not self._closed and not self.running() and os.getpid() == self._process:
            # In a forked child the host's poller may be the parent's.
            if self._watched is not None:
                self._host_unwatch(self._watched)
            for handle in (self._soon, self._later):
                if handle is not None:
                    handle.cancel()
            self._soon = self._later = None
        super(ForeignIOLoop, self).close(all_fds)
