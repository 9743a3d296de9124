"""friendserve with every default on: what traffic.py asks for, over TCP, TLS and a Unix socket."""
from __future__ import absolute_import, division, print_function

import sys

import friendserve.httpserver
import friendserve.ioloop
import friendserve.netutil
import friendserve.web

streams = set()


class HelloHandler(friendserve.web.RequestHandler):
    def get(self, name="world"):
        self.write("Hello, %s!" % name)


class FormHandler(friendserve.web.RequestHandler):
    def post(self):
        self.write("%s, %s" % (self.get_argument("name"), self.get_argument("comment")))


class JSONHandler(friendserve.web.RequestHandler):
    def post(self):
        self.write({"total": sum(self.get_json()["values"])})


class BodyHandler(friendserve.web.RequestHandler):
    def post(self):
        self.write(str(len(self.request.body)))


class EventsHandler(friendserve.web.EventStreamHandler):
    def open(self):
        streams.add(self)

    def on_close(self):
        streams.discard(self)


class SendHandler(friendserve.web.RequestHandler):
    def get(self):
        text = self.get_argument("text")
        for stream in streams:
            stream.send_event(text)
        self.write(str(len(streams)))


if __name__ == "__main__":
    port, tls_port, certfile, keyfile, path = sys.argv[1:]
    application = friendserve.web.Application([
        (r"/", HelloHandler), (r"/hello/([a-z0-9]+)", HelloHandler), (r"/form", FormHandler),
        (r"/json", JSONHandler), (r"/body", BodyHandler), (r"/events", EventsHandler),
        (r"/send", SendHandler)])
    server = friendserve.httpserver.HTTPServer(application)
    server.add_sockets([friendserve.netutil.bind_unix_socket(path)])
    secure = friendserve.httpserver.HTTPServer(
        application, ssl_options={"certfile": certfile, "keyfile": keyfile})
    secure.listen(int(tls_port), address="127.0.0.1")
    server.listen(int(port), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
