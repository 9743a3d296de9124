"""The contract of the HTTP clients, both the simple one and the one over curl."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httpclient import (
    AsyncHTTPClient, HTTPConnectError, HTTPError, HTTPRequest, HTTPStreamClosedError,
    HTTPTimeoutError, HTTPTransferError)
from friendserve.stack_context import ExceptionStackContext
from tests import services
from tests.clientcase import ScriptedServer, answer, for_each_client, response
from tests.httpcase import LogCatcher, Waiting, echo


class FetchContract(object):
    """Valid requests and responses."""

    def test_get(self):
        self.serve(lambda request: answer(request, request.uri.encode("ascii"), X_Answer="yes"))
        response = self.fetch_ok("/a?b=c")
        self.assertEqual((response.code, response.reason, response.body), (200, "OK", b"/a?b=c"))
        self.assertEqual(response.headers["x-answer"], "yes")
        self.assertEqual(response.effective_url, self.url("/a?b=c"))
        self.assertEqual(response.buffer.read(), b"/a?b=c")
        self.assertGreaterEqual(response.request_time, 0)
        response.rethrow()

    def test_post(self):
        self.serve(echo)
        self.assertEqual(self.fetch_ok(method="POST", body=u"caf\u00e9").body,
                         u"caf\u00e9".encode("utf-8"))
        self.assertEqual(self.fetch_ok(method="POST", body=b"").body, b"")

    def test_methods(self):
        self.serve(lambda request: answer(
            request, ("%s %r" % (request.method, len(request.body))).encode("ascii")))
        for method, body, answered in (
                ("GET", None, b"GET 0"), ("HEAD", None, b""), ("DELETE", None, b"DELETE 0"),
                ("OPTIONS", None, b"OPTIONS 0"), ("PUT", b"abc", b"PUT 3"),
                ("PATCH", b"abc", b"PATCH 3"), ("DELETE", b"abc", b"DELETE 3")):
            self.assertEqual(self.fetch_ok(method=method, body=body).body or b"", answered, method)
        self.assertEqual(self.fetch_ok(
            method="PURGE", allow_nonstandard_methods=True).body, b"PURGE 0")

    def test_an_error_status_is_an_error_with_its_response(self):
        self.serve(lambda request: answer(request, b"gone", 404, "Not Found"))
        response = self.fetch()
        self.assertEqual((response.code, response.body), (404, b"gone"))
        self.assertIsInstance(response.error, HTTPError)
        self.assertEqual(response.error.code, 404)
        self.assertIs(response.error.response, response)
        self.assertRaises(HTTPError, response.rethrow)

    def test_headers_of_the_request(self):
        seen = []

        def on_request(request):
            seen.append(request.headers)
            answer(request)

        self.serve(on_request)
        self.fetch_ok(headers={"X-One": "1", "X-Two": "2"}, user_agent="tester/1")
        self.assertEqual((seen[0]["X-One"], seen[0]["X-Two"]), ("1", "2"))
        self.assertEqual(seen[0]["User-Agent"], "tester/1")
        self.assertEqual(seen[0]["Host"], "127.0.0.1:%d" % self.server.address[1])

    def test_b189_a_request_of_the_caller_stays_as_it_is(self):
        self.serve(echo)
        headers = {"X-One": "1"}
        request = HTTPRequest(self.url(), method="POST", headers=headers, body=b"x",
                              if_modified_since=0)
        before = dict(vars(request))
        for _ in range(2):
            response = self.fetch_ok(request)
            self.assertIs(response.request, request)
        self.assertEqual(vars(request), before)
        self.assertEqual(headers, {"X-One": "1"})

    def test_b188_repeated_headers(self):
        self.script(response(headers="Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"))
        self.assertEqual(self.fetch_ok().headers.get_list("Set-Cookie"), ["a=1", "b=2"])

    def test_chunked_response(self):
        self.script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        self.assertEqual(self.fetch_ok().body, b"abcdefg")

    def test_body_that_ends_with_the_connection(self):
        self.script([b"HTTP/1.0 200 OK\r\n\r\nabc", ScriptedServer.CLOSE])
        self.assertEqual(self.fetch_ok().body, b"abc")

    def test_a_url_cannot_come_with_a_request(self):
        self.assertRaises(ValueError, self.client.fetch, HTTPRequest("http://x/"), None,
                          method="HEAD")

    def test_connections_are_used_again(self):
        server = self.script(response(b"1"), response(b"2"))
        self.assertEqual([self.fetch_ok().body, self.fetch_ok().body], [b"1", b"2"])
        self.assertEqual(len(server.streams), 1)


class RefusalContract(object):
    """Requests that must not be sent."""

    def refused(self, url="http://127.0.0.1:9/", **options):
        error = self.fetch_error(HTTPTransferError, url, **options)
        self.assertIsInstance(error.real_error, ValueError)
        self.assertEqual(0, self.client.statistics()["fetches"])

    def test_a033_a_header_cannot_bring_another_one(self):
        for bad in ("a\r", "a\n", "a\r\nX-Evil: 1", "a\0b", u"a\nb", b"a\nb"):
            self.refused(headers={"X-Test": bad})
        for bad in ("X\r\nY", "X\n", "X Y", "X:", ""):
            self.refused(headers={bad: "1"})
        self.refused(user_agent="a\r\nX-Evil: 1")

    def test_a307_a_method_or_url_cannot_bring_a_header(self):
        for method in ("GET / HTTP/1.1\r\nX:", "G ET", "GET\n", ""):
            self.refused(method=method)
            self.refused(method=method, allow_nonstandard_methods=True)
        for url in ("http://127.0.0.1:9/ HTTP/1.1", "http://127.0.0.1:9/\r\nX: y",
                    "http://127.0.0.1:9/\n", "http://127.0.0.1\r\n:9/", "http://a b/"):
            self.refused(url)

    def test_a025_only_http_can_be_fetched(self):
        for url in ("file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/",
                    "127.0.0.1", "", "http://", "http:///path", "http://127.0.0.1:99999/"):
            self.refused(url)

    def test_bodies_that_do_not_fit_the_method(self):
        for method in ("POST", "PUT", "PATCH"):
            self.refused(method=method)
        for method in ("GET", "HEAD"):
            self.refused(method=method, body=b"x")
        self.refused(method="PURGE")


class EndContract(object):
    """How failed fetches end."""

    def test_refused_connection(self):
        self.fetch_error(HTTPConnectError, "http://127.0.0.1:%d/" % services.free_port())

    def test_b185_a_server_that_closes_at_once(self):
        self.script([ScriptedServer.CLOSE])
        self.fetch_error(HTTPStreamClosedError)

    def test_b186_a_body_cut_short(self):
        for head in (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
            self.script([head, ScriptedServer.CLOSE])
            self.fetch_error(HTTPStreamClosedError)

    def test_timeout(self):
        self.serve(Waiting())
        error = self.fetch_error(HTTPTimeoutError, request_timeout=0.05)
        self.assertIn("Timeout", str(error))

    def test_b184_a_callback_that_raises(self):
        self.serve()
        calls = []

        def callback(response):
            calls.append(response)
            raise KeyError("in the callback")

        with LogCatcher() as records:
            self.client.fetch(self.url(), callback)
            self.run_until(lambda: calls)
            self.fetch_ok()
        self.assertEqual(len(calls), 1)
        self.assertEqual(len([r for r in records if r.exc_info]), 1)

    def test_the_callback_runs_in_the_context_of_the_caller(self):
        self.serve()
        caught = []

        def callback(response):
            raise KeyError("in the callback")

        def handler(kind, error, trace):
            caught.append(kind)
            return True

        with ExceptionStackContext(handler):
            self.client.fetch(self.url(), callback)
        self.run_until(lambda: caught)
        self.assertEqual(caught, [KeyError])

    def test_b192_close_with_fetches_under_way(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.make_client(max_clients=2)
        responses = []
        for _ in range(4):
            client.fetch(self.url(), responses.append)
        self.run_until(lambda: len(waiting.requests) == 2)
        client.close()
        self.assertEqual(responses, [])
        self.run_until(lambda: len(responses) == 4)
        self.assertEqual([(r.code, r.error.code) for r in responses], 4 * [(599, 599)])
        self.assertRaises(RuntimeError, client.fetch, self.url(), self.fail)

    def test_b180_no_more_at_a_time_than_max_clients(self):
        most = [0]
        waiting = Waiting()
        self.serve(waiting)
        client = self.make_client(max_clients=10)
        responses = []
        for number in range(60):
            client.fetch(self.url("/%d" % number), responses.append)
        while len(responses) < 60:
            count = len(responses)
            self.run_until(lambda: len(waiting.requests) == min(10, 60 - count))
            most[0] = max(most[0], len(waiting.requests))
            for request in waiting.requests:
                answer(request, request.path.encode("ascii"))
            waiting.requests = []
            self.run_until(lambda: len(responses) > count and len(responses) % 10 == 0)
        self.assertEqual(most, [10])
        self.assertEqual(set(r.body for r in responses),
                         set(("/%d" % number).encode("ascii") for number in range(60)))

    def test_b193_one_client_for_a_loop(self):
        self.assertIs(self.client_class(), self.client_class())
        self.assertIsNot(self.client_class(), self.client)
        first = self.client_class()
        first.close()
        second = self.client_class()
        self.assertIsNot(second, first)
        second.close()
        AsyncHTTPClient.configure(self.client_class, max_clients=3,
                                  defaults={"user_agent": "tester/2"})
        self.addCleanup(AsyncHTTPClient.configure, None)
        client = AsyncHTTPClient()
        self.addCleanup(client.close)
        self.assertIsInstance(client, self.client_class)
        self.assertEqual(client.max_clients, 3)
        self.assertEqual(client.defaults["user_agent"], "tester/2")


class Contract(FetchContract, RefusalContract, EndContract):
    """The whole contract of this module."""


for_each_client(globals(), Contract)


if __name__ == "__main__":
    unittest.main()
