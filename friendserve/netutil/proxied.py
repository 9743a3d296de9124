"""Reading the PROXY header of a connection that a proxy has made."""
from __future__ import absolute_import, division, print_function

import errno
import socket

from friendserve.ioloop import IOLoop
from friendserve.log import gen_log
from friendserve.protocol.proxyheader import ProxyHeaderError, read_proxy_header
from friendserve.stack_context import NullContext
from friendserve.util import errno_from_exception

#: Seconds within which the header must arrive. A lost packet is sent again after up to 3.
HEADER_TIMEOUT = 10

_LATER = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)

#: More than any header. Of what is there, only the header is taken out of the socket: the rest may
#: belong to TLS.
_PEEK = 8192


class ProxyHeaderReader(object):
    """Reads the header of `sock` and calls `callback(sock, header)` with the ProxyHeader, or with
    None if there is none: the connection was lost, or the header is malformed or late, which is
    logged. Called once, perhaps at once, and not after `cancel`. The socket belongs to the caller.
    """
    __slots__ = ("sock", "peer", "io_loop", "callback", "_data", "_timer")

    def __init__(self, sock, peer, io_loop, callback):
        self.sock = sock
        self.peer = peer                # for the log
        self.io_loop = io_loop
        self.callback = callback        # None at the end
        self._data = b""                # what was taken out of the socket
        self._timer = None

    def start(self):
        """Begin to read."""
        if self._read() and self.callback is not None:
            with NullContext():
                self.io_loop.add_handler(self.sock, self._on_events, IOLoop.READ)
                self._timer = self.io_loop.call_later(HEADER_TIMEOUT, self.refuse, "it is late")

    def cancel(self):
        """Stop reading."""
        self.callback = None
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None
            self.io_loop.remove_handler(self.sock)

    def _on_events(self, sock, events):
        self._read()

    def _read(self):
        """Read what there is; whether more is needed."""
        try:
            data = self.sock.recv(_PEEK, socket.MSG_PEEK)
            if not data:
                return self._end(None)
            found = read_proxy_header(self._data + data)
            size = len(data) if found is None else found[1] - len(self._data)
            self._data += self.sock.recv(size)
        except ProxyHeaderError as error:
            return self.refuse(error)
        except EnvironmentError as error:
            if errno_from_exception(error) in _LATER:
                return True
            return self._end(None)
        return True if found is None else self._end(found[0])

    def refuse(self, error="the server stops"):
        """Give up; the callback is called."""
        gen_log.info("connection of %s refused for its PROXY header: %s", self.peer, error)
        return self._end(None)

    def _end(self, header):
        callback = self.callback
        self.cancel()
        if callback is not None:
            callback(self.sock, header)
        return False
