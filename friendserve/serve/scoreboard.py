"""What the processes of a service know about each other, in memory that they share.

The master makes one Scoreboard before it starts workers, and each worker writes to a place in it:

    board = Scoreboard(slots=4)             # in the master, before the fork
    place = board.begin(slot=0, generation=1)
    if os.fork() == 0:                      # in the worker
        place.start()
        place.state = READY
        place.beat()                        # from each turn of the loop
    ...
    board.end(place)                        # in the master, when the worker has been waited for

The memory is one anonymous map: no file to clean up, nothing that a read-only file system could
refuse. There are no locks. Each place has one writer, the worker; the master writes only before the
worker starts and after it has ended. Every process may read all places; a number is read and
written as a whole, but two numbers may be from different moments.

A slot has several places, because a worker that drains still counts while its successor serves. The
counters in a place remain when its worker ends, and the slot's next worker in that place adds to
them: so a slot's counters, summed over its places, only increase.
"""
from __future__ import absolute_import, division, print_function

import ctypes
import json
import mmap
import os
import time

from friendserve.log import gen_log
from friendserve.platform.pollers.clock import monotonic_time

#: The states of a place. FREE: it has no worker. STARTING: the worker loads the application.
#: DRAINING: it finishes what it has begun.
FREE, STARTING, READY, DRAINING = range(4)
STATES = ("free", "starting", "ready", "draining")

#: How many workers of one slot may exist at a time: one that serves or starts, others that drain.
PLACES = 4

#: How many numbers the counters of one worker may need, and the bytes for their declarations.
MAX_NUMBERS = 4096
MAX_TEXT = 128 * 1024

#: The bytes of a report, and the seconds for which a worker makes reports after a request for them.
MAX_REPORT = 64 * 1024
REPORT_TIME = 10.0

#: The numbers before those of the counters.
_FIELDS = ("pid", "state", "generation", "started", "turns", "beaten", "connections",
           "used_numbers", "used_text", "wanted", "report_bytes")
_HEAD = 16
_PLACE_BYTES = 8 * (_HEAD + MAX_NUMBERS) + MAX_TEXT + MAX_REPORT


class Scoreboard(object):
    """Places for the workers of `slots` slots, which are numbered from 0. Make it before the fork.

    Unused memory costs nothing: the system provides a page when it is first written to.
    """
    def __init__(self, slots):
        if slots < 1:
            raise ValueError("a scoreboard needs at least one slot, not %r" % (slots,))
        self.slots = slots
        self._map = mmap.mmap(-1, slots * PLACES * _PLACE_BYTES)
        self._places = [[Place(self, self._map, slot, (slot * PLACES + number) * _PLACE_BYTES)
                         for number in range(PLACES)] for slot in range(slots)]

    def begin(self, slot, generation):
        """Take a free place for the next worker of a slot; called in the master before the fork.
        Raises RuntimeError if all places of the slot have workers."""
        for place in self._places[slot]:
            if place.state == FREE:
                place.begin(generation)
                return place
        raise RuntimeError("slot %d already has %d workers: wait until one has ended"
                           % (slot, PLACES))

    def end(self, place):
        """Free the place of a worker that has ended; called in the master. Its counters remain,
        its gauges become 0."""
        place.end()

    def places(self, slot=None):
        """All places, or those of one slot, as a list; those without a worker too, because their
        counters count."""
        if slot is not None:
            return list(self._places[slot])
        return [place for places in self._places for place in places]

    def ask_for_reports(self):
        """Have the workers report for the next seconds; see `Place.report`."""
        for place in self.workers():
            place.wanted = monotonic_time()

    def workers(self):
        """The places that have a worker, by slot and generation."""
        return sorted((place for place in self.places() if place.state != FREE),
                      key=lambda place: (place.slot, place.generation))


def _field(name, kind, doc):
    index = _FIELDS.index(name)

    def get(self):
        return kind(self._head[index])

    def put(self, value):
        self._head[index] = value

    return property(get, put, doc=doc)


class Place(object):
    """One worker's part of a scoreboard.

    `board` is the whole, `slot` the number of its slot. `numbers` are the values of the counters,
    which `declare` assigns; it is the storage of a `friendserve.metrics.Registry`.
    """
    def __init__(self, board, shared, slot, offset):
        self.board = board
        self.slot = slot
        self._map = shared
        self._head = (ctypes.c_double * _HEAD).from_buffer(shared, offset)
        self.numbers = (ctypes.c_double * MAX_NUMBERS).from_buffer(shared, offset + 8 * _HEAD)
        self._text = offset + 8 * (_HEAD + MAX_NUMBERS)
        self._known = None      # declared line -> index; only in the worker
        self._is_full = False

    pid = _field("pid", int, "The worker's process; 0 until `start`.")
    state = _field("state", int, "FREE, STARTING, READY or DRAINING.")
    generation = _field("generation", int, "How many workers the service had started before it.")
    started = _field("started", float, "When it started, in seconds since 1970.")
    turns = _field("turns", int, "How many times `beat` was called.")
    beaten = _field("beaten", float, "When the loop last turned, on the monotonic clock, which all "
                                     "processes of a machine share.")
    connections = _field("connections", int, "How many connections the worker has open.")
    _used_numbers = _field("used_numbers", int, "")
    _used_text = _field("used_text", int, "")
    _report_bytes = _field("report_bytes", int, "")
    wanted = _field("wanted", float, "When an operator last asked for a report.")

    def begin(self, generation):
        """Prepare for a worker; see `Scoreboard.begin`."""
        self.pid = self.turns = self.connections = self._report_bytes = self.wanted = 0
        self.generation = generation
        self.started = time.time()
        self.beaten = monotonic_time()
        self.state = STARTING

    def start(self, pid=None):
        """Called in the worker, or by the master that knows its `pid`."""
        self.pid = os.getpid() if pid is None else pid

    def beat(self):
        """Say that the loop turns."""
        head = self._head
        head[_TURNS] += 1
        head[_BEATEN] = monotonic_time()

    def end(self):
        """See `Scoreboard.end`."""
        for entry, index, count in self.entries():
            if entry[0] == "gauge":
                self.numbers[index] = 0.0
        self.connections = self.pid = self._report_bytes = 0
        self.state = FREE

    # The storage of a registry

    def declare(self, entry, count):
        """The index of the first of `count` numbers for `entry`, a list of JSON values whose first
        is its kind. If it was declared before, even by an earlier worker, it keeps its numbers.
        Returns None if there is no room left."""
        if self._known is None:
            self._known = dict((_to_line(known_count, known), index)
                               for known, index, known_count in self.entries())
        line = _to_line(count, entry)
        if line in self._known:
            return self._known[line]
        index, begin = self._used_numbers, self._used_text
        if index + count > MAX_NUMBERS or begin + len(line) > MAX_TEXT:
            if not self._is_full:
                self._is_full = True
                gen_log.error("There is no room for %s in the shared memory, which has %d numbers "
                              "for each worker: it and those that follow are not reported",
                              entry[1:2], MAX_NUMBERS)
            return None
        # Readers see it once the size of the text changes, so that comes last.
        self._map[self._text + begin:self._text + begin + len(line)] = line
        self._used_numbers = index + count
        self._used_text = begin + len(line)
        self._known[line] = index
        return index

    def entries(self):
        """What was declared: a list of (entry, index of its first number, their count)."""
        found, index = [], 0
        for line in self._map[self._text:self._text + self._used_text].splitlines():
            count, entry = json.loads(line.decode("ascii"))
            found.append((entry, index, count))
            index += count
        return found

    # What operators see

    def is_wanted(self):
        """Whether an operator asked for a report in the last seconds."""
        return monotonic_time() - self.wanted < REPORT_TIME

    def report(self, rows):
        """Show operators a list of JSON values; those at its end are left out if they do not
        fit."""
        text = json.dumps(rows).encode("ascii")
        while len(text) > MAX_REPORT:
            rows = rows[:len(rows) // 2]
            text = json.dumps(rows).encode("ascii")
        begin = self._text + MAX_TEXT
        self._report_bytes = 0
        self._map[begin:begin + len(text)] = text
        self._report_bytes = len(text)

    def read_report(self):
        """The last report, [] if there is none or it is being written."""
        begin = self._text + MAX_TEXT
        try:
            return json.loads(self._map[begin:begin + self._report_bytes].decode("ascii") or "[]")
        except ValueError:
            return []


def _to_line(count, entry):
    return json.dumps([count, entry]).encode("ascii") + b"\n"


_TURNS, _BEATEN = _FIELDS.index("turns"), _FIELDS.index("beaten")
