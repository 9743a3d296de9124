"""aiohttp: an echo, without compression."""
from __future__ import absolute_import, division, print_function

import sys

import answering
from aiohttp import WSMsgType, web


async def echo(request):
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(answering.answer(message.data))
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(answering.answer(message.data))
    return socket


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/", echo)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
