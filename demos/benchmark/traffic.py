"""CPU time of different kinds of requests: bodies, pipelining, TLS, Unix sockets, events; side by
side.

Every request of a mode differs from the others, and every answer is checked. The load sends one
step on each of 64 connections, takes all answers, and begins again.
"""
from __future__ import absolute_import, division, print_function

import argparse
import collections
import contextlib
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report

PEERS = ["friendserve", "aiohttp", "tornado"]
STEPS = 2000  # different ones, sent in turn
DEPTH = 64  # requests that a pipelining client sends at once
CHUNKS = 4  # of 1 kB each
CONTINUE = b"HTTP/1.1 100 "

#: What is sent at once, and the bodies of its answers.
Step = collections.namedtuple("Step", "payload bodies")


def post(path, content_type, body, headers=()):
    """The bytes of a POST; with body None, only its head."""
    lines = ["POST %s HTTP/1.1" % path, "Host: " + loadgen.HOST, "Content-Type: " + content_type]
    if body is not None and not any(line.startswith("Transfer-Encoding") for line in headers):
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines + list(headers) + ["", ""]).encode("ascii") + (body or b"")


def get_steps():
    return [Step(exchange.request, [exchange.body])
            for exchange in loadgen.varied_exchanges(True, STEPS)]


def pipelined_steps():
    steps = get_steps()
    return [Step(b"".join(step.payload for step in steps[start:start + DEPTH]),
                 [step.bodies[0] for step in steps[start:start + DEPTH]])
            for start in range(0, STEPS - DEPTH, DEPTH)]


def form_steps():
    return [Step(post("/form", "application/x-www-form-urlencoded",
                      ("name=user%05d&comment=so+it+is+%%26+was&token=%08x" % (
                          number, number * 7919)).encode("ascii")),
                 [("user%05d, so it is & was" % number).encode("ascii")])
            for number in range(STEPS)]


def json_steps():
    return [Step(post("/json", "application/json", json.dumps(
        {"name": "user%05d" % number, "values": [number, 1, 2, 3]}).encode("ascii")),
        [('{"total": %d}' % (number + 6)).encode("ascii")]) for number in range(STEPS)]


def chunked_steps():
    steps = []
    for number in range(STEPS):
        chunks = [(b"%05d" % (number + index)) * 205 for index in range(CHUNKS)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        steps.append(Step(post("/body", "application/octet-stream", body,
                               ["Transfer-Encoding: chunked"]), [b"%d" % (CHUNKS * 1025)]))
    return steps


def expect_steps():
    """The payload is a head and a body of 1,000 bytes; the body waits for the 100."""
    return [Step((post("/body", "application/octet-stream", None,
                       ["Content-Length: 1000", "Expect: 100-continue",
                        "X-Request-Id: %d" % number]), (b"%05d" % number) * 200), [b"1000"])
            for number in range(STEPS)]


class Connection(object):
    """One connection, whose answers are received one after the other."""

    def __init__(self, sock):
        self.sock = sock
        self._data = b""

    def receive(self, body):
        """Take one answer; raise BenchmarkError unless it is a 200 with `body`."""
        answer = loadgen.first_answer(self._data)
        while answer is None:
            self._more()
            answer = loadgen.first_answer(self._data)
        loadgen.check(answer, body)
        self._data = self._data[answer.length:]

    def receive_until(self, text):
        """Take everything up to and with `text`."""
        while text not in self._data:
            self._more()
        self._data = self._data.partition(text)[2]

    def _more(self):
        piece = self.sock.recv(262144)
        if not piece:
            raise machine.BenchmarkError("the server closed the connection")
        self._data += piece


class Place(object):
    """Where a server is reached: its ports and the path of its Unix socket."""

    def __init__(self, port, arguments):
        self.port = port
        self.tls_port, self.path = int(arguments[0]), arguments[3]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if hasattr(
            ssl, "PROTOCOL_TLS_CLIENT") else ssl.PROTOCOL_SSLv23)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def tcp(self, port=None):
        sock = socket.create_connection((loadgen.HOST, port or self.port),
                                        loadgen.PATIENCE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def unix(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(loadgen.PATIENCE_SECONDS)
        sock.connect(self.path)
        return sock

    def tls(self, **session):
        return self._context.wrap_socket(self.tcp(self.tls_port), **session)


class Load(object):
    """64 connections that send steps in turn. `way`: the name of the method of Place that connects.
    """

    def __init__(self, make_steps, way="tcp"):
        self._make_steps = make_steps
        self._way = way

    def open(self, place):
        self._connections = [Connection(getattr(place, self._way)())
                             for _ in range(loadgen.CONNECTIONS)]
        self._steps = itertools.cycle(self._make_steps())

    def close(self):
        for connection in self._connections:
            connection.sock.close()

    def round(self):
        """A step on each connection. Return the number of answers."""
        steps = [next(self._steps) for _ in self._connections]
        for connection, step in zip(self._connections, steps):
            connection.sock.sendall(step.payload)
        for connection, step in zip(self._connections, steps):
            for body in step.bodies:
                connection.receive(body)
        return sum(len(step.bodies) for step in steps)


class ExpectLoad(Load):
    """Sends each body after the interim answer to its head."""

    def round(self):
        steps = [next(self._steps) for _ in self._connections]
        for connection, step in zip(self._connections, steps):
            connection.sock.sendall(step.payload[0])
        for connection, step in zip(self._connections, steps):
            connection.receive_until(CONTINUE)
            connection.receive_until(b"\r\n\r\n")
            connection.sock.sendall(step.payload[1])
        for connection, step in zip(self._connections, steps):
            connection.receive(step.bodies[0])
        return len(steps)


class EventsLoad(Load):
    """64 readers of Server-Sent Events, and a connection whose request sends one to all of them."""

    def open(self, place):
        self._sender = Connection(place.tcp())
        self._number = 0
        Load.open(self, place)
        for connection in self._connections:
            connection.sock.sendall(loadgen.request("/events"))
        for connection in self._connections:
            connection.receive_until(b"\r\n\r\n")

    def close(self):
        self._sender.sock.close()
        Load.close(self)

    def round(self):
        self._number += 1
        text = "event%08d" % self._number
        self._sender.sock.sendall(loadgen.request("/send?text=" + text))
        for connection in self._connections:
            connection.receive_until(("data: %s\n\n" % text).encode("ascii"))
        self._sender.receive(b"%d" % len(self._connections))
        return len(self._connections)


class HandshakeLoad(Load):
    """Connections by TLS, one after the other, with one request each."""

    def __init__(self, resumes):
        Load.__init__(self, get_steps)
        self._resumes = resumes

    def open(self, place):
        self._place = place
        self._connections = []
        self._steps = itertools.cycle(self._make_steps())
        self._session = None

    def round(self):
        step = next(self._steps)
        session = {"session": self._session} if self._session is not None else {}
        sock = self._place.tls(**session)
        try:
            sock.sendall(step.payload)
            Connection(sock).receive(step.bodies[0])
            if session and not sock.session_reused:
                raise machine.BenchmarkError("the TLS session was not resumed")
            if self._resumes:
                self._session = sock.session
        finally:
            sock.close()
        return 1


# The loads by mode. Without sessions in Python's ssl (2.7), resumption cannot be measured.
MODES = [
    ("get", "GET", Load(get_steps)),
    ("pipelined", "GET, pipelined", Load(pipelined_steps)),
    ("form", "POST, form", Load(form_steps)),
    ("json", "POST, JSON", Load(json_steps)),
    ("chunked", "POST, chunked", Load(chunked_steps)),
    ("expect", "POST, Expect", ExpectLoad(expect_steps)),
    ("unix", "GET, Unix socket", Load(get_steps, "unix")),
    ("tls", "GET, TLS", Load(get_steps, "tls")),
    ("handshake", "TLS connection", HandshakeLoad(False)),
    ("resumed", "TLS, resumed", HandshakeLoad(True)),
    ("events", "an event (SSE)", EventsLoad(lambda: [None])),
]
if not hasattr(ssl, "SSLSession"):
    MODES = [mode for mode in MODES if mode[0] != "resumed"]


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list, default=PEERS)
    parser.add_argument("--modes", metavar="NAME[,NAME]", type=peers.comma_list,
                        help="of " + ", ".join(name for name, _, _ in MODES))
    parser.add_argument("--seconds", type=float, default=2, help="duration of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    report.add_options(parser)
    return parser.parse_args(arguments)


def measure(server, place, load, seconds):
    """Microseconds of the server's CPU time for one answer."""
    server.resume()
    load.open(place)
    try:
        for _ in range(3):
            load.round()
        spent, started, done = server.cpu_seconds(), clock(), 0
        while clock() - started < seconds:
            done += load.round()
        return machine.at_least_a_tick(server.cpu_seconds() - spent) * 1e6 / done
    finally:
        load.close()
        server.pause()


def measure_all(servers, places, modes, options):
    """[(label of the mode, [median of each server])]; None where one failed, which is reported."""
    figures = dict(((label, server.label), []) for _, label, _ in modes for server in servers)
    failed = {}
    for _ in range(options.rounds):
        for _, label, load in modes:
            for server in servers:
                if (label, server.label) in failed:
                    continue
                try:
                    value = measure(server, places[server.label], load, options.seconds)
                except (machine.BenchmarkError, EnvironmentError) as error:
                    failed[label, server.label] = str(error)
                    continue
                figures[label, server.label].append(value)
                report.progress("%s, %s: %s us" % (label, server.label, report.figure(value)))
    results = [(label, [None if (label, server.label) in failed else
                        report.median(figures[label, server.label]) for server in servers])
               for _, label, _ in modes]
    return results, [("%s, %s" % key, reason) for key, reason in sorted(failed.items())]


def make_certificate(folder):
    """The paths of a certificate for 127.0.0.1 and its key, as most servers have: ECDSA, P-256."""
    paths = [os.path.join(folder, name) for name in ("server.crt", "server.key")]
    with open(os.devnull, "w") as nowhere:
        subprocess.check_call(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-out", paths[0], "-keyout", paths[1]], stdout=nowhere, stderr=nowhere)
    return paths


@contextlib.contextmanager
def running(options, core):
    """A context manager of (servers, {label: Place}, absent)."""
    folder = tempfile.mkdtemp()
    servers, places, absent = [], {}, []
    peers.end_on_sigterm()
    try:
        certificate = make_certificate(folder)
        for peer in peers.choose("traffic", options.only):
            arguments = [str(peers.free_port())] + certificate + [os.path.join(folder, peer.name)]
            try:
                server = peers.start(peer, "traffic", core, arguments)
            except machine.BenchmarkError as error:
                absent.append((peer.label, str(error)))
                continue
            servers.append(server)
            places[server.label] = Place(server.port, arguments)
            server.pause()
        if not servers:
            raise machine.BenchmarkError("nothing can be measured: " + "; ".join(
                "%s: %s" % pair for pair in absent))
        yield servers, places, absent
    finally:
        for server in servers:
            server.close()
        shutil.rmtree(folder)


def print_table(servers, results):
    headings = ["CPU us"]
    for server in servers:
        headings += [server.label + " " + server.version, "ratio"]
    rows = []
    for label, values in results:
        row = [label]
        for value in values:
            row += [report.figure(value), report.ratio(value, values[0])]
        rows.append(row)
    print("%s; %d connections, one core for the server; ratio to %s" % (
        machine.description(), loadgen.CONNECTIONS, servers[0].label))
    print(report.table(headings, rows))


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    names = [name for name, _, _ in MODES]
    for name in options.modes or ():
        if name not in names:
            raise machine.BenchmarkError("no mode is named %r; use %s" % (name, ", ".join(names)))
    modes = [mode for mode in MODES if not options.modes or mode[0] in options.modes]
    with running(options, server_core) as (servers, places, absent):
        results, failed = measure_all(servers, places, modes, options)
    print_table(servers, results)
    report.print_absent(absent + failed)
    report.save(options, u"Bodies, TLS, sockets and events",
                u"Microseconds of the server's CPU time for one answer; less is better",
                [server.label for server in servers], results,
                dict((server.label, server.version) for server in servers))


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("traffic.py: %s" % error)
