"""Waker and close-on-exec for Windows, where select accepts only sockets."""

from __future__ import absolute_import, division, print_function

import ctypes
import errno
import os

from friendserve.platform.pollers import interface
from friendserve.platform.pollers.common import loopback_pair

__all__ = ["Waker", "set_close_exec"]

_CHUNK = 4096
_HANDLE_FLAG_INHERIT = 1

if os.name == "nt":
    def set_close_exec(fd):
        """Mark a socket's handle so that child processes do not inherit it.

        Raises EnvironmentError when `fd` is not an open handle.
        """
        handle = ctypes.c_void_p(fd)
        if not ctypes.windll.kernel32.SetHandleInformation(handle, _HANDLE_FLAG_INHERIT, 0):
            raise ctypes.WinError()
else:
    set_close_exec = interface.set_close_exec  # so that the tests of the waker run everywhere


class Waker(interface.Waker):
    """Waker over a pair of connected loopback sockets, non-blocking and not inherited."""

    def __init__(self):
        self._reader, self._writer = loopback_pair()
        for sock in (self._reader, self._writer):
            sock.setblocking(False)
            set_close_exec(sock.fileno())
        # On 2.7 fileno() of a closed socket raises, so the numbers are kept.
        self._fds = (self._reader.fileno(), self._writer.fileno())

    def fileno(self):
        return self._fds[0]

    def write_fileno(self):
        return self._fds[1]

    def wake(self):
        while self._fds[1] >= 0:
            try:
                self._writer.send(b"w")
                return
            except EnvironmentError as error:
                if _would_block(error) or self._fds[1] < 0:
                    return  # full, so the reader is awake already; or just closed
                if error.errno != errno.EINTR:
                    raise

    def consume(self):
        while self._fds[0] >= 0:
            try:
                if len(self._reader.recv(_CHUNK)) < _CHUNK:
                    return
            except EnvironmentError as error:
                if _would_block(error):
                    return
                if error.errno != errno.EINTR:
                    raise

    def close(self):
        self._fds = (-1, -1)
        self._writer.close()
        self._reader.close()


def _would_block(error):
    return error.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
