"""Tornado's HTTP server with a function of a request."""
from __future__ import absolute_import, division, print_function

import asyncio
import sys

import callable_app
import tornado.httpserver
import tornado.httputil


def hello(request):
    body = callable_app.greeting(request.path)
    request.connection.write_headers(
        tornado.httputil.ResponseStartLine("HTTP/1.1", 200, "OK"),
        tornado.httputil.HTTPHeaders({"Content-Type": "text/plain",
                                      "Content-Length": str(len(body))}), body)
    request.connection.finish()


async def main():
    server = tornado.httpserver.HTTPServer(hello)
    server.listen(int(sys.argv[1]), address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
