"""The cost of idle keep-alive connections: memory, and how much they slow down other connections.

Two processes of each server run: one holds the idle connections, the other has none.
"""
from __future__ import absolute_import, division, print_function

import argparse
import contextlib
import select
import sys

import loadgen
import machine
import peers
import report

BODY = b"Hello, world!"
EXCHANGES = [loadgen.Exchange(loadgen.request(), BODY)]
SPARE_FILES = 200
PER_ADDRESS = 10000  # well under the 28,000 ports that Linux hands out for one source address


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=2, help="duration of a measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; 0 for memory only")
    report.add_options(parser)
    return parser.parse_args(arguments)


def source_address(number):
    """The source address of idle connection `number`: None (any), then 127.0.0.2 and so on."""
    block = number // PER_ADDRESS
    return "127.0.0.%d" % (1 + block) if block else None


def open_idle(port, count):
    """`count` connections, each of which has received one correct answer."""
    clients = []
    try:
        for number in range(count):
            client = loadgen.Client(port, source_address(number))
            clients.append(client)
            loadgen.check(client.get(), BODY)
    except Exception:
        close_all(clients)
        raise
    return clients


def close_all(clients):
    for client in clients:
        client.close()


def count_open(clients):
    """How many connections the server has neither closed nor reset."""
    poller = select.poll()
    for client in clients:
        poller.register(client.fileno(), select.POLLIN)
    return len(clients) - len(poller.poll(0))


def throughput(server, options, load_core):
    length = loadgen.warm_up(server.port, EXCHANGES)
    return loadgen.measure(server.port, EXCHANGES, options.seconds, length, load_core)


def measure(crowded, empty, options, load_core):
    """(bytes a connection, rate with none, rate with all, connections left at the end)."""
    loadgen.warm_up(crowded.port, EXCHANGES)
    before = crowded.resident_bytes()
    clients = open_idle(crowded.port, options.connections)
    try:
        weight = (crowded.resident_bytes() - before) / options.connections
        rates = [(throughput(empty, options, load_core), throughput(crowded, options, load_core))
                 for _ in range(options.rounds)]
        left = count_open(clients)
    finally:
        crowded.close()  # first: the side that closes first keeps ports in TIME_WAIT
        close_all(clients)
    if not rates:
        return weight, None, None, left
    return (weight, report.median([none for none, _ in rates]),
            report.median([all_open for _, all_open in rates]), left)


def measure_one(peer, options, cores):
    server_core, load_core = cores
    with contextlib.closing(peers.start(peer, "hello", server_core)) as empty:
        with contextlib.closing(peers.start(peer, "hello", server_core)) as crowded:
            return empty.version, measure(crowded, empty, options, load_core)


def print_table(results, connections):
    weights = dict((label, result[0]) for label, result in results)
    rows = []
    for label, (weight, without, with_all, left) in results:
        rows.append([label, report.figure(weight / 1000),
                     report.ratio(weight, weights.get(report.BASE)),
                     report.figure(without), report.figure(with_all),
                     report.ratio(with_all, without), "{0:,d}".format(left)])
    print(report.table(["idle connections", "kB each", "ratio", "requests/s with none",
                        "with {0:,d}".format(connections), "kept", "still open"], rows))


def run(options):
    machine.allow_files(options.connections + SPARE_FILES)
    cores = machine.two_cores()
    machine.pin_self(cores[1])
    results, absent, versions = [], [], {}
    for peer in peers.choose("hello", options.only):
        try:
            versions[peer.label], result = measure_one(peer, options, cores)
            results.append((peer.label, result))
        except (machine.BenchmarkError, EnvironmentError) as error:
            absent.append((peer.label, str(error)))
            continue
        report.progress("%s: %s bytes a connection" % (peer.label,
                                                       report.figure(results[-1][1][0])))
    results.sort(key=lambda result: result[1][0])
    print("%s; %s idle connections, then %d busy ones from %s" % (
        machine.description(), "{0:,d}".format(options.connections), loadgen.CONNECTIONS,
        loadgen.name()))
    print_table(results, options.connections)
    report.print_absent(absent)
    report.save(options, u"Memory of an idle connection", u"kB; less is better", [u"kB"],
                [(label, [result[0] / 1000]) for label, result in results], versions)


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("idle.py: %s" % error)
