"""The text format of Prometheus, version 0.0.4."""
from __future__ import absolute_import, division, print_function

import collections

import six

#: The type of a response with this text.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_INFINITY = float("inf")


class _Family(object):
    """The series of one name. `values` are the sums, by label pairs."""
    def __init__(self, kind, help, bounds):
        self.kind = kind
        self.help = help
        self.bounds = bounds
        self.values = collections.OrderedDict()

    def add(self, labels, numbers):
        key = tuple(map(tuple, labels))
        known = self.values.get(key)
        self.values[key] = list(numbers) if known is None else [
            a + b for a, b in zip(known, numbers)]


def render_sources(sources):
    """The values of several storages, as bytes. `sources` are pairs of a slot, which becomes the
    label `slot`, or None, and a storage.

    Series that are equal, slot included, are added up. If two programs give different types or
    buckets to one name, as may happen while a new version is rolled out, the first one counts.
    """
    families = collections.OrderedDict()
    for slot, storage in sources:
        for (kind, name, help, labels, bounds), index, count in storage.entries():
            family = families.get(name)
            if family is None:
                family = families[name] = _Family(kind, help, bounds)
            if (family.kind, family.bounds) == (kind, bounds):
                if slot is not None:
                    labels = labels + [["slot", str(slot)]]
                family.add(labels, storage.numbers[index:index + count])
    lines = []
    for name in sorted(families):
        family = families[name]
        lines.append("# HELP %s %s" % (name, _escape(family.help)))
        lines.append("# TYPE %s %s" % (name, family.kind))
        for labels, numbers in family.values.items():
            if family.kind == "histogram":
                _add_histogram(lines, name, labels, family.bounds, numbers)
            else:
                lines.append("%s%s %s" % (name, _format_labels(labels), format_number(numbers[0])))
    lines.append("")
    return u"\n".join(lines).encode("utf-8")


def _add_histogram(lines, name, labels, bounds, numbers):
    """Add the lines of a histogram. `numbers` are the counts of the buckets, each without those
    below it, and the sum."""
    total = 0.0
    for bound, number in zip(list(bounds) + [_INFINITY], numbers):
        total += number
        pairs = labels + (("le", format_number(bound)),)
        lines.append("%s_bucket%s %s" % (name, _format_labels(pairs), format_number(total)))
    text = _format_labels(labels)
    lines.append("%s_sum%s %s" % (name, text, format_number(numbers[-1])))
    lines.append("%s_count%s %s" % (name, text, format_number(total)))


def format_number(number):
    """A number as text in this format; whole numbers have no decimal point."""
    if number != number:
        return "NaN"
    if number in (_INFINITY, -_INFINITY):
        return "+Inf" if number > 0 else "-Inf"
    return "%d" % number if number == int(number) and abs(number) < 1e15 else repr(float(number))


def _escape(text):
    return six.text_type(text).replace(u"\\", u"\\\\").replace(u"\n", u"\\n")


def _format_labels(pairs):
    if not pairs:
        return u""
    return u"{%s}" % u",".join(
        u'%s="%s"' % (name, _escape(value).replace(u'"', u'\\"')) for name, value in pairs)
