"""A handshake and an echo over long polling, by the protocol of socket.io 0.7."""
from __future__ import absolute_import, division, print_function

from scenario import equal, fetch, serve
from tornadio2 import SocketConnection, TornadioRouter
from tornado.web import Application


class Echo(SocketConnection):
    def on_message(self, message):
        self.send(message)


port = serve(Application(TornadioRouter(Echo).urls))
session = fetch(port, "/socket.io/1/").body.decode().split(":")[0]
path = "/socket.io/1/xhr-polling/" + session
equal(b"1::", fetch(port, path).body)
equal(200, fetch(port, path, method="POST", body="3:::hello").code)
equal(b"3:::hello", fetch(port, path).body)
