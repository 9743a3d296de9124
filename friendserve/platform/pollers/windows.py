"""Waker and close-on-exec for Windows, where select accepts only sockets."""

from __future__ import absolute_import, division, print_function

import ctypes
import operator
import os

from friendserve.platform.pollers import common, interface

__all__ = ["Waker", "set_close_exec"]

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


class Waker(common.Waker):
    """Waker over a pair of connected loopback sockets, non-blocking and not inherited."""

    def __init__(self):
        self._reader, self._writer = ends = common.loopback_pair()
        super(Waker, self).__init__(ends, self._reader.recv, self._writer.send,
                                    operator.methodcaller("close"))
        for sock in ends:
            sock.setblocking(False)
            set_close_exec(sock.fileno())

    def fileno(self):
        # On 2.7 fileno() of a closed socket raises.
        return -1 if self._closed else self._reader.fileno()

    def write_fileno(self):
        return -1 if self._closed else self._writer.fileno()
