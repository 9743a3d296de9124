"""The ASGI application that uvicorn and granian serve."""
from __future__ import absolute_import, division, print_function

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request):
    return PlainTextResponse("Hello, %s!" % request.path_params.get("name", "world"))


application = Starlette(routes=[Route("/", hello), Route("/hello/{name}", hello)])
