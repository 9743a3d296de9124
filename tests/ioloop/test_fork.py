"""Forks: what a child process does with an inherited loop, on every poller of this system."""
from __future__ import absolute_import, division, print_function

import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import unittest

from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.platform.pollers.auto import available_pollers
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.tcpserver import TCPServer
from tests import PATIENCE, ROOT
from tests.forkcase import in_child
from tests.loopcase import LogCatcher
from tests.streamcase import Streams, make_any_poller

READ, WRITE = IOLoop.READ, IOLoop.WRITE

#: A daemon: it sets up its server and timer, forks twice, and answers from the grandchild.
DAEMON = """
import os, sys
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.tcpserver import TCPServer
from tests.docscase import program

class Server(TCPServer):
    def handle_stream(self, stream, address):
        ticks.append(stream)
        maybe_answer()

def maybe_answer():
    # The first of them is the timer.
    if len(ticks) == 2:
        ticks[1].write(str(os.getpid()).encode("ascii"), finish)

def finish():
    ticks[1].close()
    loop.stop()

def on_time():
    ticks.insert(0, "time")
    maybe_answer()

daemonize = program("how-to/forks.rst")["daemonize"]
ticks = []
loop = IOLoop.instance()
server = Server()
sock, = bind_sockets(0, "127.0.0.1")
server.add_socket(sock)
loop.call_later(0.05, on_time)
print(sock.getsockname()[1])
sys.stdout.flush()
loop.call_later(%d, os._exit, 1)
try:
    daemonize(loop)
    IOLoop.current().start()
finally:
    os._exit(0)
""" % PATIENCE


class PidServer(TCPServer):
    """Sends each client the number of its process."""
    def handle_stream(self, stream, address):
        # A few bytes are sent at once.
        stream.write(str(os.getpid()).encode("ascii"))
        stream.close()


class ForkContract(Streams):
    impl = None

    def setUp(self):
        self.loop = self.make_loop(make_any_poller(self.impl))
        self.pid = str(os.getpid()).encode("ascii")

    def serve(self):
        """A PidServer on the loop; returns it and its address."""
        server = PidServer(io_loop=self.loop)
        self.addCleanup(server.stop)
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        return server, sock.getsockname()

    def connect(self, address):
        client = socket.create_connection(address, timeout=PATIENCE)
        self.addCleanup(client.close)
        return client

    def fork(self, function):
        """The pid of a forked process that calls `function`, and ends at the latest after
        PATIENCE seconds."""
        child = os.fork()
        if not child:
            try:
                signal.alarm(PATIENCE)
                function()
            finally:
                os._exit(0)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, signal.SIGKILL)
        return child

    def assert_serves(self, address):
        """Check that the server in this process answers."""
        client = self.connect(address)
        client.setblocking(False)
        found = []
        end = monotonic_time() + PATIENCE / 3
        while not found and monotonic_time() < end:
            self.loop.run_once(0.01)
            try:
                found.append(client.recv(100))
            except (OSError, IOError):
                pass
        self.assertEqual([self.pid], found)

    # An inherited loop is not used

    def test_b269_the_parents_loop_is_not_current_in_a_child(self):
        self.loop.make_current()
        self.addCleanup(IOLoop.clear_current)
        self.addCleanup(setattr, IOLoop, "_instance", IOLoop._instance)
        self.loop.install()

        def look():
            with LogCatcher() as records:
                found = (IOLoop.current(instance=False), IOLoop.initialized(),
                         IOLoop.instance() is self.loop, IOLoop.current() is self.loop,
                         IOLoop.instance() is IOLoop.instance())
            return found, ["after_fork" in record.message for record in records]
        self.assertEqual(str(((None, False, False, False, True), [True])), in_child(look))
        self.assertIs(self.loop, IOLoop.current())
        self.assertIs(self.loop, IOLoop.instance())

    def test_b269_a_child_is_not_warned_of_loops_that_were_cleared(self):
        self.loop.make_current()
        self.addCleanup(IOLoop.clear_current)
        self.addCleanup(setattr, IOLoop, "_instance", IOLoop._instance)
        self.loop.install()

        def look():
            IOLoop.clear_instance()
            IOLoop.clear_current()
            with LogCatcher() as records:
                return IOLoop.current() is IOLoop.instance(), len(records)
        self.assertEqual(str((True, 0)), in_child(look))

    def test_b269_instance_in_a_child_does_not_wait_for_a_thread_of_the_parent(self):
        self.addCleanup(setattr, IOLoop, "_instance", IOLoop._instance)
        IOLoop.clear_instance()
        entered, leave = threading.Event(), threading.Event()
        configured = IOLoop.__dict__.get("_configuration", (None, {}))
        self.addCleanup(setattr, IOLoop, "_configuration", configured)

        def clock():
            return monotonic_time()

        class Slow(type(self.loop)):
            def initialize(self, **kwargs):
                if threading.current_thread().name == "slow":
                    entered.set()
                    leave.wait(PATIENCE)
                super(Slow, self).initialize(**kwargs)
        IOLoop.configure(Slow)
        thread = threading.Thread(target=IOLoop.instance, name="slow")
        thread.start()
        self.assertTrue(entered.wait(PATIENCE))
        try:
            child = self.fork(lambda: IOLoop.instance() and os._exit(7))
            end = monotonic_time() + PATIENCE / 3
            status = 0
            while not status and monotonic_time() < end:
                _, status = os.waitpid(child, os.WNOHANG)
                leave.wait(0.01)
        finally:
            leave.set()
            thread.join(PATIENCE)
        IOLoop.instance().close()
        del self._cleanups[-2:]
        self.assertEqual(7 << 8, status)

    def test_b269_a_worker_forked_from_a_callback_has_its_own_loop(self):
        _, address = self.serve()
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        workers = []

        def work():
            loop = IOLoop()
            server = PidServer()
            sock, = bind_sockets(0, "127.0.0.1")
            server.add_socket(sock)
            os.write(writer, str(sock.getsockname()[1]).encode("ascii"))
            loop.call_later(PATIENCE, loop.stop)
            loop.start()
        self.loop.add_callback(lambda: workers.append(self.fork(work)))
        self.loop.run_once(0)
        os.close(writer)
        port = os.read(reader, 100)
        self.assertTrue(port.isdigit(), port)
        client = self.connect(("127.0.0.1", int(port)))
        client.settimeout(PATIENCE / 3)
        try:
            answer = client.recv(100)
        except (OSError, IOError):
            answer = b"no answer"
        self.assertEqual(str(workers[0]).encode("ascii"), answer)
        self.assert_serves(address)
        # The worker's files do not make the parent spin.
        turns = []
        end = monotonic_time() + 0.1
        while monotonic_time() < end:
            self.loop.run_once(end - monotonic_time())
            turns.append(1)
        self.assertLess(len(turns), 10)

    # An inherited loop is left as it is

    def test_b270_handlers_cannot_be_added_or_changed_in_a_child(self):
        a, b = self.socket_pair()
        seen = []
        self.loop.add_handler(a, lambda sock, events: seen.append(sock.recv(9)), READ)
        for change in (lambda: self.loop.add_handler(b, lambda sock, events: None, READ),
                       lambda: self.loop.update_handler(a, 0),
                       lambda: self.loop.update_handler(a.fileno(), WRITE)):
            answer = in_child(change)
            self.assertIn("RuntimeError", answer)
            self.assertIn("after the fork", answer)
        b.send(b"x")
        self.run_until(lambda: seen)
        self.assertEqual([b"x"], seen)

    def test_b270_what_a_child_removes_the_parent_keeps(self):
        a, b = self.socket_pair()
        seen = []
        self.loop.add_handler(a, lambda sock, events: seen.append(sock.recv(9)), READ)
        self.assertEqual("None", in_child(lambda: self.loop.remove_handler(a)))
        b.send(b"x")
        for _ in range(3):
            self.loop.run_once(0)
        self.assertEqual([b"x"], seen)

    def test_b270_a_server_stopped_in_a_child_listens_in_the_parent(self):
        server, address = self.serve()
        self.assertEqual("None", in_child(server.stop))
        self.assert_serves(address)

    def test_b270_a_loop_closed_in_a_child_serves_in_the_parent(self):
        for all_fds in (False, True):
            server, address = self.serve()
            a, b = self.socket_pair()
            seen = []
            self.loop.add_handler(a.fileno(), lambda fd, events: seen.append(a.recv(9)), READ)
            self.assertEqual("None", in_child(lambda: self.loop.close(all_fds=all_fds)))
            self.assert_serves(address)
            b.send(b"x")
            self.run_until(lambda: seen)
            self.loop.remove_handler(a.fileno())
            server.stop()

    def test_b270_a_tls_stream_closed_in_a_child_is_open_in_the_parent(self):
        client, server = self.tls_pair()
        self.assertEqual("None", in_child(server.close))
        received = []
        client.read_until_close(received.append, streaming_callback=received.append)
        server.write(b"from the parent")
        self.run_until(lambda: received)
        self.assertEqual([b"from the parent"], received)

    # An inherited loop is continued

    def test_b271_a_child_continues_with_handlers_timers_and_callbacks(self):
        seen = []
        a, b = self.socket_pair()
        c, d = self.socket_pair()
        self.loop.add_handler(a, lambda sock, events: seen.append((sock is a, a.recv(9))), READ)
        self.loop.add_handler(c.fileno(), lambda fd, events: seen.append(
            (fd == c.fileno(), c.recv(9))), READ)
        self.loop.add_callback(seen.append, "callback")
        timer = self.loop.call_later(0.02, seen.append, "timer")
        removed = self.loop.call_later(0, seen.append, "removed timer")

        def work():
            self.loop.after_fork()
            self.loop.remove_timeout(removed)
            self.loop.add_callback(seen.append, "later callback")
            b.send(b"to the object")
            d.send(b"to the number")
            end = monotonic_time() + PATIENCE / 3
            while len(seen) < 7 and monotonic_time() < end:
                self.loop.run_once(0.02)
            return sorted(map(str, seen))
        pieces = [(True, b"to the ob"), (True, b"ject"), (True, b"to the nu"), (True, b"mber")]
        self.assertEqual(
            str(sorted(["callback", "later callback", "timer"] + [str(piece) for piece in pieces])),
            in_child(work))
        # The parent's loop is as it was.
        self.assertEqual([], seen)
        self.loop.remove_timeout(timer)
        b.send(b"x")
        self.run_until(lambda: len(seen) == 3)
        self.assertEqual(["callback", "removed timer", (True, b"x")], seen)

    def test_b271_both_processes_continue(self):
        _, address = self.serve()

        def work():
            self.loop.after_fork()
            self.loop.start()
        child = self.fork(work)
        found = set()
        end = monotonic_time() + PATIENCE / 3
        # The parent does not accept, then it does.
        client = self.connect(address)
        client.settimeout(PATIENCE / 3)
        try:
            found.add(client.recv(100))
        except (OSError, IOError):
            pass
        self.assertEqual(set([str(child).encode("ascii")]), found)
        clients = []
        while self.pid not in found and monotonic_time() < end:
            clients.append(self.connect(address))
            self.loop.run_once(0.01)
            ready, _, _ = select.select(clients, [], [], 0)
            found.update(sock.recv(100) for sock in ready)
            clients = [sock for sock in clients if sock not in ready]
        self.assertIn(self.pid, found)

    def test_b271_nothing_changes_in_the_loops_own_process(self):
        before = os.fstat(self.loop._waker.fileno())
        seen = []
        a, b = self.socket_pair()
        b.send(b"xy")
        self.loop.add_handler(a, lambda sock, events: (
            self.loop.after_fork(), seen.append(sock.recv(1))), READ)
        self.run_until(lambda: len(seen) == 2)
        self.assertEqual(before.st_ino, os.fstat(self.loop._waker.fileno()).st_ino)
        self.loop.close()
        self.assertRaises(RuntimeError, self.loop.after_fork)

    def test_b271_continued_in_a_callback(self):
        """The loop runs on in the child, without the events that the parent has polled."""
        seen = []
        sockets = [self.socket_pair() for _ in range(2)]
        children = []
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)

        def fork(sock, events):
            if children:
                seen.append("second")
            else:
                children.append(os.fork())
                if not children[0]:
                    signal.alarm(PATIENCE)
                    try:
                        self.loop.after_fork()
                    except Exception as error:
                        os.write(writer, repr(error).encode("ascii"))
                        os._exit(0)
                    for own, _ in sockets:
                        self.loop.remove_handler(own)
                    self.loop.call_later(0.01, self.loop.stop)
                    return
            sock.recv(9)
        for a, b in sockets:
            self.loop.add_handler(a, fork, READ)
            b.send(b"x")
        self.loop.call_later(0.1, self.loop.stop)
        try:
            self.loop.start()
        finally:
            if children == [0]:
                os.write(writer, repr((seen, self.loop.running())).encode("ascii"))
                os._exit(0)
        os.close(writer)
        self.assertEqual(str(([], False)), os.read(reader, 1000).decode("ascii"))
        os.waitpid(children[0], 0)
        self.assertEqual(["second"], seen)

    def test_b271_continued_although_it_ran_in_another_thread(self):
        thread = threading.Thread(target=self.loop.start)
        ready = threading.Event()
        self.loop.add_callback(ready.set)
        thread.start()
        self.assertTrue(ready.wait(PATIENCE))

        def work():
            self.loop.after_fork()
            self.loop.add_callback(self.loop.stop)
            signal.alarm(PATIENCE)
            return self.loop.running(), self.loop.start()
        try:
            answer = in_child(work)
        finally:
            self.loop.add_callback(self.loop.stop)
            thread.join(PATIENCE)
        self.assertEqual(str((False, None)), answer)

    def test_b271_files_that_the_child_closed_or_removed_are_silent(self):
        pairs = [self.socket_pair() for _ in range(3)]
        seen = []
        for a, b in pairs:
            self.loop.add_handler(a, lambda sock, events: seen.append(sock.recv(9)), READ)
            b.send(b"x")

        def work():
            removed, closed, kept = [a for a, _ in pairs]
            self.loop.remove_handler(removed)
            closed.close()
            self.loop.after_fork()
            turns = 0
            end = monotonic_time() + 0.1
            while monotonic_time() < end:
                self.loop.run_once(end - monotonic_time())
                turns += 1
            timer = threading.Timer(0.02, self.loop.add_callback, (self.loop.stop,))
            timer.start()
            self.loop.call_later(PATIENCE / 3, os._exit, 1)
            self.loop.start()
            timer.join()
            return seen == [b"x"], turns < 10
        self.assertEqual(str((True, True)), in_child(work))
        self.assertEqual([], seen)

    def test_b271_a_thread_wakes_the_loop_of_its_process(self):
        def work():
            self.loop.after_fork()
            self.loop.run_once(0)
            timer = threading.Timer(0.02, self.loop.add_callback, (self.loop.stop,))
            timer.start()
            self.loop.call_later(PATIENCE / 3, os._exit, 1)
            self.loop.start()
            timer.join()
            return select.select([reader], [], [], 0)[0]
        reader = os.dup(self.loop._waker.fileno())
        self.addCleanup(os.close, reader)
        self.loop.run_once(0)
        self.assertEqual("[]", in_child(work))
        # Nor was the parent's woken.
        self.assertEqual([], select.select([reader], [], [], 0)[0])

    def test_b271_an_outer_loop_still_finds_its_fd_readable(self):
        try:
            number = self.loop.fileno()
        except NotImplementedError:
            number = None
        seen = []

        def work():
            if number is None:
                return ["called"], True
            self.loop.after_fork()
            same = self.loop.fileno() == number
            self.loop.run_once(0)
            self.loop.add_callback(seen.append, "called")
            if select.select([number], [], [], PATIENCE / 3)[0]:
                self.loop.run_once(0)
            return seen, same
        self.assertEqual(str((["called"], True)), in_child(work))

    def test_b271_own_fds_are_not_inherited_by_programs(self):
        def work():
            self.loop.after_fork()
            numbers = [self.loop._waker.fileno(), self.loop._waker.write_fileno()]
            try:
                numbers.append(self.loop.fileno())
            except NotImplementedError:
                pass
            return all(fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
                       for number in numbers)
        try:
            self.loop.fileno()
        except NotImplementedError:
            pass
        self.assertEqual("True", in_child(work))

    def test_b271_a_daemon_may_fork_twice_after_it_was_set_up(self):
        environment = dict(os.environ, PYTHONPATH=ROOT, FRIENDSERVE_POLLER=self.impl)
        daemon = subprocess.Popen([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE,
                                  env=environment)
        with daemon.stdout:
            port = int(daemon.stdout.readline())
        daemon.wait()
        client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.addCleanup(client.close)
        try:
            answer = client.recv(100)
        except (OSError, IOError) as error:
            answer = repr(error).encode("ascii")
        self.assertTrue(answer.isdigit() and int(answer) != daemon.pid, answer)


for _name in sorted(set(available_pollers() + ["kqueue"])):
    globals()["%sForkTest" % _name.title()] = type(
        str("%sForkTest" % _name.title()), (ForkContract, unittest.TestCase), {"impl": _name})

if "kqueue" not in available_pollers():
    # A fake that other programs do not have, and whose descriptor is never readable.
    KqueueForkTest.test_b271_a_daemon_may_fork_twice_after_it_was_set_up = None     # noqa: F821
    KqueueForkTest.test_b271_an_outer_loop_still_finds_its_fd_readable = None       # noqa: F821
