# coding: utf-8
"""The simple client: its queue, pool and timeouts, and promises that only it makes."""
from __future__ import absolute_import, division, print_function

import gc
import socket

from friendserve.httpclient import (
    AsyncHTTPClient, HTTPRequest, HTTPStreamClosedError, HTTPTimeoutError, HTTPTransferError)
from friendserve.ioloop import IOLoop
from friendserve.netutil import Resolver, ssl_options_to_context
from friendserve.protocol.urls import parse_url
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from tests.clientcase import ClientCase, ScriptedServer, answer, response
from tests.httpcase import CA, SERVER_OPTIONS


class SilentResolver(Resolver):
    """A resolver that never answers."""
    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        pass


class QueueTest(ClientCase):
    def test_b180_max_clients_limits_the_sockets_to_all_hosts(self):
        client = self.make_client(max_clients=3)
        servers = [self.serve() for _ in range(6)]
        for server in servers + servers:
            self.fetch_ok(self.url(server=server), client=client)
            self.assertLessEqual(client.statistics()["open"], 3)
        self.assertEqual(client.statistics()["open"], 3)


class TimeTest(ClientCase):
    def test_b182_b220_while_resolving(self):
        client = self.make_client(resolver=SilentResolver(io_loop=self.loop))
        for options in (dict(request_timeout=0.05), dict(connect_timeout=0.02, request_timeout=0)):
            error = self.fetch_error(HTTPTimeoutError, "http://example.test/", client=client,
                                     **options)
            self.assertEqual(error.phase, "resolve")
            self.assertIn("resolving", str(error))
            self.assertEqual(client.statistics()["active"], 0)
            self.assertEqual(client.statistics()["open"], 0)

    def test_one_timer_is_enough(self):
        self.serve()
        self.fetch_ok()
        before = len(self.loop._timers)
        for _ in range(20):
            self.fetch_ok()
        self.assertEqual(len(self.loop._timers), before)


class PoolTest(ClientCase):
    """Which connections are kept and reused (row B196)."""

    def test_b196_connections_are_shared_by_equal_host_proxy_and_interface_only(self):
        self.serve()
        port = self.server.address[1]
        for host, options in (("127.0.0.1", {}), ("localhost", {}),
                              ("127.0.0.1", dict(network_interface="127.0.0.1")),
                              ("127.0.0.1", dict(proxy_host="127.0.0.1", proxy_port=port)),
                              ("127.0.0.1", dict(proxy_host="127.0.0.1", proxy_port=port,
                                                 proxy_username="me"))):
            before = self.client.statistics()["connects"]
            for _ in range(2):
                self.fetch_ok(self.url(host=host), **options)
            self.assertEqual(self.client.statistics()["connects"], before + 1, options)

    def keys(self, origins, ways):
        return [self.client.key_of(parse_url(origin), HTTPRequest(
            origin, **dict({"validate_cert": True}, **options)))
            for origin in origins for options in ways]

    def test_a695_connections_are_not_shared_by_different_origins(self):
        plain = ["http://a", "http://b", "http://a:443"]
        tls = ["https://a", "https://b", "https://a:80"]
        proxy = {"proxy_host": "proxy", "proxy_port": 1}
        proxies = [proxy] + [dict(proxy, proxy_username=name) for name in ("me", "you")]
        keys = self.keys(plain + tls, [
            {}, {"network_interface": "127.0.0.1"}, {"unix_socket": "/a"}, {"unix_socket": "/b"}])
        keys += self.keys(tls, proxies + [{"validate_cert": False}])
        self.assertEqual(36, len(keys))
        self.assertEqual(36, len(set(keys)))
        # A proxy gets plain requests to all origins on one connection.
        shared = set(self.keys(plain, proxies))
        self.assertEqual(3, len(shared))
        self.assertEqual(set(), shared.intersection(keys))

    def test_a695_with_an_interface_each_origin_has_its_connection(self):
        first, second = self.script(response(b"1")), self.script(response(b"2"))
        for server, body in ((first, b"1"), (second, b"2")):
            self.assertEqual(body, self.fetch_ok(self.url(server=server),
                                                 network_interface="127.0.0.1").body)

    def test_b196_a_request_is_repeated_when_its_kept_connection_was_closed(self):
        for method, body in (("GET", None), ("PUT", b"x"), ("DELETE", None)):
            server = self.script(response(), [ScriptedServer.CLOSE], response(b"new"))
            self.fetch_ok()
            self.assertEqual(self.fetch_ok(method=method, body=body).body, b"new")
            self.assertEqual(len(server.streams), 2)
        self.assertEqual(self.client.statistics()["retries"], 3)

    def test_b196_a_request_is_repeated_once_at_most(self):
        server = self.script(response(), [ScriptedServer.CLOSE], [ScriptedServer.CLOSE])
        self.fetch_ok()
        self.fetch_error(HTTPStreamClosedError)
        self.assertEqual(len(server.heads), 3)

    def test_b196_a_request_is_not_repeated_after_part_of_a_response(self):
        server = self.script(response(), [b"HTTP/1.1 2", ScriptedServer.CLOSE])
        self.fetch_ok()
        self.fetch_error(HTTPStreamClosedError)
        self.assertEqual(len(server.heads), 2)

    def test_b196_a_post_is_not_repeated(self):
        server = self.script(response(), [ScriptedServer.CLOSE])
        self.fetch_ok()
        self.fetch_error(HTTPStreamClosedError, method="POST", body=b"x")
        self.assertEqual(len(server.heads), 2)

    def test_b196_a_post_checks_first_whether_its_connection_was_closed(self):
        server = self.script(response(), response(b"new"))
        self.fetch_ok()
        server.streams[0].close()
        # The loop has not noticed the close yet, but the system has.
        self.assertEqual(self.client.statistics()["idle"], 1)
        self.assertEqual(self.fetch_ok(method="POST", body=b"x").body, b"new")

    def test_b196_a_connection_with_bytes_after_the_response_is_not_kept(self):
        for more in (b"more", response(b"evil")):
            server = self.script([response(b"1") + more], response(b"2"))
            self.assertEqual(self.fetch_ok().body, b"1")
            self.assertEqual(self.fetch_ok().body, b"2")
            self.assertEqual(len(server.streams), 2)

    def test_b196_an_idle_connection_that_receives_bytes_is_not_used_again(self):
        server = self.script(response(b"1"), response(b"2"))
        self.fetch_ok()
        server.streams[0].write(response(b"evil"))
        self.run_until(lambda: not self.client.statistics()["idle"])
        self.assertEqual(self.fetch_ok().body, b"2")

    def test_b196_a_connection_answered_before_the_end_of_the_request_is_not_kept(self):
        server = self.script(response(b"early"), response(b"2"))

        def produce(write):
            write(b"x")
            return write

        self.assertEqual(self.fetch_ok(method="POST", body_producer=produce).body, b"early")
        self.assertEqual(self.client.statistics()["open"], 0)
        self.assertEqual(self.fetch_ok().body, b"2")
        self.assertEqual(len(server.streams), 2)

    def test_connection_close_is_not_kept(self):
        for headers in ("Connection: close\r\n", "Connection: x, Close\r\n"):
            server = self.script(response(headers=headers), response())
            self.fetch_ok()
            self.fetch_ok()
            self.assertEqual(len(server.streams), 2)

    def test_idle_connections_expire(self):
        server = self.script(response(), response())
        client = self.make_client(idle_connection_timeout=0.05)
        self.fetch_ok(client=client, request_timeout=0.1)
        self.assertEqual(client.statistics()["idle"], 1)
        self.run_until(lambda: not client.statistics()["open"])
        self.run_until(lambda: server.streams[0].closed())
        client = self.make_client(idle_connection_timeout=0)
        self.fetch_ok(client=client)
        self.assertEqual(client.statistics()["open"], 0)


class SimpleClientTest(ClientCase):
    def test_b188_a_header_of_several_lines(self):
        self.script(response(headers="X-A: 1\r\n  2\r\n\t3\r\n"))
        self.assertEqual(self.fetch_ok().headers["X-A"], "1 2 3")

    def test_what_needs_curl(self):
        for options in (dict(proxy_host="socks5://127.0.0.1", proxy_port=1080),
                        dict(proxy_host="127.0.0.1"),
                        dict(proxy_host="127.0.0.1", proxy_port=1, proxy_username="a",
                             proxy_auth_mode="digest"),
                        dict(network_interface="eth0")):
            self.assertRaises(ValueError, self.client.fetch, "http://127.0.0.1:9/", None,
                              **options)

    def test_an_ssl_context(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        context = ssl_options_to_context({"ca_certs": CA}, server_side=False)
        self.fetch_ok(self.url(scheme="https", host="localhost"), ssl_options=context)

    def test_nextnonce_is_used(self):
        self.script(
            response(status="401 Unauthorized",
                     headers='WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"\r\n'),
            response(headers='Authentication-Info: nextnonce="n2"\r\n'), response())
        for _ in range(2):
            self.fetch_ok(auth_username="me", auth_password="x", auth_mode="digest")
        self.assertIn(b'nonce="n1"', self.server.heads[1])
        self.assertIn(b'nonce="n2"', self.server.heads[2])
        self.assertIn(b"nc=00000001", self.server.heads[2])

    def test_b192_close_gives_everything_back(self):
        self.script(response(), [], [])
        client = self.make_client(max_clients=1)
        self.fetch_ok(client=client)
        responses = []
        for _ in range(2):
            client.fetch(self.url(), responses.append)
        client.close()
        client.close()
        self.run_until(lambda: len(responses) == 2)
        self.assertEqual(sorted(r.error.phase for r in responses), ["headers", "queue"])
        self.assertEqual(client.statistics()["open"], 0)
        self.assertRaises(RuntimeError, client.fetch, self.url(), self.fail)

    def test_b193_a_client_is_freed_with_its_loop(self):
        loop = IOLoop(make_current=False)
        client = AsyncHTTPClient(io_loop=loop)
        self.assertIs(AsyncHTTPClient(io_loop=loop), client)
        self.assertIsInstance(client, SimpleAsyncHTTPClient)
        loop.close()
        other = IOLoop(make_current=False)
        self.assertIsNot(AsyncHTTPClient(io_loop=other), client)
        other.close()

    def test_a_finished_fetch_leaves_nothing(self):
        self.script(response(), response(status="302 Found", headers="Location: /\r\n"),
                    response(), [ScriptedServer.CLOSE])
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = [type(thing).__name__ for thing in gc.get_objects()]
        self.fetch_ok()
        self.fetch_ok()
        self.fetch_error(HTTPTransferError, method="POST", body=b"")
        after = [type(thing).__name__ for thing in gc.get_objects()]
        for name in ("Fetch", "HTTPResponse", "Connecting", "MessageBody"):
            self.assertEqual(before.count(name), after.count(name), name)


class SlowServerTest(ClientCase):
    def test_tls_server_in_pieces(self):
        self.serve(lambda request: answer(request, b"x" * 300000), ssl_options=SERVER_OPTIONS)
        self.assertEqual(len(self.fetch_ok(self.url(scheme="https", host="localhost"),
                                           validate_cert=False).body), 300000)
