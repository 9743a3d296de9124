"""Masters and workers that die, stall, or do not get ready; the first process of a container;
systemd."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from friendserve.serve.sockets import Listeners, SocketsError
from tests import PATIENCE, ROOT
from tests.servecase import APPLICATION, ServeCase, get, wait_until


class DeathTest(ServeCase, unittest.TestCase):
    def test_b358_a_killed_worker_is_replaced(self):
        service = self.start().ready()
        killed = service.workers()[0]
        service.signal(signal.SIGKILL, killed)
        service.ready(3)
        self.assertIn("orker %d ended by signal 9" % killed, "".join(service.log))
        self.assertNotEqual(killed, int(service.get()))

    def test_b487_a_leftover_with_the_number_of_the_parent_is_not_that_of_an_older_master(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "pid")
        with open(path, "w") as target:
            target.write("%d\n" % os.getpid())
        service = self.start(pidfile=path, processes=1).ready()
        with open(path) as source:
            self.assertEqual("%d\n" % service.master, source.read())
        service.signal(signal.SIGTERM)
        self.assertEqual(0, service.wait())
        self.assertEqual([], os.listdir(folder))

    def test_b359_a_killed_master_frees_the_port(self):
        service = self.start(graceful_timeout=5).ready()
        connection = service.connect()
        self.addCleanup(connection.close)
        get(connection)
        service.process.kill()
        service.wait_for("The master has died", 2)

        def is_free():
            try:
                service.connect().close()
            except EnvironmentError:
                return True
        wait_until(is_free)

    def test_b360_an_endless_handler_is_named_with_its_stack_and_replaced(self):
        service = self.start(processes=1, stall_timeout=7).ready()
        connection = service.connect()
        self.addCleanup(connection.close)
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        service.wait_for("its loop has not turned for 5 s")
        service.wait_for("application.py")
        service.wait_for("is killed: its loop has not turned for 7 s")
        service.ready(2)
        self.assertEqual(str(service.workers()[1]), service.get())

    def test_b360_a_stopped_worker_is_replaced(self):
        service = self.start(processes=1, stall_timeout=2).ready()
        service.signal(signal.SIGSTOP, service.workers()[0])
        service.wait_for("is killed: its loop has not turned for 2 s")
        service.ready(2)
        self.assertEqual(str(service.workers()[1]), service.get())

    def test_b361_a_successor_that_does_not_get_ready_leaves_the_predecessor(self):
        service = self.start(processes=1, start_timeout=1).ready()
        service.write("import time\ntime.sleep(100)\n")
        service.signal(signal.SIGHUP)
        service.wait_for("it was not ready within 1 s")
        service.wait_for("Not reloaded")
        self.assertEqual(service.workers(), [int(service.get())])

    def test_b361_a_worker_that_drains_for_too_long_is_killed(self):
        service = self.start(processes=1, graceful_timeout=-3).ready()
        connection = service.connect()
        self.addCleanup(connection.close)
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        service.signal(signal.SIGSTOP, service.workers()[0])
        service.signal(signal.SIGTERM)
        service.wait_for("is killed: it has not ended in time")
        self.assertEqual(0, service.wait())

    def test_b362_as_process_1_it_reaps_strangers(self):
        prefix = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        application = APPLICATION + """
    class Orphan(RequestHandler):
        def get(self):
            if not os.fork():
                if os.fork():
                    os._exit(0)
                os.execvp("sleep", ["sleep", "0.1"])
            os.wait()
            self.write("1")

    class Zombies(RequestHandler):
        def get(self):
            states = []
            for name in os.listdir("/proc"):
                if name.isdigit():
                    try:
                        with open("/proc/%s/stat" % name) as source:
                            fields = source.read().rpartition(")")
                    except EnvironmentError:
                        continue
                    if "sleep" in fields[0]:
                        states.append(fields[2].split()[0])
            self.write(str(len(states)))

    def make(settings):
        return Application([("/", Pid), ("/orphan", Orphan), ("/zombies", Zombies)])
"""
        service = self.start(application, prefix=prefix).ready()
        self.assertEqual(1, service.master)
        self.assertEqual("1", service.get("/orphan"))
        wait_until(lambda: service.get("/zombies") == "0")
        self.assertEqual([], service.logged("ended by"))
        # From inside: process 1 is another one out here.
        children = subprocess.check_output(["pgrep", "-P", str(service.process.pid)]).split()
        os.kill(int(children[0]), signal.SIGUSR2)
        service.wait_for("No new master: the first process of a container cannot be replaced")
        os.kill(int(children[0]), signal.SIGTERM)
        service.log[:] = [line for line in service.log if "listens on" not in line]
        self.assertEqual(0, service.wait())


class BalanceTest(ServeCase, unittest.TestCase):
    def test_b369_each_worker_has_its_share_of_the_connections(self):
        service = self.start().ready()
        found = []
        for _ in range(60):
            connection = service.connect()
            self.addCleanup(connection.close)
            found.append(get(connection)[1])
        counts = [found.count(str(pid)) for pid in service.workers()]
        self.assertEqual(60, sum(counts))
        self.assertGreaterEqual(min(counts), 20, counts)

    def test_b050_four_workers_share_a_rush_of_connections(self):
        service = self.start(processes=4).ready()
        connections = []
        for _ in range(8):
            # Each time, more than wait for one turn.
            connections += [service.connect() for _ in range(50)]
            for connection in connections[-50:]:
                self.addCleanup(connection.close)
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for connection in connections[-50:]:
                connection.recv(1)
        found = []
        for connection in connections:
            connection.settimeout(PATIENCE)
            head = connection.recv(65536)
            found.append(head.rsplit(b"\r\n\r\n", 1)[1])
        counts = sorted(found.count(str(pid).encode("ascii")) for pid in service.workers())
        self.assertEqual(400, sum(counts))
        # On two free cores within 20 % of 100; other programs make it less even.
        self.assertTrue(60 <= counts[0] and counts[-1] <= 150, counts)


class SystemdTest(ServeCase, unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        path = os.path.join(self.folder, "notify")
        self.socket.bind(path)
        self.socket.settimeout(PATIENCE)
        self.environ = {"NOTIFY_SOCKET": path}

    def receive(self, start):
        """The lines of the next message that starts so."""
        while True:
            lines = self.socket.recv(4096).decode("utf-8").split("\n")
            if lines[0].startswith(start):
                return lines

    def test_b363_what_systemd_is_told(self):
        service = self.start(environ=self.environ)
        self.assertEqual(["STATUS=2 workers", "MAINPID=%d" % service.process.pid],
                         self.receive("READY=1")[1:])
        service.signal(signal.SIGHUP)
        self.assertRegex(self.receive("RELOADING=1")[1], r"\AMONOTONIC_USEC=\d+\Z")
        self.assertEqual("STATUS=2 workers", self.receive("READY=1")[1])
        service.write("raise ValueError('not today')")
        service.signal(signal.SIGHUP)
        self.receive("RELOADING=1")
        self.assertIn("Not reloaded: worker", self.receive("READY=1")[1])
        service.signal(signal.SIGTERM)
        self.receive("STOPPING=1")
        self.receive("EXTEND_TIMEOUT_USEC=")

    def test_b363_the_watchdog_hears_nothing_while_no_loop_turns(self):
        service = self.start(processes=1, environ=dict(self.environ, WATCHDOG_USEC="400000"))
        for _ in range(3):
            self.receive("WATCHDOG=1")
        service.signal(signal.SIGSTOP, service.workers()[0])
        self.addCleanup(service.signal, signal.SIGCONT, service.workers()[0])
        self.socket.settimeout(1.5)

        def is_silent():
            try:
                self.receive("WATCHDOG=1")
            except socket.timeout:
                return True
        wait_until(is_silent)

    def test_b363_the_new_master_is_told(self):
        service = self.start(processes=1, environ=self.environ)
        self.receive("READY=1")
        service.signal(signal.SIGUSR2)
        told = self.receive("READY=1")[2]
        service.wait_for(" listens on ", 2)
        self.assertEqual("MAINPID=%d" % service.master, told)

    if not hasattr(unittest.TestCase, "assertRegex"):  # version: py2
        assertRegex = unittest.TestCase.assertRegexpMatches

    def test_b364_sockets_from_systemd(self):
        path = os.path.join(self.folder, "listen")
        service = self.start(processes=1, prefix=["systemd-socket-activate", "-l", path,
                                                  "--fdname=web"])
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        wait_until(lambda: os.path.exists(path))
        wait_until(lambda: client.connect_ex(path) == 0)
        get(client)
        self.assertIn("unix:" + path, service.logged("listens on")[0])


class ListenersTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "socket")

    def make(self, *addresses, **options):
        listeners = Listeners(addresses, environ=options.pop("environ", {}), **options)
        self.addCleanup(listeners.close)
        return listeners

    def refused(self, *addresses, **options):
        with self.assertRaises(SocketsError) as caught:
            self.make(*addresses, **options)
        return str(caught.exception)

    def test_b365_addresses(self):
        listeners = self.make("127.0.0.1:0", "unix:" + self.path)
        self.assertTrue(listeners.names()[0].startswith("127.0.0.1:"))
        self.assertEqual("unix:" + self.path, listeners.names()[1])
        self.assertEqual(0o660, os.stat(self.path).st_mode & 0o777)

    def test_b365_malformed(self):
        for address in ("8000", "a:b", "unix:", "fd:x", "fd:", "127.0.0.1:99999", ""):
            self.assertIn("cannot listen on %s:" % address, self.refused(address))

    def test_b365_in_use(self):
        port = self.make("127.0.0.1:0").names()[0]
        self.assertIn("in use", self.refused(port))

    def test_b365_a_unix_socket_is_removed_only_if_nothing_answers(self):
        first = self.make("unix:" + self.path)
        self.assertIn("another program is listening there", self.refused("unix:" + self.path))
        first.close()
        self.make("unix:" + self.path)
        other = os.path.join(self.folder, "file")
        open(other, "w").close()
        self.assertIn("not a socket", self.refused("unix:" + other))
        self.assertTrue(os.path.exists(other))

    def test_b365_an_unknown_group(self):
        self.refused("unix:" + self.path, unix_group="no-such-group-here")
        self.assertFalse(os.path.exists(self.path))

    def test_b365_a_descriptor(self):
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        name = "127.0.0.1:%d" % sock.getsockname()[1]
        fd = os.dup(sock.fileno())
        sock.close()
        self.assertEqual([name], self.make("fd:%d" % fd).names())
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.assertIn("descriptor %d" % reader, self.refused("fd:%d" % reader))

    def test_b366_a_slot_has_sockets_that_outlive_its_workers(self):
        listeners = self.make("127.0.0.1:0", "unix:" + self.path, reuse_port=True)
        first, second = listeners.of_slot(0), listeners.of_slot(1)
        self.assertIsNot(first[0], second[0])
        self.assertIs(first[1], second[1])
        self.assertIs(first[0], listeners.of_slot(0)[0])

    def test_b366_a_change_that_fails_changes_nothing(self):
        listeners = self.make("127.0.0.1:0")
        before = listeners.names()
        with self.assertRaises(SocketsError):
            listeners.change(["127.0.0.1:0", "unix:" + self.path, "unix:"])
        self.assertEqual(before, listeners.names())
        listeners.change(["unix:" + self.path])
        self.assertEqual(["unix:" + self.path], listeners.names())

    def test_b366_handed_over(self):
        listeners = self.make("127.0.0.1:0")
        environ = {}
        fds = listeners.hand_over(environ)
        successor = self.make("127.0.0.1:0", environ=environ)
        self.assertEqual(listeners.names(), successor.names())
        self.assertEqual(({}, 1), (environ, len(fds)))

    def test_b364_only_the_process_that_systemd_means(self):
        environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
        listeners = self.make("127.0.0.1:0", environ=environ)
        self.assertEqual((False, {}), (listeners.is_passed, environ))

    def test_b364_names_and_no_second_listen(self):
        text = ("import os, socket; from friendserve.serve.sockets import Listeners; "
                "sock = socket.socket(); sock.bind(('127.0.0.1', 0)); sock.listen(5); "
                "os.dup2(sock.fileno(), 3); "
                "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', "
                "LISTEN_FDNAMES='web'); "
                "listeners = Listeners(['127.0.0.1:1']); "
                "print(listeners.addresses[0], len(listeners.names()))")
        out = subprocess.check_output([sys.executable, "-c", "from __future__ import "
                                       "print_function; " + text], cwd=ROOT)
        self.assertEqual(b"systemd:web 1", out.strip())
