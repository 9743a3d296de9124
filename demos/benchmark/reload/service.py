"""What friendserve serves here: a page, 5 ms of computing, a long poll, WebSockets."""
from __future__ import absolute_import, division, print_function

import os
import time

from friendserve.feed import LocalFeed
from friendserve.web import Application, RequestHandler, asynchronous
from friendserve.websocket import WebSocketHandler

feed = LocalFeed()

#: Seconds of processor time.
used = getattr(time, "process_time", None) or time.clock


class Hello(RequestHandler):
    def get(self):
        self.write("Hello, world\n")


class Computing(RequestHandler):
    """The answer is the worker that gave it."""
    def get(self):
        end = used() + 0.005
        while used() < end:
            pass
        self.write(str(os.getpid()))


class Poll(RequestHandler):
    @asynchronous
    def get(self):
        self.watch = feed.wait("news", self.get_argument("cursor", None), self.on_batch, 300)

    def on_batch(self, batch):
        self.finish({"cursor": batch.cursor, "pid": os.getpid()})

    def on_drain(self):
        feed.expire(self.watch)


class Talk(WebSocketHandler):
    def open(self):
        self.write_message(str(os.getpid()))


application = Application([("/", Hello), ("/computing", Computing), ("/poll", Poll),
                           ("/talk", Talk)])
