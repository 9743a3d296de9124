"""The feed of one process, which keeps its messages in memory and needs nothing else.

    from friendserve.feed.local import LocalFeed
    from friendserve.ioloop import IOLoop

    loop = IOLoop.instance()
    feed = LocalFeed()
    feed.wait("room", None, lambda batch: (print(batch.messages[0].text), loop.stop()))
    feed.publish("room", u"Hello!")
    loop.start()
"""
from __future__ import absolute_import, division, print_function

import collections
import time

from friendserve.awaitable import Ended, future_of
from friendserve.feed.base import (
    MAX_MESSAGES, MAX_TEXT, Batch, Channel, Feed, Message, format_cursor)

#: Beyond this many channels, those without a waiting reader are dropped, least recently used first.
MAX_CHANNELS = 10000

#: How many channels are examined to find one without a waiting reader.
_LOOK_AT = 8


class LocalFeed(Feed):
    """A feed that ends with its process.

    It keeps the last `max_messages` of each channel, for at most `max_channels` channels, not
    counting those with waiting readers. A reader may return with a cursor from before a restart of
    the process; its first batch is then not `complete`. `clock` gives the seconds since 1970. No
    operation fails, so `on_error` is never called.
    """
    def __init__(self, max_messages=MAX_MESSAGES, max_text=MAX_TEXT, max_channels=MAX_CHANNELS,
                 clock=time.time, io_loop=None):
        super(LocalFeed, self).__init__(max_messages, max_text, io_loop)
        self.max_channels = max_channels
        self._clock = clock
        self._last = (int(clock() * 1000), 0)   # of the last message in any channel
        self._channels = collections.OrderedDict()

    def publish(self, channel, text, callback=None, on_error=None):
        self._check_open()
        text = self._check_text(text)[0]
        channel = self._channel(self._check_name(channel))
        self._last = position = max((int(self._clock() * 1000), 0),
                                    (self._last[0], self._last[1] + 1))
        message = Message(format_cursor(position), channel.name, text)
        channel.append(position, message, self.max_messages)
        self._news(channel)
        if callback is not None:
            self.io_loop.add_callback(callback, message.id)
        stored = Ended()
        stored.result = message.id
        return stored

    def recent(self, channel, limit, callback=None, on_error=None):
        if callback is None and on_error is None:
            return future_of(self.recent, channel, limit)
        self._check_open()
        channel = self._channels.get(self._check_name(channel))
        messages = [] if channel is None else [message for _, message in channel.recent]
        cursor = format_cursor(self._last if channel is None else channel.last)
        self.io_loop.add_callback(
            callback, Batch(messages[len(messages) - limit:] if limit < len(messages)
                            else messages, cursor, True))

    def _channel(self, name):
        # Ordered by last use.
        channel = self._channels.pop(name, None)
        if channel is None:
            # An evicted channel of this name may have had messages before this position.
            channel = Channel(name, self._last)
            if len(self._channels) >= self.max_channels:
                self._evict()
        self._channels[name] = channel
        return channel

    def _evict(self):
        for _ in range(min(_LOOK_AT, len(self._channels))):
            name, channel = self._channels.popitem(last=False)
            if not channel.watches:
                return
            self._channels[name] = channel
