"""Is a wake-up lost? Threads hand callbacks to a loop that waits, as fast as they can.

    python tests/ioloop/stress.py all 10
    python tests/ioloop/stress.py foreign 10 --poller epoll
    python tests/ioloop/stress.py uvloop 10

Each thread adds callbacks to the loop, one or a few at a time, and waits until they have been
called; then it pauses for a moment of random length, since a wake-up can be lost only at certain
moments of a turn. The loop has nothing else to do: a wake-up that is lost leaves the thread waiting
for `patience` seconds, which is counted, and the command then exits with 1. Half of each run is
that of one thread, because several may make up for a wake-up that another has lost.

A mode is a way to run the loop, a function in `MODES`: by itself, driven by select, or on each
bridge whose host is installed.
"""
from __future__ import absolute_import, division, print_function

import argparse
import collections
import functools
import os
import random
import select
import sys
import threading
import time

import six

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__)))))

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import available_pollers
from friendserve.platform.pollers.clock import monotonic_time
from tests import PATIENCE
from tests.bridges import available_bridges

try:
    from friendserve.platform.twisted import IOLoopReactor
except ImportError:
    IOLoopReactor = None

#: The threads that add callbacks.
THREADS = 4

#: name -> function(poller, started), which runs a loop over that poller in the calling thread. It
#: calls `started(loop, stop)` first, and returns once `stop()` has been called on the loop.
MODES = collections.OrderedDict()

#: How many callbacks were added and called, and how many threads have waited in vain.
Outcome = collections.namedtuple("Outcome", "added called lost")


def mode(name):
    """Enter the decorated function in MODES."""
    def enter(function):
        MODES[name] = function
        return function
    return enter


@mode("thread")
def run_natively(poller, started):
    """The loop runs by itself, and the threads are others."""
    loop = IOLoop(impl=poller, make_current=False)
    started(loop, loop.stop)
    loop.start()
    loop.close()


@mode("foreign")
def run_by_select(poller, started):
    """Another loop waits in select for the fds of the loop, and then calls run_once."""
    loop = IOLoop(impl=poller, make_current=False)
    stopped = []
    started(loop, lambda: stopped.append(True))
    wait = 0
    while not stopped:
        select.select(fds_of(loop), [], [], wait)
        wait = loop.run_once(0)
    loop.close()


def run_on_bridge(loop_class, poller, started):
    """The loop is a bridge, and its host waits."""
    loop = loop_class(impl=poller, make_current=False)
    started(loop, loop.stop)
    loop.start()
    loop.close()


for _name, _class in sorted(available_bridges().items()):
    mode(_name)(functools.partial(run_on_bridge, _class))


def run_reactor(poller, started):
    """A Twisted reactor on the loop; threads wake it by `callFromThread`."""
    loop = IOLoop(impl=poller, make_current=False)
    reactor = IOLoopReactor(loop)
    started(_ReactorAsLoop(reactor), reactor.crash)
    reactor.run(installSignalHandlers=False)
    loop.close()


class _ReactorAsLoop(object):
    """The methods of a loop that the stress calls."""
    def __init__(self, reactor):
        self.add_callback = reactor.callFromThread
        self.call_later = reactor.callLater


if IOLoopReactor is not None:
    mode("twisted_reactor")(run_reactor)


def fds_of(loop):
    """The fds that another loop waits for: that of the poller, or else those that it watches."""
    try:
        return [loop.fileno()]
    except NotImplementedError:
        return list(loop.watched())


def can_be_driven(poller, name):
    """Whether that mode can wait for a loop over this poller."""
    loop = IOLoop(impl=poller, make_current=False)
    try:
        loop.fileno()
    except NotImplementedError:
        return name == "foreign" and hasattr(loop, "watched")
    finally:
        loop.close()
    return True


def is_possible(name, poller):
    return name in ("thread", "twisted_reactor") or can_be_driven(poller, name)


def combinations(names=None, pollers=None):
    """Pairs (mode, poller) that are possible, of these or all."""
    for name in names or MODES:
        for poller in pollers or available_pollers():
            if is_possible(name, poller):
                yield name, poller


class _Stress(object):
    """One run: `start` is called with the loop, and starts the threads that add callbacks."""

    def __init__(self, seconds, patience, count):
        self.seconds = seconds
        self.count_of_threads = count
        self.patience = patience
        self.threads = []
        self.added = self.called = self.lost = 0
        self._lock = threading.Lock()

    def start(self, loop, stop):
        self.loop = loop
        self.stop = stop
        self.until = monotonic_time() + self.seconds
        # So that even a loop that nothing can wake any more comes to an end.
        loop.call_later(self.seconds + 2 * self.patience, stop)
        for number in range(self.count_of_threads):
            self.threads.append(threading.Thread(target=self.add, args=(random.Random(number),)))
        for thread in self.threads:
            thread.start()
        ender = threading.Thread(target=self.end)
        ender.daemon = True
        ender.start()

    def add(self, chance):
        done = threading.Event()
        added = 0
        while monotonic_time() < self.until:
            done.clear()
            for _ in range(chance.choice((0, 0, 0, 1, 5))):
                self.loop.add_callback(self.count)
                added += 1
            self.loop.add_callback(self.count, done)
            added += 1
            if not done.wait(self.patience):
                with self._lock:
                    self.lost += 1
                break
            pause = chance.choice((None, None, 0, 0, 1e-5, 1e-4, 1e-3))
            if pause is not None:
                time.sleep(pause * chance.random())
        with self._lock:
            self.added += added

    def count(self, done=None):
        self.called += 1
        if done is not None:
            done.set()

    def end(self):
        for thread in self.threads:
            thread.join()
        self.loop.add_callback(self.stop)


def stress(name, seconds, poller=None, patience=PATIENCE, threads=THREADS):
    """The Outcome of `seconds` in the mode of that name, over a poller (by default the best)."""
    run = _Stress(seconds, patience, threads)
    # Threads take turns in the middle of a turn of the loop, too.
    if six.PY2:  # version: py2
        before, set_interval, often = sys.getcheckinterval(), sys.setcheckinterval, 1
    else:
        before, set_interval, often = sys.getswitchinterval(), sys.setswitchinterval, 1e-5
    set_interval(often)
    try:
        MODES[name](poller, run.start)
    finally:
        set_interval(before)
    return Outcome(run.added, run.called, run.lost)


def main():
    parser = argparse.ArgumentParser(
        description="Wake a loop by other threads, and look for wake-ups that are lost.")
    parser.add_argument("mode", help="one of %s, or all" % ", ".join(MODES))
    parser.add_argument("seconds", type=float, help="the length of each run")
    parser.add_argument("--poller", help="the poller of the loop (default: each of this system)")
    options = parser.parse_args()
    if options.mode not in MODES and options.mode != "all":
        parser.error("the modes are %s and all" % ", ".join(MODES))
    lost = 0
    for name, poller in combinations([options.mode] if options.mode != "all" else None,
                                     [options.poller] if options.poller else None):
        for threads in (1, THREADS):
            outcome = stress(name, options.seconds / 2, poller, threads=threads)
            lost += outcome.lost + (outcome.added != outcome.called)
            print("%-15s %-7s threads: %d, callbacks added: %7d, called: %7d, lost: %d"
                  % ((name, poller, threads) + outcome))
            sys.stdout.flush()
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
