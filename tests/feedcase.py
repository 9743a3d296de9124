"""Shared by the tests of feeds: a loop, feeds that are closed, the texts of messages."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.ioloop import IOLoop
from tests.loopcase import LoopCase


def texts(batches):
    """The texts of all messages in some batches."""
    return [message.text for batch in batches for message in batch.messages]


class FeedCase(LoopCase, unittest.TestCase):
    """A loop; all feeds in `feeds` are closed at the end."""
    def setUp(self):
        self.loop = IOLoop()
        self.loop.make_current()
        self.feeds = []
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        for feed in self.feeds:
            feed.close()
        IOLoop.clear_current()
        self.loop.close(all_fds=True)

    def settle(self, turns=5):
        for _ in range(turns):
            self.loop.run_once(0)
