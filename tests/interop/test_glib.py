"""The recipe of website/docs/how-to/glib.rst, run by Debian's Python, which has PyGObject."""
from __future__ import absolute_import, division, print_function

import os
import subprocess
import threading
import unittest

from tests import PATIENCE, ROOT
from tests.docscase import program_text

PYTHON = "/usr/bin/python3"

#: Twice, a handler answers a request from a thread; GLib's timers and the loop's take turns; and
#: threads wake the loop a thousand times.
PROGRAM = u"""
import sys, threading, urllib.request

from friendserve.ioloop import IOLoop
from friendserve.httpserver import HTTPServer
from friendserve.netutil import bind_sockets
from friendserve.web import Application, RequestHandler

class Handler(RequestHandler):
    def get(self):
        self.write("in GLib")

main_loop = GLib.MainLoop()
loop = IOLoop.current()
attach(loop)
sockets = bind_sockets(0, "127.0.0.1")
HTTPServer(Application([("/", Handler)])).add_sockets(sockets)
events, woken = [], []

def work():
    for _ in range(2):
        url = "http://127.0.0.1:%d/" % sockets[0].getsockname()[1]
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            loop.add_callback(events.append, response.read())
    for number in range(1000):
        # Some while the loop waits, some while it does not.
        loop.add_callback(woken.append, number)
        while len(woken) < number - 5:
            pass
    loop.add_callback(glib_timer, 1)

def glib_timer(number):
    GLib.timeout_add(1, loop_timer, number)

def loop_timer(number):
    # From GLib, outside of a turn.
    loop.call_later(0.001, chain, number)
    return False

def chain(number):
    events.append(number)
    if number < 3:
        glib_timer(number + 1)
    else:
        loop.call_later(1000, sys.exit)
        main_loop.quit()

threading.Thread(target=work, daemon=True).start()
GLib.timeout_add_seconds(PATIENCE, main_loop.quit)
main_loop.run()
print(events, woken == list(range(1000)), main_loop.is_running())
"""


def has_glib():
    return os.path.exists(PYTHON) and subprocess.call(
        [PYTHON, "-c", "import six; from gi.repository import GLib"], stderr=subprocess.PIPE) == 0


class GLibTest(unittest.TestCase):
    @unittest.skipUnless(has_glib(),
                         "GLib is not installed: apt-get install python3-gi python3-six")
    def test_b298_the_recipe(self):
        program = program_text("how-to/glib.rst") + u"PATIENCE = %d\n" % PATIENCE + PROGRAM
        process = subprocess.Popen(
            [PYTHON, "-c", program], env=dict(os.environ, PYTHONPATH=ROOT), cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        limit = threading.Timer(2 * PATIENCE, process.kill)
        limit.start()
        said = process.communicate()[0].decode("utf-8")
        limit.cancel()
        limit.join()
        self.assertEqual("[b'in GLib', b'in GLib', 1, 2, 3] True False",
                         said.splitlines()[-1], said)
