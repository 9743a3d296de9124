"""The contract of streams under random conversations and random faults (row B267).

    python tests/iostream/fuzz.py                     # 20,000 scenarios, a few minutes
    python tests/iostream/fuzz.py --count 1 --seed 4711     # one of them again

A scenario is made from its seed alone. Two streams, plain or with TLS, on one loop over one of the
pollers, send each other random bytes in random pieces and read them by random kinds of read, while
recv and send transfer less than asked, or fail with EAGAIN, EINTR or ENOBUFS. In the end each side
shuts down, closes, closes too early, or resets the connection. Checked are:

- what is delivered is the beginning of what was sent; all of it, without an error, if both sides
  end well; and `read_until_close` over TLS delivers all or leaves an error;
- callbacks of writes are called at most once, in order; all of them, if both sides end well;
- both streams close, and each calls its close callback once; their fds are free again;
- the loop waits when there is nothing to do, and nothing is logged as a warning or an error.
"""
from __future__ import absolute_import, division, print_function

import argparse
import errno
import os
import random
import socket
import struct
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream, SSLIOStream, StreamClosedError
from friendserve.netutil import ssl_wrap_socket
from friendserve.platform.pollers.auto import available_pollers
from tests import PATIENCE
from tests.loopcase import CountingPoller, LogCatcher
from tests.streamcase import CLIENT, SERVER, make_any_poller

KINDS = "tcp", "unix", "tls"
POLLERS = sorted(set(available_pollers() + ["kqueue"]))
FAULTS = errno.EAGAIN, errno.EINTR, errno.ENOBUFS
RESET = struct.pack("ii", 1, 0)

#: Turns of the loop after which a scenario is taken for endless. The longest need some thousands.
MAX_TURNS = 200000


class Finding(AssertionError):
    """The contract was broken."""


class PlainSocket(socket.socket):
    """A socket whose methods can be replaced."""


def plain_socket(sock):
    if str is bytes:  # version: py2
        return sock if isinstance(sock, socket.socket) else socket.socket(_sock=sock)
    return PlainSocket(sock.family, sock.type, sock.proto, fileno=sock.detach())


def pair_of_sockets(kind):
    if kind == "unix":
        return [plain_socket(sock) for sock in socket.socketpair()]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    listener.close()
    return [plain_socket(client), plain_socket(server)]


def make_faulty(sock, chance, rate):
    """Have recv and send of a socket transfer less, or fail, with a probability of `rate`."""
    recv, send = sock.recv, sock.send
    pending = getattr(sock, "pending", lambda: 0)
    promised = []       # how many bytes a TLS library wants to be offered again

    def fail():
        code = chance.choice(FAULTS)
        raise socket.error(code, os.strerror(code))

    def faulty_recv(size, *flags):
        # No poller knows of bytes that are pending in a TLS library.
        if chance.random() < rate and not pending():
            fail()
        if chance.random() < rate:
            size = min(size, chance.choice((1, 5, 100, 4000)))
        return recv(size, *flags)

    def faulty_send(data, *flags):
        if chance.random() < rate:
            fail()
        if promised:
            data = data[:promised.pop()]
        elif chance.random() < rate:
            data = data[:chance.choice((1, 5, 100, 4000))]
        sent = 0    # Python 2 returns it, instead of an error, for TLS
        try:
            sent = send(data, *flags)
            return sent
        finally:
            if not sent:
                promised.append(len(data))

    sock.recv, sock.send = faulty_recv, faulty_send


class Side(object):
    """One of the two streams: what it sends, how it reads, how it ends."""
    def __init__(self, stream, chance, kind):
        self.stream = stream
        self.chance = chance
        self.kind = kind
        size = chance.choice((0, 1, 10, 1000, 20000, 120000))
        # Few different bytes, so that delimiters are frequent.
        self.payload = bytes(bytearray(chance.choice(b"ab\n") for _ in range(min(size, 300))))
        self.payload = (self.payload * (size // 300 + 1))[:size]
        self.end = chance.choice(("shutdown",) * 6 + ("close", "drop", "reset", "break"))
        self.written = 0
        self.has_ended = False
        self.writes = []            # numbers of the callbacks that were called
        self.count = 0              # of writes begun
        self.received = b""
        self.wants_all = chance.random() < 0.3      # by one read_until_close
        self.got_all = None         # what that has delivered
        self.reading = False
        self.closings = 0
        self.peer = None
        stream.set_close_callback(self.on_close)

    @property
    def is_done(self):
        return self.closings > 0

    def on_close(self):
        self.closings += 1

    # Sending

    def send(self):
        """Send the next piece, or end. Returns False if there is nothing to do."""
        if self.stream.closed() or self.has_ended:
            return False
        left = len(self.payload) - self.written
        if self.end in ("drop", "reset", "break") and self.chance.random() < 0.2:
            self.finish()
        elif left:
            size = min(left, self.chance.choice((1, 10, 1000, 30000)))
            data = self.payload[self.written:self.written + size]
            self.written += size
            number, self.count = self.count, self.count + 1
            callback = (lambda: self.writes.append(number))
            if self.chance.random() < 0.1:
                source = tempfile.TemporaryFile()
                source.write(b"--" + data)
                source.flush()
                self.stream.write_file(source, 2, size, callback)
            else:
                self.stream.write(data, callback)
        else:
            self.finish()
        return True

    def finish(self):
        if self.end == "close" and (self.wants_all or self.peer.end == "close"):
            # It would never know that it has received everything, or both would wait.
            self.end = "shutdown"
        if self.end == "close" and not self.peer.is_done and not (
                self.peer.has_ended and len(self.received) == len(self.peer.payload)):
            return
        if self.end == "shutdown" and self.peer.written < len(self.peer.payload) \
                and not self.peer.is_done:
            # At our end, the peer's stream closes once what it has queued is sent.
            return
        self.has_ended = True
        if self.end == "shutdown":
            self.stream.shutdown_write()
        elif self.end == "close":
            self.stream.write(b"", self.stream.close)
        elif self.end == "break":
            self.stream.close(exc_info=(IOError, IOError("on purpose"), None))
        else:
            if self.end == "reset" and self.kind != "unix":
                self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.stream.close()

    # Receiving

    def on_data(self, data):
        self.received += data
        self.reading = False

    def on_piece(self, data):
        self.received += data

    def on_all(self, data):
        if self.stream.error is None:
            self.got_all = data
        self.received += data

    def read(self):
        """Start a read. Returns False if one is pending."""
        if self.reading:
            return False
        self.reading = True
        try:
            self.start_read()
        except StreamClosedError:
            pass
        return True

    def start_read(self):
        stream, chance = self.stream, self.chance
        rest = self.peer.payload[len(self.received):]
        if self.wants_all:
            stream.read_until_close(self.on_all)
        elif not rest:
            stream.read_until_close(self.on_data, streaming_callback=self.on_piece)
        else:
            how = chance.randrange(6)
            size = chance.choice((1, 10, 1000, 50000))
            if how == 0 and b"\n" in rest:
                stream.read_until(b"\n", self.on_data)
            elif how == 1 and b"ab" in rest:
                stream.read_until_regex(b"a+b", self.on_data)
            elif how == 2:
                stream.read_bytes(size, self.on_data, partial=True)
            elif how == 3:
                stream.read_bytes(min(size, len(rest)), self.on_data, self.on_piece)
            elif how == 4:
                target = bytearray(min(size, len(rest)))
                stream.read_into(target, lambda count: self.on_data(bytes(target[:count])))
            else:
                stream.read_bytes(min(size, len(rest)), self.on_data)


class Scenario(object):
    """One conversation. `poller` is a CountingPoller, `loop` its loop."""
    def __init__(self, seed, loop, poller, kind):
        self.chance = random.Random(seed)
        self.loop = loop
        self.poller = poller
        self.kind = kind
        self.turns = 0
        self.sides = ()

    def run(self):
        self.connect()
        fds = [side.stream.fileno() for side in self.sides]
        try:
            self.converse()
        finally:
            for side in self.sides:
                side.stream.close()
            self.turn(0)
        self.check()
        for fd in fds:
            try:
                os.fstat(fd)
            except OSError:
                continue
            raise Finding("fd %d is still open" % fd)

    def connect(self):
        chance, loop = self.chance, self.loop
        options = {"read_chunk_size": chance.choice((None, 10, 4000))}
        sockets = pair_of_sockets(self.kind)
        for sock in sockets:
            if chance.random() < 0.3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
        if self.kind == "tls":
            client = ssl_wrap_socket(sockets[0], CLIENT, "localhost",
                                     do_handshake_on_connect=False)
            server = ssl_wrap_socket(sockets[1], SERVER, server_side=True,
                                     do_handshake_on_connect=False)
            streams = [SSLIOStream(sock, loop, **options) for sock in (client, server)]
            shaken = []
            for stream in streams:
                stream.wait_for_handshake(shaken.append)
            self.turn_until(lambda: len(shaken) == 2)
        else:
            streams = [IOStream(sock, loop, **options) for sock in sockets]
        rate = chance.choice((0, 0.1, 0.5))
        for stream in streams:
            make_faulty(stream.socket, chance, rate)
        a, b = self.sides = [Side(stream, chance, self.kind) for stream in streams]
        a.peer, b.peer = b, a

    def converse(self):
        def step():
            side = self.chance.choice(self.sides)
            # Sometimes several things happen in one turn, and sometimes nothing.
            while self.chance.random() < 0.7:
                if self.chance.random() < 0.5:
                    side.send()
                else:
                    side.read()
            return all(side.is_done for side in self.sides)
        self.turn_until(step)

    def turn(self, wait):
        self.loop.run_once(wait)
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise Finding("the loop spins: %r" % (self.poller.polls[-3:],))

    def turn_until(self, condition):
        idle = 0
        while not condition():
            del self.poller.polls[:-3]
            self.turn(0.0005 if idle > 20 else 0)
            idle = 0 if self.poller.polls[-1] else idle + 1
            if idle > PATIENCE * 2000:
                raise Finding("nothing happens any more")

    # What must hold

    def check(self):
        a, b = self.sides
        good = all(side.end in ("shutdown", "close") for side in self.sides)
        for side in self.sides:
            if side.closings != 1:
                raise Finding("%d calls of a close callback" % side.closings)
            if side.writes != sorted(set(side.writes)):
                raise Finding("callbacks of writes out of order: %r" % side.writes)
            sent = side.peer.payload
            if not sent.startswith(side.received):
                raise Finding("%d bytes were delivered that are not the first ones of %d"
                              % (len(side.received), len(sent)))
            written = side.peer.written
            if side.got_all is not None and self.kind == "tls" and not side.has_ended \
                    and len(side.got_all) != written:
                raise Finding("%d bytes were delivered as all %d" % (len(side.got_all), written))
            if not good:
                continue
            if side.received != sent or side.stream.error is not None:
                raise Finding("only %d of %d bytes were delivered, error %r" % (
                    len(side.received), len(sent), side.stream.error))
            if side.writes != list(range(side.count)):
                raise Finding("only %d of %d callbacks of writes" % (
                    len(side.writes), side.count))


def run(seeds, report=None):
    """Run the scenarios with these seeds. Returns the findings: a list of (seed, text)."""
    findings = []
    loops = {}
    try:
        with LogCatcher() as records:
            for count, seed in enumerate(seeds):
                chance = random.Random("plan %d" % seed)
                name, kind = chance.choice(POLLERS), chance.choice(KINDS)
                if name not in loops:
                    poller = CountingPoller(make_any_poller(name))
                    loops[name] = IOLoop(poller, make_current=False), poller
                try:
                    Scenario(seed, loops[name][0], loops[name][1], kind).run()
                except Finding as finding:
                    findings.append((seed, "%s, %s: %s" % (kind, name, finding)))
                findings.extend((seed, "%s, %s: %s" % (kind, name, record.message))
                                for record in records if record.levelname in ("WARNING", "ERROR"))
                del records[:]
                if report is not None:
                    report(count + 1, findings)
    finally:
        for loop, _ in loops.values():
            loop.close()
    return findings


def main():
    parser = argparse.ArgumentParser(description="Hold streams to their contract, at random.")
    parser.add_argument("--count", type=int, default=20000, help="scenarios (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1,
                        help="of the first one; the next have the next numbers (default: 1)")
    options = parser.parse_args()
    begin = time.time()

    shown = []

    def report(count, findings):
        for seed, text in findings[len(shown):]:
            print("seed %d: %s" % (seed, text))
            shown.append(seed)
        if count % 1000 == 0:
            print("%d scenarios, %d findings, %d s" % (count, len(findings), time.time() - begin))
        sys.stdout.flush()

    findings = run(range(options.seed, options.seed + options.count), report)
    print("%d scenarios, %d findings" % (options.count, len(findings)))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
