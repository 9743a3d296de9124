"""Shared by the tests of streams: pairs of every kind, scripted sockets, a read that pauses."""
from __future__ import absolute_import, division, print_function

import collections
import errno
import functools
import socket
import ssl
import struct
import unittest

from friendserve.iostream import IOStream, SSLIOStream
from friendserve.iostream.buffers import PAUSE, Read
from friendserve.netutil import ssl_options_to_context, ssl_wrap_socket
from friendserve.platform.pollers.auto import available_pollers, make_poller
from tests import CA, CERT, KEY
from tests.bridges import available_bridges, hosted_pollers
from tests.loopcase import CountingPoller, FakeKqueueSelect, Loops, import_fake_kqueue

SERVER = ssl_options_to_context({"certfile": CERT, "keyfile": KEY})
CLIENT = ssl_options_to_context({"ca_certs": CA}, server_side=False)
RESET = struct.pack("ii", 1, 0)     # SO_LINGER: closing sends a reset


class Streams(Loops):
    """Makes pairs of connected streams."""
    def tcp_sockets(self):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
        listener.close()
        return client, server

    kept = ()

    def keep(self, *streams):
        """Close these streams at the end. A test that needs one to become garbage removes it from
        `kept`."""
        if self.kept == ():
            self.kept = []
            self.addCleanup(self.close_kept)
        self.kept.extend(streams)
        return streams

    def close_kept(self):
        while self.kept:
            self.kept.pop().close()

    def tcp_pair(self, **kwargs):
        return self.keep(*[IOStream(s, self.loop, **kwargs) for s in self.tcp_sockets()])

    def unix_pair(self, **kwargs):
        return self.keep(*[IOStream(s, self.loop, **kwargs) for s in socket.socketpair()])

    def tls_pair(self, **kwargs):
        client, server = self.tcp_sockets()
        client = ssl_wrap_socket(client, CLIENT, "localhost", do_handshake_on_connect=False)
        server = ssl_wrap_socket(server, SERVER, server_side=True, do_handshake_on_connect=False)
        streams = self.keep(*[SSLIOStream(s, self.loop, **kwargs) for s in (client, server)])
        done = []
        for stream in streams:
            stream.wait_for_handshake(done.append)
        self.run_until(lambda: len(done) == 2)
        return streams

    def expect(self, *notes):
        """Run the loop until the log has that many notes; they must be these, and are removed."""
        self.run_until(lambda: len(self.log) >= len(notes))
        self.assertEqual(list(notes), self.log)
        del self.log[:]


class Collector(Read):
    """A read that consumes all data, but pauses while `paused` is true."""
    def __init__(self, log):
        super(Collector, self).__init__(None)
        self.log = log
        self.paused = self.wants_to_write = self.is_abandoned = False

    def find(self, buffer):
        return PAUSE if self.paused else len(buffer) or None

    def deliver(self, schedule, data):
        schedule(self.log.append, data)
        return self

    def ended(self):
        return self.wants_to_write

    def abandoned(self):
        return self.is_abandoned

    def deliver_rest(self, schedule, buffer):
        schedule(self.log.append, "end")
        return True


def make_any_poller(name):
    if name in available_pollers():
        return make_poller(name)
    module = import_fake_kqueue()
    module.select = FakeKqueueSelect
    return module.KqueuePoller()


class StreamCase(Streams):
    """A pair of streams of one kind, on one poller, and a log."""
    kind = impl = None

    def setUp(self):
        self.poller = CountingPoller(make_any_poller(self.impl))
        self.loop = self.make_loop(self.poller)
        self.a, self.b = self.make_pair()
        self.log = []

    def make_pair(self, **kwargs):
        return getattr(self, self.kind + "_pair")(**kwargs)

    def note(self, what):
        return functools.partial(self.log.append, what)

    def narrow(self):
        """Shrink the kernel's buffers from `b` to `a`."""
        self.b.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        self.a.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)

    def unread(self, data=b"unread"):
        """Let bytes arrive at `b` that no read consumes."""
        self.b.set_close_callback(self.note("closed"))
        self.a.write(data)
        self.run_until(self.b.has_unread)

    def reset(self, stream):
        """Close so that the peer gets an error, not the end of the stream."""
        if self.kind == "unix":
            # For a Unix socket, unread bytes have that effect.
            other = self.b if stream is self.a else self.a
            other.write(b"never read")
        else:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stream._close_for(IOError("no goodbye"))


def make_tests(contract, name, namespace):
    """A TestCase of the contract for every kind of stream on every poller and bridge."""
    loops = [(impl, impl, None) for impl in sorted(set(available_pollers() + ["kqueue"]))]
    # One bridge is enough here: all have the same turns.
    loops += [("asyncio", hosted_pollers()[0], loop_class)
              for bridge, loop_class in available_bridges().items() if bridge == "asyncio"]
    for kind in ("tcp", "unix", "tls"):
        for loop, impl, loop_class in loops:
            full_name = str("%s%s%sTest" % (kind.title(), loop.title(), name))
            namespace[full_name] = type(full_name, (contract, unittest.TestCase), {
                "kind": kind, "impl": impl, "loop_class": loop_class})


class SocketCase(Streams, unittest.TestCase):
    impl = "auto"

    def setUp(self):
        self.poller = CountingPoller(make_poller(self.impl) if self.impl == "auto"
                                     else make_any_poller(self.impl))
        self.loop = self.make_loop(self.poller)
        self.log = []

    def note(self, *what):
        self.log.append(what[0] if len(what) == 1 else what)

    def noting(self, what):
        return lambda *args: self.log.append(what)

    def listener(self):
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(5)
        return sock

    def client(self, stream_class=IOStream, **kwargs):
        stream, = self.keep(stream_class(socket.socket(), self.loop, **kwargs))
        stream.set_close_callback(self.noting("closed"))
        return stream


class ScriptedSocket(object):
    """A socket whose recv and send follow a script: an exception is raised, a number is how much is
    sent, None sends all. Without a script nothing is ready. Polling uses `real`."""
    family = socket.AF_INET

    def __init__(self, real):
        self.real = real
        self.to_recv, self.to_send = collections.deque(), collections.deque()
        self.to_shake, self.to_unwrap = collections.deque(), collections.deque()
        self.asked, self.sent, self.offered = [], b"", []
        self.option_error = self.connect_error = None
        self.buffered = self.unwrapped = 0

    def fileno(self):
        return self.real.fileno()

    def setblocking(self, flag):
        self.real.setblocking(flag)

    def close(self):
        self.real.close()

    def getpeername(self):
        return ("192.0.2.1", 5)

    def getsockopt(self, *args):
        return 0

    def setsockopt(self, *args):
        if self.option_error is not None:
            raise self.option_error

    def connect(self, address):
        raise self.connect_error

    def pending(self):
        return self.buffered

    def do_handshake(self):
        self.play(self.to_shake)

    def recv(self, size):
        self.asked.append(size)
        return self.play(self.to_recv)

    def send(self, data):
        self.offered.append(memoryview(data).tobytes())
        answer = self.play(self.to_send)
        answer = len(data) if answer is None else answer
        self.sent += self.offered[-1][:answer]
        return answer

    def unwrap(self):
        self.unwrapped += 1
        if not self.to_unwrap:
            raise ssl.SSLError(ssl.SSL_ERROR_WANT_READ, "no answer")
        self.play(self.to_unwrap)

    def play(self, script):
        answer = script.popleft() if script else socket.error(errno.EAGAIN, "not now")
        if isinstance(answer, Exception):
            raise answer
        return answer
