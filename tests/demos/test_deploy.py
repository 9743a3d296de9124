"""The files of demos/deploy, each with the program it is for."""
from __future__ import absolute_import, division, print_function

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from friendserve.httpclient import HTTPClient, HTTPError, HTTPRequest
from friendserve.serve.ctl import run_ping
from friendserve.testing import AsyncTestCase
from friendserve.websocket import websocket_connect
from tests import CA, CERT, KEY, PATIENCE, ROOT, services
from tests.fleetcase import make_network
from tests.servecase import Load, get, wait_until

FILES = os.path.join(ROOT, "demos", "deploy")


class DeployCase(AsyncTestCase):
    def setUp(self):
        super(DeployCase, self).setUp()
        # Short: the path of a Unix socket has at most 108 bytes.
        self.folder = tempfile.mkdtemp(prefix="deploy")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.places = {"/run/hello": self.folder, "/var/log/hello": self.folder,
                       "/srv/hello": FILES, "/etc/hello/tls.crt": CERT,
                       "/etc/hello/tls.key": KEY}

    def copy(self, name, *more):
        """The path of a copy of a file, with the places of this test; `more` are further pairs of
        what is replaced, which must be there, and its replacement."""
        with open(os.path.join(FILES, name)) as source:
            text = source.read()
        for before, after in more:
            self.assertIn(before, text)
            text = text.replace(before, after)
        for before, after in self.places.items():
            text = text.replace(before, after)
        path = os.path.join(self.folder, name)
        with open(path, "w") as target:
            target.write(text)
        return path

    def serve(self, *arguments, **options):
        environ = dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="1",
                       **options.pop("environ", {}))
        return self.run_program(
            list(options.pop("prefix", ())) + [sys.executable, "-m", "friendserve", "serve"]
            + list(arguments), "is ready in slot", environ=environ)

    def run_program(self, command, ready=None, environ=None, check=None):
        """Start a program, and return once its output contains `ready` or `check()` is true."""
        # Each has one to itself, or what one says would be taken for what another says.
        path = os.path.join(self.folder, "output-%d" % len(os.listdir(self.folder)))
        with open(path, "wb") as output:
            process = subprocess.Popen(command, cwd=FILES, stdout=output, stderr=output,
                                       env=environ)
        self.addCleanup(self.end, process)

        def said():
            with open(path) as output:
                return output.read()

        def is_ready():
            self.assertIsNone(process.poll(), said())
            return ready is not None and ready in said() or check is not None and check()
        wait_until(is_ready, PATIENCE, lambda: "%r in %s" % (ready, said()))
        return process

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                wait_until(lambda: process.poll() is not None)
            except AssertionError:
                process.kill()
        process.wait()

    def serve_as_configured(self):
        return self.serve("--config", self.copy("hello.conf", ('"auto"', "2")),
                          "--drain-idle=0.1", "hello:application")

    def fetch(self, url, **options):
        with HTTPClient() as client:
            return client.fetch(url, ca_certs=CA, **options)

    def echo(self, url):
        """That a WebSocket works."""
        def on_open(future):
            connection = future.result()
            connection.write_message(u"through")
            connection.read_message(self.stop)
        request = HTTPRequest(url, ca_certs=CA)
        self.io_loop.add_future(websocket_connect(request, io_loop=self.io_loop), on_open)
        self.assertEqual("through", self.wait(timeout=PATIENCE))


def is_open(port):
    def check():
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except EnvironmentError:
            return False
        return True
    return check


@services.needs(services.Nginx)
class NginxTest(DeployCase):
    def test_b383_nginx(self):
        self.serve_as_configured()
        plain, secure = services.free_ports(2)
        site = self.copy("nginx.conf", ("listen 80;", "listen 127.0.0.1:%d;" % plain),
                         ("listen 443 ssl", "listen 127.0.0.1:%d ssl" % secure))
        path = os.path.join(self.folder, "whole.conf")
        with open(path, "w") as target:
            # As root, so that the workers may use the socket; its group depends on the machine.
            target.write("%sdaemon off; pid nginx.pid; error_log stderr; events {}\n"
                         "http { access_log off; include %s; }\n" % (
                             "user root; " if os.getuid() == 0 else "", site))
        self.run_program([services.Nginx.program(), "-p", self.folder, "-c", path, "-e", "stderr"],
                         check=is_open(secure))
        url = "https://localhost:%d/" % secure
        forged = {"X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.5", "X-Forwarded-Proto": "http",
                  "X-Scheme": "http"}
        self.assertEqual(b"Hello 127.0.0.1, by https.\n", self.fetch(url, headers=forged).body)
        self.assertEqual(404, self.fetch(url + "health/ready", raise_error=False).code)
        self.echo("wss://localhost:%d/echo" % secure)
        moved = self.fetch("http://localhost:%d/a" % plain, follow_redirects=False,
                           raise_error=False)
        self.assertEqual((301, "https://localhost/a"), (moved.code, moved.headers["Location"]))
        with open(os.path.join(self.folder, "access.log")) as log:
            self.assertTrue(re.match(r'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 ', log.read()))


@services.needs(services.Nginx)
class FleetTest(DeployCase):
    def setUp(self):
        super(FleetTest, self).setUp()
        self.network = make_network(self.folder)
        self.addCleanup(self.network.close)

    def serve_machine(self, number):
        return self.serve("--bind=" + self.network.addresses[number], "--xheaders",
                          "--trust=" + self.network.trusted, "--health=/health", "--drain-idle=1",
                          "hello:application", prefix=self.network.on_machine(number))

    def is_ready(self, number):
        url = "http://%s/health/ready" % self.network.addresses[number]
        return 0 == subprocess.call(self.network.on_machine(number) + [
            sys.executable, "-m", "friendserve", "ping", url], cwd=ROOT)

    def is_balanced(self):
        try:
            self.network.connect().close()
        except EnvironmentError:
            return False
        return True

    def test_b442_machines_are_updated_one_after_the_other_without_a_lost_request(self):
        machines = [self.serve_machine(number) for number in range(2)]
        site = self.copy("fleet.conf", ("listen 80;", "listen %s;" % self.network.listen),
                         ("10.0.0.11:8000", self.network.addresses[0]),
                         ("10.0.0.12:8000", self.network.addresses[1]))
        path = os.path.join(self.folder, "whole.conf")
        with open(path, "w") as target:
            target.write("daemon off; pid nginx.pid; error_log stderr; events {}\n"
                         "http { access_log off; include %s; }\n" % site)
        self.run_program(
            self.network.on_balancer() + [services.Nginx.program(), "-p", self.folder, "-c", path,
                                          "-e", "stderr"], check=self.is_balanced)
        load = Load(self.network, keeping=4, closing=2)
        self.addCleanup(load.stop)
        load.more(100)
        for number in range(2):
            # New code is a reload.
            machines[number].send_signal(signal.SIGHUP)
            load.more(100)
            # A new version of Python or of the system is a restart.
            machines[number].send_signal(signal.SIGTERM)
            self.assertEqual(0, machines[number].wait())
            self.assertFalse(self.is_ready(number))
            load.more(100)
            machines[number] = self.serve_machine(number)
            self.assertTrue(self.is_ready(number))
            load.more(100)
        load.stop()
        self.assertEqual([], load.failed)


@services.needs(services.HAProxy)
class HAProxyTest(DeployCase):
    def test_b383_haproxy(self):
        port, front = services.free_ports(2)
        self.serve("--bind=127.0.0.1:%d" % port, "--proxy-protocol", "--trust=127.0.0.1",
                   "--certfile", CERT, "--keyfile", KEY, "--health=/health", "--drain-idle=0.1",
                   "hello:application")
        config = self.copy("haproxy.cfg", ("bind :443", "bind 127.0.0.1:%d" % front),
                           ("maxconn 20000", "maxconn 100"),
                           ("10.0.0.11:8443", "127.0.0.1:%d" % port),
                           ("10.0.0.12:8443", "127.0.0.1:%d" % services.free_port()))
        self.run_program([services.HAProxy.program(), "-db", "-f", config], check=is_open(front))
        url = "https://localhost:%d/" % front

        def answers():
            # Connections are lost until the checks have found out that one of the two is down.
            try:
                return [self.fetch(url).body for _ in range(4)] \
                    == [b"Hello 127.0.0.1, by https.\n"] * 4
            except HTTPError:
                return False
        wait_until(answers)


class Caddy(services.Service):
    name = "caddy"


@services.needs(Caddy)
class CaddyTest(DeployCase):
    def test_b383_caddy(self):
        self.serve_as_configured()
        port = services.free_port()
        # Without the names and certificates of the world.
        config = self.copy("Caddyfile", (
            "hello.example {", "{\n\tadmin off\n}\nhttp://:%d {" % port))
        environ = dict(os.environ, HOME=self.folder, XDG_DATA_HOME=self.folder,
                       XDG_CONFIG_HOME=self.folder)
        self.run_program([Caddy.program(), "run", "--config", config, "--adapter", "caddyfile"],
                         check=is_open(port), environ=environ)
        url = "http://127.0.0.1:%d/" % port
        forged = {"X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.5",
                  "X-Forwarded-Proto": "https", "X-Scheme": "https"}
        self.assertEqual(b"Hello 127.0.0.1, by http.\n", self.fetch(url, headers=forged).body)
        self.assertEqual(404, self.fetch(url + "health/ready", raise_error=False).code)
        self.echo("ws://127.0.0.1:%d/echo" % port)


class SystemdTest(DeployCase):
    def command(self, name):
        with open(os.path.join(FILES, "hello.service")) as source:
            return re.search(r"^%s=(.*)$" % name, source.read(), re.M).group(1).split()

    @unittest.skipUnless(services.find_program("systemd-analyze"),
                         "systemd is not installed: apt-get install systemd")
    def test_b383_the_units_are_valid(self):
        program = os.path.join(self.folder, "friendserve")
        with open(program, "w") as target:
            target.write("#!/bin/sh\n")
        os.chmod(program, 0o755)
        units = [self.copy("hello.service", ("/srv/hello/venv/bin/friendserve", program)),
                 self.copy("hello.socket")]
        checked = subprocess.Popen(["systemd-analyze", "verify"] + units, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        output = checked.communicate()[0].decode("utf-8")
        self.assertEqual(0, checked.returncode, output)
        self.assertNotIn("hello.", output)

    @unittest.skipUnless(services.find_program("systemd-socket-activate"),
                         "systemd is not installed: apt-get install systemd")
    def test_b383_the_socket_of_systemd_is_the_one_that_is_served(self):
        words = self.command("ExecStart")
        self.assertEqual(["serve", "--config", "/etc/hello/hello.conf", "hello:application"],
                         words[1:])
        path = os.path.join(self.folder, "listen")
        config = self.copy("hello.conf", ('"auto"', "1"))
        self.run_program(
            ["systemd-socket-activate", "-l", path, "--fdname=http", "-E", "PYTHONPATH=" + ROOT,
             sys.executable, "-m", "friendserve", "serve", "--config", config,
             "--drain-idle=0.1", "hello:application"], check=lambda: os.path.exists(path))
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        wait_until(lambda: client.connect_ex(path) == 0)
        self.assertTrue(get(client)[1].startswith("Hello "))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "http")))


class DockerfileTest(DeployCase):
    def setUp(self):
        super(DockerfileTest, self).setUp()
        with open(os.path.join(FILES, "Dockerfile")) as source:
            self.text = source.read().replace("\\\n", "")

    def command(self, pattern):
        return json.loads(re.search(pattern + r" (\[.*\])$", self.text, re.M).group(1))

    def test_b383_the_container_does_not_run_as_root(self):
        self.assertTrue(re.search(r"^USER (?!root)", self.text, re.M))

    def test_b383_the_command_and_the_health_check_of_the_container(self):
        port = services.free_port()
        environ = dict(word.replace("8000", str(port)).split("=") for word in
                       re.search(r"^ENV (.*)$", self.text, re.M).group(1).split())
        self.assertEqual(":%d" % port, environ["FRIENDSERVE_BIND"])
        environ["FRIENDSERVE_DRAIN_IDLE"] = "0.1"
        words = self.command("^CMD")
        self.assertEqual(["friendserve", "serve"], words[:2])
        process = self.serve(*words[2:], environ=environ)
        words = [word.replace("8000", str(port)) for word in
                 self.command(r"^HEALTHCHECK .*?CMD")]
        self.assertEqual(["friendserve", "ping"], words[:2])
        self.assertEqual(0, run_ping(words[2:]))
        self.end(process)
        self.assertEqual(0, process.returncode)
        self.assertEqual(1, run_ping(words[2:]))
