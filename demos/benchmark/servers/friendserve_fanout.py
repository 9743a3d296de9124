"""friendserve: readers of a feed, by long poll and by WebSocket; in memory, or on a Redis."""
from __future__ import absolute_import, division, print_function

import sys

import friendserve.feed
import friendserve.ioloop
import friendserve.web
import friendserve.websocket


class WaitHandler(friendserve.web.RequestHandler):
    watch = None

    @friendserve.web.asynchronous
    def get(self):
        cursor = self.get_argument("cursor", None)
        self.watch = self.application.feed.wait("room", cursor, self.on_batch)
        self.application.waiting += 1

    def on_batch(self, batch):
        self.application.waiting -= 1
        self.finish(batch.messages[-1].text)

    def on_connection_close(self):
        self.application.waiting -= 1
        self.application.feed.cancel(self.watch)


class SocketHandler(friendserve.websocket.WebSocketHandler):
    def open(self):
        self.watch = self.application.feed.subscribe("room", self.on_batch)
        self.application.waiting += 1

    def on_batch(self, batch):
        for message in batch.messages:
            self.write_message(message.text)

    def on_message(self, message):
        pass

    def on_close(self):
        self.application.waiting -= 1
        self.application.feed.cancel(self.watch)


class SendHandler(friendserve.web.RequestHandler):
    @friendserve.web.asynchronous
    def get(self):
        self.application.feed.publish("room", u"message", lambda message_id: self.finish("sent"))


class CountHandler(friendserve.web.RequestHandler):
    def get(self):
        self.write(str(self.application.waiting))


if __name__ == "__main__":
    application = friendserve.web.Application([
        (r"/wait", WaitHandler), (r"/", SocketHandler), (r"/send", SendHandler),
        (r"/count", CountHandler)])
    application.waiting = 0
    application.feed = friendserve.feed.open_feed(*sys.argv[2:])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
