"""The bare callable that the ASGI servers serve."""
from __future__ import absolute_import, division, print_function

import callable_app


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        # The server may offer "lifespan" events; this is how an application declines.
        raise NotImplementedError(scope["type"])
    body = callable_app.greeting(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode("ascii"))]})
    await send({"type": "http.response.body", "body": body})
