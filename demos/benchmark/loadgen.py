"""The load: wrk if it is installed, else a small generator; and single connections.

Every answer is checked. Our own generator looks at each: status 200 and the right body. With wrk,
none may be an error, and the bytes of the whole run must match that many right answers.
"""
from __future__ import absolute_import, division, print_function

import collections
import contextlib
import itertools
import os
import random
import re
import select
import socket
import subprocess
import tempfile
from timeit import default_timer as clock

import machine

HOST = "127.0.0.1"
CONNECTIONS = 64
PATIENCE_SECONDS = 30
WRK_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")

# The headers that a browser sends for a click on a link, besides Host.
BROWSER_HEADERS = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: http://127.0.0.1/feed",
    "Cookie: user=2|1:0|10:1262304000|4:user|8:cGF1bA==|9f2c; theme=light; seen=1262300000",
    "Cache-Control: max-age=0",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
]

VARIED_REQUESTS = 20000

CONTENT_LENGTH = re.compile(br"\r\nContent-Length: *([0-9]{1,9})\r\n", re.IGNORECASE)

#: A request, in bytes, and the body of the right answer.
Exchange = collections.namedtuple("Exchange", "request body")

# `length`: head and body, in bytes.
Answer = collections.namedtuple("Answer", "status body length")


def request(path="/", headers=()):
    """The bytes of a GET."""
    lines = ["GET %s HTTP/1.1" % path, "Host: " + HOST] + list(headers) + ["", ""]
    return "\r\n".join(lines).encode("ascii")


def varied_exchanges(answers_vary, count=VARIED_REQUESTS):
    """`count` different Exchanges, as browsers of many people make them: another query, User-Agent,
    Referer, Cookie and X-Request-Id each time. The answer is ``Hello, world!``, or
    ``Hello, NAME!`` with another name each time if `answers_vary`.

    The same ones each time, and all answers are of one length.
    """
    source = random.Random(2009)
    exchanges = []
    for number in range(count):
        name = "user%08d" % source.randrange(10 ** 8) if answers_vary else "world"
        path = "/hello/%s" % name if answers_vary else "/"
        version = source.randrange(100, 150)
        changed = dict([line.split(": ", 1) for line in BROWSER_HEADERS])
        changed.update({
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:%d.%d) Gecko/20100101 Firefox/%d.%d"
                          % (version, number % 10, version, number % 10),
            "Referer": "http://127.0.0.1/feed?page=%d" % number,
            "Cookie": "user=2|1:0|10:%d|4:user|8:cGF1bA==|%032x; theme=light; seen=%d" % (
                1262304000 + number, source.getrandbits(128), 1262300000 + number),
            "X-Request-Id": "%032x" % source.getrandbits(128),
        })
        query = "?q=%08x&start=%d" % (source.getrandbits(32), number)
        exchanges.append(Exchange(
            request(path + query, ["%s: %s" % pair for pair in sorted(changed.items())]),
            ("Hello, %s!" % name).encode("ascii")))
    return exchanges


def first_answer(data):
    """The first answer in `data`, or None while it is incomplete.

    Raises BenchmarkError when it does not say its length: every server measured here does.
    """
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    found = CONTENT_LENGTH.search(data, 0, end)
    if not data.startswith(b"HTTP/1.1 ") or not found:
        raise machine.BenchmarkError("not an answer with a Content-Length: %r" % data[:200])
    length = end + int(found.group(1))
    if len(data) < length:
        return None
    return Answer(int(data[9:12]), data[end:length], length)


def check(answer, body):
    """Raise BenchmarkError unless `answer` is a 200 with `body`."""
    if answer.status != 200 or answer.body != body:
        raise machine.BenchmarkError("wrong answer: status %d, %r instead of %r"
                                     % (answer.status, answer.body[:100], body))


class Client(object):
    """One keep-alive connection that waits up to 30 seconds for each answer.

    `source`: the address to connect from, or None for the system's choice.
    """

    def __init__(self, port, source=None):
        self._socket = socket.create_connection((HOST, port), PATIENCE_SECONDS,
                                                (source, 0) if source else None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self):
        return self._socket.fileno()

    def send(self, path="/", headers=()):
        self.send_bytes(request(path, headers))

    def send_bytes(self, data):
        self._socket.sendall(data)

    def receive(self):
        """The Answer. Raises BenchmarkError if the server closes instead."""
        data = b""
        answer = None
        while answer is None:
            piece = self._socket.recv(65536)
            if not piece:
                raise machine.BenchmarkError("the server closed the connection")
            data += piece
            answer = first_answer(data)
        return answer

    def get(self, path="/", headers=()):
        self.send(path, headers)
        return self.receive()

    def close(self):
        self._socket.close()


def warm_up(port, exchanges, count=200):
    """Send `count` requests one after another and check every answer. Return the length of one.

    Raises BenchmarkError if the answers have more than one length.
    """
    lengths = set()
    with contextlib.closing(Client(port)) as client:
        for exchange in itertools.islice(itertools.cycle(exchanges), count):
            client.send_bytes(exchange.request)
            answer = client.receive()
            check(answer, exchange.body)
            lengths.add(answer.length)
    if len(lengths) > 1:
        raise machine.BenchmarkError("the answers have several lengths: %s" % sorted(lengths))
    return lengths.pop()


def drive(port, exchanges, seconds):
    """Load `port` from this process with `exchanges` in turn. Return requests a second.

    Python is slower than wrk: a fast server then waits for us, and ratios come out too small.
    """
    poller = select.epoll()
    upcoming = itertools.cycle(exchanges)
    clients = {}
    bodies = {}
    served = 0
    right = None  # (body, bytes) checked last; the bytes change once a second, with the Date
    try:
        for _ in range(CONNECTIONS):
            client = socket.create_connection((HOST, port), PATIENCE_SECONDS)
            clients[client.fileno()] = client
            poller.register(client.fileno(), select.EPOLLIN)
            payload, bodies[client.fileno()] = next(upcoming)
            client.sendall(payload)
        unfinished = {}
        started = clock()
        while clock() - started < seconds or not served:
            if clock() - started > seconds + PATIENCE_SECONDS:
                raise machine.BenchmarkError("no answer in %d seconds" % PATIENCE_SECONDS)
            for fd, _ in poller.poll(seconds):
                piece = clients[fd].recv(65536)
                if not piece:
                    raise machine.BenchmarkError("the server closed a connection")
                data = unfinished.pop(fd, b"") + piece
                if (bodies[fd], data) != right:
                    answer = first_answer(data)
                    if answer is None:
                        unfinished[fd] = data
                        continue
                    check(answer, bodies[fd])
                    right = bodies[fd], data
                served += 1
                payload, bodies[fd] = next(upcoming)
                clients[fd].sendall(payload)
        return served / (clock() - started)
    finally:
        poller.close()
        for client in clients.values():
            client.close()


def wrk_rate(output, length):
    """Requests a second, from the output of wrk with our script.

    Raises BenchmarkError when an answer was an error, or when the bytes received are not those
    of as many answers of `length` bytes, apart from those still in flight at the end.
    """
    totals = dict((name, int(value)) for name, value in re.findall("([a-z]+)=([0-9]+)", output))
    if "microseconds" not in totals:
        raise machine.BenchmarkError("wrk printed no totals: %r" % output)
    wrong = ["%s: %d" % (name, totals[name])
             for name in ("connect", "read", "write", "status", "timeout") if totals[name]]
    if wrong:
        raise machine.BenchmarkError("wrk counted errors (%s)" % ", ".join(wrong))
    expected = totals["requests"] * length
    if not expected <= totals["bytes"] <= expected + CONNECTIONS * length:
        raise machine.BenchmarkError("%d answers of %d bytes are not the %d bytes received"
                                     % (totals["requests"], length, totals["bytes"]))
    return totals["requests"] * 1e6 / totals["microseconds"]


def measure(port, exchanges, seconds, length, core):
    """Load `port` with `exchanges` in turn over 64 keep-alive connections. Return requests a
    second.

    `length`: of one right answer, as `warm_up` found it. wrk wants whole seconds: rounded up.
    """
    if not machine.has_program("wrk"):
        return drive(port, exchanges, seconds)
    with tempfile.NamedTemporaryFile() as requests:
        requests.write(b"".join([exchange.request + b"\0" for exchange in exchanges]))
        requests.flush()
        command = ["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%ds" % max(1, -int(-seconds // 1)),
                   "-s", WRK_SCRIPT, "http://%s:%d" % (HOST, port), "--", requests.name]
        process = subprocess.Popen(machine.on_core(core, command), close_fds=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   universal_newlines=True)
        return wrk_rate(process.communicate()[0], length)


def name():
    return "wrk" if machine.has_program("wrk") else "loadgen.py"
