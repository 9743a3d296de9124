"""Looking up host names without blocking the loop.

    from friendserve.ioloop import IOLoop
    from friendserve.netutil import Resolver

    def found(addresses):
        print(addresses)        # [(socket.AF_INET, ("127.0.0.1", 80))]
        IOLoop.current().stop()

    Resolver().resolve("localhost", 80, callback=found)
    IOLoop.current().start()

The standard library blocks until the answer arrives, which may take seconds. So `ThreadedResolver`,
the default, looks up names in threads; `BlockingResolver` does so synchronously.
"""
from __future__ import absolute_import, division, print_function

import collections
import errno
import functools
import os
import re
import socket
import sys
import threading
from timeit import default_timer

import six

from friendserve.awaitable import future_of
from friendserve.ioloop import IOLoop
from friendserve.netutil.endpoints import environment_error, host_name, port_number
from friendserve.stack_context import NullContext, wrap
from friendserve.util import Configurable

#: A look-up that takes more seconds than this hangs: usually a name server does not answer. Its
#: thread is replaced, so that other look-ups need not wait for it.
HANGS_AFTER = 1.0

#: The most threads that look up names and hang, for each one of `num_threads`.
MOST_HANGING = 9

_FAMILIES = (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6)

#: Matches addresses that need no look-up: only digits and dots, or with a colon.
_is_literal = re.compile(r"[0-9.]+\Z|[^:]*:").match


class Resolver(Configurable):
    """The interface of everything that looks up host names.

    `Resolver()` makes a `ThreadedResolver`, or the class chosen by `Resolver.configure`, on
    `io_loop` or the current loop.
    """

    @classmethod
    def configurable_base(cls):
        return Resolver

    @classmethod
    def configurable_default(cls):
        return ThreadedResolver

    def initialize(self, io_loop=None):
        self.io_loop = io_loop or IOLoop.current()

    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        """Call `callback(addresses)` with a list of (family, address), best first, each suitable
        for ``socket.connect``.

        If there is none, `on_error(error)` is called with an EnvironmentError (usually a
        socket.gaierror); without `on_error`, the error is raised from the loop, in the context of
        this call. Exactly one of them is called, once, after this has returned. Without both,
        this returns a Future of the addresses. Raises ValueError for an invalid host name, port
        (a number from 0 to 65535, or None for 0) or family.
        """
        raise NotImplementedError("%s must define resolve" % type(self).__name__)

    def close(self):
        """Release the resources of the resolver; calls after this may fail."""

    def _deliver(self, callback, on_error):
        """A function (addresses, error) that has the loop call one of the two. It may be called in
        any thread."""
        for function in (callback, on_error):
            if function is not None and not callable(function):
                raise TypeError("a callback must be a callable or None, not %r" % (function,))
        return functools.partial(
            self.io_loop.spawn_callback, wrap(functools.partial(_tell, callback, on_error)))


def _tell(callback, on_error, addresses, error):
    if error is None:
        if callback is not None:
            callback(addresses)
    elif on_error is not None:
        on_error(error)
    else:
        raise error


def _look_up(host, port, family, flags=0):
    """The list that `Resolver.resolve` delivers. Blocks."""
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)
    except UnicodeError as error:
        # A label of more than 63 characters: getaddrinfo encodes the name with the idna codec.
        raise socket.gaierror(socket.EAI_NONAME, "%r cannot be a host name: %s" % (host, error))
    addresses = []
    for af, _, _, _, address in found:
        if (af, address) not in addresses:
            addresses.append((af, address))
    return addresses


def _outcome(host, port, family, flags=0):
    """(addresses, None) from `_look_up`, or (None, an EnvironmentError)."""
    try:
        return _look_up(host, port, family, flags), None
    except Exception as error:
        return None, _detached(error)


def _detached(error):
    """`error` as an EnvironmentError without its traceback, whose frames refer back to it, which
    would be a reference cycle."""
    error = environment_error(error)
    if hasattr(error, "__traceback__"):
        error.__traceback__ = None
    return error


class LookUpResolver(Resolver):
    """Base of resolvers that define ``_look_up(host, port, family, deliver)``. It is not called for
    IP addresses, so that they never wait for a look-up."""

    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        if callback is None and on_error is None:
            return future_of(self.resolve, host, port, family)
        host = host_name(host)
        if type(port) is not int or not 0 <= port <= 65535:
            port = 0 if port is None else port_number(port)
        if family not in _FAMILIES:
            raise ValueError("names have addresses of the families AF_INET and AF_INET6, not %r"
                             % (family,))
        deliver = self._deliver(callback, on_error)
        if _is_literal(host):
            deliver(*_outcome(host, port, family, socket.AI_NUMERICHOST))
        else:
            self._look_up(host, port, family, deliver)


class ExecutorResolver(LookUpResolver):
    """Looks up names on an executor of concurrent.futures, which `close` shuts down if
    `close_executor`; without an `executor`, synchronously."""

    def initialize(self, io_loop=None, executor=None, close_executor=True):
        super(ExecutorResolver, self).initialize(io_loop)
        self.executor = executor
        self.close_executor = close_executor and executor is not None

    def _look_up(self, host, port, family, deliver):
        if self.executor is None:
            deliver(*_outcome(host, port, family))
            return
        try:
            future = self.executor.submit(_outcome, host, port, family)
        except Exception as error:
            # It was shut down, or the system allows no more threads.
            deliver(None, _detached(error))
        else:
            future.add_done_callback(lambda done: deliver(*_result(done)))

    def close(self):
        executor, self.executor = self.executor, None
        if executor is not None and self.close_executor:
            # Do not wait: a look-up may take half a minute.
            executor.shutdown(wait=False)


def _result(done):
    """The outcome in a future, which its executor may have cancelled."""
    try:
        return done.result()
    except Exception as error:
        return None, _detached(error)


class BlockingResolver(ExecutorResolver):
    """Looks up names synchronously, which blocks the loop. For programs that connect to a few hosts
    when they start."""
    def initialize(self, io_loop=None):
        super(BlockingResolver, self).initialize(io_loop)


class ThreadedResolver(ExecutorResolver):
    """Looks up names in at most `num_threads` threads, which are shared by all resolvers made with
    the same number. They end with the process, which does not wait for them.

    Threads whose look-up has taken more than a second do not count: others are started for the
    look-ups that wait, up to ten times `num_threads` in all.
    """
    _pools = {}

    def initialize(self, io_loop=None, num_threads=10):
        super(ThreadedResolver, self).initialize(io_loop)
        self.num_threads = num_threads
        self._timer = None      # while a look-up waits for a thread
        self._pool = None       # those threads, from the first look-up on

    def _threads(self):
        """The threads of this process: a child made by a fork has none of its parent's."""
        process = os.getpid()
        if self._pool is None or self._pool.process != process:
            pool = self._pools.get(self.num_threads)
            if pool is None or pool.process != process:
                pool = self._pools[self.num_threads] = _Threads(self.num_threads, process)
            self._pool = pool
            # One that was set in the parent was for the parent's threads.
            self._timer = None
        return self._pool

    def _look_up(self, host, port, family, deliver):
        try:
            has_thread = self._threads().run(
                functools.partial(_look_up_and_tell, host, port, family, deliver))
        except Exception as error:
            deliver(None, socket.error(errno.EAGAIN, "no thread could be started to look up %s: %s"
                                       % (host, error)))
        else:
            if not has_thread and self._timer is None:
                self._plan_relief()

    def _plan_relief(self):
        with NullContext():
            self._timer = self.io_loop.call_later(HANGS_AFTER, self._relieve)

    def _relieve(self):
        self._timer = None
        if not self._threads().relieve():
            self._plan_relief()


class DefaultExecutorResolver(LookUpResolver):
    """Looks up names on the executor of the loop (`IOLoop.set_default_executor`)."""

    def _look_up(self, host, port, family, deliver):
        def fail(error):
            # The executor was shut down, or the system allows no more threads.
            deliver(None, _detached(error))

        try:
            self.io_loop.run_in_executor(None, _outcome, host, port, family, on_error=fail,
                                         callback=lambda outcome: deliver(*outcome))
        except Exception as error:
            fail(error)


def _look_up_and_tell(host, port, family, deliver):
    deliver(*_outcome(host, port, family))


class _Threads(object):
    """Daemon threads that are started as needed and then wait for work. They exist in the process
    that made this only.

    Not a pool of concurrent.futures: that would wait for a look-up when the process ends, which may
    take half a minute; and Python 2.7 has none.
    """
    def __init__(self, most, process):
        self.process = process
        self._most = most                           # threads that do not hang
        self._work = collections.deque()
        self._idle = 0                              # threads that wait for work
        self._busy = {}                             # a key for each other thread -> since when
        self._changed = threading.Condition()       # guards all of these

    def run(self, function):
        """Have a thread call `function()`; whether there is one now. If not, `relieve` should be
        called from time to time."""
        with self._changed:
            self._work.append(function)
            return self._find_threads()

    def relieve(self):
        """Start threads in place of those that hang, if work is waiting; whether none is waiting
        any more."""
        with self._changed:
            return self._find_threads()

    def _find_threads(self):
        while len(self._work) > self._idle and self._has_room() \
                and self._idle + len(self._busy) < self._most * (1 + MOST_HANGING):
            key, function = object(), self._work.popleft()
            # In a list, to be taken out: a thread keeps its arguments until it ends.
            thread = threading.Thread(target=self._serve, args=(key, [function]),
                                      name="friendserve resolver")
            thread.daemon = True
            self._busy[key] = default_timer()
            try:
                thread.start()
            except Exception:
                # The system allows no more threads.
                del self._busy[key]
                if not self._busy and not self._idle:
                    raise
                self._work.appendleft(function)
                break
        self._changed.notify(len(self._work))
        return len(self._work) <= self._idle

    def _has_room(self):
        """Whether there may be one more thread that does not hang."""
        now = default_timer()
        return self._most > self._idle + sum(
            now - since < HANGS_AFTER for since in self._busy.values())

    def _serve(self, key, first):
        function = first.pop()
        while function is not None:
            try:
                function()
            except Exception:
                # Perhaps the loop was closed in the meantime. This thread must continue.
                sys.excepthook(*sys.exc_info())
            # Not kept in memory while there is no work.
            function = None
            with self._changed:
                del self._busy[key]
                if self._has_room():
                    self._idle += 1
                    while not self._work:
                        self._changed.wait()
                    self._idle -= 1
                    self._busy[key] = default_timer()
                    function = self._work.popleft()
                # Else this thread hung and was replaced.


class OverrideResolver(Resolver):
    """Replaces some hosts with others before it calls `resolver`; mostly for tests.

    The keys of `mapping` are a host, (host, port) or (host, port, family), and its values the host
    or (host, port) to look up instead. The most specific key applies.
    """
    def initialize(self, resolver, mapping):
        super(OverrideResolver, self).initialize(resolver.io_loop)
        self.resolver = resolver
        self.mapping = mapping

    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        if callback is None and on_error is None:
            return future_of(self.resolve, host, port, family)
        for key in ((host, port, family), (host, port), host):
            if key in self.mapping:
                place = self.mapping[key]
                host, port = (place, port) if isinstance(place, six.string_types) else place
                break
        self.resolver.resolve(host, port, family, callback=callback, on_error=on_error)

    def close(self):
        self.resolver.close()


class CachedResolver(Resolver):
    """Caches the answers of `resolver`, for `ttl` seconds and at most `max_entries` hosts.

    Errors are not cached. The standard library does not report how long an address is valid, so
    choose a short `ttl`.
    """
    def initialize(self, resolver, ttl=30, max_entries=1000):
        super(CachedResolver, self).initialize(resolver.io_loop)
        self.resolver = resolver
        self.ttl = ttl
        self.max_entries = max_entries
        self._entries = collections.OrderedDict()   # key -> (valid until, addresses), by age

    def __len__(self):
        return len(self._entries)

    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        if callback is None and on_error is None:
            return future_of(self.resolve, host, port, family)
        key = host, port, family
        until, addresses = self._entries.get(key, (None, None))
        if addresses is not None and self.io_loop.time() < until:
            self._deliver(callback, on_error)(list(addresses), None)
            return

        callback = wrap(callback)

        def remember(addresses):
            self._entries.pop(key, None)
            while len(self._entries) >= self.max_entries:
                self._entries.popitem(last=False)
            self._entries[key] = self.io_loop.time() + self.ttl, tuple(addresses)
            if callback is not None:
                callback(addresses)

        self.resolver.resolve(host, port, family, callback=remember, on_error=on_error)

    def close(self):
        self._entries.clear()
        self.resolver.close()


_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

_IPV4 = re.compile(r"(?:%s\.){3}%s\Z" % (_BYTE, _BYTE))

_IPV6_CHARACTERS = re.compile(r"[0-9A-Fa-f:.]{2,45}\Z")


def is_valid_ip(ip):
    """Whether `ip` is an IP address and nothing else. Never uses the network.

    An IPv4 address is four decimal numbers without leading zeros (RFC 6943 3.1.1 explains the
    dangers of other notations); an IPv6 address is as in RFC 4291 2.2, without brackets and
    without a zone. False for anything but a str (or, on Python 2, unicode).
    """
    if not isinstance(ip, six.string_types):
        return False
    if _IPV4.match(ip):
        return True
    if ":" not in ip or not _IPV6_CHARACTERS.match(ip):
        return False
    try:
        # Not inet_pton, which Python 2 lacks on Windows. With this flag, nothing is looked up.
        socket.getaddrinfo(ip, 0, socket.AF_INET6, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return False
    return True
