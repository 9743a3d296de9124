"""The two buffers of a stream, and the ways to find the end of a read in one of them.

Nothing here knows an fd or a loop. Every operation takes time in proportion to the bytes it
is about: what was consumed is skipped by a position and not cut off each time, a search goes on
where the last one ended, and what waits to be sent is never sliced.
"""
from __future__ import absolute_import, division, print_function

import collections

import six
from six.moves import builtins

from friendserve.log import gen_log


class UnsatisfiableReadError(Exception):
    """The end that a read looks for did not come within its max_bytes."""


class StreamBufferFullError(Exception):
    """A buffer of a stream would grow beyond its limit."""


class ReadBuffer(object):
    """Bytes that have come and were not asked for yet.

    Usually it holds what one recv brought and gives it away whole, so that no byte is copied.
    `data` is b"" exactly when there is nothing in it, which is for others to test.
    """
    __slots__ = ("data", "_start")

    # Consumed bytes at the front are given back when they are this many and half of all.
    _SLACK = 65536

    def __init__(self):
        self.data = b""
        self._start = 0

    def __len__(self):
        return len(self.data) - self._start

    def append(self, data):
        """Add bytes at the end."""
        if self._start == len(self.data):
            self.data = data
            self._start = 0
        else:
            if type(self.data) is not bytearray:
                self.data = bytearray(self.data[self._start:])
                self._start = 0
            self.data += data

    def push_back(self, data):
        """Put bytes back at the front."""
        rest = self.consume(len(self))
        self.append(data)
        if rest:
            self.append(rest)

    def find(self, delimiter, start=0, end=None):
        """The position of `delimiter` at or after `start` and whole before `end`, or -1."""
        position = self.data.find(delimiter, self._start + start,
                                  None if end is None else self._start + end)
        return position if position < 0 else position - self._start

    def search(self, regex):
        """The end of the first match of a compiled bytes regex, or -1."""
        data = self.data
        if self._start:
            # Not the start argument of `search`: "^" and "\b" would see what was consumed.
            data = _window(data, self._start)
        match = regex.search(data)
        return match.end() if match is not None else -1

    def peek(self, start=0, end=None):
        """The bytes from `start` to `end`, and nothing consumed."""
        return bytes(self.data[self._start + start:None if end is None else self._start + end])

    def consume(self, size):
        """The first `size` bytes, which must be there, as bytes."""
        data, start = self.data, self._start
        end = start + size
        if type(data) is bytes:
            piece = data[start:end]
        else:
            piece = memoryview(data)[start:end].tobytes()
        if end == len(data):
            data, end = b"", 0
        elif end > self._SLACK and end * 2 > len(data):
            data, end = data[end:], 0
        self.data, self._start = data, end
        return piece


def _window(data, start):
    """What follows `start`, without a copy, for re."""
    if six.PY2:  # version: py2
        return builtins.buffer(data, start)
    return memoryview(data)[start:]


class FilePiece(object):
    """`size` bytes of an open file from the position `start` on: they wait where they are."""
    __slots__ = ("file", "start", "size")

    def __init__(self, file, start, size):
        self.file = file
        self.start = start
        self.size = size

    def __len__(self):
        return self.size

    def read(self, size):
        """The first bytes of it, `size` at most. Raises IOError when the file ends before them."""
        self.file.seek(self.start)
        data = self.file.read(min(size, self.size))
        if not data:
            gen_log.warning("%s became shorter while it was sent, closing connection",
                            getattr(self.file, "name", "a file"))
            raise IOError("the file that was sent became shorter, by %d bytes" % self.size)
        return data


class WriteBuffer(object):
    """Bytes that wait to be sent, and the callbacks that wait for them."""
    __slots__ = ("_pieces", "_sent", "_size", "_written", "_callbacks", "_of_files")

    # Pieces below this size are joined to one before they are sent.
    _SMALL = 16384
    # What one send gets at most: more than any socket buffer takes at once.
    _MOST = 1 << 20

    def __init__(self):
        self._pieces = collections.deque()
        self._sent = 0              # bytes of the first piece that are out
        self._size = 0              # bytes that are not
        self._written = 0           # bytes ever sent from here
        self._callbacks = collections.deque()
        self._of_files = 0          # how many of _size are in files

    def __len__(self):
        return self._size

    @property
    def held(self):
        """How many bytes wait here in memory."""
        return self._size - self._of_files

    @property
    def progress(self):
        """How many bytes have left this buffer; grows as long as the peer reads."""
        return self._written

    def append(self, data):
        """Add bytes at the end."""
        self._size += len(data)
        pieces = self._pieces
        if len(pieces) > 1 and len(data) < self._SMALL and type(pieces[-1]) is bytearray \
                and len(pieces[-1]) < self._SMALL:
            pieces[-1] += data
        elif len(data) < self._SMALL:
            pieces.append(bytearray(data))
        else:
            pieces.append(data)

    def append_file(self, piece):
        """Add a FilePiece at the end; its file is closed when it was sent, or by `close`."""
        self._size += piece.size
        self._of_files += piece.size
        self._pieces.append(piece)

    def close(self):
        """Close the files that wait here."""
        for piece in self._pieces:
            if type(piece) is FilePiece:
                piece.file.close()

    def call_when_sent(self, callback):
        """Give back `callback` from `advance` once all that is in here now was sent."""
        self._callbacks.append((self._written + self._size, callback))

    def first(self):
        """What to send next: a memoryview, of which the first bytes do not change until they
        are out, as a TLS library wants it; or a FilePiece."""
        piece = self._pieces[0]
        if type(piece) is FilePiece:
            return piece
        return memoryview(piece)[self._sent:self._sent + self._MOST]

    def advance(self, size):
        """Note that `size` bytes of `first` were sent; returns the callbacks now due."""
        self._size -= size
        self._written += size
        piece = self._pieces[0] if self._pieces else b""
        if type(piece) is FilePiece:
            self._of_files -= size
            piece.start += size
            piece.size -= size
            if not piece.size:
                self._pieces.popleft().file.close()
        else:
            self._sent += size
            if self._sent == len(piece) and self._pieces:
                self._pieces.popleft()
                self._sent = 0
        due = []
        while self._callbacks and self._callbacks[0][0] <= self._written:
            due.append(self._callbacks.popleft()[1])
        return due


#: What the `find` of a read answers when it wants no more bytes for now.
PAUSE = -1


class Read(object):
    """One pending read: it finds its end in the buffer, knows its limit, and delivers.

    When bytes have come and the buffer is empty, a stream offers them to
    `take(schedule, data)`, which says whether it delivered them all. Else it calls
    `find(buffer)`, which answers how many bytes to deliver, None while more are needed, or
    PAUSE when it wants none for now; it raises UnsatisfiableReadError when no more bytes can
    help. `deliver(schedule, data)` then passes the bytes on, through
    `schedule(callback, data)`, and returns what is pending next: None, or the read itself when
    it wants more.

    When no more bytes will come, `ended()` says whether the stream shall stay open for
    writing, and `deliver_rest(schedule, buffer)`, called when it closes, may make do with
    what there is and says whether it did. When it is an error that closes the stream,
    `callback` is None by then: what came is not the whole.
    """
    __slots__ = ("callback",)

    def __init__(self, callback):
        self.callback = callback

    def find(self, buffer):
        raise NotImplementedError()

    def take(self, schedule, data):
        return False

    def deliver(self, schedule, data):
        schedule(self.callback, data)

    def ended(self):
        return False

    def deliver_rest(self, schedule, buffer):
        return False


def _check_limit(size, max_bytes, what):
    if max_bytes is not None and size > max_bytes:
        raise UnsatisfiableReadError("%s did not come within %d bytes" % (what, max_bytes))


class ReadUntil(Read):
    """Up to and with a delimiter; `max_bytes` counts it too."""
    __slots__ = ("_delimiter", "_max_bytes", "_searched")

    def __init__(self, callback, delimiter, max_bytes=None):
        super(ReadUntil, self).__init__(callback)
        self._delimiter = delimiter
        self._max_bytes = max_bytes
        self._searched = 0

    def find(self, buffer):
        size = len(self._delimiter)
        position = buffer.find(self._delimiter, self._searched)
        if position < 0:
            # The next bytes may complete a delimiter whose beginning is at the end.
            self._searched = max(0, len(buffer) - size + 1)
            # At the least its last byte is missing.
            _check_limit(len(buffer) + 1, self._max_bytes, "the delimiter")
            return None
        _check_limit(position + size, self._max_bytes, "the delimiter")
        return position + size


class ReadUntilRegex(Read):
    """Up to the end of the first match of a regex.

    A match cannot be looked for piece by piece, so each search begins at the front: give
    `max_bytes` where a stranger sends the bytes.
    """
    __slots__ = ("_regex", "_max_bytes")

    def __init__(self, callback, regex, max_bytes=None):
        super(ReadUntilRegex, self).__init__(callback)
        self._regex = regex
        self._max_bytes = max_bytes

    def find(self, buffer):
        end = buffer.search(self._regex)
        if end < 0:
            _check_limit(len(buffer), self._max_bytes, "the pattern")
            return None
        _check_limit(end, self._max_bytes, "the pattern")
        return end


class ReadBytes(Read):
    """A number of bytes, or with `partial` as many of them as there are, at least one."""
    __slots__ = ("_size", "_partial")

    def __init__(self, callback, size, partial=False):
        super(ReadBytes, self).__init__(callback)
        self._size = size
        self._partial = partial

    def find(self, buffer):
        if len(buffer) >= self._size:
            return self._size
        return len(buffer) or None if self._partial else None


class StreamBytes(Read):
    """A number of bytes, passed on piece by piece as they come, and then the callback."""
    __slots__ = ("_streaming", "_left")

    def __init__(self, callback, streaming_callback, size):
        super(StreamBytes, self).__init__(callback)
        self._streaming = streaming_callback
        self._left = size

    def find(self, buffer):
        return min(len(buffer), self._left) or (None if self._left else 0)

    def deliver(self, schedule, data):
        if data:
            schedule(self._streaming, data)
        self._left -= len(data)
        if self._left:
            return self
        if self.callback is not None:
            schedule(self.callback, b"")


class ReadUntilClose(Read):
    """All that comes until the other side closes, whole or piece by piece."""
    __slots__ = ("_streaming",)

    def __init__(self, callback, streaming_callback=None):
        super(ReadUntilClose, self).__init__(callback)
        self._streaming = streaming_callback

    def find(self, buffer):
        return len(buffer) or None if self._streaming is not None else None

    def deliver(self, schedule, data):
        schedule(self._streaming, data)
        return self

    def deliver_rest(self, schedule, buffer):
        rest = buffer.consume(len(buffer))
        if self._streaming is not None:
            if rest:
                schedule(self._streaming, rest)
            rest = b""
        if self.callback is not None:
            schedule(self.callback, rest)
        return True
