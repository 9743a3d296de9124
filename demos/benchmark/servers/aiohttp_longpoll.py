"""aiohttp: coroutines that wait for a Future until a message is sent."""
from __future__ import absolute_import, division, print_function

import asyncio
import sys

from aiohttp import web

parked = set()


async def wait(request):
    waiter = asyncio.get_running_loop().create_future()
    parked.add(waiter)
    try:
        return web.Response(text=await waiter)
    finally:
        parked.discard(waiter)


async def send(request):
    waiting = list(parked)
    parked.clear()
    for waiter in waiting:
        waiter.set_result("message")
    return web.Response(text="sent %d" % len(waiting))


async def count(request):
    return web.Response(text=str(len(parked)))


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/wait", wait)
    app.router.add_get("/send", send)
    app.router.add_get("/count", count)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
