"""B395: servers that share their listening sockets."""
from __future__ import absolute_import, division, print_function

import socket
import subprocess
import sys
import unittest

from friendserve.httpserver import HTTPServer
from friendserve.netutil import bind_sockets
from friendserve.tcpserver import FEW_ACCEPTS, TCPServer
from tests import PATIENCE, ROOT
from tests.httpcase import HTTPCase, answer, get


class SharedTest(HTTPCase):
    def share(self, *rules):
        """A server for each `may_accept`, all with the same socket; `accepted` are their indices in
        the order of the connections."""
        sock, = bind_sockets(0, "127.0.0.1")
        self.accepted, self.servers = [], []
        for number, rule in enumerate(rules):
            server = HTTPServer(answer)
            self.note_connections(server, number)
            server.share_sockets(rule)
            shared = socket.fromfd(sock.fileno(), sock.family, sock.type)
            shared.setblocking(False)
            server.add_socket(shared)
            server.address = sock.getsockname()
            self.addCleanup(self.close_server, server)
            self.servers.append(server)
        sock.close()
        self.server = server

    def note_connections(self, server, number):
        handle = server.handle_stream

        def handle_stream(stream, address):
            self.accepted.append(number)
            handle(stream, address)
        server.handle_stream = handle_stream

    def test_b395_few_are_accepted_in_a_turn(self):
        self.share(None)
        for _ in range(3 * FEW_ACCEPTS):
            self.connect()
        for turn in range(1, 4):
            self.run_until(lambda: len(self.accepted) >= turn * FEW_ACCEPTS)
            self.assertEqual(turn * FEW_ACCEPTS, len(self.accepted))

    def test_b395_one_that_has_more_than_its_share_leaves_them_to_the_other(self):
        def rule(number):
            return lambda: self.accepted.count(number) <= len(self.accepted) / 2
        self.share(rule(0), rule(1))
        for _ in range(20):
            client = self.connect(data=get())
            self.assertEqual(200, client.read_response().status)
        for number in range(2):
            self.assertLessEqual(abs(self.accepted.count(number) - 10), 1, self.accepted)

    def test_b395_what_nothing_else_accepts_is_served_all_the_same(self):
        self.share(lambda: False)
        for _ in range(3):
            client = self.connect(data=get())
            self.assertEqual(200, client.read_response().status)

    def test_b395_a_server_may_stop_while_it_leaves_them_to_others(self):
        self.share(lambda: False, None)
        self.servers[1].stop_accepting()
        client = self.connect(data=get())
        self.turn(1)
        self.assertEqual([], self.accepted)
        self.servers[0].stop()
        self.turn(0.01, 3)
        # The socket itself is open in the other.
        self.assertEqual([], self.accepted)
        self.servers[1].add_socket(self.servers[1]._listening.pop()[0])
        self.assertEqual(200, client.read_response().status)
        self.assertEqual([1], self.accepted)

    def test_b395_too_late(self):
        self.share(None)
        with self.assertRaises(RuntimeError):
            self.server.share_sockets()
        self.assertFalse(TCPServer()._accepting)


PROGRAM = """
import mmap, os, signal, socket, struct, sys
from friendserve.httpserver import HTTPServer
from friendserve.httputil import HTTPHeaders
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets

PROCESSES, CONNECTIONS = 4, 200
signal.alarm(%d)
sock, = bind_sockets(0, "127.0.0.1")
board = mmap.mmap(-1, 4 * PROCESSES)

def counts():
    return struct.unpack("4I", board[:])

def serve(slot):
    server = HTTPServer(lambda request: request.connection.respond(200, "OK", HTTPHeaders(), b""))
    server.share_sockets(lambda: counts()[slot] <= sum(counts()) / float(PROCESSES))
    handle = server.handle_stream

    def handle_stream(stream, address):
        handle(stream, address)
        board[4 * slot:4 * slot + 4] = struct.pack("I", server.connection_count())

    server.handle_stream = handle_stream
    server.add_socket(sock)
    IOLoop.current().start()

children = []
for slot in range(PROCESSES):
    child = os.fork()
    if not child:
        signal.alarm(%d)
        serve(slot)
    children.append(child)
clients = []
try:
    while len(clients) < CONNECTIONS:
        # Ten at a time, and the next ten when these are served.
        group = [socket.create_connection(sock.getsockname()) for _ in range(10)]
        for client in group:
            client.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        for client in group:
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        clients += group
    print(" ".join(map(str, counts())))
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
"""


class ProcessesTest(unittest.TestCase):
    def test_b395_connections_spread_within_20_percent_of_even(self):
        limit = 2 * PATIENCE
        child = subprocess.Popen([sys.executable, "-c", PROGRAM % (limit, limit)], cwd=ROOT,
                                 stdout=subprocess.PIPE)
        self.addCleanup(child.stdout.close)
        counts = [int(word) for word in child.communicate()[0].split()]
        self.assertEqual((4, 200, 0), (len(counts), sum(counts), child.returncode))
        for count in counts:
            self.assertTrue(40 <= count <= 60, counts)
