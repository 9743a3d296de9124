"""Feeds: ordered logs of messages with cursors, for chats, walls and tickers.

    from friendserve.feed import open_feed

    feed = open_feed()      # or open_feed("redis://localhost:6379/0"), for many processes
    feed.publish("room", u"Hello!", on_published)
    feed.wait("room", cursor, on_batch, timeout=50)     # a long poll
    feed.subscribe("room", on_batch, cursor)            # WebSocket, server-sent events

Whichever way a reader is served, it gets every message of a channel once and in order, as long as
it returns with the cursor of its last batch. There are two feeds: `LocalFeed`, in the memory of one
process, and `RedisFeed`, for many processes, which needs `hiredis` and is None where that is not
installed. The full contract is in `friendserve.feed.base`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.feed.base import (
    Batch, Feed, FeedError, FeedOutcomeUnknown, FeedUnavailable, Message)
from friendserve.feed.local import LocalFeed

try:
    from friendserve.feed.redis import RedisFeed
except ImportError:
    RedisFeed = None

__all__ = ["Batch", "Feed", "FeedError", "FeedOutcomeUnknown", "FeedUnavailable", "LocalFeed",
           "Message", "RedisFeed", "open_feed"]


def open_feed(url=None, **options):
    """A LocalFeed, or a RedisFeed if `url` is that of a Redis; `options` go to its constructor.

    Raises ValueError for any other URL, and ImportError for Redis without `hiredis`.
    """
    if url is None:
        return LocalFeed(**options)
    if RedisFeed is None:
        raise ImportError("a feed on Redis needs hiredis: python -m pip install "
                          "'friendserve[redis]'")
    return RedisFeed(url, **options)
