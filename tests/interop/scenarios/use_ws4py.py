"""TornadoWebSocketClient talks to a WebSocketHandler."""
from __future__ import absolute_import, division, print_function

from scenario import equal, run, serve
from tornado.websocket import WebSocketHandler
from ws4py.client.tornadoclient import TornadoWebSocketClient


class Echo(WebSocketHandler):
    def check_origin(self, origin):
        return True

    def on_message(self, message):
        self.write_message(message)


messages = []


class Client(TornadoWebSocketClient):
    def opened(self):
        self.send("hello")

    def received_message(self, message):
        messages.append(message.data)
        self.close()

    def closed(self, code, reason=None):
        self.done(code)


port = serve([("/", Echo)])
client = Client("ws://127.0.0.1:%d/" % port, protocols=[])


def start(done):
    client.done = done
    client.connect()


run(start)
equal([b"hello"], messages)
