# coding: utf-8
"""The HTTP server behind proxies: which headers it believes, and how it reads them."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httpserver import HTTPServer
from friendserve.routing import DefaultHostMatches, RuleRouter
from friendserve.web import Application, RequestHandler
from tests.httpcase import answer, get
from tests.proxycase import OURS, ProxyCase


class AddressTest(ProxyCase):
    def test_a670_ports_and_brackets_are_taken_off(self):
        for xheaders, name in ((True, "X-Forwarded-For"), (True, "X-Real-IP"),
                               ("X-Forwarded-For", "X-Forwarded-For"), ("X-Real-IP", "X-Real-IP"),
                               ("CF-Connecting-IP", "CF-Connecting-IP")):
            self.serve_facts(xheaders=xheaders)
            for value, wanted in (
                    ("192.0.2.7:49152", "192.0.2.7"), ("192.0.2.7", "192.0.2.7"),
                    ("[2001:db8::7]:49152", "2001:db8::7"), ("[2001:db8::7]", "2001:db8::7"),
                    ("2001:db8::7", "2001:db8::7"), ("[::ffff:192.0.2.7]:1", "::ffff:192.0.2.7"),
                    ("192.0.2.7:_hidden", "192.0.2.7"), ("9.9.9.9:1, 192.0.2.7:2", "192.0.2.7")):
                self.assertEqual(wanted, self.address("%s: %s" % (name, value)), (name, value))

    def test_a670_what_is_no_address_is_ignored(self):
        for name in ("X-Forwarded-For", "X-Real-IP"):
            self.serve_facts(xheaders=name)
            for value in ("192.0.2.7:", "192.0.2.7:x", "192.0.2.7:123456", "[192.0.2.7]",
                          "[192.0.2.7]:80", "[2001:db8::7", "2001:db8::7]", "[2001:db8::7]x",
                          "[[::1]]", "[::1]:80:90", "[]:80", ":80", "localhost:80", "1.2.3:80",
                          "[fe80::1%25eth0]:80", "192.0.2.7 :80"):
                self.assertEqual(OURS, self.address("%s: %s" % (name, value)), value)

    def test_a670_trusted_proxies_are_skipped_with_their_ports(self):
        self.serve_facts(xheaders=True, trusted_downstream=["10.0.0.1", "2001:db8::1"])
        for value in ("192.0.2.7:5, 10.0.0.1:49152", "192.0.2.7, [2001:db8::1]:49152",
                      "9.9.9.9, 192.0.2.7:5, [2001:db8::1], 10.0.0.1:1"):
            self.assertEqual("192.0.2.7", self.address("X-Forwarded-For: " + value), value)

    def test_a671_only_the_named_header_is_believed(self):
        names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP")
        values = dict(zip(names, ("192.0.2.1", "192.0.2.2", "for=192.0.2.3", "192.0.2.4")))
        lines = ["%s: %s" % item for item in values.items()]
        for name in names:
            self.serve_facts(xheaders=name)
            self.assertEqual(values[name].replace("for=", ""), self.address(*lines), name)
            # The client's own headers pass a proxy that does not know them.
            others = ["%s: %s" % item for item in values.items() if item[0] != name]
            self.assertEqual(OURS, self.address(*others), name)
            self.serve_facts(xheaders=name.lower())
            self.assertEqual(values[name].replace("for=", ""), self.address(*lines), name)

    def test_a671_the_scheme_is_that_of_the_named_header(self):
        for name, believed, others in (
                ("X-Forwarded-For", "X-Forwarded-Proto: https",
                 ["X-Scheme: https", "Forwarded: proto=https"]),
                ("X-Real-IP", "X-Scheme: https",
                 ["X-Forwarded-Proto: https", "Forwarded: proto=https"]),
                ("CF-Connecting-IP", "X-Forwarded-Proto: https",
                 ["X-Scheme: https", "Forwarded: proto=https"]),
                ("Forwarded", "Forwarded: proto=https",
                 ["X-Scheme: https", "X-Forwarded-Proto: https"])):
            self.serve_facts(xheaders=name)
            self.assertEqual((OURS, "https"), self.facts(believed), name)
            self.assertEqual((OURS, "http"), self.facts(*others), name)

    def test_a671_a_name_that_no_header_can_have(self):
        for name in ("X Forwarded", "X-Real-IP:", u"Ä"):
            self.assertRaises(ValueError, HTTPServer, answer, xheaders=name)
        self.assertFalse(HTTPServer(answer, xheaders="").xheaders)


class ForwardedTest(ProxyCase):
    """RFC 7239."""

    def test_a672_nodes_and_schemes(self):
        self.serve_facts(xheaders="Forwarded")
        for value, wanted in (
                ("for=192.0.2.7", ("192.0.2.7", "http")),
                ("For=192.0.2.7;Proto=HTTPS;by=203.0.113.43", ("192.0.2.7", "https")),
                ('for="192.0.2.7:49152"', ("192.0.2.7", "http")),
                ('for="[2001:db8::7]:49152"; proto="https"', ("2001:db8::7", "https")),
                ('for="[2001:db8::7]"', ("2001:db8::7", "http")),
                ('for="\\192.0.2.7"', ("192.0.2.7", "http")),
                ('host="a;proto=https";for=192.0.2.7', ("192.0.2.7", "http")),
                ("for=unknown;proto=https", (OURS, "https")),
                ("for=_hidden", (OURS, "http")), ("proto=wss", (OURS, "https")),
                ("for=9.9.9.9;proto=https, for=192.0.2.7", ("192.0.2.7", "http")),
                ("for=9.9.9.9, for=192.0.2.7;proto=https", ("192.0.2.7", "https"))):
            self.assertEqual(wanted, self.facts("Forwarded: " + value), value)
        self.assertEqual(("192.0.2.7", "http"),
                         self.facts("Forwarded: for=9.9.9.9", "Forwarded: for=192.0.2.7"))

    def test_a672_malformed_elements_are_ignored(self):
        self.serve_facts(xheaders="Forwarded")
        for value in ("", "192.0.2.7", "for", "for=", 'for="192.0.2.7', "for=192.0.2.7;for=9.9.9.9",
                      "for=192.0.2.7;proto", "for=192.0.2.7 proto=https", "for=[2001:db8::7]",
                      "for =192.0.2.7", "for=192.0.2.7;FOR=192.0.2.7", "for=192.0.2.7,",
                      'for=9.9.9.9;x=";proto=https', 'for="192.0.2.7"x'):
            self.assertEqual((OURS, "http"), self.facts("Forwarded: " + value), value)

    def test_a672_a_client_cannot_quote_away_what_the_proxy_adds(self):
        self.serve_facts(xheaders="Forwarded")
        for ours in ('for=9.9.9.9;x="', '"', 'for=9.9.9.9;x="\\', "for=9.9.9.9;", "for=9.9.9.9;x="):
            for added in ('for="[2001:db8::7]:1"', 'for="[2001:db8::7]";proto=http'):
                self.assertEqual(("2001:db8::7", "http"),
                                 self.facts("Forwarded: %s, %s" % (ours, added)), ours)

    def test_a672_trusted_proxies_are_skipped(self):
        self.serve_facts(xheaders="Forwarded", trusted_downstream=["10.0.0.1", "2001:db8::1"])
        self.assertEqual(("192.0.2.7", "https"), self.facts(
            'Forwarded: for=9.9.9.9;proto=http, for="192.0.2.7:5";proto=https, '
            'for=10.0.0.1;proto=http, for="[2001:db8::1]:7"'))


class DefaultHostTest(ProxyCase):
    def test_a671_the_named_header_tells_that_there_is_a_proxy(self):
        """Requests for an unknown host are served by the default host only if they are direct."""
        class Tell(RequestHandler):
            def get(self):
                self.write("main")

        application = Application(default_host="main.example")
        application.add_handlers(r"main\.example", [("/", Tell)])
        router = RuleRouter([(DefaultHostMatches(application, r"main\.example"), application)])
        names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP")
        for xheaders, proxies in [(name, [name]) for name in names] + [
                (True, names[:2]), (False, names[1:2])]:
            for callback, redirected in ((application, 301), (router, 404)):
                self.serve(callback, xheaders=xheaders)
                self.assertEqual(200, self.fetch(get("/")).status)
                for name in names:
                    response = self.fetch(get("/", "%s: for=192.0.2.1\r\n" % name))
                    self.assertEqual(redirected if name in proxies else 200, response.status,
                                     (xheaders, name))


class SchemeTest(ProxyCase):
    def test_b256_schemes_in_any_case_and_of_websockets(self):
        self.serve_facts(xheaders=True)
        for name in ("X-Forwarded-Proto", "X-Scheme"):
            for value in ("HTTPS", "Https", "wss", "WSS", "http, HTTPS", "ws, wss"):
                self.assertEqual("https", self.facts("%s: %s" % (name, value))[1], value)
        self.serve_facts(xheaders=True, protocol="https")
        for value in ("HTTP", "ws", "WS", "https, Ws"):
            self.assertEqual("http", self.facts("X-Forwarded-Proto: " + value)[1], value)
        for value in ("ftp", "wsss", "", "ws://", "http, x"):
            self.assertEqual("https", self.facts("X-Forwarded-Proto: " + value)[1], value)


if __name__ == "__main__":
    unittest.main()
