import datetime
import ssl
from collections.abc import Callable, Iterable
from typing import Any
from socket import socket as _socket
from friendserve.http1connection import HTTP1ConnectionParameters as HTTP1ConnectionParameters, HTTP1ServerConnection as HTTPConnection
from friendserve.httputil import HTTPServerConnectionDelegate, HTTPServerRequest, HTTPServerRequest as HTTPRequest
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream
from friendserve.tcpserver import TCPServer

__all__ = ["HTTPServer", "HTTPConnection", "HTTPRequest", "HTTP1ConnectionParameters",
    "LOCAL_PEERS"]

# An Application, a function that takes the request, or a router.
_Application = Callable[[HTTPServerRequest], object] | HTTPServerConnectionDelegate

class HTTPServer(TCPServer):
    request_callback: _Application
    xheaders: bool | str
    protocol: str | None
    trusted_downstream: Iterable[str]
    trusted: Any
    params: HTTP1ConnectionParameters
    conn_params: HTTP1ConnectionParameters
    drain_timeout: float
    has_successor: bool
    now: float
    start_body: Any
    handle_request: Callable[..., Any]
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def initialize(
        self, request_callback: _Application, no_keep_alive: bool = False,
        io_loop: IOLoop | None = None, xheaders: bool | str = False,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        protocol: str | None = None, decompress_request: bool = False,
        chunk_size: int | None = None, max_header_size: int | None = None,
        idle_connection_timeout: float | None = None, body_timeout: float | None = None,
        max_body_size: int | None = None, max_buffer_size: int | None = None,
        trusted_downstream: Iterable[str] | None = None,
        max_write_buffer_size: int | None = None, handshake_timeout: float | None = None,
        trusted: Iterable[str] | str | None = None, proxy_protocol: bool | None = None, **limits: Any
    ) -> None: ...
    def start_request(self, server_conn: Any, request_conn: Any) -> Any: ...
    @property
    def no_keep_alive(self) -> bool: ...
    @no_keep_alive.setter
    def no_keep_alive(self, value: bool) -> None: ...
    def on_close(self, server_conn: Any) -> None: ...
    def on_detach(self, connection: Any) -> None: ...
    def on_release(self, connection: Any) -> None: ...
    def apply_xheaders(self, request: HTTPServerRequest) -> None: ...
    def add_sockets(self, sockets: Iterable[_socket]) -> None: ...
    def handle_stream(self, stream: IOStream, address: Any) -> None: ...
    def connection_count(self, detached: bool = False) -> int: ...
    def describe_connections(self) -> list[dict[str, Any]]: ...
    def close_all_connections(self) -> None: ...
    def graceful_stop(
        self, deadline: float | datetime.timedelta = 30,
        callback: Callable[[], object] | None = None
    ) -> None: ...
    def drain(
        self, callback: Callable[[], object] | None = None, idle: float = 5.0,
        grace: float = 30.0, has_successor: bool = True
    ) -> None: ...

LOCAL_PEERS: tuple[str, ...]
