"""Streams over pipes and pseudo-terminals."""
from __future__ import absolute_import, division, print_function

import errno
import os
try:
    import fcntl
except ImportError:
    fcntl = None  # Windows, which has no such pipes

from friendserve.iostream.base import RETRY, BaseIOStream
from friendserve.util import errno_from_exception


class PipeIOStream(BaseIOStream):
    """A stream over one end of a pipe, or over a pseudo-terminal; it makes the fd non-blocking and
    closes it."""
    __slots__ = ("fd",)

    def __init__(self, fd, io_loop=None, max_buffer_size=None, read_chunk_size=None,
                 max_write_buffer_size=None):
        #: The fd; -1 once closed.
        self.fd = fd
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
        super(PipeIOStream, self).__init__(io_loop, max_buffer_size, read_chunk_size,
                                           max_write_buffer_size)

    def fileno(self):
        return self.fd

    def close_fd(self):
        fd, self.fd = self.fd, -1
        os.close(fd)

    def read_from_fd(self):
        try:
            return os.read(self.fd, self.read_chunk_size)
        except (OSError, IOError) as error:
            code = errno_from_exception(error)
            # EBADF: this is the write end, which pollers report as readable when the reader closes.
            # EIO: Linux reports the end of a pseudo-terminal in this way.
            if code == errno.EBADF or code == errno.EIO and os.isatty(self.fd):
                return b""
            if code not in RETRY:
                raise

    def write_to_fd(self, data):
        try:
            return os.write(self.fd, data)
        except (OSError, IOError) as error:
            if errno_from_exception(error) not in RETRY:
                raise
            return 0
