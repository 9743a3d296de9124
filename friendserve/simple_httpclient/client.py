"""`SimpleAsyncHTTPClient`: opens connections, and decides which fetch gets which one."""
from __future__ import absolute_import, division, print_function

import os
import socket
import ssl

from friendserve.http1connection.client import HTTP1ClientConnection
from friendserve.httpclient.queue import QueuedHTTPClient
from friendserve.iostream import StreamClosedError
from friendserve.netutil import OverrideResolver, Resolver, is_valid_ip, ssl_options_to_context
from friendserve.netutil.endpoints import unix_path
from friendserve.simple_httpclient.digest import DigestAuth
from friendserve.simple_httpclient.fetch import Fetch
from friendserve.simple_httpclient.pool import ConnectionPool
from friendserve.simple_httpclient.tunnel import Proxy, TunnelConnecting
from friendserve.stack_context import NullContext
from friendserve.tcpclient import TCPClient
from friendserve.util import remember

#: How many SSLContexts a client keeps, one for each different set of TLS options.
MAX_CONTEXTS = 100

#: The file of certificates that old programs pass as `ca_certs`; None if there is none.
_DEFAULT_CA_CERTS = next((path for path in (
    ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt") if path and os.path.exists(path)), None)


class SimpleAsyncHTTPClient(QueuedHTTPClient):
    """The client written in Python. Its settings, besides `io_loop` and `defaults`:

    - `max_clients` (10): fetches at a time, and connections in all, including idle ones;
    - `max_clients_per_host` (None: no such limit): fetches at a time to one host;
    - `idle_connection_timeout` (60): seconds until an idle connection is closed; 0 keeps none;
    - `max_header_size` (64 KiB) and `max_body_size` (the value of `max_buffer_size`, 100 MiB):
      limits of a response, for the body also after decompression;
    - `hostname_mapping`: other addresses for some hosts, as for `OverrideResolver`;
    - `resolver`: looks up the other hosts; it belongs to the caller, who closes it.
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
        self._contexts = {}                 # TLS options, as sorted pairs -> SSLContext
        self.challenges = {}                # (origin, user name) -> DigestChallenge
        self._counts["retries"] = 0

    def close(self):
        if self._closed:
            return
        super(SimpleAsyncHTTPClient, self).close()
        self._pool.close()
        if self.own_resolver:
            self.resolver.close()

    def statistics(self):
        """A dict of numbers: "active" and "queued" fetches, "open" connections and how many of
        them are "idle"; and, since the client was made, "fetches", "connects" and "retries"
        (repeated on a new connection because the server had closed an idle one)."""
        return dict(super(SimpleAsyncHTTPClient, self).statistics(), open=len(self._pool),
                    idle=self._pool.idle)

    # Connections

    def key_of(self, url, request):
        """A key that is equal for two requests that may use the same connection. Raises
        ValueError for options that this client does not support."""
        is_plain = url.scheme == "http"
        if is_plain and request.proxy_host is None and request.network_interface is None \
                and request.unix_socket is None:
            return url.origin
        proxy = None if request.proxy_host is None else self.proxy_of(request)
        if request.network_interface is not None and not is_valid_ip(request.network_interface):
            raise ValueError("network_interface must be an IP address for the simple client, "
                             "not %r" % (request.network_interface,))
        if request.unix_socket is not None:
            unix_path(request.unix_socket)
        # For plain http the connection ends at the proxy, whatever the URL.
        return (url.origin if proxy is None or not is_plain else None, proxy,
                None if is_plain else self._context(request), request.network_interface,
                request.unix_socket)

    def proxy_of(self, request):
        """The `Proxy` of a request with a proxy_host."""
        return Proxy.of_request(request)

    def make_auth(self, fetch):
        user = fetch.user()
        if user is None:
            return None
        return DigestAuth(self.challenges, fetch.url, user, fetch.request.body_producer is None)

    def begin(self, fetch, fresh=False):
        """Give a fetch a connection: an idle one, unless `fresh`, or else a new one."""
        request = fetch.request
        if fresh:
            self._counts["retries"] += 1
        else:
            connection = self._pool.take(fetch.key)
            if connection is not None:
                self.set_deadline(fetch, fetch.started, request.request_timeout)
                fetch.use(connection)
                return
        self.set_deadline(fetch, fetch.started, request.connect_timeout, request.request_timeout)
        while len(self._pool) >= self.queue.limit and self._pool.evict():
            pass
        self._connect(fetch)

    def _connect(self, fetch):
        request, url = fetch.request, fetch.url
        self._counts["connects"] += 1

        def connected(stream):
            if stream.closed():
                # The connection was lost before this callback ran.
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
