"""CPU time of a long poll: thousands parked in one process, then one message to all, repeatedly.

A server's /wait parks, /send answers "sent N" and delivers "message" to all, /count says how many
are parked.
"""
from __future__ import absolute_import, division, print_function

import argparse
import sys
import time
from timeit import default_timer as clock

import loadgen
import machine
import peers
import report

MESSAGE = b"message"
SPARE_FILES = 200
PARK_SECONDS = 30


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", type=peers.comma_list)
    parser.add_argument("--polls", type=int, default=2000, help="parked polls, up to 8000")
    parser.add_argument("--deliveries", type=int, default=10, help="deliveries in each round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    report.add_options(parser)
    return parser.parse_args(arguments)


def wait_for_parked(control, count):
    deadline = clock() + PARK_SECONDS
    parked = -1
    while parked != count:
        if clock() > deadline:
            raise machine.BenchmarkError("%d polls parked instead of %d" % (parked, count))
        time.sleep(0.02)
        parked = int(control.get("/count").body)


def deliver(clients, control):
    """Park one poll on every client, send one message and receive it on every client."""
    for client in clients:
        client.send("/wait")
    wait_for_parked(control, len(clients))
    loadgen.check(control.get("/send"), ("sent %d" % len(clients)).encode("ascii"))
    for client in clients:
        loadgen.check(client.receive(), MESSAGE)


def measure(server, options, between_rounds):
    """Microseconds of the server's CPU time a message, one figure a round.

    The first delivery is not counted: it pays for the connections. `between_rounds` is called
    with each figure.
    """
    clients, figures = [], []
    try:
        control = loadgen.Client(server.port)
        clients.append(control)
        for _ in range(options.polls):
            clients.append(loadgen.Client(server.port))
        deliver(clients[1:], control)
        for _ in range(options.rounds):
            spent = server.cpu_seconds()
            for _ in range(options.deliveries):
                deliver(clients[1:], control)
            seconds = server.cpu_seconds() - spent
            figures.append(seconds * 1e6 / (options.deliveries * options.polls))
            between_rounds(figures[-1])
    finally:
        server.close()  # first: the side that closes first keeps ports in TIME_WAIT
        for client in clients:
            client.close()
    return figures


def print_table(results):
    base = dict((label, value) for label, _, value in results).get(report.BASE)
    print(report.table(
        ["long polls", "version", "CPU us a message", "ratio"],
        [[label, version, report.figure(value), report.ratio(value, base)]
         for label, version, value in results]))


def run(options):
    machine.allow_files(options.polls + SPARE_FILES)
    server_core, load_core = machine.two_cores()
    machine.pin_self(load_core)
    chosen = peers.choose("longpoll", options.only)
    results = []
    with peers.running(chosen, "longpoll", server_core) as (servers, absent):
        for server in servers:
            try:
                figures = measure(server, options, lambda value: report.progress(
                    "%s: %s us a message" % (server.label, report.figure(value))))
            except (machine.BenchmarkError, EnvironmentError) as error:
                absent.append((server.label, str(error)))
            else:
                results.append((server.label, server.version, report.median(figures)))
    results.sort(key=lambda result: result[2])
    print("%s; %s polls parked, %d deliveries to all a round" % (
        machine.description(), "{0:,d}".format(options.polls), options.deliveries))
    print_table(results)
    report.print_absent(absent)
    report.save(options, u"A message to a parked long poll",
                u"Microseconds of CPU time, parking and delivery; less is better",
                [u"microseconds"], [(label, [value]) for label, _, value in results],
                dict((label, version) for label, version, _ in results))


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("longpoll.py: %s" % error)
