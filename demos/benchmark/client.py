"""CPU time of an HTTP fetch: friendserve's two clients against their peers, all from one nginx.

Each client runs in a separate process, always with 32 fetches in flight, and checks every body. The
clients take turns, and the median of the rounds is printed.
"""
from __future__ import absolute_import, division, print_function

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report

CLIENTS = [
    peers.Peer("simple", "friendserve, simple", ["friendserve", "friendserve.simple_httpclient"]),
    peers.Peer("curl", "friendserve, curl", ["friendserve", "friendserve.curl_httpclient"]),
    peers.Peer("multi", "pycurl, bare multi", ["pycurl"]),
    peers.Peer("aiohttp", "aiohttp", ["aiohttp"]),
    peers.Peer("httpx", "httpx", ["httpx"]),
    peers.Peer("tornado_simple", "Tornado, simple", ["tornado", "tornado.simple_httpclient"]),
    peers.Peer("tornado_curl", "Tornado, curl", ["tornado", "tornado.curl_httpclient"]),
]

#: The client that the figures are compared with.
BASE = "aiohttp"

NGINX = """
daemon off; master_process off; pid %(folder)s/pid; error_log stderr;
events { worker_connections 512; }
http {
    access_log off; keepalive_requests 1000000000; default_type text/plain;
    client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi; uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    server { listen 127.0.0.1:%(port)d; location / { return 200 "Hello, world!"; } }
}
"""


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list,
                        help="some of " + ", ".join(client.name for client in CLIENTS))
    parser.add_argument("--fetches", type=int, default=10000, help="fetches for each figure")
    parser.add_argument("--in-flight", type=int, default=32, help="fetches at a time")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    report.add_options(parser)
    return parser.parse_args(arguments)


def choose(only):
    names = [client.name for client in CLIENTS]
    for name in only or ():
        if name not in names:
            raise machine.BenchmarkError("unknown client %r; use %s"
                                         % (name, ", ".join(names)))
    return [client for client in CLIENTS if only is None or client.name in only]


@contextlib.contextmanager
def nginx(core):
    """A context manager that runs nginx on one core; its value is the port."""
    folder = tempfile.mkdtemp(prefix="friendserve-benchmark-")
    process = None
    try:
        port = peers.free_port()
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w") as target:
            target.write(NGINX % {"folder": folder, "port": port})
        program = "nginx" if machine.has_program("nginx") else "/usr/sbin/nginx"
        if not os.access(program, os.X_OK) and program != "nginx":
            raise machine.BenchmarkError("nginx is needed: apt-get install nginx")
        process = subprocess.Popen(
            machine.on_core(core, [program, "-p", folder, "-c", path, "-e", "stderr"]))
        _wait_for(process, port)
        yield port
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait()
        shutil.rmtree(folder)


def _wait_for(process, port):
    deadline = clock() + peers.START_SECONDS
    while clock() < deadline and process.poll() is None:
        try:
            loadgen.warm_up(port, [loadgen.Exchange(loadgen.request(), b"Hello, world!")], 1)
            return
        except EnvironmentError:
            time.sleep(0.05)
    raise machine.BenchmarkError("nginx did not start")


def measure(client, port, options):
    """Microseconds of CPU time per fetch."""
    process = subprocess.Popen(
        [sys.executable, os.path.join(peers.HERE, "clients", client.name + "_fetch.py"),
         "http://127.0.0.1:%d/" % port, str(options.fetches), str(options.in_flight)],
        env=peers.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        universal_newlines=True)
    said, errors = process.communicate()
    if process.returncode:
        raise machine.BenchmarkError(peers.last_line(errors))
    return float(said)


def measure_all(clients, port, options):
    """{label: [figures]} and the clients that failed."""
    figures = dict((client.label, []) for client in clients)
    failed = []
    for _ in range(options.rounds):
        for client in list(clients):
            try:
                figures[client.label].append(measure(client, port, options))
            except machine.BenchmarkError as error:
                failed.append((client.label, str(error)))
                clients.remove(client)
            else:
                report.progress("%s: %s us a fetch" % (
                    client.label, report.figure(figures[client.label][-1])))
    return figures, failed


def print_table(results, versions):
    base = dict(results).get(BASE)
    print(report.table(["client", "version", "us a fetch", "of " + BASE], [
        [label, versions[label], report.figure(value), report.ratio(value, base)]
        for label, value in results]))


def run(options):
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    clients, versions, absent = [], {}, []
    for client in choose(options.only):
        version, reason = peers.probe(client)
        if reason is None:
            clients.append(client)
            # pycurl's version also names all its libraries.
            versions[client.label] = version.split(" ")[0]
        else:
            absent.append((client.label, reason))
    with nginx(server_core) as port:
        figures, failed = measure_all(clients, port, options)
    results = sorted([(label, report.median(values)) for label, values in figures.items()
                      if values], key=lambda result: result[1])
    print("%s; %d fetches, %d at a time" % (
        machine.description(), options.fetches, options.in_flight))
    print_table(results, versions)
    report.print_absent(absent + failed)
    report.save(options, u"An HTTP fetch", u"Microseconds of CPU time; less is better",
                [u"us a fetch"], [(label, [value]) for label, value in results], versions,
                base=CLIENTS[0].label)


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("client.py: %s" % error)
