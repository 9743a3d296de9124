"""Tornado: what traffic.py asks for, over TCP, TLS and a Unix socket."""
from __future__ import absolute_import, division, print_function

import asyncio
import json
import ssl
import sys

import tornado.httpserver
import tornado.iostream
import tornado.netutil
import tornado.web

streams = set()


class HelloHandler(tornado.web.RequestHandler):
    def get(self, name="world"):
        self.write("Hello, %s!" % name)


class FormHandler(tornado.web.RequestHandler):
    def post(self):
        self.write("%s, %s" % (self.get_argument("name"), self.get_argument("comment")))


class JSONHandler(tornado.web.RequestHandler):
    def post(self):
        self.write({"total": sum(json.loads(self.request.body)["values"])})


class BodyHandler(tornado.web.RequestHandler):
    def post(self):
        self.write(str(len(self.request.body)))


class EventsHandler(tornado.web.RequestHandler):
    async def get(self):
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        await self.flush()
        streams.add(self)
        await asyncio.Event().wait()

    def on_connection_close(self):
        streams.discard(self)


class SendHandler(tornado.web.RequestHandler):
    async def get(self):
        event = "data: %s\n\n" % self.get_argument("text")
        for stream in list(streams):
            try:
                stream.write(event)
                await stream.flush()
            except tornado.iostream.StreamClosedError:
                pass
        self.write(str(len(streams)))


async def main():
    port, tls_port, certfile, keyfile, path = sys.argv[1:]
    application = tornado.web.Application([
        (r"/", HelloHandler), (r"/hello/([a-z0-9]+)", HelloHandler), (r"/form", FormHandler),
        (r"/json", JSONHandler), (r"/body", BodyHandler), (r"/events", EventsHandler),
        (r"/send", SendHandler)])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile)
    server = tornado.httpserver.HTTPServer(application)
    server.add_socket(tornado.netutil.bind_unix_socket(path))
    secure = tornado.httpserver.HTTPServer(application, ssl_options=context)
    secure.listen(int(tls_port), address="127.0.0.1")
    server.listen(int(port), address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
