"""Tornado: coroutines that wait for a Future until a message is sent."""
from __future__ import absolute_import, division, print_function

import asyncio
import sys

import tornado.web

parked = set()


class WaitHandler(tornado.web.RequestHandler):
    waiter = None

    async def get(self):
        self.waiter = asyncio.get_running_loop().create_future()
        parked.add(self.waiter)
        self.write(await self.waiter)

    def on_connection_close(self):
        parked.discard(self.waiter)
        self.waiter.cancel()


class SendHandler(tornado.web.RequestHandler):
    def get(self):
        waiting = list(parked)
        parked.clear()
        for waiter in waiting:
            waiter.set_result("message")
        self.write("sent %d" % len(waiting))


class CountHandler(tornado.web.RequestHandler):
    def get(self):
        self.write(str(len(parked)))


async def main():
    application = tornado.web.Application([
        (r"/wait", WaitHandler),
        (r"/send", SendHandler),
        (r"/count", CountHandler),
    ])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
