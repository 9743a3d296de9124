"""twisted.web without a log file."""
from __future__ import absolute_import, division, print_function

import sys

from twisted.internet import reactor
from twisted.web import resource, server


class Hello(resource.Resource):
    def __init__(self, name=b"world"):
        resource.Resource.__init__(self)
        self.name = name

    def getChild(self, path, request):
        return Hello(path or b"world")

    def render_GET(self, request):
        return b"Hello, %s!" % self.name


if __name__ == "__main__":
    root = Hello()
    root.putChild(b"hello", Hello())
    reactor.listenTCP(int(sys.argv[1]), server.Site(root), interface="127.0.0.1", backlog=1024)
    reactor.run()
