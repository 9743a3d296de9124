"""Gateways: that of website/docs/how-to/gateway.rst, and one that passes on everything as it
arrives."""
from __future__ import absolute_import, division, print_function

import unittest


from friendserve.escape import json_decode, json_encode
from friendserve.httpclient import AsyncHTTPClient, HTTPRequest
from friendserve.web import Application, RequestHandler, asynchronous
from tests import services
from tests.docscase import program
from tests.httpcase import HTTPCase, answer, get, post, post_chunked

EVIL = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"

#: Messages to the gateway, each with what the backend must see of it: method, path and body.
ATTACKS = [
    (post_chunked(b"0\r\n\r\n" + EVIL, path="/1"), "POST", "/1", b"0\r\n\r\n" + EVIL),
    (post_chunked(EVIL, path="/2", headers="Connection: Transfer-Encoding\r\n"),
     "POST", "/2", EVIL),
    (post(EVIL, "/3", "Connection: Content-Length\r\n"), "POST", "/3", EVIL),
    (post(EVIL, "/4", "Connection: content-length, host, te\r\nTE: chunked\r\n"),
     "POST", "/4", EVIL),
    (post(b"", "/5", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                     "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), "POST", "/5", b""),
    (post_chunked(EVIL, path="/6", headers="Expect: 100-continue\r\n"), "POST", "/6", EVIL),
]


class NaiveHandler(RequestHandler):
    """The ordinary gateway, as many programs have it."""
    def initialize(self, backend):
        self.backend = backend

    @asynchronous
    def get(self):
        AsyncHTTPClient().fetch(HTTPRequest(
            self.backend + self.request.uri, self.request.method, self.request.headers,
            self.request.body or None, allow_nonstandard_methods=True), self.on_response)

    post = get

    def on_response(self, response):
        self.set_status(response.code if response.code != 599 else 502)
        self.finish(response.body)


class GatewayCase(HTTPCase):
    def setUp(self):
        super(GatewayCase, self).setUp()
        self.addCleanup(AsyncHTTPClient().close)

    def serve_gateway(self, handler):
        self.serve(Application([("/.*", handler, {"backend": self.start_backend()})]))

    def load_page(self):
        """The GatewayHandler of the page."""
        return program("how-to/gateway.rst")["GatewayHandler"]

    def seen(self):
        """The requests that the backend got since the last call of this."""
        return json_decode(self.fetch(get("/seen")).body)

    def send(self, data, method="GET"):
        """The response to `data`. What the backend sent for it may be interim at first."""
        client = self.connect(data=data)
        response = client.read_response(method)
        while response.status == 100:
            response = client.read_response(method)
        client.close()
        return response

    def check_attacks(self, handler):
        self.serve_gateway(handler)
        self.seen()
        for data, method, path, body in ATTACKS:
            self.assertEqual(200, self.send(data).status, data)
            # A stranger, on the connection to the backend that was used for it.
            stranger = json_decode(self.fetch(get("/mine")).body)
            self.assertEqual(("GET", "/mine", ""), (
                stranger["method"], stranger["path"], stranger["body"]), data)
            self.assertEqual([(method, path, body.decode("latin-1")), ("GET", "/mine", "")], [
                (request["method"], request["path"], request["body"])
                for request in self.seen()], data)


class GatewayContract(object):
    def test_a600_requests_passed_on_as_they_came(self):
        self.check_attacks(NaiveHandler)

    def test_a602_the_gateway_of_the_page(self):
        self.check_attacks(self.load_page())

    def test_a602_what_passes_and_what_does_not(self):
        self.serve_gateway(self.load_page())
        self.seen()
        response = self.send(post(
            b"body", "/a%20b?c=d", "X-Kept: 1\r\nTE: trailers\r\nX-Named: 1\r\n"
            "Proxy-Authorization: x\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
            "X-Forwarded-For: 6.6.6.6\r\nConnection: X-Named, X-Forwarded-For\r\n"
            "Accept-Encoding: gzip\r\n"))
        self.assertEqual(200, response.status)
        self.assertEqual(["a=1", "b=2"], response.headers.get_list("Set-Cookie"))
        self.assertNotIn("Keep-Alive", response.headers)
        self.assertEqual(1, len(response.headers.get_list("Date")))
        request = json_decode(response.body)
        self.assertEqual(("POST", "c=d", "body"), (
            request["method"], request["query"], request["body"]))
        self.assertEqual("/a%20b", request["path"])
        fields = {}
        for name, value in request["headers"]:
            fields.setdefault(name.lower(), []).append(value)
        self.assertEqual((["1"], ["example.com"], ["4"], ["127.0.0.1"], ["http"], ["gzip"]), tuple(
            fields.get(name) for name in ("x-kept", "host", "content-length", "x-forwarded-for",
                                          "x-forwarded-proto", "accept-encoding")))
        self.assertEqual([], [name for name in (
            "te", "x-named", "connection", "proxy-authorization", "forwarded", "x-real-ip")
            if name in fields])

    def test_a602_underscores_in_names(self):
        self.serve_gateway(self.load_page())
        response = self.send(get("/", "X_Forwarded_For: 6.6.6.6\r\nX-Real_IP: 6.6.6.6\r\n"
                                      "x_scheme: https\r\nX-Kept: 1\r\n"))
        names = [name for name, _ in json_decode(response.body)["headers"]]
        self.assertIn("x-kept", [name.lower() for name in names])
        self.assertEqual([], [name for name in names if "_" in name])

    def test_a602_methods(self):
        self.serve_gateway(self.load_page())
        for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            data = get("/x").replace(b"GET", method.encode("ascii"), 1)
            self.assertEqual(200, self.send(data, method).status, method)
        data = get("/x").replace(b"GET /x", b"OPTIONS *", 1)
        self.assertEqual(404, self.send(data).status)
        self.assertEqual(["GET", "HEAD", "DELETE", "OPTIONS"], [
            request["method"] for request in self.seen()])


@services.needs(services.Uvicorn)
class UvicornGatewayTest(GatewayContract, GatewayCase):
    """In front of uvicorn with h11."""
    def start_backend(self):
        return "http://127.0.0.1:%d" % services.shared(services.Uvicorn).port


class OwnGatewayTest(GatewayContract, GatewayCase):
    """In front of friendserve."""
    def start_backend(self):
        seen = []

        def on_request(request):
            if request.path == "/seen":
                data = list(seen)
                del seen[:]
            else:
                data = {"method": request.method, "path": request.path, "query": request.query,
                        "body": request.body.decode("latin-1"),
                        "headers": list(request.headers.get_all())}
                seen.append(data)
            headers = {"Set-Cookie": ["a=1", "b=2"], "Keep-Alive": "timeout=5"}
            answer(request, json_encode(data).encode("ascii"), **headers)

        return "http://127.0.0.1:%d" % self.serve(on_request).address[1]

    def test_a602_a_backend_that_does_not_answer(self):
        self.serve(Application([("/.*", self.load_page(), {
            "backend": "http://127.0.0.1:%d" % services.free_port()})]))
        self.assertEqual(502, self.fetch(get("/x")).status)


if __name__ == "__main__":
    unittest.main()
