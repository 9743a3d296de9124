"""Requests a second of several servers in turn, and a table: for hello.py, static.py and
cluster.py."""
from __future__ import absolute_import, division, print_function

import argparse
import collections
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report

#: One column: its heading, and the Exchanges that are sent in turn.
Case = collections.namedtuple("Case", "heading exchanges")
#: PyPy compiles what runs often, so its first round is this many times longer.
PYPY_WARM_UP = 5


def make_parser(description):
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--seconds", type=float, default=3, help="duration of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    report.add_options(parser)
    return parser


def measure(servers, cases, options, load_core):
    """([(label, [median figure of each case])], {label: [share of its cores that was busy in each
    case]}, [(label, reason)] of those that failed); the fastest in the last case are first.

    A figure is requests a second of CPU time on the server's cores: the rate, divided by the share
    of the time that the server was busy. Other programs on the machine distort it less than the
    rate. The servers take turns, and those that wait are stopped; the first round only warms them
    up and is not counted.
    """
    figures = dict((server.label, [[] for _ in cases]) for server in servers)
    busy = dict((server.label, [[] for _ in cases]) for server in servers)
    failed = []
    for server in servers:
        server.pause()
    for number in range(options.rounds + 1):
        for column, case in enumerate(cases):
            for server in [each for each in servers if each.label in figures]:
                seconds = options.seconds
                if not number and server.peer.python == peers.PYPY:
                    seconds *= PYPY_WARM_UP
                try:
                    rate, share = measure_one(server, case, seconds, load_core,
                                              20 if number else 200)
                except (machine.BenchmarkError, EnvironmentError) as error:
                    failed.append((server.label, "%s: %s" % (case.heading, error)))
                    del figures[server.label], busy[server.label]
                    continue
                if number:
                    figures[server.label][column].append(rate / share)
                    busy[server.label][column].append(share)
                report.progress("round %d of %d, %s, %s: %s a second, %.0f %% busy" % (
                    number, options.rounds, case.heading, server.label, report.figure(rate),
                    100 * share))
    results = sorted(((label, [report.median(values) for values in columns])
                      for label, columns in figures.items()),
                     key=lambda result: result[1][-1], reverse=True)
    return results, dict((label, [round(report.median(shares), 3) for shares in columns])
                         for label, columns in busy.items()), failed


def measure_one(server, case, seconds, load_core, checked):
    """(requests a second, share of its cores that the server used). Before it counts, it looks at
    `checked` answers one by one."""
    server.resume()
    try:
        return measure_running(server, case, seconds, load_core, checked)
    finally:
        server.pause()


def measure_running(server, case, seconds, load_core, checked):
    """The same for a server that is never paused."""
    length = loadgen.warm_up(server.port, case.exchanges, checked)
    started, spent = clock(), server.cpu_seconds()
    rate = loadgen.measure(server.port, case.exchanges, seconds, length, load_core)
    spent = server.cpu_seconds() - spent
    elapsed = clock() - started
    return rate, machine.at_least_a_tick(spent) / elapsed / server.cores


def print_table(title, cases, servers, results, busy, base, ratio_heading):
    """The results, each with its ratio to those of the label `base`."""
    of_base = dict(results).get(base, [None] * len(cases))
    versions = dict((server.label, server.version) for server in servers)
    headings = [title, "version"]
    for case in cases:
        headings += [case.heading, ratio_heading]
    rows = []
    for label, medians in results:
        row = [label, versions[label]]
        for value, base_value, share in zip(medians, of_base, busy[label]):
            row += [report.figure(value) + (" *" if report.is_marked(share) else "  "),
                    report.ratio(value, base_value)]
        rows.append(row + ["{0:.0f} %".format(100 * report.median(busy[label]))])
    print("%s; %d keep-alive connections from %s, %d core(s) for the server" % (
        machine.description(), loadgen.CONNECTIONS, loadgen.name(), servers[0].cores))
    print(report.table(headings + ["server busy"], rows))
    if any(report.is_marked(share) for shares in busy.values() for share in shares):
        print(report.BUSY_NOTE)
