"""A new master in place of the old one: what it takes over besides the workers' sockets."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import signal
import socket
import tempfile
import unittest

from friendserve.serve.ctl import ask
from tests import PATIENCE
from tests.servecase import APPLICATION, ServeCase, free_port, get, wait_until

BROKEN = "raise ValueError('not today')\n"


class OperatorsTest(ServeCase, unittest.TestCase):
    def start_service(self, **settings):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.control = os.path.join(folder, "control")
        self.port = free_port()
        return self.start(processes=1, control="unix:" + self.control,
                          metrics="127.0.0.1:%d" % self.port, **settings).ready()

    def page(self, path):
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        try:
            return get(connection, path)[1]
        finally:
            connection.close()

    def pids(self):
        return [row["pid"] for row in ask(self.control, "status")["result"]]

    def test_b433_the_new_master_answers_operators(self):
        service = self.start_service()
        old = service.master
        service.signal(signal.SIGUSR2)
        service.wait_for("The new master, process ")
        # No moment without an answer, and the new one's workers from here on.
        self.assertEqual("ok\n", self.page("/health/ready"))
        self.assertEqual(service.workers()[1:], self.pids())
        service.signal(signal.SIGTERM, old)
        service.wait()
        self.assertIn("<td>%d" % service.workers()[1], self.page("/connections"))
        self.assertEqual("stopping", ask(self.control, "stop")["result"])
        wait_until(lambda: not os.path.exists(self.control))

    def test_b433_a_new_master_that_cannot_start_leaves_them_to_the_old_one(self):
        service = self.start_service()
        service.write(BROKEN)
        service.signal(signal.SIGUSR2)
        service.wait_for("This master stays")
        self.assertEqual(service.workers(), self.pids())
        self.assertEqual("ok\n", self.page("/health/ready"))

    def test_b433_after_the_end_of_a_new_master_the_old_one_answers_again(self):
        service = self.start_service()
        old, workers = service.master, service.workers()
        service.signal(signal.SIGUSR2)
        service.wait_for("The new master, process ")
        service.signal(signal.SIGTERM)
        service.wait_for("This master stays")
        self.assertNotEqual(old, service.master)
        self.assertEqual(workers, self.pids())
        self.assertIn("<td>%d" % workers[0], self.page("/connections"))

    def test_b433_a_reload_of_preloaded_code_answers_when_it_is_over(self):
        service = self.start_service(preload=True)
        service.write(BROKEN)
        self.assertIn("has ended with status 3", ask(self.control, "reload")["error"])
        service.write(APPLICATION)
        self.assertEqual({"result": "reloaded"}, ask(self.control, "reload"))
        self.assertEqual(0, service.wait())
        self.assertEqual(service.workers()[-1:], self.pids())


class SocketsTest(ServeCase, unittest.TestCase):
    def test_b434_the_sockets_of_systemd_are_passed_on(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "listen")
        service = self.start(processes=1, prefix=[
            "systemd-socket-activate", "-l", path, "--fdname=web"])

        def connect():
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(client.close)
            client.settimeout(PATIENCE)
            client.connect(path)
            return client

        wait_until(lambda: os.path.exists(path))
        get(connect())
        old = service.master
        service.signal(signal.SIGUSR2)
        service.wait_for("The new master, process ")
        service.signal(signal.SIGTERM, old)
        service.wait()
        self.assertEqual(str(service.workers()[1]), get(connect())[1])
        self.assertEqual(2, len(service.logged("listens on unix:" + path)))

    def test_b432_a_socket_for_each_worker_loses_nothing(self):
        service = self.start(processes=2, reuse_port=True).ready()
        load = self.load(service, keeping=2, closing=6)
        for number in range(1, 4):
            service.signal(signal.SIGHUP)
            service.wait_for("Reloaded", number)
            load.more(100)
        service.signal(signal.SIGUSR2)
        old = service.master
        service.wait_for("The new master, process ")
        service.signal(signal.SIGTERM, old)
        service.wait()
        load.more(100)
        # Its socket is closed, or the kernel would leave connections there.
        service.signal(signal.SIGTTOU)
        service.wait_for("has ended", 2 + 2 * 3 + 1)
        load.more(300)
        load.stop()
        self.assertEqual([], load.failed)

    def test_b434_what_is_no_longer_configured_is_not_kept_open(self):
        service = self.start(processes=1).ready()
        port = free_port()
        service.configure(bind=["127.0.0.1:%d" % port])
        old = service.master
        service.signal(signal.SIGUSR2)
        service.wait_for("The new master, process ")
        service.signal(signal.SIGTERM, old)
        service.wait()
        with self.assertRaises(EnvironmentError):
            service.connect()
        service.port = port
        self.assertEqual(str(service.workers()[1]), service.get())


if __name__ == "__main__":
    unittest.main()
