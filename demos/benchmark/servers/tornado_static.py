"""Tornado; its access log is silenced, which friendserve does not write by default."""
from __future__ import absolute_import, division, print_function

import logging
import sys

import tornado.ioloop
import tornado.web

if __name__ == "__main__":
    logging.getLogger("tornado.access").disabled = True
    application = tornado.web.Application([
        (r"/(.*)", tornado.web.StaticFileHandler, {"path": sys.argv[2]})])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    tornado.ioloop.IOLoop.current().start()
