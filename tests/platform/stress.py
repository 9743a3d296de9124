"""Wake-ups from threads, under stress. For ten seconds on a loop that another one drives:

    python -m tests.platform.stress uvloop 10

The others are asyncio, twisted_epoll, twisted_poll and twisted_select; twisted_reactor is a reactor
on a loop, which threads wake by ``callFromThread``.
"""
from __future__ import absolute_import, division, print_function

import importlib
import random
import sys
import threading

from tests import PATIENCE
from tests.bridges import LOOPS


def wake_ups(loop, seconds, threads):
    """Run `loop` for this time while threads queue callbacks, each when its last one has been
    called, so that the loop is often just about to wait. Returns how many were called, and how
    many were not within PATIENCE seconds. Nothing else wakes the loop; with several threads one
    may make up for a wake-up that another has lost."""
    end = loop.time() + seconds
    called = [0] * threads
    lost = []

    def work(number):
        arrived = threading.Event()

        def arrive():
            called[number] += 1
            arrived.set()
            # The next callback meets the turn at another place.
            for _ in range(random.randrange(200)):
                pass
        while loop.time() < end and not lost:
            arrived.clear()
            loop.add_callback(arrive)
            if not arrived.wait(PATIENCE):
                lost.append(number)
        running.discard(number)
        if not running:
            loop.add_callback(loop.stop)
    running = set(range(threads))
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.daemon = True
        loop.add_callback(worker.start)
    loop.call_later(seconds + PATIENCE + 1, loop.stop)
    loop.start()
    return sum(called), len(lost)


def make_twisted_reactor():
    return importlib.import_module("tests.platform.reactor_loop").ReactorLoop


#: name -> a function that returns the class.
NAMES = dict(LOOPS, twisted_reactor=make_twisted_reactor)


def main(name, seconds):
    failed = False
    # Threads change often, also between the last look at the queue and the wait.
    sys.setswitchinterval(1e-6)
    for threads in (1, 4):
        loop = NAMES[name]()()
        count, lost = wake_ups(loop, float(seconds) / 2, threads)
        loop.close()
        print("%s: %d wake-ups from %d threads, %d lost" % (name, count, threads, lost))
        failed = failed or lost
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
