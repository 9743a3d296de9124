"""A loop in a program that gevent has patched, as website/docs/how-to/asyncio.rst describes it."""
from __future__ import absolute_import, division, print_function

import importlib
import os
import subprocess
import sys
import threading
import unittest

from tests import PATIENCE, ROOT

try:
    gevent = importlib.import_module("gevent")
except ImportError:
    gevent = None

#: Greenlets in the thread of the loop fetch pages from it by a blocking client.
PROGRAM = """
from gevent import monkey
monkey.patch_all()
import gevent
from six.moves.urllib.request import urlopen
from friendserve.ioloop import IOLoop
from friendserve.httpserver import HTTPServer
from friendserve.netutil import bind_sockets
from tests.httpcase import answer

def fetch(number):
    page = urlopen("http://127.0.0.1:%d/%d" % (port, number), timeout=15)
    pages.append(page.read())
    page.close()

def visit():
    greenlets = [gevent.spawn(fetch, number) for number in range(20)]
    gevent.joinall(greenlets, raise_error=True)
    gevent.sleep(0.01)
    loop.add_callback(loop.stop)

pages = []
loop = IOLoop.current()
server = HTTPServer(lambda request: answer(request, request.path.encode("ascii")))
sockets = bind_sockets(0, "127.0.0.1")
port = sockets[0].getsockname()[1]
server.add_sockets(sockets)
visitor = gevent.spawn(visit)
loop.start()
visitor.get()
print(type(loop._poller).__name__, len(set(pages)))
"""


class GeventTest(unittest.TestCase):
    if gevent is not None:
        def test_b295_greenlets_run_while_the_loop_waits(self):
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", PROGRAM], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, cwd=ROOT, env=dict(os.environ, PYTHONPATH=ROOT))
            limit = threading.Timer(PATIENCE * 2, process.kill)
            limit.start()
            output = process.communicate()[0].decode()
            limit.cancel()
            limit.join()
            self.assertEqual(["PollPoller 20"], output.splitlines()[-1:], output)
