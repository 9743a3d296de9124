"""The client over libcurl: its sockets, timers and handles, and the features only it has."""
from __future__ import absolute_import, division, print_function

import base64
import gc
import logging
import os
import pickle
import subprocess
import sys
import unittest

try:
    import pycurl
    from friendserve.curl_httpclient import CurlAsyncHTTPClient, CurlError, client
    from friendserve.curl_httpclient.client import CurlFetch
    from friendserve.curl_httpclient.errors import CurlTimeoutError, make_error
    from friendserve.curl_httpclient.sockets import LoopSockets
except ImportError:
    pycurl = CurlAsyncHTTPClient = None

from friendserve import httpclient
from friendserve.httpclient import (
    AsyncHTTPClient, HTTPConnectError, HTTPError, HTTPRequest, HTTPStreamClosedError,
    HTTPTLSError, HTTPTimeoutError, HTTPTransferError)
from friendserve.ioloop import IOLoop
from friendserve.netutil import ssl_options_to_context
from friendserve.stack_context import ExceptionStackContext
from tests import ROOT, services
from tests.clientcase import ClientCase, ScriptedServer, answer, response
from tests.httpcase import CA, CERT, KEY, SERVER_OPTIONS, LogCatcher, Waiting, echo
from tests.loopcase import needs_package

needs_curl = needs_package(pycurl, "pycurl")


class CurlCase(ClientCase):
    client_class = CurlAsyncHTTPClient


class WithoutTest(unittest.TestCase):
    def test_without_pycurl_it_says_what_to_install(self):
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.modules['pycurl'] = None\n"
             "import friendserve.curl_httpclient"], cwd=ROOT, stderr=subprocess.PIPE)
        said = process.communicate()[1].decode("utf-8")
        self.assertIn("pip install friendserve[curl]", said)


@needs_curl
class ErrorTest(unittest.TestCase):
    def test_each_is_one_of_libcurl_and_one_of_its_kind(self):
        for errno, phase, kind, there in (
                (pycurl.E_COULDNT_RESOLVE_HOST, "resolve", HTTPConnectError, "resolve"),
                (pycurl.E_COULDNT_CONNECT, "headers", HTTPConnectError, "connect"),
                (pycurl.E_RECV_ERROR, "proxy", HTTPConnectError, "proxy"),
                (pycurl.E_RECV_ERROR, "tls", HTTPTLSError, "tls"),
                (pycurl.E_RECV_ERROR, "body", HTTPStreamClosedError, "body"),
                (pycurl.E_OPERATION_TIMEDOUT, "body", HTTPTimeoutError, "body"),
                (pycurl.E_UNSUPPORTED_PROTOCOL, "headers", httpclient.HTTPProtocolError,
                 "headers"),
                (pycurl.E_OUT_OF_MEMORY, "request", HTTPTransferError, "request")):
            error = make_error(errno, "why", phase)
            self.assertIsInstance(error, kind)
            self.assertIsInstance(error, CurlError)
            self.assertEqual((error.errno, error.code, error.phase), (errno, 599, there))
            self.assertIn("why", str(error))
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((str(again), again.errno), (str(error), errno))

    def test_the_constructor_that_porters_know(self):
        error = CurlError(7, "refused")
        self.assertIsInstance(error, HTTPError)
        self.assertEqual((error.errno, str(error)), (7, "HTTP 599: refused"))


class FakeMulti(object):
    """A CurlMulti that asks to be called after `milliseconds`, and records the calls."""
    def __init__(self, milliseconds):
        self.milliseconds = milliseconds
        self.actions = []

    def timeout(self):
        return self.milliseconds

    def socket_action(self, fd, events):
        self.actions.append((fd, events))

    def info_read(self):
        return 0, [], []

    def close(self):
        pass


@needs_curl
class SocketsTest(CurlCase):
    """How libcurl and the loop work together."""

    def setUp(self):
        super(SocketsTest, self).setUp()
        # No scan: events must not be found by chance.
        self.addCleanup(setattr, client, "SCAN_INTERVAL", client.SCAN_INTERVAL)
        client.SCAN_INTERVAL = 60

    def test_b200_the_same_number_for_another_socket(self):
        # Each connection is closed and the next gets its number; also with digests and redirects.
        close = "Connection: close\r\n"
        for _ in range(10):
            self.script([response(status="302 Found", headers=close + "Location: /x\r\n"),
                         ScriptedServer.CLOSE],
                        [response(status="401 Unauthorized", headers=close + "WWW-Authenticate: "
                                  'Digest realm="r", nonce="n", qop="auth"\r\n'),
                         ScriptedServer.CLOSE],
                        [response(b"there", headers=close), ScriptedServer.CLOSE])
            with LogCatcher() as records:
                self.assertEqual(self.fetch_ok(auth_username="me", auth_password="x",
                                               auth_mode="digest").body, b"there")
            self.assertEqual(records, [])

    def test_b200_a_socket_that_was_forgotten_is_not_in_the_way(self):
        # Its server closes it while it is idle, and other sockets get its number.
        server = self.script(response(), response())
        self.fetch_ok()
        server.streams[0].close()
        self.turn(0.01, 3)
        self.assertEqual(self.client._sockets.wanted(), [])
        for _ in range(3):
            self.serve(echo)
            self.assertEqual(self.fetch_ok(method="POST", body=b"x").body, b"x")

    def test_b201_a_timer_of_nothing(self):
        client = self.make_client()
        client._multi.close()
        multi = client._multi = FakeMulti(-1)
        client._on_timer_wanted(-1)
        self.assertIsNone(client._timer)
        for _ in range(3):
            client._on_timer_wanted(0)
        # Not within the call, and once for all calls.
        self.assertEqual(multi.actions, [])
        self.turn(0, 3)
        self.assertEqual(multi.actions, [(pycurl.SOCKET_TIMEOUT, 0)])
        self.assertIsNone(client._timer)
        client._on_timer_wanted(60000)
        self.assertIsNotNone(client._timer)
        client._on_timer_wanted(-1)
        self.assertIsNone(client._timer)

    def test_b202_a_timer_that_fires_too_early_for_libcurl(self):
        client = self.make_client()
        client._multi.close()
        multi = client._multi = FakeMulti(1)
        client._on_timer_wanted(1)
        # It said once when it wants to be called; it says so again only when asked.
        self.run_until(lambda: len(multi.actions) == 3)
        multi.milliseconds = -1
        self.turn(0.01, 3)
        self.assertIsNone(client._timer)
        self.assertLessEqual(len(multi.actions), 4)

    def test_b203_events_that_are_lost(self):
        client.SCAN_INTERVAL = 0.05
        waiting = Waiting()
        self.serve(waiting)
        responses = []
        self.client.fetch(self.url(), responses.append)
        self.run_until(lambda: waiting.requests)
        for fd in self.client._sockets.wanted():
            self.client._sockets._forget(fd)
        answer(waiting.requests.pop())
        self.run_until(lambda: responses)
        self.assertEqual(responses[0].body, b"ok")

    def test_b204_a_libcurl_that_blocks_is_told_of(self):
        real = pycurl.version_info
        without = list(real())
        without[4] &= ~pycurl.VERSION_ASYNCHDNS
        self.addCleanup(setattr, pycurl, "version_info", real)
        pycurl.version_info = lambda: tuple(without)
        with LogCatcher() as records:
            self.make_client()
        self.assertEqual([record.levelno for record in records], [logging.WARNING])

    def test_b206_no_signals(self):
        set_ = []

        class Curl(object):
            def setopt(self, option, value):
                set_.append((option, value))

        request = HTTPRequest("http://127.0.0.1:9/", prepare_curl_callback=set_.append)
        request.complete(self.client.defaults)
        curl = Curl()
        CurlFetch(self.client, request, None, 0).configure(curl)
        self.assertIn((pycurl.NOSIGNAL, 1), set_)
        # The callback of the request is called last, so it can override options.
        self.assertIs(set_[-1], curl)
        del set_[:]
        request = HTTPRequest("https://127.0.0.1:9/")
        request.complete(self.client.defaults)
        CurlFetch(self.client, request, None, 0).configure(curl)
        self.assertIn((pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2), set_)

    def test_b192_close_gives_everything_back(self):
        self.serve()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        client = self.make_client()
        self.fetch_ok(client=client)
        client.close()
        names = [type(thing).__name__ for thing in gc.get_objects()]
        self.assertEqual(names.count("CurlTransfer"), 0)

    def test_b212_made_and_closed(self):
        for _ in range(20):
            self.make_client().close()
        client = self.make_client()
        client.close()
        client.close()

    def test_on_a_system_without_epoll(self):
        client = self.make_client()
        client._sockets.close()
        sockets = client._sockets = LoopSockets(self.loop, client._on_ready)
        client._multi.setopt(pycurl.M_SOCKETFUNCTION, sockets.change)
        self.serve(echo)
        responses = []
        for _ in range(30):
            client.fetch(self.url(), responses.append, method="POST", body=b"x" * 100000)
        self.run_until(lambda: len(responses) == 30)
        self.assertEqual(set(len(response_.body) for response_ in responses), set([100000]))
        self.script([response(headers="Connection: close\r\n"), ScriptedServer.CLOSE],
                    response(b"2"))
        self.fetch_ok(client=client)
        self.assertEqual(self.fetch_ok(client=client).body, b"2")
        client.close()
        self.assertEqual(sockets.wanted(), [])

    def test_a_loop_that_ends_first(self):
        loop = IOLoop(make_current=False)
        client = AsyncHTTPClient(io_loop=loop)
        other = self.client_class(io_loop=loop)
        self.assertIsNot(client, other)
        other.close()
        client.close()
        loop.close()


@needs_curl
class HandleTest(CurlCase):
    """Handles are reused, without options left over from an earlier request."""
    options = {"max_clients": 1}

    def seen_by(self, *fetches):
        """The heads of the requests, made one after another on one handle."""
        self.script(*[response() for _ in fetches])
        for options in fetches:
            self.fetch_ok(**options)
        self.assertEqual(len(self.client._free), 1)
        return self.server.heads

    def test_a048_b208_nothing_of_a_request_is_left_in_its_handle(self):
        host, port = self.script().address
        secret = base64.b64encode(b"me:secret")
        loud = dict(
            proxy_host=host, user_agent="loud/1", headers={"X-Mine": "1"}, method="PUT",
            body=b"data", proxy_username="me", proxy_password="secret", auth_username="me",
            auth_password="secret", decompress_response=False, network_interface="127.0.0.1")
        self.script(response(), response())
        self.fetch_ok("http://example.test/", **dict(loud, proxy_port=self.server.address[1]))
        self.fetch_ok()
        first, second = self.server.heads
        self.assertTrue(first.startswith(b"PUT http://example.test/ HTTP/1.1\r\n"), first)
        self.assertEqual(first.count(secret), 2)
        self.assertTrue(second.startswith(b"dataGET / HTTP/1.1\r\n")
                        or second.startswith(b"GET / HTTP/1.1\r\n"), second)
        for word in (b"Authorization", secret, b"X-Mine", b"loud", b"Content-"):
            self.assertNotIn(word, second)
        self.assertIn(b"Accept-Encoding: gzip", second)

    def test_a048_decompress_response_counts_for_its_request_only(self):
        first, second, third = self.seen_by({}, {"decompress_response": False}, {})
        self.assertIn(b"Accept-Encoding", first)
        self.assertNotIn(b"Accept-Encoding", second)
        self.assertEqual(third, first)

    def test_a048_a_client_certificate_is_for_its_request_only(self):
        context = ssl_options_to_context(SERVER_OPTIONS)
        context.load_verify_locations(CA)
        context.verify_mode = 1     # ssl.CERT_OPTIONAL
        seen = []

        def on_request(request):
            seen.append(bool(request.get_ssl_certificate()))
            answer(request)

        self.serve(on_request, ssl_options=context)
        url = self.url(scheme="https", host="localhost")
        self.fetch_ok(url, ca_certs=CA, client_cert=CERT, client_key=KEY)
        self.fetch_ok(url, ca_certs=CA)
        self.assertEqual(seen, [True, False])

    def test_b205_errors_before_anything_is_sent(self):
        def raises(curl):
            raise KeyError("in the callback")

        def wrong(curl):
            curl.setopt(pycurl.URL, 17)

        self.serve()
        for prepare in (raises, wrong):
            error = self.fetch_error(HTTPTransferError, prepare_curl_callback=prepare)
            self.assertEqual(error.phase, "request")
            self.assertIsNotNone(error.real_error)
            self.assertEqual(len(self.client._free), 1)
            # The next fetch can run.
            self.fetch_ok()

    def test_b207_what_libcurl_adds_by_itself(self):
        body = b"x" * 2000000
        self.script(response(), response(headers="Connection: close\r\n"))
        self.fetch_ok()
        self.fetch_ok(headers={"Accept": "text/plain", "X-Empty": "", "Host": "other.test",
                               "Content-Type": "a/b"}, method="POST", body=b"")
        first, second = self.server.heads
        for name in (b"Expect", b"Pragma", b"Content-Type", b"Content-Length"):
            self.assertNotIn(name, first)
        for line in (b"Accept: text/plain", b"X-Empty:", b"Host: other.test",
                     b"Content-Type: a/b", b"Content-Length: 0"):
            self.assertIn(line + b"\r\n", second)
        self.assertEqual(second.count(b"Host:"), 1)
        seen = []
        self.serve(lambda request: (seen.append(request), answer(request)))
        self.fetch_ok(method="POST", body=body)
        self.assertEqual(seen[0].headers.get("Expect"), None)
        self.assertEqual(len(seen[0].body), 2000000)

    def test_b209_callbacks_of_the_application(self):
        def raises(data):
            raise KeyError("in the callback")

        for name in ("streaming_callback", "header_callback"):
            self.script(response(b"abc"), response())
            caught = []
            with ExceptionStackContext(lambda kind, error, tb: caught.append(kind) or True):
                self.fetch_error(HTTPTransferError, **{name: raises})
            self.fetch_ok()

    def test_b210_bodies_that_are_sent_again(self):
        seen = []

        def on_request(request):
            seen.append((request.method, request.path, request.body))
            if request.path == "/":
                answer(request, b"", 307, "Temporary Redirect", Location="/there")
            elif "Authorization" not in request.headers:
                answer(request, b"", 401, "Unauthorized", WWW_Authenticate=(
                    'Digest realm="r", nonce="n", qop="auth"'))
            else:
                answer(request)

        self.serve(on_request)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            del seen[:]
            self.fetch_ok(method=method, body=b"a\0b", auth_username="me", auth_password="x",
                          auth_mode="digest")
            self.assertEqual(seen[-1], (method, "/there", b"a\0b"))
        error = self.fetch_error(HTTPTransferError, method="HEAD", body=b"x",
                                 allow_nonstandard_methods=True)
        self.assertIn("libcurl cannot send a body with HEAD", str(error))

    def test_a_get_with_a_body(self):
        self.serve(lambda request: answer(request, request.method.encode("ascii") + request.body))
        self.assertEqual(self.fetch_ok(method="GET", body=b"x",
                                       allow_nonstandard_methods=True).body, b"GETx")

    def test_what_libcurl_may_not_fetch(self):
        for place in ("file:///etc/hostname", "ftp://127.0.0.1:1/"):
            self.script(response(status="302 Found", headers="Location: %s\r\n" % place))
            for option, value in ((pycurl.FOLLOWLOCATION, 1), (pycurl.URL, place)):
                error = self.fetch_error(
                    CurlError, follow_redirects=False,
                    prepare_curl_callback=lambda curl: curl.setopt(option, value))
                self.assertEqual(error.errno, pycurl.E_UNSUPPORTED_PROTOCOL)

    def test_a_finished_fetch_leaves_nothing(self):
        self.script(response(), response(status="302 Found", headers="Location: /\r\n"),
                    response(), [ScriptedServer.CLOSE], [ScriptedServer.CLOSE])

        def count():
            names = [type(thing).__name__ for thing in gc.get_objects()]
            return [names.count(name) for name in ("CurlFetch", "HTTPResponse", "MessageBody")]

        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = count()
        self.fetch_ok()
        self.fetch_ok()
        # libcurl repeats it on a new connection.
        self.fetch_error(HTTPStreamClosedError)
        self.assertEqual(len(self.server.heads), 5)
        self.assertEqual(count(), before)

    def test_b211_a_thousand(self):
        most = [0]
        self.serve()
        client = self.make_client(max_clients=100)
        responses = []

        def on_response(response):
            responses.append(response.code)
            most[0] = max(most[0], client.statistics()["active"])

        for _ in range(1000):
            client.fetch(self.url(), on_response)
        self.run_until(lambda: len(responses) == 1000)
        self.assertEqual(set(responses), set([200]))
        self.assertLessEqual(most[0], 100)
        self.assertLessEqual(client.statistics()["connects"], 110)


@needs_curl
class OptionsTest(CurlCase):
    def test_what_it_cannot_do(self):
        context = ssl_options_to_context({"ca_certs": CA}, server_side=False)
        for options in (dict(ssl_options=context), dict(ssl_options={"ssl_version": 99}),
                        dict(ssl_options={"nonsense": 1}), dict(proxy_host="127.0.0.1"),
                        dict(proxy_host="x://127.0.0.1", proxy_port=1),
                        dict(proxy_auth_mode="handshake")):
            self.assertRaises(ValueError, self.client.fetch, "https://127.0.0.1:9/", None,
                              **options)
        self.assertRaises(ValueError, self.make_client, max_clients=0)

    def test_no_proxy_of_the_environment(self):
        for name in ("http_proxy", "no_proxy"):
            self.addCleanup(os.environ.pop, name, None)
        os.environ["http_proxy"] = "http://127.0.0.1:1"
        self.serve()
        self.fetch_ok()
        # A proxy that the request names is used in spite of no_proxy.
        os.environ["no_proxy"] = "*"
        host, port = self.server.address
        self.fetch_ok("http://example.test/", proxy_host=host, proxy_port=port)

    def test_the_digest_of_a_proxy(self):
        self.script(
            response(b"who?", "407 Proxy Authentication Required",
                     'Proxy-Authenticate: Digest realm="r", nonce="n1", qop="auth"\r\n'),
            response(b"passed"))
        host, port = self.server.address
        self.assertEqual(self.fetch_ok(
            "http://example.test/", proxy_host=host, proxy_port=port, proxy_username="me",
            proxy_password="x", proxy_auth_mode="digest").body, b"passed")
        self.assertIn(b"Proxy-Authorization: Digest", self.server.heads[1])

    def test_a_socks_proxy(self):
        asked = []

        def on_stream(stream, address):
            self.server.streams.append(stream)
            stream.read_bytes(2, lambda begin: stream.read_bytes(
                bytearray(begin)[1], lambda methods: on_greeting(stream)))

        def on_greeting(stream):
            stream.write(b"\x05\x00")
            stream.read_bytes(5, lambda begin: stream.read_bytes(
                bytearray(begin)[4] + 2, lambda rest: on_place(stream, rest)))

        def on_place(stream, place):
            asked.append(place[:-2])
            stream.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
            stream.read_until(b"\r\n\r\n", lambda head: stream.write(response(b"by socks")))

        self.script().handle_stream = on_stream
        host, port = self.server.address
        self.assertEqual(self.fetch_ok("http://example.test/", proxy_host="socks5h://" + host,
                                       proxy_port=port).body, b"by socks")
        self.assertEqual(asked, [b"example.test"])

    def test_a_network_interface_by_name(self):
        self.serve()
        self.fetch_ok(network_interface="lo")
        error = self.fetch_error(HTTPConnectError, client=self.make_client(),
                                 network_interface="no-such-interface")
        self.assertEqual(error.phase, "connect")

    def test_a_path_stays_as_it_is(self):
        self.serve(lambda request: answer(request, request.uri.encode("ascii")))
        self.assertEqual(self.fetch_ok("/a/../b/./c").body, b"/a/../b/./c")

    def test_an_error_has_the_number_of_libcurl(self):
        error = self.fetch_error(CurlError, "http://127.0.0.1:%d/" % services.free_port())
        self.assertEqual(error.errno, pycurl.E_COULDNT_CONNECT)
        self.serve(Waiting())
        error = self.fetch_error(CurlTimeoutError, request_timeout=0.02)
        self.assertEqual(error.errno, pycurl.E_OPERATION_TIMEDOUT)

    def test_connected_in_time(self):
        waiting = Waiting()
        self.serve(waiting)
        responses = []
        self.client.fetch(self.url(), responses.append, connect_timeout=0.02)
        self.run_until(lambda: waiting.requests)
        self.turn(0.02, 5)
        self.assertEqual(responses, [])
        answer(waiting.requests.pop())
        self.run_until(lambda: responses)
        times = responses[0].time_info
        self.assertGreater(times["namelookup"], 0)
        self.assertGreaterEqual(times["connect"], times["namelookup"])
        self.assertGreaterEqual(times["starttransfer"], times["connect"])
        self.assertGreaterEqual(times["total"], times["starttransfer"])

    def test_trailers_are_no_head(self):
        self.script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
                    b"X-Trailer: 1\r\nContent-Length: 7\r\n\r\n")
        response_ = self.fetch_ok()
        self.assertEqual(response_.body, b"abc")
        self.assertNotIn("X-Trailer", response_.headers)


@needs_curl
@services.needs(services.Nginx)
class BlockingTest(unittest.TestCase):
    def test_b194_the_client_that_blocks(self):
        url = "http://127.0.0.1:%d" % services.shared(services.Nginx).port
        with httpclient.HTTPClient(CurlAsyncHTTPClient, max_body_size=1000) as client:
            for _ in range(2):
                self.assertEqual(client.fetch(url + "/hello").body, b"Hello, world!")
            self.assertRaises(HTTPError, client.fetch, url + "/none")
            self.assertRaises(httpclient.HTTPProtocolError, client.fetch, url + "/long")


@needs_curl
@services.needs(services.Nginx)
class HTTP2Test(CurlCase):
    def test_http2_where_the_server_has_it(self):
        nginx = services.shared(services.Nginx)
        if not pycurl.version_info()[4] & pycurl.VERSION_HTTP2:
            self.skipTest("this libcurl has no HTTP/2")
        url = "https://localhost:%d/" % nginx.tls_ports["http2"]
        lines = []
        response_ = self.fetch_ok(url + "protocol", ca_certs=CA, header_callback=lines.append)
        self.assertEqual(response_.body, b"HTTP/2.0")
        self.assertTrue(lines[0].startswith("HTTP/2 200"), lines)
        self.assertEqual((response_.code, response_.reason), (200, "OK"))
        self.assertIn("Content-Type", response_.headers)
        responses = []
        for _ in range(20):
            self.client.fetch(url + "long", responses.append, ca_certs=CA)
        self.run_until(lambda: len(responses) == 20)
        self.assertEqual(set(response_.body for response_ in responses),
                         set([b"0123456789" * 100000]))
        self.assertEqual(self.fetch(url + "large", method="POST", body=b"x" * 11,
                                    ca_certs=CA).code, 413)
        self.assertEqual(self.fetch_ok(url + "old", ca_certs=CA).body, b"Hello, world!")


if __name__ == "__main__":
    unittest.main()
