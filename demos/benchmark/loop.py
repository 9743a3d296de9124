"""The cost of the event loop alone: chained callbacks and timers, friendserve against asyncio.

All loops run in this one process, in alternating rounds. On Python 2.7 there is only friendserve.
"""
from __future__ import absolute_import, division, print_function

import argparse
import collections
import random
import sys
from timeit import default_timer as clock

import machine
import peers
import report

try:
    import asyncio
except ImportError:  # version: py2
    asyncio = None
try:
    import uvloop
except ImportError:
    uvloop = None

if peers.CHECKOUT not in sys.path:
    sys.path.insert(1, peers.CHECKOUT)
try:
    from friendserve.ioloop import IOLoop
except ImportError as error:
    IOLoop = None
    report.progress("absent: friendserve (%s)" % error)

LIVE_TIMERS = 1000
FAR_SECONDS = 1000
SPREAD_SECONDS = 0.002

# The operations of any loop, as bound methods, so that the calls are direct.
Loop = collections.namedtuple("Loop", "soon later at cancel time run stop close")


def friendserve_loop():
    loop = IOLoop()
    return Loop(loop.add_callback, loop.call_later, loop.call_at, loop.remove_timeout, loop.time,
                loop.start, loop.stop, loop.close)


def _like_asyncio(loop):
    timer = loop.call_later(FAR_SECONDS, loop.stop)
    cancel = type(timer).cancel
    cancel(timer)
    return Loop(loop.call_soon, loop.call_later, loop.call_at, cancel, loop.time,
                loop.run_forever, loop.stop, loop.close)


def asyncio_loop():
    return _like_asyncio(asyncio.new_event_loop())


def uvloop_loop():
    return _like_asyncio(uvloop.new_event_loop())


LOOPS = [(name, make) for name, make, present in [
    ("friendserve", friendserve_loop, IOLoop), ("asyncio", asyncio_loop, asyncio),
    ("uvloop", uvloop_loop, uvloop)] if present is not None]


def chained_callbacks(loop, count):
    """Callbacks a second when each schedules the next."""
    left = [count]

    def step():
        left[0] -= 1
        if left[0]:
            loop.soon(step)
        else:
            loop.stop()

    loop.soon(step)
    started = clock()
    loop.run()
    return count / (clock() - started)


def timers_cancelled(loop, count):
    """Microseconds to add and cancel a timer, 1,000 in each turn of the loop, among 1,000 others.

    Several turns are measured, to include work that a loop puts off until a later turn.
    """
    live = [loop.later(FAR_SECONDS, loop.stop) for _ in range(LIVE_TIMERS)]
    turns = [max(1, count // 1000)]
    done = turns[0] * 1000

    def turn():
        for _ in range(1000):
            loop.cancel(loop.later(FAR_SECONDS, turn))
        turns[0] -= 1
        if turns[0]:
            loop.soon(turn)
        else:
            loop.stop()

    loop.soon(turn)
    started = clock()
    loop.run()
    spent = clock() - started
    for timer in live:
        loop.cancel(timer)
    return spent * 1e6 / done


def timers_fired(loop, count):
    """Add timers in random order, due within 2 ms: (microseconds for one, in order?)."""
    fired = []
    numbers = list(range(count))
    random.Random(2009).shuffle(numbers)

    def fire(number):
        fired.append(number)
        if len(fired) == count:
            loop.stop()

    started = clock()
    first = loop.time()
    for number in numbers:
        loop.at(first + number * SPREAD_SECONDS / count, fire, number)
    loop.run()
    return (clock() - started) * 1e6 / count, fired == sorted(fired)


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200000, help="callbacks or timers per round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    report.add_options(parser)
    return parser.parse_args(arguments)


def measure_round(make, count):
    """(callbacks a second, us a timer cancelled, us a timer fired, in order?)."""
    loop = make()
    try:
        return ((chained_callbacks(loop, count), timers_cancelled(loop, count))
                + timers_fired(loop, count // 10))
    finally:
        loop.close()


def run(options):
    if not LOOPS:
        raise machine.BenchmarkError("no event loop is installed")
    machine.pin_self(machine.two_cores()[0])
    results = dict((name, []) for name, _ in LOOPS)
    for _ in range(options.rounds):
        for name, make in LOOPS:
            results[name].append(measure_round(make, options.count))
    rows, bars = [], []
    base = report.median([figures[0] for figures in results.get(report.BASE, [])] or [0])
    for name, _ in LOOPS:
        chained, cancelled, fired, in_order = zip(*results[name])
        bars.append((name, [report.median(chained)]))
        rows.append([name, report.figure(report.median(chained)),
                     report.ratio(report.median(chained), base),
                     report.figure(report.median(cancelled)), report.figure(report.median(fired)),
                     "yes" if all(in_order) else "no"])
    print("%s; %d rounds in one process on one core" % (machine.description(), options.rounds))
    print(report.table(["event loop", "callbacks/s", "ratio", "us a timer added and cancelled",
                        "us a timer fired", "in order"], rows))
    report.save(options, u"Chained callbacks", u"Callbacks a second on one core; more is better",
                [u"callbacks a second"], bars, {})


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("loop.py: %s" % error)
