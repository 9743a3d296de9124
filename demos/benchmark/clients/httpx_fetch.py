"""httpx, with one client for all."""
from __future__ import absolute_import, division, print_function

import asyncio

import httpx
from fetching import check, main


def make_fetcher(url, in_flight):
    loop = asyncio.new_event_loop()

    async def make_client():
        return httpx.AsyncClient(limits=httpx.Limits(
            max_connections=in_flight, max_keepalive_connections=in_flight))

    client = loop.run_until_complete(make_client())

    async def fetch_some(numbers):
        for _ in numbers:
            response = await client.get(url)
            check(response.status_code, response.content)

    async def fetch_all(count):
        numbers = iter(range(count))
        await asyncio.gather(*[fetch_some(numbers) for _ in range(in_flight)])

    return lambda count: loop.run_until_complete(fetch_all(count))


if __name__ == "__main__":
    main(make_fetcher)
