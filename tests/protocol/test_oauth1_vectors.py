"""Signatures of OAuth 1.0: the examples of RFC 5849, and oauthlib as the judge of others."""
from __future__ import absolute_import, division, print_function

import unittest

from oauthlib.oauth1 import Client
from six.moves.urllib.parse import parse_qsl, urlencode

from friendserve.protocol.oauth1 import base_string, escape, protocol_parameters, sign


class VectorTest(unittest.TestCase):
    def test_check_26_rfc_5849_section_1_2(self):
        """The three signed requests of the example."""
        consumer = {"key": "dpf43f3p2l4k3l03", "secret": "kd94hf93k423kf44"}

        def signature(method, url, parameters, token, timestamp, nonce, **extra):
            fields = dict(parameters, oauth_consumer_key=consumer["key"],
                          oauth_signature_method="HMAC-SHA1", oauth_timestamp=timestamp,
                          oauth_nonce=nonce, **extra)
            if token:
                fields["oauth_token"] = token["key"]
            return sign("HMAC-SHA1", base_string(method, url, fields), consumer["secret"],
                        token["secret"] if token else "")

        temporary = {"key": "hh5s93j4hdidpola", "secret": "hdhd0244k9j7ao03"}
        token = {"key": "nnch734d00sl2jdk", "secret": "pfkkdhi9sl3r4s00"}
        self.assertEqual("74KNZJeDHnMBp0EMJ9ZHt/XKycU=", signature(
            "POST", "https://photos.example.net/initiate", {}, None, "137131200", "wIjqoS",
            oauth_callback="http://printer.example.com/ready"))
        self.assertEqual("gKgrFCywp7rO0OXSjdot/IHF7IU=", signature(
            "POST", "https://photos.example.net/token", {}, temporary, "137131201", "walatlh",
            oauth_verifier="hfdp7dh39dks9884"))
        self.assertEqual("MdpQcU8iPSUjWoN/UDMsK2sui9I=", signature(
            "GET", "http://photos.example.net/photos", {"file": "vacation.jpg", "size": "original"},
            token, "137131202", "chapoH"))

    def test_check_26_rfc_5849_section_3_4_1_1(self):
        self.assertEqual(
            b"POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D"
            b"%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26"
            b"oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D"
            b"137131201%26oauth_token%3Dkkk9d7dh3k39sjv7",
            base_string("post", "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", [
                ("c2", ""), ("a3", "2 q"), ("oauth_consumer_key", "9djdj82h48djs9d2"),
                ("oauth_token", "kkk9d7dh3k39sjv7"), ("oauth_signature_method", "HMAC-SHA1"),
                ("oauth_timestamp", "137131201"), ("oauth_nonce", "7d8f3e4a")]))

    def test_check_26_characters(self):
        self.assertEqual("a-._~0", escape("a-._~0"))
        self.assertEqual("%2F%2B%20%25%21%2A%27%28%29", escape("/+ %!*'()"))
        self.assertEqual("%E2%98%83%C3%A9", escape(u"\u2603\xe9"))
        self.assertEqual("%FF5", escape(b"\xff") + escape(5))

    def test_check_26_urls(self):
        for url, normalized in (("HTTP://EXAMPLE.com:80", "http%3A%2F%2Fexample.com%2F"),
                                ("https://u:p@example.com:443/A?#f",
                                 "https%3A%2F%2Fexample.com%2FA"),
                                ("https://example.com:80/", "https%3A%2F%2Fexample.com%3A80%2F"),
                                ("http://[::1]:8080/", "http%3A%2F%2F%5B%3A%3A1%5D%3A8080%2F"),
                                (u"http://example.com/\xe9",
                                 "http%3A%2F%2Fexample.com%2F%25C3%25A9")):
            self.assertEqual(("GET&%s&" % normalized).encode("ascii"), base_string("GET", url, {}))

    def test_a432_a_semicolon_separates_nothing(self):
        self.assertEqual(b"GET&http%3A%2F%2Fa%2F&x%3D1%253By%253D2",
                         base_string("GET", "http://a/?x=1;y%3D2", {}))

    def test_check_26_plaintext_only_over_tls(self):
        consumer, token = {"key": "k", "secret": "a&b"}, {"key": "t", "secret": "c"}
        self.assertRaises(ValueError, protocol_parameters, "GET", "http://a/", {}, consumer, token,
                          1, "n", "PLAINTEXT")
        self.assertEqual("a%26b&c", protocol_parameters(
            "GET", "https://a/", {}, consumer, token, 1, "n", "PLAINTEXT")["oauth_signature"])
        self.assertEqual("HMAC-SHA1", protocol_parameters(
            "GET", "https://a/", {}, consumer, token, 1, "n")["oauth_signature_method"])
        self.assertRaises(ValueError, sign, "RSA-SHA1", b"", "")


class JudgedTest(unittest.TestCase):
    def test_check_26_oauthlib_signs_alike(self):
        parameters = {"slash": u"a/b", "plus": u"1+1 =~*'()", "umlaut": u"\xe9\u2603", "empty": u"",
                      "repeated": [u"b", u"a", u"B"]}
        url = "https://api.example.com:8443/x%20y/statuses?q=%2F+%7E&q=a%26b"
        pairs = sorted((name, one.encode("utf-8")) for name, value in parameters.items()
                       for one in (value if isinstance(value, list) else [value]))
        for method in ("HMAC-SHA1", "HMAC-SHA256"):
            fields = protocol_parameters(
                "POST", url, parameters, {"key": "consumer", "secret": u"s&\xe9/"},
                {"key": "token", "secret": "t+~"}, 1318622958, "kYjzVBB8Y0ZFabxSWbWovY3uYSQ",
                method, oauth_verifier="v")
            judge = Client(u"consumer", u"s&\xe9/", u"token", u"t+~", signature_method=method,
                           signature_type="BODY", timestamp=u"1318622958", verifier=u"v",
                           nonce=u"kYjzVBB8Y0ZFabxSWbWovY3uYSQ")
            _, _, body = judge.sign(
                url, "POST", urlencode(pairs),
                {"Content-Type": "application/x-www-form-urlencoded"})
            self.assertEqual(dict(parse_qsl(body))["oauth_signature"], fields["oauth_signature"])
