"""Demos for tests: their modules, and servers of them in a thread of this process."""
from __future__ import absolute_import, division, print_function

import os
import threading
import types

import six
from six.moves import queue

from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from tests import PATIENCE, ROOT

CHAT = os.path.join(ROOT, "demos", "chat", "chatdemo.py")


def load_demo(path):
    """A new module made from a demo, which tests do not share."""
    module = types.ModuleType("demo")
    module.__file__ = path
    with open(path, "rb") as source:
        six.exec_(compile(source.read(), path, "exec", 0, True), module.__dict__)
    return module


class DemoServer(object):
    """Serves the application that `make_application()` returns, on a free port, from a thread."""

    def __init__(self, make_application):
        self.sockets = bind_sockets(0, "127.0.0.1")
        self.port = self.sockets[0].getsockname()[1]
        self.url = "http://127.0.0.1:%d" % self.port
        self._make_application = make_application
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        if not self._ready.wait(PATIENCE):
            raise RuntimeError("the server did not start within %d seconds" % PATIENCE)

    def _run(self):
        self.loop = IOLoop()
        self.loop.make_current()
        self.application = self._make_application()
        server = HTTPServer(self.application)
        server.add_sockets(self.sockets)
        self.loop.add_callback(self._ready.set)
        self.loop.start()
        server.stop()
        self.loop.close(all_fds=True)

    def call(self, function):
        """The result of `function()`, called on the loop."""
        answer = queue.Queue()
        self.loop.add_callback(lambda: answer.put(function()))
        return answer.get(timeout=PATIENCE)

    def stop(self):
        self.loop.add_callback(self.loop.stop)
        self._thread.join(PATIENCE)


class ChatServer(DemoServer):
    """The chat demo with an empty room."""

    def __init__(self):
        self.demo = load_demo(CHAT)
        super(ChatServer, self).__init__(
            lambda: self.demo.ChatApplication("a secret of the tests only"))

    def wait_for_waiters(self, count):
        """Wait until this many requests are parked in the room."""
        arrived = threading.Event()
        given_up = threading.Event()

        def look():
            if len(self.application.presence.watchers) == count:
                arrived.set()
            elif not given_up.is_set():
                self.loop.call_later(0.005, look)

        self.loop.add_callback(look)
        if not arrived.wait(PATIENCE):
            given_up.set()
            raise AssertionError("%d requests wait in the room, not %d" % (
                len(self.application.presence.watchers), count))
