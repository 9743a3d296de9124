"""Shared by the tests of bridges: demos, unchanged, on a loop of another library."""
from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from six.moves import http_cookiejar
from six.moves.urllib.parse import urlencode
from six.moves.urllib.request import HTTPCookieProcessor, build_opener

from friendserve.escape import json_decode, utf8
from friendserve.websocket import websocket_connect
from tests import PATIENCE, ROOT
from tests.loopcase import Loops
from tests.services import free_port

#: Runs the program that is its second argument with a loop of the class that is its first.
START = """
import os, runpy, sys
from friendserve.ioloop import IOLoop
IOLoop.configure(sys.argv[1])
del sys.argv[:2]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Browser(object):
    """A client with cookies for one site."""

    def __init__(self, port):
        self._url = "http://127.0.0.1:%d" % port
        self._opener = build_opener(HTTPCookieProcessor(http_cookiejar.CookieJar()))

    def get(self, path):
        return self._open(path)

    def post(self, path, **fields):
        """Post a form with the XSRF token of the page at `/login`."""
        token = re.search(u'name="_xsrf" value="([^"]+)"', self.get("/login")).group(1)
        fields["_xsrf"] = token
        return self._open(path, urlencode(
            dict((name, utf8(value)) for name, value in fields.items())).encode("ascii"))

    def _open(self, path, data=None):
        response = self._opener.open(self._url + path, data, PATIENCE)
        try:
            return response.read().decode("utf-8")
        finally:
            response.close()


class Programs(Loops):
    """Starts programs, each in a process, and ends them."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def launch(self, port, *arguments):
        """Run Python with these arguments, and return the process when it listens on `port`."""
        process = subprocess.Popen(
            (sys.executable, "-W", "ignore") + arguments, cwd=self.folder,
            env=dict(os.environ, PYTHONPATH=ROOT))
        self.addCleanup(self.kill, process)
        self.wait_for_port(process, port)
        return process

    def wait_for_port(self, process, port):
        waiting = threading.Event()
        for _ in range(PATIENCE * 50):
            try:
                return socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            except EnvironmentError:
                self.assertIsNone(process.poll(), "the program has ended")
                waiting.wait(0.02)
        self.fail("the program does not listen")

    def kill(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()

    def interrupt(self, process):
        """End a program by Ctrl-C; return its status."""
        process.send_signal(signal.SIGINT)
        limit = threading.Timer(PATIENCE, process.kill)
        limit.start()
        process.wait()
        limit.cancel()
        limit.join()
        return process.returncode


class DemosOnBridge(Programs):
    """The demos as users run them, on a loop of the class with the dotted name `bridge`."""
    bridge = None

    def start(self, path, *arguments):
        """Start a program of demos/ and return (process, port), which replaces "{}" in an argument.
        """
        port = free_port()
        return self.launch(port, "-c", START, self.bridge, os.path.join(ROOT, "demos", path),
                           *[argument.format(port) for argument in arguments]), port

    def test_chat(self):
        process, port = self.start("chat/chatdemo.py", "--port={}")
        ada, grace = Browser(port), Browser(port)
        ada.post("/login", name=u"Ada")
        page = grace.post("/login", name=u"Grace")
        cursor = re.search('data-cursor="([^"]+)"', page).group(1)
        texts = []

        def wait_for_message():
            # Long polls; the first ones end because somebody is new.
            online = ""
            while not texts:
                answer = json_decode(grace.get("/messages?after=%s&online=%s" % (cursor, online)))
                online = answer["online"]["version"]
                texts.extend(message["text"] for message in answer["messages"])
        waiting = threading.Thread(target=wait_for_message)
        waiting.start()
        ada.post("/messages", text=u"hello", token=u"1")
        waiting.join(PATIENCE)
        self.assertEqual([u"hello"], texts)
        self.assertEqual(0, self.interrupt(process))

    def test_blog(self):
        process, port = self.start("blog/blog.py", "--port={}", "--database=sqlite:///blog.db")
        author = Browser(port)
        author.post("/join", name=u"Ada", password=u"correct horse")
        author.post("/compose", title=u"On engines", text=u"It *weaves*.")
        self.assertIn(u"On engines", Browser(port).get("/"))
        self.assertIn(u"&lt;em&gt;weaves&lt;/em&gt;", Browser(port).get("/feed"))
        self.assertEqual(0, self.interrupt(process))

    def test_websocket_echo(self):
        _, port = self.start("benchmark/servers/friendserve_websocket.py", "{}")
        loop = self.make_loop()
        messages = [u"text", b"bytes", u"\u00fc" * 40000, b"x" * 1000000]
        echoes, opened = [], []
        websocket_connect("ws://127.0.0.1:%d/" % port, io_loop=loop, callback=opened.append,
                          on_message_callback=echoes.append)
        self.run_until(lambda: opened, loop)
        for message in messages:
            opened[0].write_message(message, binary=isinstance(message, bytes))
        self.run_until(lambda: len(echoes) == len(messages), loop)
        self.assertEqual(messages, echoes)
        opened[0].close()
        # None tells of the end.
        self.run_until(lambda: echoes[-1] is None, loop)
