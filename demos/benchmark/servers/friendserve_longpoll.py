"""friendserve: handlers that stay open until a message is sent."""
from __future__ import absolute_import, division, print_function

import sys

import friendserve.ioloop
import friendserve.web

parked = set()


class WaitHandler(friendserve.web.RequestHandler):
    @friendserve.web.asynchronous
    def get(self):
        parked.add(self)

    def on_connection_close(self):
        parked.discard(self)


class SendHandler(friendserve.web.RequestHandler):
    def get(self):
        waiting = list(parked)
        parked.clear()
        for handler in waiting:
            handler.finish("message")
        self.write("sent %d" % len(waiting))


class CountHandler(friendserve.web.RequestHandler):
    def get(self):
        self.write(str(len(parked)))


if __name__ == "__main__":
    application = friendserve.web.Application([
        (r"/wait", WaitHandler),
        (r"/send", SendHandler),
        (r"/count", CountHandler),
    ])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
