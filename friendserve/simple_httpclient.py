"""The HTTP client in Python, over our own streams: what `AsyncHTTPClient` is by default.

    from friendserve.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure(None, max_clients=100, defaults={"user_agent": "my-spider/1.0"})

It fetches `max_clients` URLs at a time, over connections that it keeps and uses again; the
others wait in a queue, first come, first served. Connections are used again only where nothing
can tell the next request from one on a new connection: same scheme, host and port, same
TLS settings, proxy and local address; never after an error.
"""
from __future__ import absolute_import, division, print_function

import collections
import socket
import ssl

import friendserve
from friendserve.connectionpool import ConnectionPool
from friendserve.http1client import HTTP1ClientConnection
from friendserve.http1fetch import Fetch
from friendserve.http1tunnel import Proxy, TunnelConnecting
from friendserve.httpclient import (
    AsyncHTTPClient, HTTPClientClosedError, HTTPStreamClosedError, HTTPTimeoutError,
    HTTPTransferError)
from friendserve.iostream import StreamClosedError
from friendserve.netutil import (
    OverrideResolver, Resolver, is_valid_ip, ssl_options_to_context)
from friendserve.stack_context import NullContext
from friendserve.tcpclient import TCPClient

__all__ = ["HTTPStreamClosedError", "HTTPTimeoutError", "SimpleAsyncHTTPClient"]

NEVER = float("inf")

#: TLS settings of requests, and digest challenges of servers, that are kept at most.
MAX_CONTEXTS = 100
MAX_CHALLENGES = 1000

#: Seconds between two looks for fetches whose time is over, at the least.
SWEEP_INTERVAL = 0.005


class SimpleAsyncHTTPClient(AsyncHTTPClient):
    """The settings, besides `io_loop` and `defaults`:

    `max_clients` fetches at a time, and as many connections in all, idle ones included;
    `max_clients_per_host` of them to one host (None: no limit of its own). An idle connection is
    closed after `idle_connection_timeout` seconds; 0 keeps none. `max_header_size` (64 KiB)
    and `max_body_size` (`max_buffer_size`, 100 MiB) bound a response, the latter also after
    decompression. `hostname_mapping` has other addresses for some hosts, as an
    `OverrideResolver`; `resolver` finds the others, and belongs to the caller.
    """
    def initialize(self, io_loop=None, max_clients=10, hostname_mapping=None,
                   max_buffer_size=104857600, resolver=None, defaults=None, max_header_size=None,
                   max_body_size=None, max_clients_per_host=None, idle_connection_timeout=60):
        super(SimpleAsyncHTTPClient, self).initialize(io_loop, defaults)
        if max_clients < 1 or (max_clients_per_host is not None and max_clients_per_host < 1):
            raise ValueError("at least one fetch at a time is needed")
        self.max_clients = max_clients
        self.max_clients_per_host = max_clients_per_host
        self.max_buffer_size = max_buffer_size
        self.max_header_size = max_header_size or 65536
        self.max_body_size = max_buffer_size if max_body_size is None else max_body_size
        self.user_agent = "friendserve/" + friendserve.version
        self.queue = collections.deque()    # of fetches that wait for their turn
        self.waiting = {}                   # the same, each with itself, to find one quickly
        self.active = {}                    # those whose turn it is
        self.own_resolver = resolver is None
        self.resolver = resolver or Resolver(io_loop=self.io_loop)
        if hostname_mapping is not None:
            self.resolver = OverrideResolver(resolver=self.resolver, mapping=hostname_mapping)
        self.tcp_client = TCPClient(resolver=self.resolver, io_loop=self.io_loop)
        self._pool = ConnectionPool(idle_connection_timeout, self.io_loop.time)
        self._contexts = {}                 # (TLS settings) -> SSLContext
        self._of_host = {}                  # key -> how many are active, where that is limited
        self._parked = {}                   # key -> deque of those who wait for that
        self.challenges = {}                # (origin, user) -> DigestChallenge
        self._counts = {"fetches": 0, "connects": 0, "retries": 0}
        self._sweep_at = NEVER
        self._sweep_timer = None

    def close(self):
        if self._closed:
            return
        super(SimpleAsyncHTTPClient, self).close()
        for fetch in list(self.waiting) + list(self.active):
            if fetch.connecting is not None:
                fetch.connecting.cancel()
            if fetch.connection is not None:
                fetch.connection.abandon()
            fetch.fail(HTTPClientClosedError(phase=fetch.phase))
        self._pool.close()
        if self._sweep_timer is not None:
            self.io_loop.remove_timeout(self._sweep_timer)
        if self.own_resolver:
            self.resolver.close()

    def statistics(self):
        """What goes on, as a dict of numbers: "active" fetches, "queued" ones, "open" connections
        and "idle" ones among them; and since the beginning "fetches", "connects" and
        "retries" (on a new connection, as an old one had been closed)."""
        return dict(self._counts, active=len(self.active), queued=len(self.waiting),
                    open=len(self._pool), idle=self._pool.idle)

    # The queue. Who would exceed the limit of a host is parked beside it, so as not to hold up
    # those for other hosts.

    def fetch_impl(self, request, callback):
        if request.auth_mode not in (None, "basic", "digest"):
            raise ValueError("the auth_mode %r is not known here, only basic and digest"
                             % (request.auth_mode,))
        fetch = Fetch(self, request, callback, self.io_loop.time())
        self._counts["fetches"] += 1
        if len(self.active) < self.max_clients and not self.queue and not self._is_full(fetch.key):
            self._start(fetch, fetch.created)
        else:
            self.queue.append(fetch)
            self.waiting[fetch] = fetch
            self._set_deadline(fetch, fetch.created, request.connect_timeout,
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

    # Connections

    def key_of(self, url, request):
        """What two requests must have in common to use the same connection. Raises ValueError
        for options that do not fit."""
        is_plain = url.scheme == "http"
        if is_plain and request.proxy_host is None and request.network_interface is None \
                and request.unix_socket is None:
            return url.origin
        proxy = None if request.proxy_host is None else self.proxy_of(request)
        if request.network_interface is not None and not is_valid_ip(request.network_interface):
            raise ValueError("network_interface has to be an IP address here, not %r"
                             % (request.network_interface,))
        # A forwarding proxy is itself the server, whatever it is asked for.
        return (url.origin if proxy is None or not is_plain else None, proxy,
                None if is_plain else self._context(request), request.network_interface,
                request.unix_socket)

    def proxy_of(self, request):
        """The `Proxy` of a request that has one."""
        return Proxy.of_request(request)

    def remember_challenge(self, key, challenge):
        """Keep a digest challenge, to answer it beforehand the next time."""
        if len(self.challenges) >= MAX_CHALLENGES:
            self.challenges.clear()
        self.challenges[key] = challenge

    def begin(self, fetch, fresh=False):
        """Find a connection for a fetch: one that was used before unless `fresh`, or a new one."""
        request = fetch.request
        if fresh:
            self._counts["retries"] += 1
        else:
            connection = self._pool.take(fetch.key)
            while connection is not None and not (
                    fetch.may_be_repeated() or connection.seems_open()):
                connection.abandon()
                connection = self._pool.take(fetch.key)
            if connection is not None:
                self._set_deadline(fetch, fetch.started, request.request_timeout)
                fetch.use(connection)
                return
        self._set_deadline(fetch, fetch.started, request.connect_timeout, request.request_timeout)
        while len(self._pool) >= self.max_clients and self._pool.evict():
            pass
        self._connect(fetch)

    def _connect(self, fetch):
        request, url = fetch.request, fetch.url
        self._counts["connects"] += 1

        def connected(stream):
            if stream.closed():
                # In the moment between.
                fetch.connect_failed(stream.error or StreamClosedError())
                return
            connecting, fetch.connecting = fetch.connecting, None
            fetch.note_connected(connecting.resolved_at, connecting.connected_at,
                                 self.io_loop.time())
            connection = HTTP1ClientConnection(stream, self._pool, fetch.key)
            self._pool.add(connection)
            self._set_deadline(fetch, fetch.started, request.request_timeout)
            fetch.use(connection)

        options = {
            "af": socket.AF_UNSPEC if request.allow_ipv6 else socket.AF_INET,
            "source_ip": request.network_interface, "max_buffer_size": self.max_buffer_size,
            "callback": connected, "on_error": fetch.connect_failed}
        context = self._context(request) if url.scheme == "https" else None
        host, port = url.host, url.port
        with NullContext():
            if request.proxy_host is not None:
                proxy = self.proxy_of(request)
                if context is not None:
                    fetch.connecting = TunnelConnecting(
                        self.tcp_client, proxy, url, context, self.user_agent, **options)
                    return
                host, port = proxy.host, proxy.port
            elif request.unix_socket is not None:
                options.update(af=socket.AF_UNIX, server_hostname=host)
                host = request.unix_socket
            fetch.connecting = self.tcp_client.connect(host, port, ssl_options=context,
                                                       **options)

    def _context(self, request):
        options = request.ssl_options
        if options is None:
            options = {"ca_certs": request.ca_certs, "certfile": request.client_cert,
                       "keyfile": request.client_key}
            if not request.validate_cert:
                options["cert_reqs"] = ssl.CERT_NONE
        elif isinstance(options, ssl.SSLContext):
            return options
        key = tuple(sorted((name, value) for name, value in options.items()
                           if value is not None))
        if key not in self._contexts:
            if len(self._contexts) >= MAX_CONTEXTS:
                self._contexts.clear()
            self._contexts[key] = ssl_options_to_context(options, server_side=False)
        return self._contexts[key]

    # Time. A fetch has a deadline, and one timer looks for those that are over: most fetches
    # end long before theirs, and cost the loop no timer.

    def _set_deadline(self, fetch, start, *timeouts):
        seconds = min([timeout for timeout in timeouts if timeout] or [NEVER])
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
        deadlines.append(self._pool.expire(now))
        earliest = min(deadlines)
        if earliest < self._sweep_at:
            self._sweep_by(max(earliest, now + SWEEP_INTERVAL))
