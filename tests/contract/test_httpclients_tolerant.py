"""The contract of the HTTP clients: responses that break a rule which does not matter are read."""
from __future__ import absolute_import, division, print_function

import unittest

from tests.clientcase import for_each_client, response

LINES = "".join("X-%d: %s\r\n" % (number, "y" * 20) for number in range(120))


class TolerantContract(object):
    def get(self, answer, **options):
        """(status, body) of the response with these bytes, and its headers."""
        self.script(answer, answer)
        got = self.fetch(**options)
        return got.code, got.body, got.headers

    def test_a680_a681_a682_a683_heads(self):
        for lines, name, value in [
                ("Host: a\r\nHost: a\r\n", "Host", "a, a"), ("Host: http://a/\r\n", "Host",
                                                             "http://a/"),
                (LINES, "X-119", "y" * 20), ("X : y\r\n", "X", "y"), ("X: \x01\r\n", "X", "\x01")]:
            code, body, headers = self.get(response(headers=lines))
            self.assertEqual((200, b"ok"), (code, body), lines[:20])
            self.assertEqual(value, headers[name])

    def test_a685_a_padded_chunk_size(self):
        for size in (b"2 ", b"2   ;x=y", b"2\t"):
            code, body, _ = self.get(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                     size + b"\r\nok\r\n0 \r\n\r\n")
            self.assertEqual((200, b"ok"), (code, body))

    def test_a684_framing_stays_strict(self):
        for lines in ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                      "Transfer-Encoding : chunked\r\n"):
            code, _, _ = self.get(response(headers="Host: a\r\nHost: b\r\n" + lines))
            self.assertEqual(599, code)


for_each_client(globals(), TolerantContract)

if __name__ == "__main__":
    unittest.main()
