"""Autoreload, with real programs in separate processes (B232)."""
from __future__ import absolute_import, division, print_function

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from friendserve import autoreload
from tests import PATIENCE, ROOT

#: Seconds in which a condition that a test waits for must become true.

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

autoreload.add_reload_hook(lambda: open(%(log)r + ".hook", "a").write("hook\\n"))
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
        """Replace a file in one step, as editors do."""
        path = os.path.join(self.folder, name)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with io.open(path + ".new", "w") as target:
            target.write(text)
        # Two changes within one tick of a coarse clock must count as two.
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
                self.fail("%d lines instead of %d; the output was %r" % (
                    len(lines), count, self.process.communicate()[0][-2000:]))
            time.sleep(0.02)


class RestartTest(ProgramCase):
    def check_restarts(self, watcher):
        (arguments, value, files, kind), = self.lines(1)
        self.assertEqual(("--port=5 x", "one", watcher), (arguments, value, kind))
        self.write("module.py", u"VALUE = 'two'\n")
        self.assertEqual([arguments, "two", files, kind], self.lines(2)[1])
        self.write("module.py", u"VALUE = 'three'\n")
        self.assertEqual([arguments, "three", files, kind], self.lines(3)[2])

    def test_b232_script(self):
        self.write_program()
        self.start("program.py", "--port=5", "x")
        self.check_restarts("_SystemWatcher")
        with open(self.log + ".hook") as hooks:
            self.assertEqual(["hook"] * 2, hooks.read().splitlines())

    def test_b232_where_the_system_does_not_tell(self):
        self.write_program(before=u"sys.modules['inotify_simple'] = None")
        self.start("program.py", "--port=5", "x")
        self.check_restarts("_PollingWatcher")

    def test_b232_module(self):
        self.write("package/__init__.py", u"")
        self.write_program("package/run.py")
        self.start("-m", "package.run", "--port=5", "x")
        self.check_restarts("_SystemWatcher")

    def test_b232_package(self):
        self.write("package/__init__.py", u"")
        self.write_program("package/__main__.py")
        self.start("-m", "package", "--port=5", "x")
        self.check_restarts("_SystemWatcher")

    def test_b232_a_module_that_is_imported_later(self):
        self.write("late.py", u"")
        self.write_program(before=u"from friendserve.ioloop import IOLoop\n"
                                  u"IOLoop.current().call_later(0.05, lambda: (\n"
                                  u"    __import__('late'),\n"
                                  u"    IOLoop.current().call_later(0.05, tell)))")
        self.start("program.py")
        self.lines(2)
        self.write("late.py", u"x = 1\n")
        self.lines(4)

    def test_b232_a_deleted_file_is_waited_for(self):
        self.write_program()
        self.start("program.py")
        self.lines(1)
        os.remove(os.path.join(self.folder, "module.py"))
        self.write("module.py", u"VALUE = 'back'\n")
        self.assertEqual("back", self.lines(2)[1][1])

    def test_watch(self):
        self.write("data.txt", u"1")
        self.write_program(before=u"from friendserve import autoreload\n"
                                  u"autoreload.watch('data.txt')")
        self.start("program.py")
        self.lines(1)
        self.write("data.txt", u"2")
        self.lines(2)


class CommandTest(ProgramCase):
    """python -m friendserve.autoreload"""

    def start_command(self, *arguments):
        self.start("-m", "friendserve.autoreload", *arguments)

    def test_b232_syntax_errors_and_failures_are_outlived(self):
        self.write_program()
        self.write("module.py", u"VALUE = \n")
        self.start_command("program.py", "--port=5")
        self.write_when_waiting("module.py", u"raise ValueError('not yet')\n", b"SyntaxError")
        self.write_when_waiting("module.py", u"import sys; sys.exit('over')\n", b"not yet")
        self.write_when_waiting("module.py", u"VALUE = 'good'\n", b"over")
        self.assertEqual(["--port=5", "good"], self.lines(1)[0][:2])
        self.write("module.py", u"VALUE = 'better'\n")
        self.assertEqual(["--port=5", "better"], self.lines(2)[1][:2])

    def write_when_waiting(self, name, text, said):
        """Replace a file once the command has printed that it is waiting, and why."""
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        output = b""
        while b"Waiting for a file to change" not in output:
            line = self.process.stdout.readline()
            self.assertTrue(line, output)
            output += line
        timer.cancel()
        self.assertIn(said, output)
        self.write(name, text)

    def test_b232_module(self):
        self.write("package/__init__.py", u"")
        self.write_program("package/run.py")
        self.start_command("-m", "package.run", "a", "b")
        self.assertEqual(["a b", "one"], self.lines(1)[0][:2])
        self.write("module.py", u"VALUE = 'two'\n")
        self.assertEqual(["a b", "two"], self.lines(2)[1][:2])

    def test_usage(self):
        for arguments, status in [([], 2), (["-m"], 2), (["--help"], 0), (["-x"], 2)]:
            self.start_command(*arguments)
            output = self.process.communicate()[0]
            self.assertIn(b"Usage: python -m friendserve.autoreload", output)
            self.assertEqual(status, self.process.returncode)


class CommandLineTest(unittest.TestCase):
    def test_names(self):
        self.assertEqual(sorted(autoreload.__all__), autoreload.__all__)
