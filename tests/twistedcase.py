"""Shared by the tests with Twisted."""
from __future__ import absolute_import, division, print_function

import subprocess
import sys
import threading
import unittest

from tests import PATIENCE, ROOT, missing

try:
    import twisted
except ImportError:
    twisted = None

needs_twisted = unittest.skipIf(twisted is None, missing("Twisted"))


def run_program(program):
    """(standard output and error, status) of a Python program."""
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    limit = threading.Timer(PATIENCE, process.kill)
    limit.start()
    output = process.communicate()[0].decode("utf-8")
    limit.cancel()
    limit.join()
    return output, process.returncode
