"""aiohttp's HTTP server with a coroutine function of a request, without routing."""
from __future__ import absolute_import, division, print_function

import asyncio
import sys

import callable_app
from aiohttp import web


async def hello(request):
    return web.Response(body=callable_app.greeting(request.path), content_type="text/plain")


async def main():
    runner = web.ServerRunner(web.Server(hello, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
