"""A server that makes a stream for each connection it accepts.

    from friendserve.ioloop import IOLoop
    from friendserve.tcpserver import TCPServer

    class EchoServer(TCPServer):
        def handle_stream(self, stream, address):
            stream.read_until_close(stream.close, streaming_callback=stream.write)

    server = EchoServer()
    server.listen(8888)
    IOLoop.current().start()
"""
from __future__ import absolute_import, division, print_function

import socket

from friendserve.ioloop import IOLoop
from friendserve.ioloop.positional import takes_loop_at
from friendserve.iostream import IOStream, SSLIOStream
from friendserve.log import app_log
from friendserve.netutil import (
    Certificates, Networks, add_accept_handler, bind_sockets, ssl_options_to_context,
    ssl_wrap_socket)
from friendserve.netutil.listening import DEFAULT_BACKLOG
from friendserve.netutil.networks import UNIX_PEER
from friendserve.netutil.proxied import ProxyHeaderReader
from friendserve.process import fork_processes
from friendserve.stack_context import NullContext


#: How many connections a process accepts per turn of the loop if others share its sockets.
FEW_ACCEPTS = 4


class TCPServer(object):
    """Listens on any number of sockets; subclasses handle the connections, in `handle_stream`.

    There are three ways to start, from the simplest to the most flexible: `listen`; `bind` and
    then `start`; `add_sockets` with sockets made by `bind_sockets` or `bind_unix_socket`.

    `ssl_options` makes it a TLS server: a dict or an ssl.SSLContext as in `ssl_options_to_context`,
    which is called immediately, so that a missing or broken file raises ValueError. The attribute
    `ssl_options` is the context. Certificates that are renewed, and several for different names,
    are given as a `friendserve.netutil.Certificates`, which is then the attribute `certificates`.

    `max_buffer_size`, `read_chunk_size` and `max_write_buffer_size`, in bytes, are passed to each
    stream, and `handshake_timeout`, in seconds (default 30), to each TLS stream. The server runs
    on `io_loop`, or by default on the loop that is current when it first listens. An IOLoop may
    also be the first positional argument.

    `proxy_protocol` is for a server behind a proxy that sends the PROXY protocol, version 1 or 2
    (HAProxy's send-proxy, for example): True, or better a list of the proxy's addresses and
    networks, as for `friendserve.netutil.Networks`. The connections of these addresses must begin
    with the header, within 10 seconds, and the `address` for `handle_stream` is that of the client;
    others are served as they are. With True, anyone who can connect may claim any address.
    """

    @takes_loop_at(1, "ssl_options")
    def __init__(self, ssl_options=None, max_buffer_size=None, read_chunk_size=None,
                 io_loop=None, max_write_buffer_size=None, handshake_timeout=None,
                 proxy_protocol=None):
        self.certificates = None
        if isinstance(ssl_options, Certificates):
            self.certificates = ssl_options
            self.certificates.use(self._set_context)
        else:
            self.ssl_options = None if ssl_options is None else ssl_options_to_context(ssl_options)
        self.max_buffer_size = max_buffer_size
        self.read_chunk_size = read_chunk_size
        self.max_write_buffer_size = max_write_buffer_size
        self.handshake_timeout = 30 if handshake_timeout is None else handshake_timeout
        self.io_loop = io_loop
        #: Whose connections begin with a PROXY header: True, a Networks, or None for no one's.
        self.proxy_protocol = proxy_protocol if proxy_protocol is True \
            else Networks(proxy_protocol) if proxy_protocol else None
        self._arriving = set()  # ProxyHeaderReaders
        self._accepting = {}    # arguments of add_accept_handler, from `share_sockets`
        self._listening = []  # (socket, function that stops accepting) of each
        self._waiting = []    # sockets that were bound and wait for start(); None after it

    def listen(self, port, address=""):
        """Start to accept connections on `port`. May be called for several ports.

        `address` and the errors raised are as in `bind_sockets`.
        """
        self.add_sockets(bind_sockets(port, address=address))

    def bind(self, port, address=None, family=socket.AF_UNSPEC, backlog=DEFAULT_BACKLOG,
             reuse_port=False):
        """Bind to `port`. Connections wait in the kernel until `start` is called; after that, this
        is the same as `listen`.

        The arguments are those of `bind_sockets`. May be called several times.
        """
        sockets = bind_sockets(port, address=address, family=family, backlog=backlog,
                               reuse_port=reuse_port)
        if self._waiting is None:
            self.add_sockets(sockets)
        else:
            self._waiting.extend(sockets)

    def start(self, num_processes=1):
        """Accept connections on the sockets that were bound. Call it once.

        With another `num_processes` than 1, this continues in that many copies of the process (None
        or 0: one for each CPU), which share the sockets, a few connections per turn each, and does
        not return in the calling one: see `fork_processes`. There must be no loop before.

        Raises RuntimeError the second time, and what `fork_processes` raises.
        """
        if self._waiting is None:
            raise RuntimeError("this server was already started")
        if num_processes != 1:
            fork_processes(num_processes)
            # Or one of them would have most of a rush.
            self._accepting.setdefault("max_accepts", FEW_ACCEPTS)
        sockets, self._waiting = self._waiting, None
        self.add_sockets(sockets)

    def add_sockets(self, sockets):
        """Accept connections on these sockets, which must be listening and non-blocking.
        `handle_stream` is called without the caller's stack context.

        The server owns them from now on: `stop` closes them.
        """
        if self.io_loop is None:
            self.io_loop = IOLoop.current()
        if self.certificates is not None:
            self.certificates.start(self)
        callback = self._on_connection if self.proxy_protocol is None else self._on_proxied
        for sock in sockets:
            # The contexts of the code that starts a server do not apply to its connections.
            with NullContext():
                remove = add_accept_handler(sock, callback, io_loop=self.io_loop,
                                            **self._accepting)
            self._listening.append((sock, remove))

    def share_sockets(self, may_accept=None, max_accepts=FEW_ACCEPTS):
        """Accept at most `max_accepts` connections per turn of the loop, so that other processes
        with the same listening sockets get their share. Call it before the server listens.

        ``may_accept()`` says whether this process has no more connections than its share. While it
        returns false, new ones are left to the others for a moment, as described in
        `friendserve.netutil.add_accept_handler`.
        """
        if self._listening:
            raise RuntimeError("share_sockets must be called before the server listens")
        self._accepting = {"may_accept": may_accept, "max_accepts": max_accepts}

    def add_socket(self, socket):
        """Like `add_sockets`, for one socket."""
        self.add_sockets([socket])

    def stop_accepting(self):
        """Accept no more connections, but leave the listening sockets open: connections wait in the
        kernel for another process that has these sockets.

        `handle_stream` is not called after it, except for a connection whose PROXY header is on
        the way. May be called repeatedly.
        """
        for _, remove in self._listening:
            remove()

    def stop_listening(self):
        """Accept what waits in the kernel, then close the listening sockets, for a server without a
        successor: to reset these connections would fail requests that clients have sent."""
        with NullContext():
            for sock, remove in self._listening:
                remove(accept_waiting=True)
                sock.close()

    def stop(self):
        """Accept no more connections and close the listening sockets. Open streams stay open.

        May be called at any time, and repeatedly; `handle_stream` is not called after it.
        """
        self.stop_accepting()
        listening, self._listening = self._listening, []
        for sock, _ in listening:
            sock.close()
        if self.certificates is not None:
            self.certificates.stop(self)
        for reader in list(self._arriving):
            reader.refuse()
        if self._waiting:
            for sock in self._waiting:
                sock.close()
            self._waiting = []

    def handle_stream(self, stream, address):
        """Called from the loop, once for each connection. Must be overridden.

        `stream` is an IOStream, or with TLS an SSLIOStream, whose handshake may not be over yet.
        `address` is the peer's, in the format of the socket module; "" for Unix sockets. If this
        raises, the exception is logged and the stream is closed.
        """
        raise NotImplementedError("%s must define handle_stream" % type(self).__name__)

    def _on_proxied(self, connection, address):
        """Called instead of `_on_connection` if there may be a PROXY header."""
        peer = address[0] if isinstance(address, tuple) else UNIX_PEER
        if self.proxy_protocol is not True and peer not in self.proxy_protocol:
            self._on_connection(connection, address)
            return
        reader = ProxyHeaderReader(
            connection, peer, self.io_loop,
            lambda sock, header: self._on_header(reader, sock, header, address))
        self._arriving.add(reader)
        try:
            reader.start()
        except Exception:
            # The poller cannot watch it.
            reader.refuse("it cannot be read")
            raise

    def _on_header(self, reader, connection, header, address=None):
        self._arriving.discard(reader)
        if header is None:
            connection.close()
        else:
            self._on_connection(connection, header.source or address)

    def _on_connection(self, connection, address):
        stream = self._make_stream(connection)
        if stream is None:
            return
        try:
            self.handle_stream(stream, address)
        except Exception:
            app_log.error("Exception in handle_stream for %r", address, exc_info=True)
            stream.close()

    def _set_context(self, context):
        self.ssl_options = context

    def _make_stream(self, connection):
        """The stream for a connection, or None if the peer has already disconnected."""
        options = {"io_loop": self.io_loop, "max_buffer_size": self.max_buffer_size,
                   "read_chunk_size": self.read_chunk_size,
                   "max_write_buffer_size": self.max_write_buffer_size}
        if self.ssl_options is not None:
            try:
                connection = ssl_wrap_socket(connection, self.ssl_options, server_side=True,
                                             do_handshake_on_connect=False)
                # If the peer had already disconnected, the ssl module of older Pythons has made a
                # socket that neither performs the handshake nor decrypts.
                connection.getpeername()
            except socket.error:
                # The context was checked when the server was made, so the peer is the cause.
                connection.close()
                return None
            try:
                return SSLIOStream(connection, handshake_timeout=self.handshake_timeout, **options)
            except ValueError:
                # Its number is too high for select.
                connection.close()
                raise
        return IOStream(connection, **options)
