"""An ASGI application for a gateway to stand in front of: it tells what it has been asked."""
import json

seen = []


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    request = {"method": scope["method"], "path": scope["raw_path"].decode("latin-1"),
               "query": scope["query_string"].decode("latin-1"), "body": body.decode("latin-1"),
               "headers": [[name.decode("latin-1"), value.decode("latin-1")]
                           for name, value in scope["headers"]]}
    if request["path"] == "/seen":
        answer = list(seen)
        del seen[:]
    else:
        seen.append(request)
        answer = request
    # Without a Content-Length: uvicorn sends it in chunks.
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"application/json"), (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"), (b"keep-alive", b"timeout=5")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode("ascii")})
