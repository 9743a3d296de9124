"""The body of one message, on its way from the connection to whoever wants it."""
from __future__ import absolute_import, division, print_function

import zlib

from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.http1 import CHUNKED, UNTIL_CLOSE, ChunkedDecoder
from friendserve.util import GzipDecompressor


def take_request_coding(headers):
    """What decompresses a request's body, or None; its coding is then taken out of the headers.
    Raises HTTPInputError, 415, for codings other than gzip (RFC 9110 8.4)."""
    coding = headers.get("Content-Encoding", "")
    if coding.lower() in ("", "identity"):
        return None
    if coding.lower() not in ("gzip", "x-gzip"):
        raise HTTPInputError("the Content-Encoding %r is not supported here, only gzip"
                             % coding[:40], 415)
    headers["X-Consumed-Content-Encoding"] = headers.pop("Content-Encoding")
    return GzipDecompressor()


class DeflateDecompressor(object):
    """Decompresses the coding "deflate" in the way of `GzipDecompressor`: zlib (RFC 1950), as the
    standard says, or raw deflate (RFC 1951), as some servers understood it."""

    def __init__(self):
        self._member = None
        self._begin = b""

    def decompress(self, value, max_length):
        if self._member is None:
            value = self._begin + value
            if len(value) < 2:
                self._begin = value
                return b""
            begin = bytearray(value[:2])
            is_zlib = begin[0] & 15 == 8 and (begin[0] * 256 + begin[1]) % 31 == 0
            self._member = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        return self._member.decompress(value, max_length)

    def flush(self):
        # Python 2.7 cannot tell whether raw deflate has ended.
        if self._member is None and self._begin or \
                self._member is not None and not getattr(self._member, "eof", True):
            raise zlib.error("the compressed data ends too early")
        return b""


#: Content codings that a client understands.
DECOMPRESSORS = {"gzip": GzipDecompressor, "x-gzip": GzipDecompressor,
                 "deflate": DeflateDecompressor}


def take_response_coding(headers):
    """What decompresses the body of a response, or None; then its coding and length are
    renamed in the headers, as they are not those of what the application gets."""
    decompressor = DECOMPRESSORS.get(headers["Content-Encoding"].lower())
    if decompressor is None:
        return None
    for name in ("Content-Encoding", "Content-Length"):
        if name in headers:
            headers["X-Consumed-" + name] = headers.pop(name)
    return decompressor()


class MessageBody(object):
    """The body of the message that is being read: `length` as `body_length` says, no more than
    `max_size` bytes, `inflater` to decompress them or None."""
    __slots__ = ("_decoder", "_left", "_inflater", "_room", "timeout", "receiver", "paused",
                 "paused_at", "busy", "pieces", "unused")

    # Pieces are gathered in blocks of about this size: a piece can be one byte, and its object
    # takes far more.
    _BLOCK = 65536

    # Compressed bytes that a receiver gets the content of at a time: deflate makes 1,032 of one at
    # most, and so no piece is much larger than a megabyte.
    _STEP = 1024

    def __init__(self, length, max_size, timeout=None, inflater=None):
        self._decoder = ChunkedDecoder(max_size) if length is CHUNKED else None
        self._left = length
        self._inflater = inflater
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
        elif self._left is UNTIL_CLOSE:
            if self._inflater is None:
                self._room -= len(data)
                if self._room < 0:
                    raise HTTPInputError("body too large", 413)
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
        if self._decoder is None and self._left is not UNTIL_CLOSE and self._left > self._room:
            raise HTTPInputError("a body of %d bytes is more than %d" % (self._left, self._room),
                                 413)

    def set_limit(self, max_size):
        """Another limit, before anything was fed."""
        self._room = max_size
        if self._decoder is not None:
            self._decoder = ChunkedDecoder(max_size)

    def bound(self, size):
        """How many bytes of the connection make a piece for the receiver, `size` at most."""
        return size if self._inflater is None else min(size, self._STEP)

    def wanted(self, size):
        """How many of the next `size` bytes of the connection are for this body."""
        if self._decoder is not None or self._left is UNTIL_CLOSE:
            return size
        return min(size, self._left)

    def closed(self):
        """The connection has closed: returns whether the body is whole by that (RFC 9112 8).
        Raises HTTPInputError when what was compressed is not."""
        if self._left is UNTIL_CLOSE and self._decoder is None:
            self.unused = b""
            if self._inflater is not None:
                self._inflate(b"")
        return self.unused is not None

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
