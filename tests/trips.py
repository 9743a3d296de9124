"""The cost of a request, a fetch, a message and a file on their way through the package.

    python tests/trips.py                       # Python calls of each trip
    python tests/trips.py --against ../old      # CPU time, this tree and another in turn

A trip is driven on one loop in one process, over real sockets on loopback. The calls are those of
Python functions of the package, counted by `sys.setprofile`: exact, the same on a busy machine as
on an idle one, so `test_trips` checks them as a guard. CPU time is noisy; compare the medians of
several rounds, and only on one machine.

Only public names of the first release are used here, so that any tree can be measured.
"""
from __future__ import absolute_import, division, print_function

import argparse
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    # This folder, which would hide the standard modules `platform` and `typing`.
    del sys.path[0]
try:
    import friendserve
except ImportError:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import friendserve

from friendserve.feed import LocalFeed
from friendserve.httpclient import AsyncHTTPClient
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.httpserver import HTTPServer
from friendserve.simple_httpclient import SimpleAsyncHTTPClient
from friendserve.web import Application, RequestHandler, asynchronous, stream_request_body
from friendserve.websocket import WebSocketHandler

try:
    from friendserve.curl_httpclient import CurlAsyncHTTPClient
except ImportError:
    CurlAsyncHTTPClient = None

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(friendserve.__file__)), "")

#: Seconds after which an unfinished trip has failed.
LIMIT = 20

#: What browsers send; three of the values differ in each request.
_HEAD = (
    "GET {path} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; "
    "rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8"
    "\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: "
    "http://www.example.com/from/{number}\r\nCookie: session={number:032x}; theme=dark\r\n"
    "Upgrade-Insecure-Requests: 1\r\nX-Request-Id: {number:016x}\r\nConnection: keep-alive\r\n\r\n")


def _is_response(data):
    head, end, body = data.partition(b"\r\n\r\n")
    return end and len(body) == int(re.search(b"(?i)content-length: *([0-9]+)", head).group(1))


class Hello(RequestHandler):
    def get(self):
        self.write(b"Hello, world!")


@stream_request_body
class Count(RequestHandler):
    def prepare(self):
        self.count = 0

    def data_received(self, chunk):
        self.count += len(chunk)

    def post(self):
        self.write(str(self.count))


class Parked(RequestHandler):
    @asynchronous
    def get(self):
        self.application.feed.wait("room", self.get_argument("after", None), self.on_batch)

    def on_batch(self, batch):
        self.finish(batch.messages[0].text)


class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


class Trips(object):
    """A server on a loop, and the trips to it: the methods `trip_x`, each of which makes one."""

    def __init__(self):
        self.loop = IOLoop()
        self.loop.make_current()
        self.folder = tempfile.mkdtemp()
        for name, size in (("small.css", 1000), ("large.css", 100000)):
            path = os.path.join(self.folder, name)
            with open(path, "wb") as target:
                target.write(b"x" * size)
            os.utime(path, (1.5e9, 1.5e9))
        # A file changed a moment ago may change again unnoticed, so it would not be remembered.
        os.utime(self.folder, (1.5e9, 1.5e9))
        self.application = Application([
            ("/", Hello), ("/count", Count), ("/wait", Parked), ("/echo", Echo)],
            static_path=self.folder)
        self.application.feed = LocalFeed(io_loop=self.loop)
        listeners = bind_sockets(0, "127.0.0.1")
        self.port = listeners[0].getsockname()[1]
        self.server = HTTPServer(self.application, io_loop=self.loop)
        self.server.add_sockets(listeners)
        self.number = 0
        self.clients = {}
        self.sockets = {}
        self.responses = []

    def close(self):
        for client in self.clients.values():
            client.close()
        for sock in self.sockets.values():
            sock.close()
        self.application.feed.close()
        self.server.stop()
        self.loop.run_once(0)
        IOLoop.clear_current()
        self.loop.close(all_fds=True)
        shutil.rmtree(self.folder)

    # Clients that send bytes, without code of the package

    def socket_of(self, trip):
        sock = self.sockets.get(trip)
        if sock is None:
            sock = self.sockets[trip] = socket.create_connection(("127.0.0.1", self.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
        return sock

    def receive(self, sock, is_whole):
        """Run the loop until `is_whole(data)` is true of what has arrived, and return that."""
        data = b""
        deadline = time.time() + LIMIT
        while not is_whole(data):
            try:
                data += sock.recv(1 << 20)
            except (OSError, IOError):
                if time.time() > deadline:
                    raise RuntimeError("there was no answer in time")
                self.loop.run_once(0)
        return data

    def exchange(self, sock, request):
        """Send a request and return the response, which has a Content-Length."""
        sock.sendall(request)
        return self.receive(sock, _is_response)

    def check(self, answer, expected):
        if not answer.endswith(expected):
            raise RuntimeError("unexpected answer: %r" % answer[:200])

    def head(self, path):
        self.number += 1
        return _HEAD.format(path=path.format(number=self.number),
                            number=self.number).encode("ascii")

    # The trips

    def trip_get(self):
        self.check(self.exchange(self.socket_of("get"), _HEAD.format(
            path="/", number=1).encode("ascii")), b"world!")

    def trip_get_varied(self):
        self.check(self.exchange(self.socket_of("varied"), self.head("/?q={number}")), b"world!")

    def trip_streamed_post(self):
        sock = self.socket_of("post")
        sock.sendall(b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(4):
            sock.sendall(b"x" * 10000)
            self.loop.run_once(0)
        self.check(self.receive(sock, _is_response), b"40000")

    def trip_static_small(self):
        self.check(self.exchange(self.socket_of("small"), self.head("/static/small.css")), b"xx")

    def trip_static_large(self):
        self.check(self.exchange(self.socket_of("large"), self.head("/static/large.css")), b"xx")

    def trip_echo(self):
        sock = self.sockets.get("echo")
        if sock is None:
            sock = self.socket_of("echo")
            sock.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: "
                         b"Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                         b"Sec-WebSocket-Version: 13\r\n\r\n")
            self.receive(sock, lambda data: data.endswith(b"\r\n\r\n"))
        self.number += 1
        message = b"%08x" % self.number * 8 if str is not bytes else "%08x" % self.number * 8
        # A mask of zeros leaves the payload as it is.
        sock.sendall(struct.pack("!BBI", 0x81, 0x80 | len(message), 0) + message)
        self.check(self.receive(sock, lambda data: len(data) == 2 + len(message)), message)

    def trip_feed(self):
        sock = self.socket_of("feed")
        sock.sendall(self.head("/wait"))
        for _ in range(3):
            # The request is read, and waits for a message.
            self.loop.run_once(0)
        text = u"message %d" % self.number
        self.application.feed.publish("room", text)
        self.check(self.receive(sock, _is_response), text.encode("ascii"))

    def client(self, name, kind, **settings):
        client = self.clients.get(name)
        if client is None:
            client = self.clients[name] = kind(io_loop=self.loop, force_instance=True, **settings)
        return client

    def fetch(self, client):
        self.number += 1
        client.fetch("http://127.0.0.1:%d/?q=%d" % (self.port, self.number),
                     self.responses.append)
        deadline = time.time() + LIMIT
        while not self.responses:
            if time.time() > deadline:
                raise RuntimeError("there was no answer in time")
            self.loop.run_once(0)
        self.check(self.responses.pop().body, b"world!")

    def trip_fetch_kept(self):
        self.fetch(self.client("kept", SimpleAsyncHTTPClient))

    def trip_fetch_new(self):
        self.fetch(self.client("new", SimpleAsyncHTTPClient, idle_connection_timeout=0))

    if CurlAsyncHTTPClient is not None:
        def trip_fetch_curl(self):
            self.fetch(self.client("curl", CurlAsyncHTTPClient))


NAMES = sorted(name[5:] for name in dir(Trips) if name.startswith("trip_"))

assert issubclass(SimpleAsyncHTTPClient, AsyncHTTPClient)


def count_calls(names=NAMES, times=7):
    """{trip: Python calls of the package for one}: the least of `times`, after two to warm up,
    because once a second a Date is made and time limits are swept."""
    counts = {}
    trips = Trips()
    calls = []

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls.append(frame.f_code)

    try:
        for name in names:
            trip = getattr(trips, "trip_" + name)
            trip()
            trip()
            found = []
            for _ in range(times):
                del calls[:]
                sys.setprofile(note)
                try:
                    trip()
                finally:
                    sys.setprofile(None)
                found.append(len(calls))
            counts[name] = min(found)
    finally:
        trips.close()
    return counts


def cpu_times(names, count):
    """{trip: microseconds of CPU time for one}, the mean of `count`."""
    clock = getattr(time, "process_time", time.clock if str is bytes else None)
    trips = Trips()
    found = {}
    try:
        for name in names:
            trip = getattr(trips, "trip_" + name)
            for _ in range(max(2, count // 20)):
                trip()
            begin = clock()
            for _ in range(count):
                trip()
            found[name] = (clock() - begin) * 1e6 / count
    finally:
        trips.close()
    return found


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def compare(other, names, rounds, count):
    """Print the CPU time of each trip in this tree and in the folder `other`, and the median of
    the rounds' ratios. The trees take turns, and each is first in every other round."""
    here = os.path.dirname(os.path.dirname(PACKAGE))
    figures = {here: [], other: []}
    for number in range(rounds):
        for tree in [here, other] if number % 2 else [other, here]:
            output = subprocess.check_output(
                [sys.executable, os.path.abspath(__file__), "--cpu", "--count", str(count)] + names,
                env=dict(os.environ, PYTHONPATH=tree), cwd=tree)
            figures[tree].append(json.loads(output.decode("ascii")))
    print("%-16s %10s %10s %8s   (medians of %d rounds, microseconds of CPU a trip)" % (
        "trip", "other", "this", "ratio", rounds))
    for name in names:
        mine, theirs = [[figure[name] for figure in figures[tree]] for tree in (here, other)]
        print("%-16s %10.1f %10.1f %8.3f" % (name, median(theirs), median(mine), median(
            [new / old for new, old in zip(mine, theirs)])))


def main():
    parser = argparse.ArgumentParser(description="Measure the trips through the package.")
    parser.add_argument("--against", metavar="FOLDER",
                        help="compare CPU time with this other tree")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--count", type=int, default=2000,
                        help="trips of each kind in a round (default: %(default)s)")
    parser.add_argument("--cpu", action="store_true",
                        help="print the CPU time of this tree alone, as JSON")
    parser.add_argument("trips", metavar="TRIP", nargs="*", help="one of %s" % ", ".join(NAMES))
    options = parser.parse_args()
    names = options.trips or NAMES
    if options.against:
        compare(os.path.abspath(options.against), names, options.rounds, options.count)
    elif options.cpu:
        print(json.dumps(cpu_times(names, options.count)))
    else:
        for name, calls in sorted(count_calls(names).items()):
            print("%-16s %4d calls" % (name, calls))


if __name__ == "__main__":
    main()
