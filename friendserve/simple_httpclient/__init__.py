"""The HTTP client written in Python, on IOStreams: the default of `AsyncHTTPClient`.

    from friendserve.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure(None, max_clients=100, defaults={"user_agent": "my-spider/1.0"})

`SimpleAsyncHTTPClient` lists the settings. The client runs up to `max_clients` fetches at a time;
the others wait in a queue, first come, first served. Connections are kept alive and reused, but
only for requests that agree in everything that defines a connection: scheme, host, port, TLS
options, proxy and local address; and never after an error.
"""
from __future__ import absolute_import, division, print_function

from friendserve.httpclient import HTTPStreamClosedError, HTTPTimeoutError, main
from friendserve.simple_httpclient.client import SimpleAsyncHTTPClient
from friendserve.simple_httpclient.client import _DEFAULT_CA_CERTS  # noqa: F401 - old programs do
from friendserve.util import set_public_module

__all__ = ["HTTPStreamClosedError", "HTTPTimeoutError", "SimpleAsyncHTTPClient", "main"]

set_public_module(globals())
