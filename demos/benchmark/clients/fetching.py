"""The main program of each client here: `main` measures a client in this process."""
from __future__ import absolute_import, division, print_function

import resource
import sys

BODY = b"Hello, world!"


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def check(status, body):
    """End the program if a response is not the expected one."""
    if status != 200 or body != BODY:
        sys.exit("a wrong response: %r %r" % (status, body))


def main(make_fetcher):
    """Print the microseconds of CPU time per fetch.

    `make_fetcher(url, in_flight)` returns a function of a count that makes that many fetches,
    `in_flight` at a time, and then returns. It is called once before, to warm up.
    """
    url, count, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    fetch_all = make_fetcher(url, in_flight)
    fetch_all(max(in_flight * 10, count // 10))
    before = cpu_seconds()
    fetch_all(count)
    print((cpu_seconds() - before) * 1e6 / count)
