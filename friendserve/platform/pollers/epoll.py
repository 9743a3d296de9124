"""A poller over epoll(7). Importing it raises ImportError where the system has no epoll.

The facts:

1. epoll does not watch numbers but open files: the kernel's key is the pair of file and number.
   An event contains only the number.
2. Closing a number removes nothing while its file is still open elsewhere, under another number
   (dup) or in a child process (fork). Events continue to arrive, under the closed number.
3. EPOLL_CTL_ADD, MOD and DEL look up the file that the number has *now*. After a close they fail
   with EBADF, or, if the number belongs to another file, MOD and DEL fail with ENOENT and ADD
   succeeds. No call can remove the old pair; it ends with the file or with the epoll.
4. So a number can have several pairs, and an event does not show which of them it belongs to.
5. MOD with unchanged events changes nothing, and fails unless the pair exists: it shows whether the
   number still has the file that was registered.
6. An epoll can itself be watched. Replacing it under its number (dup2) is a close as in fact 3: an
   outer epoll would lose it.
7. A child process has the same epoll, not a copy: what it removes is removed for the parent too.

What follows: programs should unregister before they close. If they do not, it does no harm unless
something else holds the file open. Then the only remedy is a new epoll with the registrations that
are still valid. It is made

- when an event has a number that is not registered. This requires a DEL that failed, so `poll`
  looks at its events one by one only after one;
- when a registered number is registered again, and MOD shows that it has another file now;
- when a check of the numbers that are reported, every `CHECK_INTERVAL` polls, finds a closed file:
  MOD shows that a number has another file; or a number whose DEL failed, and that was registered
  again, has two pairs, or an event that poll(2), which knows only numbers, does not confirm.

`fileno` must stay valid, so it belongs to a second epoll, made on the first call, which watches the
one in use. The kernel allows five levels of epolls, so loops can be nested three deep.

Given up: if the number of a file that was closed, but is open elsewhere, is still registered, or
registered again, the file's events are reported up to `CHECK_INTERVAL` times, because checking each
event would cost a system call.
"""

from __future__ import absolute_import, division, print_function

import errno
import math
import os
import select
import sys

import six

from friendserve.platform.pollers import interface
from friendserve.platform.pollers.common import (
    already_registered, check_events, check_registered, is_interrupt, warn_of_closed)
from friendserve.platform.pollers.interface import (
    CHECK_INTERVAL, ERROR, MAX_WAIT, NONE, PRI, RDHUP, READ, WRITE)

if not hasattr(select, "epoll"):
    raise ImportError("this system has no epoll")

# READ, PRI, WRITE, ERROR and RDHUP are epoll's own bits, so masks are passed in and out unchanged.
# A value above this one contains EPOLLERR, EPOLLHUP or EPOLLRDHUP.
_CALM = READ | PRI | WRITE
_HUP = select.EPOLLHUP
_PY2 = six.PY2
# epoll.unregister hides EBADF before Python 3.9; epoll.modify does not.
_QUIET_DEL = sys.version_info < (3, 9)  # version: py2, 3.6
# What `register` fails with for a number that is closed, or belongs to a file of another kind.
_UNWATCHABLE = (errno.EBADF, errno.EPERM)


class EpollPoller(interface.Poller):
    """Poller over epoll: the cost of a wait depends on what is ready, not on what is watched."""

    def __init__(self):
        self._epoll = _create()
        self._outer = None      # the epoll of `fileno`
        self._fds = {}          # fd -> events
        self._lost = set()      # fds whose DEL failed: their old files may still be reported
        self._reused = set()    # lost fds that were registered again
        self._polls = 0         # since the last check
        self._check_at = CHECK_INTERVAL     # 0 while there are lost fds
        self._process = os.getpid()

    def fileno(self):
        if self._outer is None:
            outer = _create()
            outer.register(self._epoll.fileno(), READ)
            self._outer = outer
        return self._outer.fileno()

    def register(self, fd, events):
        check_events(events)
        if fd in self._fds:
            self._register_again(fd, events)
        else:
            try:
                self._epoll.register(fd, events)
            except EnvironmentError as error:
                if error.errno != errno.EEXIST or fd not in self._lost:
                    raise
                # The old file has its number again, and its pair still exists.
                self._epoll.modify(fd, events)
            if fd in self._lost:
                self._lost.remove(fd)
                self._reused.add(fd)
                if not self._lost:
                    self._check_at = CHECK_INTERVAL
        self._fds[fd] = events

    def modify(self, fd, events):
        check_registered(fd, events, self._fds)
        self._epoll.modify(fd, events)
        self._fds[fd] = events

    def unregister(self, fd):
        check_registered(fd, NONE, self._fds)
        del self._fds[fd]
        if os.getpid() != self._process:
            return  # the parent has the same epoll
        try:
            if _QUIET_DEL:
                self._epoll.modify(fd, NONE)
            self._epoll.unregister(fd)
        except EnvironmentError:
            self._lost.add(fd)
            self._check_at = 0

    def watched(self):
        return dict((fd, events & _CALM) for fd, events in six.iteritems(self._fds))

    def poll(self, seconds):
        if seconds is None:
            seconds = -1
        elif seconds <= 0:
            seconds = 0
        else:
            if seconds > MAX_WAIT:
                seconds = MAX_WAIT
            if _PY2:  # version: py2
                # epoll.poll truncates to whole milliseconds there; Python 3 rounds up. The half
                # keeps its multiplication from ending just below the whole number.
                seconds = (math.ceil(seconds * 1000) + 0.5) / 1000
        try:
            pairs = self._epoll.poll(seconds)
        except EnvironmentError as error:
            if is_interrupt(error):
                return []
            raise
        self._polls = polls = self._polls + 1
        if polls >= self._check_at:
            # Not in a method: this is done for every wait while there are lost fds.
            thorough = polls >= CHECK_INTERVAL
            suspicious = thorough and self._reused
            if thorough:
                self._polls = 0
            try:
                for fd, _ in pairs:
                    events = self._fds[fd]
                    if thorough:
                        self._epoll.modify(fd, events)
            except (KeyError, EnvironmentError):
                suspicious = True
            if suspicious:
                pairs = self._without_closed(pairs)
        for _, events in pairs:
            if events > _CALM:
                return [(fd, _translate(events)) for fd, events in pairs]
        return pairs

    def close(self):
        for epoll in (self._epoll, self._outer):
            if epoll is not None:
                epoll.close()
        self._outer = None
        self._fds = {}

    def after_fork(self):
        epoll = _create()
        outer = None
        try:
            for fd, events in six.iteritems(self._fds):
                # Not by `_copy`, whose MOD would change what the parent has modified.
                try:
                    if fd != epoll.fileno():
                        epoll.register(fd, events)
                except EnvironmentError as error:
                    if error.errno not in _UNWATCHABLE:
                        raise
            if self._outer is not None:
                outer = _create()
                outer.register(epoll.fileno(), READ)
        except EnvironmentError:
            epoll.close()
            raise
        if outer is not None:
            number = self._outer.fileno()
            os.dup2(outer.fileno(), number)
            interface.set_close_exec(number)
            outer.close()
        self._use(epoll)
        self._process = os.getpid()

    def _register_again(self, fd, events):
        """Register a number that is already registered, if it belongs to another file now."""
        if self._has_its_file(fd):
            raise already_registered(fd)
        epoll = self._copy(without=fd)
        try:
            epoll.register(fd, events)
        except EnvironmentError:
            epoll.close()
            raise
        self._replace(epoll)

    def _without_closed(self, pairs):
        """`pairs` without those of closed files. If there are any, continue with a new epoll."""
        seen, stale = set(), set()
        for fd, events in pairs:
            if (fd not in self._fds or fd in seen or not self._has_its_file(fd)
                    or fd in self._reused and not _is_ready(fd, events)):
                stale.add(fd)
            seen.add(fd)
        if not stale:
            return pairs
        try:
            self._replace(self._copy())
            warn_of_closed(stale)
        except EnvironmentError:
            pass  # out of fds; the next event of these files is another attempt
        return [(fd, events) for fd, events in pairs if fd not in stale]

    def _has_its_file(self, fd):
        """Whether the number of a registered file still belongs to it."""
        try:
            self._epoll.modify(fd, self._fds[fd])
        except EnvironmentError:
            return False
        return True

    def _copy(self, without=None):
        """A new epoll with the registrations whose numbers still have their files."""
        epoll = _create()
        try:
            for fd, events in six.iteritems(self._fds):
                if fd != without and self._has_its_file(fd):
                    epoll.register(fd, events)
        except EnvironmentError:
            epoll.close()
            raise
        return epoll

    def _replace(self, epoll):
        """Continue with `epoll` instead of the one in use."""
        if self._outer is not None:
            self._outer.register(epoll.fileno(), READ)
            self._outer.unregister(self._epoll.fileno())
        self._use(epoll)

    def _use(self, epoll):
        self._epoll.close()
        self._epoll = epoll
        self._lost.clear()
        self._reused.clear()
        self._polls = 0
        self._check_at = CHECK_INTERVAL


def _create():
    epoll = select.epoll()
    if _PY2:  # version: py2
        interface.set_close_exec(epoll.fileno())
    return epoll


def _is_ready(fd, events):
    """Whether poll(2), which knows only numbers, confirms one of `events`."""
    probe = select.poll()
    probe.register(fd, events)
    return any(found & events for _, found in probe.poll(0))


def _translate(events):
    if events <= _CALM:
        return events
    # A pipe without writers is EPOLLHUP alone, yet reading it finds the end. ERROR is reported
    # whole, as by the other pollers, whichever of its two bits is set.
    result = events & (_CALM | RDHUP)
    if events & ERROR:
        result |= ERROR | (READ if events & _HUP else NONE)
    return result
