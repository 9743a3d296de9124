"""Hand-written stand-ins for the system: a poller, a clock and a kqueue."""

from __future__ import absolute_import, division, print_function

import collections
import errno
import heapq
import itertools
import math
import os
import select
import stat

from friendserve.platform.foreign import ForeignIOLoop
from friendserve.platform.pollers import interface
from friendserve.platform.pollers.common import (
    already_registered, check_events, check_registered)
from friendserve.platform.pollers.interface import ERROR, NONE, PRI, READ, WRITE


class FakeClock(object):
    """A clock to pass as `time_func`: returns seconds, moves only by `advance`."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        """Advance the clock; a negative number sets it back."""
        self.now += seconds


class FakePoller(interface.Poller):
    """A Poller whose readiness is scripted; the numbers need not be open files.

    `set_ready(fd, events)` lasts until changed, as with a real, level-triggered poller.
    `script(batch, ...)` gives each of the next calls of `poll` one list of (fd, events). Either is
    reported only as far as it was requested; ERROR always, but only for registered fds.

    With nothing to report a `poll` advances the FakeClock, if one was passed, by `seconds`; without
    limit it raises AssertionError, as it would wait forever. `waits` keeps the `seconds` of every
    poll, `registered` is fd -> events, `closed` is whether it is closed.
    """

    def __init__(self, clock=None):
        self.registered = {}
        self.waits = []
        self.closed = False
        self._clock = clock
        self._ready = {}
        self._batches = collections.deque()

    def set_ready(self, fd, events):
        self._ready[fd] = events

    def script(self, *batches):
        self._batches.extend(batches)

    def fileno(self):
        raise NotImplementedError("a fake poller has no file descriptor")

    def register(self, fd, events):
        check_events(events)
        if fd in self.registered:
            raise already_registered(fd)
        self.registered[fd] = events

    def modify(self, fd, events):
        check_registered(fd, events, self.registered)
        self.registered[fd] = events

    def unregister(self, fd):
        check_registered(fd, NONE, self.registered)
        del self.registered[fd]

    def watched(self):
        return dict((fd, events & (READ | PRI | WRITE)) for fd, events in self.registered.items())

    def poll(self, seconds):
        self.waits.append(seconds)
        ready = dict(self._ready)
        for fd, events in self._batches.popleft() if self._batches else ():
            ready[fd] = ready.get(fd, NONE) | events
        result = []
        for fd, asked in sorted(self.registered.items()):
            events = ready.get(fd, NONE) & (asked | ERROR)
            if events:
                result.append((fd, events))
        if not result:
            if seconds is None:
                raise AssertionError("poll(None) with nothing ready would never return")
            if self._clock is not None:
                self._clock.advance(max(seconds, 0))
        return result

    def close(self):
        self.registered.clear()
        self.closed = True


class FakeHostLoop(ForeignIOLoop):
    """A loop driven by a host whose clock is a FakeClock, the loop's `time_func`, and moves only by
    waiting. The poller is a FakePoller on that clock, whose readiness does not wake the host."""

    def initialize(self, impl, time_func, **kwargs):
        self._clock = time_func
        self._calls = []
        self._numbers = itertools.count()
        impl.fileno = lambda: -1
        super(FakeHostLoop, self).initialize(impl=impl, time_func=time_func, **kwargs)

    def _host_watch(self, fd, callback):
        pass

    def _host_unwatch(self, fd):
        pass

    def _host_soon(self, callback):
        return self._host_later(0, callback)

    def _host_later(self, seconds, callback):
        call = _Call(callback)
        heapq.heappush(self._calls, (self._clock.now + seconds, next(self._numbers), call))
        return call

    def _host_run(self):
        self._host_running = True
        while self._host_running:
            when, _, call = heapq.heappop(self._calls)
            if call.callback is not None:
                self._clock.now = max(self._clock.now, when)
                call.callback()

    def _host_stop(self):
        self._host_running = False


class _Call(object):
    def __init__(self, callback):
        self.callback = callback

    def cancel(self):
        self.callback = None


# The values of FreeBSD's <sys/event.h>.
KQUEUE_CONSTANTS = {
    "KQ_FILTER_READ": -1,
    "KQ_FILTER_WRITE": -2,
    "KQ_EV_ADD": 0x0001,
    "KQ_EV_DELETE": 0x0002,
    "KQ_EV_ENABLE": 0x0004,
    "KQ_EV_CLEAR": 0x0020,
    "KQ_EV_EOF": 0x8000,
    "KQ_NOTE_LOWAT": 0x0001,
}
_POLLRDHUP = 0x2000


class FakeKevent(object):
    """select.kevent: a record."""

    def __init__(self, ident, filter=-1, flags=0x0001, fflags=0, data=0, udata=0):
        self.ident = ident
        self.filter = filter
        self.flags = flags
        self.fflags = fflags
        self.data = data
        self.udata = udata


class FakeKqueue(object):
    """select.kqueue on Linux, over poll(2), with the behaviour described in kqueue(2):

    - a kevent is identified by (ident, filter); EV_ADD of one that exists replaces it,
      EV_DELETE and EV_ENABLE of one that does not exist fail with ENOENT, and all three fail with
      EBADF on a number that is not open;
    - "Calling close() on a file descriptor will remove any kevents that reference the
      descriptor", also when its number is in use again;
    - every filter is reported as a separate event, and only filters that were added are;
    - EVFILT_READ is level-triggered: data to read, or the peer has shut down its side, which sets
      EV_EOF and puts the socket error, if any, in fflags; with NOTE_LOWAT, which is assumed to be
      more than a socket holds, only the latter. EV_CLEAR is ignored;
    - EVFILT_WRITE: room to write; EV_EOF when the reader has closed, again with the error in
      fflags, so a refused connect is EVFILT_WRITE with EV_EOF;
    - a wait that a signal interrupts fails with EINTR (Python 3.5 resumes it);
    - a child process does not inherit it: its number is not open there, or belongs to another file.

    `refuse` holds (fd, filter) pairs whose EV_ADD must fail with EINVAL.
    """

    def __init__(self):
        self._fd = os.open(os.devnull, os.O_RDONLY)
        self._process = os.getpid()
        self._filters = {}  # (fd, filter) -> identity of the file
        self._low = set()   # the keys with NOTE_LOWAT
        self.refuse = set()

    def fileno(self):
        return self._fd

    def close(self):
        if self._process != os.getpid():
            raise AssertionError("this would close the file that has number %d now" % self._fd)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._filters.clear()

    def drop(self, fd):
        """Remove the filters of `fd`, as a close does, even if fstat cannot distinguish the next
        file with its number from the old one, as with the TCP sockets of a BSD."""
        for key in [key for key in self._filters if key[0] == fd]:
            del self._filters[key]

    def filters(self, fd):
        """The filters that exist for `fd`, sorted."""
        self._drop_closed()
        return sorted(kq_filter for number, kq_filter in self._filters if number == fd)

    def control(self, changelist, max_events, timeout=None):
        if self._fd < 0:
            raise ValueError("I/O operation on closed kqueue object")
        if self._process != os.getpid():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be positive or None")
        self._drop_closed()
        for kevent in changelist or ():
            self._change(kevent)
        return self._wait(timeout)[:max_events] if max_events else []

    def _change(self, kevent):
        key = (kevent.ident, kevent.filter)
        identity = _identity(kevent.ident)
        if identity is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if kevent.flags & KQUEUE_CONSTANTS["KQ_EV_ADD"]:
            if key in self.refuse:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self._filters[key] = identity
            self._low.discard(key)
            if kevent.fflags & KQUEUE_CONSTANTS["KQ_NOTE_LOWAT"]:
                self._low.add(key)
        elif key not in self._filters:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        elif kevent.flags & KQUEUE_CONSTANTS["KQ_EV_DELETE"]:
            del self._filters[key]

    def _drop_closed(self):
        for fd, kq_filter in list(self._filters):
            if _identity(fd) != self._filters[fd, kq_filter]:
                del self._filters[fd, kq_filter]

    def _wait(self, timeout):
        masks = {}
        for fd, kq_filter in self._filters:
            mask = _POLLRDHUP if (fd, kq_filter) in self._low else select.POLLIN | _POLLRDHUP
            if kq_filter == KQUEUE_CONSTANTS["KQ_FILTER_WRITE"]:
                mask = select.POLLOUT
            masks[fd] = masks.get(fd, 0) | mask
        poller = select.poll()
        for fd, mask in masks.items():
            poller.register(fd, mask)
        try:
            pairs = poller.poll(None if timeout is None else int(math.ceil(timeout * 1000)))
        except select.error as error:
            raise OSError(*error.args)
        result = []
        for fd, mask in pairs:
            for kq_filter in self.filters(fd):
                kevent = _ready(fd, kq_filter, mask)
                if kevent is not None:
                    result.append(kevent)
        return result


def _identity(fd):
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _ready(fd, kq_filter, mask):
    """The kevent for a filter whose file poll(2) reports as `mask`, or None."""
    if kq_filter == KQUEUE_CONSTANTS["KQ_FILTER_READ"]:
        gone = mask & (_POLLRDHUP | select.POLLHUP | select.POLLERR)
        ready = gone or mask & select.POLLIN
    else:
        gone = mask & (select.POLLHUP | select.POLLERR)
        ready = gone or mask & select.POLLOUT
    if not ready:
        return None
    failed = mask & select.POLLERR and stat.S_ISSOCK(os.fstat(fd).st_mode)
    return FakeKevent(fd, kq_filter, KQUEUE_CONSTANTS["KQ_EV_EOF"] if gone else 0,
                      fflags=errno.ECONNREFUSED if failed else 0)
