"""The load: wrk if it is installed, else a small generator; and single connections.

Every answer is checked. Our own generator looks at each: status 200 and the right body. With wrk,
none may be an error, and the bytes of the whole run must match that many right answers.
"""
from __future__ import absolute_import, division, print_function

import collections
import contextlib
import os
import re
import select
import socket
import subprocess
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

CONTENT_LENGTH = re.compile(br"\r\nContent-Length: *([0-9]{1,9})\r\n", re.IGNORECASE)

# `length`: head and body, in bytes.
Answer = collections.namedtuple("Answer", "status body length")


def request(path="/", headers=()):
    """The bytes of a GET."""
    lines = ["GET %s HTTP/1.1" % path, "Host: " + HOST] + list(headers) + ["", ""]
    return "\r\n".join(lines).encode("ascii")


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
        self._socket.sendall(request(path, headers))

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


def warm_up(port, body, headers=(), requests=200, path="/"):
    """Send requests one after another and check every answer. Return the length of one."""
    with contextlib.closing(Client(port)) as client:
        for _ in range(requests):
            answer = client.get(path, headers)
            check(answer, body)
    return answer.length


def drive(port, body, headers, seconds, path="/"):
    """Load `port` from this process. Return requests a second.

    Python is slower than wrk: a fast server then waits for us, and ratios come out too small.
    """
    poller = select.epoll()
    payload = request(path, headers)
    clients = {}
    served = 0
    right = None  # the bytes checked last; they change once a second, with the Date
    try:
        for _ in range(CONNECTIONS):
            client = socket.create_connection((HOST, port), PATIENCE_SECONDS)
            clients[client.fileno()] = client
            poller.register(client.fileno(), select.EPOLLIN)
            client.sendall(payload)
        unfinished = {}
        started = clock()
        while clock() - started < seconds:
            for fd, _ in poller.poll(seconds):
                piece = clients[fd].recv(65536)
                if not piece:
                    raise machine.BenchmarkError("the server closed a connection")
                data = unfinished.pop(fd, b"") + piece
                if data != right:
                    answer = first_answer(data)
                    if answer is None:
                        unfinished[fd] = data
                        continue
                    check(answer, body)
                    right = data
                served += 1
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


def measure(port, body, headers, seconds, length, core, path="/"):
    """Load `path` at `port` over 64 keep-alive connections. Return requests a second.

    `length`: of one right answer, as `warm_up` found it. wrk wants whole seconds: rounded up.
    """
    if not machine.has_program("wrk"):
        return drive(port, body, headers, seconds, path)
    command = ["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%ds" % max(1, -int(-seconds // 1)),
               "-s", WRK_SCRIPT]
    for header in headers:
        command += ["-H", header]
    command.append("http://%s:%d%s" % (HOST, port, path))
    process = subprocess.Popen(machine.on_core(core, command), close_fds=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               universal_newlines=True)
    return wrk_rate(process.communicate()[0], length)


def name():
    return "wrk" if machine.has_program("wrk") else "loadgen.py"
