"""The contract of pollers, checked for every poller of this system, and for the fakes."""

from __future__ import absolute_import, division, print_function

import errno
import os
import select
import signal
import socket
import sys
import unittest
try:
    import fcntl
    import resource
except ImportError:     # Windows, where only the tests that use them fail
    fcntl = resource = None

from friendserve.platform.pollers.auto import available_pollers, make_poller
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.platform.pollers.interface import ERROR, NONE, PRI, RDHUP, READ, WRITE
from tests import PATIENCE
from tests.fakes import KQUEUE_CONSTANTS, FakeClock, FakePoller
from tests.forkcase import in_child
from tests.loopcase import FakeKqueueSelect, LogCatcher, import_fake_kqueue

SOON = 110      # polls after which a closed file must be silent; the contract says 100


class RegistrationContract(object):
    """The part of the contract that does not need open files, so that FakePoller is held to it
    too."""

    def make(self):
        raise NotImplementedError

    def setUp(self):
        self.files = []
        self.poller = self.make()

    def tearDown(self):
        self.poller.close()
        for f in self.files:
            if isinstance(f, int):
                try:
                    os.close(f)
                except OSError:
                    pass  # the test closed it
            else:
                f.close()

    def pipe(self):
        fds = os.pipe()
        self.files.extend(fds)
        return fds

    def test_b009_registering_twice_raises(self):
        reader, _ = self.pipe()
        self.poller.register(reader, READ)
        with self.assertRaises(ValueError) as caught:
            self.poller.register(reader, WRITE)
        self.assertIn("fd %d is already registered" % reader, str(caught.exception))
        self.poller.unregister(reader)
        self.poller.register(reader, READ)

    def test_unknown_fds_raise(self):
        reader, _ = self.pipe()
        self.assertRaises(KeyError, self.poller.modify, reader, READ)
        self.assertRaises(KeyError, self.poller.unregister, reader)
        self.poller.register(reader, READ)
        self.poller.unregister(reader)
        self.assertRaises(KeyError, self.poller.modify, reader, READ)
        self.assertRaises(KeyError, self.poller.unregister, reader)

    def test_unknown_events_raise_and_change_nothing(self):
        reader, _ = self.pipe()
        self.assertRaises(ValueError, self.poller.register, reader, READ | 0x20)
        self.assertRaises(KeyError, self.poller.unregister, reader)
        self.poller.register(reader, READ)
        self.assertRaises(ValueError, self.poller.modify, reader, 0x4000)
        self.poller.unregister(reader)

    def test_b283_watched_lists_fds_and_events(self):
        reader, writer = self.pipe()
        self.assertEqual({}, self.poller.watched())
        self.poller.register(reader, READ | ERROR)
        self.poller.register(writer, NONE)
        watched = self.poller.watched()
        self.assertEqual({reader: READ, writer: NONE}, watched)
        watched.clear()
        self.poller.modify(writer, WRITE)
        self.poller.modify(reader, RDHUP)
        # An outer loop may not know this event.
        self.assertEqual({reader: NONE, writer: WRITE}, self.poller.watched())
        self.poller.unregister(reader)
        self.assertEqual({writer: WRITE}, self.poller.watched())
        self.poller.close()
        self.assertEqual({}, self.poller.watched())

    def test_empty_after_zero_seconds(self):
        reader, _ = self.pipe()
        self.poller.register(reader, READ)
        self.assertEqual(self.poller.poll(0), [])
        self.assertEqual(self.poller.poll(-1.0), [])

    def test_close_twice(self):
        self.poller.close()
        self.poller.close()


class PollerContract(RegistrationContract):
    """All of the contract, on real files."""

    #: Whether failures and hang-ups are reported for fds registered with NONE or ERROR alone.
    volunteers = True
    has_fileno = True
    #: Whether RDHUP is ever reported.
    tells_rdhup = True
    #: Whether urgent data can be waited for.
    knows_urgent_data = True
    #: Whether a pipe without a reader is ERROR; if not, it is WRITE as for any write that fails.
    tells_broken_pipes = True

    def sockets(self):
        """A connected pair of TCP sockets."""
        listener = self.listener()
        client = self.socket()
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        self.files.append(server)
        return client, server

    def socket(self, kind=socket.SOCK_STREAM):
        sock = socket.socket(socket.AF_INET, kind)
        self.files.append(sock)
        return sock

    def listener(self):
        listener = self.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        return listener

    def socketpair(self):
        pair = socket.socketpair()
        self.files.extend(pair)
        return pair

    def wait_for(self, fd, wanted):
        """Poll until `fd` is reported with one of `wanted`; return its events."""
        deadline = monotonic_time() + PATIENCE
        while monotonic_time() < deadline:
            events = dict(self.poller.poll(0.05)).get(fd, NONE)
            if events & wanted:
                return events
        self.fail("fd %d was not reported with 0x%x" % (fd, wanted))

    # Waiting

    def test_b001_timeout_is_waited_out_and_empty(self):
        reader, _ = self.pipe()
        self.poller.register(reader, READ)
        for seconds in (0.0001, 0.0011, 0.0029, 0.02):
            start = monotonic_time()
            self.assertEqual(self.poller.poll(seconds), [])
            self.assertGreaterEqual(monotonic_time() - start, seconds)

    def test_b037_huge_waits(self):
        reader, writer = self.pipe()
        self.poller.register(reader, READ)
        os.write(writer, b"x")
        for seconds in (1e7, 1e300, float("inf"), None):
            self.assertEqual(self.poller.poll(seconds), [(reader, READ)])

    def test_b010_a_signal_makes_the_wait_empty(self):
        reader, _ = self.pipe()
        self.poller.register(reader, READ)
        seen = []
        old = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            # Python 2 returns at the signal, 3 resumes the wait; both return an empty list.
            self.assertEqual(self.poller.poll(0.3), [])
            deadline = monotonic_time() + PATIENCE
            while not seen and monotonic_time() < deadline:
                self.poller.poll(0.05)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        self.assertEqual(seen, [signal.SIGALRM])

    # Readiness

    def test_read(self):
        reader, writer = self.pipe()
        self.poller.register(reader, READ)
        os.write(writer, b"x")
        self.assertEqual(self.poller.poll(PATIENCE), [(reader, READ)])
        self.assertEqual(self.poller.poll(0), [(reader, READ)])  # level-triggered
        os.read(reader, 1)
        self.assertEqual(self.poller.poll(0), [])

    def test_write(self):
        a, b = self.socketpair()
        self.poller.register(a.fileno(), WRITE)
        self.assertEqual(self.poller.poll(PATIENCE), [(a.fileno(), WRITE)])
        a.setblocking(False)
        try:
            while True:
                a.send(b"x" * 65536)
        except EnvironmentError as error:
            self.assertIn(error.errno, (errno.EAGAIN, errno.EWOULDBLOCK))
        self.assertEqual(self.poller.poll(0), [])

    def test_b283_urgent_data(self):
        a, b = self.sockets()
        fd = a.fileno()
        if not self.knows_urgent_data:
            with self.assertRaises(ValueError) as caught:
                self.poller.register(fd, READ | PRI)
            self.assertIn("cannot wait for PRI", str(caught.exception))
            self.poller.register(fd, READ)
            self.assertRaises(ValueError, self.poller.modify, fd, READ | PRI)
            self.assertEqual({fd: READ}, self.poller.watched())
            return
        self.poller.register(fd, PRI)
        self.assertEqual({fd: PRI}, self.poller.watched())
        b.send(b"ordinary")
        self.assertEqual([], self.poller.poll(0.01))
        b.send(b"!", socket.MSG_OOB)
        self.assertEqual(PRI, self.wait_for(fd, PRI))
        self.poller.modify(fd, READ | PRI | WRITE)
        self.assertEqual(READ | PRI | WRITE, self.wait_for(fd, PRI))
        self.poller.modify(fd, READ)
        self.assertEqual(READ, self.wait_for(fd, READ))
        self.poller.modify(fd, PRI)
        self.assertEqual(b"!", a.recv(1, socket.MSG_OOB))
        self.assertEqual([], self.poller.poll(0))

    def test_one_pair_for_one_fd(self):
        a, b = self.socketpair()
        c, d = self.socketpair()
        b.send(b"x")
        self.poller.register(a.fileno(), READ | WRITE)
        self.poller.register(c.fileno(), READ | WRITE | ERROR)
        expected = sorted([(a.fileno(), READ | WRITE), (c.fileno(), WRITE)])
        self.assertEqual(sorted(self.poller.poll(PATIENCE)), expected)

    def test_b006_modify_is_exact(self):
        a, b = self.socketpair()
        b.send(b"x")
        fd = a.fileno()
        self.poller.register(fd, READ)
        self.assertEqual(self.poller.poll(PATIENCE), [(fd, READ)])
        for events in (READ | WRITE, WRITE, READ, WRITE | READ, READ | ERROR, WRITE | ERROR):
            self.poller.modify(fd, events)
            self.assertEqual(self.poller.poll(PATIENCE), [(fd, events & ~ERROR)])
        for events in (NONE, ERROR):
            self.poller.modify(fd, events)
            self.assertEqual(self.poller.poll(0), [])  # data alone is not an error

    def test_unregistered_is_silent(self):
        a, b = self.socketpair()
        b.send(b"x")
        self.poller.register(a.fileno(), READ | WRITE)
        self.poller.unregister(a.fileno())
        b.close()
        self.assertEqual(self.poller.poll(0), [])

    def test_a_poller_watches_another(self):
        if not self.has_fileno:
            with self.assertRaises(NotImplementedError) as caught:
                self.poller.fileno()
            self.assertIn("no file descriptor", str(caught.exception))
            return
        reader, writer = self.pipe()
        self.poller.register(reader, READ)
        outer = make_poller("poll")
        outer.register(self.poller.fileno(), READ)
        self.assertEqual(outer.poll(0), [])
        os.write(writer, b"x")
        self.assertEqual(outer.poll(PATIENCE), [(self.poller.fileno(), READ)])

    # Peers that disconnect

    def test_b002_peer_closes_while_reading(self):
        for a, b in (self.sockets(), self.socketpair()):
            self.poller.register(a.fileno(), READ)
            self.assertEqual(self.poller.poll(0), [])
            b.close()
            self.assertTrue(self.wait_for(a.fileno(), READ) & READ)
            self.assertEqual(a.recv(1), b"")
            self.poller.unregister(a.fileno())
            self.assertEqual(self.poller.poll(0), [])

    def test_b002_peer_resets_while_reading(self):
        a, b = self.sockets()
        self.poller.register(a.fileno(), READ)
        b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        b.close()
        self.assertTrue(self.wait_for(a.fileno(), READ) & READ)
        self.assertRaises(EnvironmentError, a.recv, 1)  # the error was left for the owner

    def test_b002_peer_closes_while_writing(self):
        for a, b in (self.sockets(), self.socketpair()):
            self.poller.register(a.fileno(), WRITE)
            b.close()
            self.assertTrue(self.wait_for(a.fileno(), WRITE) & WRITE)
            self.poller.unregister(a.fileno())
            self.assertEqual(self.poller.poll(0), [])

    def test_b255_the_end_of_a_peer_whose_data_is_unread(self):
        for end in ("shutdown", "close"):
            for a, b in (self.sockets(), self.socketpair()):
                fd = a.fileno()
                self.poller.register(fd, RDHUP)
                b.send(b"unread")
                self.assertEqual(self.poller.poll(0), [])
                b.shutdown(socket.SHUT_WR) if end == "shutdown" else b.close()
                if not self.tells_rdhup:
                    self.assertEqual(self.poller.poll(0), [])
                else:
                    self.assertTrue(self.wait_for(fd, RDHUP) & RDHUP)
                # Each change of what is asked for takes effect.
                self.poller.modify(fd, NONE)
                self.assertFalse(dict(self.poller.poll(0)).get(fd, NONE) & RDHUP)
                self.poller.modify(fd, RDHUP | WRITE)
                events = dict(self.poller.poll(0)).get(fd, NONE)
                self.assertEqual(RDHUP | WRITE if self.tells_rdhup else WRITE,
                                 events & (RDHUP | WRITE))
                self.poller.modify(fd, READ)
                self.assertEqual(READ, self.wait_for(fd, READ) & (READ | RDHUP))
                self.assertEqual(a.recv(99), b"unread")
                self.assertEqual(a.recv(99), b"")
                self.poller.unregister(fd)
                self.assertEqual(self.poller.poll(0), [])

    def test_b255_data_alone_is_not_the_end(self):
        a, b = self.sockets()
        self.poller.register(a.fileno(), READ)
        b.send(b"x" * 1000)
        self.assertEqual(self.poller.poll(PATIENCE), [(a.fileno(), READ)])
        for events in (RDHUP, RDHUP | ERROR):
            self.poller.modify(a.fileno(), events)
            self.assertEqual(self.poller.poll(0), [])
        self.poller.modify(a.fileno(), READ | RDHUP)
        self.assertEqual(self.poller.poll(PATIENCE), [(a.fileno(), READ)])

    def test_b002_peer_closes_while_only_errors_count(self):
        for events in (ERROR, NONE):
            a, b = self.socketpair()
            self.poller.register(a.fileno(), events)
            b.close()
            expected = [(a.fileno(), READ | ERROR)] if self.volunteers else []
            self.assertEqual(self.poller.poll(0), expected)
            self.poller.unregister(a.fileno())
            self.assertEqual(self.poller.poll(0), [])

    def test_writer_of_a_pipe_closes(self):
        reader, writer = self.pipe()
        self.poller.register(reader, READ)
        os.close(writer)
        self.assertTrue(self.wait_for(reader, READ) & READ)
        self.assertEqual(os.read(reader, 1), b"")

    def test_reader_of_a_pipe_closes(self):
        reader, writer = self.pipe()
        while True:  # full, so that WRITE cannot mean that there is room
            fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
            try:
                os.write(writer, b"x" * 65536)
            except OSError:
                break
        self.poller.register(writer, WRITE)
        self.assertEqual(self.poller.poll(0), [])
        os.close(reader)
        wanted = ERROR if self.tells_broken_pipes else WRITE
        self.assertTrue(self.wait_for(writer, wanted) & wanted)

    def test_b003_refused_connect_is_an_error(self):
        for events in (WRITE, READ | WRITE, WRITE | ERROR):
            port = self.socket()
            port.bind(("127.0.0.1", 0))  # in use, but not listening
            sock = self.socket()
            sock.setblocking(False)
            self.assertEqual(sock.connect_ex(port.getsockname()), errno.EINPROGRESS)
            self.poller.register(sock.fileno(), events)
            self.assertTrue(self.wait_for(sock.fileno(), ERROR) & ERROR)
            self.assertTrue(self.wait_for(sock.fileno(), ERROR) & ERROR)
            self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
                             errno.ECONNREFUSED)
            self.poller.unregister(sock.fileno())

    def test_b003_good_connect_is_no_error(self):
        for events in (WRITE, READ | WRITE):
            listener = self.listener()
            sock = self.socket()
            sock.setblocking(False)
            self.assertIn(sock.connect_ex(listener.getsockname()), (0, errno.EINPROGRESS))
            self.poller.register(sock.fileno(), events)
            self.assertEqual(self.wait_for(sock.fileno(), WRITE), WRITE)
            self.poller.unregister(sock.fileno())

    def test_healthy_files_are_no_errors(self):
        listener = self.listener()
        client = self.socket()
        client.connect(listener.getsockname())
        self.poller.register(listener.fileno(), READ | WRITE)
        self.assertEqual(self.wait_for(listener.fileno(), READ | WRITE), READ)
        self.poller.unregister(listener.fileno())
        datagrams = self.socket(socket.SOCK_DGRAM)
        _, writer = self.pipe()
        for fd in (datagrams.fileno(), writer):
            self.poller.register(fd, READ | WRITE)
            self.assertEqual(self.wait_for(fd, WRITE), WRITE)
            self.poller.unregister(fd)

    # Closed files and numbers used again

    def test_b008_unregister_after_close(self):
        for events in (READ, READ | WRITE, NONE):
            reader, _ = self.pipe()
            self.poller.register(reader, events)
            os.close(reader)
            self.poller.unregister(reader)
            self.assertRaises(KeyError, self.poller.unregister, reader)

    def test_b008_modify_after_close_raises(self):
        reader, _ = self.pipe()
        self.poller.register(reader, READ)
        os.close(reader)
        for events in (READ, WRITE, NONE):
            self.assertRaises(EnvironmentError, self.poller.modify, reader, events)
        self.poller.unregister(reader)

    def test_b008_unregister_after_the_number_is_in_use_again(self):
        reader, _ = self.pipe()
        self.poller.register(reader, READ)
        os.close(reader)
        other, writer = self.pipe()
        os.dup2(other, reader)
        self.poller.unregister(reader)
        os.write(writer, b"x")
        self.assertEqual(self.poller.poll(0), [])
        self.poller.register(reader, READ)
        self.assertEqual(self.poller.poll(0), [(reader, READ)])

    def test_b007_a_used_number_brings_no_old_events(self):
        a, b = self.socketpair()
        b.send(b"x")
        fd = a.fileno()
        self.poller.register(fd, READ)
        self.assertEqual(self.poller.poll(PATIENCE), [(fd, READ)])
        self.poller.unregister(fd)
        reader, _ = self.pipe()
        os.dup2(reader, fd)
        self.poller.register(fd, READ)
        self.assertEqual(self.poller.poll(0), [])
        self.poller.unregister(fd)

    def test_b008_a_closed_file_neither_spins_nor_hides_others(self):
        closed, _ = self.pipe()
        reader, writer = self.pipe()
        self.poller.register(closed, READ)
        self.poller.register(reader, READ)
        os.close(closed)
        os.write(writer, b"x")
        self.assertEqual(self.wait_for(reader, READ), READ)
        self.assertEqual(self.poller.poll(0), [(reader, READ)])
        os.read(reader, 1)
        start = monotonic_time()
        self.assertEqual(self.poller.poll(0.02), [])
        self.assertGreaterEqual(monotonic_time() - start, 0.02)
        self.poller.unregister(closed)

    def test_register_of_a_closed_file_raises_and_changes_nothing(self):
        reader, _ = self.pipe()
        os.close(reader)
        for events in (READ, READ | WRITE, NONE):
            self.assertRaises(EnvironmentError, self.poller.register, reader, events)
            self.assertRaises(KeyError, self.poller.unregister, reader)

    # The poller's own descriptor

    def test_b021_close_on_exec(self):
        if self.has_fileno:
            flags = fcntl.fcntl(self.poller.fileno(), fcntl.F_GETFD)
            self.assertTrue(flags & fcntl.FD_CLOEXEC)

    def test_b020_close_gives_back_the_descriptor(self):
        reader, _ = self.pipe()
        free = os.dup(reader)
        os.close(free)
        for _ in range(20):
            poller = self.make()
            poller.register(reader, READ | WRITE)
            poller.close()
        again = os.dup(reader)
        os.close(again)
        self.assertEqual(again, free)

    # Files that are closed while another descriptor keeps them open

    def dup(self, fd):
        fd = os.dup(fd)
        self.files.append(fd)
        return fd

    def held_by_a_child(self, fd):
        """Fork a child that keeps `fd` open until this test ends, but for PATIENCE seconds at
        most."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(writer)
            select.select([reader], [], [], PATIENCE)
            os._exit(0)
        os.close(reader)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.close, writer)

    def registered_and_readable(self, keep_open):
        """A readable pipe: its reader, which is registered, and its writer."""
        reader, writer = self.pipe()
        self.poller.register(reader, READ)
        os.write(writer, b"x")
        self.wait_for(reader, READ)
        keep_open(reader)
        return reader, writer

    def register_new_file(self, fd, events=READ):
        """Register a number whose old file was closed."""
        try:
            self.poller.register(fd, events)
        except (ValueError, EnvironmentError) as error:
            self.fail("the new file was refused: %s" % error)

    def assert_others_work(self, reader=None, writer=None):
        """Check that polls do not end early, and that a pipe that becomes readable is reported."""
        if reader is None:
            reader, writer = self.pipe()
        self.poller.register(reader, READ)
        start = monotonic_time()
        self.assertEqual([], self.poller.poll(0.02))
        self.assertGreaterEqual(monotonic_time() - start, 0.02)
        os.write(writer, b"x")
        self.assertEqual([(reader, READ)], self.poller.poll(PATIENCE))
        os.read(reader, 1)
        self.poller.unregister(reader)

    def test_closed_then_unregistered_is_silent_while_a_dup_is_open(self):
        reader, _ = self.registered_and_readable(self.dup)
        os.close(reader)
        self.poller.unregister(reader)
        for _ in range(3):
            self.assertEqual([], self.poller.poll(0))
        self.assert_others_work()

    def test_closed_then_unregistered_is_silent_while_a_child_has_it(self):
        reader, _ = self.registered_and_readable(self.held_by_a_child)
        os.close(reader)
        self.poller.unregister(reader)
        for _ in range(3):
            self.assertEqual([], self.poller.poll(0))
        self.assert_others_work()

    def test_closed_without_unregister_is_soon_silent_while_a_dup_is_open(self):
        others = self.pipe()
        reader, _ = self.registered_and_readable(self.dup)
        os.close(reader)
        for _ in range(SOON):
            self.poller.poll(0)
        self.assertEqual([], self.poller.poll(0))
        self.assert_others_work(*others)
        self.poller.unregister(reader)
        self.assert_others_work(*others)

    def test_closed_without_unregister_is_soon_silent_while_a_child_has_it(self):
        others = self.pipe()
        reader, _ = self.registered_and_readable(self.held_by_a_child)
        os.close(reader)
        for _ in range(SOON):
            self.poller.poll(0)
        self.assertEqual([], self.poller.poll(0))
        self.assert_others_work(*others)

    def test_all_that_is_still_open_is_watched_as_before(self):
        a, b = self.socketpair()
        c, d = self.socketpair()
        b.send(b"x")
        self.poller.register(a.fileno(), READ)
        self.poller.register(b.fileno(), READ)
        self.poller.register(c.fileno(), READ)
        self.poller.modify(c.fileno(), READ | WRITE)
        reader, _ = self.registered_and_readable(self.dup)
        os.close(reader)
        self.poller.unregister(reader)
        self.poller.poll(0)
        expected = sorted([(a.fileno(), READ), (c.fileno(), WRITE)])
        self.assertEqual(expected, sorted(self.poller.poll(0)))
        a.send(b"x")
        d.send(b"x")
        expected = sorted([(a.fileno(), READ), (b.fileno(), READ), (c.fileno(), READ | WRITE)])
        self.assertEqual(expected, sorted(self.poller.poll(0)))

    def test_a_number_that_was_unregistered_too_late_is_registered_for_another_file(self):
        reader, writer = self.registered_and_readable(self.dup)
        os.close(reader)
        self.poller.unregister(reader)
        other, other_writer = self.pipe()
        os.dup2(other, reader)
        self.register_new_file(reader)
        for _ in range(SOON):
            self.poller.poll(0)
        self.assertEqual([], self.poller.poll(0))
        os.write(other_writer, b"x")
        self.assertEqual([(reader, READ)], self.poller.poll(PATIENCE))
        os.read(reader, 1)
        self.assert_others_work()

    def test_a_number_with_an_old_and_a_new_file_is_soon_reported_once(self):
        reader, writer = self.registered_and_readable(self.dup)
        os.close(reader)
        self.poller.unregister(reader)
        other, other_writer = self.pipe()
        os.dup2(other, reader)
        self.register_new_file(reader)
        os.write(other_writer, b"x")
        for _ in range(SOON):
            self.poller.poll(0)
        self.assertEqual([(reader, READ)], self.poller.poll(0))

    def test_a_number_that_gets_its_old_file_back_can_be_registered(self):
        reader, _ = self.pipe()
        kept = self.dup(reader)
        self.poller.register(reader, READ)
        os.close(reader)
        self.poller.unregister(reader)
        os.dup2(kept, reader)
        self.register_new_file(reader, WRITE)
        self.poller.modify(reader, READ)
        self.assert_others_work()

    def test_a_registered_number_is_registered_again_for_another_file(self):
        reader, writer = self.registered_and_readable(self.dup)
        os.close(reader)
        other, other_writer = self.pipe()
        os.dup2(other, reader)
        with LogCatcher() as records:
            self.register_new_file(reader)
            for _ in range(3):
                self.assertEqual([], self.poller.poll(0))
        # The loop warns, as it knows the handler.
        self.assertEqual([], records)
        with self.assertRaises(ValueError):
            self.poller.register(reader, READ)
        os.write(other_writer, b"x")
        self.assertEqual([(reader, READ)], self.poller.poll(PATIENCE))
        self.poller.unregister(reader)
        self.assertEqual([], self.poller.poll(0))

    def test_a_registered_number_is_registered_again_when_nothing_holds_its_old_file(self):
        reader, _ = self.pipe()
        self.poller.register(reader, WRITE)
        os.close(reader)
        with self.assertRaises(Exception) as raised:
            self.poller.register(reader, READ)
        self.assertIsInstance(raised.exception, EnvironmentError)
        other, writer = self.pipe()
        os.dup2(other, reader)
        self.register_new_file(reader)
        os.write(writer, b"x")
        self.assertEqual([(reader, READ)], self.poller.poll(PATIENCE))

    def test_a_registered_number_is_refused_while_it_has_its_file(self):
        reader, _ = self.pipe()
        self.dup(reader)
        for events in (READ, READ | WRITE):
            self.poller.register(reader, events)
            self.assertRaises(ValueError, self.poller.register, reader, READ)
            self.poller.modify(reader, READ)
            self.poller.unregister(reader)

    def test_modify_raises_when_the_number_belongs_to_another_file(self):
        reader, _ = self.registered_and_readable(self.dup)
        os.close(reader)
        other, writer = self.pipe()
        os.dup2(other, reader)
        for events in (READ, WRITE, READ | WRITE, NONE):
            self.assertRaises(EnvironmentError, self.poller.modify, reader, events)
        self.poller.unregister(reader)
        os.write(writer, b"x")
        self.assertEqual([], self.poller.poll(0))
        self.poller.register(reader, READ)
        for _ in range(SOON):
            self.poller.poll(0)
        self.assertEqual([(reader, READ)], self.poller.poll(0))

    def test_a_closed_file_costs_one_warning_at_most(self):
        with LogCatcher() as records:
            reader, _ = self.registered_and_readable(self.dup)
            os.close(reader)
            for _ in range(2 * SOON):
                self.poller.poll(0)
            self.poller.unregister(reader)
            for _ in range(SOON):
                self.poller.poll(0)
        self.assertLessEqual(len(records), 1)

    def test_another_poller_watches_on(self):
        if not self.has_fileno:
            return
        number = self.poller.fileno()
        outers = [make_poller(name) for name in available_pollers()]
        for outer in outers:
            self.addCleanup(outer.close)
            outer.register(number, READ)
        reader, _ = self.registered_and_readable(self.dup)
        os.close(reader)
        self.poller.unregister(reader)
        self.assertEqual([], self.poller.poll(0))
        self.assertEqual(number, self.poller.fileno())
        self.assertTrue(fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
        reader, writer = self.pipe()
        self.poller.register(reader, READ)
        for outer in outers:
            self.assertEqual([], outer.poll(0))
        os.write(writer, b"x")
        for outer in outers:
            self.assertEqual([(number, READ)], outer.poll(PATIENCE))

    # In a child process

    def test_b270_what_a_child_unregisters_or_closes_the_parent_watches(self):
        reader, writer = self.pipe()
        other, _ = self.pipe()
        self.poller.register(reader, READ)
        self.poller.register(other, READ)

        def work():
            self.poller.unregister(reader)
            self.poller.close()
        self.assertEqual("None", in_child(work))
        os.write(writer, b"x")
        self.assertEqual([(reader, READ)], self.poller.poll(0.1))
        self.poller.modify(reader, READ | WRITE)
        self.poller.unregister(reader)

    def test_b270_a_child_closes_no_file_that_has_the_number_of_the_parents(self):
        def work():
            # A kqueue is not inherited, so its number is free.
            self.poller.close()
            return os.fstat(writer) == os.fstat(writer)
        _, writer = self.pipe()
        self.assertEqual("True", in_child(work))

    def test_b271_a_child_continues_with_the_same_registrations(self):
        reader, writer = self.pipe()
        removed, removed_writer = self.pipe()
        closed, closed_writer = self.pipe()
        late, late_writer = self.pipe()
        for fd in (reader, removed, closed):
            self.poller.register(fd, READ)
        self.poller.register(writer, NONE)
        for fd in (writer, removed_writer, closed_writer, late_writer):
            os.write(fd, b"x")

        def work():
            self.poller.unregister(removed)
            os.close(closed)
            self.poller.after_fork()
            # select finds the closed file first.
            found = [sorted(self.poller.poll(0.1) or self.poller.poll(0.1))]
            os.read(reader, 1)
            found.append(self.poller.poll(0))
            self.poller.modify(writer, WRITE)
            self.poller.register(late, READ)
            found.append(sorted(self.poller.poll(0.1)))
            for fd in (writer, closed, late, reader):
                self.poller.unregister(fd)
            found.append(self.poller.poll(0))
            return found
        self.assertEqual(str([[(reader, READ)], [], sorted([(writer, WRITE), (late, READ)]), []]),
                         in_child(work))
        self.assertEqual([(removed, READ), (closed, READ)], sorted(self.poller.poll(0.1)))

    def test_b271_the_parents_changes_are_kept(self):
        _, writer = self.pipe()
        self.poller.register(writer, NONE)
        done_reader, done_writer = self.pipe()
        go_reader, go_writer = self.pipe()
        child = os.fork()
        if not child:
            try:
                select.select([go_reader], [], [], PATIENCE)
                self.poller.after_fork()
                os.write(done_writer, b"x")
            finally:
                os._exit(0)
        self.addCleanup(os.waitpid, child, 0)
        self.poller.modify(writer, WRITE)
        os.write(go_writer, b"x")
        self.assertEqual([done_reader], select.select([done_reader], [], [], PATIENCE)[0])
        self.assertEqual([(writer, WRITE)], self.poller.poll(0.1))


class NamedPollerContract(PollerContract):
    name = None

    def make(self):
        return make_poller(self.name)


if "epoll" in available_pollers():
    class TestEpoll(NamedPollerContract, unittest.TestCase):
        name = "epoll"

        def test_hang_up_alone_is_read_too(self):
            reader, writer = self.pipe()
            self.poller.register(reader, READ)
            os.close(writer)
            self.assertEqual(self.poller.poll(PATIENCE), [(reader, READ | ERROR)])

        def test_without_a_free_descriptor_the_others_are_reported(self):
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            reader, _ = self.registered_and_readable(self.dup)
            good, writer = self.pipe()
            self.poller.register(good, READ)
            os.write(writer, b"x")
            os.close(reader)
            self.poller.unregister(reader)
            # From now on, only the free numbers below these can be opened.
            resource.setrlimit(resource.RLIMIT_NOFILE, (reader, limits[1]))
            try:
                taken = []
                with self.assertRaises(EnvironmentError):
                    while True:
                        taken.append(os.open(os.devnull, os.O_RDONLY))
                for _ in range(3):
                    self.assertEqual([(good, READ)], self.poller.poll(0))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                for fd in taken:
                    os.close(fd)
            with LogCatcher() as records:
                self.assertEqual([(good, READ)], self.poller.poll(0))
            self.assertEqual(1, len(records))
            os.read(good, 1)
            self.assert_others_work()

        def test_a_file_that_is_back_under_its_number_is_still_registered(self):
            reader, _ = self.pipe()
            kept = self.dup(reader)
            self.poller.register(reader, READ)
            os.close(reader)
            os.dup2(kept, reader)
            self.assertRaises(ValueError, self.poller.register, reader, READ)
            self.poller.modify(reader, READ)


if "poll" in available_pollers():
    class TestPoll(NamedPollerContract, unittest.TestCase):
        name = "poll"
        has_fileno = False
        tells_rdhup = sys.platform.startswith("linux")


class TestSelect(NamedPollerContract, unittest.TestCase):
    name = "select"
    has_fileno = False
    volunteers = tells_rdhup = False
    tells_broken_pipes = False

    def test_b285_the_blocking_mode_of_sockets_is_left_alone(self):
        """That of PyPy's fromfd, and that of socket.setdefaulttimeout."""
        for blocking in (True, False):
            for default in (None, 5.0):
                client, _ = self.sockets()
                client.setblocking(blocking)
                flags = fcntl.fcntl(client.fileno(), fcntl.F_GETFL)
                self.poller.register(client.fileno(), WRITE)
                socket.setdefaulttimeout(default)
                try:
                    self.assertEqual(WRITE, self.wait_for(client.fileno(), WRITE))
                finally:
                    socket.setdefaulttimeout(None)
                self.assertEqual((blocking, default, flags),
                                 (blocking, default, fcntl.fcntl(client.fileno(), fcntl.F_GETFL)))
                self.poller.unregister(client.fileno())

    def test_b005_numbers_too_high_for_select(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 1200
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest("the hard limit of open files is %d" % hard)
        reader, writer = self.pipe()
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        try:
            high = fcntl.fcntl(reader, fcntl.F_DUPFD, 1100)
            self.files.append(high)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with self.assertRaises(ValueError) as caught:
            self.poller.register(high, READ)
        self.assertIn("FD_SETSIZE", str(caught.exception))
        self.assertRaises(KeyError, self.poller.unregister, high)
        self.poller.register(reader, READ)  # the poller still works
        os.write(writer, b"x")
        self.assertEqual(self.poller.poll(PATIENCE), [(reader, READ)])

    def test_a_closed_file_makes_it_look_for_numbers_with_other_files(self):
        reader, _ = self.pipe()
        closed, _ = self.pipe()
        other, writer = self.pipe()
        self.poller.register(reader, READ)
        self.poller.register(closed, READ)
        os.write(writer, b"x")
        os.dup2(other, reader)
        os.close(closed)
        for _ in range(2):
            self.assertEqual([], self.poller.poll(0))


if "kqueue" in available_pollers():
    class TestKqueue(NamedPollerContract, unittest.TestCase):
        name = "kqueue"
        volunteers = False
        knows_urgent_data = False


if "kqueue" not in available_pollers():
    class TestFakeKqueue(PollerContract, unittest.TestCase):
        volunteers = False
        knows_urgent_data = False

        def make(self):
            module = import_fake_kqueue()
            module.select = FakeKqueueSelect
            return module.KqueuePoller()

        # The fake's descriptor is never readable.
        test_a_poller_watches_another = test_another_poller_watches_on = None

        def kernel(self):
            return self.poller._kqueue

        def test_b006_exact_filters(self):
            a, _ = self.socketpair()
            fd = a.fileno()
            both = sorted((KQUEUE_CONSTANTS["KQ_FILTER_READ"],
                           KQUEUE_CONSTANTS["KQ_FILTER_WRITE"]))
            self.poller.register(fd, READ)
            self.assertEqual(self.kernel().filters(fd), [KQUEUE_CONSTANTS["KQ_FILTER_READ"]])
            self.poller.modify(fd, READ | WRITE)
            self.assertEqual(self.kernel().filters(fd), both)
            self.poller.modify(fd, WRITE)
            self.assertEqual(self.kernel().filters(fd), [KQUEUE_CONSTANTS["KQ_FILTER_WRITE"]])
            self.poller.modify(fd, NONE)
            self.assertEqual(self.kernel().filters(fd), [])
            self.poller.modify(fd, READ | WRITE)
            self.poller.unregister(fd)
            self.assertEqual(self.kernel().filters(fd), [])

        def test_the_kernel_tells_of_a_close_that_fstat_does_not_show(self):
            reader, writer = self.pipe()
            self.poller.register(reader, READ)
            self.assertRaises(ValueError, self.poller.register, reader, READ)
            self.kernel().drop(reader)
            self.register_new_file(reader)
            os.write(writer, b"x")
            self.assertEqual([(reader, READ)], self.poller.poll(PATIENCE))

        def test_a_change_that_fails_leaves_what_was(self):
            a, _ = self.socketpair()
            fd = a.fileno()
            self.kernel().refuse.add((fd, KQUEUE_CONSTANTS["KQ_FILTER_WRITE"]))
            self.assertRaises(EnvironmentError, self.poller.register, fd, READ | WRITE)
            self.assertEqual(self.kernel().filters(fd), [])
            self.poller.register(fd, READ)
            self.assertRaises(EnvironmentError, self.poller.modify, fd, WRITE)
            self.assertEqual(self.kernel().filters(fd), [KQUEUE_CONSTANTS["KQ_FILTER_READ"]])
            self.assertRaises(EnvironmentError, self.poller.modify, fd, READ | WRITE)
            self.assertEqual(self.kernel().filters(fd), [KQUEUE_CONSTANTS["KQ_FILTER_READ"]])


class TestFakePoller(RegistrationContract, unittest.TestCase):
    def make(self):
        return FakePoller(FakeClock())

    def test_ready_lasts_and_scripts_do_not(self):
        self.poller.register(7, READ)
        self.poller.register(8, WRITE)
        self.poller.script([(7, READ | WRITE)], [(8, ERROR), (9, READ)])
        self.assertEqual(self.poller.poll(None), [(7, READ)])
        self.assertEqual(self.poller.poll(None), [(8, ERROR)])
        self.assertRaises(AssertionError, self.poller.poll, None)
        self.poller.set_ready(8, WRITE)
        self.assertEqual([self.poller.poll(1.0), self.poller.poll(1.0)], [[(8, WRITE)]] * 2)
        self.assertEqual(self.poller.waits, [None, None, None, 1.0, 1.0])

    def test_waits_move_the_clock(self):
        clock = FakeClock(50.0)
        poller = FakePoller(clock)
        self.assertEqual(poller.poll(2.5), [])
        self.assertEqual(clock(), 52.5)
        clock.advance(-1)
        self.assertEqual(clock(), 51.5)
