"""Shared by tests of the command `friendserve`: programs in a folder, and the command itself."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests import ROOT

PROGRAM = """
from friendserve.web import Application, RequestHandler

class Hello(RequestHandler):
    def get(self):
        self.write("hello from %s" % VERSION)

VERSION = 1
application = Application([("/", Hello)])

def make():
    return application

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi"]
"""


class CommandCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.write(PROGRAM)

    def write(self, text, name="hello.py"):
        with open(os.path.join(self.folder, name), "w") as program:
            program.write(text)

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "friendserve"] + list(arguments), cwd=self.folder,
            env=dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="1",
                     PYTHONWARNINGS="ignore"), **options)

    def run_it(self, *arguments):
        """(status, stdout, stderr)."""
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = process.communicate()
        return process.returncode, output.decode("utf-8"), errors.decode("utf-8")
