"""Files a second, of three sizes: friendserve, nginx and other peers side by side in one run.

Run it with the Python that has the peers installed: python demos/benchmark/static.py
"""
from __future__ import absolute_import, division, print_function

import argparse
import os
import shutil
import sys
import tempfile
import time
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report

SIZES = [("1 kB", 1024), ("64 kB", 64 * 1024), ("1 MB", 1024 * 1024)]


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the median of which is printed")
    parser.add_argument("--svg", metavar="FILE", help="draw a bar chart as well")
    return parser.parse_args(arguments)


def make_files(folder):
    """Writes a file of each size; returns [(path in the URL, content)]."""
    # nginx reads them as another user.
    os.chmod(folder, 0o755)
    files = []
    # As old as files that are served mostly are.
    a_day_ago = time.time() - 86400
    for number, (_, size) in enumerate(SIZES):
        content = (b"0123456789abcdef" * (size // 16))[:size]
        path = os.path.join(folder, "%d.txt" % number)
        with open(path, "wb") as target:
            target.write(content)
        os.utime(path, (a_day_ago, a_day_ago))
        files.append(("/%d.txt" % number, content))
    return files


def measure(servers, files, options, load_core):
    """Returns {label: [[files a second, ...] of each size]} and {label: [share busy, ...]}."""
    rates = dict((server.label, [[] for _ in SIZES]) for server in servers)
    busy = dict((server.label, []) for server in servers)
    for number in range(options.rounds):
        for column, (path, content) in enumerate(files):
            for server in servers:
                try:
                    length = loadgen.warm_up(server.port, content, path=path, requests=50)
                    started, spent = clock(), server.cpu_seconds()
                    rate = loadgen.measure(server.port, content, [], options.seconds, length,
                                           load_core, path)
                    share = (server.cpu_seconds() - spent) / (clock() - started)
                except (machine.BenchmarkError, EnvironmentError) as error:
                    raise machine.BenchmarkError("%s: %s" % (server.label, error))
                rates[server.label][column].append(rate)
                busy[server.label].append(share)
                report.progress("round %d of %d, %s, %s: %s files/s, %.0f %% busy" % (
                    number + 1, options.rounds, SIZES[column][0], server.label,
                    report.figure(rate), 100 * share))
    return rates, busy


def print_table(servers, results, busy):
    """`results`: [(label, [median of each size])], the fastest first."""
    base = dict(results).get("nginx", [None] * len(SIZES))
    versions = dict((server.label, server.version) for server in servers)
    headings = ["files a second", "version"]
    for name, _ in SIZES:
        headings += [name, "of nginx"]
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
    chosen = peers.choose("static", options.only)
    place = tempfile.mkdtemp()
    try:
        os.chmod(place, 0o755)
        folder = os.path.join(place, "files")
        os.mkdir(folder)
        files = make_files(folder)
        with peers.running(chosen, "static", server_core, [folder]) as (servers, absent):
            rates, busy = measure(servers, files, options, load_core)
    finally:
        shutil.rmtree(place)
    results = sorted(((label, [report.median(values) for values in columns])
                      for label, columns in rates.items()),
                     key=lambda result: result[1], reverse=True)
    print("%s; %d keep-alive connections from %s, one core for the server" % (
        machine.description(), loadgen.CONNECTIONS, loadgen.name()))
    print_table(servers, results, busy)
    report.print_absent(absent)
    if options.svg:
        report.write_chart(options.svg, u"Static files",
                           u"Files a second on one core; more is better",
                           [name for name, _ in SIZES], results, report.BASE, report.figure)


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("static.py: %s" % error)
