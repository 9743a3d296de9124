"""Helpers of the pollers and wakers."""

from __future__ import absolute_import, division, print_function

import errno
import os
import socket
import stat

from friendserve.log import gen_log
from friendserve.platform.pollers import interface
from friendserve.platform.pollers.interface import ERROR, PRI, RDHUP, READ, WRITE

_KNOWN = READ | PRI | WRITE | ERROR | RDHUP
_UNKNOWN = "events 0x%x: only READ, PRI, WRITE, ERROR and RDHUP may be combined"
_WINDOWS = os.name == "nt"
_CHUNK = 4096
_WOULD_BLOCK = frozenset((errno.EAGAIN, errno.EWOULDBLOCK))

#: The identity, never that of an open file, of an fd that was found to be closed.
CLOSED = object()


class AlreadyRegisteredError(IOError, ValueError):
    """A second registration of a number. Also an IOError, as from epoll_ctl(2)."""


class NotRegisteredError(IOError, KeyError):
    """A change for a number that is not registered. Also an IOError, as from epoll_ctl(2)."""


def check_events(events):
    """Raise ValueError unless `events` is a valid mask."""
    if events & ~_KNOWN:
        raise ValueError(_UNKNOWN % events)


def check_registered(fd, events, registered):
    """Raise NotRegisteredError unless `fd` is in `registered`, ValueError unless `events` is
    valid."""
    if fd not in registered:
        raise NotRegisteredError(errno.ENOENT, "fd %r is not registered" % (fd,))
    if events & ~_KNOWN:
        raise ValueError(_UNKNOWN % events)


def already_registered(fd):
    """The AlreadyRegisteredError for a second registration of `fd`."""
    return AlreadyRegisteredError(
        errno.EEXIST, "fd %d is already registered; use modify, or unregister it first" % fd)


def identify(fd):
    """A value that distinguishes the file of `fd` from others, as far as fstat(2) can: it has the
    same number for all TCP sockets of a BSD, and for all of Linux's eventfds, timers and the like.
    None on Windows, where a socket is not a file. Raises EnvironmentError when `fd` is not open."""
    if _WINDOWS:
        return None
    status = os.fstat(fd)
    return status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode)


def check_identity(fd, identity):
    """Raise EnvironmentError unless `fd` is open and has the file with this `identity`."""
    if identify(fd) != identity:
        raise OSError(errno.ENOENT, "fd %d was closed, and its number belongs to another file" % fd)


def warn_of_closed(fds):
    """Log that these were closed while they were registered."""
    gen_log.warning("fd %s: closed before it was unregistered; remove handlers before closing",
                    ", ".join(str(fd) for fd in sorted(fds)))


def is_interrupt(error):
    """Whether `error`, from any version's select module, means that a signal arrived (EINTR)."""
    return error.args[0] == errno.EINTR  # select.error has no errno  # version: py2


def try_close(f):
    """Call `f.close()`, ignoring EnvironmentError."""
    try:
        f.close()
    except EnvironmentError:
        pass


class Waker(interface.Waker):
    """A waker over a reading and a writing end, whatever they are: `read(size)` returns bytes,
    `write(data)` sends them, and `close(end)` closes one of `ends`, the reading one first."""

    def __init__(self, ends, read, write, close):
        self._ends = list(ends)
        # Functions of the system, not methods, which would cost a call for each wake-up.
        self._read, self._write, self._close = read, write, close
        self._closed = False
        self._waking = {}   # an item for each call of `wake` in progress

    def wake(self):
        # Between a look at the number and the write, another thread may close it and open a file
        # that gets the same number. So nothing is closed while an entry is here. A lock would not
        # do: a signal handler that calls this may have interrupted its owner.
        call = object()
        try:
            self._waking[call] = None
            if not self._closed:
                self._write(b"w")
            self._waking.pop(call, None)
            if self._closed:
                self._close_ends()
        except BaseException as error:
            # A signal handler may have raised anywhere above.
            self._waking.pop(call, None)
            if self._closed:
                self._close_ends()
            code = getattr(error, "errno", None)
            if code == errno.EINTR:
                self.wake()
            elif code not in _WOULD_BLOCK:  # that is a full pipe, so the reader is awake already
                raise

    def consume(self):
        data = b""
        while not self._closed:
            try:
                data = self._read(_CHUNK)
                if len(data) < _CHUNK:
                    break
            except EnvironmentError as error:
                if error.errno in _WOULD_BLOCK:
                    break
                if error.errno != errno.EINTR:
                    raise
        return data.replace(b"w", b"")

    def close(self):
        self._closed = True
        self._close_ends()

    def _close_ends(self):
        while not self._waking:
            try:
                end = self._ends.pop()
            except IndexError:
                # On Python 2 a socket stays open as long as one of its methods exists.
                self._read = self._write = None
                return
            self._close(end)


def loopback_pair():
    """Two TCP sockets on 127.0.0.1 connected to each other, like those of socket.socketpair, which
    not every system has. Blocking, with TCP_NODELAY; the caller closes both. Raises
    EnvironmentError."""
    listener = socket.socket()
    client = socket.socket()
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        while True:
            server, address = listener.accept()
            if address == client.getsockname():
                break
            server.close()  # another program connected first
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, server
    except EnvironmentError:
        client.close()
        raise
    finally:
        listener.close()
