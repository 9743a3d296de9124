"""What a service tells of itself: metrics of all workers, health, connections, commands."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
import unittest

import six
from prometheus_client.parser import text_string_to_metric_families

from friendserve.serve.ctl import ask, run_ctl, run_ping
from tests import PATIENCE
from tests.servecase import ServeCase, free_port, get, wait_until

#: Counts its requests itself, too.
APPLICATION = """
    from friendserve import metrics
    from friendserve.web import Application, RequestHandler, asynchronous

    hits = metrics.counter("hits_total", "Requests.", ["kind"])

    class Hit(RequestHandler):
        def get(self):
            hits.labels("odd").add(3)
            self.write("ok")

    class Wait(RequestHandler):
        @asynchronous
        def get(self):
            pass

    def make(settings):
        return Application([("/", Hit), ("/wait", Wait)], log_function=lambda handler: None)
"""


def read_samples(text):
    return [(sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(six.ensure_text(text))
            for sample in family.samples]


def total(samples, name, **labels):
    return sum(value for found, pairs, value in samples
               if found == name and all(pairs.get(key) == labels[key] for key in labels))


class MetricsTest(ServeCase, unittest.TestCase):
    def test_b409_metrics_of_four_workers_equal_what_was_sent(self):
        service = self.start(APPLICATION, processes=4, metrics="/metrics", health="/health",
                             max_requests=60, drain_idle=0.2).ready()
        load = self.load(service)
        # Each worker is recycled, some of them twice.
        service.wait_for("is recycled", 6)
        load.more(100)
        load.stop()
        self.assertEqual([], load.failed)
        # Whichever worker answers: all have written within a second, and when they ended.
        samples = []

        def is_complete():
            samples[:] = read_samples(service.get("/metrics"))
            return total(samples, "hits_total") == 3 * load.answered and load.answered == total(
                samples, "friendserve_requests_total", method="GET", status="2xx")

        wait_until(is_complete, PATIENCE, lambda: "sum of %d: %s" % (load.answered, samples))
        self.assertEqual(set("0123"), set(
            labels["slot"] for name, labels, _ in samples if name == "hits_total"))
        self.assertEqual("ok\n", service.get("/health/ready"))
        self.assertEqual("ok\n", service.get("/health/live"))

    def test_b410_ready_is_503_when_the_service_ends(self):
        service = self.start(APPLICATION, processes=1, health="/health", drain_idle=5).ready()
        connection = service.connect()
        self.addCleanup(connection.close)
        self.assertEqual("ok\n", get(connection, "/health/ready")[1])
        waiting = service.connect()
        self.addCleanup(waiting.close)
        waiting.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        service.signal(signal.SIGTERM)
        service.wait_for("Stopping")
        # Until the worker has heard of it, too.
        with six.assertRaisesRegex(self, EnvironmentError, "^http/1.1 503"):
            for _ in range(10000):
                get(connection, "/health/ready")


class OperatorTest(ServeCase, unittest.TestCase):
    def start_service(self, **settings):
        service = self.start(APPLICATION, metrics="127.0.0.1:%d" % free_port(), **settings)
        service.port, self.served = int(service.settings["metrics"].split(":")[1]), service.port
        return service

    def test_b411_the_page_of_connections(self):
        service = self.start_service(processes=2).ready()
        other = self.connect_to_wait(service)
        self.addCleanup(other.close)
        wait_until(lambda: "GET /wait?a&lt;b HTTP/1.1" in service.get("/connections"), PATIENCE,
                   lambda: service.get("/connections"))
        page = service.get("/connections")
        for worker in service.workers():
            self.assertIn("<td>%d" % worker, page)
        self.assertIn("<td>responding", page)
        self.assertIn("friendserve_connections", service.get("/metrics"))
        self.assertEqual("ok\n", service.get("/health/ready"))

    def connect_to_wait(self, service):
        service.port, port = self.served, service.port
        connection = service.connect()
        service.port = port
        connection.sendall(b"GET /wait?a<b HTTP/1.1\r\nHost: a\r\n\r\n")
        return connection


class ControlTest(ServeCase, unittest.TestCase):
    def start_service(self, **settings):
        folder = self.make_folder()
        self.path = os.path.join(folder, "control")
        return self.start(APPLICATION, control="unix:" + self.path, processes=1,
                          **settings).ready()

    def make_folder(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def ctl(self, *args):
        out = io.StringIO() if six.PY3 else io.BytesIO()
        status = run_ctl(list(args) + ["--control", "unix:" + self.path], out)
        return status, out.getvalue()

    def test_b412_commands_of_the_operator(self):
        service = self.start_service()
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.path).st_mode))
        status, text = self.ctl("status", "--json")
        rows = json.loads(text)
        self.assertEqual((0, [(0, service.workers()[0], "ready")]),
                         (status, [(row["slot"], row["pid"], row["state"]) for row in rows]))
        self.assertIn("slot  pid", self.ctl("status")[1])
        self.assertEqual((0, "2 workers\n"), self.ctl("add"))
        service.ready(2)
        self.assertEqual((0, "1 workers\n"), self.ctl("remove"))
        self.assertEqual((0, "reloaded\n"), self.ctl("reload"))
        service.ready(3)
        connection = service.connect()
        self.addCleanup(connection.close)
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: "GET /wait HTTP/1.1" in self.ctl("connections")[1])
        self.assertEqual(0, self.ctl("stacks")[0])
        service.wait_for("most recent call" if six.PY3 else "File")
        connection.close()
        self.assertEqual((0, "stopping\n"), self.ctl("stop"))
        self.assertEqual(0, service.wait())

    def test_b488_an_operator_who_sends_nonsense_is_told_what_a_request_is(self):
        self.start_service()
        for line in (b"[" * 4000, b'{"command": []}', b"\xff", b'"command"', b"null", b""):
            client = socket.socket(socket.AF_UNIX)
            try:
                client.settimeout(PATIENCE)
                client.connect(self.path)
                client.sendall(line + b"\n")
                self.assertIn(b"a request is", client.recv(1000), line)
            finally:
                client.close()

    def test_b413_what_goes_wrong_has_an_exit_status(self):
        service = self.start_service()
        self.assertIn("one of add, connections", ask(self.path, "dance")["error"])
        service.write("raise ValueError('not today')\n")
        self.assertEqual((1, ""), self.ctl("reload"))
        self.path += "-none"
        self.assertEqual((3, ""), self.ctl("status"))


class PingTest(ServeCase, unittest.TestCase):
    def test_b414_the_health_check_of_a_container(self):
        service = self.start(APPLICATION, processes=1, health="/health").ready()
        url = "http://127.0.0.1:%d" % service.port
        self.assertEqual([0, 0, 1], [run_ping([url + path]) for path in ("", "/", "/missing")])
        self.assertEqual(1, run_ping(["http://127.0.0.1:%d/" % free_port()]))
        self.assertEqual(1, run_ping(["unix:/nowhere/socket"]))
        with self.assertRaises(SystemExit):
            run_ping(["ftp://localhost"])

    def test_b414_over_a_unix_socket(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "socket")
        self.start(APPLICATION, processes=1, health="/health", bind=["unix:" + path]).ready()
        self.assertEqual([0, 1], [run_ping(["unix:" + path + end]) for end in ("", ":/missing")])


if __name__ == "__main__":
    unittest.main()
