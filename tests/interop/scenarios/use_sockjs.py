"""An echo over WebSocket and over long polling, and the page of greeting."""
from __future__ import absolute_import, division, print_function

import json

from scenario import equal, fetch, run, serve
from sockjs.tornado import SockJSConnection, SockJSRouter
from tornado.websocket import websocket_connect


class Echo(SockJSConnection):
    def on_message(self, message):
        self.send(message)


port = serve(SockJSRouter(Echo, "/echo").urls)
equal(b"Welcome to SockJS!\n", fetch(port, "/echo/").body)
equal(True, json.loads(fetch(port, "/echo/info").body.decode())["websocket"])

equal(b"o\n", fetch(port, "/echo/0/a/xhr", method="POST", body="").body)
equal(204, fetch(port, "/echo/0/a/xhr_send", method="POST", body='["hello"]').code)
equal(b'a["hello"]\n', fetch(port, "/echo/0/a/xhr", method="POST", body="").body)

connection = run(lambda done: websocket_connect(
    "ws://127.0.0.1:%d/echo/0/b/websocket" % port, callback=done)).result()
equal("o", run(lambda done: connection.read_message(done)).result())
connection.write_message('["hello"]')
equal('a["hello"]', run(lambda done: connection.read_message(done)).result())
