"""The same page for gunicorn (`wsgi`), uvicorn and granian (`asgi`)."""
from __future__ import absolute_import, division, print_function

BODY = b"Hello, world\n"
LENGTH = str(len(BODY))


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", LENGTH)])
    return [BODY]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain"),
                            (b"content-length", LENGTH.encode("ascii"))]})
    await send({"type": "http.response.body", "body": BODY})
