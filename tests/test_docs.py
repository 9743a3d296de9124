"""The programs in the pages of website/docs do what the pages say."""
from __future__ import absolute_import, division, print_function

import io
import os
import re
import textwrap

import six

from friendserve.feed import open_feed
from friendserve.web import Application
from friendserve.websocket import websocket_connect
from tests import ROOT
from tests.webcase import WebCase


def program(page):
    """The names that the first program of a page defines."""
    with io.open(os.path.join(ROOT, "website", "docs", page), encoding="utf-8") as source:
        block = re.search(u"code-block:: python\n\n((?:    .*\n|\n)+)", source.read()).group(1)
    namespace = {"__name__": "page"}
    six.exec_(textwrap.dedent(block), namespace)
    return namespace


class WebSocketPageTest(WebCase):
    def test_what_one_says_all_see(self):
        names = program("websocket.rst")
        application = Application([("/", names["PageHandler"]),
                                   ("/socket", names["SocketHandler"])])
        application.feed = open_feed()
        self.serve(application)
        self.assertIn(b"new WebSocket", self.ask("/").body)
        heard, connections = [], []
        for _ in range(2):
            websocket_connect("ws://127.0.0.1:%d/socket" % self.server.address[1],
                              connections.append, on_message_callback=heard.append)
        self.run_until(lambda: len(connections) == 2)
        connections[0].write_message(u"hello")
        self.run_until(lambda: heard == [u"hello", u"hello"])
        for connection in connections:
            connection.close()
        self.run_until(lambda: heard[2:] == [None, None])
