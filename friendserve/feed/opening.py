"""`open_feed`: the feed that a URL names."""
from __future__ import absolute_import, division, print_function

from friendserve.feed.local import LocalFeed

try:
    from friendserve.feed.redis import RedisFeed
except ImportError:
    RedisFeed = None


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
