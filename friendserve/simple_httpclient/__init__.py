"""The HTTP client in Python, over our own streams: what `AsyncHTTPClient` is by default.

    from friendserve.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure(None, max_clients=100, defaults={"user_agent": "my-spider/1.0"})

It fetches `max_clients` URLs at a time, over connections that it keeps and uses again; the
others wait in a queue, first come, first served. Connections are used again only where nothing
can tell the next request from one on a new connection: same scheme, host and port, same
TLS settings, proxy and local address; never after an error.
"""
from __future__ import absolute_import, division, print_function

from friendserve.httpclient import HTTPStreamClosedError, HTTPTimeoutError
from friendserve.simple_httpclient.client import SimpleAsyncHTTPClient
from friendserve.util import set_public_module

__all__ = ["HTTPStreamClosedError", "HTTPTimeoutError", "SimpleAsyncHTTPClient"]

set_public_module(globals())
