"""A feed on Redis whose user has few rights."""
from __future__ import absolute_import, division, print_function

import socket
import unittest

from friendserve.feed import RedisFeed, open_feed
from tests import PATIENCE, missing, services
from tests.feedcase import FeedCase, texts
from tests.loopcase import LogCatcher

NEEDED = ("+xadd", "+xread", "+xrevrange")


@unittest.skipUnless(RedisFeed, missing("hiredis"))
@services.needs(services.Redis)
class RightsTest(FeedCase):
    def setUp(self):
        super(RightsTest, self).setUp()
        self.redis = services.shared(services.Redis)
        self.addCleanup(self.admin, "DEL feed:room feed:other feed:third")
        self.addCleanup(self.admin, "ACL DELUSER few")
        self.admin("ACL DELUSER few")
        self.admin("DEL feed:room feed:other feed:third")

    def admin(self, command):
        """Redis' answer to a command of the user who may do everything."""
        sock = socket.create_connection(("127.0.0.1", self.redis.port), PATIENCE)
        try:
            sock.sendall(command.encode("ascii") + b"\r\n")
            answer = sock.recv(1000)
        finally:
            sock.close()
        if answer.startswith(b"-"):
            self.fail("%s: %s" % (command, answer))
        return answer

    def allow(self, *rights):
        self.admin("ACL SETUSER few reset on >p ~feed:* " + " ".join(rights))

    def make_feed(self):
        feed = open_feed("redis://few:p@127.0.0.1:%d/0" % self.redis.port)
        self.feeds.append(feed)
        return feed

    def post(self, *channels):
        """Publish one message in each channel, as another process does."""
        for channel in channels:
            self.admin("XADD feed:%s * text new" % channel)

    def cut(self):
        """Close the connections of the user; return once Redis has new ones."""
        self.assertTrue(self.admin("CLIENT KILL USER few").startswith(b":2"))

    def seen(self, got, wanted):
        """Run until all of `wanted` are in `got`; return the seconds that took."""
        start = self.loop.time()
        self.run_until(lambda: len(texts(got)) >= wanted)
        self.assertEqual(wanted, len(texts(got)))
        return self.loop.time() - start

    def use_all(self):
        """Everything that a feed can do, with a lost connection between."""
        feed = self.make_feed()
        ids, recent, waited, first, second, third = [], [], [], [], [], []
        for text in (u"one", u"two", u"three"):
            feed.publish("room", text, ids.append)
        with LogCatcher() as records:
            try:
                self.run_until(lambda: len(ids) == 3)
            except AssertionError:
                self.fail("nothing was published: %s" % [one.message for one in records])
        feed.recent("room", 2, recent.append)
        feed.wait("room", ids[0], waited.append)
        feed.subscribe("room", first.append)
        self.run_until(lambda: recent and waited)
        self.assertEqual([u"two", u"three"], texts(recent))
        self.assertEqual([u"two", u"three"], texts(waited))
        self.assertTrue(waited[0].complete)
        self.run_until(lambda: feed._reading)
        # A channel that the XREAD under way does not include.
        feed.subscribe("other", second.append)
        self.run_until(lambda: feed._channels["other"].last is not None)
        self.post("room", "other")
        self.seen(first, 1)
        self.assertLess(self.seen(second, 1), 3)
        self.cut()
        self.run_until(lambda: not feed._news_link.up and not feed._commands.up)
        self.post("room", "other")
        self.seen(first, 2)
        self.seen(second, 2)
        self.run_until(lambda: feed._commands.up)
        feed.subscribe("third", third.append)
        self.run_until(lambda: feed._channels["third"].last is not None)
        self.post("third")
        self.assertLess(self.seen(third, 1), 3)

    def test_b258_three_commands_are_enough(self):
        self.allow(*NEEDED)
        self.use_all()

    def test_b258_with_client(self):
        self.allow("+client|id", "+client|unblock", *NEEDED)
        with LogCatcher() as records:
            self.use_all()
        self.assertEqual([], [one.message for one in records if "right" in one.message])

    def test_b258_with_client_id_only(self):
        # The XREAD under way ends after BLOCK; no message is lost.
        self.allow("+client|id", *NEEDED)
        feed = self.make_feed()
        first, second = [], []
        feed.subscribe("room", first.append)
        self.run_until(lambda: feed._reading)
        with LogCatcher() as records:
            feed.subscribe("other", second.append)
            self.run_until(lambda: feed._channels["other"].last is not None)
            self.post("other")
            self.seen(second, 1)
        lines = [one.message for one in records]
        self.assertEqual(1, len(lines), lines)
        self.assertIn("client|unblock", lines[0])

    def lines_until(self, rights, lacking, act):
        """The log of a feed that lacks the right `lacking`, to which `act(feed)` gives something to
        do that ends only when the right is granted."""
        self.allow(*rights)
        got = []
        with LogCatcher() as records:
            feed = self.make_feed()
            act(feed, got)
            self.run_until(lambda: any("right" in one.message for one in records))
            # It is tried again each second, and not logged each time.
            deadline = self.loop.time() + 2.5
            self.run_until(lambda: self.loop.time() > deadline)
            self.assertEqual([], texts(got))
            self.allow(*NEEDED)
            self.run_until(lambda: feed._reading)
            self.post("room")
            self.seen(got, 1)
            feed.close()
        return [one.message for one in records if lacking in one.message]

    def test_b259_a_missing_right_is_named_once(self):
        def subscribe(feed, got):
            feed.subscribe("room", got.append)

        for lacking in ("xrevrange", "xread"):
            rights = [right for right in NEEDED if right != "+" + lacking]
            lines = self.lines_until(rights, "'%s'" % lacking, subscribe)
            self.assertEqual(1, len(lines), lines)
            self.assertIn("lacks a right: Redis answered: NOPERM", lines[0])
            self.assertIn("feed:room", lines[0])

    def test_b259_the_error_of_publish_names_it(self):
        self.allow("+xread", "+xrevrange")
        errors = []
        self.make_feed().publish("room", u"x", errors.append, errors.append)
        self.run_until(lambda: errors)
        self.assertIn("'xadd'", str(errors[0]))

    def test_b259_client_is_named_once(self):
        self.allow(*NEEDED)
        with LogCatcher() as records:
            feed = self.make_feed()
            self.run_until(lambda: feed._news_link.up and records)
            feed.subscribe("room", lambda batch: None)
            self.run_until(lambda: feed._reading)
        lines = [one.message for one in records]
        self.assertEqual(1, len(lines), lines)
        self.assertIn("lacks a right", lines[0])
        self.assertIn("client|id", lines[0])

    def test_a_wrong_password_keeps_the_feed_down(self):
        self.allow(*NEEDED)
        with LogCatcher() as records:
            feed = open_feed("redis://few:wrong@127.0.0.1:%d/0" % self.redis.port)
            self.feeds.append(feed)
            self.run_until(lambda: len(records) >= 2)
        self.assertFalse(feed._commands.up)
        self.assertIn("WRONGPASS", records[0].message)


if __name__ == "__main__":
    unittest.main()
