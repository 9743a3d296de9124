from __future__ import absolute_import, division, print_function

import errno
import fcntl
import importlib
import os
import select
import signal
import socket
import sys
import threading
import time
import unittest

from friendserve.platform.pollers import auto, common, interface, posix, windows
from friendserve.platform.pollers.clock import monotonic_time, never_backwards
from friendserve.platform.pollers.interface import ERROR, PRI, READ, WRITE
from tests import PATIENCE
from tests.fakes import FakeClock


def is_readable(fd):
    return bool(select.select([fd], [], [], 0)[0])


def interrupted(function):
    """`function`, failing with EINTR at its first call."""
    calls = []

    def call(*args):
        calls.append(args)
        if len(calls) == 1:
            raise socket.error(errno.EINTR, os.strerror(errno.EINTR))
        return function(*args)
    return call


class WakerContract(object):
    waker_class = None

    def setUp(self):
        self.waker = self.waker_class()

    def tearDown(self):
        self.waker.close()

    def assertAwake(self):
        self.assertTrue(select.select([self.waker.fileno()], [], [], 5)[0])

    def test_wake_and_consume(self):
        self.assertFalse(is_readable(self.waker.fileno()))
        self.waker.consume()  # nothing there: must not block
        for _ in range(3):
            self.waker.wake()
        self.assertAwake()
        self.waker.consume()
        self.assertFalse(is_readable(self.waker.fileno()))
        self.waker.wake()
        self.assertAwake()

    def test_b040_full_is_harmless(self):
        written = 0
        try:
            while True:
                written += os.write(self.waker.write_fileno(), b"x" * 4096)
        except OSError as error:
            self.assertIn(error.errno, (errno.EAGAIN, errno.EWOULDBLOCK))
        self.assertGreater(written, 4096)
        for _ in range(10):
            self.waker.wake()
        self.assertAwake()
        deadline = monotonic_time() + PATIENCE
        while is_readable(self.waker.fileno()) and monotonic_time() < deadline:
            self.waker.consume()
        self.assertFalse(is_readable(self.waker.fileno()))

    def test_b021_close_on_exec_and_non_blocking(self):
        for fd in (self.waker.fileno(), self.waker.write_fileno()):
            self.assertTrue(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
            self.assertTrue(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)

    def test_b018_nothing_happens_after_close(self):
        fds = (self.waker.fileno(), self.waker.write_fileno())
        self.waker.close()
        for fd in fds:
            self.assertRaises(OSError, os.fstat, fd)
        self.assertEqual((self.waker.fileno(), self.waker.write_fileno()), (-1, -1))
        # a new file with one of these numbers gets no byte
        pipe = os.pipe()
        try:
            raised = []

            def wake():
                try:
                    self.waker.wake()
                except Exception as error:
                    raised.append(error)

            thread = threading.Thread(target=wake)
            thread.start()
            thread.join(PATIENCE)
            self.assertEqual(raised, [])
            self.assertFalse(is_readable(pipe[0]))
            self.waker.consume()
            self.waker.close()
            for fd in pipe:
                os.fstat(fd)
        finally:
            for fd in pipe:
                os.close(fd)

    def test_b010_interrupted_calls_are_repeated(self):
        self.waker._write = interrupted(self.waker._write)
        self.waker._read = interrupted(self.waker._read)
        self.waker.wake()
        self.assertAwake()
        self.waker.consume()
        self.assertFalse(is_readable(self.waker.fileno()))

    def test_b260_a_close_during_a_wake_gives_no_byte_to_the_next_file(self):
        # os.write and send release the GIL just before the system call.
        pipe = []

        def close_and_open():
            self.waker.close()
            pipe.extend(os.pipe())

        def let_another_thread_run():
            thread = threading.Thread(target=close_and_open)
            thread.start()
            thread.join(PATIENCE)

        def write(data):
            let_another_thread_run()
            return os.write(fds[1], data)

        fds = (self.waker.fileno(), self.waker.write_fileno())
        self.waker._write = write
        self.waker.wake()
        try:
            self.assertFalse(is_readable(pipe[0]))
            for fd in fds:
                self.assertRaises(OSError, os.fstat, fd)
        finally:
            for fd in pipe:
                os.close(fd)

    def test_b042_wake_from_a_signal_handler(self):
        old = signal.signal(signal.SIGUSR1, lambda number, frame: self.waker.wake())
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            self.assertAwake()
        finally:
            signal.signal(signal.SIGUSR1, old)

    def test_b043_is_fit_for_set_wakeup_fd(self):
        old = signal.signal(signal.SIGUSR1, lambda number, frame: None)
        old_fd = signal.set_wakeup_fd(self.waker.write_fileno())
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            self.assertAwake()
        finally:
            signal.set_wakeup_fd(old_fd)
            signal.signal(signal.SIGUSR1, old)

    def test_b020_close_gives_back_the_descriptors(self):
        free = os.dup(self.waker.fileno())
        os.close(free)
        for _ in range(20):
            self.waker_class().close()
        again = os.dup(self.waker.fileno())
        os.close(again)
        self.assertEqual(again, free)


class TestPosixWaker(WakerContract, unittest.TestCase):
    waker_class = posix.Waker

    def test_a_descriptor_closed_by_others_is_not_hidden(self):
        os.close(self.waker.write_fileno())
        try:
            with self.assertRaises(OSError) as caught:
                self.waker.wake()
            self.assertEqual(caught.exception.errno, errno.EBADF)
        finally:
            fd = os.open(os.devnull, os.O_RDONLY)
            if fd != self.waker.write_fileno():
                os.dup2(fd, self.waker.write_fileno())
                os.close(fd)


class TestWindowsWaker(WakerContract, unittest.TestCase):
    """The waker for Windows is plain sockets and runs everywhere."""

    waker_class = windows.Waker


class TestSetCloseExec(unittest.TestCase):
    def test_b021_set_close_exec(self):
        reader, writer = os.pipe()
        try:
            for fd, set_close_exec in ((reader, auto.set_close_exec),
                                       (writer, interface.set_close_exec)):
                fcntl.fcntl(fd, fcntl.F_SETFD, 0)
                set_close_exec(fd)
                self.assertTrue(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
        finally:
            os.close(reader)
            os.close(writer)
        self.assertRaises(EnvironmentError, auto.set_close_exec, reader)


class TestMakePoller(unittest.TestCase):
    def setUp(self):
        self.environ = os.environ.pop("FRIENDSERVE_POLLER", None)
        self.classes = dict(auto._classes)

    def tearDown(self):
        os.environ.pop("FRIENDSERVE_POLLER", None)
        if self.environ is not None:
            os.environ["FRIENDSERVE_POLLER"] = self.environ
        auto._classes.clear()
        auto._classes.update(self.classes)

    def made(self, *args):
        """The name of the poller that make_poller(*args) makes."""
        poller = auto.make_poller(*args)
        poller.close()
        return type(poller).__name__[:-len("Poller")].lower()

    def fail_to_create(self, name, number):
        def create():
            raise OSError(number, os.strerror(number))
        auto._classes[name] = create

    def test_what_the_system_has(self):
        expected = [name for name in ("epoll", "kqueue", "poll") if hasattr(select, name)]
        self.assertEqual(auto.available_pollers(), expected + ["select"])

    def test_by_name(self):
        for name in auto.available_pollers():
            self.assertEqual(self.made(name), name)

    def test_best_by_default(self):
        best = auto.available_pollers()[0]
        self.assertEqual(self.made(), best)
        self.assertEqual(self.made("auto"), best)

    def test_environment(self):
        os.environ["FRIENDSERVE_POLLER"] = "select"
        self.assertEqual(self.made(), "select")
        self.assertEqual(self.made("poll"), "poll")
        self.assertEqual(self.made("auto"), auto.available_pollers()[0])
        os.environ["FRIENDSERVE_POLLER"] = "no-such"
        self.assertRaises(ValueError, auto.make_poller)

    def test_unknown(self):
        with self.assertRaises(ValueError) as caught:
            auto.make_poller("iocp")
        self.assertIn("'iocp'", str(caught.exception))
        self.assertIn(", ".join(auto.available_pollers()) + ", or auto", str(caught.exception))

    def test_lacking(self):
        del auto._classes["poll"]
        self.assertNotIn("poll", auto.available_pollers())
        with self.assertRaises(ImportError) as caught:
            auto.make_poller("poll")
        self.assertIn("no poll poller", str(caught.exception))
        self.assertIn("select", str(caught.exception))

    def test_refused_by_the_kernel_is_passed_over(self):
        best, second = auto.available_pollers()[:2]
        self.fail_to_create(best, errno.ENOSYS)
        self.assertEqual(auto.available_pollers()[0], second)
        self.assertEqual(self.made(), second)
        self.assertRaises(ImportError, auto.make_poller, best)

    def test_out_of_descriptors_is_not_lacking(self):
        self.fail_to_create(auto.available_pollers()[0], errno.EMFILE)
        with self.assertRaises(EnvironmentError) as caught:
            auto.make_poller()
        self.assertEqual(caught.exception.errno, errno.EMFILE)

    def test_b286_a_call_that_was_removed_after_the_import_is_passed_over(self):
        """As by the monkey patches of gevent."""
        for name in ("epoll", "kqueue"):
            call = getattr(select, name, None)
            if call is not None:
                delattr(select, name)
                self.addCleanup(setattr, select, name, call)
        try:
            names = auto.available_pollers()
            poller = auto.make_poller("auto")
        except AttributeError as error:
            self.fail("the next poller was not tried: %s" % error)
        poller.close()
        self.assertEqual([name for name in ("poll", "select") if hasattr(select, name)], names)
        self.assertRaises(ImportError, auto.make_poller, "epoll")

    def test_b286_an_import_that_fails_does_not_mean_that_the_system_lacks_the_call(self):
        name = "friendserve.platform.pollers.select"
        self.addCleanup(sys.modules.__setitem__, name, sys.modules.pop(name))
        broken = "friendserve.platform.pollers.common"
        common_module = sys.modules[broken]
        self.addCleanup(sys.modules.__setitem__, broken, common_module)
        sys.modules[broken] = None      # importing it raises ImportError
        with self.assertRaises(ImportError):
            auto._load(auto._PREFERENCE)

    def test_modules_of_absent_calls_do_not_import(self):
        for name in ("epoll", "kqueue", "poll"):
            module = "friendserve.platform.pollers." + name
            loaded = sys.modules.pop(module, None)
            call = getattr(select, name, None)
            if call is not None:
                delattr(select, name)
            try:
                with self.assertRaises(ImportError) as caught:
                    importlib.import_module(module)
                self.assertIn("no " + name, str(caught.exception))
            finally:
                if call is not None:
                    setattr(select, name, call)
                if loaded is not None:
                    sys.modules[module] = loaded


class TestMonotonicTime(unittest.TestCase):
    def test_b032_never_goes_back(self):
        readings = [monotonic_time() for _ in range(1000)]
        self.assertEqual(readings, sorted(readings))
        self.assertIsInstance(readings[0], float)

    def test_b032_is_not_the_date(self):
        real_time, time.time = time.time, lambda: 0.0
        try:
            before = monotonic_time()
            self.assertLess(abs(monotonic_time() - before), 60)
        finally:
            time.time = real_time
        self.assertLess(monotonic_time(), 1e9)  # counted from some start, not from 1970

    def test_b032_clock_that_is_set_back(self):
        clock = FakeClock(5000.0)
        steady = never_backwards(clock)
        self.assertEqual(steady(), 5000.0)
        clock.advance(2)
        self.assertEqual(steady(), 5002.0)
        clock.advance(-86400)
        self.assertEqual(steady(), 5002.0)
        clock.advance(3)
        self.assertEqual(steady(), 5005.0)


class TestInterface(unittest.TestCase):
    def test_events_are_distinct(self):
        self.assertEqual((READ, PRI, WRITE, ERROR), (0x001, 0x002, 0x004, 0x018))

    @unittest.skipUnless(hasattr(select, "epoll"), "this system has no epoll")
    def test_events_are_those_of_epoll(self):
        self.assertEqual((READ, PRI, WRITE, ERROR), (
            select.EPOLLIN, select.EPOLLPRI, select.EPOLLOUT, select.EPOLLERR | select.EPOLLHUP))

    def test_contracts_implement_nothing(self):
        poller, waker = interface.Poller(), interface.Waker()
        for call in (poller.fileno, poller.close, waker.fileno, waker.write_fileno, waker.wake,
                     waker.consume, waker.close):
            self.assertRaises(NotImplementedError, call)
        self.assertRaises(NotImplementedError, poller.register, 0, READ)
        self.assertRaises(NotImplementedError, poller.modify, 0, READ)
        self.assertRaises(NotImplementedError, poller.unregister, 0)
        self.assertRaises(NotImplementedError, poller.watched)
        self.assertRaises(NotImplementedError, poller.poll, 0)


class TestCommon(unittest.TestCase):
    def test_loopback_pair(self):
        a, b = common.loopback_pair()
        try:
            for sender, receiver in ((a, b), (b, a)):
                sender.sendall(b"ping")
                self.assertEqual(receiver.recv(4), b"ping")
                self.assertTrue(sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        finally:
            a.close()
            b.close()

    def test_loopback_pair_turns_strangers_away(self):
        strangers = []

        class SlowSocket(socket.socket):
            """A socket that lets a stranger connect as soon as it listens."""

            def listen(self, backlog):
                super(SlowSocket, self).listen(backlog + 1)
                strangers.append(socket.create_connection(self.getsockname()))

        common.socket = type("SlowModule", (object,), {
            "socket": SlowSocket, "IPPROTO_TCP": socket.IPPROTO_TCP,
            "TCP_NODELAY": socket.TCP_NODELAY})
        try:
            a, b = common.loopback_pair()
        finally:
            common.socket = socket
        try:
            self.assertEqual(a.getsockname(), b.getpeername())
            self.assertEqual(len(strangers), 1)
        finally:
            for sock in strangers + [a, b]:
                sock.close()

    def test_try_close(self):
        class Failing(object):
            def __init__(self, error):
                self.error = error

            def close(self):
                raise self.error
        common.try_close(Failing(IOError(errno.EBADF, "closed")))
        common.try_close(Failing(socket.error(errno.EBADF, "closed")))
        self.assertRaises(ValueError, common.try_close, Failing(ValueError()))
