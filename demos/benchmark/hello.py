"""Requests a second for "Hello, world!": friendserve and its peers side by side in one run.

Run it with the Python that has the peers installed: python demos/benchmark/hello.py
"""
from __future__ import absolute_import, division, print_function

import sys

import loadgen
import machine
import peers
import rates
import report

BODY = b"Hello, world!"
# The kind of the servers, and what the figures measure.
TABLES = {"handler": ("hello", u"routing and a handler"),
          "callable": ("callable", u"a bare callable")}


def make_cases(answers):
    return [rates.Case("bare", [loadgen.Exchange(loadgen.request(), BODY)]),
            rates.Case("browser", [
                loadgen.Exchange(loadgen.request("/", loadgen.BROWSER_HEADERS), BODY)]),
            rates.Case("varied", loadgen.varied_exchanges(answers == "varied"))]


def parse_options(arguments):
    parser = rates.make_parser(__doc__)
    parser.add_argument("--table", choices=sorted(TABLES), default="handler",
                        help="what answers: a handler found by routing, or a bare callable")
    parser.add_argument("--answers", choices=("same", "varied"), default="same",
                        help="whether the answers of the varied requests differ as well")
    return parser.parse_args(arguments)


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    kind, what = TABLES[options.table]
    cases = make_cases(options.answers)
    with peers.running(peers.choose(kind, options.only), kind, server_core) as (servers, absent):
        results, busy, failed = rates.measure(servers, cases, options, load_core)
    rates.print_table("requests a second", cases, servers, results, busy, report.BASE, "ratio")
    report.print_absent(absent + failed)
    report.save(options, u"Hello, world!: " + what,
                u"Requests a second of CPU time on one core; more is better",
                [case.heading for case in cases], results,
                dict((server.label, server.version) for server in servers), busy)


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("hello.py: %s" % error)
