"""aiohttp: what traffic.py asks for, over TCP, TLS and a Unix socket."""
from __future__ import absolute_import, division, print_function

import asyncio
import ssl
import sys

from aiohttp import web

streams = set()


async def hello(request):
    return web.Response(text="Hello, %s!" % request.match_info.get("name", "world"))


async def form(request):
    fields = await request.post()
    return web.Response(text="%s, %s" % (fields["name"], fields["comment"]))


async def json(request):
    return web.json_response({"total": sum((await request.json())["values"])})


async def body(request):
    return web.Response(text=str(len(await request.read())))


async def events(request):
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream",
                                         "Cache-Control": "no-cache"})
    await stream.prepare(request)
    streams.add(stream)
    try:
        await asyncio.Event().wait()
    finally:
        streams.discard(stream)


async def send(request):
    event = ("data: %s\n\n" % request.query["text"]).encode("utf-8")
    for stream in list(streams):
        try:
            await stream.write(event)
        except ConnectionError:
            streams.discard(stream)
    return web.Response(text=str(len(streams)))


async def main():
    port, tls_port, certfile, keyfile, path = sys.argv[1:]
    application = web.Application()
    application.router.add_get("/", hello)
    application.router.add_get("/hello/{name}", hello)
    application.router.add_post("/form", form)
    application.router.add_post("/json", json)
    application.router.add_post("/body", body)
    application.router.add_get("/events", events)
    application.router.add_get("/send", send)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    await web.TCPSite(runner, "127.0.0.1", int(tls_port), ssl_context=context).start()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
