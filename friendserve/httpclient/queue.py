"""How many fetches a client makes at a time, who comes next, and when their time is over."""
from __future__ import absolute_import, division, print_function

import collections

import friendserve
from friendserve.httpclient.errors import HTTPClientClosedError, HTTPTransferError
from friendserve.httpclient.interface import AsyncHTTPClient
from friendserve.stack_context import NullContext

NEVER = float("inf")

#: Seconds between two looks for fetches whose time is over, at the least.
SWEEP_INTERVAL = 0.005


class QueuedHTTPClient(AsyncHTTPClient):
    """An AsyncHTTPClient with a queue: what its kinds have in common.

    `max_clients` fetches are made at a time, `max_clients_per_host` of them to one host (None: no
    limit of its own); the others wait, first come, first served. `max_header_size` (64 KiB) and
    `max_body_size` (100 MiB) bound a response, the latter also after decompression.

    Subclasses have a `fetch_class` in the manner of `BaseFetch`; `key_of(url, request)`, equal for
    two requests that could share a connection, which raises ValueError for options that do not
    fit; and `begin(fetch)`, which finds it a connection and calls `set_deadline`.
    """
    fetch_class = None

    def initialize(self, io_loop=None, max_clients=10, defaults=None, max_header_size=None,
                   max_body_size=None, max_clients_per_host=None):
        super(QueuedHTTPClient, self).initialize(io_loop, defaults)
        if max_clients < 1 or (max_clients_per_host is not None and max_clients_per_host < 1):
            raise ValueError("at least one fetch at a time is needed")
        self.max_clients = max_clients
        self.max_clients_per_host = max_clients_per_host
        self.max_header_size = max_header_size or 65536
        self.max_body_size = 104857600 if max_body_size is None else max_body_size
        self.user_agent = "friendserve/" + friendserve.version
        self.queue = collections.deque()    # of fetches that wait for their turn
        self.waiting = {}                   # the same, each with itself, to find one quickly
        self.active = {}                    # those whose turn it is
        self._of_host = {}                  # key -> how many are active, where that is limited
        self._parked = {}                   # key -> deque of those who wait for that
        self._counts = {"fetches": 0, "connects": 0}
        self._sweep_at = NEVER
        self._sweep_timer = None

    def close(self):
        if self._closed:
            return
        super(QueuedHTTPClient, self).close()
        for fetch in list(self.waiting) + list(self.active):
            phase = fetch.phase
            fetch.cancel()
            fetch.fail(HTTPClientClosedError(phase=phase))
        if self._sweep_timer is not None:
            self.io_loop.remove_timeout(self._sweep_timer)

    def statistics(self):
        """What goes on, as a dict of numbers: "active" fetches and "queued" ones; and
        "fetches" and "connects" since the beginning."""
        return dict(self._counts, active=len(self.active), queued=len(self.waiting))

    # The queue. Who would exceed the limit of a host is parked beside it, so as not to hold up
    # those for other hosts.

    def fetch_impl(self, request, callback):
        if request.auth_mode not in (None, "basic", "digest"):
            raise ValueError("the auth_mode %r is not known here, only basic and digest"
                             % (request.auth_mode,))
        fetch = self.fetch_class(self, request, callback, self.io_loop.time())
        self._counts["fetches"] += 1
        if len(self.active) < self.max_clients and not self.queue and not self._is_full(fetch.key):
            self._start(fetch, fetch.created)
        else:
            self.queue.append(fetch)
            self.waiting[fetch] = fetch
            self.set_deadline(fetch, fetch.created, request.connect_timeout,
                              request.request_timeout)
            self._start_waiting()

    def _is_full(self, key):
        return self.max_clients_per_host is not None and \
            self._of_host.get(key, 0) >= self.max_clients_per_host

    def _start(self, fetch, now):
        # The key of the fetch itself changes with redirects.
        self.active[fetch] = fetch.key
        if self.max_clients_per_host is not None:
            self._of_host[fetch.key] = self._of_host.get(fetch.key, 0) + 1
        fetch.started = now
        try:
            self.begin(fetch)
        except Exception as error:
            # Nothing of this kind is known; but the slot must not be lost.
            fetch.fail(HTTPTransferError(str(error), "connect", error))

    def _start_waiting(self):
        now = None
        while self.queue and len(self.active) < self.max_clients and not self._closed:
            fetch = self.queue.popleft()
            if fetch not in self.waiting:
                continue
            if self._is_full(fetch.key):
                self._parked.setdefault(fetch.key, collections.deque()).append(fetch)
                continue
            del self.waiting[fetch]
            now = now or self.io_loop.time()
            self._start(fetch, now)

    def _leave(self, fetch):
        """Give its slot back."""
        self.waiting.pop(fetch, None)
        key = self.active.pop(fetch, None)
        if key is None or self.max_clients_per_host is None:
            return
        self._of_host[key] -= 1
        if not self._of_host[key]:
            del self._of_host[key]
        parked = self._parked.get(key)
        if parked:
            # It has waited for longest.
            self.queue.appendleft(parked.popleft())
            if not parked:
                del self._parked[key]

    def done(self, fetch, response):
        """A fetch is over: for the fetch itself to call, once."""
        callback, fetch.callback = fetch.callback, None
        self._leave(fetch)
        callback(response)
        if self.queue:
            self._start_waiting()

    # Time. A fetch has a deadline, and one timer looks for those that are over: most fetches
    # end long before theirs, and cost the loop no timer.

    def set_deadline(self, fetch, start, *timeouts):
        """Have the fetch end after the shortest of so many seconds from `start`; 0 and None are
        no limit."""
        seconds = NEVER
        for timeout in timeouts:
            if timeout and timeout < seconds:
                seconds = timeout
        fetch.deadline = start + seconds
        if fetch.deadline < self._sweep_at:
            self._sweep_by(fetch.deadline)

    def _sweep_by(self, when):
        if self._sweep_timer is not None:
            self.io_loop.remove_timeout(self._sweep_timer)
        self._sweep_at = when
        with NullContext():
            self._sweep_timer = self.io_loop.call_at(when, self._sweep)

    def _sweep(self):
        self._sweep_timer = None
        self._sweep_at = NEVER
        now = self.io_loop.time()
        for fetches in (self.active, self.waiting):
            for fetch in [fetch for fetch in fetches if fetch.deadline <= now]:
                fetch.time_out()
        deadlines = [fetch.deadline for fetches in (self.active, self.waiting)
                     for fetch in fetches]
        deadlines.append(self._expire(now))
        earliest = min(deadlines)
        if earliest < self._sweep_at:
            self._sweep_by(max(earliest, now + SWEEP_INTERVAL))

    def _expire(self, now):
        """Give up what is kept too long; returns when to call this again. To be overridden."""
        return NEVER
