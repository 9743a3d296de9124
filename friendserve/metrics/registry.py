"""The metrics of a process, and where their numbers are stored.

The values are 8-byte numbers in a flat array, the storage: a list in a single process, or a place
in the memory that the workers of a service share. A series remembers its storage and its index, so
counting is one addition, without a lock: use a registry from one thread, that of its loop.
"""
from __future__ import absolute_import, division, print_function

import bisect
import re

import six

from friendserve.escape import to_unicode
from friendserve.log import app_log
from friendserve.metrics.text import render_sources

#: The upper bounds of the buckets for times, in seconds.
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

#: How many series, that is combinations of labels, one name may have. Further ones are counted
#: together, with "other" for each label, so that labels that clients choose cannot fill the memory.
MAX_SERIES = 200

_is_name = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z").match
_is_label = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z").match


class PrivateStorage(object):
    """The numbers of one process."""
    def __init__(self):
        self.numbers = []
        self._entries = []

    def declare(self, entry, count):
        """The index of the first of `count` numbers for `entry`, a list (kind, name, help, pairs
        of labels, bounds of buckets)."""
        index = len(self.numbers)
        self.numbers.extend([0.0] * count)
        self._entries.append((entry, index, count))
        return index

    def entries(self):
        """What was declared: a list of (entry, index of its first number, their count)."""
        return self._entries


class Registry(object):
    """The counters, gauges and histograms of a process. A name may be declared again with the same
    type and labels, and is then the same object; otherwise ValueError is raised."""

    def __init__(self, storage=None):
        self.storage = storage or PrivateStorage()
        self._families = {}
        self._samplers = []

    def counter(self, name, help, labels=()):
        """A Counter: a number that only increases. Its name ends in ``_total``."""
        if not name.endswith("_total"):
            raise ValueError("the name of a counter ends in _total, as in %s_total" % name)
        return self._declare(Counter, name, help, labels)

    def gauge(self, name, help, labels=(), function=None):
        """A Gauge: a number that goes up and down. With `function`, its value is what that returns,
        called about once a second and when the values are read."""
        gauge = self._declare(Gauge, name, help, labels)
        if function is not None:
            self.add_sampler(lambda: gauge.set(function()))
        return gauge

    def histogram(self, name, help, labels=(), buckets=DURATIONS):
        """A Histogram: how many values were at most each of the `buckets`, their number and sum."""
        buckets = [float(bound) for bound in buckets]
        if not buckets or buckets != sorted(set(buckets)):
            raise ValueError("the buckets of a histogram must increase, not %r" % (buckets,))
        return self._declare(Histogram, name, help, labels, buckets)

    def _declare(self, kind, name, help, labels, bounds=None):
        labels = tuple(labels)
        if not _is_name(name):
            raise ValueError("%r cannot be the name of a metric: only letters, digits and _" % name)
        for label in labels:
            if not _is_label(label) or label in ("slot", "le"):
                raise ValueError("%r cannot be a label: use letters, digits and _, but not slot "
                                 "or le" % label)
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = kind(self, name, help, labels, bounds)
        elif (type(family), family.label_names, family.bounds) != (kind, labels, bounds):
            raise ValueError("%s already exists, with another type, other labels or other "
                             "buckets" % name)
        return family

    def add_sampler(self, function):
        """Call `function()` in `sample`, to set gauges."""
        self._samplers.append(function)

    def sample(self):
        """Bring the values up to date: set the gauges that have a function, and count the requests
        that were noted. `render` calls it; a worker calls it every second, and before it ends."""
        for function in self._samplers:
            try:
                function()
            except Exception:
                app_log.error("Cannot sample %r", function, exc_info=True)

    def move_to(self, storage):
        """Use another storage from now on; called in a worker after the fork. Earlier counts are
        left behind, because each worker would add them again."""
        self.storage = storage
        for family in self._families.values():
            family.bind()

    def render(self):
        """The values of this process in the text format of Prometheus, as bytes."""
        self.sample()
        return render_sources([(None, self.storage)])


class _Family(object):
    """All series of one name."""
    series_class = kind = None

    def __init__(self, registry, name, help, label_names, bounds):
        self.name = name
        self.help = help
        self.label_names = label_names
        self.bounds = bounds
        self._registry = registry
        self._series = {}
        if not label_names:
            # It is shown from the start, as 0.
            self.labels()

    def labels(self, *values):
        """The series for these values of the labels, in the order in which these were declared.
        Keep it if you count often."""
        series = self._series.get(values)
        if series is None:
            series = self._make(values)
        return series

    def _make(self, values):
        if len(values) != len(self.label_names):
            raise ValueError("%s has the labels (%s), but %d values were given" % (
                self.name, ", ".join(self.label_names), len(values)))
        other = ("other",) * len(values)
        if len(self._series) >= MAX_SERIES and values != other:
            return self.labels(*other)
        series = self._series[values] = self.series_class(self.bounds)
        self._bind(values, series)
        return series

    def _bind(self, values, series):
        storage = self._registry.storage
        pairs = [[name, value if isinstance(value, (bytes, six.text_type)) else str(value)]
                 for name, value in zip(self.label_names, values)]
        pairs = [[name, to_unicode(value)] for name, value in pairs]
        count = 1 if self.bounds is None else len(self.bounds) + 2
        index = storage.declare(
            [self.kind, self.name, to_unicode(self.help), pairs, self.bounds], count)
        if index is None:
            # No room: it is counted, but not shown.
            series.numbers, series.index = [0.0] * count, 0
        else:
            series.numbers, series.index = storage.numbers, index

    def bind(self):
        """Use the registry's storage."""
        for values, series in self._series.items():
            self._bind(values, series)


class _Series(object):
    __slots__ = ("numbers", "index", "bounds")

    def __init__(self, bounds):
        self.bounds = bounds

    @property
    def value(self):
        """The number; for a histogram, how many values it has counted."""
        if self.bounds is None:
            return self.numbers[self.index]
        return sum(self.numbers[self.index:self.index + len(self.bounds) + 1])


class _CounterSeries(_Series):
    __slots__ = ()

    def add(self, number=1):
        if number < 0:
            raise ValueError("a counter only increases; use a gauge")
        self.numbers[self.index] += number


class _GaugeSeries(_Series):
    __slots__ = ()

    def set(self, number):
        self.numbers[self.index] = number

    def add(self, number=1):
        self.numbers[self.index] += number


class _HistogramSeries(_Series):
    __slots__ = ()

    def observe(self, number):
        numbers, index, bounds = self.numbers, self.index, self.bounds
        numbers[index + bisect.bisect_left(bounds, number)] += 1
        numbers[index + len(bounds) + 1] += number

    def observe_all(self, values):
        """Like `observe` for each of the values, a list."""
        numbers, index, bounds = self.numbers, self.index, self.bounds
        numbers[index + len(bounds) + 1] += sum(values)
        # Most values are in the first buckets, so few are looked at often. To sort them takes ten
        # times as long.
        for bound in bounds:
            above = [value for value in values if value > bound]
            numbers[index] += len(values) - len(above)
            if not above:
                return
            index += 1
            values = above
        numbers[index] += len(values)


class Counter(_Family):
    """A number that only increases. `add` counts in a counter without labels, ``labels(...).add``
    in one with labels."""
    series_class = _CounterSeries
    kind = "counter"

    def add(self, number=1):
        """Add a number, which must not be negative."""
        self.labels().add(number)


class Gauge(_Family):
    """A number that goes up and down. The value of a worker that has ended is 0."""
    series_class = _GaugeSeries
    kind = "gauge"

    def set(self, number):
        """Set the number."""
        self.labels().set(number)

    def add(self, number=1):
        """Add a number, which may be negative."""
        self.labels().add(number)


class Histogram(_Family):
    """How values are distributed."""
    series_class = _HistogramSeries
    kind = "histogram"

    def observe(self, number):
        """Count one value."""
        self.labels().observe(number)


#: The registry of the process.
registry = Registry()


def counter(name, help, labels=()):
    """`Registry.counter` of the registry of the process."""
    return registry.counter(name, help, labels)


def gauge(name, help, labels=(), function=None):
    """`Registry.gauge` of the registry of the process."""
    return registry.gauge(name, help, labels, function)


def histogram(name, help, labels=(), buckets=DURATIONS):
    """`Registry.histogram` of the registry of the process."""
    return registry.histogram(name, help, labels, buckets)


def render():
    """`Registry.render` of the registry of the process."""
    return registry.render()
