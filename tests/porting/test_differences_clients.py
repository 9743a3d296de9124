"""Behaviour of HTTP clients that programs written for Tornado rely on, by the numbers of a list of
differences."""
from __future__ import absolute_import, division, print_function

import unittest
import warnings
import zlib

from friendserve.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from friendserve.stack_context import StackContext
from tests.clientcase import ClientCase, answer, for_each_client, response


class DifferenceContract(object):
    def redirect(self, request):
        if request.path == "/":
            answer(request, b"", 302, "Found", Location="/there")
        else:
            answer(request, request.method.encode("ascii"))

    def test_p03_the_request_of_a_response_is_what_was_asked(self):
        self.serve(self.redirect)
        for options in ({}, {"method": "POST", "body": b"x", "headers": {"X-A": "1"}}):
            found = self.fetch_ok(**options)
            self.assertEqual(b"GET", found.body)
            self.assertEqual((self.url(), options.get("method", "GET"), options.get("body")),
                             (found.request.url, found.request.method, found.request.body))
            self.assertEqual(options.get("headers", {}), dict(found.request.headers))
            self.assertEqual(self.url("/there"), found.effective_url)

    def test_p03_also_when_the_redirect_fails(self):
        self.script(response(b"", "302 Found", "Location: ftp://x/\r\n"))
        found = self.fetch(method="POST", body=b"x")
        self.assertEqual(599, found.code)
        self.assertEqual((self.url(), "POST"), (found.request.url, found.request.method))

    def test_p03_an_expectation_that_failed_is_not_forgotten(self):
        self.script(response(b"", "417 Expectation Failed"), response())
        found = self.fetch_ok(method="POST", body=b"x", expect_100_continue=True)
        self.assertTrue(found.request.expect_100_continue)

    def assert_delivered(self, request, **options):
        try:
            found = self.fetch(request, **options)
        except (KeyError, ValueError) as error:
            self.fail("raised from fetch: %r" % error)
        self.assertEqual(599, found.code)
        self.assertIsInstance(found.error, HTTPError)
        self.assertIsInstance(found.error.real_error, ValueError)
        url = request.url if isinstance(request, HTTPRequest) else request
        self.assertEqual(url, found.request.url)
        self.assertRaises(HTTPError, found.rethrow)
        return found

    def test_p04_a_bad_url_is_delivered(self):
        for url in ("ftp://x/", "nothing", "http://127.0.0.1:99999/", "http://a b/", "http://"):
            self.assert_delivered(url)
            self.assert_delivered(url, user_agent="x")
            request = HTTPRequest(url)
            self.assertIs(request, self.assert_delivered(request).request)

    def test_p04_a_bad_method_header_or_body_is_delivered(self):
        for options in ({"method": "PURGE"}, {"method": "G T"}, {"headers": {"X": "a\nb"}},
                        {"user_agent": "a\nb"}, {"method": "POST"}, {"body": b"x"}):
            self.assert_delivered("http://127.0.0.1:9/", **options)

    def test_p04_on_error_and_the_context_get_it(self):
        seen = []
        self.client.fetch("ftp://x/", on_error=seen.append)
        self.run_until(lambda: seen)
        self.assertEqual(599, seen[0].code)

    def test_p04_misuse_of_the_call_is_raised(self):
        fetch = self.client.fetch
        self.assertRaises(ValueError, fetch, HTTPRequest("ftp://x/"), self.fail, method="HEAD")
        self.assertRaises(TypeError, fetch, "ftp://x/", "no callable")
        self.assertRaises(TypeError, fetch, "ftp://x/", self.fail, unknown=1)
        self.client.close()
        self.assertRaises(RuntimeError, fetch, "ftp://x/", self.fail)

    def test_p28_a_request_takes_its_contexts_along(self):
        self.serve()
        entered = []

        class Context(object):
            def __init__(self, name):
                self.name = name

            def __enter__(self):
                entered.append(self.name)

            def __exit__(self, *error):
                entered.remove(self.name)

        seen = []
        with StackContext(lambda: Context("made")):
            request = HTTPRequest(self.url(),
                                  streaming_callback=lambda data: seen.append(list(entered)),
                                  header_callback=lambda line: seen.append(list(entered)))
        with StackContext(lambda: Context("fetched")):
            self.client.fetch(request, lambda response: seen.append(list(entered)))
        self.run_until(lambda: seen and seen[-1] == ["fetched"])
        self.assertEqual([["made"]] * (len(seen) - 1), seen[:-1])


for_each_client(globals(), DifferenceContract)


class StreamingTest(ClientCase):
    def pieces(self, *steps, **options):
        self.script(list(steps))
        seen = []
        self.assertEqual(b"", self.fetch_ok(streaming_callback=seen.append, **options).body)
        return seen

    HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"

    def test_p27_each_chunk_is_a_piece(self):
        self.assertEqual([b"one", b"two", b"three"], self.pieces(
            self.HEAD + b"\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"))

    def test_p27_of_compressed_bodies_too(self):
        compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
        chunks = []
        for text in (b"one", b"two", b"three"):
            chunks.append(compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))
        chunks.append(compressor.flush())
        body = b"".join(("%x\r\n" % len(chunk)).encode("ascii") + chunk + b"\r\n"
                        for chunk in chunks) + b"0\r\n\r\n"
        head = self.HEAD + b"Content-Encoding: gzip\r\n\r\n"
        self.assertEqual([b"one", b"two", b"three"], self.pieces(head + body))
        cut = len(body) - 12
        self.assertEqual([b"one", b"two", b"three"], self.pieces(head + body[:cut], body[cut:]))
        # Without the end of the gzip data.
        self.script(head + body.replace(b"%x\r\n%s\r\n0" % (len(chunks[-1]), chunks[-1]), b"0"))
        self.assertEqual(599, self.fetch(streaming_callback=len).code)


class SharedClientTest(ClientCase):
    def test_p13_a_class_called_by_name_has_its_own_client(self):
        general = AsyncHTTPClient(self.loop)
        resolver = object()
        own = SimpleAsyncHTTPClient(self.loop, max_clients=3, resolver=resolver)
        self.assertIsNot(general, own)
        self.assertEqual((3, resolver), (own.max_clients, own.resolver))
        self.assertIs(general, AsyncHTTPClient(self.loop))
        self.assertIs(own, SimpleAsyncHTTPClient(self.loop))
        own.close()
        self.assertIs(general, AsyncHTTPClient(self.loop))
        self.assertIsNot(own, SimpleAsyncHTTPClient(self.loop))

    def test_p13_settings_that_are_ignored_are_warned_of(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            AsyncHTTPClient(self.loop, max_clients=3)
            AsyncHTTPClient(self.loop, max_clients=3)
            AsyncHTTPClient(self.loop)
            AsyncHTTPClient(self.loop, force_instance=True, max_clients=4).close()
            self.assertEqual([], caught)
            self.assertEqual(3, AsyncHTTPClient(self.loop, max_clients=4).max_clients)
        self.assertEqual([__file__.replace(".pyc", ".py")],
                         [one.filename.replace(".pyc", ".py") for one in caught])
        self.assertIn("ignored: max_clients", str(caught[0].message))

    def test_p14_a_number_in_second_place_is_max_clients(self):
        client = AsyncHTTPClient(self.loop, 20)
        self.assertEqual(20, client.max_clients)
        self.assertIs(client, AsyncHTTPClient(self.loop, 20))
        separate = AsyncHTTPClient(self.loop, 30, True)
        self.assertEqual((30, False), (separate.max_clients, separate is client))
        self.assertIsNot(client, AsyncHTTPClient(self.loop, True))

    def test_p14_force_instance_may_come_first(self):
        self.loop.make_current()
        self.addCleanup(self.loop.clear_current)
        self.assertIsNot(AsyncHTTPClient(True), AsyncHTTPClient(True))
        self.assertIs(AsyncHTTPClient(False), AsyncHTTPClient(self.loop))
        self.assertRaises(TypeError, AsyncHTTPClient, self.loop, False, True)


if __name__ == "__main__":
    unittest.main()
