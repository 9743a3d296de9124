"""How a feed connects to Redis (row B333), and what it knows before it has."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.feed import FeedUnavailable, RedisFeed, open_feed
from friendserve.netutil import bind_sockets
from friendserve.tcpserver import TCPServer
from tests import missing, services
from tests.feedcase import FeedCase
from tests.loopcase import LogCatcher


@unittest.skipUnless(RedisFeed, missing("hiredis"))
class UnavailableTest(FeedCase):
    def setUp(self):
        super(UnavailableTest, self).setUp()
        self.server = TCPServer(io_loop=self.loop)
        self.addCleanup(self.server.stop)
        sock, = bind_sockets(0, "127.0.0.1")
        self.server.add_socket(sock)
        self.url = "redis://127.0.0.1:%d/0" % sock.getsockname()[1]

    def test_b333_the_log_says_that_redis_closed_the_connection(self):
        self.server.handle_stream = lambda stream, address: stream.close()
        with LogCatcher() as records:
            self.feeds.append(open_feed(self.url))
            self.run_until(lambda: len(records) == 2)
        self.assertEqual(
            set(["Redis at %s is unavailable: it closed the connection" % self.url[8:]]),
            set(record.getMessage() for record in records))

    def test_b333_a_wait_without_cursor_ends_while_redis_is_silent(self):
        streams = []
        self.addCleanup(lambda: [stream.close() for stream in streams])
        self.server.handle_stream = lambda stream, address: streams.append(stream)
        feed = open_feed(self.url)
        self.feeds.append(feed)
        batches = []
        feed.wait("room", None, batches.append, timeout=0)
        feed.wait("room", "5-1", batches.append, timeout=0)
        self.run_until(lambda: len(batches) == 2)
        self.assertEqual([([], None, True), ([], "5-1", True)], [tuple(batch) for batch in batches])


@unittest.skipUnless(RedisFeed, missing("hiredis"))
@services.needs(services.Redis)
class GreetingTest(FeedCase):
    def test_b333_nothing_is_sent_before_the_database_is_selected(self):
        redis = services.shared(services.Redis)
        feed = open_feed(redis.url())
        self.feeds.append(feed)
        batches = []
        feed.recent("b333", 10, batches.append)
        self.run_until(lambda: batches)
        with LogCatcher() as records:
            # Redis takes this password of the user without one, and has 16 databases.
            wrong = open_feed("redis://default:any@127.0.0.1:%d/99" % redis.port)
            self.feeds.append(wrong)
            outcomes = []
            wrong.publish("b333", u"lost", outcomes.append, outcomes.append)
            self.run_until(lambda: outcomes)
        self.assertIn("DB index", records[0].getMessage())
        self.assertEqual([FeedUnavailable], [type(outcome) for outcome in outcomes])
        feed.recent("b333", 10, batches.append)
        self.run_until(lambda: len(batches) == 2)
        self.assertEqual([], batches[1].messages)


if __name__ == "__main__":
    unittest.main()
