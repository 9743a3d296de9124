"""The body of one request, on its way from the connection to whoever wants it."""
from __future__ import absolute_import, division, print_function

import zlib

from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import CHUNKED, ChunkedDecoder
from friendserve.util import GzipDecompressor


def take_coding(headers):
    """Whether a body is gzip; that is then taken out of its headers. Raises HTTPInputError, 415,
    for other codings (RFC 9110 8.4)."""
    coding = headers.get("Content-Encoding", "")
    if coding.lower() in ("", "identity"):
        return False
    if coding.lower() not in ("gzip", "x-gzip"):
        raise HTTPInputError("the Content-Encoding %r is not supported here, only gzip"
                             % coding[:40], 415)
    headers["X-Consumed-Content-Encoding"] = headers.pop("Content-Encoding")
    return True


class RequestBody(object):
    """The body of the request that is being read."""
    __slots__ = ("_decoder", "_left", "_inflater", "_room", "timeout", "receiver", "paused",
                 "paused_at", "busy", "pieces", "unused")

    # Pieces are gathered in blocks of about this size: a piece can be one byte, and its object
    # takes far more.
    _BLOCK = 65536

    def __init__(self, length, max_size, timeout, gzipped):
        self._decoder = ChunkedDecoder(max_size) if length is CHUNKED else None
        self._left = length
        self._inflater = GzipDecompressor() if gzipped else None
        self._room = max_size       # bytes that may still come, after decompression
        self.timeout = timeout
        self.receiver = None        # who gets the pieces as they come; None: they are kept
        self.paused = False         # by the receiver
        self.paused_at = None
        self.busy = False           # a piece is on its way to the receiver
        self.pieces = []            # the first is bytes
        self.unused = None          # what followed the end; None until the end was seen

    def feed(self, data):
        """Take bytes of the connection, no more than `wanted`; returns bytes of the body."""
        if self._decoder is not None:
            data = self._decoder.feed(data)
            self.unused = self._decoder.unused
        else:
            self._left -= len(data)
            if not self._left:
                self.unused = b""
        if self._inflater is not None:
            data = self._inflate(data)
        if data and self.receiver is None:
            self._keep(data)
        return data

    def _keep(self, data):
        pieces = self.pieces
        if len(data) >= self._BLOCK or not pieces:
            pieces.append(data)
        elif type(pieces[-1]) is bytearray and len(pieces[-1]) < self._BLOCK:
            pieces[-1] += data
        else:
            pieces.append(bytearray(data))

    def whole(self):
        """All that was kept, as bytes."""
        pieces = self.pieces
        return pieces[0] if len(pieces) == 1 else b"".join([bytes(piece) for piece in pieces])

    def check_size(self):
        """Refuse a body that says beforehand that it is too large."""
        if self._decoder is None and self._left > self._room:
            raise HTTPInputError("a body of %d bytes is more than %d" % (self._left, self._room),
                                 413)

    def set_limit(self, max_size):
        """Another limit, before anything was fed."""
        self._room = max_size
        if self._decoder is not None:
            self._decoder = ChunkedDecoder(max_size)

    def wanted(self, size):
        """How many of the next `size` bytes of the connection are for this body."""
        return size if self._decoder is not None else min(size, self._left)

    def _inflate(self, data):
        # The limit is for what comes out: that is what takes memory.
        try:
            data = self._inflater.decompress(data, self._room + 1)
            self._room -= len(data)
            if self._room >= 0 and self.unused is not None:
                data += self._inflater.flush()
        except zlib.error as error:
            raise HTTPInputError("the compressed body is damaged: %s" % error)
        if self._room < 0:
            raise HTTPInputError("body too large when decompressed", 413)
        return data
