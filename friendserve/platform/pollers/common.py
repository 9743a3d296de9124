"""What the implementations share."""

from __future__ import absolute_import, division, print_function

import errno
import socket

from friendserve.platform.pollers.interface import ERROR, READ, WRITE

_KNOWN = READ | WRITE | ERROR


def check_unregistered(fd, events, registered):
    """Raises ValueError unless `fd` is absent from `registered` and `events` is a valid mask."""
    if fd in registered:
        raise ValueError("fd %d is already registered; use modify, or unregister it first" % fd)
    if events & ~_KNOWN:
        raise ValueError("events 0x%x: only READ, WRITE and ERROR may be combined" % events)


def check_registered(fd, events, registered):
    """Raises KeyError unless `fd` is in `registered`, ValueError unless `events` is valid."""
    if fd not in registered:
        raise KeyError("fd %r is not registered" % (fd,))
    if events & ~_KNOWN:
        raise ValueError("events 0x%x: only READ, WRITE and ERROR may be combined" % events)


def is_interrupt(error):
    """True when `error`, from any version's select module, says that a signal came (EINTR)."""
    return error.args[0] == errno.EINTR  # select.error has no errno  # version: py2


def try_close(f):
    """Calls `f.close()` and ignores the operating system's complaints (EnvironmentError)."""
    try:
        f.close()
    except EnvironmentError:
        pass


def loopback_pair():
    """Two TCP sockets of 127.0.0.1 connected to each other, as socket.socketpair gives where
    it exists. Blocking, with TCP_NODELAY; the caller closes both. Raises EnvironmentError."""
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
            server.close()  # a stranger was faster
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, server
    except EnvironmentError:
        client.close()
        raise
    finally:
        listener.close()
