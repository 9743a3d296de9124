"""Tornado's client in Python, with its defaults except the number of fetches at a time."""
from __future__ import absolute_import, division, print_function

import asyncio

from fetching import check, main
from tornado.httpclient import AsyncHTTPClient


def make_fetcher(url, in_flight):
    AsyncHTTPClient.configure("tornado.simple_httpclient.SimpleAsyncHTTPClient",
                              max_clients=in_flight)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def fetch_some(numbers):
        client = AsyncHTTPClient()
        for _ in numbers:
            response = await client.fetch(url)
            check(response.code, response.body)

    async def fetch_all(count):
        numbers = iter(range(count))
        await asyncio.gather(*[fetch_some(numbers) for _ in range(in_flight)])

    return lambda count: loop.run_until_complete(fetch_all(count))


if __name__ == "__main__":
    main(make_fetcher)
