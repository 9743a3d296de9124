"""Which fetches of a client run, which one is next, and which have timed out."""
from __future__ import absolute_import, division, print_function

import heapq

import friendserve
from friendserve.httpclient.errors import HTTPClientClosedError, HTTPTransferError
from friendserve.httpclient.interface import AsyncHTTPClient
from friendserve.stack_context import NullContext

NEVER = float("inf")

#: The least number of seconds between two checks for fetches that have timed out.
SWEEP_INTERVAL = 0.005

#: A queue drops its empty places once there are this many more of them than waiting items.
MAX_EMPTY_PLACES = 64


class Queue(object):
    """Items that are active, or waiting to become active: first come, first served.

    At most `limit` items are active, and at most `limit_per_key` with the same key (None: no such
    limit). An item that has to wait only because of its key does not hold up items with other keys:
    it is parked until an item with its key leaves, and then still precedes all later items.

        queue = Queue(limit=2, limit_per_key=1)
        queue.add("one", "host")        # True: active at once
        queue.add("two", "host")        # False: it waits
        queue.leave("one")
        queue.next()                    # "two", now active

    `limit` may be changed at any time, and `limit_per_key` to another number; items that are active
    remain so. `active` and `waiting` map each item to its key; read them, do not change them.
    """
    def __init__(self, limit, limit_per_key=None):
        self.limit = limit
        self.limit_per_key = limit_per_key
        self.active = {}
        self.waiting = {}
        self._active_of = {}    # key -> how many are active; only with limit_per_key
        # Heaps of (number, item), in order of arrival. Removing an item from a heap would be slow,
        # so an item that leaves while it waits stays, as an empty place, until its turn.
        self._ready = []
        self._parked = {}       # key -> such a heap
        self._number = 0
        self._empty = 0         # how many empty places there are

    def __len__(self):
        return len(self.waiting)

    def add(self, item, key):
        """Add an item; return whether it is active at once. If not, `next` will return it."""
        active = self._active_of.get(key, 0)
        per_key = self.limit_per_key
        if self._ready or len(self.active) >= self.limit or per_key is not None and \
                active >= per_key:
            self.waiting[item] = key
            self._number += 1
            heapq.heappush(self._ready, (self._number, item))
            return False
        self.active[item] = key
        if per_key is not None:
            self._active_of[key] = active + 1
        return True

    def next(self):
        """Make the next waiting item active and return it; None if none may become active yet."""
        while self._ready and len(self.active) < self.limit:
            place = heapq.heappop(self._ready)
            item = place[1]
            if item not in self.waiting:
                self._empty -= 1
                continue
            key = self.waiting[item]
            active = self._active_of.get(key, 0)
            if self.limit_per_key is not None and active >= self.limit_per_key:
                heapq.heappush(self._parked.setdefault(key, []), place)
                continue
            del self.waiting[item]
            self.active[item] = key
            if self.limit_per_key is not None:
                self._active_of[key] = active + 1
            return item
        return None

    def leave(self, item):
        """Remove an item, active or waiting; do nothing if it is not in the queue."""
        if item in self.active:
            key = self.active.pop(item)
            if self.limit_per_key is None:
                return
            self._active_of[key] -= 1
            if not self._active_of[key]:
                del self._active_of[key]
        elif item in self.waiting:
            key = self.waiting.pop(item)
            self._empty += 1
            if self._empty > len(self.waiting) + MAX_EMPTY_PLACES:
                self._drop_empty_places()
        else:
            return
        if key in self._parked:
            # Even if the item was waiting: if it had just been unparked, then its turn passes to
            # the next item with its key.
            self._unpark(key)

    def _unpark(self, key):
        parked = self._parked[key]
        while parked:
            place = heapq.heappop(parked)
            if place[1] in self.waiting:
                heapq.heappush(self._ready, place)
                break
            self._empty -= 1
        if not parked:
            del self._parked[key]

    def _drop_empty_places(self):
        # A sorted list is a heap; `next` parks again those that must wait.
        heaps = [self._ready] + list(self._parked.values())
        self._ready = sorted(place for heap in heaps for place in heap if place[1] in self.waiting)
        self._parked.clear()
        self._empty = 0


class QueuedHTTPClient(AsyncHTTPClient):
    """An AsyncHTTPClient with a queue: the common part of the simple and the curl client.

    It runs up to `max_clients` fetches at a time, up to `max_clients_per_host` of them to one host
    (None: no such limit); the others wait, first come, first served. `max_header_size` (64 KiB) and
    `max_body_size` (100 MiB, also after decompression) limit a response.

    A subclass has a `fetch_class`, derived from `BaseFetch`, and two methods: `key_of(url,
    request)`, which is equal for two requests that can share a connection and raises ValueError
    for options that the client does not support; and `begin(fetch)`, which finds a connection for
    a fetch and calls `set_deadline`. If its connections fail with `again` (see
    http1connection.client), `begin` also accepts ``fresh=True``, for a new connection. If they do
    not answer Digest challenges by themselves, `make_auth(fetch)` returns a `DigestAuth`, or None
    for a fetch without credentials.
    """
    fetch_class = None
    make_auth = None

    def initialize(self, io_loop=None, max_clients=10, defaults=None, max_header_size=None,
                   max_body_size=None, max_clients_per_host=None):
        super(QueuedHTTPClient, self).initialize(io_loop, defaults)
        if max_clients < 1 or (max_clients_per_host is not None and max_clients_per_host < 1):
            raise ValueError("max_clients and max_clients_per_host must be at least 1")
        self.max_header_size = max_header_size or 65536
        self.max_body_size = 104857600 if max_body_size is None else max_body_size
        self.user_agent = "friendserve/" + friendserve.version
        self.queue = Queue(max_clients, max_clients_per_host)
        self.active, self.waiting = self.queue.active, self.queue.waiting
        self._counts = {"fetches": 0, "connects": 0}
        self._sweep_at = NEVER
        self._sweep_timer = None

    @property
    def max_clients(self):
        """The number of fetches at a time. It can be set, too, and counts from the next fetch that
        begins or ends."""
        return self.queue.limit

    @max_clients.setter
    def max_clients(self, number):
        self.queue.limit = number

    @property
    def max_clients_per_host(self):
        """The same for each host; a number can be set to another number."""
        return self.queue.limit_per_key

    @max_clients_per_host.setter
    def max_clients_per_host(self, number):
        self.queue.limit_per_key = number

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
        """A dict of numbers: "active" and "queued" fetches now, and "fetches" and "connects"
        since the client was made."""
        return dict(self._counts, active=len(self.active), queued=len(self.waiting))

    # From the queue to the callback

    def fetch_impl(self, request, callback):
        if request.auth_mode not in (None, "basic", "digest"):
            raise ValueError("auth_mode must be None, 'basic' or 'digest', not %r"
                             % (request.auth_mode,))
        fetch = self.fetch_class(self, request, callback, self.io_loop.time())
        self._counts["fetches"] += 1
        if self.queue.add(fetch, fetch.key):
            self._start(fetch, fetch.created)
        else:
            self.set_deadline(fetch, fetch.created, request.connect_timeout,
                              request.request_timeout)
            self._start_waiting()

    def _start(self, fetch, now):
        fetch.started = now
        try:
            self.begin(fetch)
        except Exception as error:
            # Unexpected, but a fetch that never ended would hold its place forever.
            fetch.fail(HTTPTransferError(str(error), "connect", error))

    def _start_waiting(self):
        now = None
        while not self._closed:
            fetch = self.queue.next()
            if fetch is None:
                break
            now = now or self.io_loop.time()
            self._start(fetch, now)

    def done(self, fetch, response):
        """Called by each fetch, once, when it has its response."""
        callback, fetch.callback = fetch.callback, None
        self.queue.leave(fetch)
        callback(response)
        if self.waiting:
            self._start_waiting()

    # Timeouts. Each fetch has a deadline, and a single timer looks for those that have passed: most
    # fetches end long before theirs, so they cost the loop no timer.

    def set_deadline(self, fetch, start, *timeouts):
        """Have the fetch time out after the shortest of these numbers of seconds, counted from
        `start`; 0 and None mean no limit."""
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
        """Close connections that were idle for too long; return when to call this next. Overridden
        by clients that keep connections."""
        return NEVER
