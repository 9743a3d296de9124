"""Waker and close-on-exec for POSIX systems."""

from __future__ import absolute_import, division, print_function

import fcntl
import functools
import os

from friendserve.platform.pollers import common
from friendserve.platform.pollers.interface import set_close_exec

__all__ = ["Waker", "set_close_exec"]


def _set_nonblocking(fd):
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)


class Waker(common.Waker):
    """Waker over a non-blocking, close-on-exec pipe."""

    def __init__(self):
        self._reader, self._writer = ends = os.pipe()
        super(Waker, self).__init__(ends, functools.partial(os.read, self._reader),
                                    functools.partial(os.write, self._writer), os.close)
        self._set_up()

    def _set_up(self):
        for fd in self._reader, self._writer:
            _set_nonblocking(fd)
            set_close_exec(fd)

    def after_fork(self):
        for new, old in zip(os.pipe(), (self._reader, self._writer)):
            os.dup2(new, old)
            os.close(new)
        self._set_up()
        # Threads of the parent do not exist here.
        self._waking.clear()

    def fileno(self):
        return -1 if self._closed else self._reader

    def write_fileno(self):
        return -1 if self._closed else self._writer
