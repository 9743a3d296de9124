"""The frames of a WebSocket, as bytes and values (A026, A506, A507)."""
from __future__ import absolute_import, division, print_function

import random
import struct
import unittest

import six

from friendserve.protocol.deflate import Deflater, Inflater, Side
from friendserve.protocol.errors import WebSocketInputError
from friendserve.protocol.websocket import (
    BINARY, CLOSE, CONTINUATION, FIN, NO_CODE, NO_TEXT, PING, PONG, RSV1, RSV2, RSV3, TEXT, Close,
    FrameReader, Ping, Pong, encode_close, encode_frame, is_close_code)

MASK = b"\x01\xfe\x80\x7f"


def frame(first, payload=b""):
    """A frame from a client."""
    return encode_frame(first, payload, MASK)


def plain(events):
    """Events as values that can be compared."""
    return [(type(event), event.code, event.reason) if isinstance(event, Close)
            else (type(event), event.data) if isinstance(event, Ping)
            else (WebSocketInputError, event.code) if isinstance(event, WebSocketInputError)
            else event for event in events]


class ReaderTest(unittest.TestCase):
    def read(self, *pieces, **options):
        """The events that a server reads from these bytes."""
        reader = FrameReader(True, **options)
        events = []
        for piece in pieces:
            events.extend(reader.receive(piece))
        return plain(events)

    def assert_refused(self, data, code=1002, before=(), **options):
        """Check that the bytes are refused, and that nothing after them is read."""
        expected = list(before) + [(WebSocketInputError, code)]
        self.assertEqual(self.read(data, frame(FIN | TEXT, b"later"), **options), expected)

    def test_types_of_messages(self):
        text, data = FrameReader(True).receive(frame(FIN | TEXT, b"a\xc3\xa9")
                                               + frame(FIN | BINARY, b"a\xc3\xa9"))
        self.assertEqual((type(text), text), (six.text_type, u"a\xe9"))
        self.assertEqual((type(data), data), (bytes, b"a\xc3\xa9"))

    def test_the_last_text_in_one_piece_comes_with_its_utf8(self):
        reader = FrameReader(True)
        self.assertEqual(NO_TEXT, reader.last_text)
        for payload in (b"\xc3\xa9", b"\xc3\xa9" * 1000):
            text, = reader.receive(frame(FIN | TEXT, payload))
            self.assertIs(text, reader.last_text[0])
            self.assertEqual(payload, bytes(reader.last_text[1]))

    def test_all_that_is_legal_in_whole_and_in_pieces(self):
        data = b"".join([
            frame(FIN | TEXT), frame(FIN | TEXT, b"x" * 125), frame(FIN | BINARY, b"y" * 126),
            frame(FIN | BINARY, b"z" * 65535), frame(FIN | TEXT, u"\u20ac".encode("utf-8") * 30000),
            frame(TEXT, b"\xe2"), frame(FIN | PING, b"p"), frame(CONTINUATION, b"\x82"),
            frame(CONTINUATION), frame(FIN | CONTINUATION, b"\xac"), frame(FIN | PONG, b"q" * 125),
            frame(BINARY), frame(FIN | CONTINUATION),
            frame(TEXT, b"a\r\nb\r"), frame(FIN | CONTINUATION, b"c\nd"),
            frame(FIN | CLOSE, encode_close(1001, u"\xe9")), frame(FIN | TEXT, b"too late")])
        expected = [u"", u"x" * 125, b"y" * 126, b"z" * 65535, u"\u20ac" * 30000, (Ping, b"p"),
                    u"\u20ac", (Pong, b"q" * 125), b"", u"a\r\nb\rc\nd", (Close, 1001, u"\xe9")]
        self.assertEqual(self.read(data), expected)
        # A210: byte by byte
        self.assertEqual(self.read(*[data[i:i + 1] for i in range(len(data))]), expected)
        chance = random.Random(7)
        for _ in range(30):
            cuts = sorted(chance.randrange(len(data)) for _ in range(20))
            self.assertEqual(self.read(*[data[start:end] for start, end in zip(
                [0] + cuts, cuts + [len(data)])]), expected)

    def test_client_reads_what_is_not_masked(self):
        data = encode_frame(FIN | TEXT, b"Hello") + encode_frame(FIN | BINARY, b"x" * 70000)
        self.assertEqual(FrameReader(False).receive(data), [u"Hello", b"x" * 70000])

    def test_a506_masks_are_for_clients_only(self):
        for size in (0, 5, 126, 70000):
            self.assert_refused(encode_frame(FIN | TEXT, b"x" * size))
            self.assertEqual(plain(FrameReader(False).receive(frame(FIN | TEXT, b"x" * size))),
                             [(WebSocketInputError, 1002)])

    def test_a507_reserved_bits(self):
        for bit in (RSV1, RSV2, RSV3, RSV1 | RSV2 | RSV3):
            for opcode in (TEXT, BINARY, PING, CLOSE):
                self.assert_refused(frame(FIN | bit | opcode))
        for opcode in (PING, PONG, CLOSE):
            self.assert_refused(frame(FIN | RSV1 | opcode), inflater=Inflater(Side()))
        self.assert_refused(frame(TEXT, b"a") + frame(FIN | RSV1 | CONTINUATION),
                            inflater=Inflater(Side()))

    def test_a507_opcodes(self):
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            self.assert_refused(frame(FIN | opcode))
            # At the first byte of the frame, before its payload.
            self.assert_refused(frame(FIN | opcode, b"x" * 100)[:2])

    def test_a507_order_of_fragments(self):
        self.assert_refused(frame(FIN | CONTINUATION, b"x"))
        self.assert_refused(frame(CONTINUATION, b"x"))
        for opcode in (TEXT, BINARY):
            self.assert_refused(frame(TEXT, b"x") + frame(FIN | opcode, b"y"))
            self.assert_refused(frame(BINARY, b"x") + frame(opcode, b"y"))
        self.assert_refused(frame(FIN | TEXT, b"x") + frame(FIN | CONTINUATION), before=[u"x"])

    def test_a507_control_frames(self):
        for opcode in (PING, PONG, CLOSE):
            self.assert_refused(frame(opcode))
            self.assert_refused(frame(FIN | opcode, b"x" * 126)[:8])
            self.assert_refused(frame(FIN | opcode, b"x" * 70000)[:14])

    def test_a507_close_frames(self):
        self.assert_refused(frame(FIN | CLOSE, b"\x03"))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
            self.assert_refused(frame(FIN | CLOSE, struct.pack(">H", code)))
            self.assertFalse(is_close_code(code))
        self.assert_refused(frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007)
        for code in (1000, 1003, 1007, 1011, 1014, 3000, 4999):
            self.assertEqual(self.read(frame(FIN | CLOSE, encode_close(code))),
                             [(Close, code, u"")])
        self.assertEqual(self.read(frame(FIN | CLOSE)), [(Close, NO_CODE, u"")])

    def test_a507_text_that_is_no_utf_8(self):
        for text in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80",
                     b"abc\xe2\x82", b"\x80"):
            self.assert_refused(frame(FIN | TEXT, text), 1007)
            self.assert_refused(frame(TEXT, text) + frame(FIN | CONTINUATION), 1007)
            self.assert_refused(frame(TEXT, text[:1]) + frame(FIN | CONTINUATION, text[1:]), 1007)

    def test_wrong_text_is_refused_before_it_ends(self):
        self.assert_refused(frame(FIN | TEXT, b"ok\xff" + b"x" * 1000)[:20], 1007)
        self.assert_refused(frame(TEXT, b"ok\xff"), 1007)

    def test_lengths_have_their_shortest_form(self):
        for head in (b"\x82\xfe\x00\x7d", b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"):
            self.assert_refused(head + MASK + b"x" * 125)

    def test_a026_length_is_refused_from_the_head_alone(self):
        for length in (1 << 63, (1 << 64) - 1, 10 ** 9):
            for first in (FIN | TEXT, FIN | BINARY, BINARY):
                self.assert_refused(struct.pack(">BBQ", first, 0xff, length) + MASK, 1009)
        self.assert_refused(struct.pack(">BBQ", FIN | RSV1 | TEXT, 0xff, 10 ** 9) + MASK, 1009,
                            inflater=Inflater(Side()))

    def test_a026_limit_counts_all_fragments(self):
        data = frame(TEXT, b"x" * 600) + frame(CONTINUATION) + frame(FIN | CONTINUATION, b"x" * 400)
        self.assertEqual(self.read(data, max_message_size=1000), [u"x" * 1000])
        self.assert_refused(data, 1009, max_message_size=999)
        self.assertEqual(self.read(frame(FIN | TEXT, b"x" * 1000), max_message_size=1000),
                         [u"x" * 1000])
        self.assert_refused(frame(FIN | TEXT, b"x" * 1001), 1009, max_message_size=1000)

    def test_a210_number_of_fragments_is_bounded(self):
        data = frame(TEXT) + frame(CONTINUATION) * 98 + frame(FIN | CONTINUATION, b"x")
        self.assertEqual(self.read(data, max_fragments=100), [u"x"])
        self.assert_refused(data, 1009, max_fragments=99)

    def test_a210_a_million_empty_fragments(self):
        reader = FrameReader(True)
        reader.receive(frame(TEXT))
        piece, sent, events = frame(CONTINUATION) * 10000, 0, []
        while sent < 1000000 and not events:
            events = reader.receive(piece)
            sent += 10000
        self.assertEqual(plain(events), [(WebSocketInputError, 1009)])

    def test_compressed_messages(self):
        deflater = Deflater(Side())
        payload = deflater.compress(b"Hello")
        middle = len(payload) // 2
        data = (frame(FIN | RSV1 | TEXT, payload)
                + frame(RSV1 | BINARY, deflater.compress(b"\xff" * 1000)[:4]))
        self.assertEqual(self.read(data, inflater=Inflater(Side())), [u"Hello"])
        data = (frame(RSV1 | TEXT, payload[:middle]) + frame(FIN | PING)
                + frame(FIN | CONTINUATION, payload[middle:])
                + frame(FIN | TEXT, b"not compressed"))
        self.assertEqual(self.read(data, inflater=Inflater(Side())),
                         [(Ping, b""), u"Hello", u"not compressed"])

    def test_a028_limit_is_that_of_what_is_inflated(self):
        payload = Deflater(Side()).compress(b"x" * 1001)
        data = frame(FIN | RSV1 | TEXT, payload)
        self.assertEqual(self.read(data, inflater=Inflater(Side()), max_message_size=1001),
                         [u"x" * 1001])
        self.assert_refused(data, 1009, inflater=Inflater(Side()), max_message_size=1000)
        data = frame(TEXT | RSV1, payload[:5]) + frame(FIN | CONTINUATION, payload[5:])
        self.assert_refused(data, 1009, inflater=Inflater(Side()), max_message_size=1000)

    def test_a510_compressed_text_is_checked(self):
        for data in (Deflater(Side()).compress(b"ok\xff"), b"\xff\xff\xff"):
            self.assert_refused(frame(FIN | RSV1 | TEXT, data), 1007, inflater=Inflater(Side()))


class EncodeTest(unittest.TestCase):
    def test_examples_of_the_rfc(self):
        self.assertEqual(encode_frame(FIN | TEXT, b"Hello"), b"\x81\x05Hello")
        self.assertEqual(encode_frame(FIN | TEXT, b"Hello", b"\x37\xfa\x21\x3d"),
                         b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
        self.assertEqual(encode_frame(FIN | BINARY, b"x" * 256)[:4], b"\x82\x7e\x01\x00")
        self.assertEqual(encode_frame(FIN | BINARY, b"x" * 65536)[:10],
                         b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00")

    def test_sizes_that_change_the_head(self):
        for size in (0, 125, 126, 65535, 65536):
            data = b"x" * size
            self.assertEqual(FrameReader(False).receive(encode_frame(FIN | BINARY, data)), [data])
            self.assertEqual(FrameReader(True).receive(frame(FIN | BINARY, data)), [data])

    def test_close(self):
        self.assertEqual(encode_close(None), b"")
        self.assertEqual(encode_close(1000), b"\x03\xe8")
        self.assertEqual(encode_close(4000, b"bye"), b"\x0f\xa0bye")
        # At most 125 bytes, without half a character.
        self.assertEqual(encode_close(1000, u"\u20ac" * 100), b"\x03\xe8" + b"\xe2\x82\xac" * 41)

    def test_close_codes_that_must_not_be_sent(self):
        for code in (0, 999, 1005, 1006, 1015, 2000, 5000):
            with self.assertRaises(ValueError):
                encode_close(code)
        with self.assertRaises(ValueError):
            encode_close(None, u"why")
