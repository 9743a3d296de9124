"""What a stream leaves in memory once it is closed: nothing (row B254)."""
from __future__ import absolute_import, division, print_function

import gc
import unittest
import weakref

from friendserve.iostream.buffers import WriteBuffer


class Callback(object):
    def __call__(self):
        pass


class ClosedBufferTest(unittest.TestCase):
    def test_b254_a_closed_buffer_keeps_neither_bytes_nor_callbacks(self):
        buffer, callback = WriteBuffer(), Callback()
        buffer.append(b"x" * 100000)
        buffer.call_when_sent(callback)
        alive = weakref.ref(callback)
        del callback
        buffer.close()
        gc.collect()
        self.assertIsNone(alive())
        self.assertEqual(0, len(buffer))
        self.assertEqual(0, buffer.held)
        self.assertEqual([], list(buffer._pieces))


if __name__ == "__main__":
    unittest.main()
