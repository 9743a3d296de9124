"""Listening sockets, accepting from them, host names, IP literals and TLS contexts.

    from friendserve.ioloop import IOLoop
    from friendserve.netutil import add_accept_handler, bind_sockets

    for sock in bind_sockets(8888):
        add_accept_handler(sock, lambda connection, address: connection.close())
    IOLoop.current().start()
"""
from __future__ import absolute_import, division, print_function

from friendserve.netutil.listening import add_accept_handler, bind_sockets, bind_unix_socket
from friendserve.netutil.resolver import (
    BlockingResolver, CachedResolver, DefaultExecutorResolver, ExecutorResolver, OverrideResolver,
    Resolver, ThreadedResolver, is_valid_ip)
from friendserve.netutil.tls import ssl_options_to_context, ssl_wrap_socket
from friendserve.util import set_public_module

__all__ = ["BlockingResolver", "CachedResolver", "DefaultExecutorResolver", "ExecutorResolver",
           "OverrideResolver", "Resolver", "ThreadedResolver", "add_accept_handler",
           "bind_sockets", "bind_unix_socket", "is_valid_ip", "ssl_options_to_context",
           "ssl_wrap_socket"]

set_public_module(globals())
