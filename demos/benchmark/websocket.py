"""CPU time of a WebSocket echo: messages of three sizes, over 64 connections.

The load sends a message on each connection, takes all echoes, and begins again; so the server
always has several connections ready, like a busy one, and rarely waits. Frames are masked before
the measurement begins, and each echo is compared with the message sent.
"""
from __future__ import absolute_import, division, print_function

import argparse
import os
import sys
from timeit import default_timer as clock

import machine
import peers
import report
import wsload

SIZES = (64, 4096, 65536)


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--connections", type=int, default=64,
                        help="connections that wait for an echo")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration for each figure")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    parser.add_argument("--kind", choices=("text", "binary"), default="text")
    report.add_options(parser)
    return parser.parse_args(arguments)


class Load(object):
    """Connections to one server, each with one message of `size` in flight."""

    def __init__(self, port, count, kind, size):
        first = 0x81 if kind == "text" else 0x82
        # Mostly ASCII, like most texts.
        payload = (u"friendserve \u2192 ".encode("utf-8") * (size // 8))[:size - 3] + b"..." \
            if kind == "text" else os.urandom(size)
        if kind == "text":
            payload = payload.decode("utf-8", "ignore").encode("utf-8").ljust(size, b".")
        self.echo = wsload.frame(first, payload)
        self.sent = wsload.frame(first, payload, os.urandom(4))
        self.sockets = []
        for _ in range(count):
            self.sockets.append(wsload.connect(port))

    def close(self):
        for sock in self.sockets:
            sock.close()

    def run(self, seconds):
        """Echo for this long. Return the number of messages that came back; all are checked."""
        end = clock() + seconds
        done = 0
        while clock() < end:
            for sock in self.sockets:
                sock.sendall(self.sent)
            for sock in self.sockets:
                self._receive(sock)
            done += len(self.sockets)
        return done

    def _receive(self, sock):
        echo = self.echo
        data = sock.recv(262144)
        while data != echo:
            more = sock.recv(262144) if len(data) < len(echo) else b""
            if not more:
                raise machine.BenchmarkError("a wrong echo, or none")
            data += more


def measure(server, size, options):
    """Microseconds of the server's CPU time a message."""
    load = Load(server.port, options.connections, options.kind, size)
    try:
        load.run(0.2)
        spent = server.cpu_seconds()
        done = load.run(options.seconds)
        return (server.cpu_seconds() - spent) * 1e6 / done
    finally:
        load.close()


def measure_all(servers, options):
    """[(label, version, [median for each size])] and the servers that failed."""
    figures = dict((server.label, [[] for _ in SIZES]) for server in servers)
    failed = []
    for _ in range(options.rounds):
        for server in list(servers):
            try:
                for column, size in enumerate(SIZES):
                    figures[server.label][column].append(measure(server, size, options))
            except (machine.BenchmarkError, EnvironmentError) as error:
                failed.append((server.label, str(error)))
                servers.remove(server)
            else:
                report.progress("%s: %s us a message" % (server.label, ", ".join(
                    report.figure(column[-1]) for column in figures[server.label])))
    return [(server.label, server.version, [report.median(column)
                                            for column in figures[server.label]])
            for server in servers], failed


def print_table(results):
    base = dict((label, values) for label, _, values in results).get(report.BASE)
    rows = []
    for label, version, values in results:
        row = [label, version]
        for column, value in enumerate(values):
            row += [report.figure(value), report.ratio(value, base and base[column])]
        rows.append(row)
    print(report.table(["echo, us a message", "version", "64 B", "ratio", "4 kB", "ratio",
                        "64 kB", "ratio"], rows))


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    with peers.running(peers.choose("websocket", options.only), "websocket",
                       server_core) as (servers, absent):
        results, failed = measure_all(servers[:], options)
    results.sort(key=lambda result: result[2][0])
    print("%s; %d connections, %s messages" % (
        machine.description(), options.connections, options.kind))
    print_table(results)
    report.print_absent(absent + failed)
    report.save(options, u"The echo of a WebSocket message",
                u"Microseconds of the server's CPU time; less is better",
                [u"64 B", u"4 kB", u"64 kB"], [(label, values) for label, _, values in results],
                dict((label, version) for label, version, _ in results))


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("websocket.py: %s" % error)
