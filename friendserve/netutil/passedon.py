"""Listening sockets that a program passes on to itself when it restarts.

While it starts again, connections wait in the kernel, so none is refused. The sockets outlive
``exec``; a variable of the environment says which they are, and `bind_sockets` and
`bind_unix_socket` take them instead of new ones for the same address.
"""
from __future__ import absolute_import, division, print_function

import json
import os
import socket
import weakref

from friendserve.platform.pollers.auto import set_close_exec

_VARIABLE = "FRIENDSERVE_RELOADED_SOCKETS"

#: The sockets that this program has made listen.
_listening = weakref.WeakSet()


def _read_environment():
    """The sockets in the environment, as a list."""
    sockets = []
    for fd, family in json.loads(os.environ.pop(_VARIABLE, "[]")):
        sock = socket.fromfd(fd, family, socket.SOCK_STREAM)
        os.close(fd)
        set_close_exec(sock.fileno())
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


#: Those that the program before this one listened on, until they are taken.
_waiting = _read_environment()


def take(family, address):
    """The socket that is waiting for this address (bytes for a Unix socket), or None. With port 0,
    that of any port."""
    sock = _find(family, address)
    if sock is not None:
        _waiting.remove(sock)
    return sock


def is_waiting(family, address):
    """Whether `take` would return a socket."""
    return _find(family, address) is not None


def _find(family, address):
    for sock in _waiting:
        name = sock.getsockname()
        if not isinstance(name, (tuple, bytes)):
            name = os.fsencode(name)
        if isinstance(address, tuple) and isinstance(name, tuple) and address[1] == 0:
            name = (name[0], 0) + name[2:]
        if sock.family == family and name == address:
            return sock
    return None


def note(sock):
    """Remember a socket that listens."""
    _listening.add(sock)


def open_sockets():
    """All that listen or are waiting, a list."""
    return _waiting + [sock for sock in _listening if _is_open(sock)]


def _is_open(sock):
    try:
        return sock.fileno() >= 0
    except EnvironmentError:  # version: py2
        return False


def close_waiting():
    """Close those for which the program has no use any more."""
    while _waiting:
        _waiting.pop().close()


def pass_on():
    """Prepare for ``exec``: let all open sockets be inherited, and say so in the environment. On
    Windows nothing is, as there a new process takes the place of the program."""
    table = []
    if os.name == "nt":
        return
    for sock in open_sockets():
        fd = os.dup(sock.fileno())
        if hasattr(os, "set_inheritable"):
            os.set_inheritable(fd, True)
        table.append((fd, int(sock.family)))
    if table:
        os.environ[_VARIABLE] = json.dumps(table)
