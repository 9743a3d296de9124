"""The smallest server: one handler, one URL, one loop."""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop import IOLoop
from friendserve.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self):
        self.write("Hello from one thread.\n")


if __name__ == "__main__":
    Application([("/", Hello)]).listen(8888, address="127.0.0.1")
    IOLoop.instance().start()
