# coding: utf-8
"""URLs of clients, and the answers to digest challenges."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.protocol.httpauth import (
    DigestChallenge, choose_digest, parse_challenges, parse_parameters)
from friendserve.protocol.urls import join_url, parse_url


class ParseTest(unittest.TestCase):
    def test_parts(self):
        url = parse_url("HTTP://Me:sec%20ret@Example.COM:8080/a/b?c=d#e")
        self.assertEqual(url.origin, ("http", "example.com", 8080))
        self.assertEqual((url.authority, url.target), ("example.com:8080", "/a/b?c=d"))
        self.assertEqual((url.username, url.password), ("Me", "sec ret"))
        self.assertEqual(url.text, "http://example.com:8080/a/b?c=d")

    def test_defaults(self):
        for text, origin, authority, target in (
                ("http://h", ("http", "h", 80), "h", "/"),
                ("https://h:443?x", ("https", "h", 443), "h", "/?x"),
                ("http://h:", ("http", "h", 80), "h", "/"),
                ("http://[::1]:80/", ("http", "::1", 80), "[::1]", "/"),
                ("https://[2001:DB8::1]:8443/", ("https", "2001:db8::1", 8443),
                 "[2001:db8::1]:8443", "/"),
                (u"http://bücher.test/ü", ("http", "xn--bcher-kva.test", 80),
                 "xn--bcher-kva.test", "/%C3%BC"),
                (u"http://bücher.test/ü".encode("utf-8"), ("http", "xn--bcher-kva.test", 80),
                 "xn--bcher-kva.test", "/%C3%BC"),
                ("http://h/a@b:c//d", ("http", "h", 80), "h", "/a@b:c//d")):
            url = parse_url(text)
            self.assertEqual((url.origin, url.authority, url.target), (origin, authority, target))
            for part in (url.scheme, url.host, url.authority, url.target, url.text):
                self.assertIs(type(part), str)

    def test_the_same_origin(self):
        # A502: however it is written.
        self.assertEqual(parse_url("https://h:443/").origin, parse_url("HTTPS://H/x").origin)
        self.assertEqual(parse_url(u"http://BÜCHER.test").origin,
                         parse_url("http://xn--bcher-kva.test:80").origin)

    def test_refused(self):
        for text in ("", "h", "/path", "//h/", "http:", "http:/h", "http://", "http:///x",
                     "http://@/", "ftp://h/", "file:///x", "http://h:0/", "http://h:65536/",
                     "http://h:x/", "http://h:80:90/", "http://[::1/", "http://[h]/", "http://::1/",
                     "http://a b/", "http://h/a b", "http://h/\t", "http://h\n/", "http://h\\@x/",
                     "http://h/\x7f", u"http://h\u2044x@evil/\r", "http://h%00/\0"):
            self.assertRaises(ValueError, parse_url, text)
        self.assertRaises(TypeError, parse_url, None)
        self.assertRaises(TypeError, parse_url, 1)

    def test_a504_secrets_are_not_shown(self):
        self.assertNotIn("secret", repr(parse_url("http://me:secret@h/")))
        try:
            parse_url("http://me:secret@h:99999/")
        except ValueError as error:
            self.assertNotIn("secret", str(error))

    def test_bounded(self):
        for number in range(2000):
            parse_url("http://h%d/" % number)
        self.assertEqual(parse_url("http://h1/").host, "h1")

    def test_join(self):
        for reference, joined in (("b", "http://h/a/b"), ("/b", "http://h/b"),
                                  ("//o/b", "http://o/b"), ("https://o", "https://o"),
                                  ("http:///x", "http:///x"), ("?q", "http://h/a/x?q")):
            self.assertEqual(join_url("http://h/a/x", reference), joined)


class DigestTest(unittest.TestCase):
    def test_parameters(self):
        self.assertEqual(parse_parameters('Digest realm="a \\"b\\"", nonce=x, qop="auth,auth-int"'),
                         [("digest", None), ("realm", 'a "b"'), ("nonce", "x"),
                          ("qop", "auth,auth-int")])
        self.assertEqual(parse_parameters(""), [])
        self.assertEqual(parse_parameters("a=b, \x00"), [("a", "b")])

    def test_challenges(self):
        self.assertEqual(
            parse_challenges(['Basic realm="x", Digest nonce="1"', "Negotiate"]),
            [("basic", {"realm": "x"}), ("digest", {"nonce": "1"}), ("negotiate", {})])

    def test_the_best_is_chosen(self):
        values = ['Digest realm="r", nonce="1", algorithm=MD5, qop="auth"',
                  'Digest realm="r", nonce="2", algorithm=SHA-256, qop="auth"',
                  'Digest realm="r", nonce="3", algorithm=SHA-512, qop="auth"']
        self.assertEqual(choose_digest(values).nonce, "2")
        self.assertEqual(choose_digest(values[:1]).nonce, "1")
        for value in (values[2], 'Digest nonce="1", qop="auth-int"', "Basic realm=x", "Digest"):
            self.assertIsNone(choose_digest([value]))

    def test_examples_of_the_standard(self):
        # RFC 7616 3.9.1.
        for algorithm, response in (
                ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
                ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")):
            challenge = DigestChallenge({
                "realm": "http-auth@example.org", "qop": "auth, auth-int",
                "algorithm": algorithm, "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"})
            value = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html",
                                     "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
            self.assertIn('response="%s"' % response, value)
            self.assertIn("nc=00000001", value)
            self.assertIn('username="Mufasa"', value)
            self.assertIn("nc=00000002", challenge.answer("a", "b", "GET", "/", "c"))
            challenge.next_nonce("other")
            self.assertIn("nc=00000001", challenge.answer("a", "b", "GET", "/", "c"))

    def test_session(self):
        challenge = DigestChallenge({"realm": "r", "nonce": "n", "algorithm": "MD5-sess",
                                     "qop": "auth"})
        # md5(md5(md5("a:r:b"):n:c):n:00000001:c:auth:md5("GET:/"))
        self.assertIn("algorithm=MD5-sess", challenge.answer("a", "b", "GET", "/", "c"))
        self.assertTrue(challenge.is_understood)

    def test_names(self):
        challenge = DigestChallenge({"realm": "r", "nonce": "n"})
        self.assertIn('username="a\\"b"', challenge.answer('a"b', None, "GET", "/", "c"))
        self.assertRaises(ValueError, challenge.answer, "a\r\nb", "", "GET", "/", "c")


if __name__ == "__main__":
    unittest.main()
