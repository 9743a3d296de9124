"""Requests a second for "Hello, world!" from nginx with four processes: friendserve and others.

Run it with the Python that has the peers installed: python demos/benchmark/cluster.py
"""
from __future__ import absolute_import, division, print_function

import contextlib
import shutil
import sys
import tempfile

import hello
import machine
import peers
import rates
import report

PEERS = ["friendserve", "tornado", "django", "flask", "node"]
NGINX = peers.choose("cluster", ["nginx"])[0]


def parse_options(arguments):
    parser = rates.make_parser(__doc__)
    parser.add_argument("--processes", type=int, default=4, help="processes to which nginx passes")
    return parser.parse_args(arguments)


class Cluster(object):
    """Several processes of one server, and an nginx in front that passes requests to them in turn;
    measured as one server.

    `core`: the cores of all of them, a list as taskset takes it; `cores`: how many these are.
    """

    def __init__(self, peer, processes, folder, core, cores):
        self.peer = peer
        self.label = peer.label
        self.cores = cores
        self._servers = []
        try:
            for _ in range(processes):
                self._servers.append(peers.start(peer, "hello", core))
            self.version = self._servers[0].version
            ports = [str(server.port) for server in self._servers]
            self._servers.append(peers.start(NGINX, "cluster", core, [folder, str(cores)] + ports))
        except machine.BenchmarkError:
            self.close()
            raise
        self.nginx = self._servers[-1].version
        self.port = self._servers[-1].port

    def cpu_seconds(self):
        return sum(server.cpu_seconds() for server in self._servers)

    def pause(self):
        for server in self._servers:
            server.pause()

    def resume(self):
        for server in self._servers:
            server.resume()

    def close(self):
        for server in self._servers:
            server.close()


@contextlib.contextmanager
def running(options, core, cores):
    """A context manager like `peers.running`, of Clusters."""
    clusters, absent = [], []
    folder = tempfile.mkdtemp()
    peers.end_on_sigterm()
    try:
        for peer in peers.choose("hello", options.only or PEERS):
            try:
                clusters.append(Cluster(peer, options.processes, folder, core, cores))
            except machine.BenchmarkError as error:
                absent.append((peer.label, str(error)))
        if not clusters:
            raise machine.BenchmarkError("nothing can be measured: " + "; ".join(
                "%s: %s" % pair for pair in absent))
        yield clusters, absent
    finally:
        for cluster in clusters:
            cluster.close()
        shutil.rmtree(folder)


def run(options):
    allowed = machine.allowed_cores()
    servers_cores = allowed[:-1] or allowed
    machine.pin_self(allowed[-1])
    cases = [case for case in hello.make_cases("same") if case.heading != "bare"]
    with running(options, ",".join(map(str, servers_cores)), len(servers_cores)) as (
            clusters, absent):
        results, busy, failed = rates.measure(clusters, cases, options, allowed[-1])
    rates.print_table("nginx, %d processes" % options.processes, cases, clusters, results, busy,
                      report.BASE, "ratio")
    report.print_absent(absent + failed)
    versions = dict((cluster.label, cluster.version) for cluster in clusters)
    versions["nginx"] = clusters[0].nginx
    report.save(options, u"nginx in front of %d processes" % options.processes,
                u"Requests a second of CPU time on %d core%s; more is better" % (
                    len(servers_cores), "s" if len(servers_cores) > 1 else ""),
                [case.heading for case in cases], results, versions, busy)


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("cluster.py: %s" % error)
