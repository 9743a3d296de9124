"""Listening sockets, accepting from them, host names, IP literals and TLS contexts.

    from friendserve.ioloop import IOLoop
    from friendserve.netutil import add_accept_handler, bind_sockets

    for sock in bind_sockets(8888):
        add_accept_handler(sock, lambda connection, address: connection.close())
    IOLoop.current().start()
"""
from __future__ import absolute_import, division, print_function

import errno
import os
import re
import socket
import ssl
import stat

import six

from friendserve.ioloop import IOLoop
from friendserve.log import app_log
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.resolver import (
    BlockingResolver, CachedResolver, DefaultExecutorResolver, ExecutorResolver, OverrideResolver,
    Resolver, ThreadedResolver)

__all__ = ["BlockingResolver", "CachedResolver", "DefaultExecutorResolver", "ExecutorResolver",
           "OverrideResolver", "Resolver", "ThreadedResolver", "add_accept_handler",
           "bind_sockets", "bind_unix_socket", "is_valid_ip", "ssl_options_to_context",
           "ssl_wrap_socket"]

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


_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

_IPV4 = re.compile(r"(?:%s\.){3}%s\Z" % (_BYTE, _BYTE))

_IPV6_CHARACTERS = re.compile(r"[0-9A-Fa-f:.]{2,45}\Z")


def is_valid_ip(ip):
    """Return whether the str `ip` is an IP address and nothing else. Never asks the network.

    IPv4 is four decimal numbers without leading zeros (RFC 6943, section 3.1.1, on why the
    other notations are trouble), IPv6 is as in RFC 4291, section 2.2, without brackets and
    without a zone. What is not a str (or, on Python 2, unicode) is no address.
    """
    if not isinstance(ip, six.string_types):
        return False
    if _IPV4.match(ip):
        return True
    if ":" not in ip or not _IPV6_CHARACTERS.match(ip):
        return False
    try:
        # Not inet_pton, which Python 2 lacks on Windows. With a colon in it and this flag,
        # there is nothing that could be looked up.
        socket.getaddrinfo(ip, 0, socket.AF_INET6, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return False
    return True


_SSL_OPTIONS = frozenset(
    ["ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers"])


def ssl_options_to_context(ssl_options, server_side=True):
    """Return an ssl.SSLContext for `ssl_options`: a dict, or a context, returned as it is.

    The keys of the dict are those of the old ssl.wrap_socket, each optional: `certfile` and
    `keyfile`, `ca_certs` (file names), `cert_reqs`, `ssl_version` and `ciphers`.

    Without `ssl_version` (and with PROTOCOL_SSLv23, which means the same) the protocol is TLS
    1.2 or later; SSL 2 and 3 and compression are never used. A server needs `certfile`, and
    asks its clients for a certificate only if `cert_reqs` says so. A client (`server_side`
    False) checks the server's certificate and name, against `ca_certs` or else what the
    system trusts, unless `cert_reqs` is ssl.CERT_NONE. (The name may be an IP address, but
    the ssl module of Python 2.7 refuses those.)

    Raises ValueError if an option is unknown, a file is missing or does not hold what it
    should, or the options do not fit together. Loading files costs milliseconds: make one
    context and use it for many connections.
    """
    if isinstance(ssl_options, ssl.SSLContext):
        return ssl_options
    options = checked_ssl_options(ssl_options, server_side)
    context = _new_ssl_context(options.get("ssl_version"), server_side)
    requirement = options.get("cert_reqs")
    if requirement is None:
        requirement = ssl.CERT_NONE if server_side else ssl.CERT_REQUIRED
    context.check_hostname = False  # else the next line refuses CERT_NONE
    context.verify_mode = requirement
    context.check_hostname = not server_side and requirement != ssl.CERT_NONE
    try:
        if options.get("certfile"):
            context.load_cert_chain(options["certfile"], options.get("keyfile"))
        if options.get("ca_certs"):
            context.load_verify_locations(options["ca_certs"])
        elif context.check_hostname:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if options.get("ciphers"):
            context.set_ciphers(options["ciphers"])
    except EnvironmentError as e:  # ssl.SSLError is one
        shown = dict((key, options[key]) for key in options if key != "ssl_version")
        raise ValueError("these ssl_options can not be used: %r (%s)" % (shown, e))
    return context


def checked_ssl_options(ssl_options, server_side):
    if not isinstance(ssl_options, dict):
        raise ValueError("ssl_options must be a dict or an ssl.SSLContext, not %r"
                         % (ssl_options,))
    unknown = sorted(set(ssl_options) - _SSL_OPTIONS)
    if unknown:
        raise ValueError("unknown ssl_options: %s; there are %s"
                         % (", ".join(map(str, unknown)), ", ".join(sorted(_SSL_OPTIONS))))
    for key in ("certfile", "keyfile", "ca_certs"):
        path = ssl_options.get(key)
        if path and not os.path.exists(path):
            raise ValueError("%s %r of the ssl_options does not exist" % (key, path))
    if not ssl_options.get("certfile"):
        if server_side:
            raise ValueError("the ssl_options of a server need a certfile")
        if ssl_options.get("keyfile"):
            raise ValueError("the keyfile of the ssl_options is of no use without a certfile")
    if server_side and ssl_options.get("cert_reqs") and not ssl_options.get("ca_certs"):
        raise ValueError("to check the certificates of clients (cert_reqs), the ssl_options"
                         " need ca_certs")
    return ssl_options


def _new_ssl_context(version, server_side):
    # PROTOCOL_SSLv23, also called PROTOCOL_TLS, is the old way to ask for the best there is.
    best = version is None or version == ssl.PROTOCOL_SSLv23
    if best:
        name = "PROTOCOL_TLS_SERVER" if server_side else "PROTOCOL_TLS_CLIENT"
        version = getattr(ssl, name, ssl.PROTOCOL_SSLv23)
    context = ssl.SSLContext(version)
    if best and hasattr(context, "minimum_version"):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    elif best:  # version: py2, 3.6
        context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    context.options |= ssl.OP_NO_SSLv2 | ssl.OP_NO_SSLv3 | ssl.OP_NO_COMPRESSION
    if server_side:
        context.options |= (ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_DH_USE
                            | ssl.OP_SINGLE_ECDH_USE | getattr(ssl, "OP_NO_RENEGOTIATION", 0))
    return context


def ssl_wrap_socket(socket, ssl_options, server_hostname=None, **kwargs):
    """Return an ssl.SSLSocket over `socket`, which is not to be used any more.

    `ssl_options` is as in `ssl_options_to_context`, for the side that `server_side` names
    (default False); a client that checks certificates needs `server_hostname`. Other
    arguments go to SSLContext.wrap_socket, such as ``do_handshake_on_connect=False``, without
    which a connected socket shakes hands here and now.
    """
    server_side = kwargs.get("server_side", False)
    context = ssl_options_to_context(ssl_options, server_side=server_side)
    if not server_side:
        kwargs["server_hostname"] = server_hostname
    return context.wrap_socket(socket, **kwargs)
