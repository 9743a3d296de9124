"""The HTTP client over libcurl, by the package pycurl (``pip install friendserve[curl]``).

    from friendserve.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure("friendserve.curl_httpclient.CurlAsyncHTTPClient", max_clients=100)

It has what the simple client has, under the same names, and beyond that what libcurl can: HTTP/2,
proxies of every kind (a `proxy_host` such as "socks5h://127.0.0.1"), `network_interface` by
name, and all of its options by `prepare_curl_callback(curl)`. Redirects, cookies, limits and
decompression are ours, the same as in the simple client.

Three things differ, for libcurl decides them: it keeps connections and resolves names by
itself; it sends a request once more, whatever its method, when a connection that was used before
closes without a byte of an answer; and `ssl_options` may be a dict, but no SSLContext.
"""
from __future__ import absolute_import, division, print_function

try:
    import pycurl  # noqa: F401
except ImportError as error:
    raise ImportError("CurlAsyncHTTPClient needs the package pycurl, and that libcurl: pip install "
                      "friendserve[curl] (%s)" % error)

from friendserve.curl_httpclient.client import CurlAsyncHTTPClient, curl_log
from friendserve.curl_httpclient.errors import CurlError
from friendserve.util import set_public_module

__all__ = ["CurlAsyncHTTPClient", "CurlError", "curl_log"]

set_public_module(globals())
