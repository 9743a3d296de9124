# coding: utf-8
"""Signatures of OAuth 1.0: the examples of RFC 5849 and others of its kind."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.protocol.oauth1 import base_string, escape, protocol_parameters, sign


class BaseStringTest(unittest.TestCase):
    def test_rfc_5849_3_4_1_1(self):
        fields = [("oauth_consumer_key", "9djdj82h48djs9d2"), ("oauth_token", "kkk9d7dh3k39sjv7"),
                  ("oauth_signature_method", "HMAC-SHA1"), ("oauth_timestamp", "137131201"),
                  ("oauth_nonce", "7d8f3e4a"), ("c2", ""), ("a3", "2 q")]
        self.assertEqual(
            b"POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D"
            b"%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonc"
            b"e%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oau"
            b"th_token%3Dkkk9d7dh3k39sjv7",
            base_string("post", "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
                        fields))

    def test_rfc_5849_3_4_1_2_the_url(self):
        for url, shown in (("http://EXAMPLE.COM:80/r%20v/X?id=123", "http://example.com/r%20v/X"),
                           ("https://www.example.net:8080/?q=1", "https://www.example.net:8080/"),
                           ("https://a.example:443", "https://a.example/"),
                           ("http://[::1]:80/", "http://[::1]/")):
            self.assertEqual(escape(shown), base_string("GET", url, {}).decode().split("&")[1])

    def test_rfc_5849_3_6_escaping(self):
        for text, escaped in (("abcABC123-._~", "abcABC123-._~"), ("%", "%25"), ("+", "%2B"),
                              ("/ ", "%2F%20"), (u"\u3001", "%E3%80%81"), (b"\xc3\xa9", "%C3%A9"),
                              (5, "5"), ("&=*", "%26%3D%2A")):
            self.assertEqual(escaped, escape(text))

    def test_repeated_parameters_are_sorted_by_value(self):
        base = base_string("GET", "http://a.example/", [("b", "2"), ("b", "1"), ("a", "3")])
        self.assertTrue(base.endswith(b"a%3D3%26b%3D1%26b%3D2"), base)


class SignTest(unittest.TestCase):
    CONSUMER = {"key": "dpf43f3p2l4k3l03", "secret": "kd94hf93k423kf44"}

    def check(self, expected, method, url, token_secret, **fields):
        fields = dict(("oauth_" + name, value) for name, value in fields.items())
        fields.update(oauth_consumer_key=self.CONSUMER["key"], oauth_signature_method="HMAC-SHA1")
        self.assertEqual(expected, sign("HMAC-SHA1", base_string(method, url, fields),
                                        self.CONSUMER["secret"], token_secret))

    def test_rfc_5849_1_2(self):
        self.check("gKgrFCywp7rO0OXSjdot/IHF7IU=", "POST", "https://photos.example.net/token",
                   "hdhd0244k9j7ao03", token="hh5s93j4hdidpola", timestamp="137131201",
                   nonce="walatlh", verifier="hfdp7dh39dks9884")
        self.check("MdpQcU8iPSUjWoN/UDMsK2sui9I=", "GET",
                   "http://photos.example.net/photos?file=vacation.jpg&size=original",
                   "pfkkdhi9sl3r4s00", token="nnch734d00sl2jdk", timestamp="137131202",
                   nonce="chapoH")

    def test_plaintext(self):
        self.assertEqual("djr9rjt0jd78jf88&jjd99%24tj88uiths3",
                         sign("PLAINTEXT", b"", "djr9rjt0jd78jf88", "jjd99$tj88uiths3"))
        with self.assertRaises(ValueError):
            protocol_parameters("GET", "http://a.example/", {}, self.CONSUMER, None, 1, "n",
                                "PLAINTEXT")

    def test_unknown_method(self):
        with self.assertRaises(ValueError) as caught:
            sign("RSA-SHA1", b"", "a")
        self.assertIn("HMAC-SHA1", str(caught.exception))


try:
    from oauthlib.oauth1 import Client
    from oauthlib.oauth1.rfc5849 import signature
except ImportError:
    Client = None

if Client is not None:
    class JudgeTest(unittest.TestCase):
        """The same base strings and signatures as oauthlib."""

        def test_a430_like_another_implementation(self):
            consumer, token = {"key": "k&", "secret": u"s/\xe9"}, {"key": "t", "secret": "+~"}
            for method in ("HMAC-SHA1", "HMAC-SHA256"):
                for url in ("http://a.example/b?c=d%20e&f=%2B&f=", "https://a.example:444/~x/y+z",
                            "http://a.example"):
                    for fields in ({"a": "1"}, {"a": u"\u05d0 / + ~", "b": ["2", "1"], "c d": ""}):
                        ours = protocol_parameters("POST", url, fields, consumer, token, 1500000000,
                                                   "n1", method, oauth_verifier="v")
                        client = Client(
                            consumer["key"], client_secret=consumer["secret"],
                            resource_owner_key="t", resource_owner_secret="+~",
                            signature_method=method, nonce="n1", timestamp="1500000000",
                            verifier="v", signature_type="BODY")
                        pairs = [(name, one) for name, value in fields.items()
                                 for one in (value if isinstance(value, list) else [value])]
                        uri, headers, body = client.sign(
                            url, "POST", body="&".join(
                                "%s=%s" % (escape(name), escape(value)) for name, value in pairs),
                            headers={"Content-Type": "application/x-www-form-urlencoded"})
                        theirs = dict(signature.collect_parameters(
                            body=body, exclude_oauth_signature=False))
                        self.assertEqual(theirs["oauth_signature"], ours["oauth_signature"], url)
