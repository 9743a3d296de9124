"""The same page for uvicorn and granian."""
BODY = b"Hello, world\n"


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain"),
                            (b"content-length", str(len(BODY)).encode("ascii"))]})
    await send({"type": "http.response.body", "body": BODY})
