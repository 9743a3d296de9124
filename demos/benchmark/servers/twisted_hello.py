"""twisted.web without a log file."""
from __future__ import absolute_import, division, print_function

import sys

from twisted.internet import reactor
from twisted.web import resource, server


class Hello(resource.Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"Hello, world!"


if __name__ == "__main__":
    reactor.listenTCP(int(sys.argv[1]), server.Site(Hello()), interface="127.0.0.1",
                      backlog=1024)
    reactor.run()
