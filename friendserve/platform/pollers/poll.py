"""A poller over poll(2). Importing it raises ImportError where the system has no poll.

The facts: poll is given numbers at each call, so a number means the file that it has then. A closed
number is reported as POLLNVAL, each time. A hang-up or failure is always reported.

What follows: a closed number is dropped when it is reported, and a file that is open elsewhere
(dup, fork) does not matter. A number that was given to another file would be watched as before;
fstat reveals that when the number is registered or modified.

Given up: until then the other file's events are reported.
"""

from __future__ import absolute_import, division, print_function

import math
import select
import sys

import six

from friendserve.platform.pollers import interface
from friendserve.platform.pollers.common import (
    CLOSED, already_registered, check_events, check_identity, check_registered, identify,
    is_interrupt)
from friendserve.platform.pollers.interface import (
    ERROR, MAX_WAIT, NONE, PRI, RDHUP, READ, WRITE)

if not hasattr(select, "poll"):
    raise ImportError("this system has no poll")

_LISTED = READ | PRI | WRITE    # by `watched`

# Python 2 does not know its name.
_POLLRDHUP = getattr(select, "POLLRDHUP", RDHUP if sys.platform.startswith("linux") else 0)


class PollPoller(interface.Poller):
    """Poller over poll: any number of fds, but each wait costs time for each of them."""

    def __init__(self):
        self._poll = select.poll()
        self._fds = {}      # fd -> (the identity of its file, events)

    def fileno(self):
        raise NotImplementedError("the poll poller has no file descriptor; epoll and kqueue do")

    def register(self, fd, events):
        check_events(events)
        identity = identify(fd)     # the poll object would accept any number, open or not
        if fd in self._fds and self._fds[fd][0] == identity:
            raise already_registered(fd)
        self._poll.register(fd, _mask(events))
        self._fds[fd] = identity, events

    def modify(self, fd, events):
        check_registered(fd, events, self._fds)
        identity, _ = self._fds[fd]
        check_identity(fd, identity)
        self._poll.register(fd, _mask(events))
        self._fds[fd] = identity, events

    def unregister(self, fd):
        check_registered(fd, NONE, self._fds)
        del self._fds[fd]
        try:
            self._poll.unregister(fd)
        except KeyError:
            pass  # dropped by poll() because it was closed

    def watched(self):
        return dict((fd, events & _LISTED) for fd, (identity, events) in six.iteritems(self._fds)
                    if identity is not CLOSED)

    def poll(self, seconds):
        if seconds is None:
            milliseconds = None
        elif seconds <= 0:
            milliseconds = 0
        else:
            milliseconds = int(math.ceil(min(seconds, MAX_WAIT) * 1000))
        try:
            pairs = self._poll.poll(milliseconds)
        except (EnvironmentError, select.error) as error:
            if is_interrupt(error):
                return []
            raise
        result = []
        for fd, mask in pairs:
            if mask & select.POLLNVAL:
                self._poll.unregister(fd)  # closed; it would be reported every time
                self._fds[fd] = CLOSED, NONE
            else:
                result.append((fd, _events(mask)))
        return result

    def close(self):
        self._poll = select.poll()
        self._fds = {}

    def after_fork(self):
        # The object may be in use by a thread that does not exist in the child.
        self._poll = select.poll()
        for fd, (_, events) in six.iteritems(self._fds):
            self._poll.register(fd, _mask(events))


def _mask(events):
    return ((select.POLLIN if events & READ else 0) |
            (select.POLLPRI if events & PRI else 0) |
            (select.POLLOUT if events & WRITE else 0) |
            (_POLLRDHUP if events & RDHUP else 0))


def _events(mask):
    events = NONE
    if mask & select.POLLIN:
        events |= READ
    if mask & select.POLLPRI:
        events |= PRI
    if mask & select.POLLOUT:
        events |= WRITE
    if mask & _POLLRDHUP:
        events |= RDHUP
    if mask & select.POLLERR:
        events |= ERROR
    if mask & select.POLLHUP:
        events |= READ | ERROR
    return events
