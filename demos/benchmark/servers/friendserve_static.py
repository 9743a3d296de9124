"""friendserve with every default on."""
from __future__ import absolute_import, division, print_function

import sys

import friendserve.ioloop
import friendserve.web

if __name__ == "__main__":
    application = friendserve.web.Application([
        (r"/(.*)", friendserve.web.StaticFileHandler, {"path": sys.argv[2]})])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
