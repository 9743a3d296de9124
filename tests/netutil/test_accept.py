from __future__ import absolute_import, division, print_function

import errno
import os
import socket
import subprocess
import sys
import textwrap
import unittest

from friendserve.ioloop import IOLoop
from friendserve.netutil import add_accept_handler, bind_sockets
from friendserve.netutil.listening import ACCEPT_PAUSES, MAX_ACCEPTS_PER_TURN
from friendserve.platform.pollers.auto import available_pollers
from tests import PATIENCE
from tests.loopcase import LogCatcher, LoopCase

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

needs_posix = unittest.skipUnless(fcntl, "only on POSIX systems")


class Listener(object):
    """A listening socket that raises each of the given errors before it accepts."""

    def __init__(self, sock, *errors):
        self.sock = sock
        self.errors = list(errors)
        self.calls = 0

    def fileno(self):
        return self.sock.fileno()

    def accept(self):
        self.calls += 1
        if self.errors:
            code = self.errors.pop(0)
            raise socket.error(code, os.strerror(code))
        return self.sock.accept()


class AddAcceptHandlerTest(LoopCase, unittest.TestCase):
    def setUp(self):
        self.sock, = bind_sockets(0, "127.0.0.1")
        self.addCleanup(self.sock.close)
        self.accepted = []
        self.use_loop(IOLoop())

    def use_loop(self, loop):
        self.loop = loop
        self.loop.make_current()
        self.addCleanup(self.loop.close)

    def on_connection(self, connection, address):
        self.accepted.append((connection, address))
        self.addCleanup(connection.close)

    def connect(self, count=1):
        clients = [socket.create_connection(self.sock.getsockname(), timeout=PATIENCE)
                   for _ in range(count)]
        for client in clients:
            self.addCleanup(client.close)
        return clients

    def test_connection_and_address(self):
        add_accept_handler(self.sock, self.on_connection)
        client, = self.connect()
        self.run_until(lambda: self.accepted)
        (connection, address), = self.accepted
        self.assertEqual(address, client.getsockname())
        self.assertEqual(connection.gettimeout(), 0)
        client.sendall(b"x")
        self.loop.run_once(0)
        self.assertEqual(connection.recv(1), b"x")

    @needs_posix
    def test_b021_close_on_exec(self):
        add_accept_handler(self.sock, self.on_connection)
        self.connect()
        self.run_until(lambda: self.accepted)
        flags = fcntl.fcntl(self.accepted[0][0].fileno(), fcntl.F_GETFD)
        self.assertTrue(flags & fcntl.FD_CLOEXEC)

    def test_given_loop(self):
        IOLoop.clear_current()
        add_accept_handler(self.sock, self.on_connection, io_loop=self.loop)
        self.connect()
        self.run_until(lambda: self.accepted)

    def test_b112_bounded_in_one_turn(self):
        add_accept_handler(self.sock, self.on_connection, max_accepts=3)
        self.connect(7)
        seen = []
        while len(self.accepted) < 7:
            self.loop.run_once(PATIENCE)
            seen.append(len(self.accepted))
        self.assertEqual(seen, [3, 6, 7])
        self.assertEqual(MAX_ACCEPTS_PER_TURN, 128)

    def test_b010_b111_errors_of_the_connection_are_passed_over(self):
        codes = [errno.EINTR, errno.ECONNABORTED, errno.EPROTO, errno.ECONNRESET]
        listener = Listener(self.sock, *codes)
        add_accept_handler(listener, self.on_connection)
        self.connect()
        self.loop.run_once(PATIENCE)
        self.assertEqual(len(self.accepted), 1)
        # Once more for EAGAIN.
        self.assertEqual(listener.calls, len(codes) + 2)

    def test_b112_errors_count_as_accepts(self):
        listener = Listener(self.sock, *[errno.ECONNABORTED] * 10)
        add_accept_handler(listener, self.on_connection, max_accepts=4)
        self.connect()
        self.loop.run_once(PATIENCE)
        self.assertEqual(listener.calls, 4)

    def test_other_errors_go_to_the_loop(self):
        with LogCatcher("friendserve.application") as records:
            add_accept_handler(Listener(self.sock, errno.EBADF), self.on_connection)
            self.connect()
            self.run_until(lambda: self.accepted)
        self.assertEqual(len(records), 1)

    def test_exception_in_the_callback_goes_to_the_loop(self):
        def callback(connection, address):
            self.on_connection(connection, address)
            raise ValueError("from the callback")

        with LogCatcher("friendserve.application") as records:
            add_accept_handler(self.sock, callback)
            self.connect(2)
            self.run_until(lambda: len(self.accepted) == 2)
        self.assertEqual(len(records), 2)

    def test_b110_each_shortage(self):
        for code in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.check_shortage(IOLoop(), code)

    def test_b110_on_every_poller(self):
        for poller in available_pollers():
            self.check_shortage(IOLoop(impl=poller), errno.EMFILE)

    def check_shortage(self, loop, code):
        self.use_loop(loop)
        del self.accepted[:]
        listener = Listener(self.sock, code)
        with LogCatcher("friendserve.application") as records:
            remove = add_accept_handler(listener, self.on_connection)
            self.connect()
            self.run_until(lambda: listener.calls)
            for _ in range(5):
                loop.run_once(0)
            # Turns pass quickly, without another attempt.
            self.assertEqual(listener.calls, 1)
            self.run_until(lambda: self.accepted)
        self.assertEqual(len(records), 1)
        self.assertIn(os.strerror(code), records[0].message)
        remove()

    def skip_pauses(self):
        """Let every timer fire at once; return the list of their delays."""
        delays = []
        call_later = self.loop.call_later

        def at_once(delay, callback):
            delays.append(delay)
            return call_later(0, callback)

        self.loop.call_later = at_once
        return delays

    def test_b110_pauses_grow_and_are_logged_once(self):
        pauses = self.skip_pauses()
        with LogCatcher("friendserve.application") as records:
            add_accept_handler(Listener(self.sock, *[errno.EMFILE] * 6), self.on_connection)
            self.connect()
            self.run_until(lambda: self.accepted)
        self.assertEqual(pauses, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
        self.assertEqual(len(records), 1)

    def test_b110_pauses_are_short_again_after_the_shortage(self):
        pauses = self.skip_pauses()
        listener = Listener(self.sock, errno.EMFILE, errno.EMFILE)
        with LogCatcher():
            add_accept_handler(listener, self.on_connection)
            self.connect()
            self.run_until(lambda: self.accepted)
            listener.errors.append(errno.EMFILE)
            self.connect()
            self.run_until(lambda: len(self.accepted) == 2)
        self.assertEqual(pauses, [0.1, 0.2, 0.1])

    def test_b114_removed_while_paused(self):
        listener = Listener(self.sock, errno.EMFILE)
        with LogCatcher("friendserve.application") as records:
            remove = add_accept_handler(listener, self.on_connection)
            self.connect()
            self.run_until(lambda: listener.calls)
            remove()
            done = []
            self.loop.call_later(2 * ACCEPT_PAUSES[0], lambda: done.append(True))
            self.run_until(lambda: done)
        self.assertEqual(listener.calls, 1)
        self.assertEqual(len(records), 1)

    def test_b114_removed_inside_the_accept_loop(self):
        def callback(connection, address):
            self.on_connection(connection, address)
            remove()
            self.sock.close()

        remove = add_accept_handler(self.sock, callback)
        self.connect(3)
        with LogCatcher("friendserve.application") as records:
            self.run_until(lambda: self.accepted)
            self.loop.run_once(0)
        self.assertEqual(len(self.accepted), 1)
        self.assertEqual(records, [])

    def test_removed(self):
        remove = add_accept_handler(self.sock, self.on_connection)
        self.connect()
        remove()
        remove()
        self.loop.run_once(0)
        self.assertEqual(self.accepted, [])
        # The loop has forgotten the fd: it can be added again.
        add_accept_handler(self.sock, self.on_connection)
        self.run_until(lambda: self.accepted)

    def test_removed_after_the_loop_was_closed(self):
        remove = add_accept_handler(self.sock, self.on_connection)
        self.loop.close()
        remove()

    @needs_posix
    def test_b110_process_out_of_fds(self):
        # In a separate process: the limit would affect the other tests.
        program = textwrap.dedent("""
            from __future__ import print_function
            import logging, os, resource, socket, sys
            from friendserve.ioloop import IOLoop
            from friendserve.netutil import add_accept_handler, bind_sockets
            from tests.netutil.test_accept import Listener

            lines = []
            class Handler(logging.Handler):
                def emit(self, record):
                    lines.append(record.getMessage())
            logging.getLogger("friendserve").addHandler(Handler())

            loop = IOLoop()
            loop.make_current()
            sock, = bind_sockets(0, "127.0.0.1")
            clients = [socket.create_connection(sock.getsockname()) for _ in range(10)]
            free = os.dup(0)
            os.close(free)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))

            accepted = []
            listener = Listener(sock)
            add_accept_handler(listener, lambda *args: accepted.append(args))
            end = loop.time() + 0.5
            while loop.time() < end:
                loop.run_once(end - loop.time())
            print("during", len(accepted), listener.calls < 50, len(lines))

            resource.setrlimit(resource.RLIMIT_NOFILE, (free + 20, hard))
            end = loop.time() + 20
            while len(accepted) < 10 and loop.time() < end:
                loop.run_once(0.1)
            print("after", len(accepted), len(lines))
        """)
        child = subprocess.Popen([sys.executable, "-c", program],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
        output = child.communicate()[0].decode("utf8", "replace")
        self.assertEqual(output.split(), "during 0 True 1 after 10 1".split())


if __name__ == "__main__":
    unittest.main()
