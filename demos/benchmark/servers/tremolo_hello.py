"""tremolo, with its own routing; one process. `end` sends a response with a length."""
from __future__ import absolute_import, division, print_function

import sys

import tremolo

application = tremolo.Application()


@application.route("/")
async def hello(response, **server):
    await response.end(b"Hello, world!")


@application.route(r"^/hello/(?P<name>[a-z0-9]+)")
async def hello_name(request, response, **server):
    await response.end(b"Hello, %s!" % request.params["path"]["name"])


if __name__ == "__main__":
    application.run("127.0.0.1", int(sys.argv[1]), worker_num=1, log_level="ERROR",
                    keepalive_connections=10000)
