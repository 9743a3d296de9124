"""close_notify (RFC 8446 6.1) without the rest of `SSLSocket.unwrap`.

The ssl module has only `unwrap`, which sends close_notify and then reads the peer's at once. It
drops any other data that it finds, so a stream that wants to continue reading cannot call it.
"""
from __future__ import absolute_import, division, print_function

import os
import socket
import ssl

import six

from friendserve.netutil.tls import forget_errors
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.platform.pollers.interface import ERROR, WRITE

#: Seconds that a closed stream keeps its socket open in order to send close_notify.
_GOODBYE_TIMEOUT = 30


def make_close_notify(sock):
    """The bytes of the close_notify of an SSLSocket, for its connection: a pair of the bytes and
    whether the peer's close_notify has arrived, after which `sock` must not be read. The bytes are
    b"" if it was made before.

    Nothing is read and nothing sent. Raises EnvironmentError when out of fds, ssl.SSLError if the
    connection has failed, and NotImplementedError on Windows.
    """
    if os.name == "nt":
        raise NotImplementedError("the number of a socket cannot be given to another")
    # For the duration of the call, the fd is one end of a socket pair.
    fd = sock.fileno()
    inner, outer = socket.socketpair()
    try:
        for end in (inner, outer):
            end.setblocking(False)
        saved = os.dup(fd)
        try:
            _replace(fd, inner.fileno())
            try:
                sock.unwrap()
                is_answered = True
            except EnvironmentError:
                is_answered = False
                forget_errors()
            finally:
                _replace(fd, saved)
        finally:
            os.close(saved)
        try:
            return outer.recv(4096), is_answered
        except EnvironmentError:
            return b"", is_answered
    finally:
        inner.close()
        outer.close()


def say_goodbye(sock):
    """Send close_notify before a close. Returns False if there is no room for it now."""
    try:
        sock.unwrap()
    except ssl.SSLError as error:
        forget_errors()
        return error.args[0] != ssl.SSL_ERROR_WANT_WRITE
    except (OSError, IOError, ValueError):
        pass
    return True


def _replace(fd, other):
    if six.PY2:  # version: py2
        os.dup2(other, fd)
        set_close_exec(fd)
    else:
        os.dup2(other, fd, inheritable=False)


class Goodbye(object):
    """Closes a TLS socket as soon as there is room for close_notify, or after a while."""
    __slots__ = ("socket", "_io_loop", "_fd", "_timer")

    def __init__(self, sock, io_loop):
        self.socket = sock
        self._io_loop = io_loop
        self._fd = sock.fileno()
        self._timer = io_loop.call_later(_GOODBYE_TIMEOUT, self.close)
        try:
            io_loop.add_handler(self._fd, self._handle_events, WRITE)
        except (OSError, IOError, ValueError, RuntimeError):
            # The loop is closed, or its poller is full.
            self.close()

    def fileno(self):
        return self.socket.fileno()

    def _handle_events(self, fd, events):
        if events & ERROR or say_goodbye(self.socket):
            self.close()

    def close(self):
        self._io_loop.remove_timeout(self._timer)
        self._io_loop.remove_handler(self._fd)
        self.socket.close()
