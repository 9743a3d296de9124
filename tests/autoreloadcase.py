"""Shared by the tests of autoreload: a program in a separate process that restarts."""
from __future__ import absolute_import, division, print_function

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from tests import PATIENCE, ROOT

#: Each run adds a line to a file: its arguments, the value of its module, the number of its open
#: files, and whether it polls.
PROGRAM = u"""
import os, sys
sys.path.insert(0, %(root)r)
%(before)s
from friendserve import autoreload
from friendserve.ioloop import IOLoop
from friendserve.web import Application
import %(module)s as module
application = Application(autoreload=True)
application.listen(0, address="127.0.0.1")
kind = type(autoreload._watcher).__name__

def tell():
    with open(%(log)r, "a") as log:
        log.write("%%s|%%s|%%d|%%s\\n" %% (
            " ".join(sys.argv[1:]), module.VALUE, len(os.listdir("/proc/self/fd")), kind))

def hook():
    with open(%(log)r + ".hook", "a") as hooks:
        hooks.write("hook\\n")
autoreload.add_reload_hook(hook)
IOLoop.current().add_callback(tell)
IOLoop.current().start()
"""


class ProgramCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.log = os.path.join(self.folder, "log")
        self.write("module.py", u"VALUE = 'one'\n")

    def write(self, name, text):
        """Put a file in its place at once, as editors do."""
        path = os.path.join(self.folder, name)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with io.open(path + ".new", "w") as target:
            target.write(text)
        # Two changes within one tick of a coarse clock must be seen as two.
        moment = time.time() - 1000 + len(os.listdir(self.folder))
        self.changes = getattr(self, "changes", 0) + 1
        os.utime(path + ".new", (moment + 10 * self.changes,) * 2)
        os.rename(path + ".new", path)

    def write_program(self, name="program.py", module="module", before=u""):
        self.write(name, PROGRAM % {"root": ROOT, "log": self.log, "module": module,
                                    "before": before})

    def start(self, *command):
        environ = dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="1")
        self.process = subprocess.Popen(
            [sys.executable] + list(command), cwd=self.folder, env=environ, close_fds=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(self.end, self.process)

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

    def lines(self, count):
        """The lines of the log, once there are this many."""
        deadline = time.time() + PATIENCE
        while True:
            lines = []
            if os.path.exists(self.log):
                with open(self.log) as source:
                    lines = source.read().splitlines()
            if len(lines) >= count:
                self.assertEqual(count, len(lines), lines)
                return [line.split("|") for line in lines]
            if time.time() > deadline or self.process.poll() is not None:
                self.process.kill()
                self.fail("%d lines instead of %d; it said %r" % (
                    len(lines), count, self.process.communicate()[0][-2000:]))
            time.sleep(0.02)
