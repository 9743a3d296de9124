"""`open_feed`: the feed that a URL names."""
from __future__ import absolute_import, division, print_function

from friendserve.feed.local import LocalFeed

try:
    from friendserve.feed.redis import RedisFeed
except ImportError:
    RedisFeed = None


def open_feed(url=None, **options):
    """A LocalFeed, or a RedisFeed if `url` is a Redis URL; `options` go to its constructor.

    Raises ValueError for any other URL, and ImportError for Redis without `hiredis`.
    """
    if url is None:
        return LocalFeed(**options)
    if RedisFeed is None:
        raise ImportError("a feed on Redis needs hiredis: python -m pip install "
                          "'friendserve[redis]'")
    return RedisFeed(url, **options)
