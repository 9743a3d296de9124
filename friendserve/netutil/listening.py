"""Listening sockets, and accepting connections from them."""
from __future__ import absolute_import, division, print_function

import errno
import os
import socket
import stat

import six

from friendserve.ioloop import IOLoop
from friendserve.log import app_log
from friendserve.netutil.endpoints import (
    environment_error, host_name, port_number, unix_path)
from friendserve.netutil.passedon import note, take
from friendserve.platform.pollers.auto import set_close_exec


#: The number of connections that the kernel may queue until they are accepted.
DEFAULT_BACKLOG = 128

#: The number of connections accepted from one socket per turn of the loop, so that a rush of new
#: ones does not starve the others.
MAX_ACCEPTS_PER_TURN = 128

#: How many of those that wait are accepted at the end; `listen` lets the kernel keep fewer.
MAX_WAITING = 10000

#: Seconds for which accepting pauses when the system is out of fds or memory: the first pause, and
#: the longest. Each pause is twice as long as the one before.
ACCEPT_PAUSES = (0.1, 1.0)

#: Seconds for which a process leaves new connections to others that share its socket: time for them
#: to wake up, and hardly a delay if all of them are busy.
REST = 0.002

#: How many times in a row it does.
MAX_RESTS = 3

# While the shortage lasts, log at most once per this many seconds.
_SHORTAGE_LOG_INTERVAL = 10.0

# How many times to try to find a port that is free on every address of a host.
_PORT_ZERO_ATTEMPTS = 16


def _errnos(*names):
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_NOTHING_TO_ACCEPT = _errnos("EAGAIN", "EWOULDBLOCK", "WSAEWOULDBLOCK")

_SHORTAGES = _errnos("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "WSAEMFILE", "WSAENOBUFS")

# These concern the connection being accepted, which is lost, and not the listening socket; Linux
# reports even network errors of the new connection here.
_LOST_CONNECTION = _errnos(
    "ECONNABORTED", "ECONNRESET", "EPROTO", "EPERM", "ENETDOWN", "ENETUNREACH", "EHOSTDOWN",
    "EHOSTUNREACH", "ENONET", "ENOPROTOOPT", "ETIMEDOUT", "WSAECONNRESET")


def bind_sockets(port, address=None, family=socket.AF_UNSPEC, backlog=DEFAULT_BACKLOG,
                 flags=None, reuse_port=False):
    """A list of sockets that listen on `port`, on every address of this machine or on `address`.

    `address` is an IP address or a host name of this machine, resolved synchronously; None and ""
    mean every interface. A name or an empty address often has both an IPv4 and an IPv6 address,
    hence the list; with port 0 or None all get the same free port. An IPv6 address that the system
    does not support or cannot assign is skipped if another address remains.

    `family` may restrict the addresses to AF_INET or AF_INET6, `flags` replaces the AI_* flags
    (default AI_PASSIVE), and `reuse_port` lets several processes listen on one port
    (SO_REUSEPORT). The sockets are non-blocking and close-on-exec; IPv6 sockets accept no IPv4
    connections.

    Raises ValueError for an invalid port, name or option that the system does not have,
    socket.gaierror for an address that cannot be resolved, and socket.error if binding fails; then
    no socket is left open.
    """
    port = port_number(0 if port is None else port)
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port needs SO_REUSEPORT, which this system does not have")
    if family == socket.AF_UNSPEC and not socket.has_ipv6:
        family = socket.AF_INET
    places = _resolve_places(port, host_name(address) if address else None, family,
                             socket.AI_PASSIVE if flags is None else flags)
    attempts = _PORT_ZERO_ATTEMPTS if port == 0 and len(places) > 1 else 1
    while True:
        attempts -= 1
        try:
            return _bind_places(places, backlog, reuse_port)
        except socket.error as error:
            # The port is free on the first address but in use on another: try a new one.
            if error.errno != errno.EADDRINUSE or attempts == 0:
                raise


def _resolve_places(port, address, family, flags):
    """A list of (family, type, protocol, socket address), without duplicates."""
    try:
        found = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, 0, flags)
    except UnicodeError as error:
        # A label of more than 63 characters.
        raise environment_error(error)
    places = []
    for af, kind, proto, _, place in found:
        if address == "localhost" and af == socket.AF_INET6 and place[3] != 0:
            # macOS also gives localhost a link-local address, but only ::1 is meant.
            continue
        if (af, kind, proto, place) not in places:
            places.append((af, kind, proto, place))
    return places


def _bind_places(places, backlog, reuse_port):
    sockets = []
    skipped = None
    port = places[0][3][1]
    try:
        for af, kind, proto, place in places:
            place = (place[0], port) + place[2:]
            try:
                sock = take(af, place) or _bind_one(af, kind, proto, place, reuse_port)
            except socket.error as error:
                if not _is_unusable_address(af, error):
                    raise
                # Not the exception itself: it refers to this frame, which would be a cycle.
                skipped = skipped or (error.errno, error.strerror)
                continue
            sockets.append(sock)
            port = sock.getsockname()[1]
            sock.listen(backlog)
            note(sock)
        if not sockets:
            raise socket.error(*skipped)
    except Exception:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _is_unusable_address(af, error):
    """Whether the kernel lacks the family, or has IPv6 but not this address."""
    return (error.errno == errno.EAFNOSUPPORT
            or af == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL)


def _options_to_set(af, reuse_port):
    if os.name != "nt":
        # On Windows, SO_REUSEADDR would let two servers share one port.
        yield socket.SOL_SOCKET, socket.SO_REUSEADDR
    if reuse_port:
        yield socket.SOL_SOCKET, socket.SO_REUSEPORT
    if af == socket.AF_INET6:
        # IPv4 gets a separate socket, which could not have the same port otherwise.
        yield socket.IPPROTO_IPV6, socket.IPV6_V6ONLY


def _bind_one(af, kind, proto, place, reuse_port):
    sock = socket.socket(af, kind, proto)
    try:
        set_close_exec(sock.fileno())
        sock.setblocking(False)
        for level, option in _options_to_set(af, reuse_port):
            sock.setsockopt(level, option, 1)
        sock.bind(place)
    except socket.error as error:
        sock.close()
        advice = _ADVICE.get(error.errno)
        if advice is None:
            raise
        raise type(error)(error.errno, advice % {"address": place[0], "port": place[1]})
    except Exception:
        sock.close()
        raise
    return sock


#: What to do about an address that cannot be bound.
_ADVICE = {
    errno.EADDRINUSE: "port %(port)d of %(address)s is taken: another program listens there,"
                      " perhaps an earlier run of this one; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "%(address)s is not an address of this machine: choose one that is, such"
                         " as 127.0.0.1, or none for every interface",
    errno.EACCES: "port %(port)d needs privileges: choose one from 1024 up, or listen as root",
}


def bind_unix_socket(file, mode=0o600, backlog=DEFAULT_BACKLOG):
    """A Unix socket that listens at the path `file`, with the file permissions `mode`.

    A socket that exists at that path is assumed to be a leftover and removed; anything else, even a
    symbolic link to a socket, is kept and raises ValueError. Nothing can connect before the
    permissions are set. Closing the socket does not remove the file.

    A name that starts with NUL is abstract (Linux): it has no file and no `mode`. The socket is
    non-blocking and close-on-exec. Raises ValueError if the system has no Unix sockets and for a
    path with NUL in it, and socket.error or OSError if the file cannot be created.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ValueError("this system has no Unix sockets")
    path = unix_path(file)
    abstract = path.startswith(b"\0")
    sock = take(socket.AF_UNIX, path)
    if sock is not None:
        note(sock)
        return sock
    if not abstract:
        _remove_stale_socket(file)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        set_close_exec(sock.fileno())
        sock.setblocking(False)
        sock.bind(path)
        if not abstract:
            os.chmod(file, mode)
        sock.listen(backlog)
    except Exception:
        sock.close()
        raise
    note(sock)
    return sock


def _remove_stale_socket(file):
    try:
        found = os.lstat(file)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ValueError("%r exists and is not a socket: remove it or choose another path"
                         % (file,))
    os.remove(file)


def add_accept_handler(sock, callback, io_loop=None, max_accepts=MAX_ACCEPTS_PER_TURN,
                       may_accept=None):
    """Call ``callback(connection, address)`` for each connection that `sock` accepts.

    `sock` is a listening, non-blocking socket; `connection` is a new socket, non-blocking and
    close-on-exec, that belongs to the callback. At most `max_accepts` are accepted per turn of
    `io_loop` (the current loop if None). Exceptions raised by the callback go to the loop.

    `may_accept` is for a socket that several processes share: ``may_accept()`` is called when there
    are connections, before each, and if it returns false, they are left to the other processes for
    `REST` seconds. What is still waiting after `MAX_RESTS` times is accepted without asking.

    Connections that are lost before they are accepted are skipped. When the system is out of fds or
    memory, this is logged and accepting pauses (`ACCEPT_PAUSES`); meanwhile connections wait in the
    kernel.

    Returns a function that stops accepting: the callback is not called afterwards, not even for
    connections of the same turn. It may be called repeatedly. It does not close `sock`; call it
    before closing `sock`. With its argument true, it first accepts what waits in the kernel, up to
    `MAX_WAITING` connections.
    """
    acceptor = _Acceptor(sock, callback, io_loop or IOLoop.current(), max_accepts, may_accept)
    acceptor.io_loop.add_handler(sock, acceptor.handle_events, IOLoop.READ)
    return acceptor.remove


class _Acceptor(object):
    """Accepts connections from one listening socket, and pauses while the system is short of
    resources."""

    __slots__ = ("sock", "fd", "callback", "io_loop", "max_accepts", "may_accept", "_removed",
                 "_timer", "_pause", "_silent_until", "_rests")

    def __init__(self, sock, callback, io_loop, max_accepts, may_accept):
        self.sock = sock
        self.fd = sock.fileno()
        self.callback = callback
        self.io_loop = io_loop
        self.max_accepts = max_accepts
        self.may_accept = may_accept
        self._rests = 0                 # how often in a row the others had their chance
        self._removed = False
        self._timer = None              # the end of the pause; None while accepting
        self._pause = ACCEPT_PAUSES[0]  # the length of the next pause
        self._silent_until = 0          # when the next shortage may be logged

    def handle_events(self, sock, events):
        may_accept = self.may_accept
        if may_accept is not None:
            if self._rests == MAX_RESTS:
                may_accept = None
            elif not may_accept():
                self._rests += 1
                self._wait(REST)
                return
            self._rests = 0
        for count in range(self.max_accepts):
            if self._removed or may_accept is not None and count and not may_accept():
                return
            try:
                connection, address = self.sock.accept()
                if six.PY2:  # version: py2
                    set_close_exec(connection.fileno())
                connection.setblocking(False)
            except socket.error as error:
                if error.errno in _NOTHING_TO_ACCEPT:
                    self._pause = ACCEPT_PAUSES[0]
                    return
                if error.errno in _SHORTAGES:
                    return self._pause_accepting(error)
                if error.errno != errno.EINTR and error.errno not in _LOST_CONNECTION:
                    raise
            else:
                self.callback(connection, address)

    def _pause_accepting(self, error):
        self._wait(self._pause)
        self._pause = min(2 * self._pause, ACCEPT_PAUSES[1])
        now = self.io_loop.time()
        if now >= self._silent_until:
            self._silent_until = now + _SHORTAGE_LOG_INTERVAL
            app_log.error("Accepting connections is paused while the system is short of"
                          " resources: %s", error)

    def _wait(self, seconds):
        # Stay registered, so that closing the loop with all its fds closes this one as well.
        self.io_loop.update_handler(self.fd, IOLoop.NONE)
        self._timer = self.io_loop.call_later(seconds, self._resume)

    def _resume(self):
        self._timer = None
        self.io_loop.update_handler(self.fd, IOLoop.READ)

    def remove(self, accept_waiting=False):
        if self._removed:
            return
        if accept_waiting:
            self._cancel()
            self.may_accept, self.max_accepts = None, MAX_WAITING
            self.handle_events(self.sock, IOLoop.READ)
        self._removed = True
        self.io_loop.remove_handler(self.fd)
        self._cancel()

    def _cancel(self):
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None
