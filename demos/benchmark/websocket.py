"""CPU time of a WebSocket echo: messages of three sizes, over 64 connections.

The load sends a message on each connection, takes all echoes, and begins again; so the server
always has several connections ready, like a busy one, and rarely waits. Each message differs from
those before it. Frames are masked before the measurement begins, and each answer is checked.
"""
from __future__ import absolute_import, division, print_function

import argparse
import itertools
import os
import sys
from timeit import default_timer as clock

import machine
import peers
import report
import wsload

SIZES = (64, 4096, 65536)
MESSAGES = 256  # different ones of each size, sent in turn
SUFFIX = "!"  # what makes an answer differ from its message


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--connections", type=int, default=64,
                        help="connections that wait for an echo")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration for each figure")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    parser.add_argument("--kind", choices=("text", "binary"), default="text")
    parser.add_argument("--answers", choices=("same", "varied"), default="same",
                        help="the message itself, or another text")
    report.add_options(parser)
    return parser.parse_args(arguments)


class Load(object):
    """Connections to one server, each with one message of `size` in flight."""

    def __init__(self, port, options, size):
        first = 0x81 if options.kind == "text" else 0x82
        suffix = SUFFIX.encode("ascii") if options.answers == "varied" else b""
        pairs = []
        for number in range(MESSAGES):
            payload = self._payload(options.kind, number, size)
            pairs.append((wsload.frame(first, payload, os.urandom(4)),
                          wsload.frame(first, payload + suffix)))
        self._pairs = itertools.cycle(pairs)
        self.sockets = []
        for _ in range(options.connections):
            self.sockets.append(wsload.connect(port))

    @staticmethod
    def _payload(kind, number, size):
        start = ("%08d " % number).encode("ascii")
        if kind == "binary":
            return start + os.urandom(size - len(start))
        # Mostly ASCII, like most texts.
        text = (start + u"friendserve \u2192 ".encode("utf-8") * (size // 8))[:size - 3]
        return text.decode("utf-8", "ignore").encode("utf-8").ljust(size, b".")

    def close(self):
        for sock in self.sockets:
            sock.close()

    def run(self, seconds):
        """Echo for this long. Return the number of answers; all are checked."""
        end = clock() + seconds
        done = 0
        while clock() < end:
            pairs = [next(self._pairs) for _ in self.sockets]
            for sock, (sent, _) in zip(self.sockets, pairs):
                sock.sendall(sent)
            for sock, (_, answer) in zip(self.sockets, pairs):
                self._receive(sock, answer)
            done += len(self.sockets)
        return done

    def _receive(self, sock, answer):
        data = sock.recv(262144)
        while data != answer:
            more = sock.recv(262144) if len(data) < len(answer) else b""
            if not more:
                raise machine.BenchmarkError("a wrong answer, or none")
            data += more


def measure(server, size, options):
    """Microseconds of the server's CPU time a message."""
    load = Load(server.port, options, size)
    try:
        load.run(0.2)
        spent = server.cpu_seconds()
        done = load.run(options.seconds)
        return machine.at_least_a_tick(server.cpu_seconds() - spent) * 1e6 / done
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
    arguments = [SUFFIX] if options.answers == "varied" else []
    with peers.running(peers.choose("websocket", options.only), "websocket", server_core,
                       arguments) as (servers, absent):
        results, failed = measure_all(servers[:], options)
    results.sort(key=lambda result: result[2][0])
    print("%s; %d connections, %s messages, %s answers" % (
        machine.description(), options.connections, options.kind, options.answers))
    print_table(results)
    report.print_absent(absent + failed)
    report.save(options, u"The answer to a WebSocket message",
                u"Microseconds of the server's CPU time; less is better",
                [u"64 B", u"4 kB", u"64 kB"], [(label, values) for label, _, values in results],
                dict((label, version) for label, version, _ in results))


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("websocket.py: %s" % error)
