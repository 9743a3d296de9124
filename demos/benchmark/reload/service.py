"""The page, as a service of friendserve."""
from __future__ import absolute_import, division, print_function

import logging
import sys

from friendserve.httpserver import HTTPServer
from friendserve.serve.master import Master
from friendserve.serve.sockets import Listeners
from friendserve.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self):
        self.write("Hello, world\n")


class Settings(object):
    processes, graceful_timeout, drain_idle, start_timeout, stall_timeout = 2, 30, 5, 60, 60
    max_memory = max_age = pidfile = user = group = None
    preload = reuse_port = False

    def __init__(self, port, max_requests):
        self.bind = ["127.0.0.1:" + port]
        self.max_requests = int(max_requests)


def make_server(settings):
    return HTTPServer(Application([("/", Hello)], log_function=lambda handler: None))


def main(port, max_requests="0"):
    """The arguments are those of the command line."""
    logging.basicConfig(level=logging.WARNING)
    settings = Settings(port, max_requests)
    return Master(settings, Listeners(settings.bind), make_server).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
