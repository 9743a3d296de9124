"""The WebSocket extension permessage-deflate (RFC 7692): its parameters, and the compression.

    chosen = accept_offer("permessage-deflate; client_max_window_bits; server_max_window_bits=10")
    chosen.response()           # "permessage-deflate; server_max_window_bits=10"
    deflater = Deflater(chosen.server)
    inflater = Inflater(chosen.client)

Each side compresses its messages with a window that it keeps from message to message, unless the
two agreed that it starts afresh with each message ("no context takeover").
"""
from __future__ import absolute_import, division, print_function

import re
import zlib

from friendserve.protocol.errors import ProtocolError
from friendserve.protocol.grammar import TOKEN_CHARS

NAME = "permessage-deflate"

#: RFC 7692 7.2.1: the bytes that end each flush, which are neither sent nor received.
_TAIL = b"\x00\x00\xff\xff"

#: The most blocks marked as final in one message. Each costs a new window.
_MAX_RESTARTS = 16

#: RFC 7692 7.1.2: 8 to 15, without leading zeros. zlib cannot make a raw stream with 8 bits.
_BITS = frozenset(str(_bits) for _bits in range(8, 16))

#: The levels of zlib; None leaves the choice to zlib.
_LEVELS = (None,) + tuple(range(10))

#: RFC 6455 9.1: a name or a parameter, its value as a token or quoted, and the delimiter after it.
_match_part = re.compile(
    r'[ \t]*([%s]+)[ \t]*(?:=[ \t]*(?:([%s]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?([;,]|\Z)' % (
        TOKEN_CHARS, TOKEN_CHARS)).match
_match_empty = re.compile(r"[ \t]*(?:,|\Z)").match


class DeflateError(ProtocolError):
    """Invalid compressed data, or a response that does not match the offer."""


class Side(object):
    """How one side compresses: the `bits` of its window, and whether it keeps the window
    (`takeover`)."""
    __slots__ = ("bits", "takeover")

    def __init__(self, bits=15, takeover=True):
        self.bits = bits
        self.takeover = takeover


class Agreement(object):
    """The parameters agreed on: a `Side` for the `server` and one for the `client`."""
    __slots__ = ("server", "client", "_parameters")

    def __init__(self, parameters):
        self.server = Side(int(parameters.get("server_max_window_bits") or 15),
                           "server_no_context_takeover" not in parameters)
        self.client = Side(int(parameters.get("client_max_window_bits") or 15),
                           "client_no_context_takeover" not in parameters)
        self._parameters = parameters

    def response(self):
        """The value of Sec-WebSocket-Extensions with which the server accepts."""
        return "; ".join([NAME] + [
            name if value is None else "%s=%s" % (name, value)
            for name, value in sorted(self._parameters.items())])


def parse_extensions(header):
    """[(name, [(parameter, value or None)])] of a Sec-WebSocket-Extensions header.

    Raises DeflateError if the header is malformed.
    """
    extensions, pairs, position = [], [], 0
    while position < len(header) or pairs:
        match = _match_empty(header, position) if not pairs else None
        if match is not None:
            position = match.end()
            continue
        match = _match_part(header, position)
        if match is None or not pairs and match.group(2, 3) != (None, None):
            raise DeflateError("malformed Sec-WebSocket-Extensions %.100r" % header)
        name, value, quoted, end = match.groups()
        if quoted is not None:
            value = re.sub(r"\\(.)", r"\1", quoted)
        pairs.append((name, value))
        position = match.end()
        if end != ";":
            extensions.append((pairs[0][0], pairs[1:]))
            pairs = []
    return extensions


def _read_parameters(pairs):
    """{name: value or None} of permessage-deflate; None if RFC 7692 7.1 forbids them."""
    parameters = {}
    for name, value in pairs:
        if name in parameters:
            return None
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
        elif name == "server_max_window_bits":
            if value not in _BITS:
                return None
        elif name != "client_max_window_bits" or value is not None and value not in _BITS:
            return None
        parameters[name] = value
    return parameters


def accept_offer(header):
    """For the server: the `Agreement` on the first acceptable offer, or None to decline.

    Offers with unknown, repeated or malformed parameters are declined (RFC 7692 7).
    """
    try:
        extensions = parse_extensions(header)
    except DeflateError:
        return None
    for name, pairs in extensions:
        parameters = _read_parameters(pairs) if name == NAME else None
        if parameters is None or parameters.get("server_max_window_bits") == "8":
            continue
        if parameters.get("client_max_window_bits", "") is None:
            # The client would accept a limit; none is set.
            del parameters["client_max_window_bits"]
        return Agreement(parameters)
    return None


#: The Sec-WebSocket-Extensions of a client's request.
OFFER = NAME + "; client_max_window_bits"


def read_response(header):
    """For the client: the `Agreement` in the server's response to `OFFER`; None if the server
    declined. Raises DeflateError for a response that does not match the offer (RFC 6455 4.1,
    RFC 7692 7)."""
    extensions = parse_extensions(header)
    if not extensions:
        return None
    name, pairs = extensions[0]
    parameters = _read_parameters(pairs)
    if len(extensions) > 1 or name != NAME:
        raise DeflateError("the server chose an extension that was not offered: %.100r" % header)
    if parameters is None or parameters.get("client_max_window_bits", "") in (None, "8"):
        raise DeflateError("the server chose unacceptable parameters: %.100r" % header)
    return Agreement(parameters)


def read_compression_options(options):
    """(level, mem_level) of a dict with compression_level and mem_level, None where the choice is
    left to zlib. Raises ValueError for any other key or value."""
    unknown = set(options) - set(["compression_level", "mem_level"])
    level, mem_level = options.get("compression_level"), options.get("mem_level")
    if unknown or level not in _LEVELS or mem_level == 0 or mem_level not in _LEVELS:
        raise ValueError("compression options are compression_level (0 to 9) and mem_level (1 to "
                         "9), not %r" % (options,))
    return level, mem_level


class Deflater(object):
    """Compresses the messages of one direction."""
    __slots__ = ("_side", "_level", "_mem_level", "_stream")

    def __init__(self, side, level=None, mem_level=None):
        self._side = side
        self._level = zlib.Z_DEFAULT_COMPRESSION if level is None else level
        self._mem_level = zlib.DEF_MEM_LEVEL if mem_level is None else mem_level
        # Made here so that an invalid level raises early.
        self._stream = self._start()

    def _start(self):
        return zlib.compressobj(self._level, zlib.DEFLATED, -self._side.bits, self._mem_level)

    def compress(self, data):
        """The payload for a message of these bytes."""
        stream = self._stream or self._start()
        payload = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
        self._stream = stream if self._side.takeover else None
        # Flushing an empty message produces nothing (RFC 7692 7.2.3.6).
        return payload[:-4] or b"\x00"


class Inflater(object):
    """Decompresses the messages of one direction, piece by piece."""
    __slots__ = ("_side", "_stream", "_restarts")

    def __init__(self, side):
        self._side = side
        self._stream = None
        self._restarts = 0

    def feed(self, payload, limit, is_last):
        """Decompress a piece of a message; `is_last` marks the last one. Returns at most one byte
        more than `limit`; if there are that many, the rest is lost. Raises DeflateError for invalid
        data."""
        if is_last:
            payload += _TAIL
        stream = self._stream
        if stream is None:
            # -15 accepts every window that the peer may use.
            stream = zlib.decompressobj(-15)
        try:
            data = stream.decompress(payload, limit + 1)
            while stream.unused_data and len(data) <= limit:
                # A message may continue after a block marked as final (RFC 7692 7.2.3.5).
                self._restarts += 1
                if self._restarts > _MAX_RESTARTS:
                    raise DeflateError("too many final blocks in one message")
                payload = stream.unused_data
                stream = zlib.decompressobj(-15)
                data += stream.decompress(payload, limit + 1 - len(data))
        except zlib.error as error:
            raise DeflateError("a message cannot be decompressed: %s" % error)
        if is_last:
            self._restarts = 0
        self._stream = stream if self._side.takeover or not is_last else None
        return data
