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

try:
    from friendserve.feed.redis import RedisFeed
except ImportError:
    RedisFeed = None

__all__ = ["Batch", "Feed", "FeedError", "FeedOutcomeUnknown", "FeedUnavailable", "LocalFeed",
           "Message", "RedisFeed", "open_feed"]


def open_feed(url=None, **options):
    """A LocalFeed, or with the URL of a Redis a RedisFeed; `options` are those of the class.

    Raises ValueError for another URL, and ImportError for Redis without `hiredis`.
    """
    if url is None:
        return LocalFeed(**options)
    if RedisFeed is None:
        raise ImportError("a feed on Redis needs hiredis: python -m pip install "
                          "'friendserve[redis]'")
    return RedisFeed(url, **options)
