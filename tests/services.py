"""Real servers for the tests: each in a folder of its own, on a free port of loopback.

A test class skips where the program is absent (`needs`); `.ci/run` installs all of them. `shared`
gives one server of a kind to the whole run, which ends it; a test that stops or kills its server
makes one of its own.
"""
from __future__ import absolute_import, division, print_function

import atexit
import errno
import glob
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
        self._log_start = 0
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
        self._log_start = 0
        self._log_start = len(self.log())
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
        """What it has printed since it was started."""
        path = os.path.join(self.folder, "log")
        if not os.path.exists(path):
            return u""
        with open(path, "rb") as log:
            return log.read().decode("utf-8", "replace")[self._log_start:]

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


class MariaDB(Service):
    """A MariaDB with a database `test`, which keeps what it has committed whatever happens."""
    name = "mariadbd"

    def prepare(self):
        self._user = [] if os.getuid() else ["--user=root"]
        install = find_program("mariadb-install-db") or find_program("mysql_install_db")
        self._run([install, "--no-defaults", "--datadir=" + self._data(), "--skip-test-db",
                   "--auth-root-authentication-method=normal"] + self._user)
        start = os.path.join(self.folder, "start.sql")
        with open(start, "w") as target:
            target.write("CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4;\n"
                         "CREATE USER IF NOT EXISTS friend@'127.0.0.1' IDENTIFIED BY 'p@ss/word';\n"
                         "GRANT ALL ON *.* TO friend@'127.0.0.1';\n")

    def _data(self):
        return os.path.join(self.folder, "data")

    def _run(self, command, **options):
        process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, **options)
        output = process.communicate()[0]
        if process.returncode:
            raise RuntimeError("%s: %s" % (command[0], output[-2000:]))

    def command(self):
        return [self.program(), "--no-defaults", "--datadir=" + self._data(),
                "--port=%d" % self.port, "--bind-address=127.0.0.1",
                "--socket=" + os.path.join(self.folder, "socket"),
                "--init-file=" + os.path.join(self.folder, "start.sql"), "--skip-name-resolve",
                "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M",
                "--innodb-flush-log-at-trx-commit=1",
                "--pid-file=" + os.path.join(self.folder, "pid")] + self._user

    def answers(self):
        return "ready for connections" in self.log() and \
            super(MariaDB, self).answers()

    def url(self):
        return "mysql://friend:p%%40ss%%2Fword@127.0.0.1:%d/test" % self.port


class PostgreSQL(Service):
    """A PostgreSQL with a database `test`."""
    name = "postgres"

    @classmethod
    def program(cls):
        return find_program(cls.name, *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True))

    def prepare(self):
        folder = os.path.dirname(self.program())
        password = os.path.join(self.folder, "password")
        with open(password, "w") as target:
            target.write("p@ss/word")
        # It does not run as root.
        self._as = []
        if not os.getuid():
            self._as = ["runuser", "-u", "postgres", "--"]
            subprocess.check_call(["chown", "-R", "postgres", self.folder])
        subprocess.check_output(self._as + [
            os.path.join(folder, "initdb"), "-D", os.path.join(self.folder, "data"), "-U", "friend",
            "--pwfile=" + password, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"],
            cwd=self.folder, stderr=subprocess.STDOUT)

    def command(self):
        # runuser goes on to wait for it, and hands no signal on; exec makes it the server itself.
        return self._as[:3] + (["--"] if self._as else []) + [
            self.program(), "-D", os.path.join(self.folder, "data"), "-p", str(self.port),
            "-h", "127.0.0.1", "-k", self.folder, "-c", "shared_buffers=16MB"]

    def stop(self, number=signal.SIGTERM):
        if self.process is not None and number == signal.SIGKILL:
            # All of it: what is left of it would keep the next one from starting.
            self._signal_group(number)
        elif self.process is not None:
            self._signal_group(signal.SIGINT)
        super(PostgreSQL, self).stop(number)

    def _signal_group(self, number):
        try:
            with open(os.path.join(self.folder, "data", "postmaster.pid")) as source:
                pid = int(source.readline())
        except (EnvironmentError, ValueError):
            return
        children = subprocess.Popen(["ps", "--ppid", str(pid), "-o", "pid="],
                                    stdout=subprocess.PIPE).communicate()[0].split()
        for one in [pid] + ([int(child) for child in children]
                            if number == signal.SIGKILL else []):
            try:
                os.kill(one, number)
            except OSError:
                pass

    def answers(self):
        return "ready to accept connections" in self.log()

    def url(self):
        return "postgresql://friend:p%%40ss%%2Fword@127.0.0.1:%d/postgres" % self.port
