from collections.abc import Awaitable, Callable
from typing import Any
from friendserve.ioloop import IOLoop
from friendserve.netutil import Resolver

INTERVAL: float
NO_SOCKET: int

class CaresResolver(Resolver):
    fds: Any
    channel: str
    def initialize(self, io_loop: IOLoop | None = None, **options: Any) -> None: ...
    def close(self) -> None: ...
    def resolve(
        self, host: str, port: int, family: int = ...,
        callback: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None
    ) -> Awaitable[list[tuple[int, Any]]]: ...

def make_error(host: str, number: int) -> Any: ...
