"""Listening sockets, and accepting from them."""
from __future__ import absolute_import, division, print_function

import errno
import os
import re
import socket
import stat

import six

from friendserve.ioloop import IOLoop
from friendserve.log import app_log
from friendserve.platform.pollers.auto import set_close_exec


#: Connections the kernel may keep for us until they are accepted.
DEFAULT_BACKLOG = 128

#: Connections accepted from one socket in one turn of the loop, so that a rush of new ones
#: does not starve the others.
MAX_ACCEPTS_PER_TURN = 128

#: Seconds without accepting after the system ran out of fds or memory: the first pause, each
#: next one twice as long, up to the last.
ACCEPT_PAUSES = (0.1, 1.0)

# While the shortage lasts there is one log line in so many seconds.
_SHORTAGE_LOG_INTERVAL = 10.0

# How often to look for one port that is free on every address of a host.
_PORT_ZERO_ATTEMPTS = 16


def _errnos(*names):
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_NOTHING_TO_ACCEPT = _errnos("EAGAIN", "EWOULDBLOCK", "WSAEWOULDBLOCK")

_SHORTAGES = _errnos("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "WSAEMFILE", "WSAENOBUFS")

# These are about the connection that was to be accepted, which is gone, and not about the
# listening socket; Linux reports even the network errors of the new connection here.
_LOST_CONNECTION = _errnos(
    "ECONNABORTED", "ECONNRESET", "EPROTO", "EPERM", "ENETDOWN", "ENETUNREACH", "EHOSTDOWN",
    "EHOSTUNREACH", "ENONET", "ENOPROTOOPT", "ETIMEDOUT", "WSAECONNRESET")


def bind_sockets(port, address=None, family=socket.AF_UNSPEC, backlog=DEFAULT_BACKLOG,
                 flags=None, reuse_port=False):
    """Return listening sockets for `port` on every address of this machine or of `address`.

    `address` is an IP literal or a host name of this machine, resolved here and now; None and
    "" mean every interface. A name or an empty address often has both an IPv4 and an IPv6
    address, hence the list; with port 0 all get the same free port. An IPv6 address that
    the system does not support or can not assign is left out if another address remains.

    `family` may restrict that to AF_INET or AF_INET6, `flags` replaces the AI_* flags
    (AI_PASSIVE), and `reuse_port` lets several processes listen on one port (SO_REUSEPORT).
    The sockets are non-blocking and close-on-exec; IPv6 ones take no IPv4 connections.

    Raises ValueError for what is no port or an option that the system lacks, socket.gaierror
    for an address it can not resolve and socket.error if binding fails; no socket is left
    open then.
    """
    port = _port_number(port)
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port needs SO_REUSEPORT, which this system does not have")
    if family == socket.AF_UNSPEC and not socket.has_ipv6:
        family = socket.AF_INET
    places = _resolve_places(port, address or None, family,
                             socket.AI_PASSIVE if flags is None else flags)
    attempts = _PORT_ZERO_ATTEMPTS if port == 0 and len(places) > 1 else 1
    while True:
        attempts -= 1
        try:
            return _bind_places(places, backlog, reuse_port)
        except socket.error as e:
            # The port that was free on the first address is taken on another: draw again.
            if e.errno != errno.EADDRINUSE or attempts == 0:
                raise


def _port_number(port):
    if isinstance(port, six.string_types) and re.match(r"[0-9]{1,5}\Z", port):
        port = int(port)
    if not isinstance(port, six.integer_types) or not 0 <= port <= 65535:
        raise ValueError("a port is a number from 0 to 65535, not %r" % (port,))
    return port


def _resolve_places(port, address, family, flags):
    """Return (family, type, protocol, socket address) of each address, none of them twice."""
    places = []
    for af, kind, proto, _, place in socket.getaddrinfo(
            address, port, family, socket.SOCK_STREAM, 0, flags):
        if address == "localhost" and af == socket.AF_INET6 and place[3] != 0:
            # macOS gives localhost a link-local address also; it is ::1 that is meant.
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
                sock = _bind_one(af, kind, proto, place, reuse_port)
            except socket.error as e:
                if not _is_unusable_address(af, e):
                    raise
                # Not the exception itself, which would hold this frame, which holds it.
                skipped = skipped or (e.errno, e.strerror)
                continue
            sockets.append(sock)
            port = sock.getsockname()[1]
            sock.listen(backlog)
        if not sockets:
            raise socket.error(*skipped)
    except Exception:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _is_unusable_address(af, error):
    """Whether the kernel lacks the family, or IPv6 is there but without this address."""
    return (error.errno == errno.EAFNOSUPPORT
            or af == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL)


def _options_to_set(af, reuse_port):
    if os.name != "nt":
        # On Windows this would let two servers share one port.
        yield socket.SOL_SOCKET, socket.SO_REUSEADDR
    if reuse_port:
        yield socket.SOL_SOCKET, socket.SO_REUSEPORT
    if af == socket.AF_INET6:
        # IPv4 has a socket of its own, and two can not share the port otherwise.
        yield socket.IPPROTO_IPV6, socket.IPV6_V6ONLY


def _bind_one(af, kind, proto, place, reuse_port):
    sock = socket.socket(af, kind, proto)
    try:
        set_close_exec(sock.fileno())
        sock.setblocking(False)
        for level, option in _options_to_set(af, reuse_port):
            sock.setsockopt(level, option, 1)
        sock.bind(place)
    except Exception:
        sock.close()
        raise
    return sock


def bind_unix_socket(file, mode=0o600, backlog=DEFAULT_BACKLOG):
    """Return a listening Unix socket at the path `file`, with the file permissions `mode`.

    A socket that is at that path already is taken for one left over and removed; anything
    else there, even a symbolic link to a socket, raises ValueError and stays. Connecting is
    impossible before the permissions are set. The file stays when the socket is closed.

    A name that starts with NUL is abstract (Linux): there is no file, and no `mode`.
    The socket is non-blocking and close-on-exec. Raises ValueError where the system has no
    Unix sockets, and socket.error or OSError if the file can not be made.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ValueError("this system has no Unix sockets")
    abstract = file[:1] == (b"\0" if isinstance(file, bytes) else u"\0")
    if not abstract:
        _remove_stale_socket(file)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        set_close_exec(sock.fileno())
        sock.setblocking(False)
        sock.bind(file)
        if not abstract:
            os.chmod(file, mode)
        sock.listen(backlog)
    except Exception:
        sock.close()
        raise
    return sock


def _remove_stale_socket(file):
    try:
        found = os.lstat(file)
    except OSError as e:
        if e.errno != errno.ENOENT:
            raise
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ValueError("%r exists and is not a socket: remove it or choose another path"
                         % (file,))
    os.remove(file)


def add_accept_handler(sock, callback, io_loop=None, max_accepts=MAX_ACCEPTS_PER_TURN):
    """Call ``callback(connection, address)`` for each connection that `sock` accepts.

    `sock` is a listening, non-blocking socket; `connection` is a new socket, non-blocking and
    close-on-exec, that belongs to the callback. At most `max_accepts` are accepted in one
    turn of `io_loop` (the current loop if None). What the callback raises goes to the loop.

    Connections that are gone before they were accepted are passed over. When the system has
    no fd or memory left, that is logged and accepting pauses for a time (`ACCEPT_PAUSES`);
    meanwhile connections wait in the kernel.

    Returns a function without arguments that ends this: the callback is not called after it,
    not even for connections of the same turn. It may be called again, and it does not close
    `sock`; call it before you do.
    """
    acceptor = _Acceptor(sock, callback, io_loop or IOLoop.current(), max_accepts)
    acceptor.io_loop.add_handler(acceptor.fd, acceptor.handle_events, IOLoop.READ)
    return acceptor.remove


class _Acceptor(object):
    """Accepts from one listening socket, and pauses while that is of no use."""

    __slots__ = ("sock", "fd", "callback", "io_loop", "max_accepts", "_removed", "_timer",
                 "_pause", "_silent_until")

    def __init__(self, sock, callback, io_loop, max_accepts):
        self.sock = sock
        self.fd = sock.fileno()
        self.callback = callback
        self.io_loop = io_loop
        self.max_accepts = max_accepts
        self._removed = False
        self._timer = None
        self._pause = ACCEPT_PAUSES[0]
        self._silent_until = 0

    def handle_events(self, fd, events):
        for _ in range(self.max_accepts):
            if self._removed:
                return
            try:
                connection, address = self.sock.accept()
                if six.PY2:  # version: py2
                    set_close_exec(connection.fileno())
                connection.setblocking(False)
            except socket.error as e:
                if e.errno in _NOTHING_TO_ACCEPT:
                    self._pause = ACCEPT_PAUSES[0]
                    return
                if e.errno in _SHORTAGES:
                    return self._pause_accepting(e)
                if e.errno != errno.EINTR and e.errno not in _LOST_CONNECTION:
                    raise
            else:
                self.callback(connection, address)

    def _pause_accepting(self, error):
        # Not removed altogether: closing the loop with all its fds must still find this one.
        self.io_loop.update_handler(self.fd, IOLoop.NONE)
        self._timer = self.io_loop.call_later(self._pause, self._resume)
        self._pause = min(2 * self._pause, ACCEPT_PAUSES[1])
        now = self.io_loop.time()
        if now >= self._silent_until:
            self._silent_until = now + _SHORTAGE_LOG_INTERVAL
            app_log.error("Accepting connections is paused while the system is short of"
                          " resources: %s", error)

    def _resume(self):
        self._timer = None
        self.io_loop.update_handler(self.fd, IOLoop.READ)

    def remove(self):
        if self._removed:
            return
        self._removed = True
        self.io_loop.remove_handler(self.fd)
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None
