"""The contract of the HTTP clients: https and proxies."""
from __future__ import absolute_import, division, print_function

import base64
import os
import ssl
import sys
import unittest

from friendserve.httpclient import HTTPConnectError, HTTPTLSError
from friendserve.netutil import ssl_options_to_context
from friendserve.tcpclient import TCPClient
from tests import CERTS
from tests.clientcase import ScriptedServer, answer, for_each_client, response
from tests.httpcase import CA, CERT, KEY, SERVER_OPTIONS, LogCatcher


def options(name):
    """The ssl_options of a server with the certificate of this name."""
    return {"certfile": os.path.join(CERTS, name + ".crt"), "keyfile": KEY}


class TLSContract(object):
    """Rows A007, A008, A012 and A505."""

    def secure_url(self, host="localhost"):
        return self.url(scheme="https", host=host)

    def refused(self, host="localhost", **kwargs):
        kwargs.setdefault("ca_certs", CA)
        with LogCatcher():
            self.fetch_error(HTTPTLSError, self.secure_url(host), **kwargs)

    def test_a007_a_private_ca(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        self.assertEqual(self.fetch_ok(self.secure_url(), ca_certs=CA).body, b"ok")
        self.refused(ca_certs=None)
        self.assertEqual(self.fetch_ok(self.secure_url(), validate_cert=False).body, b"ok")
        # A connection that was not verified is not used for a request that requires verification.
        self.refused(ca_certs=None)

    def test_a505_certificates_that_do_not_hold(self):
        for name in ("selfsigned", "expired", "wronghost", "wildcards"):
            self.serve(ssl_options=options(name))
            self.refused()
            self.assertEqual(self.fetch_ok(self.secure_url(), validate_cert=False).body, b"ok")

    def test_a012_wildcards(self):
        self.serve(ssl_options=options("wildcards"))
        client = self.make_client(hostname_mapping={
            "a.b.test": "127.0.0.1", "a.a.a.a.a.a.a.a.test": "127.0.0.1"})
        for host in ("a.b.test", "a.a.a.a.a.a.a.a.test"):
            self.refused(host, client=client)

    if sys.version_info[0] > 2:
        # The ssl module of Python 2 does not match addresses.
        def test_a505_an_address_in_the_certificate(self):
            self.serve(ssl_options=SERVER_OPTIONS)
            self.assertEqual(self.fetch_ok(self.secure_url("127.0.0.1"), ca_certs=CA).body, b"ok")

        def test_a505_the_server_is_told_the_name(self):
            context = ssl_options_to_context(SERVER_OPTIONS)
            names = []

            def note(sock, name, context):
                names.append(name)

            if hasattr(context, "sni_callback"):
                context.sni_callback = note
            else:
                context.set_servername_callback(note)
            self.serve(ssl_options=context)
            self.fetch_ok(self.secure_url(), ca_certs=CA)
            self.assertEqual(names, ["localhost"])

        def test_a505_client_certificate(self):
            seen = []

            def on_request(request):
                seen.append(request.get_ssl_certificate()["subject"])
                answer(request)

            self.serve(on_request, ssl_options=dict(SERVER_OPTIONS, ca_certs=CA,
                                                    cert_reqs=ssl.CERT_REQUIRED))
            self.fetch_ok(self.secure_url(), ca_certs=CA, client_cert=CERT, client_key=KEY)
            self.assertEqual(seen, [((("commonName", "localhost"),),)])
            with LogCatcher():
                self.assertEqual(self.fetch(self.secure_url(), ca_certs=CA).code, 599)

    def test_a008_old_protocols(self):
        context = ssl_options_to_context({"ca_certs": CA}, server_side=False)
        for option in (ssl.OP_NO_SSLv2, ssl.OP_NO_SSLv3, ssl.OP_NO_COMPRESSION):
            self.assertEqual(context.options & option, option)

    def test_ssl_options(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        self.assertEqual(self.fetch_ok(self.secure_url(), ssl_options={"ca_certs": CA}).body,
                         b"ok")
        self.assertEqual(self.fetch_ok(self.secure_url(), ssl_options={
            "cert_reqs": ssl.CERT_NONE}).body, b"ok")
        self.refused(ca_certs=None, ssl_options={})
        self.assertRaises(ValueError, self.client.fetch, self.secure_url(), None,
                          ca_certs="/there/is/none")

    def test_connections_are_used_again(self):
        peers = []
        self.serve(lambda request: (peers.append(request.connection.stream), answer(request)),
                   ssl_options=SERVER_OPTIONS)
        for _ in range(2):
            self.fetch_ok(self.secure_url(), ca_certs=CA)
        self.assertIs(peers[0], peers[1])

    def test_a_server_without_tls(self):
        server = self.script()
        server.handle_stream = lambda stream, address: (
            server.streams.append(stream), stream.write(b"220 Who speaks first?\r\n"))
        self.refused()


class ProxyContract(object):
    """An HTTP proxy; here it is a ScriptedServer."""

    def proxied(self, **kwargs):
        host, port = self.proxy.address
        return dict(kwargs, proxy_host=host, proxy_port=port)

    def test_http_is_passed_on(self):
        self.proxy = self.script(response(b"one"), response(b"two"))
        for body in (b"one", b"two"):
            self.assertEqual(self.fetch_ok("http://example.test/a?b", **self.proxied()).body, body)
        head = self.proxy.heads[0]
        self.assertTrue(head.startswith(b"GET http://example.test/a?b HTTP/1.1\r\n"), head)
        self.assertIn(b"Host: example.test\r\n", head)
        self.assertNotIn(b"Proxy-Authorization", head)

    def test_http_with_authentication(self):
        self.proxy = self.script(response())
        self.fetch_ok("http://example.test/", **self.proxied(
            proxy_username="me", proxy_password="secret"))
        self.assertIn(b"Proxy-Authorization: Basic " + base64.b64encode(b"me:secret"),
                      self.proxy.heads[0])

    def test_https_goes_through_a_tunnel(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        url = self.url(scheme="https", host="localhost")
        self.proxy = ProxyServer(self)
        response_ = self.fetch_ok(url, **self.proxied(
            ca_certs=CA, proxy_username="me", proxy_password="secret",
            headers={"X-Mine": "secret"}))
        self.assertEqual(response_.body, b"ok")
        head, = self.proxy.heads
        self.assertTrue(head.startswith(b"CONNECT localhost:"), head)
        self.assertIn(b"Proxy-Authorization: Basic " + base64.b64encode(b"me:secret"), head)
        self.assertNotIn(b"X-Mine", head)
        # The second fetch reuses the tunnel.
        self.fetch_ok(url, **self.proxied(ca_certs=CA, proxy_username="me",
                                          proxy_password="secret"))
        self.assertEqual(len(self.proxy.heads), 1)
        with LogCatcher():
            self.fetch_error(HTTPTLSError, url, **self.proxied())

    def test_a_proxy_that_refuses(self):
        for refusal in (response(b"who?", "407 Proxy Authentication Required"),
                        response(b"no", "403 Forbidden"), b"garbage\r\n\r\n",
                        [ScriptedServer.CLOSE]):
            self.proxy = self.script(refusal)
            error = self.fetch_error(HTTPConnectError, "https://example.test/", **self.proxied())
            self.assertEqual(error.phase, "proxy")

    def test_an_ipv6_address_behind_a_proxy_does_not_need_ipv6_here(self):
        self.proxy = self.script(response())
        self.fetch_ok("http://[2001:db8::1]/", **self.proxied(allow_ipv6=False))
        self.assertIn(b" http://[2001:db8::1]/ ", self.proxy.heads[0])

    def test_a_proxy_that_is_not_there(self):
        self.proxy = self.script()
        self.proxy.stop()
        for scheme in ("http", "https"):
            self.fetch_error(HTTPConnectError, scheme + "://example.test/", **self.proxied())


class ProxyServer(ScriptedServer):
    """A proxy that supports CONNECT."""
    def __init__(self, case):
        super(ProxyServer, self).__init__([])
        self.address = case.listen(self)
        case.addCleanup(case.close_script, self)

    def on_head(self, stream, head):
        self.heads.append(head)

        def connected(upstream):
            self.streams.append(upstream)
            stream.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for source, sink in ((stream, upstream), (upstream, stream)):
                source.read_until_close(lambda data, sink=sink: sink.close(),
                                        streaming_callback=lambda data, sink=sink: pass_on(
                                            sink, data))

        host, port = head.split()[1].decode("ascii").split(":")
        TCPClient(io_loop=stream.io_loop).connect(host, int(port), callback=connected)


def pass_on(sink, data):
    if not sink.closed():
        sink.write(data)


for_each_client(globals(), TLSContract)
for_each_client(globals(), ProxyContract)

if __name__ == "__main__":
    unittest.main()
