"""Formatting the results: medians, ratios, tables, charts, and records.

A record is a JSON file with all that a chart shows. To draw it, whole or only some columns:

    python demos/benchmark/report.py RECORD [COLUMN ...] > chart.svg
"""
from __future__ import absolute_import, division, print_function

import datetime
import io
import json
import os
import platform
import sys

import chart
import machine

BASE = "friendserve"
#: Below this share of its core, the load or other programs were the limit, not the server.
FULLY_BUSY = 0.9
BUSY_NOTE = u"* The server was busy for less than 90 % of the time: the figure is the machine's."


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


def add_options(parser):
    """The options for what `save` writes."""
    parser.add_argument("--svg", metavar="FILE", help="draw a bar chart as well")
    parser.add_argument("--record", metavar="FILE", help="write the figures to a JSON file as well")


def is_marked(share):
    """Whether a figure gets an asterisk, by the share of the time that the server was busy."""
    return share is not None and share < FULLY_BUSY


def save(options, title, note, series, rows, versions, busy=None, base=BASE):
    """Draw the chart and write the record, as `options` say.

    `title`, `note`, `series`, `rows`: as in `chart.bars`. `versions`: {label or program: version},
    and `busy`: {label: [share of the time that the server was busy, for each figure]}.
    """
    record = {
        "title": title, "note": note, "series": list(series), "base": base,
        "date": datetime.date.today().isoformat(),
        "rounds": options.rounds,
        "python": "%s %s" % (platform.python_implementation(), platform.python_version()),
        "machine": "%s %s" % (platform.system(), platform.machine()),
        "processor": machine.processor(),
        "cores": os.sysconf("SC_NPROCESSORS_ONLN"),
        "versions": dict((name, version) for name, version in versions.items() if version),
        "rows": [{"label": label, "figures": list(figures), "busy": (busy or {}).get(label)}
                 for label, figures in rows],
    }
    if options.record:
        with io.open(options.record, "w", encoding="utf-8") as target:
            text = json.dumps(record, indent=1, sort_keys=True, separators=(",", ": "))
            target.write(u"%s\n" % text)
        print("record: " + options.record)
    if options.svg:
        with io.open(options.svg, "w", encoding="utf-8") as target:
            target.write(draw(record))
        print("chart: " + options.svg)


def draw(record, only=None):
    """The chart of a record as unicode; `only` names the columns to draw, if not all."""
    columns = [number for number, heading in enumerate(record["series"])
               if not only or heading in only]
    if not columns:
        raise machine.BenchmarkError("the columns are %s" % ", ".join(record["series"]))
    series = [record["series"][number] for number in columns]
    rows = [(row["label"], [row["figures"][number] for number in columns])
            for row in record["rows"]]
    rows = [row for row in rows if row[1] != [None] * len(columns)]
    marked = set((row["label"], record["series"][number]) for row in record["rows"]
                 for number in columns if row["busy"] and is_marked(row["busy"][number]))
    foot = [u"%s, %d cores, %s, %s" % (
        record["processor"] or u"an unnamed processor", record["cores"], record["machine"],
        record["python"]), u"%s, median of %d round%s" % (
            record["date"], record["rounds"], "" if record["rounds"] == 1 else "s")]
    if marked:
        foot.append(BUSY_NOTE)
    return chart.bars(
        record["title"], record["note"], series, rows, record["base"],
        lambda value, label, heading: figure(value) + (" *" if (label, heading) in marked else ""),
        foot)


if __name__ == "__main__":
    with io.open(sys.argv[1], encoding="utf-8") as saved:
        try:
            svg = draw(json.load(saved), sys.argv[2:])
        except machine.BenchmarkError as error:
            sys.exit("report.py: %s" % error)
    getattr(sys.stdout, "buffer", sys.stdout).write(svg.encode("utf-8"))
