"""aiohttp, with one session for all."""
from __future__ import absolute_import, division, print_function

import asyncio

import aiohttp
from fetching import check, main


def make_fetcher(url, in_flight):
    loop = asyncio.new_event_loop()

    async def make_session():
        return aiohttp.ClientSession()

    session = loop.run_until_complete(make_session())

    async def fetch_some(numbers):
        for _ in numbers:
            async with session.get(url) as response:
                check(response.status, await response.read())

    async def fetch_all(count):
        numbers = iter(range(count))
        await asyncio.gather(*[fetch_some(numbers) for _ in range(in_flight)])

    return lambda count: loop.run_until_complete(fetch_all(count))


if __name__ == "__main__":
    main(make_fetcher)
