"""The sockets of libcurl, watched for it on a loop.

libcurl owns its sockets: it tells which of them it wants to hear of (`change`, its
CURLMOPT_SOCKETFUNCTION), and is told by `on_ready([(fd, events), ...])`. It forgets a socket
whenever a transfer ends and asks for it anew with the next one, and it closes and reopens
sockets, which may get the same number, without a word in between.
"""
from __future__ import absolute_import, division, print_function

import pycurl

from friendserve.platform.pollers.interface import NONE, READ, WRITE
from friendserve.stack_context import NullContext

try:
    from friendserve.platform.pollers.epoll import EpollPoller
except ImportError:
    EpollPoller = None

EVENTS = {pycurl.POLL_NONE: NONE, pycurl.POLL_IN: READ, pycurl.POLL_OUT: WRITE,
          pycurl.POLL_INOUT: READ | WRITE}


class LoopSockets(object):
    """Each socket has a handler on the loop, which knows nothing of libcurl's ways: so it is
    removed and added each time."""
    def __init__(self, loop, on_ready):
        self._loop = loop
        self._on_ready = on_ready
        self._fds = set()

    def change(self, what, fd, multi, data):
        if fd in self._fds:
            self._fds.remove(fd)
            self._loop.remove_handler(fd)
        if what != pycurl.POLL_REMOVE:
            with NullContext():
                self._loop.add_handler(fd, self._on_event, EVENTS[what])
            self._fds.add(fd)

    def wanted(self):
        """The sockets that libcurl waits for."""
        return list(self._fds)

    def _on_event(self, fd, events):
        self._on_ready([(fd, events)])

    def close(self):
        for fd in self._fds:
            self._loop.remove_handler(fd)
        self._fds.clear()


class EpollSockets(object):
    """The sockets are on an epoll of their own, and that is on the loop: all that are ready come
    at once.

    One that libcurl forgets stays there if it was for reading, since most are asked for again in
    a moment; if it is ready meanwhile, as its server has closed it, it goes. Whether the
    number still means the same socket the kernel knows: it forgets those that are closed.
    """
    def __init__(self, loop, on_ready):
        self._loop = loop
        self._on_ready = on_ready
        self._poller = EpollPoller()
        self._registered = set()
        self._wanted = {}
        with NullContext():
            loop.add_handler(self._poller.fileno(), self._on_events, READ)

    def change(self, what, fd, multi, data):
        if what == pycurl.POLL_REMOVE:
            if self._wanted.pop(fd, None) != READ:
                self._forget(fd)
            return
        events = self._wanted[fd] = EVENTS[what]
        if fd in self._registered:
            try:
                self._poller.modify(fd, events)
                return
            except EnvironmentError:
                self._forget(fd)
        self._poller.register(fd, events)
        self._registered.add(fd)

    def wanted(self):
        return list(self._wanted)

    def _forget(self, fd):
        if fd in self._registered:
            self._registered.remove(fd)
            self._poller.unregister(fd)

    def _on_events(self, fd, events):
        ready = self._poller.poll(0)
        wanted = self._wanted
        for fd, _ in ready:
            if fd not in wanted:
                self._forget(fd)
        self._on_ready(ready)

    def close(self):
        self._loop.remove_handler(self._poller.fileno())
        self._poller.close()


def make_sockets(loop, on_ready):
    """The best kind that this system has."""
    if EpollPoller is not None:
        try:
            return EpollSockets(loop, on_ready)
        except EnvironmentError:
            # No descriptor is free, or a sandbox refuses.
            pass
    return LoopSockets(loop, on_ready)
