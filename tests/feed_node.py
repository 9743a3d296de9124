"""A server process for tests: serves a feed on Redis to long polls.

    python tests/feed_node.py redis://127.0.0.1:6379/0

It prints its port. GET /wait?cursor= responds with {"texts", "cursor"}, POST /publish?text= with
the id of the message once Redis has stored it, or with 503.
"""
from __future__ import absolute_import, division, print_function

import os
import sys

# Instead of this folder, which would hide the standard modules `platform` and `typing`.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from friendserve.feed import open_feed  # noqa: E402
from friendserve.httpserver import HTTPServer  # noqa: E402
from friendserve.ioloop import IOLoop  # noqa: E402
from friendserve.netutil import bind_sockets  # noqa: E402
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous  # noqa: E402


class Wait(RequestHandler):
    watch = None

    @asynchronous
    def get(self):
        self.watch = self.settings["feed"].wait(
            "room", self.get_argument("cursor"), self.on_batch, timeout=20)

    def on_batch(self, batch):
        self.finish({"texts": [message.text for message in batch.messages],
                     "cursor": batch.cursor})

    def on_connection_close(self):
        self.settings["feed"].cancel(self.watch)


class Publish(RequestHandler):
    @asynchronous
    def post(self):
        self.settings["feed"].publish("room", self.get_argument("text"), self.finish,
                                      self.on_error)

    def on_error(self, error):
        raise HTTPError(503, str(error))


class Count(RequestHandler):
    def get(self):
        channel = self.settings["feed"]._channels.get("room")
        self.write(str(len(channel.watches) if channel else 0))


def main():
    loop = IOLoop.instance()
    application = Application([
        (r"/wait", Wait), (r"/publish", Publish), (r"/count", Count)],
        feed=open_feed(sys.argv[1]), log_function=lambda handler: None)
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(application).add_sockets(sockets)
    print(sockets[0].getsockname()[1])
    sys.stdout.flush()
    loop.start()


if __name__ == "__main__":
    main()
