"""friendserve's client in Python, with its defaults except the number of fetches at a time."""
from __future__ import absolute_import, division, print_function

from callbacks import Fetcher
from fetching import main

from friendserve.httpclient import AsyncHTTPClient
from friendserve.ioloop import IOLoop


def make_fetcher(url, in_flight):
    AsyncHTTPClient.configure("friendserve.simple_httpclient.SimpleAsyncHTTPClient",
                              max_clients=in_flight)
    client = AsyncHTTPClient()
    return Fetcher(lambda callback: client.fetch(url, callback), IOLoop.current(), in_flight)


if __name__ == "__main__":
    main(make_fetcher)
