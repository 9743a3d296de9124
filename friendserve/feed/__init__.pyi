import datetime
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from friendserve.ioloop import IOLoop

__all__ = ["Batch", "Feed", "FeedError", "FeedOutcomeUnknown", "FeedUnavailable", "LocalFeed",
    "Message", "RedisFeed", "open_feed"]

class Batch(NamedTuple):
    messages: list[Message]
    cursor: str
    complete: bool

class Feed:
    io_loop: IOLoop
    max_messages: int
    max_text: int
    def __init__(
        self, max_messages: int = 1000, max_text: int = 65536, io_loop: IOLoop | None = None
    ) -> None: ...
    def statistics(self) -> dict[str, Any]: ...
    def publish(
        self, channel: str, text: str, callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def recent(
        self, channel: str, limit: int, callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def wait(
        self, channel: str, cursor: str | None, callback: Callable[..., Any] | None = None,
        timeout: float | datetime.timedelta | None = None
    ) -> Any: ...
    def subscribe(
        self, channel: str, callback: Callable[..., Any], cursor: str | None = None
    ) -> Any: ...
    def cancel(self, handle: Any) -> None: ...
    def expire(self, handle: Any) -> None: ...
    def close(self) -> None: ...

class FeedError(Exception): ...

class FeedOutcomeUnknown(FeedError): ...

class FeedUnavailable(FeedError): ...

class LocalFeed(Feed):
    max_channels: int
    def __init__(
        self, max_messages: int = 1000, max_text: int = 65536, max_channels: int = 10000,
        clock: Callable[[], float] = ..., io_loop: IOLoop | None = None
    ) -> None: ...
    def publish(
        self, channel: str, text: str, callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def recent(
        self, channel: str, limit: int, callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...

class Message(NamedTuple):
    id: str
    channel: str
    text: str

class RedisFeed(Feed):
    def __init__(
        self, url: str = 'redis://localhost:6379/0', prefix: str = 'feed:',
        max_messages: int = 1000, max_text: int = 65536,
        timeout: float | datetime.timedelta = 10, max_pending: int = 10000,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        io_loop: IOLoop | None = None
    ) -> None: ...
    def publish(
        self, channel: str, text: str, callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def recent(
        self, channel: str, limit: int, callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[Any]: ...
    def close(self) -> None: ...

def open_feed(url: str | None = None, **options: Any) -> Feed: ...
