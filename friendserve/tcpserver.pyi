import ssl
from collections.abc import Callable, Iterable
from typing import Any
from socket import socket as _socket
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream

DEFAULT_BACKLOG: int
UNIX_PEER: str
FEW_ACCEPTS: int

class TCPServer:
    certificates: Any
    max_buffer_size: int
    read_chunk_size: int
    max_write_buffer_size: int
    handshake_timeout: float
    io_loop: IOLoop
    proxy_protocol: bool
    ssl_options: Any
    def __init__(
        self, ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None, read_chunk_size: int | None = None,
        io_loop: IOLoop | None = None, max_write_buffer_size: int | None = None,
        handshake_timeout: float | None = None, proxy_protocol: bool | None = None
    ) -> None: ...
    def listen(self, port: int, address: str = '') -> None: ...
    def bind(
        self, port: int, address: str | None = None, family: int = ..., backlog: int = 128,
        reuse_port: bool = False
    ) -> None: ...
    def start(self, num_processes: int | None = 1) -> None: ...
    def add_sockets(self, sockets: Iterable[_socket]) -> None: ...
    def share_sockets(
        self, may_accept: Callable[[], bool] | None = None, max_accepts: int = 4
    ) -> None: ...
    def add_socket(self, socket: _socket) -> None: ...
    def stop_accepting(self) -> None: ...
    def stop_listening(self) -> None: ...
    def stop(self) -> None: ...
    def handle_stream(self, stream: IOStream, address: Any) -> object: ...
