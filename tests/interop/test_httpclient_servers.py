"""The HTTP clients against real servers and a real proxy."""
from __future__ import absolute_import, division, print_function

import sys
import unittest

from six.moves import http_cookiejar

from friendserve.escape import json_decode
from friendserve.httpclient import (
    HTTPConnectError, HTTPStreamClosedError, HTTPTimeoutError, HTTPTLSError,
    encode_multipart_formdata)
from friendserve.httputil import HTTPFile
from tests import services
from tests.clientcase import for_each_client
from tests.httpcase import CA, CERT, KEY, LogCatcher


class ServiceContract(object):
    """`service` is the kind of server."""

    def setUp(self):
        super(ServiceContract, self).setUp()
        self.service_ = services.shared(self.service)

    def at(self, path, port=None, scheme="http", host="127.0.0.1"):
        return "%s://%s:%d%s" % (scheme, host, port or self.service_.port, path)


@services.needs(services.Nginx)
class NginxContract(ServiceContract):
    service = services.Nginx

    def tls(self, name, host="localhost"):
        return self.at("/hello", self.service_.tls_ports[name], "https", host)

    def test_plain(self):
        response = self.fetch_ok(self.at("/hello"))
        self.assertEqual(response.body, b"Hello, world!")
        self.assertTrue(response.headers["Server"].startswith("nginx"))
        self.assertEqual(self.fetch_ok(self.at("/old")).body, b"Hello, world!")
        self.assertEqual(self.fetch_ok(self.at("/hello"), method="HEAD").body or b"", b"")
        self.assertEqual(self.fetch_ok(self.at("/close")).body, b"bye")
        self.assertEqual(self.fetch(self.at("/none")).code, 404)
        self.assertEqual(self.fetch(self.at("/nowhere")).code, 502)
        self.assertEqual(self.fetch(self.at("/large"), method="POST", body=b"x" * 11).code, 413)

    def test_files(self):
        response = self.fetch_ok(self.at("/long"))
        self.assertEqual(response.body, b"0123456789" * 100000)
        self.assertNotIn("Content-Encoding", response.headers)
        plain = self.fetch_ok(self.at("/long"), decompress_response=False)
        self.assertEqual(plain.headers["Content-Length"], "1000000")
        again = self.fetch(self.at("/long"), headers={
            "If-Modified-Since": plain.headers["Last-Modified"]})
        self.assertEqual((again.code, again.body or b""), (304, b""))
        part = self.fetch(self.at("/long"), headers={"Range": "bytes=5-9"},
                          decompress_response=False)
        self.assertEqual((part.code, part.body), (206, b"56789"))
        pieces = []
        self.fetch_ok(self.at("/long"), streaming_callback=pieces.append)
        self.assertEqual(b"".join(pieces), b"0123456789" * 100000)

    def test_authentication(self):
        self.assertEqual(self.fetch(self.at("/secret")).code, 401)
        self.assertEqual(self.fetch_ok(self.at("/secret"), auth_username="me",
                                       auth_password="secret").body, b"told\n")
        self.assertEqual(self.fetch_ok(self.at("/secret", host="me:secret@127.0.0.1")).body,
                         b"told\n")

    def test_many(self):
        responses = []
        for _ in range(500):
            self.client.fetch(self.at("/hello"), responses.append)
        self.run_until(lambda: len(responses) == 500)
        self.assertEqual(set(response.body for response in responses), set([b"Hello, world!"]))

    def test_a505_certificates(self):
        self.assertEqual(self.fetch_ok(self.tls("server"), ca_certs=CA).body, b"Hello, world!")
        for name in ("expired", "wronghost", "selfsigned", "wildcards"):
            with LogCatcher():
                self.fetch_error(HTTPTLSError, self.tls(name), ca_certs=CA)
            self.assertEqual(self.fetch_ok(self.tls(name), validate_cert=False).body,
                             b"Hello, world!")
        with LogCatcher():
            self.fetch_error(HTTPTLSError, self.tls("server"))
        if sys.version_info[0] > 2:
            self.fetch_ok(self.tls("server", "127.0.0.1"), ca_certs=CA)

    def test_a505_client_certificate(self):
        self.assertEqual(self.fetch(self.tls("client"), ca_certs=CA).code, 400)
        self.fetch_ok(self.tls("client"), ca_certs=CA, client_cert=CERT, client_key=KEY)

    def test_files_over_tls(self):
        url = self.at("/long", self.service_.tls_ports["server"], "https", "localhost")
        for decompress in (True, False):
            self.assertEqual(self.fetch_ok(url, ca_certs=CA,
                                           decompress_response=decompress).body,
                             b"0123456789" * 100000)


@services.needs(services.Tinyproxy)
@services.needs(services.Nginx)
class ProxyContract(ServiceContract):
    service = services.Nginx

    def setUp(self):
        super(ProxyContract, self).setUp()
        self.proxy = {"proxy_host": "127.0.0.1",
                      "proxy_port": services.shared(services.Tinyproxy).port,
                      "proxy_username": "me", "proxy_password": "secret"}

    def test_http(self):
        for _ in range(2):
            response = self.fetch_ok(self.at("/hello"), **self.proxy)
            self.assertEqual(response.body, b"Hello, world!")
            self.assertIn("tinyproxy", response.headers["Via"])
        self.assertEqual(self.fetch_ok(self.at("/old"), **self.proxy).body, b"Hello, world!")

    def test_https(self):
        url = self.at("/long", self.service_.tls_ports["server"], "https", "localhost")
        for _ in range(2):
            self.assertEqual(len(self.fetch_ok(url, ca_certs=CA, **self.proxy).body), 1000000)
        with LogCatcher():
            self.fetch_error(HTTPTLSError, url, **self.proxy)

    def test_without_the_password(self):
        self.proxy["proxy_password"] = "wrong"
        # The server answers a wrong password with 401.
        self.assertIn(self.fetch(self.at("/hello"), **self.proxy).code, (401, 407))
        self.fetch_error(HTTPConnectError, "https://localhost:1/", **self.proxy)

    def test_a_server_that_is_not_there(self):
        port = services.free_port()
        self.assertGreaterEqual(self.fetch(self.at("/", port), **self.proxy).code, 500)
        self.fetch_error(HTTPConnectError, self.at("/", port, "https"), **self.proxy)


@services.needs(services.GunicornFlask)
class FlaskContract(ServiceContract):
    service = services.GunicornFlask

    def test_echo(self):
        for method, body in (("GET", None), ("POST", b"data"), ("PUT", b"x" * 100000),
                             ("PATCH", b""), ("DELETE", None)):
            response = self.fetch_ok(self.at("/echo?a=b"), method=method, body=body)
            self.assertEqual(response.body, body or b"")
            self.assertEqual(response.headers["X-Method"], method)
            self.assertEqual(response.headers["X-Query"], "a=b")

    def test_body_producer(self):
        def produce(write):
            for _ in range(10):
                write(b"x" * 1000)

        response = self.fetch_ok(self.at("/echo"), method="POST", body_producer=produce)
        self.assertEqual(response.body, b"x" * 10000)

    def test_upload(self):
        content_type, body = encode_multipart_formdata(
            {"a": "1", "b": ["2", "3"]},
            {"file": HTTPFile(filename="x.png", body=b"\0" * 1000, content_type="image/png")})
        answer = json_decode(self.fetch_ok(self.at("/form"), method="POST", body=body,
                                           headers={"Content-Type": content_type}).body)
        self.assertEqual(answer, {"fields": {"a": ["1"], "b": ["2", "3"]},
                                  "files": {"file": ["x.png", "image/png", 1000]}})

    def test_stream(self):
        pieces = []
        self.fetch_ok(self.at("/stream"), streaming_callback=pieces.append)
        self.assertEqual(b"".join(pieces).count(b"\n"), 1000)

    def test_redirects(self):
        for status, method in ((301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"),
                               (308, "POST")):
            response = self.fetch_ok(self.at("/redirect/%d" % status), method="POST", body=b"x")
            self.assertEqual((response.headers["X-Method"], response.headers["X-Query"]),
                             (method, "from=%d" % status))
            self.assertEqual(response.body, b"x" if method == "POST" else b"")

    def test_cookies(self):
        jar = http_cookiejar.CookieJar()
        self.assertEqual(json_decode(self.fetch_ok(self.at("/cookie"), cookie_jar=jar).body), {})
        self.assertEqual(json_decode(self.fetch_ok(self.at("/cookie"), cookie_jar=jar).body),
                         {"visited": "yes"})

    def test_an_error(self):
        self.assertEqual(self.fetch(self.at("/broken")).code, 500)


@services.needs(services.Aiohttp)
class AiohttpContract(ServiceContract):
    service = services.Aiohttp

    def test_echo(self):
        for body in (b"", b"data", b"x" * 500000):
            self.assertEqual(self.fetch_ok(self.at("/echo"), method="POST", body=body).body, body)
        self.assertEqual(self.fetch_ok(self.at("/echo"), method="HEAD").headers["X-Method"], "HEAD")

    def test_compressed_and_chunked(self):
        self.assertEqual(self.fetch_ok(self.at("/stream")).body.count(b"\n"), 1000)

    def test_cut(self):
        self.fetch_error(HTTPStreamClosedError, self.at("/cut"))

    def test_slow(self):
        self.fetch_error(HTTPTimeoutError, self.at("/slow"), request_timeout=0.1)
        self.fetch_ok(self.at("/echo"))

    def test_expect(self):
        self.assertEqual(self.fetch_ok(self.at("/expect"), method="POST", body=b"x" * 1000,
                                       expect_100_continue=True).body, b"100-continue1000")


for contract in (NginxContract, ProxyContract, FlaskContract, AiohttpContract):
    for_each_client(globals(), contract)

if __name__ == "__main__":
    unittest.main()
