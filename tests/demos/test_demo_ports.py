"""The message of a demo whose port is in use."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from tests.demo_server import ROOT


class TakenPortTest(unittest.TestCase):
    def test_each_demo_names_it(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        port = sock.getsockname()[1]
        for demo in ("blog/blog.py", "chat/chatdemo.py", "localized/localized.py",
                     "tcpecho/server.py", "upload/upload.py"):
            process = subprocess.Popen(
                [sys.executable, os.path.join(ROOT, "demos", demo), "--port=%d" % port],
                cwd=folder, env=dict(os.environ, PYTHONPATH=ROOT), stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT)
            said = process.communicate()[0].decode("utf-8")
            self.assertEqual(1, process.returncode, demo)
            self.assertIn("port %d" % port, said, demo)
            self.assertNotIn("Traceback", said, demo)
