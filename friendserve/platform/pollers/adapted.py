"""Pollers that were written for Tornado's `PollIOLoop(impl=...)`, such as pyzmq's."""
from __future__ import absolute_import, division, print_function

from friendserve.platform.pollers.interface import ERROR, Poller

#: The seconds to wait without a limit: a day may be too long for the system call beneath.
_LONG = 3600.0


class AdaptedPoller(Poller):
    """Makes a `Poller` of an object with `register`, `modify`, `unregister`, `poll` and perhaps
    `fileno` and `close`. Its `poll` always gets a number of seconds, and ERROR is asked for with
    every event. In place of a number it may be given any object that it knows how to watch."""

    def __init__(self, impl):
        self._impl = impl
        self._watched = {}

    def fileno(self):
        if not hasattr(self._impl, "fileno"):
            return super(AdaptedPoller, self).fileno()
        return self._impl.fileno()

    def register(self, fd, events):
        self._impl.register(fd, events | ERROR)
        self._watched[fd] = events

    def modify(self, fd, events):
        self._impl.modify(fd, events | ERROR)
        self._watched[fd] = events

    def unregister(self, fd):
        self._watched.pop(fd, None)
        self._impl.unregister(fd)

    def watched(self):
        return dict((fd, events & ~ERROR) for fd, events in self._watched.items())

    def poll(self, seconds):
        return self._impl.poll(_LONG if seconds is None else seconds)

    def close(self):
        if hasattr(self._impl, "close"):
            self._impl.close()
