import datetime
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http.cookiejar import CookieJar
from types import TracebackType
from typing import Any, IO, Self
from friendserve.httputil import HTTPHeaders, encode_multipart_formdata as encode_multipart_formdata
from friendserve.ioloop import IOLoop
from friendserve.util import Configurable

__all__ = ["AsyncHTTPClient", "AsyncHTTPClient2", "CurlError", "HTTPClient",
    "HTTPClientClosedError", "HTTPClientError", "HTTPConnectError", "HTTPError",
    "HTTPProtocolError", "HTTPRequest", "HTTPResponse", "HTTPStreamClosedError", "HTTPTLSError",
    "HTTPTimeoutError", "HTTPTransferError", "encode_multipart_formdata", "end_to_end_headers",
    "main"]

_Headers = Mapping[str, str] | Iterable[tuple[str, str]]
# Called with a pycurl.Curl.
_PrepareCurl = Callable[[Any], object]

class AsyncHTTPClient(Configurable):
    io_loop: IOLoop
    defaults: dict[str, Any]
    @classmethod
    def configurable_base(cls) -> type[AsyncHTTPClient]: ...
    @classmethod
    def configurable_default(cls) -> type[AsyncHTTPClient]: ...
    def __new__(
        cls, io_loop: IOLoop | None = None, force_instance: bool = False, *args: Any,
        **kwargs: Any
    ) -> Self: ...
    def initialize(
        self, io_loop: IOLoop | None = None, defaults: dict[str, Any] | None = None
    ) -> None: ...
    def close(self) -> None: ...
    def fetch(
        self, request: str | HTTPRequest,
        callback: Callable[[HTTPResponse], object] | None = None, raise_error: bool = True,
        on_error: Callable[[Exception], object] | None = None, **kwargs: Any
    ) -> Awaitable[HTTPResponse]: ...
    def handle_callback_exception(self, callback: Callable[..., object]) -> None: ...
    def fetch_impl(
        self, request: HTTPRequest, callback: Callable[[HTTPResponse], object]
    ) -> None: ...

AsyncHTTPClient2 = AsyncHTTPClient
CurlError = HTTPTransferError

class HTTPClient:
    def __init__(
        self, async_client_class: type[AsyncHTTPClient] | None = None, **kwargs: Any
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None,
        traceback: TracebackType | None
    ) -> None: ...
    def __del__(self) -> None: ...
    def close(self) -> None: ...
    def fetch(
        self, request: str | HTTPRequest, raise_error: bool = True, **kwargs: Any
    ) -> HTTPResponse: ...

class HTTPClientClosedError(HTTPTransferError):
    default_message: str

class HTTPClientError(Exception):
    code: int
    message: str
    response: HTTPResponse | None
    def __init__(
        self, code: int, message: str | None = None, response: HTTPResponse | None = None
    ) -> None: ...

class HTTPConnectError(HTTPTransferError):
    default_message: str

HTTPError = HTTPClientError

class HTTPProtocolError(HTTPTransferError):
    default_message: str

class HTTPRequest:
    url: str
    method: str
    allow_nonstandard_methods: bool
    user_agent: str | None
    body_producer: Callable[[Any], object] | None
    expect_100_continue: bool
    auth_mode: str | None
    auth_username: str | None
    auth_password: str | None
    cookie_jar: CookieJar | None
    decompress_response: bool | None
    header_callback: Callable[[str], object] | None
    streaming_callback: Callable[[bytes], object] | None
    follow_redirects: bool
    max_redirects: int
    request_timeout: float
    connect_timeout: float
    allow_ipv6: bool
    network_interface: str | None
    unix_socket: str | None
    proxy_host: str | None
    proxy_port: int | None
    proxy_auth_mode: str | None
    proxy_username: str | None
    proxy_password: str | None
    ssl_options: dict[str, Any] | ssl.SSLContext | None
    validate_cert: bool
    ca_certs: str | None
    client_cert: str | None
    client_key: str | None
    require_close_notify: bool
    prepare_curl_callback: _PrepareCurl | None
    start_time: float
    original_request: HTTPRequest | None
    def __init__(
        self, url: str, method: str = 'GET',
        headers: _Headers | None = None, body: str | bytes | None = None,
        auth_username: str | None = None, auth_password: str | None = None,
        auth_mode: str | None = None, connect_timeout: float | None = None,
        request_timeout: float | None = None,
        if_modified_since: float | datetime.datetime | tuple[int, ...] | None = None,
        follow_redirects: bool | None = None, max_redirects: int | None = None,
        user_agent: str | None = None, use_gzip: bool | None = None,
        network_interface: str | None = None,
        streaming_callback: Callable[[bytes], object] | None = None,
        header_callback: Callable[[str], object] | None = None,
        prepare_curl_callback: _PrepareCurl | None = None,
        proxy_host: str | None = None, proxy_port: int | None = None,
        proxy_username: str | None = None, proxy_password: str | None = None,
        proxy_auth_mode: str | None = None, allow_nonstandard_methods: bool | None = None,
        validate_cert: bool | None = None, ca_certs: str | None = None,
        allow_ipv6: bool | None = None, client_key: str | None = None,
        client_cert: str | None = None, body_producer: Callable[[Any], object] | None = None,
        expect_100_continue: bool = False, decompress_response: bool | None = None,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        unix_socket: str | None = None, cookie_jar: CookieJar | None = None,
        require_close_notify: bool | None = None
    ) -> None: ...
    @property
    def headers(self) -> HTTPHeaders: ...
    @headers.setter
    def headers(self, value: HTTPHeaders) -> None: ...
    @property
    def body(self) -> bytes | None: ...
    @body.setter
    def body(self, value: bytes | None) -> None: ...
    @property
    def use_gzip(self) -> bool | None: ...
    @use_gzip.setter
    def use_gzip(self, value: bool | None) -> None: ...
    def copy(self) -> HTTPRequest: ...
    def tls_options(self) -> dict[str, Any] | ssl.SSLContext: ...
    def complete(self, defaults: dict[str, Any]) -> None: ...

class HTTPResponse:
    request: HTTPRequest
    code: int
    reason: str | None
    headers: HTTPHeaders
    effective_url: str
    request_time: float | None
    start_time: float | None
    time_info: dict[str, float]
    def __init__(
        self, request: HTTPRequest, code: int,
        headers: HTTPHeaders | dict[str, str] | None = None, buffer: IO[bytes] | None = None,
        effective_url: str | None = None, error: BaseException | None = None,
        request_time: float | None = None, time_info: dict[str, float] | None = None,
        reason: str | None = None, start_time: float | None = None,
        body: str | bytes | None = None
    ) -> None: ...
    @property
    def buffer(self) -> IO[bytes] | None: ...
    @property
    def body(self) -> bytes: ...
    @property
    def error(self) -> BaseException | None: ...
    def rethrow(self) -> None: ...

class HTTPStreamClosedError(HTTPTransferError):
    default_message: str

class HTTPTLSError(HTTPTransferError):
    default_message: str

class HTTPTimeoutError(HTTPTransferError):
    default_message: str

class HTTPTransferError(HTTPClientError):
    args: tuple[Any, ...]
    phase: str | None
    real_error: BaseException | None
    default_message: str
    def __init__(
        self, message: str | None = None, phase: str | None = None,
        real_error: BaseException | None = None
    ) -> None: ...

def end_to_end_headers(headers: _Headers) -> HTTPHeaders: ...
def main(arguments: list[str] | None = None) -> int: ...
