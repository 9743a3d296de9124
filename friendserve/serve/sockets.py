"""The listening sockets of a service: from the configuration to sockets that listen.

An address is one of

    127.0.0.1:8000   [::1]:8000   a.example:8000     on addresses of this machine
    :8000                                            on all of them
    unix:/run/chat.sock   unix:@chat                 a Unix socket, or an abstract one (Linux)
    fd:3                                             an inherited descriptor

Sockets that systemd passes (LISTEN_FDS, sd_listen_fds(3)) replace all of these. A predecessor that
starts this program for its upgrade passes its sockets on, each for the address it was made for. A
socket that already listens is taken as it is: a second ``listen()`` would change its backlog, and
SELinux may refuse it.
"""
from __future__ import absolute_import, division, print_function

import ctypes
import errno
import json
import os
import socket
import struct
import sys

from friendserve.netutil import bind_sockets, bind_unix_socket
from friendserve.netutil.endpoints import port_number, unix_path
from friendserve.netutil.passedon import is_waiting
from friendserve.platform.pollers.auto import set_close_exec

try:
    import grp
except ImportError:
    # Windows, which has no groups of files.
    grp = None

#: The environment variable in which a master tells its successor the sockets that it inherits.
INHERITED = "FRIENDSERVE_INHERITED_SOCKETS"

_FIRST_SYSTEMD_FD = 3

#: socket(7). A filter for packets: drop those whose flags, in byte 13 (RFC 9293 3.1), have SYN, and
#: pass the others, which complete connections that have begun.
_SO_ATTACH_FILTER = 26
_NO_SYN = struct.pack("=" + 4 * "HBBI",
                      0x30, 0, 0, 13,               # load the byte
                      0x45, 0, 1, 0x02,             # is the bit set?
                      0x06, 0, 0, 0,                # drop
                      0x06, 0, 0, 0xffffffff)       # pass

_NO_PATH = "a Unix socket is unix:PATH"


class SocketsError(Exception):
    """A socket could not be made or taken over; the text says which, why and what to do."""


class Listeners(object):
    """The listening sockets of a service, which belong to its master.

    `addresses` is a list of str. `unix_mode` and `unix_group` (a name) are the permissions of Unix
    sockets. With `reuse_port`, each slot has a socket for each TCP address, between which the
    kernel distributes connections; otherwise all slots share one. What `environ` says about
    inherited sockets is read, and removed from it. Raises SocketsError, after closing the sockets
    that were opened.
    """
    def __init__(self, addresses, backlog=1024, unix_mode=0o660, unix_group=None,
                 reuse_port=False, environ=os.environ):
        self._options = backlog, unix_mode, unix_group
        self._reuse_port = reuse_port
        self._sockets = {}      # (address, slot or None for all) -> list of sockets
        self._private = set()   # the addresses among them that are not for workers
        self._files = {}        # address of a Unix socket -> what identifies its file
        self._inherited = json.loads(environ.pop(INHERITED, "{}"))
        passed = _from_systemd(environ)
        names = [name for name, _ in passed] or [
            key.rpartition(" ")[0] for key in sorted(self._inherited)
            if key.startswith("systemd:")]
        #: What the sockets are made for; "systemd:NAME" for those of systemd.
        self.addresses = names or list(addresses)
        #: Whether they were passed by systemd, so that `change` does nothing.
        self.is_passed = bool(names)
        try:
            for name, fd in passed:
                self._sockets.setdefault((name, None), []).append(_adopt(fd, name, backlog))
            for address in self.addresses:
                self._sockets_of(address, 0)
        except SocketsError:
            self.close()
            raise

    def private(self, address, unix_mode=None):
        """The list of sockets for an address that is not for workers, but for operators.
        `unix_mode` are its permissions if it is a Unix socket. Raises SocketsError."""
        if address in self.addresses:
            raise SocketsError("%s is for the application: operators need another address"
                               % address)
        self._private.add(address)
        return self._sockets_of(address, None, unix_mode)

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
            self._drop(lambda address, slot: address not in before)
            raise
        self._drop(lambda address, slot: address not in self.addresses)

    def limit(self, slots):
        """Close the sockets of slots from this number on, and those inherited for other addresses,
        where connections would wait in vain."""
        self._drop(lambda address, slot: slot is not None and slot >= slots)
        self._forget(lambda address, slot: address not in self.addresses
                     or slot and int(slot) >= slots)

    def keep_only(self, sockets):
        """Close all but these; called in a worker, which would otherwise keep ports occupied."""
        for found in self._sockets.values():
            for sock in found:
                if sock not in sockets:
                    sock.close()
        self._sockets.clear()
        self._forget(lambda address, slot: True)

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

    def refuse(self):
        """Let no new connection begin, while workers accept those that wait: the files of Unix
        sockets are removed, and the kernel drops attempts over TCP (Linux), so that a client tries
        again in a second. Sockets that others passed to this program are left alone."""
        for (address, _), sockets in self._sockets.items():
            if address in self._private or address.startswith(("fd:", "systemd:")):
                continue
            for sock in sockets:
                _drop_attempts(sock)
            self._remove_file(address)

    def stop(self, remove=False):
        """Close those that workers have; `remove`: also remove the files of Unix sockets."""
        self._drop(lambda address, slot: True, remove)

    def close(self, remove=False):
        """Close all."""
        self._private.clear()
        self.stop(remove)

    def _forget(self, is_forgotten):
        """Close inherited sockets that nothing has asked for."""
        for key in list(self._inherited):
            address, _, slot = key.rpartition(" ")
            if is_forgotten(address, slot):
                for fd in self._inherited.pop(key):
                    os.close(fd)

    def _drop(self, is_dropped, remove=True):
        for key in list(self._sockets):
            if key[0] not in self._private and is_dropped(*key):
                for sock in self._sockets.pop(key):
                    sock.close()
                if remove:
                    self._remove_file(key[0])

    def _remove_file(self, address):
        """Remove the file of a Unix socket, if it is still this socket's."""
        file = self._files.pop(address, None)
        if file is not None and file == _identity(address):
            os.remove(address[5:])

    def _sockets_of(self, address, slot, unix_mode=None):
        own = slot is not None and self._reuse_port \
            and not address.startswith(("unix:", "fd:", "systemd:"))
        key = address, slot if own else None
        if key not in self._sockets:
            fds = self._inherited.pop("%s %s" % (address, slot if own else ""), None)
            if fds is None:
                self._sockets[key] = self._open(address, own, unix_mode)
            else:
                self._sockets[key] = [_adopt(fd, address, self._options[0]) for fd in fds]
            if address.startswith("unix:/"):
                self._files[address] = _identity(address)
        return self._sockets[key]

    def _open(self, address, reuse_port, private_mode):
        backlog, unix_mode, unix_group = self._options
        if private_mode is not None:
            unix_mode, unix_group = private_mode, None
        try:
            kind, _, path = address.partition(":")
            if kind == "unix":
                return [_open_unix(path, unix_mode, unix_group, backlog)]
            if kind == "fd":
                return [_adopt(_to_fd(path), address, backlog)]
            host, port = _split(address)
            return bind_sockets(port, host, backlog=backlog, reuse_port=reuse_port)
        except (ValueError, KeyError, EnvironmentError) as error:
            raise SocketsError("cannot listen on %s: %s" % (address, _reason(error)))


def _drop_attempts(sock):
    if sock.family == getattr(socket, "AF_UNIX", None) or not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(_NO_SYN)
    head = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(program))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
    except EnvironmentError:
        # A kernel without filters: connections that arrive at the last moment are reset.
        pass


def check_address(address):
    """Raise SocketsError if an address is malformed. Nothing is opened."""
    kind, _, path = address.partition(":")
    try:
        if kind == "unix":
            if not path:
                raise ValueError(_NO_PATH)
        elif kind == "fd":
            _to_fd(path)
        else:
            _split(address)
    except ValueError as error:
        raise SocketsError("cannot listen on %s: %s" % (address, error))


def _to_fd(text):
    if not text.isdigit():
        raise ValueError("a descriptor is a number, as in fd:3")
    return int(text)


def _split(address):
    """(host, port) of a TCP address."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError("an address is HOST:PORT, :PORT, unix:PATH or fd:NUMBER")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, port_number(port)


def _identity(address):
    """What distinguishes the file of a Unix socket from another one at the same path."""
    try:
        found = os.stat(address[5:])
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
        raise ValueError(_NO_PATH)
    if is_waiting(socket.AF_UNIX, unix_path(path)):
        return bind_unix_socket(path)
    gid = _group_id(group)
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
        raise ValueError("another program is listening there")
    sock = bind_unix_socket(path, mode=0o600, backlog=backlog)
    try:
        os.chown(path, -1, gid)
        os.chmod(path, mode)
    except EnvironmentError:
        sock.close()
        os.remove(path)
        raise
    return sock


def _group_id(group):
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise ValueError("there is no group %s for --unix-group" % group)


#: Makes `fromfd` ask the descriptor, if this Python can do that.
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
        # A standard stream stays open, so that a file opened later does not take its place.
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
