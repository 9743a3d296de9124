"""B393, B394: certificates by name, and renewed while a server runs."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import ssl
import tempfile

from friendserve.ioloop import IOLoop
from friendserve.netutil import Certificates, ssl_wrap_socket
from tests import CA, CERT, CERTS, KEY, ROOT
from tests.httpcase import HTTPCase, LogCatcher, get
from tests.wscase import SkippingClock

ELSEWHERE = os.path.join(CERTS, "wronghost.crt")
WILDCARDS = os.path.join(CERTS, "wildcards.crt")
#: With another key.
OTHER = os.path.join(ROOT, "friendserve", "testing", "localhost.pem")

_LATER = (ssl.SSL_ERROR_WANT_READ, ssl.SSL_ERROR_WANT_WRITE)


def trusting_context():
    """For clients that trust the authority of the tests, whatever the name."""
    context = ssl.create_default_context(cafile=CA)
    context.check_hostname = False
    return context


class CertificatesCase(HTTPCase):
    def setUp(self):
        super(CertificatesCase, self).setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def begin(self, name, context=None):
        """A client whose handshake can be continued with `shaken`."""
        client = self.connect()
        plain = client.sock
        client.sock = ssl_wrap_socket(plain, context or trusting_context(), server_hostname=name,
                                      do_handshake_on_connect=False)
        plain.close()
        self.addCleanup(client.sock.close)
        return client

    def shaken(self, client):
        try:
            client.sock.do_handshake()
        except ssl.SSLError as error:
            if error.args[0] not in _LATER:
                raise
            return False
        return True

    def name_for(self, name, context=None):
        """The common name of the certificate that a client gets who asks for `name`."""
        client = self.begin(name, context)
        self.run_until(lambda: self.shaken(client))
        return self.name_of(client)

    def name_of(self, client):
        subject = client.sock.getpeercert()["subject"]
        return dict(part[0] for part in subject)["commonName"]

    def put(self, source, name):
        """Replace a file as a careful program does: as a whole."""
        shutil.copy(source, self.path("new"))
        os.rename(self.path("new"), self.path(name))

    def link(self, source, name):
        os.symlink(source, self.path("new"))
        os.rename(self.path("new"), self.path(name))


class NamesTest(CertificatesCase):
    def test_b393_the_certificate_for_the_name(self):
        self.serve(ssl_options=Certificates([(CERT, KEY), (ELSEWHERE, KEY), (WILDCARDS, KEY)]))
        for name, wanted in (("localhost", "localhost"), ("elsewhere.test", "elsewhere.test"),
                             ("ELSEWHERE.test", "elsewhere.test"), ("other.test", "localhost"),
                             ("www.elsewhere.test", "localhost"), (None, "localhost")):
            self.assertEqual(wanted, self.name_for(name), name)
        client = self.begin("elsewhere.test")
        self.run_until(lambda: self.shaken(client))
        client.send(get())
        self.assertEqual(200, client.read_response().status)

    def test_b393_tls_1_2_and_newer(self):
        certificates = Certificates([(CERT, KEY)])
        self.assertFalse(certificates.context.options & ssl.OP_NO_TLSv1_2)
        if hasattr(certificates.context, "minimum_version"):
            self.assertEqual(ssl.TLSVersion.TLSv1_2, certificates.context.minimum_version)
        else:  # version: py2, 3.6
            self.assertTrue(certificates.context.options & ssl.OP_NO_TLSv1_1)
        if getattr(ssl, "HAS_TLSv1_3", False) and hasattr(ssl, "TLSVersion"):
            self.serve(ssl_options=Certificates([(CERT, KEY)], minimum="1.3"))
            self.assertEqual("localhost", self.name_for("localhost"))
            old = trusting_context()
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            with self.assertRaises(ssl.SSLError):
                self.name_for("localhost", old)

    def test_b393_clients_need_certificates_if_their_authority_is_given(self):
        self.serve(ssl_options=Certificates([(CERT, KEY), (ELSEWHERE, KEY)], client_ca=CA))
        for name in ("localhost", "elsewhere.test"):
            known = trusting_context()
            known.load_cert_chain(CERT, KEY)
            client = self.begin(name, known)
            self.run_until(lambda: self.shaken(client))
            client.send(get())
            self.assertEqual(200, client.read_response().status)
            stranger = self.begin(name)
            try:
                self.run_until(lambda: self.shaken(stranger))
                stranger.send(get())
                stranger.wait_for(lambda: stranger.ended)
            except ssl.SSLError:
                pass
            self.assertEqual(b"", stranger.data)

    def test_b393_what_is_wrong_is_told_at_once(self):
        for pairs, options in (([], {}), ([(CERT, OTHER)], {}), ([(CERT, KEY)], {"minimum": "1.1"}),
                               ([(CERT, KEY), (self.path("no"), None)], {}),
                               ([(CERT, KEY)], {"client_ca": KEY})):
            with self.assertRaises(ValueError):
                Certificates(pairs, **options)


class RenewalTest(CertificatesCase):
    def serve_files(self, place=None, **options):
        place = place or self.put
        place(CERT, "crt")
        place(KEY, "key")
        self.certificates = Certificates([(self.path("crt"), self.path("key"))], **options)
        self.serve(ssl_options=self.certificates)
        self.assertEqual("localhost", self.name_for(None))

    def test_b394_files_that_were_replaced_are_noticed_by_themselves(self):
        clock = SkippingClock()
        self.use_loop(IOLoop(time_func=clock))
        self.serve_files()
        self.put(ELSEWHERE, "crt")
        self.turn(0, 3)
        self.assertEqual("localhost", self.name_for(None))
        # Of two servers with the same certificates, the other may stop.
        listening = self.server
        self.serve(ssl_options=self.certificates).stop()
        self.server = listening
        clock.skip(61)
        self.turn(0, 3)
        self.assertEqual("elsewhere.test", self.name_for(None))

    def test_b394_on_demand(self):
        self.serve_files()
        self.assertTrue(self.certificates.check())
        open_before = self.begin("localhost")
        self.run_until(lambda: self.shaken(open_before))
        self.put(ELSEWHERE, "crt")
        with LogCatcher() as records:
            self.assertTrue(self.certificates.check())
        self.assertEqual(["New certificates are in use: " + self.path("crt")],
                         [record.message for record in records])
        self.assertEqual("elsewhere.test", self.name_for(None))
        open_before.send(get())
        self.assertEqual(200, open_before.read_response().status)

    def test_b394_symbolic_links_that_point_elsewhere(self):
        self.serve_files(place=self.link)
        self.link(ELSEWHERE, "crt")
        self.assertTrue(self.certificates.check())
        self.assertEqual("elsewhere.test", self.name_for(None))

    def test_b394_a_pair_that_does_not_fit_keeps_the_old_one_and_says_so_once(self):
        self.serve_files()
        self.put(OTHER, "key")
        with LogCatcher() as records:
            for _ in range(3):
                self.assertFalse(self.certificates.check())
        self.assertEqual(1, len(records), [record.message for record in records])
        self.assertIn("the old ones stay in use", records[0].message)
        self.assertIn(self.path("key"), self.certificates.error)
        self.assertEqual("localhost", self.name_for(None))
        os.remove(self.path("crt"))
        self.assertFalse(self.certificates.check())
        self.assertEqual("localhost", self.name_for(None))
        self.put(ELSEWHERE, "crt")
        self.put(KEY, "key")
        self.assertTrue(self.certificates.check())
        self.assertIsNone(self.certificates.error)
        self.assertEqual("elsewhere.test", self.name_for(None))

    def test_b394_no_handshake_fails_while_they_are_replaced(self):
        self.serve_files()
        seen = []
        for number in range(12):
            clients = [self.begin("localhost") for _ in range(10)]
            # Each is stopped at another point.
            for count, client in enumerate(clients):
                for _ in range(count // 2):
                    if not self.shaken(client):
                        self.turn()
            (self.link if number % 2 else self.put)((CERT, ELSEWHERE)[number % 4 < 2], "crt")
            self.assertTrue(self.certificates.check())
            for client in clients:
                self.run_until(lambda: self.shaken(client))
                client.send(get())
                self.assertEqual(200, client.read_response().status)
                seen.append(self.name_of(client))
                client.close()
        self.assertEqual({"localhost", "elsewhere.test"}, set(seen))
