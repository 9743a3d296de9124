import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from socket import socket as _socket
from friendserve.ioloop import IOLoop
from friendserve.util import Configurable

__all__ = ["BlockingResolver", "CachedResolver", "Certificates", "DefaultExecutorResolver",
    "ExecutorResolver", "LOCAL_PEERS", "Networks", "OverrideResolver", "Resolver",
    "ThreadedResolver", "add_accept_handler", "bind_sockets", "bind_unix_socket", "is_valid_ip",
    "ssl_options_to_context", "ssl_wrap_socket"]

class BlockingResolver(ExecutorResolver):
    def initialize(self, io_loop: IOLoop | None = None) -> None: ...  # type: ignore[override]

class CachedResolver(Resolver):
    resolver: Resolver
    ttl: float
    max_entries: int
    def initialize(self, resolver: Resolver, ttl: float = 30, max_entries: int = 1000) -> None: ...  # type: ignore[override]
    def __len__(self) -> int: ...
    def resolve(
        self, host: str, port: int, family: int = ...,
        callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[list[tuple[int, Any]]]: ...
    def close(self) -> None: ...

class Certificates:
    pairs: Iterable[tuple[str, str]]
    client_ca: str | None
    minimum: Any
    ciphers: str | None
    check_every: float
    io_loop: IOLoop
    context: ssl.SSLContext
    error: BaseException | None
    def __init__(
        self, pairs: Iterable[tuple[str, str]], client_ca: str | None = None,
        minimum: Any = '1.2', ciphers: str | None = None, check_every: float = 60,
        io_loop: IOLoop | None = None
    ) -> None: ...
    def use(self, callback: Callable[..., Any]) -> None: ...
    def start(self, server: Any) -> None: ...
    def stop(self, server: Any) -> None: ...
    def check(self) -> bool: ...

class DefaultExecutorResolver(Resolver):
    def resolve(
        self, host: str, port: int, family: int = ...,
        callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[list[tuple[int, Any]]]: ...

class ExecutorResolver(Resolver):
    executor: Any
    close_executor: bool
    def initialize(
        self, io_loop: IOLoop | None = None, executor: Any = None,
        close_executor: bool = True
    ) -> None: ...
    def close(self) -> None: ...
    def resolve(
        self, host: str, port: int, family: int = ...,
        callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[list[tuple[int, Any]]]: ...

LOCAL_PEERS: tuple[Any, ...]

class Networks:
    def __init__(self, networks: Iterable[str]) -> None: ...
    def __contains__(self, address: str) -> bool: ...

class OverrideResolver(Resolver):
    resolver: Resolver
    mapping: Mapping[Any, Any]
    def initialize(self, resolver: Resolver, mapping: Mapping[Any, Any]) -> None: ...  # type: ignore[override]
    def resolve(
        self, host: str, port: int, family: int = ...,
        callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[list[tuple[int, Any]]]: ...
    def close(self) -> None: ...

class Resolver(Configurable):
    io_loop: IOLoop
    @classmethod
    def configurable_base(cls) -> type[Any]: ...
    @classmethod
    def configurable_default(cls) -> type[Any]: ...
    def initialize(self, io_loop: IOLoop | None = None) -> None: ...
    def resolve(
        self, host: str, port: int, family: int = ...,
        callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[list[tuple[int, Any]]]: ...
    def close(self) -> None: ...

class ThreadedResolver(ExecutorResolver):
    num_threads: int
    def initialize(self, io_loop: IOLoop | None = None, num_threads: int = 10) -> None: ...  # type: ignore[override]

def add_accept_handler(
    sock: _socket, callback: Callable[..., Any], io_loop: IOLoop | None = None,
    max_accepts: int = 128, may_accept: Callable[[], bool] | None = None
) -> Callable[[], None]: ...
def bind_sockets(
    port: int, address: str | None = None, family: int = ..., backlog: int = 128,
    flags: int | None = None, reuse_port: bool = False
) -> list[_socket]: ...
def bind_unix_socket(file: str, mode: int = 384, backlog: int = 128) -> _socket: ...
def is_valid_ip(ip: str) -> bool: ...
def ssl_options_to_context(
    ssl_options: dict[str, Any] | ssl.SSLContext, server_side: bool = True
) -> ssl.SSLContext: ...
def ssl_wrap_socket(
    socket: _socket, ssl_options: dict[str, Any] | ssl.SSLContext,
    server_hostname: str | None = None, **kwargs: Any
) -> ssl.SSLSocket: ...
