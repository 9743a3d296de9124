"""Connections that nobody uses just now, kept for whoever needs one like them."""
from __future__ import absolute_import, division, print_function

import collections

NEVER = float("inf")


class ConnectionPool(object):
    """Idle connections by their key, and the number of all that are open.

    A connection has `key`, `since` (when it became idle), `abandon()`, and `stream`. It belongs to
    one pool from `add` until it tells `connection_closed`.
    """
    def __init__(self, idle_timeout, clock):
        self.idle_timeout = idle_timeout
        self._clock = clock
        self._open = set()
        self._idle = collections.OrderedDict()      # connection -> None, the oldest first
        self._by_key = {}                           # key -> list of them, the newest last

    def __len__(self):
        return len(self._open)

    @property
    def idle(self):
        """How many are idle."""
        return len(self._idle)

    def add(self, connection):
        """A new connection, which is in use."""
        self._open.add(connection)

    def connection_idle(self, connection):
        """It may be used again."""
        if not self.idle_timeout:
            connection.abandon()
            return
        connection.since = self._clock()
        self._idle[connection] = None
        self._by_key.setdefault(connection.key, []).append(connection)

    def connection_closed(self, connection):
        """It is gone."""
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
        """The idle connection of this key that was used last, or None."""
        connections = self._by_key.get(key)
        while connections:
            connection = connections.pop()
            if not connections:
                del self._by_key[key]
            del self._idle[connection]
            if not connection.stream.closed():
                return connection
        return None

    def evict(self):
        """Close the connection that has been idle for longest; returns whether there was one."""
        for connection in self._idle:
            self._close(connection)
            return True
        return False

    def _close(self, connection):
        self._forget_idle(connection)
        self._open.discard(connection)
        connection.abandon()

    def expire(self, now):
        """Close those whose time is over; returns when to call this again."""
        while self._idle:
            connection = next(iter(self._idle))
            if connection.since + self.idle_timeout > now:
                return connection.since + self.idle_timeout
            self._close(connection)
        return NEVER

    def close(self):
        """Close those that are idle."""
        while self.evict():
            pass
