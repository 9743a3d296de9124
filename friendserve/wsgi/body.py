"""The body of a request as the file that a WSGI application reads."""
from __future__ import absolute_import, division, print_function

import collections
import io
import tempfile
import threading

#: A body up to this many bytes is kept in memory; a longer one goes to a temporary file.
IN_MEMORY = 65536

#: How many bytes may wait to be read by the application before the client has to wait.
HIGH_WATER = 262144


class SpooledBody(object):
    """The receiver of a body that is collected, in a file if it is long, before the application is
    called: `begin(file)` is called then, or nothing if the client leaves before."""

    def __init__(self, begin):
        self._begin = begin
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)

    def data_received(self, chunk):
        self._file.write(chunk)

    def finish(self):
        self._file.seek(0)
        self._begin(self._file)

    def on_connection_close(self):
        self._file.close()


class StreamedBody(io.RawIOBase):
    """A body that a thread reads while it arrives. The receiver of the body, on the loop, is
    `receiver`.

    `pause()` and `resume()` are called on the loop when more than HIGH_WATER bytes wait, and when
    the application has read them.
    """
    def __init__(self, io_loop, pause, resume):
        super(StreamedBody, self).__init__()
        self._io_loop = io_loop
        self._pause, self._resume = pause, resume
        self._pieces = collections.deque()
        self._size = 0              # bytes in _pieces
        self._paused = False
        self._ended = self._lost = False
        self._changed = threading.Condition()   # guards all of these

    # On the loop

    def data_received(self, chunk):
        with self._changed:
            self._pieces.append(chunk)
            self._size += len(chunk)
            pause = self._size > HIGH_WATER and not self._paused
            self._paused = self._paused or pause
            self._changed.notify()
        if pause:
            self._pause()

    def finish(self):
        with self._changed:
            self._ended = True
            self._changed.notify()

    def on_connection_close(self):
        with self._changed:
            self._lost = True
            self._changed.notify()

    # In the thread of the application

    def readable(self):
        return True

    def readinto(self, buf):
        """Wait for the next bytes. Raises IOError if the client has left."""
        with self._changed:
            while not self._pieces and not self._ended and not self._lost:
                self._changed.wait()
            if self._lost:
                raise IOError("the client has disconnected before the end of the request's body")
            if not self._pieces:
                return 0
            piece = self._pieces.popleft()
            size = min(len(piece), len(buf))
            buf[:size] = piece[:size]
            if size < len(piece):
                self._pieces.appendleft(piece[size:])
            self._size -= size
            resume = self._paused and self._size <= HIGH_WATER // 2
            if resume:
                self._paused = False
        if resume:
            self._io_loop.add_callback(self._resume)
        return size
