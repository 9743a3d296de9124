# coding: utf-8
"""The contract of the HTTP clients: the queue, timeouts, the phase of a failure, and ten thousand
fetches of every kind."""
from __future__ import absolute_import, division, print_function

import gc
import os
import shutil
import socket
import tempfile
import unittest
import weakref

from friendserve.httpclient import (
    HTTPConnectError, HTTPProtocolError, HTTPStreamClosedError, HTTPTimeoutError)
from friendserve.netutil import bind_sockets, bind_unix_socket
from tests import services
from tests.clientcase import ScriptedServer, answer, for_each_client, reset, response
from tests.httpcase import LogCatcher, Waiting
from tests.loopcase import count_objects


class QueueContract(object):
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
        statistics = client.statistics()
        self.assertEqual([statistics[name] for name in ("active", "queued", "fetches")], [0, 0, 5])

    def test_max_clients_may_be_changed(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.make_client(max_clients=1)
        responses = self.fetch_many(4, client)
        client.max_clients = 3
        self.assertEqual(3, client.max_clients)
        self.run_until(lambda: waiting.requests)
        answer(waiting.requests.pop())
        self.run_until(lambda: len(responses) == 1 and len(waiting.requests) == 3)

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
        statistics = client.statistics()
        self.assertEqual([1, 0], [statistics["active"], statistics["queued"]])

    def test_after_the_limit_of_a_host_who_has_waited_longest_comes_next(self):
        first, second, third = Waiting(), Waiting(), Waiting()
        client = self.make_client(max_clients=2, max_clients_per_host=1)
        for server, count in ((first, 2), (second, 1), (third, 1)):
            self.serve(server)
            self.fetch_many(count, client)
        self.run_until(lambda: first.requests and second.requests)
        answer(first.requests.pop())
        self.run_until(lambda: first.requests or third.requests)
        self.assertEqual((["/1"], []), (first.paths(), third.paths()))
        answer(second.requests.pop())
        self.run_until(lambda: third.requests)

    def test_a_timeout_while_the_host_is_at_its_limit_does_not_hold_up_the_next(self):
        waiting = Waiting()
        self.serve(waiting)
        client = self.make_client(max_clients=5, max_clients_per_host=1)
        self.fetch_many(1, client)
        self.run_until(lambda: waiting.requests)
        error = self.fetch_error(HTTPTimeoutError, "/late", client=client, connect_timeout=0.02)
        self.assertEqual("queue", error.phase)
        late = []
        client.fetch(self.url("/late"), late.append, connect_timeout=0.02)
        client.fetch(self.url("/next"), late.append, connect_timeout=0)
        self.run_until(lambda: late)
        answer(waiting.requests.pop())
        self.run_until(lambda: waiting.requests)
        self.assertEqual(["/next"], waiting.paths())

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


class TimeContract(object):
    """Row B182: a timeout names its phase and frees its place in the queue."""

    def timed_out(self, phase, url="/", redirects=0, **options):
        """Make a fetch time out in a given phase, and return the phase that its error names."""
        client, responses = self.client, []
        url = self.url(url) if url == "/" else url
        with LogCatcher():
            client.fetch(url, responses.append, **options)
            fetch, = client.active
            self.run_until(lambda: fetch.phase == phase and fetch._redirects == redirects)
            self.turn(0.01, 3)
            fetch.request.request_timeout = 1e-6
            client.set_deadline(fetch, fetch.started, 1e-6)
            self.run_until(lambda: responses)
        error = responses[0].error
        self.assertIsInstance(error, HTTPTimeoutError)
        self.assertEqual((error.phase, error.code), (phase, 599))
        self.assertEqual(client.statistics()["active"], 0)
        self.assertEqual(client.statistics().get("open", 0), 0)
        return str(error)

    def test_b182_while_connecting(self):
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        # So that no further connection is accepted.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        url = "http://127.0.0.1:%d/" % sock.getsockname()[1]
        self.timed_out("connect", url)
        error = self.fetch_error(HTTPTimeoutError, url, connect_timeout=0.05, request_timeout=10)
        self.assertEqual(error.phase, "connect")

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
        self.assertIn("after 1 redirect", self.timed_out("headers", redirects=1))

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


class PhaseContract(object):
    """Other failures, and the phase they happen in."""

    def test_a_redirect_that_breaks_off_leaves_no_cycle(self):
        class Sink(object):
            def __call__(self, data):
                """Take a piece of the body."""

        gc.disable()
        self.addCleanup(gc.enable)
        self.script([b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 9\r\n\r\nx",
                     ScriptedServer.CLOSE])
        codes, sink = [], Sink()
        self.client.fetch(self.url(), lambda response: codes.append(response.code),
                          streaming_callback=sink)
        reference = weakref.ref(sink)
        del sink
        self.run_until(lambda: codes)
        self.assertEqual([599], codes)
        self.run_until(lambda: reference() is None)

    def test_phases_of_errors(self):
        error = self.fetch_error(HTTPConnectError, "http://127.0.0.1:%d/" % services.free_port())
        self.assertEqual(error.phase, "connect")
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
        # A052: and no recursion.
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


class WayContract(object):
    """Connecting: addresses, resolvers, Unix sockets."""

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

    def test_hostname_mapping(self):
        self.serve()
        client = self.make_client(hostname_mapping={"example.test": "127.0.0.1"})
        self.fetch_ok(self.url(host="example.test"), client=client)
        self.assertEqual(client.statistics()["connects"], 1)

    def test_idna_and_other_characters(self):
        seen = []

        def on_request(request):
            seen.append((request.uri, request.host_name))
            answer(request)

        self.serve(on_request)
        client = self.make_client(hostname_mapping={"xn--bcher-kva.test": "127.0.0.1"})
        self.fetch_ok(u"http://bücher.test:%d/é?ü#x" % self.server.address[1], client=client)
        self.assertEqual(seen, [("/%C3%A9?%C3%BC", "xn--bcher-kva.test")])

    if socket.has_ipv6:
        def test_ipv6(self):
            sock, = bind_sockets(0, "::1")
            self.serve(lambda request: answer(request, request.host.encode("ascii")), sock=sock)
            url = "http://[::1]:%d/" % self.server.address[1]
            self.assertEqual(self.fetch_ok(url).body, url[7:-1].encode("ascii"))
            self.fetch_error(HTTPConnectError, url, allow_ipv6=False, client=self.make_client())


class EveryKindContract(object):
    """Row B172: success, refusal, timeout, redirect and reset, again and again."""
    COUNT = 10000

    def setUp(self):
        super(EveryKindContract, self).setUp()
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

    def fetch_all(self, count):
        """Make this many fetches, 50 at a time; return how often each callback was called."""
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
        # Five hundred at a time have to end in the usual time.
        for end in range(500, count + 500, 500):
            self.run_until(lambda: all(calls[:end]))
        self.turn(0.01, 5)
        return calls

    def count_fds(self):
        self.turn(0.01, 5)
        return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    def count_objects(self):
        self.turn(0.01, 5)
        return count_objects()

    def test_b172_ten_thousand_fetches(self):
        with LogCatcher():
            fds = self.count_fds()
            self.client = self.make_client(max_clients=50)
            self.fetch_all(500)
            used, before = self.count_fds(), self.count_objects()
            calls = self.fetch_all(self.COUNT)
            objects = self.count_objects() - before
            # Idle connections, at most one for each place, with both ends.
            self.assertLessEqual(self.count_fds(), max(used, fds + 100) + 10)
            self.client.close()
            # The servers take a moment to close their ends.
            self.run_until(lambda: self.count_fds() <= fds)
        self.assertEqual(self.wrong, [])
        self.assertEqual(set(calls), set([1]))
        # Not one per fetch, nor one per fetch of some kind.
        self.assertLess(objects, self.COUNT // 20)


class Contract(QueueContract, TimeContract, PhaseContract, WayContract, EveryKindContract):
    """The whole contract of this module."""


for_each_client(globals(), Contract)

if __name__ == "__main__":
    unittest.main()
