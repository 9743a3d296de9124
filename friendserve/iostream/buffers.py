"""The two buffers of a stream, and the kinds of read, each of which finds its end in one of them.

Nothing here knows a stream's fd or the loop; only a FilePiece holds a file, which it reads and logs
about. Every operation takes time in proportion to the bytes it concerns: consumed bytes are skipped
by a position rather than cut off each time, a search continues where the last one ended, and bytes
that wait to be sent are never copied to remove those already sent.
"""
from __future__ import absolute_import, division, print_function

import collections

import six
from six.moves import builtins

from friendserve.log import gen_log


class UnsatisfiableReadError(Exception):
    """The end that a read searches for did not appear within its max_bytes."""


class StreamBufferFullError(Exception):
    """A buffer of a stream would exceed its limit."""


class ReadBuffer(object):
    """Received bytes that have not been consumed yet.

    Usually it holds the bytes of one recv, which are then consumed whole, without a copy.
    """
    __slots__ = ("data", "_start")

    # Consumed bytes at the front are freed when they are more than this and more than half of
    # `data`.
    _SLACK = 65536

    def __init__(self):
        #: bytes, or a bytearray once some were appended. Streams test it for emptiness: it is b""
        #: if and only if the buffer is empty.
        self.data = b""
        self._start = 0             # how many bytes of `data` were consumed

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
        if self.data:
            data += self.consume(len(self))
        self.data = data
        self._start = 0

    def find(self, delimiter, start=0, end=None):
        """The position of the first `delimiter` that lies between `start` and `end`, or -1."""
        position = self.data.find(delimiter, self._start + start,
                                  None if end is None else self._start + end)
        return position if position < 0 else position - self._start

    def search(self, regex):
        """The end of the first match of a compiled bytes regex, or -1."""
        data = self.data
        if self._start:
            # Not with the pos argument of `search`: "^" and "\b" would see consumed bytes.
            data = _window(data, self._start)
        match = regex.search(data)
        return match.end() if match is not None else -1

    def peek(self, start=0, end=None):
        """The bytes from `start` to `end`, without consuming them."""
        return bytes(self.data[self._start + start:None if end is None else self._start + end])

    def consume(self, size):
        """Remove and return the first `size` bytes, which must be there."""
        data, start = self.data, self._start
        end = start + size
        if type(data) is bytes:
            # A slice of everything is a copy on PyPy, where it is compiled.
            piece = data if size == len(data) else data[start:end]
        else:
            piece = memoryview(data)[start:end].tobytes()
        if end == len(data):
            data, end = b"", 0
        elif end > self._SLACK and end * 2 > len(data):
            data, end = data[end:], 0
        self.data, self._start = data, end
        return piece


def _window(data, start):
    """The part of `data` after `start`, without a copy, as an object that `re` can search."""
    if six.PY2:  # version: py2
        return builtins.buffer(data, start)
    return memoryview(data)[start:]


class FilePiece(object):
    """`size` bytes of an open file, from the position `start` on, that are still to be sent."""
    __slots__ = ("file", "start", "size")

    def __init__(self, file, start, size):
        self.file = file
        self.start = start          # WriteBuffer.advance changes this and `size`
        self.size = size

    def __len__(self):
        return self.size

    def read(self, size):
        """The first bytes of the piece, at most `size`. Raises IOError, and logs it, if the file
        ends before them."""
        self.file.seek(self.start)
        data = self.file.read(min(size, self.size))
        if not data:
            gen_log.warning("%s became shorter while it was being sent, closing connection",
                            getattr(self.file, "name", "a file"))
            raise IOError("the file became shorter while it was being sent: %d bytes are missing"
                          % self.size)
        return data


class WriteBuffer(object):
    """Bytes that wait to be sent, and the callbacks that wait for them."""
    __slots__ = ("_pieces", "_sent", "_size", "_written", "_callbacks", "_of_files")

    # Pieces smaller than this are joined before they are sent.
    _SMALL = 16384
    # The most bytes passed to one send: more than any socket buffer accepts at once.
    _MOST = 1 << 20

    def __init__(self):
        self._pieces = collections.deque()  # bytes, bytearray, memoryview or FilePiece
        self._sent = 0              # bytes of the first piece that were sent, unless a FilePiece
        self._size = 0              # bytes that wait, in all pieces
        self._written = 0           # bytes ever sent from here
        self._callbacks = collections.deque()   # (value of _written at which it is due, callback)
        self._of_files = 0          # how many of _size are in files

    def __len__(self):
        return self._size

    @property
    def held(self):
        """How many of the waiting bytes are in memory, rather than in files."""
        return self._size - self._of_files

    @property
    def progress(self):
        """How many bytes were sent from this buffer; grows as long as the peer reads."""
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
        """Add a FilePiece at the end. Its file is closed once it has been sent, or by `close`."""
        self._size += piece.size
        self._of_files += piece.size
        self._pieces.append(piece)

    def close(self):
        """Drop all waiting pieces and callbacks, and close the files among them. Returns the
        `on_error` of the callbacks that have one. Whoever still refers to this buffer then keeps
        nothing in memory."""
        for piece in self._pieces:
            if type(piece) is FilePiece:
                piece.file.close()
        self._pieces.clear()
        callbacks = [callback for _, callback in self._callbacks]
        self._callbacks.clear()
        self._size = self._of_files = 0
        return [callback.on_error for callback in callbacks if hasattr(callback, "on_error")]

    def call_when_sent(self, callback):
        """Make `advance` return `callback` once everything now in the buffer has been sent."""
        self._callbacks.append((self._written + self._size, callback))

    def first(self):
        """The next piece to send: a FilePiece, or a memoryview that begins with the same bytes each
        time until they are sent, as TLS libraries require."""
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


class Sent(object):
    """A callback for `WriteBuffer.call_when_sent`, with another for a stream that closes first."""
    __slots__ = ("callback", "on_error", "result")

    def __init__(self, callback, on_error, result):
        self.callback = callback
        self.on_error = on_error
        self.result = result

    def __call__(self):
        self.callback(self.result)


#: Returned by the `find` of a read that wants no more bytes for now.
PAUSE = -1


class Read(object):
    """One pending read, which finds its end in the buffer, keeps its limit, and delivers.

    When bytes arrive while the buffer is empty, the stream calls `take(schedule, data)`, which
    returns whether it has delivered them; it may have pushed back those that come later. Otherwise
    the bytes are buffered, and the stream calls `find(buffer)`, which returns how many bytes to
    deliver, None while more are needed, or PAUSE if it wants none for now; it raises
    UnsatisfiableReadError if no further bytes can satisfy it. `deliver(schedule, data)` then passes
    the bytes on, by `schedule(callback, data)`, and returns the read that is pending next: None, or
    itself if it wants more.

    When the peer will send no more, `ended()` returns whether the stream must stay open for
    writing. When that is known while the read wants no more bytes for now, and some may be unread,
    `abandoned()` returns whether the stream can close without reading them.

    When the stream closes, `deliver_rest(schedule, buffer)` may deliver what the buffer holds; it
    returns whether that satisfied the read. If the stream closes because of an error, `callback` is
    None by then, because the data is incomplete, unless the read is to be satisfied `at_every_end`
    and has no `on_error`.
    """
    __slots__ = ("callback",)

    at_every_end = False

    #: Called with a StreamClosedError if the stream closes before this read is satisfied.
    on_error = None

    def __init__(self, callback):
        self.callback = callback    # None: there is nothing to call

    def find(self, buffer):
        raise NotImplementedError()

    def take(self, schedule, data):
        return False

    def deliver(self, schedule, data):
        schedule(self.callback, data)

    def ended(self):
        return False

    def abandoned(self):
        return False

    def deliver_rest(self, schedule, buffer):
        return False


class _PlainRead(Read):
    """A read as the methods of a stream make them, whose caller may give an `on_error`."""
    __slots__ = ("on_error",)

    def __init__(self, callback):
        self.callback = callback
        self.on_error = None


def _check_limit(size, max_bytes, what):
    if max_bytes is not None and size > max_bytes:
        raise UnsatisfiableReadError("%s did not appear within %d bytes" % (what, max_bytes))


class ReadUntil(_PlainRead):
    """All bytes up to and including a delimiter; `max_bytes` counts it too."""
    __slots__ = ("_delimiter", "_max_bytes", "_searched")

    def __init__(self, callback, delimiter, max_bytes=None):
        super(ReadUntil, self).__init__(callback)
        self._delimiter = delimiter
        self._max_bytes = max_bytes
        self._searched = 0          # where to continue the search

    def find(self, buffer):
        size = len(self._delimiter)
        position = buffer.find(self._delimiter, self._searched)
        if position < 0:
            # The buffer may end with the first part of a delimiter.
            self._searched = max(0, len(buffer) - size + 1)
            # At least the last byte of the delimiter is missing.
            _check_limit(len(buffer) + 1, self._max_bytes, "the delimiter")
            return None
        _check_limit(position + size, self._max_bytes, "the delimiter")
        return position + size


class ReadUntilRegex(_PlainRead):
    """All bytes up to the end of the first match of a regex.

    A search cannot continue where the last one ended, so each starts at the front: set `max_bytes`
    if the peer is not trusted.
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


class ReadBytes(_PlainRead):
    """A number of bytes, or with `partial` as many of them as have arrived, at least one."""
    __slots__ = ("_size", "_partial")

    def __init__(self, callback, size, partial=False):
        super(ReadBytes, self).__init__(callback)
        self._size = size
        self._partial = partial

    def find(self, buffer):
        if len(buffer) >= self._size:
            return self._size
        return len(buffer) or None if self._partial else None


class StreamBytes(_PlainRead):
    """A number of bytes, passed on piece by piece as they arrive; then the callback is called."""
    __slots__ = ("_streaming", "_left")

    def __init__(self, callback, streaming_callback, size):
        super(StreamBytes, self).__init__(callback)
        self._streaming = streaming_callback
        self._left = size           # bytes not delivered yet

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


class ReadUntilClose(_PlainRead):
    """All bytes until the stream closes, as a whole or piece by piece."""
    __slots__ = ("_streaming",)

    at_every_end = True

    def __init__(self, callback, streaming_callback=None):
        super(ReadUntilClose, self).__init__(callback)
        self._streaming = streaming_callback    # None: deliver it as a whole

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
