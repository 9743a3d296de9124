"""A resolver over c-ares, which queries name servers itself, without threads. It needs the package
pycares (``pip install friendserve[cares]``).

    from friendserve.netutil import Resolver

    Resolver.configure("friendserve.platform.caresresolver.CaresResolver", timeout=2)

It reads the system's files of hosts and name servers, but not the other sources that a system can
be configured with (NIS, mDNS, LDAP): if names come from these, use the `ThreadedResolver`. It is
meant for programs that look up many names at a time.
"""
from __future__ import absolute_import, division, print_function

import functools
import socket

try:
    import pycares
    from pycares.errno import strerror
except ImportError as error:
    raise ImportError("CaresResolver needs the package pycares: pip install friendserve[cares] (%s)"
                      % error)

from friendserve.ioloop import IOLoop
from friendserve.netutil.resolver import LookUpResolver
from friendserve.stack_context import NullContext

#: Seconds until the next check for overdue answers, if c-ares does not specify a time.
INTERVAL = 1.0

NO_SOCKET = pycares.ARES_SOCKET_BAD

_NOT_FOUND = (pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA)
_TRY_AGAIN = (pycares.errno.ARES_ETIMEOUT, pycares.errno.ARES_ECONNREFUSED,
              pycares.errno.ARES_ESERVFAIL)

_FAMILIES = {socket.AF_UNSPEC: (socket.AF_INET, socket.AF_INET6)}


class CaresResolver(LookUpResolver):
    """A `Resolver` over c-ares. `options` are those of ``pycares.Channel``, such as `servers`
    (addresses), `timeout` (seconds for the first try) and `tries`. `close` ends all look-ups with
    an error."""

    def initialize(self, io_loop=None, **options):
        super(CaresResolver, self).initialize(io_loop)
        self.fds = {}               # the sockets of c-ares: fd -> events
        self._pending = 0
        self._timer = None
        self.channel = pycares.Channel(sock_state_cb=self._on_state, **options)

    def close(self):
        channel, self.channel = self.channel, None
        if channel is None:
            return
        channel.cancel()
        # The sockets of c-ares are closed with the channel.
        for fd in list(self.fds):
            self._on_state(fd, False, False)
        for name in ("close", "destroy"):
            if hasattr(channel, name):
                getattr(channel, name)()
                break
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None

    def _look_up(self, host, port, family, deliver):
        if self.channel is None:
            deliver(None, socket.gaierror(socket.EAI_FAIL, "this resolver is closed"))
            return
        self._pending += 1
        on_result = functools.partial(self._on_result, host, deliver)
        if hasattr(self.channel, "getaddrinfo"):
            self.channel.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM,
                                     callback=on_result)
        else:  # version: py2
            _ByName(self.channel, host, port, family, on_result)
        self._arm()

    def _on_result(self, host, deliver, result, error):
        self._pending -= 1
        if error is not None:
            deliver(None, make_error(host, error))
            return
        addresses = []
        for node in result.nodes:
            address = (_native(node.addr[0]),) + tuple(node.addr[1:])
            if (node.family, address) not in addresses:
                addresses.append((socket.AF_INET if node.family == socket.AF_INET
                                  else socket.AF_INET6, address))
        deliver(addresses, None)

    # The sockets and timers of c-ares

    def _on_state(self, fd, readable, writable):
        events = (IOLoop.READ if readable else 0) | (IOLoop.WRITE if writable else 0)
        # The number may belong to a different socket now.
        if self.fds.pop(fd, None) is not None:
            self.io_loop.remove_handler(fd)
        if events:
            self.fds[fd] = events
            with NullContext():
                self.io_loop.add_handler(fd, self._on_events, events)

    def _on_events(self, fd, events):
        # c-ares notices a failure when it reads.
        self.channel.process_fd(
            fd if events & (IOLoop.READ | IOLoop.ERROR) else NO_SOCKET,
            fd if events & IOLoop.WRITE else NO_SOCKET)
        self._arm()

    def _arm(self):
        """Set a timer for the moment when c-ares has to repeat a query or give up."""
        if self._pending and self._timer is None and self.channel is not None:
            with NullContext():
                self._timer = self.io_loop.call_later(self.channel.timeout() or INTERVAL,
                                                      self._on_timer)

    def _on_timer(self):
        self._timer = None
        if self._pending:
            self.channel.process_fd(NO_SOCKET, NO_SOCKET)
            self._arm()


class _Node(object):
    def __init__(self, family, addr):
        self.family = family
        self.addr = addr


class _ByName(object):  # version: py2
    """`getaddrinfo` for the last pycares that supports Python 2, which can only look up the
    addresses of one family at a time. The result has `nodes`."""

    def __init__(self, channel, host, port, family, callback):
        self._port = port
        self._callback = callback
        self._families = _FAMILIES.get(family, (family,))
        self._found = {}
        self._error = None
        for one in self._families:
            channel.gethostbyname(host, one, functools.partial(self._on_host, one))

    def _on_host(self, family, result, error):
        self._found[family] = [] if error is not None else result.addresses
        self._error = self._error or error
        if len(self._found) < len(self._families):
            return
        self.nodes = []
        for one in self._families:
            rest = (self._port,) if one == socket.AF_INET else (self._port, 0, 0)
            self.nodes += [_Node(one, (address,) + rest) for address in self._found[one]]
        self._callback(self if self.nodes else None, None if self.nodes else self._error)


def _native(address):
    return address if isinstance(address, str) else address.decode("ascii")


def make_error(host, number):
    """The socket.gaierror for an error number of c-ares."""
    code = socket.EAI_NONAME if number in _NOT_FOUND else \
        socket.EAI_AGAIN if number in _TRY_AGAIN else socket.EAI_FAIL
    return socket.gaierror(code, "%s: %s" % (host, _native(strerror(number))))
