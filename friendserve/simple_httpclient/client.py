"""`SimpleAsyncHTTPClient`: its connections, and which fetch gets which."""
from __future__ import absolute_import, division, print_function

import socket
import ssl

from friendserve.http1connection.client import HTTP1ClientConnection
from friendserve.httpclient.queue import QueuedHTTPClient
from friendserve.iostream import StreamClosedError
from friendserve.netutil import OverrideResolver, Resolver, is_valid_ip, ssl_options_to_context
from friendserve.simple_httpclient.fetch import Fetch
from friendserve.simple_httpclient.pool import ConnectionPool
from friendserve.simple_httpclient.tunnel import Proxy, TunnelConnecting
from friendserve.stack_context import NullContext
from friendserve.tcpclient import TCPClient
from friendserve.util import remember

#: TLS settings of requests, and digest challenges of servers, that are kept at most.
MAX_CONTEXTS = 100
MAX_CHALLENGES = 1000


class SimpleAsyncHTTPClient(QueuedHTTPClient):
    """The settings, besides `io_loop` and `defaults`:

    `max_clients` fetches at a time, and as many connections in all, idle ones included;
    `max_clients_per_host` of them to one host (None: no limit of its own). An idle connection is
    closed after `idle_connection_timeout` seconds; 0 keeps none. `max_header_size` (64 KiB)
    and `max_body_size` (`max_buffer_size`, 100 MiB) bound a response, the latter also after
    decompression. `hostname_mapping` has other addresses for some hosts, as an
    `OverrideResolver`; `resolver` finds the others, and belongs to the caller.
    """
    fetch_class = Fetch

    def initialize(self, io_loop=None, max_clients=10, hostname_mapping=None,
                   max_buffer_size=104857600, resolver=None, defaults=None, max_header_size=None,
                   max_body_size=None, max_clients_per_host=None, idle_connection_timeout=60):
        super(SimpleAsyncHTTPClient, self).initialize(
            io_loop, max_clients, defaults, max_header_size,
            max_buffer_size if max_body_size is None else max_body_size, max_clients_per_host)
        self.max_buffer_size = max_buffer_size
        self.own_resolver = resolver is None
        self.resolver = resolver or Resolver(io_loop=self.io_loop)
        if hostname_mapping is not None:
            self.resolver = OverrideResolver(resolver=self.resolver, mapping=hostname_mapping)
        self.tcp_client = TCPClient(resolver=self.resolver, io_loop=self.io_loop)
        self._pool = ConnectionPool(idle_connection_timeout, self.io_loop.time)
        self._contexts = {}                 # (TLS settings) -> SSLContext
        self.challenges = {}                # (origin, user) -> DigestChallenge
        self._counts["retries"] = 0

    def close(self):
        if self._closed:
            return
        super(SimpleAsyncHTTPClient, self).close()
        self._pool.close()
        if self.own_resolver:
            self.resolver.close()

    def statistics(self):
        """What goes on, as a dict of numbers: "active" fetches, "queued" ones, "open" connections
        and "idle" ones among them; and since the beginning "fetches", "connects" and
        "retries" (on a new connection, as an old one had been closed)."""
        return dict(super(SimpleAsyncHTTPClient, self).statistics(), open=len(self._pool),
                    idle=self._pool.idle)

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
        remember(self.challenges, MAX_CHALLENGES, key, challenge)

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
                self.set_deadline(fetch, fetch.started, request.request_timeout)
                fetch.use(connection)
                return
        self.set_deadline(fetch, fetch.started, request.connect_timeout, request.request_timeout)
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
            self.set_deadline(fetch, fetch.started, request.request_timeout)
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
        options = request.tls_options()
        if isinstance(options, ssl.SSLContext):
            return options
        key = tuple(sorted((name, value) for name, value in options.items()
                           if value is not None))
        if key not in self._contexts:
            remember(self._contexts, MAX_CONTEXTS, key,
                     ssl_options_to_context(options, server_side=False))
        return self._contexts[key]

    def _expire(self, now):
        return self._pool.expire(now)
