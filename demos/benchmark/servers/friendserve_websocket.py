"""friendserve: an echo. The package `websockets`, if installed, masks in C."""
from __future__ import absolute_import, division, print_function

import sys

import answering
import friendserve.ioloop
import friendserve.web
import friendserve.websocket


class EchoHandler(friendserve.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(answering.answer(message), binary=isinstance(message, bytes))


if __name__ == "__main__":
    application = friendserve.web.Application([(r"/", EchoHandler)])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
