"""B391: servers behind proxies that send the PROXY protocol, among them HAProxy."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import socket
import tempfile

from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_unix_socket
from tests import PATIENCE, services
from tests.httpcase import SERVER_OPTIONS, Client, HTTPCase, LogCatcher, answer, get
from tests.wscase import SkippingClock

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 49152 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xc0\0\1\xbb"
V2_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


class ProxyProtocolCase(HTTPCase):
    def serve_facts(self, **options):
        options.setdefault("proxy_protocol", True)
        return self.serve(lambda request: answer(
            request, ("%s %s" % (request.remote_ip, request.protocol)).encode("ascii")), **options)

    def read_facts(self, client):
        return client.read_response().body.decode("ascii")


class HeaderTest(ProxyProtocolCase):
    def test_b391_the_address_is_that_of_the_client(self):
        self.serve_facts()
        for header, wanted in ((V1, "192.0.2.7"), (V2, "192.0.2.7"), (V2_LOCAL, "127.0.0.1"),
                               (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
                               (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7")):
            client = self.connect(data=header + get())
            self.assertEqual(wanted + " http", self.read_facts(client))
            # There is one header for a connection, not one for each request.
            client.send(get())
            self.assertEqual(wanted + " http", self.read_facts(client))

    def test_b391_it_may_arrive_byte_by_byte(self):
        self.serve_facts()
        for header in (V1, V2):
            client = self.connect()
            for i in range(len(header)):
                client.send(header[i:i + 1])
                self.turn(0, 2)
            self.assertEqual(1, len(self.server._arriving) + self.server.connection_count())
            client.send(get())
            self.assertEqual("192.0.2.7 http", self.read_facts(client))
            client.close()
            self.run_until(lambda: not self.server.connection_count())

    def test_b391_an_incomplete_one_does_not_make_the_loop_spin(self):
        self.serve_facts()
        client = self.connect(data=V1[:20])
        self.run_until(lambda: self.server._arriving)
        turns = []
        self.loop.call_later(0.05, lambda: turns.append("time"))
        while "time" not in turns:
            self.turn(1)
            turns.append(1)
        self.assertLess(len(turns), 20)
        client.send(V1[20:] + get())
        self.assertEqual("192.0.2.7 http", self.read_facts(client))

    def test_b391_tls_begins_after_it(self):
        self.serve_facts(ssl_options=SERVER_OPTIONS)
        plain = self.connect
        for header in (V1, V2):
            self.connect = lambda server=None: plain(server, header)
            client = self.connect_tls(data=get())
            self.assertEqual("192.0.2.7 https", self.read_facts(client))

    def test_b391_a_malformed_one_closes_the_connection(self):
        self.serve_facts()
        for data in (get(), V1.replace(b"7", b"x", 1), V2[:12] + b"\x31" + V2[13:]):
            with LogCatcher() as records:
                client = self.connect(data=data)
                client.wait_for(lambda: client.ended)
            self.assertEqual(b"", client.data)
            self.assertEqual(1, len(records), [record.message for record in records])
            self.assertIn("127.0.0.1 refused for its PROXY header", records[0].message)
        self.assertFalse(self.server._arriving)

    def test_b391_one_that_ends_early_is_dropped(self):
        self.serve_facts()
        with LogCatcher() as records:
            self.connect(data=V1[:20]).close()
            self.connect(data=V2[:20]).abort()
            self.connect().close()
            self.turn(0.01, 5)
        self.assertEqual(([], set()), (records, self.server._arriving))

    def test_b391_a_late_one_is_refused(self):
        clock = SkippingClock()
        self.use_loop(IOLoop(time_func=clock))
        self.serve_facts()
        client = self.connect(data=V2[:-1])
        self.run_until(lambda: self.server._arriving)
        clock.skip(9)
        self.turn(0, 3)
        self.assertFalse(client.receive())
        with LogCatcher() as records:
            clock.skip(2)
            client.wait_for(lambda: client.ended)
        self.assertIn("late", records[0].message)

    def test_b391_only_of_the_addresses_that_are_given(self):
        self.serve_facts(proxy_protocol=["192.0.2.0/24"])
        client = self.connect(data=get())
        self.assertEqual("127.0.0.1 http", self.read_facts(client))
        self.assert_refused(V1 + get(), 400)
        self.serve_facts(proxy_protocol=["127.0.0.1"])
        self.assertEqual("192.0.2.7 http", self.read_facts(self.connect(data=V1 + get())))

    def test_b391_over_a_unix_socket(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "socket")
        self.serve_facts(sock=bind_unix_socket(path), proxy_protocol=["unix"])
        self.assertEqual("192.0.2.7 http", self.read_facts(self.connect(data=V2 + get())))

    def test_b391_a_server_that_drains_waits_for_it(self):
        self.serve_facts()
        client = self.connect(data=V1[:20])
        self.run_until(lambda: self.server._arriving)
        drained = []
        self.server.drain(lambda: drained.append(1))
        self.turn(0, 5)
        self.assertEqual([], drained)
        client.send(V1[20:] + get())
        self.assertEqual("192.0.2.7 http", self.read_facts(client))
        self.run_until(lambda: drained)

    def test_b391_one_that_stops_does_not(self):
        self.serve_facts()
        client = self.connect(data=V1[:20])
        self.run_until(lambda: self.server._arriving)
        stopped = []
        self.server.graceful_stop(100, lambda: stopped.append(1))
        self.run_until(lambda: stopped)
        client.wait_for(lambda: client.ended)


@services.needs(services.HAProxy)
class HAProxyTest(ProxyProtocolCase):
    """HAProxy in front of the server: it passes bytes on, ends TLS, and checks the server."""
    SECTIONS = (
        ("bytes", "  mode tcp\n  bind 127.0.0.1:%(listen)d\n"
                  "  server one 127.0.0.1:%(port)d %(send)s"),
        ("https", "  mode http\n  bind 127.0.0.1:%(listen)d ssl crt %(pem)s\n"
                  "  server one 127.0.0.1:%(port)d %(send)s"),
        ("checked", "  mode http\n  bind 127.0.0.1:%(listen)d\n  option httpchk GET /check\n"
                    "  server one 127.0.0.1:%(port)d %(send)s check inter 50ms"))

    def connect(self, server=None, data=b"", receive_buffer=None):
        # From an address that is not that of HAProxy.
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        sock.bind(("127.0.0.9", 0))
        sock.connect(self.address)
        sock.setblocking(False)
        client = Client(self, sock)
        client.send(data)
        return client

    def check(self, send):
        asked = []

        def show(request):
            asked.append((request.path, request.remote_ip))
            answer(request, request.remote_ip.encode("ascii"))

        self.serve(show, proxy_protocol=["127.0.0.1"])
        haproxy = services.HAProxy(self.SECTIONS, port=self.server.address[1], send=send)
        self.addCleanup(haproxy.close)
        for name, connect in (("bytes", self.connect), ("https", self.connect_tls)):
            self.address = "127.0.0.1", haproxy.ports[name]
            response = connect(data=get("/" + name)).read_response()
            self.assertEqual(b"127.0.0.9", response.body, name)
        # Its own checks have no client.
        self.run_until(lambda: ("/check", "127.0.0.1") in asked)

    def test_b391_version_1(self):
        self.check("send-proxy")

    def test_b391_version_2(self):
        self.check("send-proxy-v2 proxy-v2-options ssl,unique-id,crc32c")
