"""permessage-deflate: the negotiation (A510), and compression within bounds (A028)."""
from __future__ import absolute_import, division, print_function

import unittest
import zlib

from friendserve.protocol.deflate import (
    OFFER, DeflateError, Deflater, Inflater, Side, accept_offer, parse_extensions,
    read_compression_options, read_response)


class NegotiationTest(unittest.TestCase):
    def answer(self, offer):
        agreement = accept_offer(offer)
        return agreement and agreement.response()

    def test_a510_offers_that_are_accepted(self):
        for offer, response in [
                ("permessage-deflate", "permessage-deflate"),
                (OFFER, "permessage-deflate"),
                ("permessage-deflate; client_max_window_bits=10",
                 "permessage-deflate; client_max_window_bits=10"),
                ('permessage-deflate; server_max_window_bits="9"',
                 "permessage-deflate; server_max_window_bits=9"),
                ("permessage-deflate;server_no_context_takeover ; client_no_context_takeover",
                 "permessage-deflate; client_no_context_takeover; server_no_context_takeover"),
                ('x-other; a="b, c; d", , permessage-deflate', "permessage-deflate")]:
            self.assertEqual(self.answer(offer), response, offer)

    def test_a510_offers_that_are_declined(self):
        for offer in (
                "", "x-webkit-deflate-frame", "permessage-deflate; unknown",
                "permessage-deflate; server_no_context_takeover=1",
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                "permessage-deflate; server_max_window_bits",
                "permessage-deflate; server_max_window_bits=7",
                "permessage-deflate; server_max_window_bits=16",
                "permessage-deflate; server_max_window_bits=010",
                "permessage-deflate; client_max_window_bits=x",
                # zlib has no such window.
                "permessage-deflate; server_max_window_bits=8",
                "permessage-deflate;", "=1", 'permessage-deflate; a="b', "permessage-deflate=1",
                "permessage deflate", u"permessage-deflate; \u0663"):
            self.assertIsNone(self.answer(offer), offer)

    def test_next_offer_is_taken_when_the_first_cannot_be_met(self):
        self.assertEqual(self.answer("permessage-deflate; server_max_window_bits=8, "
                                     "permessage-deflate; server_no_context_takeover"),
                         "permessage-deflate; server_no_context_takeover")

    def test_agreement_tells_both_sides(self):
        agreement = accept_offer("permessage-deflate; server_max_window_bits=10; "
                                 "client_no_context_takeover")
        self.assertEqual((agreement.server.bits, agreement.server.takeover), (10, True))
        self.assertEqual((agreement.client.bits, agreement.client.takeover), (15, False))

    def test_responses(self):
        self.assertIsNone(read_response(""))
        agreement = read_response("permessage-deflate; client_max_window_bits=9")
        self.assertEqual(agreement.client.bits, 9)

    def test_a509_responses_that_were_not_asked_for(self):
        for response in ("x-other", "permessage-deflate, permessage-deflate",
                         "permessage-deflate; client_max_window_bits",
                         "permessage-deflate; client_max_window_bits=8",
                         "permessage-deflate; unknown=1", "permessage-deflate; ="):
            with self.assertRaises(DeflateError):
                read_response(response)

    def test_quoted_values(self):
        self.assertEqual(parse_extensions(r'a; b="c\"d"; e , f'),
                         [("a", [("b", 'c"d'), ("e", None)]), ("f", [])])

    def test_options(self):
        self.assertEqual(read_compression_options({}), (None, None))
        self.assertEqual(read_compression_options({"compression_level": 0, "mem_level": 9}), (0, 9))
        for options in ({"level": 1}, {"compression_level": 10}, {"mem_level": 0},
                        {"compression_level": "9"}):
            with self.assertRaises(ValueError):
                read_compression_options(options)


class CompressionTest(unittest.TestCase):
    messages = [b"Hello", b"", b"Hello", b"", b"", b"x" * 100000, bytes(bytearray(range(256)))]

    def test_round_trip_with_every_window(self):
        for bits in range(9, 16):
            for takeover in (True, False):
                deflater, inflater = Deflater(Side(bits, takeover)), Inflater(Side(bits, takeover))
                for message in self.messages:
                    self.assertEqual(
                        inflater.feed(deflater.compress(message), 100000, True), message)

    def test_examples_of_the_rfc(self):
        # RFC 7692 7.2.3.1, 7.2.3.2
        deflater, inflater = Deflater(Side()), Inflater(Side())
        for payload in (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x00\x11\x00\x00"):
            self.assertEqual(deflater.compress(b"Hello"), payload)
            self.assertEqual(inflater.feed(payload, 99, True), b"Hello")
        # 7.2.3.3: a block without compression; 7.2.3.4: BFINAL; 7.2.3.5: two blocks
        for payload in (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
                        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
                        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"):
            self.assertEqual(Inflater(Side()).feed(payload, 99, True), b"Hello")

    def test_without_takeover_each_message_stands_alone(self):
        deflater = Deflater(Side(takeover=False))
        self.assertEqual(deflater.compress(b"Hello"), deflater.compress(b"Hello"))

    def test_pieces(self):
        payload = Deflater(Side()).compress(b"Hello " * 100)
        inflater, found = Inflater(Side()), b""
        for index in range(len(payload)):
            found += inflater.feed(payload[index:index + 1], 600, index == len(payload) - 1)
        self.assertEqual(found, b"Hello " * 100)

    def test_a028_bomb_is_inflated_to_the_limit_only(self):
        bomb = Deflater(Side()).compress(b"\0" * (64 * 1024 * 1024))
        self.assertLess(len(bomb), 100000)
        self.assertEqual(len(Inflater(Side()).feed(bomb, 1000, True)), 1001)

    def test_a697_a_bomb_after_what_fills_the_limit(self):
        # zlib takes a limit of 0 for none.
        for size in (999, 1000, 1001, 1002):
            payload = b""
            for data in (b"x" * size, b"y" * (1 << 24)):
                compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
                payload += compressor.compress(data) + compressor.flush()
            self.assertEqual(1001, len(Inflater(Side()).feed(payload, 1000, False)), size)

    def test_garbage(self):
        with self.assertRaises(DeflateError):
            Inflater(Side()).feed(b"\xff\xff\xff", 99, True)

    def test_final_blocks_without_end(self):
        # `empty` is a whole stream, with a final block.
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        empty = compressor.compress(b"") + compressor.flush()
        inflater = Inflater(Side())
        self.assertEqual(inflater.feed(empty * 10 + b"\x00", 99, True), b"")
        self.assertEqual(inflater.feed(empty * 10 + b"\x00", 99, True), b"")
        with self.assertRaises(DeflateError):
            inflater.feed(empty * 10000, 99, True)
