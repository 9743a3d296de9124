"""The first client of a program that cannot open any more files."""
from __future__ import absolute_import, division, print_function

import errno
import os
import subprocess
import sys
import unittest

from tests import ROOT

#: A program that is set up, runs out of fds, and then makes a client.
PROGRAM = r"""
from __future__ import print_function
import os, resource
from friendserve.httpclient import AsyncHTTPClient
from friendserve.ioloop import IOLoop

loop = IOLoop.current()
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except EnvironmentError:
    pass
found = []


def note(response):
    found.append(str(response.error))
    loop.stop()


try:
    AsyncHTTPClient().fetch("http://127.0.0.1:9/", note, method="POST", body=u"\xe4")
    loop.call_later(10, loop.stop)
    loop.start()
    u"\xfc.example".encode("idna")
    b"x".decode("latin-1")
    b"x".decode("ascii")
except Exception as error:
    found.append(repr(error))
for fd in taken:
    os.close(fd)
print("; ".join(found))
"""


class FirstClientTest(unittest.TestCase):
    def test_b287_out_of_files_is_an_error_of_the_fetch(self):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONPATH=ROOT))
        output = process.communicate()[0].decode("utf-8", "replace")
        self.assertEqual("HTTP 599: Connection failed: [Errno %d] %s" % (
            errno.EMFILE, os.strerror(errno.EMFILE)), output.strip())


if __name__ == "__main__":
    unittest.main()
