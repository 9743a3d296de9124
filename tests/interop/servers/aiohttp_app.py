"""An aiohttp server to test clients against: python aiohttp_app.py PORT"""
import asyncio
import sys

from aiohttp import web


async def echo(request):
    return web.Response(body=await request.read(), headers={"X-Method": request.method})


async def stream(request):
    response = web.StreamResponse()
    response.enable_compression()
    await response.prepare(request)
    for number in range(1000):
        await response.write(b"line %d\n" % number)
    await response.write_eof()
    return response


async def cut(request):
    """A response that ends too early."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"only this")
    request.transport.close()
    return response


async def slow(request):
    await asyncio.sleep(60)
    return web.Response()


async def expect(request):
    # A server may answer before it has the body.
    return web.Response(text=request.headers.get("Expect", "") + str(len(await request.read())))


app = web.Application()
app.add_routes([web.route("*", "/echo", echo), web.get("/stream", stream), web.get("/cut", cut),
                web.get("/slow", slow), web.post("/expect", expect)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
