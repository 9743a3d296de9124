"""The programs of demos/embed, started and stopped as their docstrings say: each serves its clients
and its status page, holds a long poll until an event, and leaves nothing behind."""
from __future__ import absolute_import, division, print_function

import errno
import io
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from six.moves import http_client
from six.moves.urllib.parse import urlsplit
from six.moves.urllib.request import urlopen

from friendserve.escape import json_decode
from tests import PATIENCE, ROOT
from tests.services import free_port
from tests.twistedcase import needs_twisted

FOLDER = os.path.join(ROOT, "demos", "embed")

#: As the script twistd does.
TWISTD = "from twisted.scripts.twistd import run; run()"


def get(url):
    answer = urlopen(url, timeout=PATIENCE)
    try:
        return answer.read().decode("utf-8")
    finally:
        answer.close()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    try:
        # In a container, the parent of all orphans may not reap them.
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except EnvironmentError:
        return not os.path.isdir("/proc/self")


class EmbedTest(unittest.TestCase):
    """`pid` is that of the program, whose files are in `folder`."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.pid_file = os.path.join(self.folder, "pid")
        self.said = os.path.join(self.folder, "said")

    def start(self, *arguments, **environment):
        """Run Python with these arguments until the program says where it listens."""
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                (sys.executable,) + arguments, cwd=FOLDER, stdout=said, stderr=subprocess.STDOUT,
                env=dict(os.environ, PYTHONPATH=ROOT, **environment))
        self.addCleanup(self.kill, self.process.pid)
        self.wait_for(lambda: "status page" in self.output(), "the line with the ports")
        port, self.url = re.search(r"port ([0-9]+), status page (\S+)", self.output()).groups()
        self.port = int(port)
        self.state = json_decode(get(self.url + "wait"))
        self.pid = self.state["pid"]
        self.addCleanup(self.kill, self.pid)

    def kill(self, pid):
        if self.process.poll() is None or pid != self.process.pid and is_alive(pid):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def output(self):
        with io.open(self.said, encoding="utf-8") as said:
            return said.read()

    def wait_for(self, condition, what):
        waiting = threading.Event()
        for _ in range(PATIENCE * 50):
            if condition():
                return
            waiting.wait(0.02)
        self.fail("not within %d seconds: %s\n%s" % (PATIENCE, what, self.output()))

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(client.close)
        self.assertEqual(b"3\n", self.ask(client, b"one two three\n"))
        return client

    def ask(self, client, line):
        client.sendall(line)
        answer = b""
        while not answer.endswith(b"\n"):
            received = client.recv(100)
            self.assertTrue(received, "the connection was closed")
            answer += received
        return answer

    def long_poll(self):
        """A connection on which a long poll has been sent."""
        poll = http_client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)
        self.addCleanup(poll.close)
        poll.request("GET", "/wait?after=" + self.state["cursor"])
        return poll

    def read_answer(self, poll):
        state = json_decode(poll.getresponse().read().decode("utf-8"))
        self.assertNotEqual(self.state["cursor"], state["cursor"], "nothing has changed")
        self.state = state

    def poll_until(self, condition):
        """Have long polls until this is true of the state."""
        while not condition(self.state):
            self.read_answer(self.long_poll())

    def check_service(self, title):
        """The page, and the long poll, while clients come and go."""
        page = get(self.url)
        self.assertIn("<h1>%s</h1>" % title, page)
        for name in re.findall('(?:href|src)="/([^"]+)"', page):
            self.assertTrue(get(self.url + name))
        self.assertEqual([], self.state["events"])
        poll = self.long_poll()
        # Whatever has been answered before these is here.
        for _ in range(3):
            get(self.url)
        self.assertEqual([], select.select([poll.sock], [], [], 0)[0], "it is not held")
        client = self.connect()
        self.read_answer(poll)
        self.assertEqual(1, len(self.state["events"]))
        self.poll_until(lambda state: dict(state["figures"])["clients"] == 1)
        self.assertEqual(b"2\n", self.ask(client, b"and two\n"))
        client.close()
        self.poll_until(lambda state: dict(state["figures"])["clients"] == 0)
        self.assertIn(" left", self.state["events"][0][1])

    def check_end(self):
        """SIGTERM ends it, while a client is connected and a long poll is held."""
        client = self.connect()
        self.poll_until(lambda state: dict(state["figures"])["clients"] == 1)
        poll = self.long_poll()
        get(self.url)
        os.kill(self.pid, signal.SIGTERM)
        self.assertEqual(b"", client.recv(100))
        self.wait_for(lambda: self.process.poll() is not None, "the end of the program")
        self.wait_for(lambda: not is_alive(self.pid), "the end of the daemon")
        # The poll may have been answered, because the client has left.
        while poll.sock.recv(10000):
            pass
        self.assertRaises(EnvironmentError, socket.create_connection, ("127.0.0.1", self.port),
                          PATIENCE)
        self.assertFalse(os.path.exists(self.pid_file))
        self.assertNotIn("Traceback", self.output())

    def test_b299_threads(self):
        self.start("socketserver_daemon.py", "--port=0", "--status-port=0")
        self.check_service("Word counter in threads")
        self.check_end()
        self.assertEqual(0, self.process.returncode, self.output())

    if sys.version_info >= (3, 7):
        def test_b299_asyncio(self):
            self.start("-X", "dev", "asyncio_service.py", "--port=0", "--status-port=0")
            self.check_service("Word counter on asyncio")
            self.check_end()
            self.assertEqual(0, self.process.returncode, self.output())
            self.assertEqual(1, self.output().count("\n"), self.output())

    @needs_twisted
    def test_b299_twistd(self):
        self.start("-c", TWISTD, "--nodaemon", "--pidfile=" + self.pid_file,
                   "--python=twisted_service.py", PORT="0", STATUS_PORT="0")
        self.assertTrue(os.path.exists(self.pid_file))
        self.check_service("Word counter on Twisted")
        self.check_end()
        self.assertIn("Server Shut Down", self.output())

    @needs_twisted
    def test_b299_twistd_as_a_daemon(self):
        self.start("-c", TWISTD, "--pidfile=" + self.pid_file, "--logfile=" + self.said,
                   "--python=twisted_service.py", PORT="0", STATUS_PORT="0")
        self.assertNotEqual(self.process.pid, self.pid)
        self.check_service("Word counter on Twisted")
        self.check_end()

    def test_b299_processes(self):
        self.start("forking_daemon.py", "--port=0", "--status-port=0", "--foreground",
                   "--pid-file=" + self.pid_file)
        self.assertEqual(self.process.pid, self.pid)
        self.check_service("Word counter in processes")
        self.check_end()
        self.assertEqual(0, self.process.returncode, self.output())

    def test_b299_a_daemon_and_its_processes(self):
        self.start("forking_daemon.py", "--port=0", "--status-port=0",
                   "--pid-file=" + self.pid_file)
        self.assertNotEqual(self.process.pid, self.pid)
        with open(self.pid_file) as pid_file:
            self.assertEqual("%d\n" % self.pid, pid_file.read())
        self.check_service("Word counter in processes")
        self.check_end()
        children = [int(number) for _, text in self.state["events"]
                    for number in re.findall("process ([0-9]+)", text)]
        self.assertEqual(2, len(set(children)))
        self.assertEqual([], [pid for pid in children if is_alive(pid)])

    def test_b299_a_daemon_says_that_its_port_is_in_use(self):
        port = free_port()
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        process = subprocess.Popen(
            [sys.executable, "forking_daemon.py", "--port=%d" % port, "--status-port=0",
             "--pid-file=" + self.pid_file], cwd=FOLDER, env=dict(os.environ, PYTHONPATH=ROOT),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = process.communicate()[0].decode("utf-8")
        self.assertEqual(1, process.returncode, said)
        self.assertIn("in use", said)
        self.assertFalse(os.path.exists(self.pid_file))
