"""What a program reports about itself: a page for browsers, and a long poll for them and for
scripts.

    page = StatusPage("Word counter", ["clients", "lines"])
    page.listen(8880)
    page.count("clients")
    page.tell("127.0.0.1 connected")

The page shows the figures and the latest events, and uses the long poll to stay current:
``GET /wait?after=CURSOR`` is answered with JSON as soon as the state is not that of the cursor, or
after `WAIT` seconds. The four programs in this folder share this module. Like everything on a loop,
a StatusPage is made and used in the loop's thread only.
"""
from __future__ import absolute_import, division, print_function

import collections
import os
import time

from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.web import Application, RequestHandler, asynchronous

HERE = os.path.dirname(os.path.abspath(__file__))

#: Seconds after which a long poll is answered even if nothing has changed. Many proxies close
#: connections that are idle for a minute.
WAIT = 50

#: Seconds in which any number of changes make one answer, so that a busy program does not answer a
#: poll for each line that it reads.
PAUSE = 0.05

#: How many events are kept.
EVENTS = 30


class StatusPage(object):
    """The state of a program: figures, which begin at 0, and events."""

    def __init__(self, title, figures):
        self.title = title
        self.figures = collections.OrderedDict((name, 0) for name in figures)
        self.events = collections.deque(maxlen=EVENTS)      # pairs (time, text), latest first
        self.started = time.time()
        self.waiting = []           # a function for each long poll
        self._version = 0
        self._timer = None
        self._io_loop = IOLoop.current()
        self._server = HTTPServer(Application(
            [("/", PageHandler, {"page": self}), ("/wait", WaitHandler, {"page": self})],
            template_path=os.path.join(HERE, "templates"),
            static_path=os.path.join(HERE, "static")))

    def listen(self, port, address="127.0.0.1"):
        """Serve the page; returns its URL. With port 0, the system chooses one."""
        sockets = bind_sockets(port, address)
        self._server.add_sockets(sockets)
        return "http://%s:%d/" % (address, sockets[0].getsockname()[1])

    def count(self, name, change=1):
        """Add `change` to a figure."""
        self.figures[name] += change
        self._changed()

    def tell(self, text):
        """Add an event."""
        self.events.appendleft((time.time(), text))
        self._changed()

    def state(self):
        """The state as JSON; its cursor is also different in every process."""
        return {"cursor": "%d.%d" % (os.getpid(), self._version), "pid": os.getpid(),
                "started": self.started, "now": time.time(), "figures": list(self.figures.items()),
                "events": list(self.events)}

    def _changed(self):
        self._version += 1
        if self._timer is None:
            self._timer = self._io_loop.call_later(PAUSE, self._answer)

    def _answer(self):
        self._timer = None
        waiting, self.waiting = self.waiting, []
        for answer in waiting:
            answer()


class BaseHandler(RequestHandler):
    def initialize(self, page):
        self.page = page

    def set_default_headers(self):
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")


class PageHandler(BaseHandler):
    def get(self):
        self.render("status.html", title=self.page.title, state=self.page.state())


class WaitHandler(BaseHandler):
    @asynchronous
    def get(self):
        self._timer = None
        if self.get_argument("after", None) != self.page.state()["cursor"]:
            self.answer()
        else:
            self._timer = IOLoop.current().call_later(WAIT, self.answer)
            self.page.waiting.append(self.answer)

    def answer(self):
        self.on_connection_close()
        self.finish(self.page.state())

    def on_connection_close(self):
        # The browser has left, or its answer is ready.
        if self._timer is not None:
            IOLoop.current().remove_timeout(self._timer)
            if self.answer in self.page.waiting:
                self.page.waiting.remove(self.answer)
