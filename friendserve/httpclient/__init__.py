"""HTTP clients: `AsyncHTTPClient`, whose `fetch` takes a callback, and the blocking `HTTPClient`.
Both take an `HTTPRequest`, or just a URL, and give an `HTTPResponse`.

    from friendserve.httpclient import AsyncHTTPClient
    from friendserve.ioloop import IOLoop

    def on_response(response):
        print(response.code, response.error or response.body)
        IOLoop.current().stop()

    AsyncHTTPClient().fetch("http://www.example.com/", on_response)
    IOLoop.current().start()

There are two implementations: `friendserve.simple_httpclient`, the default, is written in Python;
`friendserve.curl_httpclient` uses libcurl. Choose it with
``AsyncHTTPClient.configure("friendserve.curl_httpclient.CurlAsyncHTTPClient")``.

A failed fetch has an `HTTPError` in ``response.error``. Its code is the status, or 599 for an
`HTTPTransferError`: no complete response arrived, and the subclass says why.

From a shell, ``python -m friendserve.httpclient URL`` fetches a URL and prints the response.
"""
from __future__ import absolute_import, division, print_function

from friendserve.httpclient.blocking import HTTPClient
from friendserve.httpclient.command import main
from friendserve.httpclient.errors import (
    HTTPClientClosedError, HTTPClientError, HTTPConnectError, HTTPError, HTTPProtocolError,
    HTTPStreamClosedError, HTTPTLSError, HTTPTimeoutError, HTTPTransferError)
from friendserve.httpclient.interface import AsyncHTTPClient
from friendserve.httpclient.messages import HTTPRequest, HTTPResponse, end_to_end_headers
from friendserve.httputil import encode_multipart_formdata
from friendserve.util import set_public_module

#: Names of Tornado 1, whose client was libcurl.
AsyncHTTPClient2 = AsyncHTTPClient
CurlError = HTTPTransferError

__all__ = ["AsyncHTTPClient", "AsyncHTTPClient2", "CurlError", "HTTPClient",
           "HTTPClientClosedError", "HTTPClientError", "HTTPConnectError", "HTTPError",
           "HTTPProtocolError", "HTTPRequest", "HTTPResponse", "HTTPStreamClosedError",
           "HTTPTLSError", "HTTPTimeoutError", "HTTPTransferError", "encode_multipart_formdata",
           "end_to_end_headers", "main"]

set_public_module(globals())
