"""Tornado: an echo."""
from __future__ import absolute_import, division, print_function

import asyncio
import sys

import answering
import tornado.web
import tornado.websocket


class EchoHandler(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(answering.answer(message), binary=isinstance(message, bytes))


async def main():
    application = tornado.web.Application([(r"/", EchoHandler)])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
