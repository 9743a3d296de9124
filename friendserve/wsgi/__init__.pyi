from collections.abc import Callable, Iterable
from typing import Any
from friendserve.httputil import HTTPServerRequest
from friendserve.web import Application

__all__ = ["HTTPRequest", "WSGIAdapter", "WSGIApplication", "WSGIContainer", "from_wsgi_str",
    "to_wsgi_str"]

class HTTPRequest(HTTPServerRequest):
    def __init__(self, environ: dict[str, Any]) -> None: ...

class WSGIAdapter:
    application: Callable[..., Any]
    max_body_size: int
    def __init__(
        self, application: Callable[..., Any], max_body_size: int = 104857600
    ) -> None: ...
    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]: ...

class WSGIApplication(Application):
    def __call__(  # type: ignore[override]
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]: ...

class WSGIContainer:
    wsgi_application: Callable[..., Any]
    executor: Any
    max_waiting: int
    def __init__(
        self, wsgi_application: Callable[..., Any], executor: Any = None,
        max_waiting: int = 1000
    ) -> None: ...
    @staticmethod
    def environ(request: HTTPServerRequest) -> dict[str, Any]: ...
    def start_body(self, request: HTTPServerRequest) -> Any: ...
    def __call__(self, request: HTTPServerRequest) -> None: ...
    def on_start(self) -> None: ...
    def log_request(self, status: int, request: HTTPServerRequest) -> None: ...

def from_wsgi_str(s: str | bytes) -> bytes: ...
def to_wsgi_str(s: str | bytes) -> str: ...
