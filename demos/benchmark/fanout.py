"""One message to thousands of readers of a feed: in one process, and through Redis across two.

The readers wait by long poll or by WebSocket. The figure is the CPU time of the processes that
serve, for each reader that got the message; that of Redis is shown separately.
"""
from __future__ import absolute_import, division, print_function

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report
import wsload

MESSAGE = b"message"
FRAME = wsload.frame(0x81, MESSAGE)
SPARE_FILES = 200
PATIENCE = 30
SERVER = peers.Peer("friendserve", "friendserve", ["friendserve", "friendserve.feed"])


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--readers", type=int, default=2000, help="readers in all, up to 8000")
    parser.add_argument("--deliveries", type=int, default=10, help="deliveries in each round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    report.add_options(parser)
    return parser.parse_args(arguments)


@contextlib.contextmanager
def redis():
    """A context manager that runs a Redis without persistence; its value is (URL, process)."""
    if not machine.has_program("redis-server"):
        raise machine.BenchmarkError("redis-server is not installed")
    folder = tempfile.mkdtemp()
    port = peers.free_port()
    process = None
    try:
        with open(os.devnull, "w") as nowhere:
            process = subprocess.Popen(
                ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                 "--dir", folder], stdout=nowhere, preexec_fn=os.setsid)
        deadline = clock() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except EnvironmentError:
                if clock() > deadline:
                    raise machine.BenchmarkError("redis-server does not answer")
                time.sleep(0.02)
        yield "redis://127.0.0.1:%d/0" % port, process
    finally:
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Polls(object):
    """Readers by long poll: each polls again after a message."""
    name = "long poll"

    def __init__(self, ports):
        self.clients = [loadgen.Client(port) for port in ports]

    def begin(self):
        for client in self.clients:
            client.send("/wait")

    def take(self):
        for client in self.clients:
            loadgen.check(client.receive(), MESSAGE)

    def close(self):
        for client in self.clients:
            client.close()


class Sockets(object):
    """Readers by WebSocket."""
    name = "WebSocket"

    def __init__(self, ports):
        self.sockets = [wsload.connect(port) for port in ports]

    def begin(self):
        pass

    def take(self):
        for sock in self.sockets:
            data = b""
            while len(data) < len(FRAME):
                piece = sock.recv(4096)
                if not piece:
                    raise machine.BenchmarkError("a connection was closed")
                data += piece
            if data != FRAME:
                raise machine.BenchmarkError("a wrong message: %r" % data)

    def close(self):
        for sock in self.sockets:
            sock.close()


def wait_for(controls, count):
    deadline = clock() + PATIENCE
    while sum(int(control.get("/count").body) for control in controls) != count:
        if clock() > deadline:
            raise machine.BenchmarkError("not all %d readers are waiting" % count)
        time.sleep(0.02)


def deliver(readers, controls, count):
    """Send one message to all. Return the seconds until the last reader has it."""
    readers.begin()
    wait_for(controls, count)
    started = clock()
    loadgen.check(controls[0].get("/send"), b"sent")
    readers.take()
    return clock() - started


def measure(kind, servers, options, store=None):
    """(microseconds of CPU time a message, those of the store, milliseconds until the last
    reader had it): medians."""
    ports = [servers[number % len(servers)].port for number in range(options.readers)]
    controls = [loadgen.Client(server.port) for server in servers]
    readers = kind(ports)
    figures = []

    def spent():
        return (sum(server.cpu_seconds() for server in servers),
                machine.cpu_seconds(store.pid) if store is not None else 0)

    try:
        deliver(readers, controls, options.readers)
        for _ in range(options.rounds):
            before = spent()
            waits = [deliver(readers, controls, options.readers)
                     for _ in range(options.deliveries)]
            count = options.deliveries * options.readers
            figures.append([(after - began) * 1e6 / count
                            for after, began in zip(spent(), before)] + [
                                report.median(waits) * 1000])
            report.progress("%s, %d process(es): %s us a message" % (
                kind.name, len(servers), report.figure(figures[-1][0])))
    finally:
        for server in servers:
            server.close()  # first: the side that closes first keeps ports in TIME_WAIT
        readers.close()
        for control in controls:
            control.close()
    return [report.median(values) for values in zip(*figures)]


def run(options):
    machine.allow_files(options.readers + SPARE_FILES)
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    rows = []
    for kind in (Polls, Sockets):
        servers = [peers.start(SERVER, "fanout", server_core)]
        rows.append((kind.name, "in one process", measure(kind, servers, options)))
        with redis() as (url, process):
            servers = [peers.start(SERVER, "fanout", server_core, [url]) for _ in range(2)]
            rows.append((kind.name, "two, through Redis",
                         measure(kind, servers, options, process)))
    print("%s; %s readers, %d messages to all of them a round" % (
        machine.description(), "{0:,d}".format(options.readers), options.deliveries))
    print(report.table(
        ["readers", "feed", "CPU us a message", "that of Redis", "ms until the last has it"],
        [[name, where] + [report.figure(value) for value in values]
         for name, where, values in rows]))
    report.save(options, u"A message to a reader of a feed",
                u"Microseconds of CPU time; less is better", [u"microseconds"],
                [("%s, %s" % (name, where), [values[0]]) for name, where, values in rows], {})


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("fanout.py: %s" % error)
