"""The small demos, run as users run them: each program in a separate process."""
from __future__ import absolute_import, division, print_function

import os
import re
import socket
import subprocess
import sys
import unittest

from six.moves.urllib.request import urlopen

from friendserve.web import Application
from tests.demo_server import ROOT, TIMEOUT, DemoServer, load_demo


def start(*command, **options):
    """A Python program of demos/, with its standard output as a pipe."""
    path = os.path.join(ROOT, "demos", command[0])
    return subprocess.Popen(
        [sys.executable, path] + list(command[1:]), env=dict(os.environ, PYTHONPATH=ROOT),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


class HelloTest(unittest.TestCase):
    def test_hello(self):
        demo = load_demo(os.path.join(ROOT, "demos", "helloworld", "helloworld.py"))
        server = DemoServer(lambda: Application([("/", demo.Hello)]))
        self.addCleanup(server.stop)
        answer = urlopen(server.url + "/", timeout=TIMEOUT)
        self.addCleanup(answer.close)
        self.assertEqual(b"Hello from one thread.\n", answer.read())


class EchoTest(unittest.TestCase):
    def setUp(self):
        self.server = start("tcpecho/server.py", "--port", "0")
        self.addCleanup(self.stop, self.server)
        line = self.server.stdout.readline().decode("ascii")
        self.port = re.match(r"echoing on 127\.0\.0\.1:([0-9]+)$", line).group(1)

    def stop(self, process):
        if process.poll() is None:
            process.kill()
            process.communicate()

    def client(self, arguments, text=None):
        """(status, lines of output) of the client."""
        client = start("tcpecho/client.py", "--port", self.port, *arguments)
        output = client.communicate(text)[0].decode("utf-8")
        return client.returncode, output.splitlines()

    def test_lines_from_the_command_line(self):
        self.assertEqual((0, ["one line", "", "and another"]),
                         self.client(["one line", "", "and another"]))

    def test_lines_from_standard_input(self):
        lines = ["line %d" % number for number in range(50)]
        self.assertEqual((0, lines), self.client([], "\n".join(lines).encode("ascii")))

    def test_two_clients(self):
        first = socket.create_connection(("127.0.0.1", int(self.port)), TIMEOUT)
        self.addCleanup(first.close)
        first.sendall(b"half a li")
        self.assertEqual((0, ["second"]), self.client(["second"]))
        first.sendall(b"ne\nrest")
        self.assertEqual(b"half a line\n", self.receive(first, 12))

    def test_too_long_a_line_ends_the_connection(self):
        client = socket.create_connection(("127.0.0.1", int(self.port)), TIMEOUT)
        self.addCleanup(client.close)
        try:
            client.sendall(b"x" * 200000)
        except socket.error:
            pass
        self.assertEqual(b"", self.receive(client, 1))
        self.assertEqual((0, ["others go on"]), self.client(["others go on"]))

    def receive(self, client, count):
        data = b""
        while len(data) < count:
            try:
                chunk = client.recv(count - len(data))
            except socket.error:
                chunk = b""
            if not chunk:
                break
            data += chunk
        return data

    def test_client_says_when_there_is_no_server(self):
        self.stop(self.server)
        status, lines = self.client(["hello"])
        self.assertEqual(1, status)
        self.assertIn("did not echo every line", lines[-1])


if __name__ == "__main__":
    unittest.main()
