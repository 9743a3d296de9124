"""A poller over select(2), which every system has.

The facts:

1. Like poll, select is given numbers at each call: see `poll` for files that were closed. But one
   closed number makes the whole call fail (EBADF), without showing which one.
2. POSIX: numbers must be below FD_SETSIZE, 1024. Windows: at most 512 sockets in a set, of any
   number, sockets only, and never three empty sets.
3. A failure is not reported as such. POSIX reports a failed connect as readable and writable, like
   a successful one with data; Windows reports it in the third set only. That set is also the one of
   urgent data.

What follows: when a call fails, each number is tried by itself, and those that fail are dropped. A
stream socket that becomes writable for the first time is checked for a peer, since reading SO_ERROR
would hide the error from the socket's owner.

Given up: RDHUP, hang-ups of files that are watched for ERROR or NONE alone, and those of pipes
without a reader, which are only writable.
"""

from __future__ import absolute_import, division, print_function

import errno
import os
import select
import socket
import stat

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from friendserve.platform.pollers import interface
from friendserve.platform.pollers.common import (
    CLOSED, already_registered, check_events, check_identity, check_registered, identify,
    is_interrupt)
from friendserve.platform.pollers.interface import ERROR, MAX_WAIT, NONE, PRI, READ, WRITE

# The limit of sockets in a set on Windows. Elsewhere select itself refuses numbers that are too
# high.
_WINDOWS = os.name == "nt"
_WINDOWS_MAX_FDS = 512


class SelectPoller(interface.Poller):
    """Poller over select: for systems without a better one. Fds below FD_SETSIZE (1024) only;
    each wait costs time for each of them. Windows cannot wait while none is registered."""

    def __init__(self):
        self._fds = {}      # fd -> the identity of its file
        self._readers = set()
        self._writers = set()
        self._urgent = set()
        self._connecting = set()  # not known to be connected: checked once when writable

    def fileno(self):
        raise NotImplementedError("the select poller has no file descriptor; epoll and kqueue do")

    def register(self, fd, events):
        check_events(events)
        _check_selectable(fd)
        identity = identify(fd)
        if fd in self._fds:
            if self._fds[fd] == identity:
                raise already_registered(fd)
        elif _WINDOWS and len(self._fds) >= _WINDOWS_MAX_FDS:
            raise ValueError(_TOO_MANY % fd)
        self._watch(fd, events)
        self._fds[fd] = identity
        self._connecting.add(fd)

    def modify(self, fd, events):
        check_registered(fd, events, self._fds)
        _check_selectable(fd)
        check_identity(fd, self._fds[fd])
        self._watch(fd, events)

    def unregister(self, fd):
        check_registered(fd, NONE, self._fds)
        self._forget(fd)
        del self._fds[fd]

    def watched(self):
        events = dict((fd, NONE) for fd in self._fds if self._fds[fd] is not CLOSED)
        for fds, event in self._sets():
            for fd in fds:
                events[fd] |= event
        return events

    def poll(self, seconds):
        if seconds is not None:
            # the 1e-6 compensates for the truncation to whole microseconds
            seconds = min(seconds + 1e-6, MAX_WAIT) if seconds > 0 else 0
        third = self._urgent | self._connecting & self._writers if _WINDOWS else self._urgent
        try:
            readable, writable, exceptional = select.select(
                self._readers, self._writers, third, seconds)
        except (EnvironmentError, select.error) as error:
            if not is_interrupt(error) and not self._forget_closed():
                raise
            return []
        result = dict.fromkeys(readable, READ)
        for fd in exceptional:
            failed = _WINDOWS and fd in self._connecting and fd in self._writers
            result[fd] = result.get(fd, NONE) | (ERROR if failed else PRI)
        for fd in writable:
            result[fd] = result.get(fd, NONE) | WRITE
            if fd in self._connecting and _connect_failed(fd):
                result[fd] |= ERROR
            else:
                self._connecting.discard(fd)
        return list(result.items())

    def close(self):
        for fds in (self._fds, self._readers, self._writers, self._urgent, self._connecting):
            fds.clear()

    def _sets(self):
        return (self._readers, READ), (self._writers, WRITE), (self._urgent, PRI)

    def _watch(self, fd, events):
        for fds, event in self._sets():
            if events & event:
                fds.add(fd)
            else:
                fds.discard(fd)

    def _forget(self, fd):
        for fds in (self._readers, self._writers, self._urgent, self._connecting):
            fds.discard(fd)

    def _forget_closed(self):
        """Drop the files that were closed without `unregister`; returns whether there were any."""
        found = False
        for fd in self._readers | self._writers | self._urgent:
            try:
                _check_selectable(fd)
                check_identity(fd, self._fds[fd])
            except (EnvironmentError, select.error):
                self._forget(fd)
                self._fds[fd] = CLOSED
                found = True
        return found


_TOO_MANY = ("fd %d cannot be watched by select, which is limited to FD_SETSIZE descriptors; "
             "use epoll, kqueue or poll, or lower the number of open files")


def _check_selectable(fd):
    """Raise ValueError when `fd` is too high for select, EnvironmentError when it is not open."""
    try:
        select.select([fd], [], [], 0)
    except ValueError:
        if fd < 0:
            raise
        raise ValueError(_TOO_MANY % fd)
    except select.error as error:
        if not is_interrupt(error):
            raise EnvironmentError(error.args[0], "fd %d: %s" % (fd, error.args[1]))


def _connect_failed(fd):
    """Whether `fd`, which is writable, is a stream socket without a peer: its connect failed."""
    if _WINDOWS or not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return False
    # The duplicate shares the flags of the file, and fromfd may set the blocking mode: that of
    # socket.setdefaulttimeout, and always on PyPy.
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    # The family only decides the size of the buffer for the address; AF_UNIX has the largest.
    try:
        sock = socket.fromfd(fd, socket.AF_UNIX, socket.SOCK_STREAM)
    except EnvironmentError:
        # Out of descriptors. The failure shows when the socket is written to.
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
            return False
        sock.getpeername()
    except EnvironmentError as error:
        return error.errno == errno.ENOTCONN
    finally:
        sock.close()
    return False
