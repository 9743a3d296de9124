"""Programs in processes of their own, for the tests of porting."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

from tests import PATIENCE, ROOT


class PortingCase(unittest.TestCase):
    """A folder of a program that was written for Tornado, and processes to run it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, path, text, encoding="utf-8"):
        path = os.path.join(self.folder, *path.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "wb") as target:
            target.write(textwrap.dedent(text).lstrip().encode(encoding))

    def write_bytes(self, path, data):
        with open(os.path.join(self.folder, path), "wb") as target:
            target.write(data)

    def run_program(self, program, **environ):
        """The lines that a program prints, within a limited time."""
        status, output = self.run_python("-c", textwrap.dedent(program), **environ)
        self.assertEqual(0, status, output)
        return output.splitlines()

    def run_command(self, *arguments, **environ):
        """(exit status, output) of ``python -m friendserve.porting``."""
        return self.run_python("-m", "friendserve.porting", *arguments, **environ)

    def run_python(self, *arguments, **environ):
        """(exit status, output) of Python, which is killed if it takes too long."""
        process = subprocess.Popen(
            (sys.executable,) + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join([ROOT, self.folder]), **environ))
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.start()
        try:
            output = process.communicate()[0].decode("utf-8")
        finally:
            alarm.cancel()
        return process.returncode, output.replace("\r\n", "\n")

    def read(self, path):
        with open(os.path.join(self.folder, *path.split("/")), "rb") as opened:
            return opened.read()
