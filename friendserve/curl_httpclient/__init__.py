"""The HTTP client over libcurl, using the package pycurl (``pip install friendserve[curl]``).

    from friendserve.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure("friendserve.curl_httpclient.CurlAsyncHTTPClient", max_clients=100)

It has the options of the simple client, and more: HTTP/2; all kinds of proxies (a `proxy_host` such
as "socks5h://127.0.0.1"); `network_interface` by name; and all options of libcurl, which
`prepare_curl_callback(curl)` can set. Redirects, cookies, limits and decompression are done by
friendserve and are the same as in the simple client.

Four things differ, because libcurl decides them: it keeps connections and resolves names itself;
it repeats a request, whatever its method, if a reused connection closes before the first byte of
the response; `ssl_options` may be a dict, but not an SSLContext; and libcurl 7 does not notice that
close_notify is missing (`require_close_notify`), nor does libcurl 8 over OpenSSL before 3.0.

There is one thing that the simple client does and this one cannot: make sure that a kept connection
has received nothing before it is used again (RFC 9112 9.2). Bytes that arrive together with a
response, after its end, do no harm here either; but those that arrive later are taken for the
response to the next request. libcurl 8 notices them only if the connection was idle for more than a
second, and libcurl 7 not at all. For a server that is not trusted in this, use the simple client,
or keep no connections:
``prepare_curl_callback=lambda curl: curl.setopt(pycurl.FORBID_REUSE, 1)``.
"""
from __future__ import absolute_import, division, print_function

try:
    import pycurl  # noqa: F401
except ImportError as error:
    raise ImportError("CurlAsyncHTTPClient needs the package pycurl, which needs libcurl: pip "
                      "install friendserve[curl] (%s)" % error)

from friendserve.curl_httpclient.client import CurlAsyncHTTPClient, curl_log
from friendserve.curl_httpclient.errors import CurlError
from friendserve.util import set_public_module

__all__ = ["CurlAsyncHTTPClient", "CurlError", "curl_log"]

set_public_module(globals())
