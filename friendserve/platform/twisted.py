"""Twisted and friendserve in one thread. It needs the package Twisted
(``pip install friendserve[twisted]``).

A Twisted reactor on an IOLoop, for Twisted's protocols in a friendserve program:

    import friendserve.platform.twisted
    friendserve.platform.twisted.install()      # before anything imports twisted.internet.reactor

    from twisted.internet import reactor
    from friendserve.ioloop import IOLoop

    reactor.callLater(1, reactor.stop)
    IOLoop.current().start()                    # or reactor.run()

An IOLoop on a reactor, for friendserve in a Twisted program:

    from twisted.internet import reactor
    from friendserve.platform.twisted import TwistedIOLoop

    loop = TwistedIOLoop()                      # now the current loop, for servers and clients
    loop.call_later(1, loop.stop)
    reactor.run()                               # or loop.start()

Either way, `reactor.run()` also installs Twisted's handlers for SIGINT, SIGTERM and SIGCHLD, and
starting the loop does not. Without them, `reactor.spawnProcess` does not notice that its processes
have ended.
"""
from __future__ import absolute_import, division, print_function

import errno
import signal
import socket

try:
    from twisted.internet.defer import DeferredList, TimeoutError
    from twisted.internet.error import ReactorNotRunning
    from twisted.internet.interfaces import (
        IReactorDaemonize, IReactorFDSet, IReadDescriptor)
    from twisted.internet.main import installReactor
    from twisted.internet.posixbase import PosixReactorBase, _ContinuousPolling, _PollLikeMixin
    from twisted.names import client, dns, hosts
    from twisted.names.error import DNSNameError, DNSQueryRefusedError, DNSServerError
    from twisted.python import log
    from zope.interface import implementer
except ImportError as error:
    raise ImportError("friendserve.platform.twisted needs the package Twisted: "
                      "pip install friendserve[twisted] (%s)" % error)

from friendserve.ioloop import IOLoop
from friendserve.netutil.resolver import LookUpResolver
from friendserve.platform.foreign import ForeignIOLoop
from friendserve.stack_context import NullContext
from friendserve.util import import_object

__all__ = ["IOLoopReactor", "TornadoReactor", "TwistedIOLoop", "TwistedResolver", "install"]

READ, WRITE, ERROR = IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR

_NEVER = float("inf")


@implementer(IReactorDaemonize, IReactorFDSet)
class IOLoopReactor(PosixReactorBase, _PollLikeMixin):
    """A Twisted reactor on `io_loop`, or on the current loop.

    `run` runs the loop, and `stop` and `crash` stop it; if something else stops it, the reactor is
    stopped as by `stop`. As with every reactor, `run` works again after `crash`, but not after
    `stop`; `iterate` is not for callbacks. The reactor does not close the loop.
    """
    # The constants of _PollLikeMixin.
    _POLL_DISCONNECTED = ERROR
    _POLL_IN = READ
    _POLL_OUT = WRITE

    def __init__(self, io_loop=None):
        self._io_loop = io_loop or IOLoop.current()
        self._reads = {}        # reader -> fd
        self._writes = {}       # writer -> fd
        self._fds = {}          # fd -> {READ: reader, WRITE: writer}, or one of them
        # For files, which epoll does not accept.
        self._continuousPolling = _ContinuousPolling(self)
        self._timer = None
        self._planned = _NEVER      # when the timer is due, in the loop's time
        self._iterating = False
        self._runs_with_loop = False
        super(IOLoopReactor, self).__init__()

    # Readers and writers

    def addReader(self, reader):
        if not self._continuousPolling.isReading(reader) and not self._add(
                reader, READ, self._reads):
            self._continuousPolling.addReader(reader)

    def addWriter(self, writer):
        if not self._continuousPolling.isWriting(writer) and not self._add(
                writer, WRITE, self._writes):
            self._continuousPolling.addWriter(writer)

    def removeReader(self, reader):
        self._continuousPolling.removeReader(reader)
        self._remove(reader, READ, self._reads)

    def removeWriter(self, writer):
        self._continuousPolling.removeWriter(writer)
        self._remove(writer, WRITE, self._writes)

    def removeAll(self):
        return self._removeAll(self._reads, self._writes) + self._continuousPolling.removeAll()

    def getReaders(self):
        return list(self._reads) + self._continuousPolling.getReaders()

    def getWriters(self):
        return list(self._writes) + self._continuousPolling.getWriters()

    def _add(self, selectable, event, fds):
        """Watch `selectable` for `event`. Return whether its file can be watched."""
        if selectable in fds:
            return True
        fd = selectable.fileno()
        if event in self._fds.get(fd, ()):
            # The old file with this number was closed without being removed.
            old = self._fds.pop(fd)
            self._reads.pop(old.get(READ), None)
            self._writes.pop(old.get(WRITE), None)
            self._io_loop.remove_handler(fd)
        try:
            if fd in self._fds:
                self._io_loop.update_handler(fd, READ | WRITE)
            else:
                with NullContext():
                    self._io_loop.add_handler(fd, self._on_events, event)
        except EnvironmentError as error:
            if error.errno != errno.EPERM:
                raise
            return False
        self._fds.setdefault(fd, {})[event] = selectable
        fds[selectable] = fd
        return True

    def _remove(self, selectable, event, fds):
        fd = fds.pop(selectable, None)
        if fd is None:
            return
        watched = self._fds[fd]
        del watched[event]
        if watched:
            try:
                self._io_loop.update_handler(fd, next(iter(watched)))
            except EnvironmentError:
                # The file was closed before, so it reports nothing.
                log.msg("%r was closed before it was removed" % (selectable,))
        else:
            del self._fds[fd]
            self._io_loop.remove_handler(fd)

    def _on_events(self, fd, events):
        watched = self._fds[fd]
        reader, writer = watched.get(READ), watched.get(WRITE)
        if reader is writer:
            self._serve(reader, events)
            return
        # A hang-up is reported as READ, even to an fd that waits only for WRITE.
        if reader is not None and events & (READ | ERROR):
            self._serve(reader, events & (READ | ERROR))
        if writer is not None and events & (WRITE | ERROR) and self._writes.get(writer) == fd:
            self._serve(writer, events & (WRITE | ERROR))

    def _serve(self, selectable, events):
        log.callWithLogger(selectable, self._doReadOrWrite, selectable, selectable, events)

    # Timers

    def callLater(self, delay, callable, *args, **kw):
        call = super(IOLoopReactor, self).callLater(delay, callable, *args, **kw)
        self._plan(delay)
        return call

    def _moveCallLaterSooner(self, call):
        super(IOLoopReactor, self)._moveCallLaterSooner(call)
        self._plan(call.getTime() - self.seconds())

    def _plan(self, delay):
        """Call `_run_due` within `delay` seconds."""
        # The loop's clock, not the reactor's: that one is the wall clock, which may be set.
        when = self._io_loop.time() + max(0, delay)
        if self._started and when < self._planned:
            if self._timer is not None:
                self._io_loop.remove_timeout(self._timer)
            self._planned = when
            with NullContext():
                self._timer = self._io_loop.call_at(when, self._run_due)

    def _run_due(self):
        """Run the calls that are due or come from threads, and the shutdown after `stop`."""
        if not self._started:
            return
        if self._timer is not None:
            self._io_loop.remove_timeout(self._timer)
            self._timer = None
        self._planned = _NEVER
        try:
            self.runUntilCurrent()
        finally:
            delay = self.timeout()
            if delay is not None:
                self._plan(delay)

    # Threads

    def installWaker(self):
        """The loop has its waker, so the reactor needs none."""

    def wakeUp(self):
        # From threads and signal handlers.
        self._io_loop.add_callback_from_signal(self._run_due)

    # Running

    def startRunning(self, installSignalHandlers=True):
        if self._runs_with_loop and not self._io_loop.running():
            # It was started by a loop that has been stopped since.
            self._runs_with_loop = False
            super(IOLoopReactor, self).crash()
        super(IOLoopReactor, self).startRunning(installSignalHandlers)
        self.wakeUp()

    def start_with_loop(self):
        """Start as soon as the loop runs, if `run` was not called before."""
        self._io_loop.spawn_callback(self._start_with_loop)

    def _start_with_loop(self):
        if not self._started and not self._iterating:
            self._runs_with_loop = True
            self.startRunning(installSignalHandlers=False)

    def mainLoop(self):
        while self._started:
            self._io_loop.start()
            if self._started and not self._stopped:
                self.stop()

    def doIteration(self, delay):
        self._iterating = True
        try:
            self._io_loop.run_once(delay)
        finally:
            self._iterating = False

    def beforeDaemonize(self):
        """Called by twistd before it forks, to become a daemon."""

    def afterDaemonize(self):
        self._io_loop.after_fork()

    def stop(self):
        super(IOLoopReactor, self).stop()
        self.wakeUp()

    def crash(self):
        super(IOLoopReactor, self).crash()
        if self._io_loop.running():
            self._io_loop.stop()


#: Its name in Tornado.
TornadoReactor = IOLoopReactor


def install(io_loop=None):
    """Make an `IOLoopReactor` on `io_loop`, or on the current loop, Twisted's reactor, and return
    it. It starts with the loop, or by its `run`.

    Raises ReactorAlreadyInstalledError if Twisted has a reactor, which the first import of
    `twisted.internet.reactor` makes.
    """
    reactor = IOLoopReactor(io_loop)
    installReactor(reactor)
    reactor.start_with_loop()
    return reactor


class TwistedIOLoop(ForeignIOLoop):
    """An IOLoop driven by `reactor`, or by Twisted's global one, which this installs if there is
    none. The reactor must be able to watch the fd of an epoll or kqueue: those over select, poll,
    epoll and kqueue can, and so can asyncio's.

    `start` runs the reactor, without Twisted's signal handlers, until `stop`, and may be called
    again. Therefore it ends by `reactor.crash()`, which triggers no "shutdown" events: a program
    that needs them, or the threads of the reactor, calls `reactor.run()` instead of `start`. `stop`
    is then `reactor.stop()`.
    """
    def initialize(self, reactor=None, **kwargs):
        self.reactor = reactor or import_object("twisted.internet.reactor")
        self._reader = None
        super(TwistedIOLoop, self).initialize(**kwargs)

    def _host_watch(self, fd, callback):
        self._reader = _Reader(fd, callback)
        self.reactor.addReader(self._reader)

    def _host_unwatch(self, fd):
        self.reactor.removeReader(self._reader)

    def _host_soon(self, callback):
        return self.reactor.callLater(0, callback)

    def _host_later(self, seconds, callback):
        return self.reactor.callLater(seconds, callback)

    def _host_run(self):
        before = self._take_interrupts()
        try:
            self.reactor.run(installSignalHandlers=False)
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)

    def _host_stop(self):
        if self._in_run:
            self.reactor.crash()
        else:
            try:
                self.reactor.stop()
            except ReactorNotRunning:
                # Something else has stopped it in this turn.
                pass

    def _take_interrupts(self):
        """Have SIGINT raise KeyboardInterrupt from `start`: a reactor logs that exception, and
        continues. Returns the handler to restore, or None if the program has its own."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return None
        try:
            return signal.signal(signal.SIGINT, self._on_interrupt)
        except ValueError:
            # Not the main thread.
            return None

    def _on_interrupt(self, number, frame):
        if self._in_turn:
            # It may have to end a callback.
            raise KeyboardInterrupt
        self._raised = KeyboardInterrupt, KeyboardInterrupt(), None
        self.stop()


@implementer(IReadDescriptor)
class _Reader(object):
    """The fd of a poller, in the form that a reactor needs."""

    def __init__(self, fd, callback):
        self._fd = fd
        self._callback = callback

    def fileno(self):
        return self._fd

    def logPrefix(self):
        return "friendserve"

    def doRead(self):
        try:
            self._callback()
        except BaseException:
            # A reactor logs every exception, and would disconnect this object.
            log.err(None, "in a turn of an IOLoop")

    def connectionLost(self, reason):
        """The reactor has been stopped."""


class TwistedResolver(LookUpResolver):
    """A `Resolver` over twisted.names, which queries name servers itself, without threads.

    `servers`: pairs (address, port), or None for those in the file `resolv`. `timeout`: the seconds
    to wait in each try. Names in the file `hosts_file` are not looked up elsewhere. `close` ends
    all look-ups with an error.
    """
    def initialize(self, io_loop=None, servers=None, resolv="/etc/resolv.conf",
                   hosts_file="/etc/hosts", timeout=(1, 3, 11, 45)):
        super(TwistedResolver, self).initialize(io_loop)
        # Not the global one, if there is one: it may belong to another loop.
        self.reactor = IOLoopReactor(self.io_loop)
        self.reactor._registerAsIOThread = False
        self.reactor.startRunning(installSignalHandlers=False)
        self.resolver = client.Resolver(resolv if servers is None else None, servers, timeout,
                                        self.reactor)
        self._hosts = hosts.Resolver(hosts_file)
        self._pending = set()

    def close(self):
        for call in self.reactor.getDelayedCalls():
            call.cancel()
        self.reactor.disconnectAll()
        self.resolver = None
        pending, self._pending = self._pending, set()
        for deliver in pending:
            deliver(None, socket.gaierror(socket.EAI_FAIL, "this resolver was closed"))

    def _look_up(self, host, port, family, deliver):
        if self.resolver is None:
            deliver(None, socket.gaierror(socket.EAI_FAIL, "this resolver is closed"))
            return
        if not all(0 < len(label) < 64 for label in host.split(".")):
            # twisted.names would send a query that means something else (RFC 1035, section 4.1.4).
            deliver(None, socket.gaierror(socket.EAI_NONAME, "%r cannot be a host name" % host))
            return
        self._pending.add(deliver)
        host = host.encode("ascii")
        # A name in the file is complete with the addresses there, even if those are of one family.
        _ask(self._hosts, host, port, family).addCallback(
            lambda outcome: outcome if outcome[0] else _ask(self.resolver, host, port, family)
        ).addCallback(self._finish, deliver)

    def _finish(self, outcome, deliver):
        if deliver in self._pending:
            self._pending.remove(deliver)
            deliver(*outcome)


def _ask(resolver, host, port, family):
    """A Deferred of (addresses, None), or of (None, error)."""
    queries = []
    if family != socket.AF_INET6:
        queries.append(resolver.lookupAddress(host))
    if family != socket.AF_INET:
        queries.append(resolver.lookupIPV6Address(host))
    return DeferredList(queries, consumeErrors=True).addCallback(_outcome, host, port)


def _outcome(results, host, port):
    addresses, code = [], socket.EAI_NONAME
    for success, value in results:
        if success:
            # Besides the addresses there may be aliases (CNAME).
            for payload in [record.payload for record in value[0]]:
                if payload.TYPE == dns.A:
                    addresses.append((socket.AF_INET, (payload.dottedQuad(), port)))
                elif payload.TYPE == dns.AAAA:
                    addresses.append((socket.AF_INET6, (
                        socket.inet_ntop(socket.AF_INET6, payload.address), port, 0, 0)))
        elif value.check(DNSServerError, DNSQueryRefusedError, TimeoutError):
            code = socket.EAI_AGAIN
        elif not value.check(DNSNameError):
            code = socket.EAI_FAIL
    if addresses:
        return addresses, None
    return None, socket.gaierror(code, "%s: %s" % (host.decode("ascii"), _REASONS[code]))


#: The reasons for having no address.
_REASONS = {
    socket.EAI_NONAME: "the name is not known",
    socket.EAI_AGAIN: "no name server has answered",
    socket.EAI_FAIL: "the name servers cannot be queried",
}
