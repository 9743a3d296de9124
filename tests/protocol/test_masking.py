"""The mask of WebSocket frames: in Python, and in C where the package `websockets` is installed."""
from __future__ import absolute_import, division, print_function

import unittest

import six

from friendserve.protocol.masking import _xor_words, apply_mask, apply_mask_in_python


def slowly(data, mask):
    return bytes(bytearray(byte ^ bytearray(mask)[index % 4]
                           for index, byte in enumerate(bytearray(data))))


class MaskingTest(unittest.TestCase):
    apply_mask = staticmethod(apply_mask_in_python)

    def test_example_of_the_rfc(self):
        self.assertEqual(b"\x7f\x9f\x4d\x51\x58",
                         self.apply_mask(b"Hello", b"\x37\xfa\x21\x3d"))

    def test_every_length_on_both_sides_of_each_method(self):
        mask = b"\x00\xff\x12\x80"
        data = bytes(bytearray((7 * index) % 256 for index in range(5000)))
        for size in list(range(20)) + [125, 126, 1022, 1023, 1024, 1025, 1026, 1027, 5000]:
            self.assertEqual(slowly(data[:size], mask), self.apply_mask(data[:size], mask), size)

    def test_leading_zeros_stay(self):
        self.assertEqual(b"\x00\x00\x00\x00\x01",
                         self.apply_mask(b"\x01\x02\x03\x04\x00", b"\x01\x02\x03\x04"))

    def test_bytearrays_are_taken_and_left_alone(self):
        for size in (0, 5, 2000):
            data = bytearray(size)
            self.assertEqual((b"abcd" * 500)[:size], self.apply_mask(data, b"abcd"))
            self.assertEqual(bytearray(size), data)

    def test_a046_mask_of_another_length(self):
        for size in (0, 1, 2, 3, 5, 8):
            for data in (b"", b"some data", b"x" * 2000):
                with self.assertRaises(ValueError):
                    self.apply_mask(data, b"m" * size)


if not six.PY2:
    class MaskingByWordsTest(unittest.TestCase):
        def test_the_method_of_pypy(self):
            data = bytes(bytearray((7 * index) % 256 for index in range(1003)))
            for size in list(range(9)) + [1000, 1001, 1002, 1003]:
                self.assertEqual(slowly(data[:size], b"\x00\xff\x12\x80"),
                                 _xor_words(data[:size], b"\x00\xff\x12\x80", size))


if apply_mask is not apply_mask_in_python:
    class MaskingInCTest(MaskingTest):
        """The tests above, for the C function. Not defined where that is missing, because
        `apply_mask` is then the function tested above."""
        apply_mask = staticmethod(apply_mask)
