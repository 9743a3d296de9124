"""How much a second process gains: `python demos/benchmark/reload/processes.py [SECONDS [ROUNDS]]`,
with wrk (the Debian package of that name) and two processors that nothing else uses.

A handler computes for 5 ms of processor time. In ROUNDS rounds (3) of SECONDS (5), wrk with 40
connections asks a service of one worker, then one of two. The result is the best rate of each, the
ratio of the second to the first, and how the connections were spread over two workers. The exit
status is 1 if the ratio is less than 1.8, or the spread more than 20 % uneven.
"""
from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

# First, as it also has this checkout's friendserve found.
from waiting import HERE, ROOT, free_port

from friendserve.serve.ctl import ask

CONNECTIONS = 40


def measure(processes, seconds):
    """(requests per second, connections of each worker)"""
    folder, port = tempfile.mkdtemp(), free_port()
    control = os.path.join(folder, "control")
    server = subprocess.Popen(
        [sys.executable, "-m", "friendserve", "serve", "--processes=%d" % processes,
         "--access-log=none", "--logging=error", "--bind=127.0.0.1:%d" % port,
         "--control=unix:" + control, "service:application"], cwd=HERE,
        env=dict(os.environ, PYTHONPATH=ROOT))
    try:
        wait_for_workers(control, processes)
        load = subprocess.Popen(
            ["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%d" % seconds, "--timeout", "20",
             "http://127.0.0.1:%d/computing" % port], stdout=subprocess.PIPE,
            universal_newlines=True)
        # The workers report once a second.
        time.sleep(max(seconds - 1, 1.5))
        counts = [row["connections"] for row in ask(control, "status")["result"]]
        output = load.communicate()[0]
        return float(re.search(r"Requests/sec: +([\d.]+)", output).group(1)), counts
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def wait_for_workers(control, count):
    for _ in range(200):
        try:
            if [row["state"] for row in ask(control, "status")["result"]] == ["ready"] * count:
                return
        except EnvironmentError:
            pass
        time.sleep(0.05)
    raise SystemExit("the service does not start")


def main(seconds=5, rounds=3):
    """The exit status."""
    rates, spread = {1: [], 2: []}, []
    for _ in range(int(rounds)):
        for processes in (1, 2):
            rate, counts = measure(processes, int(seconds))
            rates[processes].append(rate)
            print("%d processes: %6.1f requests/s, connections %s" % (processes, rate, counts))
            sys.stdout.flush()
            if processes == 2:
                spread.append(max(abs(2.0 * count / CONNECTIONS - 1) for count in counts))
    factor = max(rates[2]) / max(rates[1])
    print("two processes are worth %.2f; connections at most %.0f %% off even" % (
        factor, 100 * max(spread)))
    return 0 if factor >= 1.8 and max(spread) <= 0.2 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
