"""Watches libcurl's sockets on a loop.

Facts about libcurl:

- It opens and closes its sockets itself. Through CURLMOPT_SOCKETFUNCTION (`change` here) it says
  which events of which socket it waits for; curl_multi_socket_action (called by `on_ready` here)
  reports the events to it.
- It removes a socket whenever a transfer ends, and adds it again for the next transfer on the same
  connection, usually soon after.
- It may close a socket and open another one, which gets the same number, without a call in
  between. A number that is already registered may mean another socket.

Facts about epoll (epoll(7)):

- Adding, changing and removing a socket each take a system call.
- The kernel drops a socket from the set when it is closed. After that, `modify` fails for its
  number with ENOENT, even if a new socket has it.
- An epoll fd can be watched by another epoll, and is readable while any of its sockets is ready.

So with epoll the sockets have a separate epoll, where one that libcurl removes is left
registered: libcurl will most likely ask for it again. A failing `modify` reveals a reused number.
Elsewhere each socket is a handler on the loop, which is removed and added every time.

Both classes are made with `on_ready([(fd, events), ...])`, which is called from the loop.
"""
from __future__ import absolute_import, division, print_function

import pycurl

from friendserve.platform.pollers.interface import NONE, READ, WRITE
from friendserve.stack_context import NullContext

try:
    from friendserve.platform.pollers.epoll import EpollPoller
except ImportError:
    EpollPoller = None

#: What libcurl waits for -> events of a poller.
EVENTS = {pycurl.POLL_NONE: NONE, pycurl.POLL_IN: READ, pycurl.POLL_OUT: WRITE,
          pycurl.POLL_INOUT: READ | WRITE}


class LoopSockets(object):
    """Each socket is a handler on the loop. It is removed each time before it is added, since the
    loop cannot know that its number means another socket now."""
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
        """The fds that libcurl waits for."""
        return list(self._fds)

    def _on_event(self, fd, events):
        self._on_ready([(fd, events)])

    def close(self):
        for fd in self._fds:
            self._loop.remove_handler(fd)
        self._fds.clear()


class EpollSockets(object):
    """The sockets are on a separate epoll, which is a handler on the loop; all that are ready are
    passed on in one call.

    A socket that libcurl removes stays registered if it was watched for reading. If it becomes
    ready in the meantime, because its server has closed it, it is dropped.
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
        # Called by the client and by a loop that is closed with all its fds, in either order.
        if self._poller is not None:
            self._loop.remove_handler(self._poller.fileno())
            self._poller.close()
            self._poller = None
            self._registered.clear()


def make_sockets(loop, on_ready):
    """An EpollSockets if the system allows it, else a LoopSockets."""
    if EpollPoller is not None:
        try:
            return EpollSockets(loop, on_ready)
        except EnvironmentError:
            # No descriptor is free, or a sandbox forbids epoll.
            pass
    return LoopSockets(loop, on_ready)
