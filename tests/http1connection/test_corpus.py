"""Every file in corpus/http1 is sent to a server whole, byte by byte, by line and in random pieces.

A file has its `input` (octets as latin-1; [text, times] repeats), the `requests` that must result
as (method, target, host, body), and the `end`: "open", "closed", or the status that refuses the
rest.
"""
from __future__ import absolute_import, division, print_function

import io
import json
import logging
import os
import random
import re
import socket

from friendserve.httpserver import HTTPServer
from friendserve.iostream import IOStream
from tests import CORPUS
from tests.corpuscase import for_each_file
from tests.httpcase import Client, HTTPCase, LogCatcher, answer

HTTP1_CORPUS = os.path.join(CORPUS, "http1")
NAMES = sorted(os.listdir(HTTP1_CORPUS))
SEED = 20091109
#: Longer inputs are not sent byte by byte from beginning to end.
LONG = 2000


def load(name):
    with io.open(os.path.join(HTTP1_CORPUS, name), encoding="utf-8") as source:
        case = json.load(source)
    case["input"] = u"".join(part if not isinstance(part, list) else part[0] * part[1]
                             for part in case["input"]).encode("latin-1")
    return case


def as_text(value):
    """Octets as stored in JSON."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def by_byte(data):
    """One byte at a time; for long data only the beginning and the end."""
    middle = data[64:-64] if len(data) > LONG else b""
    start, end = (data[:64], data[-64:]) if middle else (data, b"")
    return ([start[i:i + 1] for i in range(len(start))]
            + [middle[i:i + 997] for i in range(0, len(middle), 997)]
            + [end[i:i + 1] for i in range(len(end))])


def by_line(data):
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def at_random(data, generator):
    places = sorted(generator.randint(0, len(data)) for _ in range(generator.randint(1, 6)))
    return [data[start:end] for start, end in zip([0] + places, places + [len(data)])]


def damage(data, generator):
    """`data` with a few bytes removed, duplicated or inserted."""
    for _ in range(generator.randint(1, 3)):
        place = generator.randint(0, len(data))
        width = generator.randint(0, 3)
        data = data[:place] + generator.choice([
            b"", b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\xff", b";", b"0", b"5", b",",
            data[place:place + width] * 2, data[:place]]) + data[place + width:]
    return data


def ways(name, data):
    """(what, pieces) for each way to send `data`."""
    yield "whole", [data]
    yield "by byte", by_byte(data)
    if data.count(b"\n") < LONG // 4:
        yield "by line", by_line(data)
    for number in range(4):
        seed = "%d %s %d" % (SEED, name, number)
        yield "cut by %r" % seed, at_random(data, random.Random(seed))


class CorpusCase(HTTPCase):
    """A server, and connections to it over socket pairs."""
    def setUp(self):
        super(CorpusCase, self).setUp()
        self.requests = []
        self.server = HTTPServer(self.on_request)
        self.addCleanup(self.server.close_all_connections)

    def on_request(self, request):
        self.requests.append([as_text(value) for value in (
            request.method, request.uri, request.headers.get("Host", ""), request.body)])
        answer(request)

    def open_connection(self):
        ours, theirs = socket.socketpair()
        self.server.handle_stream(IOStream(ours), "")
        theirs.setblocking(False)
        self.addCleanup(theirs.close)
        return Client(self, theirs)


@for_each_file("http1", at_least=250)
class CorpusTest(CorpusCase):
    # A009 A023 A031 A032 A036 A037 A039 A054 A056 A101-A137 A139 A206 B120 B121 B127 B128 B140
    # B144: each file names its cases.

    def check_file(self, path):
        name = os.path.basename(path)
        case = load(name)
        for what, pieces in ways(name, case["input"]):
            self.check(what, case, pieces)

    def check(self, what, case, pieces):
        self.requests = []
        with LogCatcher() as records:
            client = self.open_connection()
            for piece in pieces:
                client.send(piece)
                self.turn(times=2)
            self.check_answers(what, case, client)
            client.close()
            self.turn(times=4)
        self.assertEqual(self.requests, case["requests"], what)
        refused = isinstance(case["end"], int)
        self.assertEqual([(record.levelno, record.exc_info) for record in records],
                         [(logging.INFO, None)] if refused else [],
                         "%s: %s" % (what, [record.message for record in records]))
        self.assertEqual(0, self.server.connection_count(), what)

    def check_answers(self, what, case, client):
        # A correct server answers at once; the time limit only ends a failing test.
        for method, _, _, _ in case["requests"]:
            self.assertEqual(client.read_response(method).status, 200, what)
        if isinstance(case["end"], int):
            response = client.read_response()
            self.assertEqual(response.status, case["end"], what)
            self.assertEqual(response.headers["Connection"], "close", what)
        if case["end"] == "open":
            self.turn(times=4)
            client.receive()
            self.assertFalse(client.ended, what)
        else:
            client.wait_for(lambda: client.ended)
            self.assertFalse(client.reset, what)
        self.assertEqual(client.data, b"", what)


class CuttingTest(CorpusCase):
    def outcome(self, pieces):
        """(requests, statuses, whether the server closed) after all pieces have been sent.

        All refusals are "4": with two faults, either may be reported.
        """
        self.requests = []
        client = self.open_connection()
        for piece in pieces:
            client.send(piece)
            self.turn(times=2)
        quiet = 0
        while quiet < 5:
            self.turn()
            quiet = 0 if client.receive() else quiet + 1
        self.assertFalse(client.reset)
        client.close()
        self.turn(times=4)
        data = client.data.replace(b"HTTP/1.1 505", b"HTTP/1.1 400")
        return self.requests, re.findall(b"HTTP/1.1 ([24])", data), client.ended

    def test_damaged_inputs(self):
        # Cutting any input elsewhere changes nothing, and nothing raises.
        generator = random.Random(SEED)
        inputs = [data for data in (load(name)["input"] for name in NAMES)
                  if 0 < len(data) < 400]
        with LogCatcher() as records:
            for number in range(400):
                data = damage(generator.choice(inputs), generator)
                whole = self.outcome([data])
                self.assertEqual(self.outcome(by_byte(data)), whole, repr(data))
                self.assertEqual(self.outcome(at_random(data, generator)), whole, repr(data))
            self.assertEqual(self.outcome([inputs[0]]), self.outcome([inputs[0]]))
        self.assertFalse([record.message for record in records
                          if record.levelno > logging.INFO or record.exc_info])
        self.assertEqual(0, self.server.connection_count())

    def test_a114_end_of_input_before_the_end_of_a_request(self):
        for name in ("a114_no_final_crlf.json", "partial_body.json", "partial_head.json"):
            client = self.open_connection()
            client.send(load(name)["input"])
            self.turn(times=3)
            client.end()
            self.assertEqual(client.read_rest(), b"", name)
        self.assertEqual(self.requests, [])
