"""Shared by tests of services: real masters and workers, and clients that put them under load."""
from __future__ import absolute_import, division, print_function

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

from tests import PATIENCE, ROOT

#: The application of most tests. The pid of the worker that answers is the body.
APPLICATION = """
    import os
    from friendserve.web import Application, RequestHandler

    class Pid(RequestHandler):
        def get(self):
            self.write(str(os.getpid()))

    class Endless(RequestHandler):
        def get(self):
            while True:
                pass

    def make(settings):
        return Application([("/", Pid), ("/endless", Endless)], log_function=lambda handler: None)
"""


def free_port():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    try:
        return sock.getsockname()[1]
    finally:
        sock.close()


class Service(object):
    """A master of tests.serve.program, its settings, and what it logs."""

    def __init__(self, application=APPLICATION, prefix=(), environ=None, **settings):
        self.folder = tempfile.mkdtemp()
        self.port = free_port()
        self.settings = dict({"bind": ["127.0.0.1:%d" % self.port],
                              "application": os.path.join(self.folder, "application.py")},
                             **settings)
        self.write(application)
        self.configure()
        self.log = []
        self.process = subprocess.Popen(
            list(prefix) + [sys.executable, "-m", "tests.serve.program",
                            os.path.join(self.folder, "settings")],
            cwd=ROOT, stderr=subprocess.PIPE, env=dict(os.environ, **environ or {}))
        self._reader = threading.Thread(target=self._read)
        self._reader.daemon = True
        self._reader.start()

    def _read(self):
        with self.process.stderr as lines:
            for line in iter(lines.readline, b""):
                self.log.append(line.decode("utf-8"))

    def write(self, application):
        with open(self.settings["application"], "w") as target:
            target.write(textwrap.dedent(application))

    def configure(self, **settings):
        self.settings.update(settings)
        with open(os.path.join(self.folder, "settings"), "w") as target:
            json.dump(self.settings, target)

    def logged(self, text):
        """The lines of the log with `text`, so far."""
        return [line for line in list(self.log) if text in line]

    def wait_for(self, text, count=1, patience=PATIENCE):
        """The first `count` lines with `text`, once there are that many."""
        wait_until(lambda: len(self.logged(text)) >= count, patience,
                   lambda: "%d lines with %r in:\n%s" % (count, text, "".join(self.log)))
        return self.logged(text)[:count]

    def ready(self, count=None):
        self.wait_for("is ready in slot", count or self.settings.get("processes", 2))
        return self

    def signal(self, signum, pid=None):
        os.kill(pid or self.master, signum)

    @property
    def master(self):
        return int(self.logged(" listens on ")[-1].split("Master ")[1].split()[0])

    def workers(self):
        """The pids of the workers that were ready, in order."""
        return [int(line.split("Worker ")[1].split()[0])
                for line in self.logged("is ready in slot")]

    def wait(self, patience=PATIENCE):
        """The exit status, after the end."""
        wait_until(lambda: self.process.poll() is not None, patience,
                   lambda: "an end in:\n" + "".join(self.log))
        # A new master may write to the same log.
        self._reader.join(1)
        return self.process.returncode

    def close(self):
        # The workers and further masters notice the end of theirs.
        for line in self.logged(" listens on "):
            try:
                os.kill(int(line.split("Master ")[1].split()[0]), signal.SIGQUIT)
            except OSError:
                pass
        try:
            self.wait()
        except AssertionError:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def get(self, path="/"):
        """The body."""
        connection = self.connect()
        try:
            return get(connection, path)[1]
        finally:
            connection.close()


def wait_until(condition, patience=PATIENCE, describe=lambda: "a condition"):
    end = time.time() + patience
    while not condition():
        if time.time() > end:
            raise AssertionError("no " + describe())
        time.sleep(0.02)


def get(connection, path="/", close=False):
    """(whether the server keeps the connection, body) of one request on a socket. Raises
    EnvironmentError if it is not answered."""
    connection.sendall(("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"
                        % (path, "Connection: close\r\n" if close else "")).encode("ascii"))
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise EnvironmentError("closed after %r" % data)
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = head.decode("latin-1").lower().split("\r\n")
    if " 200 " not in fields[0]:
        raise EnvironmentError(fields[0])
    length = int([line for line in fields if line.startswith("content-length:")][0].split(":")[1])
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            raise EnvironmentError("closed in the body")
        body += piece
    return "connection: close" not in fields, body.decode("ascii")


class Load(object):
    """Clients in threads, some that keep their connections and some that close them, until `stop`.
    `answered` counts; `failed` lists what went wrong."""

    def __init__(self, service, keeping=6, closing=3):
        self.answered, self.failed, self._stop = 0, [], False
        self._service, self._lock = service, threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number >= keeping,))
                         for number in range(keeping + closing)]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def _run(self, closes):
        connection = None
        while not self._stop:
            try:
                connection = connection or self._service.connect()
                keeps, _ = get(connection, close=closes)
                with self._lock:
                    self.answered += 1
            except EnvironmentError as error:
                self.failed.append(repr(error))
                keeps = False
            if not keeps and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def more(self, count=200):
        """Wait until `count` more requests were answered."""
        goal = self.answered + count
        wait_until(lambda: self.answered >= goal, PATIENCE, lambda: "answers; " + str(self.failed))

    def stop(self):
        self._stop = True
        for thread in self._threads:
            thread.join(PATIENCE)


class ServeCase(object):
    def start(self, *args, **kwargs):
        service = Service(*args, **kwargs)
        self.addCleanup(service.close)
        return service

    def load(self, service, **kwargs):
        load = Load(service, **kwargs)
        self.addCleanup(load.stop)
        load.more(50)
        return load
