"""A Twisted reactor on an IOLoop, and a resolver. See also interop/test_twisted_reactors.py."""
from __future__ import absolute_import, division, print_function

import gc
import os
import signal
import socket
import threading
import time
import unittest
import weakref

try:
    import twisted
except ImportError:
    twisted = None
else:
    from twisted.internet.defer import Deferred
    from twisted.internet.error import ReactorNotRestartable
    from twisted.internet.protocol import Factory, Protocol
    from twisted.python import threadable
    from friendserve.platform.twisted import IOLoopReactor, TwistedResolver

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import make_poller
from friendserve.stack_context import StackContext
from friendserve.tcpclient import TCPClient
from tests import PATIENCE
from tests.loopcase import CountingPoller, LogCatcher, Loops, keeping, open_fds
from tests.resolvercase import NameServer, ResolverCase, ResolverContract
from tests.twistedcase import needs_twisted, run_program


class ImportTest(unittest.TestCase):
    def test_without_twisted_it_says_what_to_install(self):
        output, _ = run_program("import sys; sys.modules['twisted'] = None\n"
                                "import friendserve.platform.twisted")
        self.assertIn("pip install friendserve[twisted]", output)

    @needs_twisted
    def test_b296_only_install_makes_a_reactor(self):
        self.assertEqual(("", 0), run_program(
            "import sys\n"
            "from friendserve.platform.twisted import install\n"
            "from twisted.internet.error import ReactorAlreadyInstalledError\n"
            "assert 'twisted.internet.reactor' not in sys.modules\n"
            "reactor = install()\n"
            "from twisted.internet import reactor as installed\n"
            "assert reactor is installed\n"
            "try:\n"
            "    install()\n"
            "except ReactorAlreadyInstalledError:\n"
            "    reactor.callWhenRunning(reactor.stop)\n"
            "    reactor.run()\n"))

    @needs_twisted
    def test_b296_ends_by_a_signal(self):
        output, status = run_program(
            "import os, signal\n"
            "from friendserve.platform.twisted import install\n"
            "reactor = install()\n"
            "def end():\n"
            "    print('ended')\n"
            "reactor.addSystemEventTrigger('before', 'shutdown', end)\n"
            "reactor.callLater(0, os.kill, os.getpid(), signal.SIGTERM)\n"
            "reactor.run()\n")
        self.assertEqual("ended\n", output)

    @needs_twisted
    def test_b296_goes_on_in_a_daemon(self):
        # As twistd does it: everything is made, then the process forks.
        output, status = run_program(
            "import os\n"
            "from friendserve.platform.twisted import install\n"
            "from twisted.internet.interfaces import IReactorDaemonize\n"
            "reactor = install()\n"
            "assert IReactorDaemonize.providedBy(reactor)\n"
            "reactor.callWhenRunning(reactor.callLater, 0.001, reactor.callFromThread,\n"
            "                        reactor.stop)\n"
            "reactor.beforeDaemonize()\n"
            "child = os.fork()\n"
            "if child:\n"
            "    raise SystemExit(os.waitpid(child, 0)[1])\n"
            "reactor.afterDaemonize()\n"
            "reactor.run()\n"
            "print('ended')\n")
        self.assertEqual(("ended\n", 0), (output, status))


class ReactorCase(Loops, unittest.TestCase):
    def setUp(self):
        self.loop = self.make_loop()
        self.reactor = self.make_reactor(self.loop)

    def make_reactor(self, loop):
        reactor = IOLoopReactor(loop)
        self.addCleanup(self.clear, reactor)
        return reactor

    def clear(self, reactor):
        for call in reactor.getDelayedCalls():
            call.cancel()
        reactor.disconnectAll()

    def run_reactor(self):
        """Run the reactor, which something has to stop, without its handlers of signals."""
        limit = self.reactor.callLater(PATIENCE, self.fail)
        self.reactor.run(installSignalHandlers=False)
        limit.cancel()


class Descriptor(object):
    """A reader and writer of Twisted over a file object; it records what is called."""

    def __init__(self, sock, on_read=None):
        self.sock = sock
        self.calls = []
        self.on_read = on_read

    def fileno(self):
        return self.sock.fileno()

    def logPrefix(self):
        return "a test"

    def doRead(self):
        self.calls.append("read")
        if self.on_read is not None:
            self.on_read()

    def doWrite(self):
        self.calls.append("write")

    def connectionLost(self, reason):
        self.calls.append(reason.type.__name__)


@needs_twisted
class LifeTest(ReactorCase):
    def test_b296_starts_and_stops_with_the_loop(self):
        events = []
        for phase in ("startup", "shutdown"):
            self.reactor.addSystemEventTrigger("after", phase, events.append, phase)
        self.reactor.start_with_loop()
        self.reactor.callLater(0.001, self.reactor.stop)
        self.loop.call_later(PATIENCE, self.fail)
        self.loop.start()
        self.assertEqual(["startup", "shutdown"], events)
        self.assertRaises(ReactorNotRestartable, self.reactor.run)

    def test_b296_run_works_after_the_loop_has_been_started_and_stopped(self):
        self.reactor.start_with_loop()
        self.reactor.callWhenRunning(self.loop.stop)
        self.loop.start()
        self.assertTrue(self.reactor.running)
        self.reactor.callLater(0.001, self.reactor.stop)
        self.run_reactor()
        self.assertFalse(self.reactor.running)

    def test_b296_a_stop_of_the_loop_stops_the_reactor_in_order(self):
        events = []
        waiting = Deferred()
        self.reactor.addSystemEventTrigger("before", "shutdown", lambda: waiting)
        self.reactor.addSystemEventTrigger("after", "shutdown", events.append, "shutdown")
        self.reactor.callWhenRunning(self.loop.stop)
        # The trigger delays the end, whatever stops the loop.
        self.reactor.callLater(0.01, self.loop.stop)
        self.reactor.callLater(0.02, waiting.callback, None)
        self.run_reactor()
        self.assertEqual(["shutdown"], events)

    def test_b296_crashed_and_run_a_hundred_times(self):
        sizes, runs = [], []
        for _ in range(101):
            self.reactor.callWhenRunning(self.reactor.callLater, 0, self.reactor.crash)
            self.reactor.callWhenRunning(runs.append, 1)
            self.run_reactor()
            if not sizes:
                sizes.append((open_fds(), threading.active_count()))
        self.assertEqual(101, len(runs))
        self.assertEqual(sizes[0], (open_fds(), threading.active_count()))
        self.assertEqual([], self.reactor.getReaders() + self.reactor.getDelayedCalls())
        # Nor does the loop keep something of each run.
        self.loop.run_once(0)
        self.assertEqual(0, len(self.loop._timers))

    def test_b296_a_crash_before_the_loop_runs_does_not_stop_its_next_start(self):
        seen = []
        self.reactor.callWhenRunning(self.reactor.crash)
        self.run_reactor()
        self.loop.call_later(0.001, seen.append, 1)
        self.loop.call_later(0.002, self.loop.stop)
        self.loop.start()
        self.assertEqual([1], seen)

    def test_b296_a_hundred_loops_with_reactors(self):
        before = open_fds(), threading.active_count()
        alive = []
        for _ in range(100):
            loop = IOLoop(make_current=False)
            reactor = IOLoopReactor(loop)
            reactor.callLater(0, reactor.stop)
            reactor.callFromThread(alive.append, weakref.ref(reactor))
            reactor.run(installSignalHandlers=False)
            loop.close()
        del reactor, loop
        gc.collect()
        self.assertEqual([None] * 100, [reference() for reference in alive])
        self.assertEqual(before, (open_fds(), threading.active_count()))

    def test_b296_iterated_before_it_runs(self):
        self.reactor.start_with_loop()
        self.reactor.iterate(0)
        self.assertFalse(self.reactor.running)
        self.reactor.callWhenRunning(self.reactor.stop)
        self.run_reactor()

    def test_b296_driven_step_by_step(self):
        seen = []
        self.reactor.startRunning(installSignalHandlers=False)
        self.reactor.callLater(0, seen.append, 1)
        while not seen:
            self.reactor.iterate(0.01)
        self.reactor.stop()
        self.reactor.iterate(0)
        self.assertFalse(self.reactor.running)


@needs_twisted
class CallTest(ReactorCase):
    def test_b296_a_wall_clock_set_forward_delays_no_call(self):
        ahead = [0]
        self.reactor.seconds = lambda: time.time() + ahead[0]
        seen = []
        self.reactor.startRunning(installSignalHandlers=False)
        self.reactor.callLater(PATIENCE * 10, seen.append, "late")
        self.loop.run_once(0)
        ahead[0] = PATIENCE * 100
        self.reactor.callLater(0.001, seen.append, "soon")
        self.run_until(lambda: "soon" in seen)

    def test_b296_a_call_moved_forward_is_made_in_time(self):
        call = self.reactor.callLater(PATIENCE * 10, self.reactor.crash)
        # While the reactor waits.
        self.loop.call_later(0.005, call.reset, 0.001)
        self.run_reactor()
        self.assertFalse(call.active())

    def test_b296_calls_need_one_timer_of_the_loop(self):
        self.reactor.startRunning(installSignalHandlers=False)
        self.loop.run_once(0)
        for number in range(100):
            self.reactor.callLater(1000 - number, self.fail)
            self.reactor.callFromThread(int)
        self.loop.run_once(0)
        self.assertEqual(1, len(self.loop._timers))

    def test_b296_a_crashed_reactor_makes_no_calls_while_its_loop_goes_on(self):
        seen = []
        self.reactor.callWhenRunning(self.reactor.callLater, 0.005, seen.append, "call")
        # While the reactor waits for that.
        self.loop.call_later(0.001, self.reactor.crash)
        self.run_reactor()
        self.loop.call_later(0.01, self.loop.stop)
        self.loop.start()
        self.assertEqual([], seen)
        self.reactor.callLater(0.005, self.reactor.crash)
        self.run_reactor()
        self.assertEqual(["call"], seen)

    def test_b296_an_idle_reactor_does_not_wake_its_loop(self):
        self.reactor.startRunning(installSignalHandlers=False)
        self.reactor.callLater(0, int)
        self.run_until(lambda: not self.reactor.getDelayedCalls())
        self.loop.run_once(0)
        self.assertIsNone(self.loop.run_once(0))

    def test_b296_calls_of_threads_come_in_their_order(self):
        count = 1000
        seen = []

        def work(name):
            for number in range(count):
                self.reactor.callFromThread(seen.append, (name, number))
            self.reactor.callFromThread(self.reactor.callLater, 0, ended, name)

        def ended(name):
            names.append(name)
            if len(names) == len(threads):
                self.reactor.crash()
        names = []
        threads = [threading.Thread(target=work, args=(name,)) for name in range(5)]
        for thread in threads:
            self.reactor.callWhenRunning(thread.start)
        self.run_reactor()
        for thread in threads:
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive())
        for name in range(5):
            self.assertEqual(list(range(count)), [n for who, n in seen if who == name])

    def test_b296_a_call_from_a_signal_handler_wakes_the_loop(self):
        old = signal.signal(signal.SIGALRM,
                            lambda number, frame: self.reactor.callFromThread(self.reactor.crash))
        self.addCleanup(signal.signal, signal.SIGALRM, old)
        self.reactor.callWhenRunning(signal.setitimer, signal.ITIMER_REAL, 0.02)
        self.run_reactor()

    def test_b296_reactors_do_not_keep_stack_contexts(self):
        log = []
        a, b = self.socket_pair()
        b.send(b"x")
        reader = Descriptor(a, lambda: log.append("called") or a.recv(1))
        self.reactor.startRunning(installSignalHandlers=False)
        self.loop.run_once(0)
        # One after the other, as each makes the calls that are due.
        for function, arguments in ((self.reactor.addReader, [reader]),
                                    (self.reactor.callFromThread, [log.append, "called"]),
                                    (self.reactor.callLater, [0.001, log.append, "called"])):
            del log[:]
            with StackContext(lambda: keeping(log)):
                function(*arguments)
            self.run_until(lambda: "called" in log)
            self.assertEqual(["in", "out", "called"], log)


@needs_twisted
class DescriptorTest(ReactorCase):
    def setUp(self):
        super(DescriptorTest, self).setUp()
        self.reactor.startRunning(installSignalHandlers=False)

    def test_b296_one_that_only_writes_is_not_read_when_its_peer_hangs_up(self):
        for asked in ("addReader", "addWriter"):
            a, b = self.socket_pair()
            descriptor = Descriptor(a)
            getattr(self.reactor, asked)(descriptor)
            b.close()
            self.run_until(lambda: descriptor.calls)
            if asked == "addReader":
                self.assertEqual("read", descriptor.calls[0])
            else:
                self.assertNotIn("read", descriptor.calls)
            self.reactor.removeReader(descriptor)
            self.reactor.removeWriter(descriptor)

    def test_b296_what_came_before_a_hang_up_is_read_to_the_end(self):
        a, b = self.socket_pair()
        data = []
        descriptor = Descriptor(a, lambda: data.append(a.recv(1)))
        b.send(b"abc")
        b.close()
        self.reactor.addReader(descriptor)
        self.reactor.addWriter(descriptor)
        self.run_until(lambda: b"" in data)
        self.assertEqual(b"abc", b"".join(data))
        self.assertEqual(set(["read", "write"]), set(descriptor.calls))

    def test_b296_events_of_one_that_has_been_removed_do_not_wake_the_loop(self):
        poller = CountingPoller(make_poller())
        self.loop = self.make_loop(poller)
        self.poller = poller
        reactor = self.make_reactor(self.loop)
        a, _ = self.socket_pair()
        descriptor = Descriptor(a)
        reactor.addReader(descriptor)
        reactor.addWriter(descriptor)
        self.run_until(lambda: descriptor.calls)
        reactor.removeWriter(descriptor)
        self.assert_quiet()

    def test_b296_one_removed_by_another_of_its_number(self):
        a, b = self.socket_pair()
        writer = Descriptor(a)
        reader = Descriptor(a, lambda: self.reactor.removeWriter(writer))
        b.send(b"x")
        self.reactor.addReader(reader)
        self.reactor.addWriter(writer)
        self.run_until(lambda: reader.calls)
        self.assertEqual([], writer.calls)

    def test_b296_two_on_one_number_are_told_apart(self):
        a, b = self.socket_pair()
        reader, writer = Descriptor(a, lambda: a.recv(9)), Descriptor(a)
        self.reactor.addReader(reader)
        self.reactor.addWriter(writer)
        b.send(b"x")
        self.run_until(lambda: reader.calls and writer.calls)
        self.assertEqual((set(["read"]), set(["write"])), (set(reader.calls), set(writer.calls)))
        self.assertEqual(([reader], [writer]),
                         (self.reactor.getReaders(), self.reactor.getWriters()))
        self.reactor.removeReader(reader)
        del reader.calls[:], writer.calls[:]
        b.send(b"x")
        self.run_until(lambda: writer.calls)
        self.assertEqual([], reader.calls)
        self.reactor.removeWriter(writer)
        self.assertEqual({}, self.reactor._fds)

    def test_b296_the_number_of_a_file_that_was_closed_without_being_removed(self):
        a, b = self.socket_pair()
        number = a.fileno()
        first = Descriptor(a)
        self.reactor.addReader(first)
        a.close()
        c, d = self.socket_pair()
        if c.fileno() != number:
            os.dup2(c.fileno(), number)
            self.addCleanup(os.close, number)
            c = socket.fromfd(number, socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(c.close)
        second = Descriptor(c)
        second.fileno = lambda: number
        with LogCatcher():
            self.reactor.addReader(second)
        d.send(b"x")
        self.run_until(lambda: second.calls)
        self.assertEqual(([], [second]), (first.calls, self.reactor.getReaders()))
        self.reactor.removeReader(first)
        self.reactor.removeReader(second)
        self.assertEqual({}, self.reactor._fds)

    def test_b296_all_are_disconnected_though_one_was_closed_before(self):
        descriptors = [Descriptor(sock) for sock in self.socket_pair()]
        for descriptor in descriptors:
            self.reactor.addReader(descriptor)
            self.reactor.addWriter(descriptor)
        descriptors[0].sock.close()
        self.reactor.disconnectAll()
        self.assertEqual([["ConnectionLost"]] * 2, [each.calls for each in descriptors])

    def test_b296_files_are_read_continuously(self):
        with open(__file__, "rb") as source:
            pieces = []
            reader = Descriptor(source, lambda: pieces.append(source.read(1000)))
            self.reactor.addReader(reader)
            self.run_until(lambda: pieces and not pieces[-1])
            self.assertEqual([reader], self.reactor.getReaders())
            self.reactor.removeReader(reader)
            self.assertEqual(source.tell(), len(b"".join(pieces)))
        self.assertEqual([], self.reactor.getReaders())


@needs_twisted
class ServiceTest(ReactorCase):
    def test_b296_a_stream_talks_to_a_protocol_of_twisted(self):
        class Echo(Protocol):
            def dataReceived(self, data):
                self.transport.write(data)
                self.transport.loseConnection()

        port = self.reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
        data = b"x" * 1000000
        received = []

        def connected(stream):
            stream.write(data)
            stream.read_bytes(1000, self_stop)

        def self_stop(chunk):
            received.append(chunk)
            self.reactor.stop()
        client = TCPClient(io_loop=self.loop)
        client.connect("127.0.0.1", port.getHost().port, callback=connected)
        self.run_reactor()
        client.close()
        self.assertEqual([b"x" * 1000], received)


class TwistedResolverCase(ResolverCase):
    def setUp(self):
        super(TwistedResolverCase, self).setUp()
        self.names = {"one.test": ["192.0.2.1"], "six.test": ["2001:db8::1"],
                      "both.test": ["192.0.2.3", "2001:db8::3"]}
        self.server = NameServer(self.loop, self.names)
        self.addCleanup(self.server.close)

    def make_resolver(self, **options):
        options.setdefault("timeout", (5,))
        resolver = TwistedResolver(servers=[("127.0.0.1", self.server.port)], **options)
        self.addCleanup(resolver.close)
        return resolver


@needs_twisted
class TwistedResolverContractTest(TwistedResolverCase, ResolverContract):
    """The contract of all resolvers."""


@needs_twisted
class TwistedResolverTest(TwistedResolverCase):
    def found(self, host, family=socket.AF_UNSPEC):
        return self.resolve(self.make_resolver(), host, 80, family)[0]

    def code(self, host, **options):
        addresses, error = self.resolve(self.make_resolver(**options), host, 80)
        self.assertIsNone(addresses)
        return error.errno

    def test_b296_addresses(self):
        four, six = (socket.AF_INET, ("192.0.2.3", 80)), (
            socket.AF_INET6, ("2001:db8::3", 80, 0, 0))
        self.assertEqual([four, six], self.found("both.test"))
        self.assertEqual([four], self.found("both.test", socket.AF_INET))
        self.assertEqual([six], self.found(u"both.test", socket.AF_INET6))
        self.assertEqual([(socket.AF_INET, ("192.0.2.1", 80))], self.found("one.test"))
        self.assertIs(str, type(self.found("six.test")[0][1][0]))

    def test_b296_errors(self):
        self.assertEqual(socket.EAI_NONAME, self.code("none.test"))
        self.assertEqual(socket.EAI_AGAIN, self.code("broken.test"))
        self.assertEqual(socket.EAI_AGAIN, self.code("silent.test", timeout=(0.01,)))
        # The length of a label has six bits; with more, it would be another query.
        del self.server.asked[:]
        for name in ("a" * 200 + ".test", "a..test"):
            self.assertEqual(socket.EAI_NONAME, self.code(name))
        self.assertEqual([], self.server.asked)

    def test_b296_names_of_the_file_are_not_looked_up(self):
        self.found("localhost")
        self.assertEqual([], self.server.asked)

    def test_b296_the_program_keeps_its_io_thread(self):
        before, threadable.ioThread = threadable.ioThread, "of the program"
        self.addCleanup(setattr, threadable, "ioThread", before)
        self.make_resolver()
        self.assertEqual("of the program", threadable.ioThread)

    def test_b296_close_ends_look_ups(self):
        resolver = self.make_resolver()
        errors = []
        before = open_fds()
        resolver.resolve("silent.test", 80, callback=self.fail, on_error=errors.append)
        self.run_until(lambda: self.server.asked)
        resolver.close()
        self.run_until(lambda: errors)
        self.assertEqual([socket.EAI_FAIL], [error.errno for error in errors])
        self.assertEqual((before, []), (open_fds(), resolver.reactor.getDelayedCalls()))
        resolver.resolve("one.test", 80, callback=self.fail, on_error=errors.append)
        self.run_until(lambda: len(errors) == 2)
