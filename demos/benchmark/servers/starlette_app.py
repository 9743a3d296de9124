"""The ASGI application that uvicorn and granian serve."""
from __future__ import absolute_import, division, print_function

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request):
    return PlainTextResponse("Hello, world!")


application = Starlette(routes=[Route("/", hello)])
