"""Connections that real servers leave open are used again, by the check of row B240."""
from __future__ import absolute_import, division, print_function

import unittest

from tests import services
from tests.clientcase import ClientCase
from tests.httpcase import CA


class KeptConnectionsTest(ClientCase):
    def check(self, url, **options):
        for method in ("GET", "HEAD", "GET", "GET"):
            self.assertEqual(200, self.fetch(url, method=method, **options).code)
        self.assertEqual((1, 0), (self.client.statistics()["connects"],
                                  self.client.statistics()["retries"]))

    @services.needs(services.Nginx)
    def test_b240_nginx(self):
        self.check("http://127.0.0.1:%d/hello" % services.shared(services.Nginx).port)

    @services.needs(services.Nginx)
    def test_b240_nginx_with_tls(self):
        self.check("https://localhost:%d/hello"
                   % services.shared(services.Nginx).tls_ports["server"], ca_certs=CA)

    @services.needs(services.Uvicorn)
    def test_b240_uvicorn(self):
        self.check("http://127.0.0.1:%d/" % services.shared(services.Uvicorn).port)

    @services.needs(services.Aiohttp)
    def test_b240_aiohttp(self):
        self.check("http://127.0.0.1:%d/echo" % services.shared(services.Aiohttp).port)


if __name__ == "__main__":
    unittest.main()
