"""The price of metrics: the CPU time of a request, and of one that is counted.

Two services, one of them with --metrics=/metrics, answer "Hello, world!" in turn. What differs in
each round is noise, which only adds: so the least figures say the most.
"""
from __future__ import absolute_import, division, print_function

import argparse
import re
import sys

import loadgen
import machine
import peers
import rates
import report

CASE = rates.Case("bare", [loadgen.Exchange(loadgen.request(), b"Hello, world!")])
NAMES = ("without metrics", "with metrics")


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=2, help="duration of one measurement")
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    return parser.parse_args(arguments)


def counted(port):
    """How many GETs the metrics of a service have counted."""
    client = loadgen.Client(port)
    try:
        text = client.get("/metrics").body.decode("utf-8")
    finally:
        client.close()
    return int(re.search(r'requests_total{method="GET",status="2xx".*} (\d+)', text).group(1))


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    peer = peers.choose("metrics")[0]
    figures = [[], []]
    with peers.running([peer], "metrics", server_core) as (plain, _):
        with peers.running([peer], "metrics", server_core, ["--metrics=/metrics"]) as (watched, _):
            servers = plain + watched
            # They are not paused: that would be a slow turn of the loop, after which every callback
            # is timed for a minute.
            for number in range(options.rounds + 1):
                for server, values, name in zip(servers, figures, NAMES):
                    rate, share = rates.measure_running(
                        server, CASE, options.seconds, load_core, 20)
                    value = 1e6 * share / rate
                    # The first round warms up.
                    if number:
                        values.append(value)
                    report.progress("round %d of %d, %s: %.2f us" % (
                        number, options.rounds, name, value))
            count = counted(watched[0].port)
    rows = [[name, "%.2f" % min(values), "%.2f" % report.median(values)]
            for name, values in zip(NAMES, figures)]
    rows.append(["price"] + ["%+.1f %%" % (100 * (price - 1)) for price in (
        min(figures[1]) / min(figures[0]),
        report.median(figures[1]) / report.median(figures[0]))])
    print("%s; %d connections, %d rounds, %d requests counted" % (
        machine.description(), loadgen.CONNECTIONS, options.rounds, count))
    print(report.table(["CPU us a request", "least", "median"], rows))


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("metrics.py: %s" % error)
