"""The chat on the front page: anyone may write, by long polls alone, and nothing is kept for long.

It is the chat demo without names to sign in with, and with limits for a public page. The whole
program with accounts, three transports and Redis is demos/chat.
"""
from __future__ import absolute_import, division, print_function

import collections
import os
import sys
import time

from friendserve.escape import json_decode, json_encode
from friendserve.feed import LocalFeed
from friendserve.web import HTTPError, RequestHandler, asynchronous

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "demos", "chat"))

from chatdemo import CURSOR, MAX_NAME, PATIENCE, clean_name  # noqa: E402

#: Characters of a message, and how many messages are kept, in memory.
MAX_TEXT = 280
HISTORY = 40

#: How many pages may wait, and how many of them from one address.
MAX_WAITING, MAX_PER_ADDRESS = 2000, 20

#: An address may post BURST messages at once, and then one every PAUSE seconds; all addresses
#: together one every PAUSE_OF_ALL seconds, after BURST_OF_ALL.
BURST, PAUSE = 4, 3.0
BURST_OF_ALL, PAUSE_OF_ALL = 30, 0.5
#: How many addresses are remembered; the one that has not posted for longest is dropped first.
MAX_ADDRESSES = 10000


class Allowance(object):
    """A bucket of `burst` tokens for each key, refilled by one every `pause` seconds."""

    def __init__(self, burst, pause, clock):
        self._burst, self._pause, self._clock = burst, pause, clock
        self._full = collections.OrderedDict()      # key -> when its bucket is full again

    def take(self, key):
        """Take a token; return 0, or the seconds until there is one."""
        now = self._clock()
        full = max(self._full.pop(key, now), now)
        wait = full + self._pause - self._burst * self._pause - now
        self._full[key] = full if wait > 0 else full + self._pause
        if len(self._full) > MAX_ADDRESSES:
            self._full.popitem(last=False)
        return max(wait, 0)


def network(address):
    """What one person surely has alone: an IPv4 address, the first half of an IPv6 address."""
    return ":".join(address.split(":")[:4]) if ":" in address else address


class Room(object):
    """The messages, who waits for them, and what may still be posted."""

    def __init__(self, clock=time.time):
        self.feed = LocalFeed(max_messages=HISTORY)
        self.waiting = collections.Counter()        # network -> pages that wait
        self._answer = None, None                   # the last argument and result of `answer`
        self._one, self._all = Allowance(BURST, PAUSE, clock), Allowance(
            BURST_OF_ALL, PAUSE_OF_ALL, clock)

    def count(self):
        """How many pages wait now."""
        return sum(self.waiting.values())

    def admit(self, key):
        """Whether another page of a network may wait; if so, it is counted until `leave`."""
        if self.count() >= MAX_WAITING or self.waiting[key] >= MAX_PER_ADDRESS:
            return False
        self.waiting[key] += 1
        return True

    def leave(self, key):
        self.waiting[key] -= 1
        if not self.waiting[key]:
            del self.waiting[key]

    def answer(self, batch):
        """The JSON of a batch, made once for all pages that get the same."""
        if self._answer[0] is not batch:
            self._answer = batch, json_encode({
                "messages": [json_decode(message.text) for message in batch.messages],
                "cursor": batch.cursor, "waiting": self.count()})
        return self._answer[1]

    def may_post(self, key):
        """0, or the seconds to wait before a message of this network is taken."""
        return self._one.take(key) or self._all.take("")


class MessagesHandler(RequestHandler):
    """A page asks, and waits for the answer until there is news; then it asks again."""

    @asynchronous
    def get(self):
        self.key = network(self.request.remote_ip)
        after = self.cursor()
        if not self.room.admit(self.key):
            raise HTTPError(503, "too many pages are waiting")
        self.is_waiting = True
        self.watch = self.room.feed.wait(
            u"room", after, self.on_news, 0 if after == "0" else PATIENCE)

    def on_news(self, batch):
        answer = self.room.answer(batch)
        self.leave()
        self.finish(answer)

    def on_connection_close(self):
        self.room.feed.cancel(self.watch)
        self.leave()

    def post(self):
        seconds = self.room.may_post(network(self.request.remote_ip))
        if seconds:
            self.set_status(429)
            self.set_header("Retry-After", "%d" % (seconds + 1))
        else:
            self.room.feed.publish(u"room", json_encode(self.read_message()))
            self.set_status(204)

    # -- what is checked

    is_waiting = False

    @property
    def room(self):
        return self.application.room

    def set_default_headers(self):
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.set_header("X-Content-Type-Options", "nosniff")

    def cursor(self):
        cursor = self.get_argument("after", "0")
        if not CURSOR.match(cursor):
            raise HTTPError(400, "after: not a cursor: %.60r", cursor)
        return str(cursor)

    def leave(self):
        if self.is_waiting:
            self.is_waiting = False
            self.room.leave(self.key)

    def on_drain(self):
        if self.is_waiting:
            self.room.feed.expire(self.watch)

    def read_message(self):
        """The message of this request, as pages get it. Raises HTTPError 400."""
        name = clean_name(self.get_argument("name", u""))
        text = u" ".join(self.get_argument("text", u"").split())
        if name is None:
            raise HTTPError(400, "name must have 1 to %d characters", MAX_NAME)
        if not 1 <= len(text) <= MAX_TEXT:
            raise HTTPError(400, "text must have 1 to %d characters, not %d", MAX_TEXT, len(text))
        return {"name": name, "text": text, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                                  time.gmtime())}
