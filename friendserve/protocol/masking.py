"""The mask of WebSocket frames (RFC 6455 5.3): each byte XOR one of four, in turn.

    apply_mask(b"Hello", b"\\x37\\xfa\\x21\\x3d")      # b"\\x7f\\x9fMQX", and back again

Clients mask what they send, so a server does this for every byte it receives. A Python loop is too
slow for that on CPython, but two built-in operations are fast enough: XOR of two long integers,
best for short data, and `translate` of every fourth byte, best for long data. On PyPy a loop is
more than ten times faster than both. Where the package ``websockets`` is installed
(``python -m pip install 'friendserve[speedups]'``), its C function is used.
"""
from __future__ import absolute_import, division, print_function

import array
import binascii

import six

from friendserve.util import IS_PYPY

#: From this size on, `translate` is faster than the XOR of integers.
_LONG = 1024

_TABLES = [bytes(bytearray(_byte ^ _mask for _byte in range(256))) for _mask in range(256)]


if six.PY2:  # version: py2
    def _xor(data, mask, size):
        number = int(binascii.hexlify(data), 16) ^ int(binascii.hexlify(mask[:size]), 16)
        return binascii.unhexlify(("%x" % number).rjust(2 * size, "0"))
else:
    def _xor(data, mask, size):
        number = int.from_bytes(data, "little") ^ int.from_bytes(mask, "little")
        return number.to_bytes(size + 3, "little")[:size]


def _xor_words(data, mask, size):
    words = array.array("I", bytes(data) + b"\0" * (-size & 3))
    key, = array.array("I", mask)
    for index in range(len(words)):
        words[index] ^= key
    return words.tobytes()[:size]


def apply_mask_in_python(data, mask):
    """`data` (bytes or a bytearray) XOR the 4 bytes of `mask`, repeated. Returns bytes, or a
    bytearray for long data. Raises ValueError for a mask of another length.
    """
    size = len(data)
    if len(mask) != 4:
        raise ValueError("a mask must have 4 bytes, not %d" % len(mask))
    if IS_PYPY and not six.PY2:
        return _xor_words(data, mask, size)
    if size >= _LONG:
        # Every fourth byte is extracted faster from a bytearray than from bytes.
        masked = bytearray(data)
        first, second, third, fourth = bytearray(mask)
        masked[::4] = masked[::4].translate(_TABLES[first])
        masked[1::4] = masked[1::4].translate(_TABLES[second])
        masked[2::4] = masked[2::4].translate(_TABLES[third])
        masked[3::4] = masked[3::4].translate(_TABLES[fourth])
        return masked
    return _xor(data, mask * (size + 3 >> 2), size) if size else b""


try:
    # The contract is the same.
    from websockets.speedups import apply_mask
except ImportError:
    apply_mask = apply_mask_in_python
