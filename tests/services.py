"""Real servers for the tests: each in a folder of its own, on a free port of loopback.

A test class skips where the program is absent (`needs`); `.ci/run` installs all of them. `shared`
gives one server of a kind to the whole run, which ends it; a test that stops or kills its server
makes one of its own.
"""
from __future__ import absolute_import, division, print_function

import atexit
import errno
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

#: Seconds that a server may take to answer, and to end.
PATIENCE = 60


def find_program(name, *folders):
    """The path of a program, looked for where root finds it, too; None when it is absent."""
    for folder in os.environ.get("PATH", "").split(os.pathsep) + ["/usr/sbin"] + list(folders):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return None


def needs(service):
    """A class decorator: skip where the program of a Service is not installed."""
    return unittest.skipUnless(service.program(), "%s is not installed" % service.name)


def free_port():
    """A port that was free just now."""
    sock = socket.socket()
    try:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
    finally:
        sock.close()


class Service(object):
    """A server process. Subclasses give `name`, `program()`, `command()`, and where needed
    `prepare()`, called once, and `answers()`.

    `folder` is its own, and kept by `stop` and `kill`, so that `start` brings its data back.
    """
    name = None

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="friendserve-%s-" % self.name)
        self.port = free_port()
        self.process = None
        atexit.register(self.close)
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise

    @classmethod
    def program(cls):
        """The path of the program; None when it is not installed."""
        return find_program(cls.name)

    def prepare(self):
        """Make the files that the server needs."""

    def command(self):
        """The words of the command that starts it, in the foreground."""
        raise NotImplementedError()

    def answers(self):
        """Whether it serves; called until it does. EnvironmentError means no."""
        socket.create_connection(("127.0.0.1", self.port), 5).close()
        return True

    def start(self):
        """Start it and wait until it answers."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, close_fds=True,
                                            stdout=log, stderr=subprocess.STDOUT)
        deadline = time.time() + PATIENCE
        while not self._try_answer():
            if self.process.poll() is not None or time.time() > deadline:
                raise RuntimeError("%s does not answer: %s" % (self.name, self.log()[-2000:]))
            time.sleep(0.02)

    def _try_answer(self):
        try:
            return self.answers()
        except EnvironmentError:
            return False

    def log(self):
        """What it has printed."""
        with open(os.path.join(self.folder, "log"), "rb") as log:
            return log.read().decode("utf-8", "replace")

    def stop(self, number=signal.SIGTERM):
        """End it, and wait for that."""
        process, self.process = self.process, None
        if process is None:
            return
        try:
            process.send_signal(number)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
        deadline = time.time() + PATIENCE
        while process.poll() is None:
            if time.time() > deadline:
                process.kill()
            time.sleep(0.01)

    def kill(self):
        """End it as a crash would."""
        self.stop(signal.SIGKILL)

    def close(self):
        """End it, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_shared = {}


def shared(service):
    """The one server of this kind that the whole test run has."""
    if service not in _shared:
        _shared[service] = service()
    return _shared[service]


class Redis(Service):
    """A Redis with its append-only file on, written before each answer."""
    name = "redis-server"

    def command(self):
        return [self.program(), "--port", str(self.port), "--bind", "127.0.0.1",
                "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]

    def url(self):
        return "redis://127.0.0.1:%d/0" % self.port
