"""aiohttp with its C parser, the access log off."""
from __future__ import absolute_import, division, print_function

import sys

from aiohttp import web


async def hello(request):
    return web.Response(text="Hello, %s!" % request.match_info.get("name", "world"))


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/hello/{name}", hello)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
