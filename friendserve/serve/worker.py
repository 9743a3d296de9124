"""A worker: it loads the application, says that it is ready, serves, drains when told to, and ends.

It talks with the master over a pair of sockets. End of file means that the master has died, and
then the worker drains too. To the master it says "READY"; when it has done its part, "RECYCLE" with
the reason, so that the master starts its successor before this one drains; and "DRAINS", as the
master may not be the one that sent TERM.

Signals: TERM drains, QUIT ends at once, USR1 reopens the logs, USR2 writes the stacks of all
threads to stderr. Those that a terminal sends to all processes, and that are the master's business,
are ignored.
"""
from __future__ import absolute_import, division, print_function

import errno
import functools
import os
import random
import signal
import sys
import time
import traceback

from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.log import app_log
from friendserve.serve.pages import Observer
from friendserve.serve.scoreboard import DRAINING, PLACES, READY

try:
    import faulthandler
except ImportError:  # version: py2
    faulthandler = None

try:
    import pwd
except ImportError:
    # Windows, which has no such users.
    pwd = None

#: What a worker sends to the master, and what the master sends to a worker that it stops for good.
SAYS_READY, SAYS_RECYCLE, SAYS_DRAINS, SAYS_STOP = b"READY", b"RECYCLE", b"DRAINS", b"STOP"

#: The exit status of a worker that could not load the application.
CANNOT_LOAD = 3

#: The fraction by which workers' limits differ, so that they do not reach them together.
JITTER = 0.1

#: Milliseconds between beats and checks of the limits.
_TICK = 1000

_IGNORED = ("SIGINT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGWINCH")


def block_signals(how="SIG_BLOCK"):
    """Block the signals that a worker ignores or has handlers for, from before the fork until they
    are set: they may be sent to all processes of the service, and would end it. Python 2 cannot."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(getattr(signal, how), [
            getattr(signal, name) for name in _IGNORED + ("SIGUSR2",)])


def run_worker(settings, make_server, sockets, place, channel, reopen=None, rivals=()):
    """Serve, and return the exit status. Called in the new process, which has no loop yet.

    `make_server(settings)` returns an HTTPServer that does not listen yet, on the current loop.
    `sockets` are the listening sockets, `place` is the worker's in the scoreboard, `channel` its
    end of the pair of sockets. `rivals` are the places of workers that share the sockets, and this
    one's.
    """
    _prepare(settings)
    place.start()
    observer = Observer(settings, place)
    with IOLoop(make_current=True) as loop:
        loop.install()
        worker = _Worker(settings, place, channel, loop, reopen, observer)
        try:
            server = make_server(settings)
        except (SystemExit, Exception) as error:
            log_load_error(error)
            return CANNOT_LOAD
        observer.start(server, loop)
        if len(rivals) > PLACES:
            server.share_sockets(functools.partial(_may_accept, server, place, rivals))
        worker.serve(server, sockets)
        loop.start()
        observer.sample()
        server.stop()
    return 0


def log_load_error(error):
    """Log why the application could not be loaded; called in an except clause."""
    app_log.error("The application could not be loaded: %s", error,
                  exc_info=not getattr(error, "is_explained", False))


def _prepare(settings):
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, lambda *args: os._exit(0))
    if faulthandler is not None:
        faulthandler.register(signal.SIGUSR2, file=sys.__stderr__, all_threads=True)
    else:  # version: py2
        signal.signal(signal.SIGUSR2, lambda number, frame: traceback.print_stack(frame))
    block_signals("SIG_UNBLOCK")
    drop_privileges(settings.user, settings.group)


def drop_privileges(user, group):
    """Become `user`, with its groups, and `group` (ids, or None). Only root can; for others,
    nothing changes."""
    if not hasattr(os, "getuid") or os.getuid():
        return
    if user is not None:
        entry = pwd.getpwuid(user)
        group = entry.pw_gid if group is None else group
        os.initgroups(entry.pw_name, group)
    elif group is not None:
        os.setgroups([group])
    if group is not None:
        os.setgid(group)
    if user is not None:
        os.setuid(user)


def _may_accept(server, place, rivals):
    """Whether this worker has at most its share of the connections, and a few more."""
    own = place.connections = server.connection_count(detached=True)
    counts = [rival.connections for rival in rivals if rival.state == READY]
    return own * len(counts) <= 1.1 * sum(counts) + 2 * len(counts)


class _Worker(object):
    def __init__(self, settings, place, channel, loop, reopen, observer):
        self._observer = observer
        self._settings = settings
        self._place = place
        self._channel = channel
        self._loop = loop
        self._server, self._sockets = None, ()
        self._requests_left = self._limit(settings.max_requests)
        self._max_memory = self._limit(settings.max_memory)
        self._max_age = self._limit(settings.max_age)
        self._ticks = PeriodicCallback(self._tick, _TICK, loop)
        self._asked = False     # whether a successor was asked for
        self._draining = False
        channel.setblocking(False)
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        if reopen is not None:
            loop.add_signal_handler(signal.SIGUSR1, reopen)

    @staticmethod
    def _limit(value):
        return value * (1 + JITTER * random.random()) if value else None

    def serve(self, server, sockets):
        self._server, self._sockets = server, sockets
        if self._requests_left is not None:
            self._handle_request = server.handle_request
            server.handle_request = self._count_request
        server.add_sockets(sockets)
        self._place.beat()
        self._place.state = READY
        self._ticks.start()
        self._loop.add_handler(self._channel, self._on_channel, IOLoop.READ)
        self._say(SAYS_READY)

    def _say(self, *words):
        try:
            self._channel.send(b" ".join(words) + b"\n")
        except EnvironmentError:
            pass    # The master has died, which the loop will notice.

    def _count_request(self, request):
        self._requests_left -= 1
        if self._requests_left <= 0:
            self._ask("requests")
        return self._handle_request(request)

    def _tick(self):
        self._place.beat()
        self._place.connections = self._server.connection_count(detached=True)
        self._observer.sample()
        if self._max_memory and _memory() > self._max_memory:
            self._ask("memory")
        if self._max_age and time.time() - self._place.started > self._max_age:
            self._ask("age")

    def _ask(self, reason):
        if not self._asked:
            self._asked = True
            self._say(SAYS_RECYCLE, reason.encode("ascii"))

    def _read_channel(self):
        """What the master has said; None if it has died."""
        try:
            return self._channel.recv(100) or None
        except EnvironmentError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
                return b""
            return None

    def _on_channel(self, channel, events):
        said = self._read_channel()
        if said is None:
            app_log.error("The master has died: worker %d drains", os.getpid())
            self._begin_drain(False)
        elif SAYS_STOP in said:
            self._begin_drain(False)

    def _drain(self):
        said = self._read_channel()
        self._begin_drain(said is not None and SAYS_STOP not in said)

    def _begin_drain(self, has_successor):
        if self._draining:
            return
        self._draining = True
        self._loop.remove_handler(self._channel)
        self._place.state = DRAINING
        self._say(SAYS_DRAINS)
        self._server.drain(self._loop.stop, idle=self._settings.drain_idle,
                           grace=self._settings.graceful_timeout, has_successor=has_successor)
        # The master has them too. If it closes them, the port is free while this worker drains.
        for sock in self._sockets:
            sock.close()


def _memory():
    """The resident memory of this process in bytes; 0 where /proc does not tell."""
    try:
        with open("/proc/self/statm") as source:
            return int(source.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except EnvironmentError:
        return 0
