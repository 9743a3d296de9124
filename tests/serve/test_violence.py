"""Services under load that end, or whose processes are killed: what was accepted is answered."""
from __future__ import absolute_import, division, print_function

import errno
import os
import random
import signal
import socket
import threading
import unittest

from tests import PATIENCE
from tests.servecase import ServeCase, get, wait_until


class Clients(object):
    """Threads that ask until they are refused for the first time. `failed` lists requests that were
    not answered although the connection was established."""

    def __init__(self, service, keeping=4, closing=8):
        self.answered, self.failed, self.refused = 0, [], 0
        self._service, self._lock = service, threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number < keeping,))
                         for number in range(keeping + closing)]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def _run(self, keeps):
        while True:
            try:
                connection = self._service.connect()
            except EnvironmentError as error:
                with self._lock:
                    self.refused += error.errno in (errno.ECONNREFUSED, errno.ENOENT)
                return
            try:
                again = True
                while again:
                    again = get(connection, close=not keeps)[0]
                    with self._lock:
                        self.answered += 1
            except EnvironmentError as error:
                self.failed.append(repr(error))
            finally:
                connection.close()

    def more(self, count=100):
        goal = self.answered + count
        wait_until(lambda: self.answered >= goal, PATIENCE, lambda: "answers; " + str(self.failed))

    def join(self):
        for thread in self._threads:
            thread.join(PATIENCE)
        return len(self._threads)


class EndTest(ServeCase, unittest.TestCase):
    def end_under_load(self, service, **options):
        clients = Clients(service, **options)
        clients.more()
        service.signal(signal.SIGTERM)
        count = clients.join()
        self.assertEqual(([], count), (clients.failed, clients.refused))
        self.assertEqual(0, service.wait())

    def test_b431_term_answers_all_that_was_connected(self):
        self.end_under_load(self.start(processes=2).ready())

    def test_b431_so_does_a_service_with_a_socket_for_each_worker(self):
        self.end_under_load(self.start(processes=2, reuse_port=True).ready())

    def test_b431_and_one_with_a_unix_socket(self):
        service = self.start(processes=2).ready()
        path = os.path.join(service.folder, "socket")
        service.configure(bind=["unix:" + path])
        service.signal(signal.SIGHUP)
        service.wait_for("Reloaded")

        def connect():
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(PATIENCE)
            try:
                client.connect(path)
            except EnvironmentError:
                client.close()
                raise
            return client

        service.connect = connect
        self.end_under_load(service)
        self.assertFalse(os.path.exists(path))

    def test_b431_the_port_is_free_while_a_worker_drains(self):
        service = self.start(processes=1, graceful_timeout=60).ready()
        connection = service.connect()
        self.addCleanup(connection.close)
        service.get()
        # In the middle of a reload, too: its worker drains already.
        service.signal(signal.SIGHUP)
        service.wait_for("Reloaded")
        service.signal(signal.SIGTERM)
        service.wait_for("Stopping")

        def is_free():
            sock = socket.socket()
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("127.0.0.1", service.port))
                sock.listen(1)
                return True
            except EnvironmentError:
                return False
            finally:
                sock.close()

        wait_until(is_free)
        self.assertIsNone(service.process.poll())
        get(connection)
        self.assertEqual(0, service.wait())


class KillTest(ServeCase, unittest.TestCase):
    def test_b440_killed_workers_lose_only_what_they_had_in_hand(self):
        service = self.start(processes=2).ready()
        load = self.load(service)
        chosen, killed = random.Random(440), []
        for number in range(1, 6):
            killed.append(chosen.choice(sorted(set(service.workers()).difference(killed))))
            service.signal(signal.SIGKILL, killed[-1])
            service.ready(2 + number)
            load.more(50)
        load.stop()
        # Nine clients, each with one connection at a time: what was on its way when one died.
        self.assertLessEqual(len(load.failed), 5 * 9)
        self.assertEqual([], [text for text in load.failed if "refused" in text.lower()])
        self.assertEqual(0, len(service.logged("giving up")))
        load = self.load(service)
        load.more(100)
        load.stop()
        self.assertEqual([], load.failed)


if __name__ == "__main__":
    unittest.main()
