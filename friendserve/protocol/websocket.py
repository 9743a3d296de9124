"""The frames of a WebSocket (RFC 6455), both roles: bytes in, messages out, and back.

    reader = FrameReader(is_server=False)
    reader.receive(encode_frame(FIN | TEXT, b"Hello"))      # [u"Hello"]

A reader accepts bytes in pieces of any size and returns the events that they complete: text
messages as unicode, binary messages as bytes, and `Ping`, `Pong` and `Close` objects. When the peer
breaks the protocol or a limit, the list ends with a WebSocketInputError. All data after that, or
after a `Close`, is ignored.

Payload is unmasked, decompressed and checked as it arrives, so an endless text is refused at its
first invalid byte, and a frame takes only as much memory as the part of it that has arrived.
"""
from __future__ import absolute_import, division, print_function

import codecs
import io
import re
import struct

import six

from friendserve.protocol.deflate import DeflateError
from friendserve.protocol.errors import WebSocketInputError
from friendserve.protocol.masking import apply_mask

FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

#: The first byte of a frame that holds a whole message, uncompressed.
WHOLE_TEXT, WHOLE_BINARY = FIN | TEXT, FIN | BINARY

#: The most bytes in the payload of a control frame (RFC 6455 5.5).
MAX_CONTROL = 125

#: The most bytes in the reason of a close frame, whose code takes two more.
MAX_REASON = 123

DEFAULT_MAX_MESSAGE_SIZE = 10 * 1024 * 1024

#: The most frames in one message; with more, a peer could keep us busy and never send a message.
DEFAULT_MAX_FRAGMENTS = 1 << 17

#: RFC 6455 7.4: codes that never appear in a frame, or that are reserved.
NO_CODE, ABNORMAL = 1005, 1006
_UNSENT = frozenset([1004, NO_CODE, ABNORMAL, 1015])

#: `FrameReader.last_text` when there is none.
NO_TEXT = None, b""

_unpack_16 = struct.Struct(">H").unpack_from
_unpack_64 = struct.Struct(">Q").unpack_from
_pack_8 = struct.Struct(">BB").pack
_pack_16 = struct.Struct(">BBH").pack
_pack_64 = struct.Struct(">BBQ").pack


class Ping(object):
    """A ping. A pong with the same payload, `data`, answers it."""
    __slots__ = ("data",)

    def __init__(self, data):
        self.data = data


class Pong(Ping):
    """A pong, solicited or not."""
    __slots__ = ()


class Close(object):
    """The peer closes: `code` (NO_CODE if it sent none) and `reason`, text."""
    __slots__ = ("code", "reason")

    def __init__(self, code, reason):
        self.code = code
        self.reason = reason


def is_close_code(code):
    """Whether a close frame may hold this code (RFC 6455 7.4.2 and the IANA registry)."""
    return 1000 <= code <= 1014 and code not in _UNSENT or 3000 <= code <= 4999


# Out

def encode_frame(first, payload, mask=b""):
    """One frame. `first` is FIN, the reserved bits and the opcode. A client passes a `mask` of four
    random bytes, with which the payload is masked."""
    size = len(payload)
    bit = 0
    if mask:
        bit = 0x80
        payload = mask + bytes(apply_mask(payload, mask))
    if size < 126:
        return _pack_8(first, size | bit) + payload
    if size < 65536:
        return _pack_16(first, 126 | bit, size) + payload
    return _pack_64(first, 127 | bit, size) + payload


def encode_close(code, reason=u""):
    """The payload of a close frame; empty if `code` is None. A reason that is too long is
    truncated.

    Raises ValueError for a code that must not be sent, and for a reason without a code.
    """
    if code is None:
        if reason:
            raise ValueError("a close reason needs a code")
        return b""
    if not is_close_code(code):
        raise ValueError("%r is not a valid close code: use 1000 to 1014 except 1004, 1005 and "
                         "1006, or 3000 to 4999" % (code,))
    if isinstance(reason, bytes):
        reason = reason.decode("utf-8")
    data = (reason or u"").encode("utf-8")
    if len(data) > MAX_REASON:
        data = data[:MAX_REASON].decode("utf-8", "ignore").encode("utf-8")
    return struct.pack(">H", code) + data


# In

class FrameReader(object):
    """Reads the frames of one peer.

    `is_server` is the reader's role: a server requires masked frames, a client unmasked ones.
    `max_message_size` limits the bytes of a message, before and after decompression by `inflater`;
    `max_fragments` limits its frames. Raises nothing; see the module docstring.
    """
    __slots__ = ("max_message_size", "max_fragments", "last_text", "_inflater", "_mask_bit",
                 "_rest", "_frame", "_message", "_ended")

    def __init__(self, is_server, max_message_size=DEFAULT_MAX_MESSAGE_SIZE, inflater=None,
                 max_fragments=DEFAULT_MAX_FRAGMENTS):
        self.max_message_size = max_message_size
        self.max_fragments = max_fragments
        #: The last text message that arrived in one piece, and its UTF-8. The reader's owner resets
        #: it to NO_TEXT; otherwise the message stays in memory.
        self.last_text = NO_TEXT
        self._inflater = inflater
        self._mask_bit = 0x80 if is_server else 0
        self._rest = b""            # of an incomplete head or control frame; < 140 bytes
        self._frame = None          # a _Frame, while its payload is incomplete
        self._message = None        # a _Message, while its frames are incomplete
        self._ended = False

    def receive(self, data):
        """The list of events that the next bytes complete."""
        events = []
        if not self._ended:
            try:
                self._read(data, events)
            except WebSocketInputError as error:
                self._end()
                events.append(error)
        return events

    def _end(self):
        self._ended = True
        self._rest = b""
        self._frame = self._message = None

    def _read(self, data, events):
        if self._rest:
            data, self._rest = self._rest + data, b""
        if six.PY2:  # version: py2
            data = bytearray(data)
        size, position = len(data), 0
        if self._frame is not None:
            position = self._read_payload(data, 0, events)
        mask_bit = self._mask_bit
        overhead = 6 if mask_bit else 2
        while size - position >= 2:
            first = data[position]
            length = data[position + 1] ^ mask_bit
            start = position + overhead
            is_whole = (first == WHOLE_TEXT or first == WHOLE_BINARY) and self._message is None
            if not is_whole:
                self._check_first(first)
            if length > 125:
                start, length = self._read_long_head(first, length, data, position)
            end = start + length
            if is_whole and end <= size and length <= self.max_message_size:
                # A message in one piece, as nearly all are.
                payload = data[start:end]
                if mask_bit:
                    payload = apply_mask(payload, data[start - 4:start])
                if first == WHOLE_TEXT:
                    text, payload = self.last_text = _decode(payload)
                    events.append(text)
                else:
                    events.append(bytes(payload))
                position = end
            elif end > size and (start > size or first & 8):
                # Heads and control frames are read whole.
                break
            elif first & 8:
                position = self._read_control(first & 15, data, start, end, events)
            else:
                self._begin_frame(first, data, start, length)
                position = self._read_payload(data, start, events)
        if position < size:
            self._rest = bytes(data[position:])

    def _read_long_head(self, first, kind, data, position):
        """The position and length of the payload of a frame whose second byte holds a `kind` of
        length above 125. The position is beyond the data if the length is incomplete."""
        if kind > 127:
            raise WebSocketInputError(
                "a frame from a client must be masked" if self._mask_bit else
                "a frame from a server must not be masked")
        if first & 8:
            raise WebSocketInputError("a control frame has at most 125 bytes")
        start = position + (4 if kind == 126 else 10) + (4 if self._mask_bit else 0)
        if start > len(data):
            return start, 0
        length, = (_unpack_16 if kind == 126 else _unpack_64)(data, position + 2)
        if length < (126 if kind == 126 else 65536):
            raise WebSocketInputError("the length of a frame must be in its shortest form")
        if length > self.max_message_size + (self.max_message_size >> 8) + 64:
            # More than the largest message takes even when compression expands it.
            raise _too_large(self.max_message_size)
        return start, length

    def _check_first(self, first):
        """Check that a frame may begin with this byte at this point."""
        opcode = first & 15
        if first & (RSV2 | RSV3) or first & RSV1 and (
                self._inflater is None or opcode not in (TEXT, BINARY)):
            raise WebSocketInputError("a reserved bit of a frame is set")
        if opcode & 8:
            if opcode > PONG:
                raise WebSocketInputError("unknown opcode %d" % opcode)
            if not first & FIN:
                raise WebSocketInputError("a control frame must not be fragmented")
        elif opcode > BINARY:
            raise WebSocketInputError("unknown opcode %d" % opcode)
        elif opcode == CONTINUATION and self._message is None:
            raise WebSocketInputError("a continuation frame without a message")
        elif opcode != CONTINUATION and self._message is not None:
            raise WebSocketInputError("a message began before the last one ended")

    # Control frames

    def _read_control(self, opcode, data, start, end, events):
        """Read a control frame; returns where the next frame starts."""
        payload = bytes(data[start:end])
        if self._mask_bit:
            payload = apply_mask(payload, bytes(data[start - 4:start]))
        if opcode == CLOSE:
            self._end()
            events.append(_read_close(payload))
            return len(data)
        events.append((Ping if opcode == PING else Pong)(payload))
        return end

    # Messages in several pieces

    def _begin_frame(self, first, data, start, length):
        message = self._message
        if message is None:
            message = self._message = _Message(
                first & 15 == TEXT, self._inflater if first & RSV1 else None)
        message.fragments += 1
        if message.fragments > self.max_fragments:
            raise WebSocketInputError("a message has more than %d frames" % self.max_fragments,
                                      1009)
        self._frame = _Frame(first & FIN, length,
                             bytes(data[start - 4:start]) if self._mask_bit else b"")

    def _read_payload(self, data, start, events):
        """Read the available payload of the frame; returns where it ends."""
        frame, message = self._frame, self._message
        payload = bytes(data[start:start + frame.left])
        frame.left -= len(payload)
        is_last = frame.is_last and not frame.left
        if payload or is_last:
            message.add(frame.unmask(payload), is_last, self.max_message_size)
        if not frame.left:
            self._frame = None
        if is_last:
            self._message = None
            events.append(message.value())
        return start + len(payload)


class _Frame(object):
    """A data frame whose payload is incomplete."""
    __slots__ = ("is_last", "left", "_mask")

    def __init__(self, is_last, left, mask):
        self.is_last = is_last
        self.left = left
        self._mask = mask

    def unmask(self, payload):
        mask = self._mask
        if not mask:
            return payload
        turn = len(payload) & 3
        self._mask = mask[turn:] + mask[:turn]
        return bytes(apply_mask(payload, mask))


class _Message(object):
    """A message whose frames are incomplete."""
    __slots__ = ("size", "inflater", "fragments", "_data", "_decoder")

    def __init__(self, is_text, inflater):
        self.size = 0               # in bytes, so far
        self.inflater = inflater
        self.fragments = 0
        # Text is decoded as it arrives, so that an invalid byte is found early. Both ways need few
        # objects, however small the pieces are.
        self._decoder = _Decoder() if is_text else None
        self._data = io.StringIO() if is_text else bytearray()

    def add(self, payload, is_last, limit):
        """Append unmasked payload."""
        if self.inflater is not None:
            try:
                payload = self.inflater.feed(payload, limit - self.size, is_last)
            except DeflateError as error:
                raise WebSocketInputError(str(error), 1007)
        self.size += len(payload)
        if self.size > limit:
            raise _too_large(limit)
        if self._decoder is None:
            self._data += payload
        else:
            try:
                self._data.write(self._decoder.decode(payload, is_last))
            except UnicodeDecodeError as error:
                raise _not_utf8(error)

    def value(self):
        """The whole message."""
        return bytes(self._data) if self._decoder is None else self._data.getvalue()


def _too_large(limit):
    return WebSocketInputError("a message is larger than %d bytes" % limit, 1009)


def _not_utf8(error):
    return WebSocketInputError("a text message is not UTF-8: %s" % error.reason, 1007)


if six.PY2:  # version: py2
    _find_surrogate = re.compile(b"\xed[\xa0-\xbf]").search

    def _refuse_surrogates(data):
        # The decoders of this version accept surrogates, which RFC 3629 3 forbids.
        if b"\xed" in data and _find_surrogate(data):
            raise UnicodeDecodeError("utf-8", bytes(data), 0, 1, "it contains surrogates")

    class _Decoder(codecs.getincrementaldecoder("utf-8")):
        def decode(self, data, final=False):
            # Including the start of a character at the end of the last piece.
            _refuse_surrogates(self.getstate()[0] + data)
            return super(_Decoder, self).decode(data, final)

    def _decode(data):
        try:
            data = bytes(data)
            _refuse_surrogates(data)
            return data.decode("utf-8"), data
        except UnicodeDecodeError as error:
            raise _not_utf8(error)
else:
    _Decoder = codecs.getincrementaldecoder("utf-8")

    def _decode(data):
        """A whole text message, and its UTF-8."""
        try:
            return data.decode("utf-8"), data
        except UnicodeDecodeError as error:
            raise _not_utf8(error)


def _read_close(payload):
    if not payload:
        return Close(NO_CODE, u"")
    if len(payload) == 1:
        raise WebSocketInputError("a close code has two bytes")
    code, = _unpack_16(payload)
    if not is_close_code(code):
        raise WebSocketInputError("a close frame must not hold the code %d" % code)
    return Close(code, _decode(payload[2:])[0])
