"""B390: the PROXY header, by a corpus of valid and malformed ones."""
from __future__ import absolute_import, division, print_function

import io
import json
import unittest

from friendserve.protocol.proxyheader import ProxyHeaderError, read_proxy_header
from tests.corpuscase import for_each_file

REST = b"GET / HTTP/1.1\r\n\r\n"


@for_each_file("proxyheader", 48)
class ProxyHeaderTest(unittest.TestCase):
    def check_file(self, path):
        with io.open(path, encoding="utf-8") as file:
            case = json.load(file)
        header = case["header"].encode("latin-1")
        if "error" in case:
            with self.assertRaises(ProxyHeaderError):
                self.assertIsNone(read_proxy_header(header), "incomplete")
            # It may look like the beginning of one, but never like a whole one.
            for size in range(len(header)):
                try:
                    self.assertIsNone(read_proxy_header(header[:size]), header[:size])
                except ProxyHeaderError:
                    pass
            return
        for size in range(len(header)):
            self.assertIsNone(read_proxy_header(header[:size]), header[:size])
        for rest in (b"", REST):
            found, size = read_proxy_header(header + rest)
            self.assertEqual(len(header), size)
            source = case["source"]
            self.assertEqual(source and (source[0], source[1]), found.source)
            self.assertEqual(source is None, found.destination is None)


class AddressTest(unittest.TestCase):
    def test_b390_ipv6_addresses_are_shown_in_their_shortest_form(self):
        for packed, shown in (
                (b"\0" * 16, "::"), (b"\0" * 15 + b"\1", "::1"),
                (b"\x20\x01" + b"\0" * 14, "2001::"),
                (b"\0\1\0\0\0\2\0\0\0\0\0\3\0\0\0\0", "1:0:2::3:0:0"),
                (b"\0\1\0\0\0\2\0\3\0\4\0\5\0\6\0\7", "1:0:2:3:4:5:6:7")):
            header = (b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + packed + b"\0" * 15 + b"\1"
                      + b"\0\1\0\2")
            found, size = read_proxy_header(header)
            self.assertEqual((shown, 1), found.source)
            self.assertEqual(("::1", 2), found.destination)
