"""A feed: an ordered log of messages with cursors, the heart of a chat, a wall, a ticker.

    from friendserve.feed import open_feed

    feed = open_feed()      # or open_feed("redis://localhost:6379/0"), for many processes
    feed.publish("room", u"Hello!", on_published)
    feed.wait("room", cursor, on_batch, timeout=50)     # a long poll
    feed.subscribe("room", on_batch, cursor)            # WebSocket, server-sent events

`friendserve.feed.base` says what every feed promises. Two keep it: `LocalFeed` within one process,
and `RedisFeed`, which needs `hiredis` and is None where that is not installed.
"""
from __future__ import absolute_import, division, print_function

from friendserve.feed.base import (
    Batch, Feed, FeedError, FeedOutcomeUnknown, FeedUnavailable, Message)
from friendserve.feed.local import LocalFeed
from friendserve.feed.opening import RedisFeed, open_feed
from friendserve.util import set_public_module

__all__ = ["Batch", "Feed", "FeedError", "FeedOutcomeUnknown", "FeedUnavailable", "LocalFeed",
           "Message", "RedisFeed", "open_feed"]

set_public_module(globals())
