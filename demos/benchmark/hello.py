"""Requests a second for "Hello, world!": friendserve and its peers side by side in one run.

Run it with the Python that has the peers installed: python demos/benchmark/hello.py
"""
from __future__ import absolute_import, division, print_function

import argparse
import sys
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report

BODY = b"Hello, world!"
COLUMNS = [("bare request", []), ("ten browser headers", loadgen.BROWSER_HEADERS)]


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the median of which is printed")
    parser.add_argument("--svg", metavar="FILE", help="draw a bar chart as well")
    return parser.parse_args(arguments)


def measure(servers, options, load_core):
    """Returns {label: [[requests a second, ...] of each column]} and {label: [share busy, ...]}."""
    rates = dict((server.label, [[] for _ in COLUMNS]) for server in servers)
    busy = dict((server.label, []) for server in servers)
    for number in range(options.rounds):
        for column, (heading, headers) in enumerate(COLUMNS):
            for server in servers:
                try:
                    length = loadgen.warm_up(server.port, BODY, headers)
                    started, spent = clock(), server.cpu_seconds()
                    rate = loadgen.measure(server.port, BODY, headers, options.seconds, length,
                                           load_core)
                    share = (server.cpu_seconds() - spent) / (clock() - started)
                except (machine.BenchmarkError, EnvironmentError) as error:
                    raise machine.BenchmarkError("%s: %s" % (server.label, error))
                rates[server.label][column].append(rate)
                busy[server.label].append(share)
                report.progress("round %d of %d, %s, %s: %s requests/s" % (
                    number + 1, options.rounds, heading, server.label, report.figure(rate)))
    return rates, busy


def print_table(servers, results, busy):
    """`results`: [(label, [median of each column])], the fastest first."""
    base = dict(results).get(report.BASE, [None] * len(COLUMNS))
    versions = dict((server.label, server.version) for server in servers)
    headings = ["requests a second", "version"]
    for heading, _ in COLUMNS:
        headings += [heading, "ratio"]
    rows = []
    for label, medians in results:
        row = [label, versions[label]]
        for value, of_base in zip(medians, base):
            row += [report.figure(value), report.ratio(value, of_base)]
        rows.append(row + ["{0:.0f} %".format(100 * report.median(busy[label]))])
    print(report.table(headings + ["server busy"], rows))


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    chosen = peers.choose("hello", options.only)
    with peers.running(chosen, "hello", server_core) as (servers, absent):
        rates, busy = measure(servers, options, load_core)
    results = sorted(((label, [report.median(values) for values in columns])
                      for label, columns in rates.items()),
                     key=lambda result: result[1], reverse=True)
    note = "%s; %d keep-alive connections from %s, one core for the server" % (
        machine.description(), loadgen.CONNECTIONS, loadgen.name())
    print(note)
    print_table(servers, results, busy)
    report.print_absent(absent)
    if options.svg:
        report.write_chart(options.svg, u"Hello, world!",
                           u"Requests a second on one core; more is better",
                           [heading for heading, _ in COLUMNS], results, report.BASE,
                           report.figure)


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("hello.py: %s" % error)
