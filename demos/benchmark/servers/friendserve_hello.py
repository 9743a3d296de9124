"""friendserve with every default on."""
from __future__ import absolute_import, division, print_function

import sys

import friendserve.ioloop
import friendserve.web


class MainHandler(friendserve.web.RequestHandler):
    def get(self, name="world"):
        self.write("Hello, %s!" % name)


if __name__ == "__main__":
    application = friendserve.web.Application([
        (r"/", MainHandler), (r"/hello/([a-z0-9]+)", MainHandler)])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
