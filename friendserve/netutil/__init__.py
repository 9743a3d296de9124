"""Network tools below streams: listening sockets, host names, IP addresses and TLS contexts.

    from friendserve.ioloop import IOLoop
    from friendserve.netutil import add_accept_handler, bind_sockets

    for sock in bind_sockets(8888):
        add_accept_handler(sock, lambda connection, address: connection.close())
    IOLoop.current().start()

`bind_sockets` and `bind_unix_socket` make listening sockets; `add_accept_handler` accepts
connections from them. A `Resolver` looks up host names without blocking the loop; the other
resolvers do so differently, or wrap a resolver to cache or override its answers. `is_valid_ip`
checks an IP address. `ssl_options_to_context` makes an SSLContext from a dict; `ssl_wrap_socket`
applies one. `Certificates` are renewed while a server runs. `Networks` are addresses that are
trusted, of proxies for example.
"""
from __future__ import absolute_import, division, print_function

from friendserve.netutil.certificates import Certificates
from friendserve.netutil.listening import add_accept_handler, bind_sockets, bind_unix_socket
from friendserve.netutil.networks import LOCAL_PEERS, Networks
from friendserve.netutil.resolver import (
    BlockingResolver, CachedResolver, DefaultExecutorResolver, ExecutorResolver, OverrideResolver,
    Resolver, ThreadedResolver, is_valid_ip)
from friendserve.netutil.tls import ssl_options_to_context, ssl_wrap_socket
from friendserve.util import set_public_module

__all__ = ["BlockingResolver", "CachedResolver", "Certificates", "DefaultExecutorResolver",
           "ExecutorResolver", "LOCAL_PEERS", "Networks", "OverrideResolver", "Resolver",
           "ThreadedResolver", "add_accept_handler", "bind_sockets", "bind_unix_socket",
           "is_valid_ip", "ssl_options_to_context", "ssl_wrap_socket"]

set_public_module(globals())
