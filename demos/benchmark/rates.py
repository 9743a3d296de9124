"""Requests a second of several servers in turn, and a table: for hello.py and static.py."""
from __future__ import absolute_import, division, print_function

import argparse
import collections
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report

#: One column: its heading, the path to request, the expected body, and header lines.
Case = collections.namedtuple("Case", "heading path body headers")


def parse_options(description, arguments):
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--seconds", type=float, default=3, help="duration of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    parser.add_argument("--svg", metavar="FILE", help="draw a bar chart as well")
    return parser.parse_args(arguments)


def measure(servers, cases, options, load_core):
    """([(label, [median rate of each case])], the fastest first, and {label: share of its
    core that was busy})."""
    rates = dict((server.label, [[] for _ in cases]) for server in servers)
    busy = dict((server.label, []) for server in servers)
    for number in range(options.rounds):
        for column, case in enumerate(cases):
            for server in servers:
                try:
                    length = loadgen.warm_up(server.port, case.body, case.headers, path=case.path)
                    started, spent = clock(), server.cpu_seconds()
                    rate = loadgen.measure(server.port, case.body, case.headers, options.seconds,
                                           length, load_core, case.path)
                    share = (server.cpu_seconds() - spent) / (clock() - started)
                except (machine.BenchmarkError, EnvironmentError) as error:
                    raise machine.BenchmarkError("%s: %s" % (server.label, error))
                rates[server.label][column].append(rate)
                busy[server.label].append(share)
                report.progress("round %d of %d, %s, %s: %s a second, %.0f %% busy" % (
                    number + 1, options.rounds, case.heading, server.label, report.figure(rate),
                    100 * share))
    results = sorted(((label, [report.median(values) for values in columns])
                      for label, columns in rates.items()),
                     key=lambda result: result[1], reverse=True)
    return results, dict((label, report.median(shares)) for label, shares in busy.items())


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
        for value, base_value in zip(medians, of_base):
            row += [report.figure(value), report.ratio(value, base_value)]
        rows.append(row + ["{0:.0f} %".format(100 * busy[label])])
    print("%s; %d keep-alive connections from %s, one core for the server" % (
        machine.description(), loadgen.CONNECTIONS, loadgen.name()))
    print(report.table(headings + ["server busy"], rows))
