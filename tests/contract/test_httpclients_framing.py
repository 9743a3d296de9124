"""The contract of the HTTP clients: the client frames each request, whatever its caller gives."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httpclient import HTTPRequest, HTTPTransferError
from friendserve.httputil import HTTPHeaders
from tests.clientcase import answer, for_each_client, response
from tests.httpcase import post_chunked

EVIL = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"


def fields_of(head):
    """{name in lower case: list of values} of the bytes of a head."""
    fields = {}
    for line in head.decode("latin-1").split("\r\n")[1:-2]:
        name, _, value = line.partition(":")
        fields.setdefault(str(name.lower()), []).append(str(value.strip()))
    return fields


def produce(write):
    write(b"ab")
    write(b"c")


#: The ways to send a request, each with its Content-Length and Transfer-Encoding.
REQUESTS = [
    (dict(), None, None),
    (dict(method="HEAD"), None, None),
    (dict(method="DELETE"), None, None),
    (dict(method="DELETE", body=b"abc"), "3", None),
    (dict(method="GET", body=b"abc", allow_nonstandard_methods=True), "3", None),
    (dict(method="POST", body=b"abc"), "3", None),
    (dict(method="POST", body=b""), "0", None),
    (dict(method="PUT", body=b"abc"), "3", None),
    (dict(method="PURGE", allow_nonstandard_methods=True), None, None),
]


class FramingContract(object):
    def sent(self, headers, **options):
        """The fields of the request that is sent for these header pairs."""
        given = HTTPHeaders()
        for name, value in headers:
            given.add(name, value)
        self.script(response())
        self.fetch_ok(headers=given, **options)
        return fields_of(self.server.heads[0])

    def test_a600_one_framing(self):
        for headers in ([("Transfer-Encoding", "chunked")],
                        [("transfer-encoding", "gzip, chunked")],
                        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
                        [("Content-Length", "100")], [("content-length", "0")],
                        [("Content-Length", "3"), ("Content-Length", "5")],
                        [("Content-Length", "3"), ("Content-Length", "3")],
                        [("Content-Length", "three")],
                        [("Content-Length", "3"), ("Transfer-Encoding", "chunked")]):
            for options, length, coding in REQUESTS:
                fields = self.sent(headers, **options)
                self.assertEqual(
                    ([length] if length else [], [coding] if coding else []),
                    (fields.get("content-length", []), fields.get("transfer-encoding", [])),
                    (headers, options))

    def test_a600_one_framing_of_a_body_producer(self):
        for headers, length, coding in (
                ([("Transfer-Encoding", "chunked")], None, "chunked"),
                ([("Transfer-Encoding", "gzip")], None, "chunked"),
                ([("Content-Length", "3")], "3", None),
                ([("Content-Length", "3"), ("Transfer-Encoding", "chunked")], "3", None)):
            seen = []
            self.serve(lambda request: (seen.append(request), answer(request)))
            given = HTTPHeaders(headers)
            self.fetch_ok(method="POST", headers=given, body_producer=produce)
            request, = seen
            self.assertEqual((length, coding, b"abc"), (
                request.headers.get("Content-Length"), request.headers.get("Transfer-Encoding"),
                request.body), headers)

    def test_a600_a_body_producer_is_held_to_one_length(self):
        self.serve()
        for lengths in (["2"], ["4"], ["3", "4"], ["3", "3"], ["three"], ["-3"]):
            given = HTTPHeaders()
            for length in lengths:
                given.add("Content-Length", length)
            self.assertEqual(599, self.fetch(method="POST", headers=given,
                                             body_producer=produce).code, lengths)

    def test_a600_one_host(self):
        for options, _, _ in REQUESTS:
            place = "127.0.0.1:%d"
            self.assertEqual(["one.test"], self.sent([("Host", "one.test")], **options)["host"])
            fields = self.sent([("Host", "one.test"), ("host", "two.test")], **options)
            self.assertEqual([place % self.server.address[1]], fields["host"])
            fields = self.sent([("Host", "one.test"), ("Connection", "host")], **options)
            self.assertEqual([place % self.server.address[1]], fields["host"])

    def test_a601_fields_of_one_connection_are_not_passed_on(self):
        names = ("Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
                 "HTTP2-Settings", "X-Named", "Expect")
        for options, _, _ in REQUESTS:
            fields = self.sent([
                ("Connection", "keep-alive, X-Named"), ("connection", "HTTP2-Settings, upgrade"),
                ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close"), ("TE", "trailers"),
                ("Trailer", "X-Checksum"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk"),
                ("X-Named", "1"), ("X-Kept", "1"), ("Expect", "100-continue")], **options)
            self.assertEqual([], [name for name in names if name.lower() in fields], options)
            self.assertEqual(["1"], fields["x-kept"])

    def test_a600_a_request_that_is_relayed_as_it_came_is_one_request(self):
        seen = []
        self.serve(lambda request: (seen.append((request.method, request.uri, request.body)),
                                    answer(request)))
        back = self.server

        def relay(request):
            self.client.fetch(
                HTTPRequest(self.url(request.uri, back), request.method, request.headers,
                            request.body),
                lambda response: answer(request, response.body or b"", response.code))

        self.serve(relay)
        front = self.connect(data=post_chunked(b"0\r\n\r\n" + EVIL, path="/a"))
        self.assertEqual(200, front.read_response().status)
        self.assertEqual([("POST", "/a", b"0\r\n\r\n" + EVIL)], seen)

    def test_a600_connect_is_refused(self):
        error = self.fetch_error(HTTPTransferError, "http://127.0.0.1:9/", method="CONNECT",
                                 allow_nonstandard_methods=True)
        self.assertIn("proxy_host", str(error))


for_each_client(globals(), FramingContract)

if __name__ == "__main__":
    unittest.main()
