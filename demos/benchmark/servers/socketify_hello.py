"""socketify: HTTP and routing in C++ (uWebSockets)."""
from __future__ import absolute_import, division, print_function

import sys

import socketify


def hello(response, request):
    response.end("Hello, world!")


def hello_name(response, request):
    response.end("Hello, %s!" % request.get_parameter(0))


if __name__ == "__main__":
    application = socketify.App()
    application.get("/", hello)
    application.get("/hello/:name", hello_name)
    application.listen(socketify.AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"))
    application.run()
