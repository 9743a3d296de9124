# coding: utf-8
"""The simple client: its queue, its pool, its time, and what only it promises."""
from __future__ import absolute_import, division, print_function

import gc
import os
import shutil
import socket
import tempfile

from friendserve.httpclient import (
    AsyncHTTPClient, HTTPConnectError, HTTPProtocolError, HTTPStreamClosedError, HTTPTimeoutError,
    HTTPTransferError)
from friendserve.ioloop import IOLoop
from friendserve.netutil import Resolver, bind_sockets, bind_unix_socket
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from tests import services
from tests.clientcase import ClientCase, ScriptedServer, answer, reset, response
from tests.httpcase import SERVER_OPTIONS, LogCatcher, Waiting


class SilentResolver(Resolver):
    """Never finds anything."""
    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        pass


class QueueTest(ClientCase):
    def fetch_many(self, count, client, **options):
        responses = []
        for number in range(count):
            client.fetch(self.url("/%d" % number), responses.append, **options)
        return responses

    def test_b180_first_come_first_served(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.make_client(max_clients=1)
        responses = self.fetch_many(5, client)
        for number in range(5):
            self.run_until(lambda: waiting.requests)
            request, = waiting.requests
            waiting.requests = []
            self.assertEqual(request.path, "/%d" % number)
            self.assertEqual(client.statistics()["queued"], 4 - number)
            answer(request)
            self.run_until(lambda: len(responses) == number + 1)
        self.assertEqual(client.statistics(), {
            "active": 0, "queued": 0, "open": 1, "idle": 1, "fetches": 5, "connects": 1,
            "retries": 0})

    def test_b180_sockets_of_all_hosts_together(self):
        client = self.make_client(max_clients=3)
        servers = [self.serve() for _ in range(6)]
        for server in servers + servers:
            self.fetch_ok(self.url(server=server), client=client)
            self.assertLessEqual(client.statistics()["open"], 3)
        self.assertEqual(client.statistics()["open"], 3)

    def test_limit_of_one_host_does_not_hold_up_others(self):
        slow, quick = Waiting(), Waiting()
        self.serve(slow)
        client = self.make_client(max_clients=10, max_clients_per_host=2)
        responses = self.fetch_many(5, client)
        self.serve(quick)
        self.fetch_many(1, client)
        self.run_until(lambda: len(slow.requests) == 2 and len(quick.requests) == 1)
        self.assertEqual(client.statistics()["queued"], 3)
        paths = []
        while len(responses) < 5:
            self.run_until(lambda: slow.requests)
            request = slow.requests.pop(0)
            paths.append(request.path)
            answer(request)
            self.turn(0.01, 3)
        self.assertEqual(sorted(paths), ["/%d" % number for number in range(5)])
        self.assertEqual(client._of_host, {("http", "127.0.0.1", self.server.address[1]): 1})
        self.assertEqual(client._parked, {})

    def test_b181_too_long_in_the_queue(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.make_client(max_clients=1)
        first = self.fetch_many(1, client)
        for options in (dict(connect_timeout=0.02), dict(request_timeout=0.02)):
            error = self.fetch_error(HTTPTimeoutError, "/late", client=client, **options)
            self.assertEqual((error.phase, str(error)),
                             ("queue", "HTTP 599: Timeout in request queue"))
        self.assertEqual(waiting.paths(), ["/0"])
        answer(waiting.requests.pop())
        self.run_until(lambda: first)
        self.turn(0.01, 3)
        self.assertEqual(waiting.paths(), [])

    def test_time_in_the_queue_is_not_that_of_the_request(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.make_client(max_clients=1)
        self.fetch_many(1, client)
        responses = []
        client.fetch(self.url(), responses.append, connect_timeout=0, request_timeout=0)
        begun = self.loop.time()
        self.turn(0.02, 5)
        waited = self.loop.time() - begun
        answer(waiting.requests.pop())
        self.run_until(lambda: waiting.requests)
        answer(waiting.requests.pop())
        self.run_until(lambda: responses)
        whole = self.loop.time() - begun
        times = responses[0].time_info
        self.assertGreaterEqual(times["queue"], waited)
        self.assertLessEqual(times["total"], whole - waited)
        self.assertEqual(sorted(times), sorted(
            ["queue", "namelookup", "connect", "appconnect", "pretransfer", "starttransfer",
             "total", "redirect"]))


class TimeTest(ClientCase):
    """Row B182: each phase by its name, the slot given back, the socket closed."""

    def timed_out(self, phase, url="/", client=None, **options):
        client = client or self.client
        options.setdefault("request_timeout", 0.05)
        with LogCatcher():
            error = self.fetch_error(HTTPTimeoutError, url, client=client, **options)
        self.assertEqual(error.phase, phase)
        self.assertEqual(client.statistics()["active"], 0)
        self.assertEqual(client.statistics()["open"], 0)
        return str(error)

    def test_b182_b220_while_resolving(self):
        client = self.make_client(resolver=SilentResolver(io_loop=self.loop))
        message = self.timed_out("resolve", "http://example.test/", client)
        self.assertIn("resolving", message)
        self.timed_out("resolve", "http://example.test/", client, connect_timeout=0.02,
                       request_timeout=0)

    def test_b182_while_connecting(self):
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        # So that nobody else is let in.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        self.timed_out("connect", "http://127.0.0.1:%d/" % sock.getsockname()[1],
                       connect_timeout=0.05, request_timeout=10)

    def test_b182_in_the_tls_handshake(self):
        self.script()
        self.timed_out("tls", self.url(scheme="https", host="localhost"))

    def test_b182_while_a_proxy_connects(self):
        self.script()
        host, port = self.server.address
        self.timed_out("proxy", "https://example.test/", proxy_host=host, proxy_port=port)

    def test_b182_while_sending(self):
        server = self.script()
        server.handle_stream = lambda stream, address: server.streams.append(stream)
        self.timed_out("request", method="POST", body=b"x" * 50000000)

    def test_b182_while_waiting_for_headers(self):
        self.script([], [b"HTTP/1.1 200 OK\r\nContent"])
        for _ in range(2):
            self.timed_out("headers")

    def test_b182_while_reading_the_body(self):
        self.script([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
        self.timed_out("body")

    def test_b182_after_a_redirect(self):
        self.script(response(status="302 Found", headers="Location: /x\r\n"), [])
        self.assertIn("after 1 redirect", self.timed_out("headers"))

    def test_b183_no_timeout(self):
        waiting = Waiting()
        self.serve(waiting)
        responses = []
        self.client.fetch(self.url(), responses.append, connect_timeout=0, request_timeout=0)
        self.run_until(lambda: waiting.requests)
        self.assertIsNone(self.client._sweep_timer)
        answer(waiting.requests.pop())
        self.run_until(lambda: responses)
        self.assertIsNone(responses[0].error)

    def test_one_timer_is_enough(self):
        self.serve()
        self.fetch_ok()
        before = len(self.loop._timers)
        for _ in range(20):
            self.fetch_ok()
        self.assertEqual(len(self.loop._timers), before)


class PoolTest(ClientCase):
    """Row B196."""

    def test_b196_what_connections_must_have_in_common(self):
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

    def test_b196_a_stale_connection_is_replaced_once(self):
        for method, body in (("GET", None), ("PUT", b"x"), ("DELETE", None)):
            server = self.script(response(), [ScriptedServer.CLOSE], response(b"new"))
            self.fetch_ok()
            self.assertEqual(self.fetch_ok(method=method, body=body).body, b"new")
            self.assertEqual(len(server.streams), 2)
        self.assertEqual(self.client.statistics()["retries"], 3)

    def test_b196_but_not_twice(self):
        server = self.script(response(), [ScriptedServer.CLOSE], [ScriptedServer.CLOSE])
        self.fetch_ok()
        self.fetch_error(HTTPStreamClosedError)
        self.assertEqual(len(server.heads), 3)

    def test_b196_nor_when_something_came(self):
        server = self.script(response(), [b"HTTP/1.1 2", ScriptedServer.CLOSE])
        self.fetch_ok()
        self.fetch_error(HTTPStreamClosedError)
        self.assertEqual(len(server.heads), 2)

    def test_b196_nor_what_must_not_be_done_twice(self):
        server = self.script(response(), [ScriptedServer.CLOSE])
        self.fetch_ok()
        self.fetch_error(HTTPStreamClosedError, method="POST", body=b"x")
        self.assertEqual(len(server.heads), 2)

    def test_b196_before_a_post_the_connection_is_looked_at(self):
        server = self.script(response(), response(b"new"))
        self.fetch_ok()
        server.streams[0].close()
        # The loop has not seen it yet, the system has.
        self.assertEqual(self.client.statistics()["idle"], 1)
        self.assertEqual(self.fetch_ok(method="POST", body=b"x").body, b"new")

    def test_b196_never_after_what_nobody_asked_for(self):
        for more in (b"more", response(b"evil")):
            server = self.script([response(b"1") + more], response(b"2"))
            self.assertEqual(self.fetch_ok().body, b"1")
            self.assertEqual(self.fetch_ok().body, b"2")
            self.assertEqual(len(server.streams), 2)

    def test_b196_nor_after_bytes_on_an_idle_connection(self):
        server = self.script(response(b"1"), response(b"2"))
        self.fetch_ok()
        server.streams[0].write(response(b"evil"))
        self.run_until(lambda: not self.client.statistics()["idle"])
        self.assertEqual(self.fetch_ok().body, b"2")

    def test_b196_nor_with_an_answer_before_the_end_of_the_request(self):
        server = self.script(response(b"early"), response(b"2"))

        def produce(write):
            write(b"x")
            return write

        self.assertEqual(self.fetch_ok(method="POST", body_producer=produce).body, b"early")
        self.assertEqual(self.client.statistics()["open"], 0)
        self.assertEqual(self.fetch_ok().body, b"2")
        self.assertEqual(len(server.streams), 2)

    def test_connection_close(self):
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
    def test_phases_of_errors(self):
        error = self.fetch_error(HTTPConnectError, "http://127.0.0.1:%d/" % services.free_port())
        self.assertEqual(error.phase, "connect")
        self.assertIsInstance(error.real_error, socket.error)
        with LogCatcher():
            error = self.fetch_error(HTTPConnectError, "http://no-such-host.invalid/")
        self.assertEqual(error.phase, "resolve")
        self.script(b"garbage\r\n\r\n")
        self.assertEqual(self.fetch_error(HTTPProtocolError).phase, "headers")
        self.script([response(b"ok")[:-1], ScriptedServer.CLOSE])
        self.assertEqual(self.fetch_error(HTTPStreamClosedError).phase, "body")

    def test_b185_more_than_ten_interim_responses(self):
        early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        self.script(11 * early + response())
        error = self.fetch_error(HTTPProtocolError)
        self.assertIn("1xx", str(error))
        # A052: no recursion either.
        self.script(100000 * early)
        self.fetch_error(HTTPProtocolError)

    def test_a140_contradictions(self):
        for head in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
                     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3",
                     b"HTTP/1.1 204 No Content\r\nContent-Length: 2",
                     b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x",
                     b"HTTP/2.0 200 OK\r\nContent-Length: 2"):
            self.script(head + b"\r\n\r\n")
            self.fetch_error(HTTPProtocolError)

    def test_b188_a_header_of_several_lines(self):
        self.script(response(headers="X-A: 1\r\n  2\r\n\t3\r\n"))
        self.assertEqual(self.fetch_ok().headers["X-A"], "1 2 3")

    def test_unix_socket(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "s")
        self.serve(lambda request: answer(request, request.host.encode("ascii")),
                   sock=bind_unix_socket(path))
        for _ in range(2):
            self.assertEqual(self.fetch_ok("http://example.test/", unix_socket=path).body,
                             b"example.test")
        self.assertEqual(self.client.statistics()["connects"], 1)

    if socket.has_ipv6:
        def test_ipv6(self):
            sock, = bind_sockets(0, "::1")
            self.serve(lambda request: answer(request, request.host.encode("ascii")), sock=sock)
            url = "http://[::1]:%d/" % self.server.address[1]
            self.assertEqual(self.fetch_ok(url).body, url[7:-1].encode("ascii"))
            self.fetch_error(HTTPConnectError, url, allow_ipv6=False, client=self.make_client())

    def test_hostname_mapping(self):
        self.serve()
        client = self.make_client(hostname_mapping={"example.test": "127.0.0.1"})
        self.fetch_ok(self.url(host="example.test"), client=client)
        self.assertEqual(client.statistics()["connects"], 1)

    def test_what_needs_curl(self):
        for options in (dict(proxy_host="socks5://127.0.0.1", proxy_port=1080),
                        dict(proxy_host="127.0.0.1"),
                        dict(proxy_host="127.0.0.1", proxy_port=1, proxy_username="a",
                             proxy_auth_mode="digest"),
                        dict(network_interface="eth0")):
            self.assertRaises(ValueError, self.client.fetch, "http://127.0.0.1:9/", None,
                              **options)

    def test_idna_and_other_characters(self):
        seen = []

        def on_request(request):
            seen.append((request.uri, request.host_name))
            answer(request)

        self.serve(on_request)
        client = self.make_client(hostname_mapping={"xn--bcher-kva.test": "127.0.0.1"})
        self.fetch_ok(u"http://bücher.test:%d/é?ü#x" % self.server.address[1], client=client)
        self.assertEqual(seen, [("/%C3%A9?%C3%BC", "xn--bcher-kva.test")])

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

    def test_b193_a_client_goes_with_its_loop(self):
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
        self.fetch_ok()
        self.fetch_ok()
        self.fetch_error(HTTPTransferError, method="POST", body=b"")
        names = [type(thing).__name__ for thing in gc.get_objects()]
        for name in ("Fetch", "HTTPResponse", "Connecting", "MessageBody"):
            self.assertEqual(names.count(name), 0, name)


class EveryKindTest(ClientCase):
    """Row B172: success, refusal, time-out, redirect and reset, again and again."""
    COUNT = 10000

    def setUp(self):
        super(EveryKindTest, self).setUp()
        silent, resets = self.script(), self.script()
        silent.handle_stream = lambda stream, address: stream.read_until_close()
        resets.handle_stream = lambda stream, address: stream.read_until(
            b"\r\n\r\n", lambda head: reset(stream))
        self.serve(lambda request: (
            answer(request, b"", 302, "Found", Location="/x") if request.path == "/redirect"
            else answer(request)))
        self.kinds = [
            (self.url(), 200, {}),
            ("http://127.0.0.1:%d/" % services.free_port(), 599, {}),
            (self.url(server=silent), 599, {"request_timeout": 0.01}),
            (self.url("/redirect"), 200, {}),
            (self.url(server=resets), 599, {})]
        self.wrong = []
        self.client = self.make_client(max_clients=50)

    def fetch_all(self, count):
        """So many fetches, 50 at a time; returns how often each was called back."""
        calls = [0] * count
        begun = iter(range(count))

        def fetch():
            for number in begun:
                url, code, options = self.kinds[number % len(self.kinds)]
                self.client.fetch(url, lambda response: called(number, code, response), **options)
                break

        def called(number, code, response):
            calls[number] += 1
            if response.code != code:
                self.wrong.append(response)
            fetch()

        for _ in range(50):
            fetch()
        self.run_until(lambda: all(calls))
        self.turn(0.01, 5)
        return calls

    def count_things(self):
        """Open files and living objects, when nothing goes on."""
        while self.client._pool.evict():
            pass
        self.turn(0.01, 5)
        gc.collect()
        fds = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else ()
        return len(fds), len(gc.get_objects())

    def test_b172_ten_thousand_fetches(self):
        with LogCatcher():
            self.fetch_all(100)
            before = self.count_things()
            calls = self.fetch_all(self.COUNT)
            fds, objects = self.count_things()
        self.assertEqual(self.wrong, [])
        self.assertEqual(set(calls), set([1]))
        self.assertLessEqual(fds, before[0])
        # Not one for each fetch, nor for each of a kind.
        self.assertLess(objects - before[1], self.COUNT // 20)


class SlowServerTest(ClientCase):
    def test_tls_server_in_pieces(self):
        self.serve(lambda request: answer(request, b"x" * 300000), ssl_options=SERVER_OPTIONS)
        self.assertEqual(len(self.fetch_ok(self.url(scheme="https", host="localhost"),
                                           validate_cert=False).body), 300000)
