# coding: utf-8
"""The chat of the front page: long polls, and the limits of a page that everyone may write to."""
from __future__ import absolute_import, division, print_function

import json
import threading
import unittest

from six.moves.urllib.parse import urlencode

from tests import PATIENCE
from tests.sitecase import SiteCase, website

room = website.room


class AllowanceTest(unittest.TestCase):
    def setUp(self):
        self.now = 1000.0
        self.allowance = room.Allowance(3, 10.0, lambda: self.now)

    def test_b463_a_burst_and_then_one_each_pause(self):
        self.assertEqual([0, 0, 0, 10], [self.allowance.take("a") for _ in range(4)])
        # What was refused does not count.
        self.now += 4
        self.assertEqual([6, 6], [self.allowance.take("a") for _ in range(2)])
        self.now += 6
        self.assertEqual([0, 10], [self.allowance.take("a") for _ in range(2)])
        self.now += 1000
        self.assertEqual([0, 0, 0, 10], [self.allowance.take("a") for _ in range(4)])

    def test_keys_do_not_share(self):
        self.assertEqual([0, 0, 0, 10], [self.allowance.take("a") for _ in range(4)])
        self.assertEqual(0, self.allowance.take("b"))

    def test_b463_a_limited_number_of_keys_is_remembered(self):
        for number in range(room.MAX_ADDRESSES + 10):
            self.allowance.take(number)
        self.assertEqual(room.MAX_ADDRESSES, len(self.allowance._full))

    def test_networks(self):
        self.assertEqual("192.0.2.1", room.network("192.0.2.1"))
        self.assertEqual(room.network("2001:db8:1:2:3::4"), room.network("2001:db8:1:2:5:6:7:8"))


class RoomTest(SiteCase):
    def setUp(self):
        super(RoomTest, self).setUp()
        self.serve()
        self.room = self.server.application.room

    def post(self, name=u"Ada", text=u"Hello", **headers):
        return self.ask("/messages", urlencode({
            "name": name.encode("utf-8"), "text": text.encode("utf-8")}).encode("ascii"), **headers)

    def news(self, after="0"):
        return json.loads(self.ask("/messages?after=" + after).text)

    def wait_for(self, condition):
        """Wait until `condition()`, asked on the loop, is true."""
        done = threading.Event()

        def look():
            if condition():
                done.set()
            else:
                self.server.loop.call_later(0.005, look)
        self.server.loop.add_callback(look)
        self.assertTrue(done.wait(PATIENCE))

    def poll(self, number, after):
        """Start a number of polls; return their threads and the list of what they get."""
        got = []
        threads = [threading.Thread(target=lambda: got.append(self.news(after)))
                   for _ in range(number)]
        for thread in threads:
            thread.start()
        return threads, got

    def test_b463_a_message_reaches_every_page_that_waits(self):
        first = self.news()
        self.assertEqual(([], 1), (first["messages"], first["waiting"]))
        threads, got = self.poll(3, first["cursor"])
        self.wait_for(lambda: self.room.count() == 3)
        self.assertEqual(204, self.post(u"נועה", u"שלום <b>").status)
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(3, len(got))
        for news in got:
            self.assertEqual([u"נועה", u"שלום <b>"],
                             [news["messages"][0][key] for key in ("name", "text")])
            self.assertEqual(3, news["waiting"])
        self.assertEqual(0, self.server.call(self.room.count))
        self.assertEqual(1, len(self.news()["messages"]))

    def test_b463_posts_are_limited_in_rate_and_size(self):
        for name, text in ((u"", u"x"), (u"x" * 31, u"x"), (u"a\u202eb", u"x"), (u"Ada", u""),
                           (u"Ada", u" \n"), (u"Ada", u"x" * 281)):
            self.server.call(lambda: setattr(self.server.application, "room", room.Room()))
            self.assertEqual(400, self.post(name, text).status, (name, text))
        self.server.call(lambda: setattr(self.server.application, "room", room.Room()))
        statuses = [self.post().status for _ in range(room.BURST + 2)]
        self.assertEqual([204] * room.BURST + [429] * 2, statuses)
        self.assertIn(self.post().headers["Retry-After"], ("1", "2", "3", "4"))
        self.assertEqual(room.BURST, len(self.news()["messages"]))

    def test_a_page_of_another_site_cannot_post(self):
        self.assertEqual(403, self.post(Origin="http://elsewhere.example").status)
        self.assertEqual([], self.news()["messages"])

    def test_b463_the_oldest_messages_are_dropped(self):
        def fill():
            for number in range(room.HISTORY + 5):
                self.room.feed.publish(u"room", u'{"text": "%d"}' % number)
        self.server.call(fill)
        texts = [message["text"] for message in self.news()["messages"]]
        self.assertEqual([str(number) for number in range(5, room.HISTORY + 5)], texts)

    def test_b463_an_address_may_wait_with_a_limited_number_of_pages(self):
        key = room.network("127.0.0.1")
        self.server.call(lambda: [self.room.admit(key) for _ in range(room.MAX_PER_ADDRESS)])
        self.assertEqual(503, self.ask("/messages?after=0").status)
        self.server.call(lambda: self.room.leave(key))
        self.assertEqual(200, self.ask("/messages?after=0").status)
        self.assertEqual({key: room.MAX_PER_ADDRESS - 1}, dict(self.room.waiting))

    def test_a_wrong_cursor_is_refused_and_takes_no_place(self):
        self.assertEqual(400, self.ask("/messages?after=x").status)
        self.assertEqual({}, dict(self.room.waiting))


if __name__ == "__main__":
    unittest.main()
