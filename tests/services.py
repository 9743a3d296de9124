"""Real servers for the tests: each in a separate folder, on a free port of loopback.

A test class is skipped where the program is missing (`needs`); `.ci/run` installs all of them.
`shared` returns one server of a kind for the whole run, at whose end it stops; a test that stops or
kills its server makes a separate one.

Servers in Python need a newer Python than some that the tests run on, and other packages: the
environment variable FRIENDSERVE_PEERS names an interpreter that has them.
"""
from __future__ import absolute_import, division, print_function

import atexit
import errno
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
try:
    import pwd
except ImportError:     # Windows, where PostgreSQL is not started
    pwd = None

from tests import CERTS, PATIENCE


def find_program(name, *folders):
    """The path of a program, also searched for where root finds it; None if it is missing."""
    for folder in os.environ.get("PATH", "").split(os.pathsep) + ["/usr/sbin"] + list(folders):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return None


def needs(service):
    """A class decorator: skip where the program of a Service is not installed."""
    return unittest.skipUnless(service.program(), "%s is not installed%s" % (
        service.name, service.advice))


def free_port():
    """A port of 127.0.0.1 that was free a moment ago."""
    return free_ports(1)[0]


def free_ports(count):
    """This many free ports, all different.

    They are below those that systems give to outgoing connections (from 32768 on Linux), since
    other tests that run at the same time open many of these, and would take a port before the
    server that is to have it listens.
    """
    socks = []
    try:
        while len(socks) < count:
            sock = socket.socket()
            socks.append(sock)
            try:
                sock.bind(("127.0.0.1", random.randrange(15000, 32000)))
            except EnvironmentError:
                socks.pop().close()
        return [sock.getsockname()[1] for sock in socks]
    finally:
        for sock in socks:
            sock.close()


class Service(object):
    """A server process. Subclasses define `name`, `program()`, `command()`, and where needed
    `prepare()`, called once, and `answers()`.

    `folder` is not shared, and is kept by `stop` and `kill`, so that `start` restores its data.
    """
    name = None
    advice = ""     # how to get it, where that is not plain

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="friendserve-%s-" % type(self).__name__.lower())
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
        """The path of the program; None if it is not installed."""
        return find_program(cls.name)

    def prepare(self):
        """Make the files that the server needs."""

    def command(self):
        """The words of the command that starts the server, in the foreground."""
        raise NotImplementedError()

    def become_user(self):
        """Called in the child process before it becomes the server, to drop root privileges."""

    def answers(self):
        """Whether the server is ready; called until it is. EnvironmentError means no."""
        socket.create_connection(("127.0.0.1", self.port), 5).close()
        return True

    def start(self):
        """Start the server and wait until it is ready."""
        self._spawn()
        deadline = time.time() + 4 * PATIENCE
        while not self._try_answer():
            if self.process.poll() is not None and self.is_held() and time.time() < deadline:
                self._spawn()
            elif self.process.poll() is not None or time.time() > deadline:
                raise RuntimeError("%s does not answer: %s" % (self.name, self.log()[-2000:]))
            time.sleep(0.02)

    def is_held(self):
        """Whether it ended because processes of its predecessor still hold what it needs."""
        return False

    def _spawn(self):
        self._log_start = 0
        self._log_start = len(self.log())
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, close_fds=True,
                                            stdout=log, stderr=subprocess.STDOUT,
                                            preexec_fn=self.become_user)

    def _try_answer(self):
        try:
            return self.answers()
        except EnvironmentError:
            return False

    def log(self):
        """The server's output since it was started."""
        path = os.path.join(self.folder, "log")
        if not os.path.exists(path):
            return u""
        with open(path, "rb") as log:
            return log.read().decode("utf-8", "replace")[self._log_start:]

    def stop(self, number=signal.SIGTERM):
        """Stop the server, and wait until it has exited."""
        process, self.process = self.process, None
        if process is None:
            return
        try:
            process.send_signal(number)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
        deadline = time.time() + 4 * PATIENCE
        while process.poll() is None:
            if time.time() > deadline:
                process.kill()
            time.sleep(0.01)

    def kill(self):
        """Stop the server as a crash would."""
        self.stop(signal.SIGKILL)

    def close(self):
        """Stop the server, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_shared = {}


def shared(service):
    """The one server of this kind for the whole test run."""
    if service not in _shared:
        _shared[service] = service()
    return _shared[service]


class Redis(Service):
    """A Redis whose append-only file is enabled and written before each reply."""
    name = "redis-server"
    advice = ": apt-get install redis-server"

    def command(self):
        return [self.program(), "--port", str(self.port), "--bind", "127.0.0.1",
                "--appendonly", "yes", "--appendfsync", "no", "--save", ""]

    def url(self):
        return "redis://127.0.0.1:%d/0" % self.port


class MariaDB(Service):
    """A MariaDB with a database `test`; committed data survives a crash."""
    name = "mariadbd"
    advice = ": apt-get install mariadb-server"

    def prepare(self):
        # A server deletes the temporary tables of others on start, so each gets a separate folder.
        self._common = ["--tmpdir=" + self.folder] + ([] if os.getuid() else ["--user=root"])
        install = find_program("mariadb-install-db") or find_program("mysql_install_db")
        self._run([install, "--no-defaults", "--datadir=" + self._data(), "--skip-test-db",
                   "--auth-root-authentication-method=normal"] + self._common)
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
                "--pid-file=" + os.path.join(self.folder, "pid")] + self._common

    def answers(self):
        return "ready for connections" in self.log() and \
            super(MariaDB, self).answers()

    def url(self):
        return "mysql://friend:p%%40ss%%2Fword@127.0.0.1:%d/test" % self.port


class PostgreSQL(Service):
    """A PostgreSQL with a database `test`."""
    name = "postgres"
    advice = ": apt-get install postgresql"

    @classmethod
    def program(cls):
        return find_program(cls.name, *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True))

    def prepare(self):
        folder = os.path.dirname(self.program())
        password = os.path.join(self.folder, "password")
        with open(password, "w") as target:
            target.write("p@ss/word")
        if not os.getuid():
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            os.chown(password, account.pw_uid, account.pw_gid)
        process = subprocess.Popen(
            [os.path.join(folder, "initdb"), "-D", os.path.join(self.folder, "data"), "-U",
             "friend", "--pwfile=" + password, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=self.become_user)
        output = process.communicate()[0]
        if process.returncode:
            raise RuntimeError("initdb: %s" % output[-2000:])

    def become_user(self):
        # PostgreSQL refuses to run as root.
        if not os.getuid():
            account = pwd.getpwnam("postgres")
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)

    def command(self):
        return [self.program(), "-D", os.path.join(self.folder, "data"), "-p", str(self.port),
                "-h", "127.0.0.1", "-k", self.folder, "-c", "shared_buffers=16MB"]

    def is_held(self):
        return "still in use" in self.log()

    def stop(self, number=signal.SIGINT):
        children = []
        if self.process is not None and number == signal.SIGKILL:
            pid = self.process.pid
            with open("/proc/%d/task/%d/children" % (pid, pid)) as source:
                children = [int(child) for child in source.read().split()]
        super(PostgreSQL, self).stop(number)
        # Remaining children would keep the next server from starting.
        for child in children:
            try:
                os.kill(child, number)
            except OSError:
                pass

    def answers(self):
        return "ready to accept connections" in self.log()

    def url(self):
        return "postgresql://friend:p%%40ss%%2Fword@127.0.0.1:%d/postgres" % self.port


PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "interop", "servers")


class Nginx(Service):
    """An nginx with files, compression, basic authentication and a proxy to nowhere; also over TLS,
    on a port for each certificate (`tls_ports`, by name)."""
    name = "nginx"
    advice = ": apt-get install nginx"

    CERTIFICATES = ("server", "expired", "wronghost", "selfsigned", "wildcards")

    _CONFIGURATION = """
        daemon off; master_process off; pid %(folder)s/pid; error_log stderr;
        events { worker_connections 512; }
        http {
            access_log off; default_type text/plain; gzip on; gzip_min_length 100;
            gzip_types text/plain; keepalive_requests 1000000;
            client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/proxy;
            fastcgi_temp_path %(folder)s/fastcgi; uwsgi_temp_path %(folder)s/uwsgi;
            scgi_temp_path %(folder)s/scgi;
            ssl_certificate_key %(certs)s/server.key; ssl_client_certificate %(certs)s/ca.crt;
            %(servers)s
        }"""
    _SERVER = """
        server {
            listen 127.0.0.1:%(listen)s; root %(folder)s/files;
            location /hello { return 200 "Hello, world!"; }
            location /old { return 301 /hello; }
            location /secret { auth_basic "secret"; auth_basic_user_file %(folder)s/users; }
            location /nowhere { proxy_pass http://127.0.0.1:1; }
            location /protocol { return 200 $server_protocol; }
            location /close { keepalive_timeout 0; return 200 "bye"; }
            location /large { client_max_body_size 10; proxy_pass http://127.0.0.1:1; }
            %(more)s
        }"""

    def prepare(self):
        names = self.CERTIFICATES + ("client", "http2")
        ports = free_ports(1 + len(names))
        self.port = ports.pop()
        self.tls_ports = dict(zip(names, ports))
        servers = [self._server(str(self.port))]
        for name, port in self.tls_ports.items():
            servers.append(self._server(
                "%d ssl%s" % (port, " http2" if name == "http2" else ""),
                "ssl_certificate %s/%s.crt; ssl_verify_client %s;" % (
                    CERTS, name if name in self.CERTIFICATES else "server",
                    "on" if name == "client" else "off")))
        os.mkdir(os.path.join(self.folder, "files"))
        self.write("files/short", b"short\n")
        self.write("files/long", b"0123456789" * 100000)
        self.write("files/secret", b"told\n")
        self.write("users", b"me:{PLAIN}secret\n")
        self.write("conf", (self._CONFIGURATION % {
            "folder": self.folder, "certs": CERTS, "servers": "".join(servers)}).encode("utf-8"))
        # The workers may run as another user.
        os.chmod(self.folder, 0o755)

    def _server(self, listen, more=""):
        return self._SERVER % {"listen": listen, "folder": self.folder, "more": more}

    def write(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)

    def command(self):
        return [self.program(), "-p", self.folder, "-c", os.path.join(self.folder, "conf"), "-e",
                "stderr"]


class HAProxy(Service):
    """A HAProxy in front of a server: its `listen` sections, each a pair of a name and its lines,
    which contain %(listen)d for the port that is then in `ports`, and others of `values`.
    %(pem)s is a file with the certificate and key of the tests."""
    name = "haproxy"
    advice = ": apt-get install haproxy"

    def __init__(self, sections, **values):
        self._sections, self._values = sections, values
        super(HAProxy, self).__init__()

    def prepare(self):
        pem = os.path.join(self.folder, "server.pem")
        with open(pem, "wb") as joined:
            for name in ("server.crt", "server.key"):
                with open(os.path.join(CERTS, name), "rb") as part:
                    joined.write(part.read())
        names = [name for name, _ in self._sections]
        self.ports = dict(zip(names, free_ports(len(names))))
        self.port = self.ports[names[-1]]
        with open(os.path.join(self.folder, "haproxy.cfg"), "w") as target:
            target.write("global\n  maxconn 100\ndefaults\n  timeout connect 10s\n"
                         "  timeout client 60s\n  timeout server 60s\n")
            for name, lines in self._sections:
                target.write("listen %s\n%s\n" % (name, lines % dict(
                    self._values, listen=self.ports[name], pem=pem)))

    def command(self):
        return [self.program(), "-db", "-f", "haproxy.cfg"]


class Tinyproxy(Service):
    """An HTTP proxy that requires the user "me" and the password "secret"."""
    name = "tinyproxy"
    advice = ": apt-get install tinyproxy"

    def prepare(self):
        with open(os.path.join(self.folder, "conf"), "w") as file:
            file.write("Port %d\nListen 127.0.0.1\nTimeout 60\nBasicAuth me secret\n"
                       "MaxClients 100\n" % self.port)

    def command(self):
        return [self.program(), "-d", "-c", os.path.join(self.folder, "conf")]


class PythonServer(Service):
    """A server in Python, run by the interpreter that FRIENDSERVE_PEERS names."""

    advice = (": make a virtual environment with aiohttp, flask, gunicorn, uvicorn and h11, and "
              "set FRIENDSERVE_PEERS to its python")

    @classmethod
    def program(cls):
        return os.environ.get("FRIENDSERVE_PEERS") or None


class GunicornFlask(PythonServer):
    """A Flask application under gunicorn."""
    name = "Flask under gunicorn"

    def command(self):
        return [self.program(), "-m", "gunicorn", "--chdir", PEERS, "--threads", "4", "--bind",
                "127.0.0.1:%d" % self.port, "--keep-alive", "5", "flask_app:app"]


class Aiohttp(PythonServer):
    """An aiohttp server."""
    name = "aiohttp"

    def command(self):
        return [self.program(), os.path.join(PEERS, "aiohttp_app.py"), str(self.port)]


class Uvicorn(PythonServer):
    """An ASGI application under uvicorn, which reads HTTP with h11."""
    name = "uvicorn"

    def command(self):
        return [self.program(), "-m", "uvicorn", "--app-dir", PEERS, "--http", "h11", "--host",
                "127.0.0.1", "--port", str(self.port), "--no-access-log", "uvicorn_app:app"]


class OIDCProvider(Service):
    """The package oidc-provider of npm, in the folder that FRIENDSERVE_NODE names. `clients` is a
    list of dicts: the metadata of those that are registered."""
    name = "oidc-provider, a package of npm,"

    def __init__(self, clients):
        self.clients = clients
        super(OIDCProvider, self).__init__()

    @classmethod
    def program(cls):
        return find_program("node") if os.environ.get("FRIENDSERVE_NODE") else None

    def command(self):
        return [self.program(), os.path.join(PEERS, "oidc_provider.mjs"), str(self.port),
                json.dumps({"clients": self.clients})]

    def url(self):
        """Its issuer."""
        return "http://127.0.0.1:%d" % self.port
