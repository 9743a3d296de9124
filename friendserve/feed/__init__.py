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
from friendserve.feed.opening import RedisFeed, open_feed
from friendserve.util import set_public_module

__all__ = ["Batch", "Feed", "FeedError", "FeedOutcomeUnknown", "FeedUnavailable", "LocalFeed",
           "Message", "RedisFeed", "open_feed"]

set_public_module(globals())
