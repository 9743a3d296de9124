from __future__ import absolute_import, division, print_function

import os
import shutil
import socket
import ssl
import tempfile
import unittest
import warnings

import six

from friendserve.netutil import bind_sockets, ssl_options_to_context, ssl_wrap_socket
from tests import CA, CERT, KEY, PATIENCE

SERVER_OPTIONS = {"certfile": CERT, "keyfile": KEY}


class SslOptionsToContextTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def test_context_is_returned_as_it_is(self):
        context = ssl_options_to_context(SERVER_OPTIONS)
        self.assertIs(ssl_options_to_context(context), context)

    def test_a008_server_is_secure_by_default(self):
        for options in (SERVER_OPTIONS, dict(SERVER_OPTIONS, ssl_version=ssl.PROTOCOL_SSLv23),
                        dict(SERVER_OPTIONS, ssl_version=None)):
            context = ssl_options_to_context(options)
            self.check_protocols(context)
            self.assertTrue(context.options & ssl.OP_CIPHER_SERVER_PREFERENCE)
            self.assertEqual(context.verify_mode, ssl.CERT_NONE)
            self.assertFalse(context.check_hostname)

    def check_protocols(self, context):
        self.assertEqual(context.options & ssl.OP_NO_COMPRESSION, ssl.OP_NO_COMPRESSION)
        self.assertEqual(context.options & ssl.OP_NO_SSLv3, ssl.OP_NO_SSLv3)
        if hasattr(context, "minimum_version"):
            self.assertEqual(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        else:
            refused = ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
            self.assertEqual(context.options & refused, refused)

    def test_a007_a008_client_is_secure_by_default(self):
        for options in ({}, {"ca_certs": CA}):
            context = ssl_options_to_context(options, server_side=False)
            self.check_protocols(context)
            self.assertEqual(context.verify_mode, ssl.CERT_REQUIRED)
            self.assertTrue(context.check_hostname)

    def test_client_that_checks_nothing(self):
        context = ssl_options_to_context({"cert_reqs": ssl.CERT_NONE}, server_side=False)
        self.assertEqual(context.verify_mode, ssl.CERT_NONE)
        self.assertFalse(context.check_hostname)

    def test_server_that_asks_for_certificates(self):
        options = dict(SERVER_OPTIONS, cert_reqs=ssl.CERT_OPTIONAL, ca_certs=CA)
        context = ssl_options_to_context(options)
        self.assertEqual(context.verify_mode, ssl.CERT_OPTIONAL)
        self.assertEqual(len(context.get_ca_certs()), 1)

    def test_ciphers(self):
        options = dict(SERVER_OPTIONS, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
        context = ssl_options_to_context(options)
        if hasattr(context, "get_ciphers"):
            names = [cipher["name"] for cipher in context.get_ciphers()]
            self.assertIn("ECDHE-ECDSA-AES128-GCM-SHA256", names)
            self.assertNotIn("ECDHE-ECDSA-AES256-GCM-SHA384", names)
        self.assert_refused(dict(SERVER_OPTIONS, ciphers="no such cipher"), "no such cipher")

    def assert_refused(self, options, text, server_side=True):
        with self.assertRaises(ValueError) as cm:
            ssl_options_to_context(options, server_side=server_side)
        self.assertIn(text, str(cm.exception))

    def test_missing_file(self):
        missing = os.path.join(self.folder, "missing.pem")
        for key in ("certfile", "keyfile", "ca_certs"):
            self.assert_refused(dict(SERVER_OPTIONS, **{key: missing}), "missing.pem")

    def test_file_with_something_else(self):
        path = os.path.join(self.folder, "cat.pem")
        with open(path, "w") as f:
            f.write("a picture of a cat")
        for key in ("certfile", "keyfile", "ca_certs"):
            self.assert_refused(dict(SERVER_OPTIONS, **{key: path}), "cat.pem")

    def test_options_that_do_not_fit(self):
        self.assert_refused({}, "certfile")
        self.assert_refused({"keyfile": KEY}, "keyfile", server_side=False)
        self.assert_refused(dict(SERVER_OPTIONS, certificate=CERT), "certificate")
        self.assert_refused(dict(SERVER_OPTIONS, cert_reqs=ssl.CERT_REQUIRED), "ca_certs")
        self.assert_refused(True, "True")
        self.assert_refused(None, "None")


class SslWrapSocketTest(unittest.TestCase):
    def pair(self, client_options, server_hostname=None, server_options=SERVER_OPTIONS):
        """Both ends of a connection, wrapped, before the handshake."""
        listener, = bind_sockets(0, "127.0.0.1")
        client = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        server = listener.accept()[0]
        listener.close()
        for sock in (client, server):
            self.addCleanup(sock.close)
            sock.setblocking(False)
        server = ssl_wrap_socket(server, server_options, server_side=True,
                                 do_handshake_on_connect=False)
        self.addCleanup(server.close)
        client = ssl_wrap_socket(client, client_options, server_hostname=server_hostname,
                                 do_handshake_on_connect=False)
        self.addCleanup(client.close)
        return client, server

    def shake_hands(self, client, server):
        waiting = [client, server]
        for _ in range(1000):
            for sock in waiting[:]:
                try:
                    sock.do_handshake()
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    continue
                waiting.remove(sock)
            if not waiting:
                return
        self.fail("no end of the handshake")

    def test_checked_name(self):
        client, server = self.pair({"ca_certs": CA}, "localhost")
        self.shake_hands(client, server)
        self.assertIn(client.version(), ("TLSv1.2", "TLSv1.3"))
        self.assertEqual(client.getpeercert()["subject"], ((("commonName", "localhost"),),))

    if not six.PY2:     # whose ssl module knows only names
        def test_checked_address(self):
            self.shake_hands(*self.pair({"ca_certs": CA}, "127.0.0.1"))

    def test_wrong_name(self):
        client, server = self.pair({"ca_certs": CA}, "example.com")
        # CertificateError, which is not an SSLError before Python 3.7.
        self.assertRaises((ssl.SSLError, ssl.CertificateError),
                          self.shake_hands, client, server)

    def test_unknown_authority(self):
        client, server = self.pair({}, "localhost")
        self.assertRaises(ssl.SSLError, self.shake_hands, client, server)

    def test_authorities_of_the_system(self):
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = CA
        try:
            client, server = self.pair({}, "localhost")
        finally:
            if before is None:
                del os.environ["SSL_CERT_FILE"]
            else:
                os.environ["SSL_CERT_FILE"] = before
        self.shake_hands(client, server)

    def test_unchecked(self):
        self.shake_hands(*self.pair({"cert_reqs": ssl.CERT_NONE}))

    def test_old_protocols_are_refused(self):
        context = ssl_options_to_context({"cert_reqs": ssl.CERT_NONE}, server_side=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if hasattr(context, "minimum_version"):
                context.minimum_version = ssl.TLSVersion.TLSv1
            context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
            context.options |= ssl.OP_NO_TLSv1_2 | getattr(ssl, "OP_NO_TLSv1_3", 0)
        client, server = self.pair(context)
        self.assertRaises(ssl.SSLError, self.shake_hands, client, server)

    def test_client_certificate(self):
        options = dict(SERVER_OPTIONS, cert_reqs=ssl.CERT_REQUIRED, ca_certs=CA)
        client, server = self.pair(dict(SERVER_OPTIONS, ca_certs=CA), "localhost", options)
        self.shake_hands(client, server)
        self.assertTrue(server.getpeercert())


if __name__ == "__main__":
    unittest.main()
