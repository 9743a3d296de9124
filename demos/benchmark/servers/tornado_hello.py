"""Tornado as its own front page shows it."""
from __future__ import absolute_import, division, print_function

import asyncio
import sys

import tornado.web


class MainHandler(tornado.web.RequestHandler):
    def get(self, name="world"):
        self.write("Hello, %s!" % name)


async def main():
    application = tornado.web.Application([
        (r"/", MainHandler), (r"/hello/([a-z0-9]+)", MainHandler)])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
