"""A Twisted reactor on an IOLoop, for the stress: with the names of a loop."""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop import IOLoop
from friendserve.platform.twisted import IOLoopReactor


class ReactorLoop(object):
    """The loop is woken by `reactor.callFromThread` alone."""

    def __init__(self):
        self._loop = IOLoop(make_current=False)
        reactor = IOLoopReactor(self._loop)
        self.time = self._loop.time
        self.add_callback = reactor.callFromThread
        self.call_later = reactor.callLater
        self.start = lambda: reactor.run(installSignalHandlers=False)
        self.stop = reactor.crash
        self.close = self._loop.close
