from collections.abc import Callable, Mapping
from typing import Any
from friendserve.httpclient import AsyncHTTPClient, HTTPResponse, HTTPRequest, HTTPStreamClosedError as HTTPStreamClosedError, HTTPTimeoutError as HTTPTimeoutError, main as main
from friendserve.ioloop import IOLoop
from friendserve.netutil import Resolver

__all__ = ["HTTPStreamClosedError", "HTTPTimeoutError", "SimpleAsyncHTTPClient", "main"]

class SimpleAsyncHTTPClient(AsyncHTTPClient):
    max_buffer_size: int
    own_resolver: Any
    resolver: Resolver
    tcp_client: Any
    challenges: Any
    fetch_class: type[Any]
    def initialize(  # type: ignore[override]
        self, io_loop: IOLoop | None = None, max_clients: int = 10,
        hostname_mapping: Mapping[Any, Any] | None = None, max_buffer_size: int = 104857600,
        resolver: Resolver | None = None, defaults: dict[str, Any] | None = None,
        max_header_size: int | None = None, max_body_size: int | None = None,
        max_clients_per_host: int | None = None, idle_connection_timeout: float = 60
    ) -> None: ...
    def close(self) -> None: ...
    def statistics(self) -> dict[str, Any]: ...
    def key_of(self, url: str, request: HTTPRequest) -> Any: ...
    def proxy_of(self, request: HTTPRequest) -> Any: ...
    def make_auth(self, fetch: Any) -> Any: ...
    def begin(self, fetch: Any, fresh: bool = False) -> None: ...
    max_header_size: int
    max_body_size: int
    user_agent: str
    queue: Any
    active: Any
    waiting: Any
    @property
    def max_clients(self) -> int: ...
    @max_clients.setter
    def max_clients(self, value: int) -> None: ...
    @property
    def max_clients_per_host(self) -> Any: ...
    @max_clients_per_host.setter
    def max_clients_per_host(self, value: Any) -> None: ...
    def fetch_impl(self, request: HTTPRequest, callback: Callable[..., Any]) -> None: ...
    def done(self, fetch: Any, response: HTTPResponse) -> bool: ...
    def set_deadline(
        self, fetch: Any, start: float, *timeouts: Any
    ) -> None: ...
