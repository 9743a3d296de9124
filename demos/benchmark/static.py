"""Files a second, of three sizes: friendserve, nginx and other peers side by side in one run.

Run it with the Python that has the peers installed: python demos/benchmark/static.py
"""
from __future__ import absolute_import, division, print_function

import os
import shutil
import sys
import tempfile
import time

import loadgen
import machine
import peers
import rates
import report

SIZES = [("1 kB", 1024), ("64 kB", 64 * 1024), ("1 MB", 1024 * 1024)]


def make_files(folder):
    """Write a file of each size; return a Case for each."""
    cases = []
    # Not new, like most files that are served.
    a_day_ago = time.time() - 86400
    for number, (heading, size) in enumerate(SIZES):
        content = (b"0123456789abcdef" * (size // 16))[:size]
        path = os.path.join(folder, "%d.txt" % number)
        with open(path, "wb") as target:
            target.write(content)
        os.utime(path, (a_day_ago, a_day_ago))
        exchange = loadgen.Exchange(loadgen.request("/%d.txt" % number), content)
        cases.append(rates.Case(heading, [exchange]))
    os.utime(folder, (a_day_ago, a_day_ago))
    return cases


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    chosen = peers.choose("static", options.only)
    place = tempfile.mkdtemp()
    try:
        # nginx may read them as another user.
        os.chmod(place, 0o755)
        folder = os.path.join(place, "files")
        os.mkdir(folder)
        cases = make_files(folder)
        with peers.running(chosen, "static", server_core, [folder]) as (servers, absent):
            results, busy, failed = rates.measure(servers, cases, options, load_core)
    finally:
        shutil.rmtree(place)
    rates.print_table("files a second", cases, servers, results, busy, "nginx", "of nginx")
    report.print_absent(absent + failed)
    report.save(options, u"Static files", u"Files a second of CPU time on one core; more is better",
                [name for name, _ in SIZES], results,
                dict((server.label, server.version) for server in servers), busy)


if __name__ == "__main__":
    try:
        run(rates.make_parser(__doc__).parse_args(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("static.py: %s" % error)
