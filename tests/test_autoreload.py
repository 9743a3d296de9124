"""Autoreload, with real programs in separate processes (B232)."""
from __future__ import absolute_import, division, print_function

import os
import threading
import unittest

from friendserve import autoreload
from tests import PATIENCE
from tests.autoreloadcase import ProgramCase


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
        self.write("inotify_simple.py", u"raise ImportError('not here')\n")
        self.write_program()
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
