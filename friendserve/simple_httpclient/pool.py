"""A pool of idle connections, kept for the next fetch to the same place."""
from __future__ import absolute_import, division, print_function

import collections

NEVER = float("inf")


class ConnectionPool(object):
    """The idle connections by key, and the set of all open ones.

    It is the `owner` of its `HTTP1ClientConnection`s, from `add` until they call
    `connection_closed`. It uses their `key`, `is_reusable` and `abandon`, and sets `since`, the
    time when they became idle. `clock()` is the time.
    """
    def __init__(self, idle_timeout, clock):
        self.idle_timeout = idle_timeout
        self._clock = clock
        self._open = set()
        self._idle = collections.OrderedDict()      # connection -> None, longest idle first
        self._by_key = {}                           # key -> list of idle ones, longest idle first

    def __len__(self):
        return len(self._open)

    @property
    def idle(self):
        """The number of idle connections."""
        return len(self._idle)

    def add(self, connection):
        """Add a new connection, which is in use."""
        self._open.add(connection)

    def connection_idle(self, connection):
        """Called by a connection that is ready for another request: keep it, or close it if the
        pool keeps none."""
        if not self.idle_timeout:
            connection.abandon()
            return
        connection.since = self._clock()
        self._idle[connection] = None
        self._by_key.setdefault(connection.key, []).append(connection)

    def connection_closed(self, connection):
        """Called by a connection once it has closed: forget it."""
        self._open.discard(connection)
        if connection in self._idle:
            self._forget_idle(connection)

    def _forget_idle(self, connection):
        del self._idle[connection]
        connections = self._by_key[connection.key]
        connections.remove(connection)
        if not connections:
            del self._by_key[connection.key]

    def take(self, key):
        """Remove and return the idle connection with this key that was used last, or None. Closes
        those that cannot be used again."""
        connections = self._by_key.get(key)
        while connections:
            connection = connections.pop()
            if not connections:
                del self._by_key[key]
            del self._idle[connection]
            if connection.is_reusable():
                return connection
            self._open.discard(connection)
            connection.abandon()
        return None

    def evict(self):
        """Close the connection that has been idle longest. Return whether there was one."""
        for connection in self._idle:
            self._close(connection)
            return True
        return False

    def _close(self, connection):
        self._forget_idle(connection)
        self._open.discard(connection)
        connection.abandon()

    def expire(self, now):
        """Close connections idle for more than `idle_timeout`. Return when to call this next."""
        while self._idle:
            connection = next(iter(self._idle))
            if connection.since + self.idle_timeout > now:
                return connection.since + self.idle_timeout
            self._close(connection)
        return NEVER

    def close(self):
        """Close all idle connections."""
        while self.evict():
            pass
