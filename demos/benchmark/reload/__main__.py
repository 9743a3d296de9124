"""What servers lose while their workers change: `python demos/benchmark/reload [SECONDS]`, with wrk
(the Debian package of that name).

200 connections are kept, and 20 closed after each response, while each server with two workers
reloads 20 times (HUP), recycles its workers every 500 requests, or is upgraded to a new master
(USR2, WINCH, TERM). A server is left out if it is not installed (pip install gunicorn uvicorn
granian), or cannot do this. `PEERS` in the environment may name another Python that has them. The
result is a table: requests, and those that failed, as wrk counts them.
"""
from __future__ import absolute_import, division, print_function

import os
import re
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.environ.get("PEERS", sys.executable)
PORT = "8765"
RELOADS = 20

SERVERS = (
    ("friendserve", [sys.executable, "-m", "friendserve", "serve", "--processes", "2",
                     "--access-log", "none", "--logging", "error", "--bind", "127.0.0.1:" + PORT,
                     "service:application"], ["--max-requests", "500"]),
    ("gunicorn", [PYTHON, "-m", "gunicorn", "-w", "2", "-k", "gthread", "--threads", "8",
                  "--log-level", "critical", "-b", "127.0.0.1:" + PORT, "servers.peers:wsgi"],
     ["--max-requests", "500", "--max-requests-jitter", "50"]),
    ("uvicorn", [PYTHON, "-m", "uvicorn", "--workers", "2", "--log-level", "critical",
                 "--port", PORT, "servers.peers:asgi"], ["--limit-max-requests", "500"]),
    ("granian", [PYTHON, "-m", "granian", "--workers", "2", "--interface", "asgi", "--no-log",
                 "--port", PORT, "servers.peers:asgi"], None),
)
UPGRADES = ("friendserve", "gunicorn")


def is_open():
    try:
        socket.create_connection(("127.0.0.1", int(PORT)), 1).close()
        return True
    except EnvironmentError:
        return False


def wait_for_port(server):
    """Whether the server listens in time."""
    for _ in range(200):
        if is_open():
            return True
        if server.poll() is not None:
            break
        time.sleep(0.05)
    return False


def end(server, master):
    """End a server, and what it leaves, or the next one would be measured with its workers."""
    for pid in {server.pid, master}:
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            pass
    server.wait()
    for _ in range(100):
        if not is_open():
            break
        time.sleep(0.05)
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except OSError:
        pass    # the usual case: all have ended
    time.sleep(1)


def start_load(connections, seconds, *options):
    return subprocess.Popen(
        ["wrk", "-t1", "-c%d" % connections, "-d%d" % seconds, "--timeout", "20"] + list(options)
        + ["http://127.0.0.1:%s/" % PORT], stdout=subprocess.PIPE, universal_newlines=True)


def count(text):
    """(requests, failed)"""
    requests = re.search(r"(\d+) requests in", text)
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return int(requests.group(1)) if requests else 0, (
        sum(map(int, errors.groups())) if errors else 0) + (
        int(other.group(1)) if other else 0)


def children_of(pid):
    found = subprocess.Popen(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE).communicate()[0]
    return [int(child) for child in found.split()]


def reload_often(server, seconds):
    for _ in range(RELOADS):
        time.sleep(0.9 * seconds / RELOADS)
        server.send_signal(signal.SIGHUP)
    return server.pid


def recycle(server, seconds):
    return server.pid


def upgrade(server, seconds):
    """The pid of the new master."""
    time.sleep(0.2 * seconds)
    before = set(children_of(server.pid))
    server.send_signal(signal.SIGUSR2)
    time.sleep(0.2 * seconds)
    new = []
    for _ in range(100):
        new = [pid for pid in children_of(server.pid) if pid not in before and children_of(pid)]
        if new:
            break
        time.sleep(0.05)
    server.send_signal(signal.SIGWINCH)
    time.sleep(0.2 * seconds)
    server.terminate()
    return new[0] if new else server.pid


def measure(command, act, seconds):
    """(requests, failed), or None if the server does not start."""
    path = os.pathsep.join((os.path.dirname(os.path.dirname(os.path.dirname(HERE))), HERE))
    if is_open():
        raise SystemExit("port %s is in use by another program" % PORT)
    server = subprocess.Popen(command, cwd=HERE, env=dict(os.environ, PYTHONPATH=path),
                              preexec_fn=os.setsid)
    master = server.pid
    try:
        if not wait_for_port(server):
            return None
        time.sleep(1)
        loads = [start_load(200, seconds),
                 start_load(20, seconds, "-H", "Connection: close")]
        master = act(server, seconds)
        counts = [count(load.communicate()[0]) for load in loads]
        return tuple(map(sum, zip(*counts)))
    finally:
        end(server, master)


def main(seconds=60):
    print("%-12s %-20s %10s %8s" % ("server", "what happens", "requests", "failed"))
    for name, command, recycling in SERVERS:
        for what, more, act in (("20 reloads", [], reload_often),
                                ("recycling", recycling, recycle),
                                ("upgrade", [], upgrade)):
            if more is None or act is upgrade and name not in UPGRADES:
                continue
            found = measure(command + more, act, int(seconds))
            print("%-12s %-20s %10s %8s" % ((name, what) + (found or ("-", "-"))))
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
