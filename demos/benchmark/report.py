"""Formatting the results: medians, ratios, tables."""
from __future__ import absolute_import, division, print_function

import io
import sys

import chart

BASE = "friendserve"


def median(values):
    """The middle of `values`, or the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def figure(value):
    """A number with about three significant digits: 63,012 or 167 or 9.2 or 0.81."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return "{0:,.0f}".format(value)
    if abs(value) >= 1:
        return "{0:.1f}".format(value)
    return "{0:.2f}".format(value)


def ratio(value, base):
    """The quotient of `value` and `base` as text; "-" if there is none."""
    if value is None or not base:
        return "-"
    return "{0:.2f} x".format(value / base)


def table(headings, rows):
    """A text table: the first column left-aligned, the others right-aligned."""
    lines = [headings] + rows
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]

    def written(line):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([written(headings), rule] + [written(row) for row in rows])


def progress(text):
    """Print progress to standard error, so that the table can be redirected to a file."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_absent(absent):
    for label, reason in absent:
        print("absent: %s (%s)" % (label, reason))


def write_chart(path, *arguments):
    """Write a chart (the arguments of `chart.bars`) to the file `path`."""
    with io.open(path, "w", encoding="utf-8") as target:
        target.write(chart.bars(*arguments))
    print("chart: " + path)
