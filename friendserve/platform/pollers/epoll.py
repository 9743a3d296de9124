"""A poller over epoll(7). Importing it raises ImportError where the system has no epoll."""

from __future__ import absolute_import, division, print_function

import math
import select

import six

from friendserve.platform.pollers import interface
from friendserve.platform.pollers.common import check_registered, check_unregistered, is_interrupt
from friendserve.platform.pollers.interface import ERROR, MAX_WAIT, NONE, READ, WRITE

if not hasattr(select, "epoll"):
    raise ImportError("this system has no epoll")

# READ, WRITE and ERROR are epoll's own bits, so masks go in and come out as they are. A value
# above this one has EPOLLERR or EPOLLHUP in it.
_CALM = READ | WRITE
_HUP = select.EPOLLHUP
_PY2 = six.PY2


class EpollPoller(interface.Poller):
    """Poller over epoll: the cost of a wait depends on what is ready, not on what is watched."""

    def __init__(self):
        self._epoll = select.epoll()
        if _PY2:  # version: py2
            interface.set_close_exec(self._epoll.fileno())
        self._fds = set()

    def fileno(self):
        return self._epoll.fileno()

    def register(self, fd, events):
        check_unregistered(fd, events, self._fds)
        self._epoll.register(fd, events)
        self._fds.add(fd)

    def modify(self, fd, events):
        check_registered(fd, events, self._fds)
        self._epoll.modify(fd, events)

    def unregister(self, fd):
        check_registered(fd, NONE, self._fds)
        self._fds.discard(fd)
        try:
            self._epoll.unregister(fd)
        except EnvironmentError:
            pass  # closed, and the number maybe in use again: the kernel has forgotten it

    def poll(self, seconds):
        if seconds is None:
            seconds = -1
        elif seconds <= 0:
            seconds = 0
        else:
            if seconds > MAX_WAIT:
                seconds = MAX_WAIT
            if _PY2:  # version: py2
                # epoll.poll cuts to whole milliseconds there; 3 rounds up. The half keeps the
                # multiplication inside from landing just below the whole number.
                seconds = (math.ceil(seconds * 1000) + 0.5) / 1000
        try:
            pairs = self._epoll.poll(seconds)
        except EnvironmentError as error:
            if is_interrupt(error):
                return []
            raise
        for _, events in pairs:
            if events > _CALM:
                return [(fd, _translate(events)) for fd, events in pairs]
        return pairs

    def close(self):
        self._epoll.close()
        self._fds = set()


def _translate(events):
    if events <= _CALM:
        return events
    # A pipe without writers is EPOLLHUP alone, yet reading it finds the end. ERROR is reported
    # whole, as by the other pollers, whichever of its two bits came.
    return events & _CALM | ERROR | (READ if events & _HUP else NONE)
