"""The listening sockets of a service: from what is configured to sockets that listen.

An address is one of

    127.0.0.1:8000   [::1]:8000   a.example:8000     on addresses of this machine
    :8000                                            on all of them
    unix:/run/chat.sock   unix:@chat                 a Unix socket, or an abstract one (Linux)
    fd:3                                             an inherited descriptor

Sockets that systemd passes (LISTEN_FDS, sd_listen_fds(3)) replace all of these, and so do those of
a predecessor that starts this program for its upgrade, each for the address it was made for. A
socket that already listens is taken as it is: a second ``listen()`` would change its backlog, and
SELinux may refuse it.
"""
from __future__ import absolute_import, division, print_function

import errno
import grp
import json
import os
import socket
import sys

from friendserve.netutil import bind_sockets, bind_unix_socket
from friendserve.netutil.endpoints import unix_path
from friendserve.netutil.passedon import is_waiting
from friendserve.platform.pollers.auto import set_close_exec

#: The environment variable in which a master tells its successor the sockets that it inherits.
INHERITED = "FRIENDSERVE_INHERITED_SOCKETS"

_FIRST_SYSTEMD_FD = 3


class SocketsError(Exception):
    """A socket could not be made or taken over; the text says which, why and what to do."""


class Listeners(object):
    """The listening sockets of a service, which belong to its master.

    `addresses` is a list of str. `unix_mode` and `unix_group` (a name) are the permissions of Unix
    sockets. With `reuse_port`, each slot has a socket for each TCP address, between which the
    kernel distributes connections; otherwise all slots share one. `environ` is read and cleared of
    what it says of inherited sockets. Raises SocketsError; then those that were opened are closed.
    """
    def __init__(self, addresses, backlog=1024, unix_mode=0o660, unix_group=None,
                 reuse_port=False, environ=os.environ):
        self._options = backlog, unix_mode, unix_group
        self._reuse_port = reuse_port
        self._sockets = {}      # (address, slot or None for all) -> list of sockets
        self._inherited = json.loads(environ.pop(INHERITED, "{}"))
        passed = _from_systemd(environ)
        #: What the sockets are made for; "systemd:NAME" for those of systemd.
        self.addresses = [name for name, _ in passed] or list(addresses)
        #: Whether they were passed by systemd, so that `change` does nothing.
        self.is_passed = bool(passed)
        try:
            for name, fd in passed:
                self._sockets.setdefault((name, None), []).append(_adopt(fd, name, backlog))
            for address in self.addresses:
                self._sockets_of(address, 0)
        except SocketsError:
            self.close()
            raise

    def of_slot(self, slot):
        """The list of sockets from which the workers of `slot` accept. Raises SocketsError."""
        return [sock for address in self.addresses for sock in self._sockets_of(address, slot)]

    def names(self):
        """How to reach the service: a list of str, for the log."""
        return [_name_of(sock) for sock in self.of_slot(0)]

    def change(self, addresses):
        """Listen on `addresses` from now on: open what is new, close what is no longer wanted. When
        that fails, raise SocketsError and change nothing. Workers that run are not affected."""
        if self.is_passed:
            return
        before, self.addresses = self.addresses, list(addresses)
        try:
            self.of_slot(0)
        except SocketsError:
            self.addresses = before
            self._drop(before)
            raise
        self._drop(self.addresses)

    def hand_over(self, environ):
        """The descriptors that a successor is to inherit, a list; `environ` tells it which they
        are. Unlike the sockets they are not close-on-exec; close them after the start."""
        copies, table = [], {}
        for (address, slot), sockets in self._sockets.items():
            fds = [os.dup(sock.fileno()) for sock in sockets]
            for fd in fds:
                if hasattr(os, "set_inheritable"):
                    os.set_inheritable(fd, True)
            table["%s %s" % (address, "" if slot is None else slot)] = fds
            copies.extend(fds)
        environ[INHERITED] = json.dumps(table)
        return copies

    def close(self, remove=False):
        """Close all; `remove`: also remove the files of Unix sockets."""
        for (address, _), sockets in list(self._sockets.items()):
            for sock in sockets:
                sock.close()
            if remove and address.startswith("unix:/"):
                try:
                    os.remove(address[5:])
                except OSError:
                    pass
        self._sockets.clear()

    def _drop(self, addresses):
        for key in list(self._sockets):
            if key[0] not in addresses:
                for sock in self._sockets.pop(key):
                    sock.close()

    def _sockets_of(self, address, slot):
        own = self._reuse_port and not address.startswith(("unix:", "fd:", "systemd:"))
        key = address, slot if own else None
        if key not in self._sockets:
            fds = self._inherited.pop("%s %s" % (address, slot if own else ""), None)
            if fds is None:
                self._sockets[key] = self._open(address)
            else:
                self._sockets[key] = [_adopt(fd, address, self._options[0]) for fd in fds]
        return self._sockets[key]

    def _open(self, address):
        backlog, unix_mode, unix_group = self._options
        try:
            if address.startswith("unix:"):
                return [_open_unix(address[5:], unix_mode, unix_group, backlog)]
            if address.startswith("fd:"):
                if not address[3:].isdigit():
                    raise ValueError("a descriptor is a number, as in fd:3")
                return [_adopt(int(address[3:]), address, backlog)]
            host, colon, port = address.rpartition(":")
            if not colon or not port.isdigit():
                raise ValueError("an address is HOST:PORT, :PORT, unix:PATH or fd:NUMBER")
            if host.startswith("[") and host.endswith("]"):
                host = host[1:-1]
            return bind_sockets(int(port), host, backlog=backlog, reuse_port=self._reuse_port)
        except (ValueError, KeyError, EnvironmentError) as error:
            raise SocketsError("cannot listen on %s: %s" % (address, _reason(error)))


def _reason(error):
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return "the address is in use by another program"
    if getattr(error, "errno", None) == errno.EACCES:
        return ("permission denied: ports below 1024 and protected folders need a privilege, or "
                "sockets passed by systemd")
    return getattr(error, "strerror", None) or str(error)


def _open_unix(path, mode, group, backlog):
    if path.startswith("@"):
        return bind_unix_socket("\0" + path[1:], backlog=backlog)
    if not path:
        raise ValueError("a Unix socket is unix:PATH")
    if is_waiting(socket.AF_UNIX, unix_path(path)):
        return bind_unix_socket(path)
    gid = grp.getgrnam(group).gr_gid if group else -1
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Non-blocking, as the queue of one that is in use may be full.
        probe.setblocking(False)
        probe.connect(path)
        in_use = True
    except EnvironmentError as error:
        in_use = error.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTSOCK)
        if in_use and error.errno not in (errno.EAGAIN, errno.EINPROGRESS):
            raise
    finally:
        probe.close()
    if in_use:
        raise ValueError("a program answers there")
    sock = bind_unix_socket(path, mode=0o600, backlog=backlog)
    try:
        os.chown(path, -1, gid)
        os.chmod(path, mode)
    except EnvironmentError:
        sock.close()
        os.remove(path)
        raise
    return sock


#: Has `fromfd` ask the descriptor, if this Python can do that.
_UNKNOWN_FAMILY = -1 if sys.version_info >= (3, 7) else socket.AF_UNIX  # version: py2, 3.6


def _adopt(fd, address, backlog):
    """A socket for the descriptor `fd`, which is closed."""
    try:
        # The name tells the family. PyPy can only read the name of a socket of the right family.
        probe = socket.fromfd(fd, _UNKNOWN_FAMILY, socket.SOCK_STREAM)
        try:
            name = probe.getsockname()
            kind = probe.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
            listens = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        finally:
            probe.close()
        if kind != socket.SOCK_STREAM:
            raise SocketsError("%s (descriptor %d) is not a stream socket" % (address, fd))
        family = (socket.AF_UNIX if not isinstance(name, tuple)
                  else socket.AF_INET if len(name) == 2 else socket.AF_INET6)
        sock = socket.fromfd(fd, family, socket.SOCK_STREAM)
        set_close_exec(sock.fileno())
        sock.setblocking(False)
        if not listens:
            sock.listen(backlog)
    except EnvironmentError as error:
        raise SocketsError("cannot use %s (descriptor %d): %s" % (address, fd, error.strerror))
    if fd > 2:
        os.close(fd)
    else:
        # A standard stream stays open, lest a file that is opened later takes its place.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, fd)
        os.close(null)
    return sock


def _from_systemd(environ):
    """Pairs (name, fd) of the sockets that were passed to this process."""
    pid, count, names = [environ.pop(key, "") for key in
                         ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")]
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    names = names.split(":")
    return [("systemd:" + (names[number] if number < len(names) and names[number] else "unknown"),
             _FIRST_SYSTEMD_FD + number) for number in range(int(count))]


def _name_of(sock):
    name = sock.getsockname()
    if not isinstance(name, tuple):
        if isinstance(name, bytes) and str is not bytes:
            name = os.fsdecode(name)
        return "unix:" + name.replace("\0", "@")
    return ("[%s]:%d" if ":" in name[0] else "%s:%d") % name[:2]
