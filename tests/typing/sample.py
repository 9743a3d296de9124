"""An application as a user writes it, for the type checkers."""
from __future__ import absolute_import, division, print_function

import datetime
from typing import Any, Optional, Union, assert_type

from friendserve import gen, locale, metrics, web, websocket
from friendserve.auth import OpenIDConnectMixin, is_allowed
from friendserve.database import Connection
from friendserve.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.iostream import IOStream
from friendserve.options import define, options, parse_command_line
from friendserve.tcpserver import TCPServer

define("port", default=8888, type=int, help="the port to listen on")
define("since", type=datetime.datetime, help="show nothing older")


class MainHandler(web.RequestHandler):
    def initialize(self, greeting: str) -> None:
        self.greeting = greeting

    def get_current_user(self) -> Optional[str]:
        return self.get_cookie("user")

    def get(self, name: str = "world") -> None:
        self.set_header("X-Time", datetime.datetime(2026, 1, 1))
        self.set_status(201, reason="Created")
        self.write({"greeting": self.greeting, "name": self.get_argument("name", name)})
        self.finish()


class FetchHandler(web.RequestHandler):
    @web.asynchronous
    def get(self) -> None:
        http = AsyncHTTPClient()
        http.fetch("http://example.com/", self.on_response, connect_timeout=1.0)

    def on_response(self, response: HTTPResponse) -> None:
        if response.error:
            raise web.HTTPError(502, "%s", response.error)
        print(response.request.url, metrics.render().decode("utf-8"))
        self.finish(response.body)


class CoroutineHandler(web.RequestHandler):
    async def get(self) -> None:
        response = await AsyncHTTPClient().fetch(HTTPRequest("http://example.com/", method="HEAD"))
        await gen.sleep(0.1)
        self.finish(str(response.code))


class ArgumentsHandler(web.RequestHandler):
    def prepare(self) -> None:
        self.set_cookie("seen", "yes", expires=datetime.datetime(2030, 1, 1))
        self.xsrf_token.decode("ascii")

    @web.authenticated
    def post(self, name: str) -> None:
        assert_type(self.get_argument("page"), str)
        assert_type(self.get_argument("page", None), Optional[str])
        assert_type(self.get_query_argument("page", 1, strip=False), Union[str, int])
        assert_type(self.get_cookie("seen"), Optional[str])
        assert_type(self.get_cookie("seen", ""), str)
        assert_type(self.request.files["photo"][0].body, bytes)
        assert_type(self.request.headers.get("User-Agent"), Optional[str])
        assert_type(self.request.headers.get("User-Agent", "none"), str)
        self.redirect(self.reverse_url("fetch"))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish("%d" % status_code)


class SignInHandler(web.RequestHandler, OpenIDConnectMixin):
    @web.asynchronous
    def get(self) -> None:
        self.get_authenticated_user(self.on_user)

    def on_user(self, user: Optional[dict[str, Any]]) -> None:
        if not is_allowed(user, domains="example.com"):
            raise web.HTTPError(403)
        self.finish(locale.get("de_DE").translate("Welcome"))


class EchoHandler(websocket.WebSocketHandler):
    def open(self, *args: str, **kwargs: str) -> None:
        self.write_message("hello")
        self.write_message(b"bytes", binary=True)
        self.write_message({"a": 1})

    def on_message(self, message: Union[str, bytes]) -> None:
        self.write_message(message)

    def on_close(self) -> None:
        print(self.close_code)


class EchoServer(TCPServer):
    def handle_stream(self, stream: IOStream, address: Any) -> None:
        def on_line(data: bytes) -> None:
            stream.write(data, stream.close)
        stream.read_until(b"\n", on_line)


def count(name: str, connection: Connection) -> int:
    metrics.gauge(name, "How long it takes.").set(0.5)
    with connection.transaction():
        row = connection.get("SELECT COUNT(*) AS n FROM entries")
    return int(row.n) if row is not None else 0


async def double(number: int) -> int:
    return 2 * number


def main() -> None:
    parse_command_line()
    application = web.Application([
        (r"/(.*)", MainHandler, {"greeting": "Hello"}),
        web.url(r"/fetch", FetchHandler, name="fetch"),
        (r"/arguments/(.*)", ArgumentsHandler),
        ("/socket", EchoHandler),
    ], debug=True, cookie_secret="secret")
    server: HTTPServer = application.listen(options.port, address="127.0.0.1")
    loop = IOLoop.current()
    PeriodicCallback(lambda: None, 1000).start()
    timeout = loop.call_later(5, server.stop)
    loop.remove_timeout(timeout)
    loop.add_callback(print, "started")
    assert_type(loop.run_sync(lambda: double(4)), int)
    assert_type(IOLoop.current(instance=False), Optional[IOLoop])
    loop.start()


if __name__ == "__main__":
    main()
