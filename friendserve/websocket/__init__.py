"""WebSockets (RFC 6455): messages both ways over a connection that stays open.

    from friendserve.ioloop import IOLoop
    from friendserve.web import Application
    from friendserve.websocket import WebSocketHandler

    class Echo(WebSocketHandler):
        def on_message(self, message):
            self.write_message(u"You said: " + message)

    Application([("/echo", Echo)]).listen(8888)
    IOLoop.current().start()

In a page, ``new WebSocket("ws://localhost:8888/echo")`` opens one. In a program,
`websocket_connect` does:

    def on_connected(connection):
        connection.write_message(u"Hello")
        connection.read_message(lambda message: print(message))

    websocket_connect("ws://localhost:8888/echo", on_connected)

A `WebSocketHandler` is the server's end of a WebSocket and a `WebSocketClientConnection` the
client's; between them and the stream is a `WebSocketProtocol13`. Sending on a closed WebSocket
raises `WebSocketClosedError`, which is a `WebSocketError`. Only version 13 of the protocol, that of
the RFC, is supported, not the drafts before it.
"""
from __future__ import absolute_import, division, print_function

from friendserve.util import set_public_module
from friendserve.websocket.client import WebSocketClientConnection, websocket_connect
from friendserve.websocket.connection import (
    WebSocketClosedError, WebSocketError, WebSocketProtocol13)
from friendserve.websocket.handler import WebSocketHandler

__all__ = ["WebSocketClientConnection", "WebSocketClosedError", "WebSocketError",
           "WebSocketHandler", "WebSocketProtocol13", "websocket_connect"]

set_public_module(globals())
