import datetime
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream
from friendserve.netutil import Resolver

ATTEMPT_DELAY: float
RESOLVE: str
CONNECT: str
TLS: str
DONE: str
MOVES: dict[Any, Any]

class TCPClient:
    io_loop: IOLoop
    resolver: Resolver
    def __init__(
        self, resolver: Resolver | None = None, io_loop: IOLoop | None = None
    ) -> None: ...
    def close(self) -> None: ...
    def connect(
        self, host: str, port: int, af: int = ...,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None, source_ip: str | None = None,
        source_port: int | None = None, timeout: float | datetime.timedelta | None = None,
        callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None, server_hostname: str | None = None
    ) -> Awaitable[IOStream]: ...

class Connecting:
    io_loop: IOLoop
    phase: str
    failed_phase: Any
    timer: Any
    resolved_at: Any
    connected_at: Any
    def __init__(
        self, io_loop: IOLoop, host: str, ssl_context: ssl.SSLContext, max_buffer_size: int,
        source: Any, callback: Callable[..., Any], on_error: Callable[..., Any]
    ) -> None: ...
    def cancel(self) -> None: ...
    def on_timeout(self) -> None: ...
    def fail(self, error: BaseException | None) -> None: ...
    def resolved(self, addresses: Any) -> None: ...

def interleave(addresses: Any) -> Any: ...
def start_tls(
    stream: IOStream, ssl_context: ssl.SSLContext, host: str, callback: Callable[..., Any],
    on_error: Callable[..., Any]
) -> Awaitable[IOStream]: ...
