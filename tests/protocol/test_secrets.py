"""What may hold a secret is in no memo (row A691), and secrets are compared whole (row A692)."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httputil import HTTPHeaders
from friendserve.protocol import http1, urls
from friendserve.protocol.cookies import create_signed_value, decode_signed_value


class RememberedTest(unittest.TestCase):
    def assert_not_kept(self, memo, read, *arguments):
        """That `read` keeps nothing of these arguments in `memo`, although it keeps others."""
        memo.clear()
        for _ in range(3):
            read(*arguments)
        self.assertNotIn("secret", repr(memo), arguments)

    def test_a691_urls_with_a_user(self):
        self.assertIs(urls.parse_url("http://h/known"), urls.parse_url("http://h/known"))
        for url in ("http://me:secret@h/", "http://secret@h/", "http://:secret@h/",
                    u"https://me:secret@h/", b"http://me:secret@h/"):
            self.assert_not_kept(urls._urls, urls.parse_url, url)

    def test_a691_heads_of_responses(self):
        head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n%s\r\n\r\n"
        http1.read_response_head(head % b"X-Known: 1")
        self.assertIn("X-Known", repr(http1._response_heads))
        for line in (b"Location: http://h/?token=secret", b"location: /secret",
                     b"Set-Cookie: a=secret", b"Set-Cookie: a=b\r\nSet-Cookie: a=secret",
                     b"Authorization: secret"):
            self.assert_not_kept(http1._response_heads, http1.read_response_head, head % line)

    def test_a691_heads_of_requests(self):
        head = b"GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n"
        for _ in range(2):
            http1.read_request_head(head % (b"/known", b"Accept: *"))
        self.assertIn("/known", repr(http1._heads))
        for target, line in ((b"/?secret", b"X: y"), (b"/", b"Cookie: secret"),
                             (b"/", b"cookie: secret"), (b"/", b"Authorization: secret"),
                             (b"/", b"Cookie: a=b\r\nCookie: secret"),
                             (b"/", b"Proxy-Authorization: secret"),
                             (b"/", b"Referer: http://h/?secret")):
            self.assert_not_kept(http1._heads, http1.read_request_head, head % (target, line))

    def test_a691_heads_that_are_sent(self):
        for name in ("X-Known", "Set-Cookie"):
            http1.encode_response_head("A", HTTPHeaders([("Etag", '"a"'), (name, "value")]), 1)
            self.assertIn("X-Known", repr(http1._last))
            self.assertNotIn("Set-Cookie", repr(http1._last))


class ComparedTest(unittest.TestCase):
    def test_a692_every_digit_of_a_signature(self):
        for version in (1, 2):
            signed = create_signed_value("key", "name", "value", version, lambda: 1000)
            start = signed.rindex(b"|") + 1
            self.assertEqual({1: 40, 2: 64}[version], len(signed) - start)

            def decode(value):
                return decode_signed_value("key", "name", value, clock=lambda: 1000)

            self.assertEqual(b"value", decode(signed))
            for place in range(start, len(signed)):
                other = b"0" if signed[place:place + 1] != b"0" else b"1"
                self.assertIsNone(decode(signed[:place] + other + signed[place + 1:]), place)
                self.assertIsNone(decode(signed[:place]))


if __name__ == "__main__":
    unittest.main()
