"""Where each microsecond of a request goes: from the poll to the bytes that are sent.

    python demos/benchmark/where.py                   # a table of stages
    python demos/benchmark/where.py --rounds 200

One process holds the server and the clients, whose time does not count. In each round every client
sends one request; the clock is read at the end of each stage of every request, and the time this
takes is subtracted. A column is the median of the rounds. Read it for the proportions: with the
clock in between, no stage is quite as fast as usual.
"""
from __future__ import absolute_import, division, print_function

import argparse
import itertools
import socket
import sys
from timeit import default_timer as clock

import loadgen
import peers
import report

if peers.CHECKOUT not in sys.path:
    sys.path.insert(1, peers.CHECKOUT)

from friendserve.http1connection import server as connections
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.iostream import IOStream
from friendserve.web import Application, RequestHandler

STAGES = [
    ("loop", "poll, dispatch, the queue of callbacks"),
    ("recv", "the system call"),
    ("head", "parsing the head"),
    ("request", "the request object, the state of the connection"),
    ("route", "from the path to a new handler"),
    ("handler", "the method get"),
    ("response", "ETag, encoding the head, the end of the request"),
    ("send", "the system call"),
]
BODY = b"Hello, world!"


class Laps(object):
    """A clock whose laps count for one of the stages."""
    def __init__(self):
        self.reset()

    def reset(self):
        self.seconds = dict((name, 0.0) for name, _ in STAGES)
        self.counts = dict.fromkeys(self.seconds, 0)
        self.last = clock()

    def lap(self, stage):
        """The time since the last lap was spent on `stage`."""
        now = clock()
        self.seconds[stage] += now - self.last
        self.counts[stage] += 1
        self.last = now

    def cost(self):
        """The seconds that a lap takes by itself."""
        self.reset()
        for _ in range(10000):
            self.lap("loop")
        return self.seconds["loop"] / 10000


laps = Laps()


class Stream(IOStream):
    def read_from_fd(self):
        laps.lap("loop")
        data = super(Stream, self).read_from_fd()
        laps.lap("recv")
        return data

    def write_to_fd(self, data):
        laps.lap("response")
        sent = super(Stream, self).write_to_fd(data)
        laps.lap("send")
        return sent


class Hello(RequestHandler):
    def get(self):
        laps.lap("route")
        self.write(BODY)
        laps.lap("handler")


class Timed(Application):
    def __call__(self, request):
        laps.lap("request")
        super(Timed, self).__call__(request)
        laps.lap("response")


def _read_request_head(*arguments):
    laps.lap("loop")
    result = read_request_head(*arguments)
    laps.lap("head")
    return result


read_request_head = connections.read_request_head


def bare():
    return [loadgen.request()]


def browser():
    return [loadgen.request("/", loadgen.BROWSER_HEADERS)]


def varied():
    return [exchange.request for exchange in loadgen.varied_exchanges(False)]


class Measured(object):
    """A server on a loop, and the sockets of its clients."""
    def __init__(self, connection_count):
        self.loop = IOLoop()
        self.loop.make_current()
        self.server = HTTPServer(Timed([("/", Hello)]), io_loop=self.loop)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(connection_count)
        self.clients = []
        for _ in range(connection_count):
            self.clients.append(socket.create_connection(listener.getsockname()))
            accepted, address = listener.accept()
            self.server.handle_stream(Stream(accepted, io_loop=self.loop), address)
        listener.close()

    def close(self):
        for client in self.clients:
            client.close()
        self.server.stop()
        self.loop.close(all_fds=True)
        IOLoop.clear_current()

    def round(self, requests, cost):
        """The microseconds of each stage of a request, the mean of one request of each client."""
        for client in self.clients:
            client.sendall(next(requests))
        laps.reset()
        while laps.counts["send"] < len(self.clients):
            # A turn polls at its end, when there may be nothing to wait for.
            self.loop.run_once(0)
        laps.lap("loop")
        for client in self.clients:
            answer = client.recv(65536)
            if not answer.endswith(BODY):
                raise RuntimeError("unexpected answer: %r" % answer[:200])
        return dict((stage, max(0.0, seconds - cost * laps.counts[stage]) * 1e6
                     / len(self.clients)) for stage, seconds in laps.seconds.items())


def measure(makers, rounds, connection_count):
    """{name of the maker: {stage: microseconds}}; the kinds of requests take turns."""
    found = dict((make.__name__, []) for make in makers)
    connections.read_request_head = _read_request_head
    measured = Measured(connection_count)
    try:
        cost = min(laps.cost() for _ in range(20))
        kinds = [(make, itertools.cycle(make())) for make in makers]
        for turn in range(rounds + 5):
            for make, requests in kinds:
                figures = measured.round(requests, cost)
                # The first ones warm up.
                if turn >= 5:
                    found[make.__name__].append(figures)
    finally:
        measured.close()
        connections.read_request_head = read_request_head
    return dict((name, dict((stage, report.median([figures[stage] for figures in rounds]))
                            for stage, _ in STAGES)) for name, rounds in found.items())


def main(arguments):
    parser = argparse.ArgumentParser(
        description="Print where each microsecond of a request goes.")
    parser.add_argument("--rounds", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=64, help="default: %(default)s")
    options = parser.parse_args(arguments)
    makers = [bare, browser, varied]
    found = measure(makers, options.rounds, options.connections)
    names = [make.__name__ for make in makers]
    print("%-10s%s   (microseconds a request)" % ("", "".join("%9s" % name for name in names)))
    for stage, description in STAGES:
        print("%-10s%s   %s" % (stage, "".join("%9.2f" % found[name][stage] for name in names),
                                description))
    print("%-10s%s" % ("sum", "".join("%9.2f" % sum(found[name].values()) for name in names)))


if __name__ == "__main__":
    main(sys.argv[1:])
