"""A service of Twisted, with a status page: started by twistd, also as a daemon with a pid file.

    cd demos/embed
    twistd --nodaemon --python=twisted_service.py
    PORT=8870 STATUS_PORT=8880 twistd --pidfile=/tmp/words.pid --python=twisted_service.py

It answers each line with the number of its words; try ``nc localhost 8870``. SIGTERM ends it.

`TwistedIOLoop` is an IOLoop that the reactor drives, so the status page and the service run in one
thread and call each other directly. The service starts and closes both; twistd starts it once it
has become a daemon.
"""
from __future__ import absolute_import, division, print_function

import os

from friendserve.platform.twisted import TwistedIOLoop
from twisted.application import service
from twisted.internet import protocol, reactor
from twisted.protocols import basic
from twisted.python import log

from statuspage import StatusPage


class WordCounter(basic.LineReceiver):
    delimiter = b"\n"

    def connectionMade(self):
        peer = self.transport.getPeer()
        self.name = "%s:%d" % (peer.host, peer.port)
        self.factory.page.count("clients")
        self.factory.page.tell(self.name + " connected")

    def lineReceived(self, line):
        self.sendLine(b"%d" % len(line.split()))
        self.factory.page.count("lines")

    def connectionLost(self, reason):
        self.factory.page.count("clients", -1)
        self.factory.page.tell(self.name + " left")


class WordService(service.Service):
    def startService(self):
        service.Service.startService(self)
        self.io_loop = TwistedIOLoop()
        page = StatusPage("Word counter on Twisted", ["clients", "lines"])
        url = page.listen(int(os.environ.get("STATUS_PORT", 8880)))

        factory = protocol.Factory.forProtocol(WordCounter)
        factory.page = page
        self.port = reactor.listenTCP(int(os.environ.get("PORT", 8870)), factory,
                                      interface="127.0.0.1")
        log.msg("port %d, status page %s" % (self.port.getHost().port, url))

    def stopService(self):
        service.Service.stopService(self)
        self.io_loop.close(all_fds=True)
        return self.port.stopListening()


application = service.Application("words")
WordService().setServiceParent(application)
