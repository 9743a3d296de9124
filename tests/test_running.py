"""Application.run: a program that says what it does, as a user sees it in a terminal."""
from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from six.moves.urllib.request import urlopen

from tests import PATIENCE, ROOT

PROGRAM = """
import sys
from friendserve.ioloop import IOLoop
from friendserve.web import Application, RequestHandler, asynchronous

class Hello(RequestHandler):
    def get(self):
        self.write("hello")

class Slow(RequestHandler):
    @asynchronous
    def get(self):
        sys.stdout.write("asked\\n")
        sys.stdout.flush()
        IOLoop.current().call_later(0.3, self.finish, "slow")

print("before")
Application([("/", Hello), ("/slow", Slow)]).run(0%s)
print("after")
"""


class RunTest(unittest.TestCase):
    def start(self, options=""):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "hello.py")
        with open(path, "w") as program:
            program.write(PROGRAM % options)
        self.errors = os.path.join(folder, "errors")
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, path], stdout=subprocess.PIPE, stderr=errors, bufsize=0,
                env=dict(os.environ, PYTHONPATH=ROOT))
        self.addCleanup(self.end)
        match = self.wait_for(r"Serving on (http://127\.0\.0\.1:[0-9]+/) \(Ctrl-C to stop\)\n")
        return match.group(1)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def said(self):
        with open(self.errors) as errors:
            return errors.read()

    def wait_for(self, pattern):
        deadline = time.time() + PATIENCE
        while True:
            match = re.search(pattern, self.said())
            if match is not None:
                return match
            self.assertIsNone(self.process.poll(), self.said())
            self.assertLess(time.time(), deadline, self.said())
            time.sleep(0.01)

    def test_the_address_requests_and_a_quiet_end(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            url = self.start()
            self.assertEqual(b"hello", urlopen(url, timeout=PATIENCE).read())
            self.wait_for(r"200 GET / \(127\.0\.0\.1\)")
            self.process.send_signal(number)
            output = self.process.communicate()[0]
            self.assertEqual(0, self.process.returncode)
            # What follows `run` in the program is executed.
            self.assertTrue(output.endswith(b"after\n"), output)
            self.assertNotIn("Traceback", self.said())

    def test_requests_in_progress_are_answered_at_the_end(self):
        url = self.start()
        client = subprocess.Popen([sys.executable, "-c", (
            "from six.moves.urllib.request import urlopen\n"
            "print(urlopen(%r).read().decode())" % (url + "slow"))], stdout=subprocess.PIPE)
        self.addCleanup(client.wait)
        self.addCleanup(client.stdout.close)
        line = b""
        while line != b"asked\n":
            line = self.process.stdout.readline()
            self.assertTrue(line)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(b"slow\n", client.communicate()[0])
        self.assertEqual(0, self.process.wait())
