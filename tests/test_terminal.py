"""What a developer sees in a terminal: start, request, mistake, page, mend, request, Ctrl-C."""
from __future__ import absolute_import, division, print_function

import fcntl
import os
import pty
import re
import subprocess
import sys
import termios
import threading

from tests import PATIENCE, ROOT
from tests.autoreloadcase import ProgramCase
from tests.servecase import wait_until
from tests.services import free_port

PROGRAM = u"""
from friendserve.web import Application, RequestHandler
import module

class Hello(RequestHandler):
    def get(self):
        self.write("Hello, %%s" %% module.VALUE)

Application([("/", Hello)], debug=True).run(%d)
"""

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\([A-Z])")


class TerminalTest(ProgramCase):
    def setUp(self):
        super(TerminalTest, self).setUp()
        self.port = free_port()
        self.write("hello.py", PROGRAM % self.port)
        self.received = b""

    def start_in_terminal(self, *command):
        self.terminal, inner = pty.openpty()
        self.addCleanup(os.close, self.terminal)

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable] + list(command), cwd=self.folder, close_fds=True,
            env=dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="1", TERM="xterm"),
            stdin=inner, stdout=inner, stderr=inner, preexec_fn=own_terminal)
        os.close(inner)
        reader = threading.Thread(target=self.read)
        reader.daemon = True
        reader.start()
        self.addCleanup(reader.join, PATIENCE)
        self.addCleanup(self.process.wait)
        self.addCleanup(lambda: self.process.poll() is None and self.process.kill())

    def read(self):
        while True:
            try:
                piece = os.read(self.terminal, 65536)
            except OSError:     # on Linux: no process has it open any more
                break
            if not piece:
                break
            self.received += piece

    def lines(self):
        """The lines on the terminal, without colors, times and line numbers."""
        text = _ESCAPES.sub("", self.received.decode("utf-8")).replace("\r\n", "\n")
        text = re.sub(r"(?m)^\[([DIWE]) \d+ [\d:]+ ([\w.]+):\d+\]", r"[\1 \2]", text)
        return re.sub(r"[\d.]+ms", "1.00ms", text).split("\n")

    def await_line(self, line, times=1):
        wait_until(lambda: self.lines().count(line) >= times, PATIENCE,
                   lambda: "%r in %s" % (line, "\n".join(self.lines())))

    def browse(self):
        """What a browser is shown, as text without tags."""
        # By another program: this interpreter may have a proxy for its own requests.
        code = ("import socket; s = socket.create_connection(('127.0.0.1', %d), 20); "
                "s.sendall(b'GET / HTTP/1.0\\r\\nAccept: text/html\\r\\n\\r\\n')\n"
                "import sys\nout = getattr(sys.stdout, 'buffer', sys.stdout)\n"
                "while True:\n p = s.recv(9999)\n out.write(p)\n if not p: break" % self.port)
        data = subprocess.check_output([sys.executable, "-c", code])
        return re.sub("<[^>]*>", "", data.decode("utf-8").partition("\r\n\r\n")[2])

    def test_b456_start_request_mistake_page_mend_request_end(self):
        serving = "Serving on http://127.0.0.1:%d/ (Ctrl-C to stop)" % self.port
        request = "[I web.application] 200 GET / (127.0.0.1) 1.00ms"
        self.start_in_terminal("hello.py")
        self.await_line(serving)
        self.assertEqual("Hello, one", self.browse())
        self.await_line(request)

        self.write("module.py", u"VALUE = 'two\n")
        self.await_line("[I autoreload] Waiting for a file to change")
        self.assertIn("SyntaxError", self.browse())

        self.write("module.py", u"VALUE = 'three'\n")
        self.await_line(serving, 2)
        self.assertEqual("Hello, three", self.browse())
        self.await_line(request, 2)

        os.write(self.terminal, b"\x03")
        wait_until(lambda: self.process.poll() is not None, PATIENCE, lambda: "the end")
        self.assertEqual(0, self.process.returncode)
        lines = [line.replace(os.path.realpath(self.folder), "FOLDER") for line in self.lines()]
        change = "[I autoreload] FOLDER/module.py has changed: restarting"
        self.assertEqual([serving, request, change, "[E autoreload] The program has failed",
                          "    Traceback (most recent call last):"], lines[:5])
        # The program's files alone, and no other lines.
        end = lines.index("[I autoreload] Waiting for a file to change")
        self.assertEqual(["hello.py", "module.py"], [
            os.path.basename(line.split('"')[1]) for line in lines[5:end] if "File " in line])
        self.assertEqual([change, serving, request, "^C"], lines[end + 1:])
