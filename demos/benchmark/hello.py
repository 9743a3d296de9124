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
CASES = [rates.Case("bare request", "/", BODY, []),
         rates.Case("ten browser headers", "/", BODY, loadgen.BROWSER_HEADERS)]


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    chosen = peers.choose("hello", options.only)
    with peers.running(chosen, "hello", server_core) as (servers, absent):
        results, busy = rates.measure(servers, CASES, options, load_core)
    rates.print_table("requests a second", CASES, servers, results, busy, report.BASE, "ratio")
    report.print_absent(absent)
    if options.svg:
        report.write_chart(options.svg, u"Hello, world!",
                           u"Requests a second on one core; more is better",
                           [case.heading for case in CASES], results, report.BASE, report.figure)


if __name__ == "__main__":
    try:
        run(rates.parse_options(__doc__, sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("hello.py: %s" % error)
