"""The contract of a feed, in one process and on a real Redis."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.feed import FeedUnavailable, LocalFeed, RedisFeed, open_feed
from friendserve.stack_context import ExceptionStackContext, state
from tests import missing, services
from tests.feedcase import FeedCase, texts


class FeedContract(object):
    """The contract of every feed. `make_feed()` makes one that shares no channels with others."""

    def setUp(self):
        super(FeedContract, self).setUp()
        self.feed = self.make_feed()

    def publish(self, *words, **options):
        """Publish some messages; return their ids once they are stored."""
        ids = []
        for word in words:
            self.feed.publish(options.get("channel", "room"), word, ids.append)
        self.run_until(lambda: len(ids) == len(words))
        return ids

    def recent(self, limit=100, channel="room"):
        batches = []
        self.feed.recent(channel, limit, batches.append)
        self.run_until(lambda: batches)
        return batches[0]

    def wait(self, cursor, channel="room", timeout=None):
        """The batch that a wait returns."""
        batches = []
        self.feed.wait(channel, cursor, batches.append, timeout)
        self.run_until(lambda: batches)
        return batches[0]

    def test_messages_come_in_order_with_growing_ids(self):
        ids = self.publish(u"one", u"two", u"thr\xe9e")
        batch = self.recent()
        self.assertEqual([u"one", u"two", u"thr\xe9e"], texts([batch]))
        self.assertEqual(ids, [message.id for message in batch.messages])
        self.assertEqual(ids[-1], batch.cursor)
        self.assertEqual([u"room"] * 3, [message.channel for message in batch.messages])
        places = [tuple(int(part) for part in one.split("-")) for one in ids]
        self.assertEqual(sorted(set(places)), places)

    def test_recent_gives_the_newest_and_the_cursor_alone(self):
        ids = self.publish(u"one", u"two", u"three")
        self.assertEqual([u"two", u"three"], texts([self.recent(2)]))
        batch = self.recent(0)
        self.assertEqual(([], ids[-1]), (batch.messages, batch.cursor))

    def test_an_empty_channel_has_a_cursor_to_wait_from(self):
        batch = self.recent()
        self.assertEqual([], batch.messages)
        batches = []
        self.feed.wait("room", batch.cursor, batches.append)
        self.publish(u"first")
        self.run_until(lambda: batches)
        self.assertEqual([u"first"], texts(batches))
        self.assertTrue(batches[0].complete)

    def test_wait_gives_what_came_after_the_cursor_at_once(self):
        ids = self.publish(u"one", u"two", u"three")
        batch = self.wait(ids[0])
        self.assertEqual([u"two", u"three"], texts([batch]))
        self.assertTrue(batch.complete)
        self.assertEqual(ids[-1], batch.cursor)

    def test_wait_from_the_start_gives_all(self):
        self.publish(u"one", u"two")
        self.assertEqual([u"one", u"two"], texts([self.wait("0")]))

    def test_wait_waits_for_the_next_and_is_called_once(self):
        cursor = self.publish(u"old")[-1]
        batches = []
        self.feed.wait("room", cursor, batches.append)
        self.settle()
        self.assertEqual([], batches)
        self.publish(u"new")
        self.run_until(lambda: batches)
        self.publish(u"newer")
        self.settle()
        self.assertEqual([u"new"], texts(batches))

    def test_wait_from_now_on(self):
        self.publish(u"old")
        batches = []
        self.feed.wait("room", None, batches.append)
        # A remote feed has to find out where "now" is.
        self.recent()
        self.publish(u"new")
        self.run_until(lambda: batches)
        self.assertEqual([u"new"], texts(batches))

    def test_wait_times_out_with_its_cursor(self):
        cursor = self.publish(u"old")[-1]
        batch = self.wait(cursor, timeout=0.01)
        self.assertEqual(([], cursor), (batch.messages, batch.cursor))
        self.assertEqual([], list(self.feed._channels["room"].watches))
        self.publish(u"new")
        self.assertEqual([u"new"], texts([self.wait(batch.cursor)]))

    def test_wait_without_patience_gives_what_is_known(self):
        known = []
        self.feed.subscribe("room", known.append, "0")
        ids = self.publish(u"old", u"new")
        self.run_until(lambda: u"new" in texts(known))
        self.assertEqual([u"new"], texts([self.wait(ids[0], timeout=0)]))
        batch = self.wait(ids[1], timeout=0)
        self.assertEqual(([], ids[1]), (batch.messages, batch.cursor))

    def test_a_batch_on_its_way_beats_the_timeout(self):
        # There is a turn between the message and the callback, in which timers fire.
        cursor = self.publish(u"old")[-1]
        batches = []
        self.feed.wait("room", cursor, batches.append, timeout=0.02)
        self.feed.publish("room", u"new")
        deadline = self.loop.time() + 0.05
        while self.loop.time() < deadline:
            self.loop.run_once(0)
        self.run_until(lambda: batches)
        if not batches[0].messages:
            # The timeout came first; in that case nothing may be lost.
            batches.append(self.wait(batches[0].cursor))
        self.assertEqual([u"new"], texts(batches))

    def test_b387_a_wait_that_is_expired_ends_at_once_with_its_cursor(self):
        cursor = self.publish(u"old")[-1]
        batches = []
        handle = self.feed.wait("room", cursor, batches.append, timeout=1000)
        self.settle()
        for _ in range(2):
            self.feed.expire(handle)
        self.run_until(lambda: batches)
        self.feed.expire(handle)
        self.settle()
        self.assertEqual([([], cursor)], [(batch.messages, batch.cursor) for batch in batches])
        self.publish(u"new")
        self.assertEqual([u"new"], texts([self.wait(cursor)]))

    def test_b387_nothing_is_lost_if_messages_arrive_as_it_is_expired(self):
        cursor = self.publish(u"old")[-1]
        for number in range(20):
            batches = []
            handle = self.feed.wait("room", cursor, batches.append)
            self.feed.publish("room", u"%d" % number)
            for _ in range(number % 5):
                self.loop.run_once(0)
            self.feed.expire(handle)
            self.run_until(lambda: batches)
            self.settle()
            if not batches[0].messages:
                batches.append(self.wait(batches[0].cursor))
            self.assertEqual([u"%d" % number], texts(batches))
            cursor = batches[-1].cursor

    def test_b387_a_subscription_does_not_expire(self):
        handle = self.feed.subscribe("room", self.fail)
        with self.assertRaises(ValueError):
            self.feed.expire(handle)

    def test_channels_are_apart(self):
        batches = []
        self.feed.subscribe("room", batches.append, "0")
        self.publish(u"elsewhere", channel="another")
        self.publish(u"here")
        self.run_until(lambda: batches)
        self.settle()
        self.assertEqual([u"here"], texts(batches))

    def test_names_and_texts_are_any_text(self):
        name = u"\u0645\u0631\u062d\u0628\u0627 {*}\r\n"
        text = u"\U0001f600\r\n\x00$3\r\nabc"
        self.publish(text, channel=name)
        self.assertEqual([text], texts([self.recent(channel=name)]))

    def test_subscribe_gives_every_message_once(self):
        batches, from_start = [], []
        cursor = self.publish(u"0")[-1]
        self.feed.subscribe("room", batches.append, cursor)
        self.feed.subscribe("room", from_start.append, "0")
        for number in range(1, 8):
            self.publish(*[u"%d" % number] * 3)
        expected = [u"%d" % number for number in range(1, 8) for _ in range(3)]
        self.run_until(lambda: len(texts(batches)) >= len(expected)
                       and len(texts(from_start)) > len(expected))
        self.settle()
        self.assertEqual(expected, texts(batches))
        self.assertEqual([u"0"] + expected, texts(from_start))

    def test_a_subscription_to_a_long_history(self):
        words = [u"%d" % number for number in range(900)]
        self.publish(*words)
        batches = []
        self.feed.subscribe("room", batches.append, "0")
        self.publish(u"last")
        self.run_until(lambda: texts(batches)[-1:] == [u"last"])
        self.assertEqual(words + [u"last"], texts(batches))

    def test_what_comes_in_one_turn_comes_together(self):
        cursor = self.publish(u"old")[-1]
        batches = []
        self.feed.wait("room", cursor, batches.append)
        self.settle()
        for word in (u"one", u"two"):
            self.feed.publish("room", word)
        self.run_until(lambda: batches)
        seen = texts(batches)
        if len(seen) < 2:
            seen += texts([self.wait(batches[0].cursor)])
        self.assertEqual([u"one", u"two"], seen)

    def test_cancel(self):
        cursor = self.publish(u"old")[-1]
        calls = []
        handles = [self.feed.wait("room", cursor, calls.append, timeout=0.01),
                   self.feed.wait("room", "0", calls.append),
                   self.feed.wait("room", None, calls.append),
                   self.feed.subscribe("room", calls.append),
                   self.feed.subscribe("room", calls.append, "0")]
        for handle in handles:
            self.feed.cancel(handle)
            self.feed.cancel(handle)
        self.publish(u"new")
        self.assertEqual([u"new"], texts([self.wait(cursor)]))
        self.settle()
        self.assertEqual([], calls)
        self.assertEqual([], list(self.feed._channels["room"].watches))

    def test_cancel_what_is_on_its_way(self):
        cursor = self.publish(u"old")[-1]
        batches = []
        first = self.feed.wait(
            "room", cursor, lambda batch: (batches.append(1), self.feed.cancel(second)))
        second = self.feed.wait("room", cursor, lambda batch: batches.append(2))
        self.publish(u"new")
        self.run_until(lambda: batches)
        self.settle()
        self.assertEqual([1], batches)
        self.feed.cancel(first)

    def test_waiters_are_served_in_their_order(self):
        cursor = self.publish(u"old")[-1]
        order = []
        for number in range(50):
            self.feed.wait("room", cursor, lambda batch, number=number: order.append(number))
        self.publish(u"new")
        self.run_until(lambda: len(order) == 50)
        self.assertEqual(list(range(50)), order)

    def test_a_callback_that_fails_harms_no_other(self):
        cursor = self.publish(u"old")[-1]
        caught, batches = [], []

        def fail(batch):
            raise ZeroDivisionError("a callback of the test")

        with ExceptionStackContext(lambda *exc_info: caught.append(exc_info[0]) or True):
            self.feed.wait("room", cursor, fail)
        self.feed.wait("room", cursor, batches.append)
        self.publish(u"new")
        self.run_until(lambda: batches and caught)
        self.assertEqual([ZeroDivisionError], caught)

    def test_b265_a_waiter_is_not_called_in_the_context_of_the_publisher(self):
        cursor = self.publish(u"old")[-1]
        seen = []
        self.feed.wait("room", cursor, lambda batch: seen.append(len(state.contexts)))
        with ExceptionStackContext(self.fail):
            self.feed.publish("room", u"new")
        self.run_until(lambda: seen)
        self.assertEqual([0], seen)

    def test_late_readers_are_told_what_they_missed(self):
        self.feed.close()
        self.feed = self.make_feed(max_messages=10)
        first = self.publish(u"first")[0]
        # Redis trims whole nodes of a hundred entries.
        self.publish(*[u"%d" % number for number in range(500)])
        batch = self.wait(first)
        self.assertFalse(batch.complete)
        self.assertEqual(u"499", texts([batch])[-1])
        self.assertLess(len(batch.messages), 300)
        self.assertTrue(self.wait("0").complete)

    def test_bad_calls(self):
        for cursor in ("", "x", "1-", "-1", "1-2-3", "1\n", u"\u0661", 5, "9" * 17):
            with self.assertRaises(ValueError):
                self.feed.wait("room", cursor, texts)
        with self.assertRaises(TypeError):
            self.feed.publish("room", {"a": 1})
        with self.assertRaises(ValueError):
            self.feed.publish("room", u"x" * (self.feed.max_text + 1))
        with self.assertRaises(ValueError):
            self.feed.publish("", u"x")
        with self.assertRaises(ValueError):
            self.feed.wait(u"n" * 300, None, texts)
        with self.assertRaises(TypeError):
            self.feed.recent(5, 1, texts)

    def test_after_close(self):
        calls = []
        self.feed.wait("room", None, calls.append)
        self.feed.subscribe("room", calls.append, "0")
        self.feed.close()
        self.settle()
        self.assertEqual([], calls)
        for ask in (lambda: self.feed.wait("room", None, texts),
                    lambda: self.feed.publish("room", u"x"),
                    lambda: self.feed.recent("room", 1, texts)):
            with self.assertRaises(FeedUnavailable):
                ask()

    def test_nothing_remains_of_a_thousand_waits(self):
        cursor = self.publish(u"old")[-1]
        done = []
        for number in range(1000):
            handle = self.feed.wait("room", cursor, done.append, timeout=60)
            if number % 2:
                self.feed.cancel(handle)
        self.publish(u"new")
        self.run_until(lambda: len(done) == 500)
        self.assertEqual(0, len(self.feed._channels["room"].watches))
        # The timers of two links to a Redis may be left.
        self.assertLessEqual(len(self.loop._timers), 2)


class LocalFeedTest(FeedContract, FeedCase):
    def make_feed(self, **options):
        feed = open_feed(**options)
        self.assertIsInstance(feed, LocalFeed)
        self.feeds.append(feed)
        return feed

    def test_a_cursor_of_an_earlier_life(self):
        earlier = self.publish(u"one")[0]
        clock = [self.feed._clock() + 60]
        self.feed = LocalFeed(clock=lambda: clock[0])
        batches = []
        self.feed.wait("room", earlier, batches.append)
        # A clock that is set back does not change the order.
        clock[0] -= 3600
        self.publish(u"two")
        self.run_until(lambda: batches)
        self.assertEqual([u"two"], texts(batches))
        self.assertFalse(batches[0].complete)
        self.assertEqual([u"three"], texts([(self.publish(u"three"), self.wait(
            batches[0].cursor))[1]]))

    def test_channels_are_bounded(self):
        self.feed = LocalFeed(max_channels=10)
        self.feed.wait("watched", None, texts)
        first = self.publish(u"one", channel="first")[0]
        for number in range(100):
            self.feed.publish("channel %d" % number, u"x")
        self.assertLessEqual(len(self.feed._channels), 10)
        self.assertIn(u"watched", self.feed._channels)
        self.assertNotIn(u"first", self.feed._channels)
        self.publish(u"two", channel="first")
        batch = self.wait(first, channel="first")
        self.assertEqual(([u"two"], False), (texts([batch]), batch.complete))


if RedisFeed is not None:
    @services.needs(services.Redis)
    class RedisFeedTest(FeedContract, FeedCase):
        def make_feed(self, **options):
            feed = open_feed(services.shared(services.Redis).url(), prefix=self.id() + ":",
                             **options)
            self.assertIsInstance(feed, RedisFeed)
            self.feeds.append(feed)
            return feed

        def test_many_channels_one_connection(self):
            before = self.clients()
            batches = []
            for number in range(200):
                self.feed.subscribe("channel %d" % number, batches.append, "0")
            for number in range(200):
                self.publish(u"%d" % number, channel="channel %d" % number)
            self.run_until(lambda: len(batches) == 200)
            self.assertEqual(before, self.clients())

        def clients(self):
            replies = []
            self.feed._commands.call(lambda reply, error: replies.append(reply),
                                     "CLIENT", "LIST")
            self.run_until(lambda: replies)
            return replies[0].count(b"\n")

        def test_two_processes_share_a_channel(self):
            # Two feeds in one process share as little as two processes do.
            other = self.make_feed()
            batches = []
            other.subscribe("room", batches.append, "0")
            self.publish(u"one", u"two")
            self.run_until(lambda: len(texts(batches)) == 2)
            self.assertEqual([u"one", u"two"], texts(batches))
else:
    @unittest.skip(missing("hiredis"))
    class RedisFeedTest(unittest.TestCase):
        """Skipped here, so that the log shows what is missing."""
        def test_redis(self):
            """Needs hiredis."""
