"""Waker and close-on-exec for POSIX systems."""

from __future__ import absolute_import, division, print_function

import errno
import fcntl
import os

from friendserve.platform.pollers import interface
from friendserve.platform.pollers.interface import set_close_exec

__all__ = ["Waker", "set_close_exec"]

_CHUNK = 4096


def _set_nonblocking(fd):
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)


class Waker(interface.Waker):
    """Waker over a non-blocking, close-on-exec pipe."""

    def __init__(self):
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            _set_nonblocking(fd)
            set_close_exec(fd)

    def fileno(self):
        return self._reader

    def write_fileno(self):
        return self._writer

    def wake(self):
        while self._writer >= 0:
            try:
                os.write(self._writer, b"w")
                return
            except EnvironmentError as error:
                if error.errno == errno.EAGAIN or self._writer < 0:
                    return  # full, so the reader is awake already; or just closed
                if error.errno != errno.EINTR:
                    raise

    def consume(self):
        while self._reader >= 0:
            try:
                if len(os.read(self._reader, _CHUNK)) < _CHUNK:
                    return
            except EnvironmentError as error:
                if error.errno == errno.EAGAIN:
                    return
                if error.errno != errno.EINTR:
                    raise

    def close(self):
        # Forget the numbers first: a signal handler may call wake() between any two lines.
        fds = (self._writer, self._reader)
        self._reader = self._writer = -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)
