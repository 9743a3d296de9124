"""robyn: HTTP and routing in Rust; one process, one worker."""
from __future__ import absolute_import, division, print_function

import logging
import sys

import robyn

port = int(sys.argv.pop(1))
application = robyn.Robyn(__file__)


@application.get("/")
async def hello(request):
    return "Hello, world!"


@application.get("/hello/:name")
async def hello_name(request):
    return "Hello, %s!" % request.path_params["name"]


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    application.start(host="127.0.0.1", port=port)
