"""The body of one message, on its way from the connection to its receiver."""
from __future__ import absolute_import, division, print_function

import re
import zlib

import six

from friendserve.protocol.errors import HTTPInputError, HTTPOutputError
from friendserve.protocol.headers import parse_field_line, parse_response_field_line
from friendserve.protocol.http1 import (
    CHUNKED, MAX_RESPONSE_FIELDS, UNTIL_CLOSE, find_bare_line_feed)
from friendserve.util import GzipDecompressor

#: The states of a body. STARTING: its receiver is not known yet. READING: bytes of the connection
#: are wanted. DELIVERING: its receiver has not finished with the last piece. ENDED: no more bytes
#: are wanted, because the end has arrived or an error was found.
STARTING, READING, DELIVERING, ENDED = "starting", "reading", "delivering", "ended"

#: (from, to) -> to, for every legal move; any other is a KeyError, and a bug.
BODY_MOVES = dict(((old, new), new) for old, news in {
    STARTING: (READING, ENDED),
    READING: (DELIVERING, ENDED),
    DELIVERING: (READING, ENDED),
    ENDED: (ENDED,),
}.items() for new in news)

_STARTING_TO_READING = BODY_MOVES[STARTING, READING]
_READING_TO_ENDED = BODY_MOVES[READING, ENDED]


def take_request_coding(headers):
    """The decompressor for the body of a request, or None for a body without a coding. The coding
    is moved to X-Consumed-Content-Encoding. Raises HTTPInputError, 415, for codings other than
    gzip (RFC 9110 8.4)."""
    coding = headers.get("Content-Encoding", "")
    if coding.lower() in ("", "identity"):
        return None
    if coding.lower() not in ("gzip", "x-gzip"):
        raise HTTPInputError("the Content-Encoding %r is not supported, only gzip" % coding[:40],
                             415)
    headers["X-Consumed-Content-Encoding"] = headers.pop("Content-Encoding")
    return GzipDecompressor()


class DeflateDecompressor(object):
    """Decompresses the coding "deflate", with the methods of `GzipDecompressor`: zlib data (RFC
    1950), as the standard requires, or raw deflate data (RFC 1951), which some servers send."""

    def __init__(self):
        self._member = None         # the zlib object, once the format is known
        self._begin = b""           # the first byte, while the second is missing

    def decompress(self, value, max_length):
        """At most `max_length` bytes of the content of `value`, the next compressed bytes; anything
        beyond that is lost. The first two bytes of the data show its format. Raises zlib.error for
        damaged data."""
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
        """Return b"" at the end of the data. Raises zlib.error when it ends too early, if the
        Python version can detect that."""
        # Python 2.7 cannot detect whether raw deflate has ended.
        if self._member is None and self._begin or \
                self._member is not None and not getattr(self._member, "eof", True):
            raise zlib.error("the compressed data ends too early")
        return b""


#: Content codings that a client understands.
DECOMPRESSORS = {"gzip": GzipDecompressor, "x-gzip": GzipDecompressor,
                 "deflate": DeflateDecompressor}


def take_response_coding(headers):
    """The decompressor for the body of a response, or None for a coding that is not known. The
    coding and length are moved to X-Consumed- fields, because they do not describe the body that
    the application gets."""
    decompressor = DECOMPRESSORS.get(headers["Content-Encoding"].lower())
    if decompressor is None:
        return None
    for name in ("Content-Encoding", "Content-Length"):
        if name in headers:
            headers["X-Consumed-" + name] = headers.pop(name)
    return decompressor()


class ChunkedDecoder(object):
    """A chunked body, fed as it arrives and returned without its framing (RFC 9112 7.1).

    Extensions are ignored. Trailer fields are checked and discarded: nothing that follows the body
    may change a decision made from the head (RFC 9110 6.5.1).
    """
    __slots__ = ("_rest", "_missing", "_step", "_room", "_trailers", "unused")

    #: Bytes of a line with a chunk size, bytes of a trailer line, and number of trailer lines.
    MAX_LINE = 64
    MAX_TRAILER_LINE = 8192
    MAX_TRAILERS = 100

    _parse_trailer = staticmethod(parse_field_line)
    _match_size = re.compile(br"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n").match

    def __init__(self, max_body_size):
        self._rest = b""            # the beginning of a line whose end has not arrived
        self._missing = 0           # bytes of this chunk that have not arrived
        # The method that parses the next bytes; not a bound method, which would make a reference
        # cycle.
        self._step = ChunkedDecoder._read_size
        self._room = max_body_size  # bytes that later chunks may still have
        self._trailers = 0          # trailer lines so far
        #: Bytes that followed the end of the body; None until the end has arrived.
        self.unused = None

    def feed(self, data, whole=True):
        """The bytes of the body in `data`, or b""; unless `whole`, a list of pieces, each from one
        chunk.

        Once the end has arrived, `unused` holds the bytes that followed it, and no more may be fed.
        Raises HTTPInputError: 400 for malformed framing, 413 for a body over the limit.
        """
        if self.unused is not None:
            raise HTTPOutputError("a chunked body was fed after its end")
        if self._rest:
            data, self._rest = self._rest + data, b""
        pieces = []
        position = 0
        while self.unused is None and position < len(data):
            position = self._step(self, data, position, pieces)
        if not whole:
            return pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_line(self, data, position, limit):
        """(line, position after it), or (None, end of data) if its end has not arrived."""
        end = data.find(b"\r\n", position, position + limit + 2)
        if end >= 0:
            return data[position:end], end + 2
        if len(data) - position > limit + 1:
            raise HTTPInputError("a chunk size or trailer line is longer than %d bytes" % limit)
        if find_bare_line_feed(data[position:]):
            raise HTTPInputError("a line in the chunked body ends without a carriage return")
        self._rest = data[position:]
        return None, len(data)

    def _read_size(self, data, position, pieces):
        # Chunks that have arrived whole are read in this loop, without further calls.
        match_size, longest = self._match_size, self.MAX_LINE + 2
        while position < len(data):
            match = match_size(data, position, position + longest)
            if match is None:
                line, position = self._take_line(data, position, self.MAX_LINE)
                if line is not None:
                    raise HTTPInputError("malformed chunk size %r" % line)
                break
            size = int(match.group(1), 16)
            self._room -= size
            if self._room < 0:
                raise HTTPInputError("body too large", 413)
            start = match.end()
            end = start + size
            if not size or data[end:end + 2] != b"\r\n":
                self._missing = size
                self._step = ChunkedDecoder._read_data if size else ChunkedDecoder._read_trailer
                return start
            pieces.append(data[start:end])
            position = end + 2
        return position

    def _read_data(self, data, position, pieces):
        piece = data[position:position + self._missing]
        pieces.append(piece)
        self._missing -= len(piece)
        if not self._missing:
            self._step = ChunkedDecoder._read_data_end
        return position + len(piece)

    def _read_data_end(self, data, position, pieces):
        end = data[position:position + 2]
        if end == b"\r\n":
            self._step = ChunkedDecoder._read_size
            return position + 2
        if end != b"\r":
            raise HTTPInputError("a chunk is longer than announced")
        self._rest = end
        return len(data)

    def _read_trailer(self, data, position, pieces):
        line, position = self._take_line(data, position, self.MAX_TRAILER_LINE)
        if line:
            self._trailers += 1
            if self._trailers > self.MAX_TRAILERS:
                raise HTTPInputError("more than %d trailer lines" % self.MAX_TRAILERS, 431)
            self._parse_trailer(six.ensure_str(line, "latin-1"))
        elif line is not None:
            self.unused = data[position:]
        return position


class ResponseChunkedDecoder(ChunkedDecoder):
    """The chunked body of a response. Some servers pad the size with whitespace, others sign each
    chunk in an extension."""
    __slots__ = ()

    MAX_LINE = 4096
    MAX_TRAILERS = MAX_RESPONSE_FIELDS

    _parse_trailer = staticmethod(parse_response_field_line)
    _match_size = re.compile(
        br"([0-9A-Fa-f]{1,16})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n").match


class MessageBody(object):
    """The body of the message that is being read.

    `length` is the result of `body_length`; the body may have up to `max_size` bytes. `inflater`
    decompresses it, or is None; `decoder` is the class that decodes chunks. First `begin` sets the
    receiver, then `feed` accepts the bytes of the connection until `state` is ENDED. `state` is one
    of the states of `BODY_MOVES`; pausing is not among them, because a receiver may pause in each.
    """
    __slots__ = ("state", "receiver", "timeout", "paused_at", "pieces", "unused", "_decoder",
                 "_left", "_room", "_inflater")

    # Pieces are gathered in blocks of about this size: a piece can be one byte, but its object
    # takes far more.
    _BLOCK = 65536

    # The number of compressed bytes inflated at a time for a receiver. Deflate makes at most 1,032
    # bytes of one, so no piece is much larger than a megabyte.
    _STEP = 1024

    def __init__(self, length, max_size, timeout=None, inflater=None, decoder=ChunkedDecoder):
        self.state = STARTING
        self.receiver = None        # gets the pieces as they arrive; None: they are kept
        self.timeout = timeout      # seconds within which the body must arrive
        self.paused_at = None       # when the receiver paused; None while it has not
        self.pieces = []            # the pieces kept; the first is bytes
        self.unused = b""           # the bytes that followed the end, once it has arrived
        self._decoder = decoder(max_size) if length is CHUNKED else None
        self._left = length         # missing bytes of a body of known length, or UNTIL_CLOSE
        self._room = max_size       # bytes that may still follow, after decompression
        self._inflater = inflater

    def set_limit(self, max_size):
        """Set another limit, before anything has been fed."""
        self._room = max_size
        if self._decoder is not None:
            self._decoder = type(self._decoder)(max_size)

    def begin(self, receiver):
        """Begin to read, for `receiver`, or to keep the body if that is None. Raises
        HTTPInputError, 413, for a body whose announced length is over the limit."""
        self.receiver = receiver
        self.state = _STARTING_TO_READING
        if self._decoder is None and self._left is not UNTIL_CLOSE and self._left > self._room:
            raise HTTPInputError("a body of %d bytes is more than %d" % (self._left, self._room),
                                 413)

    def end(self):
        """Accept no more bytes: the body is empty, or turned out to be malformed."""
        self.state = BODY_MOVES[self.state, ENDED]

    def bound(self, size):
        """How many bytes of the connection make a piece for the receiver, up to `size`."""
        return size if self._inflater is None else min(size, self._STEP)

    def wanted(self, size):
        """How many of the next `size` bytes of the connection belong to this body."""
        if self._decoder is not None or self._left is UNTIL_CLOSE:
            return size
        return min(size, self._left)

    def feed(self, data):
        """Accept bytes of the connection, up to the number `wanted`, and return the bytes of the
        body in them. Without a receiver they are kept as well. Raises HTTPInputError."""
        decoder = self._decoder
        if decoder is not None:
            data = decoder.feed(data)
            if decoder.unused is not None:
                self.unused = decoder.unused
                self.state = _READING_TO_ENDED
        elif self._left is UNTIL_CLOSE:
            if self._inflater is None:
                self._room -= len(data)
                if self._room < 0:
                    raise HTTPInputError("body too large", 413)
        else:
            self._left -= len(data)
            if not self._left:
                self.state = _READING_TO_ENDED
        if self._inflater is not None:
            data = self._inflate(data)
        if data and self.receiver is None:
            self._keep(data)
        return data

    def is_chunked(self):
        """Whether `feed_chunks` may be used."""
        return self._decoder is not None

    def feed_chunks(self, data):
        """As `feed`, for a receiver of a chunked body, but returns a list of pieces, none of them
        empty and each from one chunk: some servers send each message as a chunk."""
        decoder = self._decoder
        pieces = decoder.feed(data, whole=False)
        last = []
        if decoder.unused is not None:
            self.unused = decoder.unused
            if self._inflater is not None:
                # The last one, perhaps empty, is inflated with the end in sight.
                pieces, last = pieces[:-1], pieces[-1:] or [b""]
        if self._inflater is not None:
            pieces = [self._inflate(piece) for piece in pieces]
        if decoder.unused is not None:
            self.state = _READING_TO_ENDED
            pieces += [self._inflate(piece) for piece in last]
        return [piece for piece in pieces if piece]

    def closed(self):
        """Whether the body is complete now that the connection has closed (RFC 9112 8). Raises
        HTTPInputError when compressed data ends too early."""
        if self._left is UNTIL_CLOSE and self._decoder is None:
            self.state = _READING_TO_ENDED
            if self._inflater is not None:
                self._inflate(b"")
        return self.state is ENDED

    def whole(self):
        """All bytes that were kept."""
        pieces = self.pieces
        return pieces[0] if len(pieces) == 1 else b"".join([bytes(piece) for piece in pieces])

    def _keep(self, data):
        pieces = self.pieces
        if len(data) >= self._BLOCK or not pieces:
            pieces.append(data)
        elif type(pieces[-1]) is bytearray and len(pieces[-1]) < self._BLOCK:
            pieces[-1] += data
        else:
            pieces.append(bytearray(data))

    def _inflate(self, data):
        # The limit applies to the decompressed bytes: they occupy the memory.
        try:
            data = self._inflater.decompress(data, self._room + 1)
            self._room -= len(data)
            if self._room >= 0 and self.state is ENDED:
                data += self._inflater.flush()
        except zlib.error as error:
            raise HTTPInputError("the compressed body is damaged: %s" % error)
        if self._room < 0:
            raise HTTPInputError("body too large when decompressed", 413)
        return data
