"""The application that the files beside this one run as a service.

See website/docs/how-to/deployment.rst.
"""
from __future__ import absolute_import, division, print_function

from friendserve.web import Application, RequestHandler
from friendserve.websocket import WebSocketHandler


class Hello(RequestHandler):
    def get(self):
        self.write("Hello %s, by %s.\n" % (self.request.remote_ip, self.request.protocol))


class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


application = Application([("/", Hello), ("/echo", Echo)])
