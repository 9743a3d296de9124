"""The smallest server: one handler, one URL, one loop."""
from __future__ import absolute_import, division, print_function

from friendserve.options import define, options, parse_command_line
from friendserve.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self):
        self.write("Hello from one thread.\n")


if __name__ == "__main__":
    define("port", default=8888, help="the port to listen on")
    parse_command_line(arguments=False)
    Application([("/", Hello)]).run(options.port)
