# coding: utf-8
"""Host names of URLs and look-ups: how long they may be, and which characters they may have."""
from __future__ import absolute_import, division, print_function

import encodings.idna
import socket
import sys
import unittest

from friendserve.netutil import BlockingResolver, ssl_wrap_socket
from friendserve.protocol.urls import join_url, parse_url
from tests import CA
from tests.httpcase import HTTPCase

#: The longest name, as four labels.
LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])


class LengthTest(HTTPCase):
    def test_b257_urls(self):
        self.assertEqual(253, len(LONGEST))
        self.assertEqual(LONGEST, parse_url("http://%s/" % LONGEST).host)
        for host in (LONGEST + "e", u".".join([u"ü" * 50] * 5), "a." * 200 + "test"):
            self.assertRaises(ValueError, parse_url, u"http://%s/" % host)

    def test_b257_resolvers(self):
        resolver = BlockingResolver()
        for host in (LONGEST + "e", u".".join([u"ü" * 50] * 5)):
            self.assertRaises(ValueError, resolver.resolve, host, 80)

    def test_b257_names_of_certificates(self):
        sock = socket.socket()
        self.addCleanup(sock.close)
        try:
            ssl_wrap_socket(sock, {"ca_certs": CA}, server_hostname=u"ü" * 254)
            message = "none"
        except ValueError as error:
            message = str(error)
        # Without the check, the codec complains about a label.
        self.assertIn("254 characters", message)

    def test_b257_long_names_are_not_encoded(self):
        encoded = []

        def on_call(frame, event, argument):
            if frame.f_code.co_filename == encodings.idna.__file__.replace(".pyc", ".py"):
                encoded.append(frame.f_code.co_name)

        def attempts():
            for host in (u"\xfc" * 2000, u"\xfc\u4e2d" * 127):
                yield parse_url, (u"http://%s/" % host,)
                yield BlockingResolver().resolve, (host, 80)

        for function, arguments in list(attempts()):
            sys.setprofile(on_call)
            try:
                self.assertRaises(ValueError, function, *arguments)
            finally:
                sys.setprofile(None)
            self.assertEqual([], encoded)


class CharactersTest(HTTPCase):
    def refuses(self, host):
        for url in (u"http://%s/" % host, u"https://me:secret@%s:8080/x" % host, u"//%s/" % host):
            try:
                parsed = parse_url(join_url(u"http://h/", url))
            except ValueError:
                continue
            self.fail("%r is taken for the host %r" % (url, parsed.host))

    def test_a673_percent_escapes_are_refused(self):
        for host in ("%31%32%37.0.0.1", "127.0.0.%31", "%6cocalhost", "a%2eb", "a%00", "a%", "%zz",
                     "a%25b", u"%C3%BC.test", u"ü%2etest"):
            self.refuses(host)

    def test_a674_what_idna_makes_of_characters(self):
        # A full-width colon, percent sign, at sign, slash, question mark and number sign, a small
        # colon, and "a/c" and "1/4" as one character.
        for text in (u"\uff1a80", u"\uff05", u"\uff0531", u"\uff20h", u"\uff0fh", u"\uff1fh",
                     u"\uff03h", u"\ufe5580", u"\u2100", u"\uff3b"):
            self.refuses(u"127.0.0.1" + text)
            self.refuses(u"ü.test" + text)
        resolver = BlockingResolver()
        for host in (u"127.0.0.1\uff1a80", u"h\uff0fx", u"127.0.0.\uff0531"):
            self.assertRaises(ValueError, resolver.resolve, host, 80)

    def test_a674_other_names_remain(self):
        for host, encoded in (
                (u"bücher.test", "xn--bcher-kva.test"), (u"a_b-c.test.", "a_b-c.test."),
                (u"\uff41.test", "a.test"), (u"a\u3002test", "a.test"), ("a!b", "a!b"),
                ("127.0.0.1", "127.0.0.1")):
            self.assertEqual(encoded, parse_url(u"http://%s/" % host).host)


if __name__ == "__main__":
    unittest.main()
