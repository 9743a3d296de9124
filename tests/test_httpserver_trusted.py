"""B392: headers of proxies are believed only from those that are trusted."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import tempfile

from friendserve.httpserver import LOCAL_PEERS, HTTPServer
from friendserve.netutil import bind_unix_socket
from tests.proxycase import OURS, ProxyCase

FORGED = ("X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")


class TrustTest(ProxyCase):
    def test_b392_only_trusted_peers_are_believed(self):
        for xheaders in (True, "X-Forwarded-For"):
            self.serve_facts(xheaders=xheaders, trusted=["10.0.0.0/8", "unix"])
            self.assertEqual((OURS, "http"), self.facts(*FORGED))
            self.serve_facts(xheaders=xheaders, trusted=LOCAL_PEERS)
            self.assertEqual(("192.0.2.7", "https"), self.facts(*FORGED))
            # As before there were such networks.
            self.serve_facts(xheaders=xheaders)
            self.assertEqual(("192.0.2.7", "https"), self.facts(*FORGED))

    def test_b392_the_last_address_that_is_not_trusted_counts(self):
        self.serve_facts(xheaders="X-Forwarded-For", trusted=["127.0.0.0/8", "10.0.0.0/8", "unix"])
        for value, wanted in (("9.9.9.9, 192.0.2.7, 10.0.0.1", "192.0.2.7"),
                              ("9.9.9.9, 192.0.2.7:5, 10.1.2.3:80, 10.0.0.1", "192.0.2.7"),
                              ("9.9.9.9, 192.0.2.7, unix:", "192.0.2.7"),
                              ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
                              ("192.0.2.7, unknown, 10.0.0.1", OURS),
                              ("unix:", OURS), ("", OURS)):
            self.assertEqual(wanted, self.address("X-Forwarded-For: " + value), value)

    def test_b392_forwarded_too(self):
        self.serve_facts(xheaders="Forwarded", trusted=["127.0.0.0/8", "10.0.0.0/8"])
        self.assertEqual(("192.0.2.7", "https"), self.facts(
            "Forwarded: for=9.9.9.9, for=192.0.2.7;proto=https, for=10.0.0.1;proto=https"))

    def test_b392_unix_sockets(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for number, (trusted, wanted) in enumerate((
                (["unix"], ("192.0.2.7", "https")), (["127.0.0.0/8"], ("0.0.0.0", "http")))):
            self.serve_facts(sock=bind_unix_socket(os.path.join(folder, str(number))),
                             xheaders=True, trusted=trusted)
            self.assertEqual(wanted, self.facts(*FORGED))

    def test_b392_a_wrong_network_is_told_at_once(self):
        with self.assertRaises(ValueError):
            HTTPServer(lambda request: None, xheaders=True, trusted=["proxy.example"])
