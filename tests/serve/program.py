"""A service for the tests: `python -m tests.serve.program SETTINGS`, a JSON object whose member
"application" names a Python file that defines `make(settings)`."""
from __future__ import absolute_import, division, print_function

import json
import logging
import signal
import sys

from friendserve.httpserver import HTTPServer
from friendserve.log import enable_pretty_logging
from friendserve.serve.master import CANNOT_START, Master
from friendserve.serve.operators import Operators
from friendserve.serve.sockets import Listeners, SocketsError

DEFAULTS = {"bind": ["127.0.0.1:0"], "processes": 2, "graceful_timeout": 10, "drain_idle": 1,
            "start_timeout": 60, "stall_timeout": 60, "max_requests": None, "max_memory": None,
            "max_age": None, "preload": False, "pidfile": None, "user": None, "group": None,
            "reuse_port": False, "metrics": None, "health": None, "control": None,
            "no_master": False}


class Settings(object):
    def __init__(self, path):
        with open(path) as source:
            vars(self).update(DEFAULTS, **json.load(source))


names = {"__name__": "application"}


def load(settings):
    if "make" not in names:
        with open(settings.application) as source:
            exec(compile(source.read(), settings.application, "exec"), names)


def make_server(settings):
    load(settings)
    return HTTPServer(names["make"](settings))


def main():
    # Whatever a test does, this ends.
    signal.alarm(120)
    enable_pretty_logging()
    logging.getLogger().setLevel(logging.INFO)
    path = sys.argv[1]
    settings = Settings(path)
    try:
        listeners = Listeners(settings.bind, reuse_port=settings.reuse_port)
        operators = Operators(settings, listeners)
    except SocketsError as error:
        print(error, file=sys.stderr)
        return CANNOT_START
    return Master(settings, listeners, make_server, reread=lambda old: Settings(path),
                  preload=load, operators=operators).run()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)
