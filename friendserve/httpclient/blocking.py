"""`HTTPClient`: the blocking client."""
from __future__ import absolute_import, division, print_function

from friendserve.httpclient.errors import HTTPTransferError
from friendserve.httpclient.interface import AsyncHTTPClient
from friendserve.ioloop import PollIOLoop


class HTTPClient(object):
    """A blocking client, for scripts and for threads without a running loop.

        client = HTTPClient()
        print(client.fetch("http://www.example.com/").body)
        client.close()

    It has its own loop, which runs only during `fetch`; a fetch blocks any other loop of the same
    thread. Internally it uses an `async_client_class`, created with `kwargs` (default: the class
    configured for AsyncHTTPClient).
    """
    def __init__(self, async_client_class=None, **kwargs):
        self._closed = True     # for __del__, in case the next lines raise
        # Whatever is configured: asyncio refuses to run one loop inside another.
        self._io_loop = PollIOLoop(make_current=False)
        try:
            self._client = (async_client_class or AsyncHTTPClient)(
                io_loop=self._io_loop, force_instance=True, **kwargs)
        except BaseException:
            self._io_loop.close()
            raise
        self._closed = False

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        self.close()

    def __del__(self):
        self.close()

    def close(self):
        """Close the connections and the loop."""
        if not self._closed:
            self._closed = True
            self._client.close()
            self._io_loop.close(all_fds=True)

    def fetch(self, request, raise_error=True, **kwargs):
        """The HTTPResponse to a URL or HTTPRequest, with the options of `AsyncHTTPClient.fetch`.

        Raises ``response.error`` if there is one, or if `raise_error` is False, only an
        HTTPTransferError. Raises RuntimeError if this client is closed or already fetching.
        """
        if self._closed:
            raise RuntimeError("this HTTP client is closed")
        if self._io_loop.running():
            raise RuntimeError("this HTTP client is already fetching; use one per thread")
        responses = []

        def on_response(response):
            responses.append(response)
            self._io_loop.stop()

        self._client.fetch(request, on_response, **kwargs)
        self._io_loop.start()
        response = responses.pop()
        if response.error and (raise_error or isinstance(response.error, HTTPTransferError)):
            raise response.error
        return response
