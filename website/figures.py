"""The drawings of the front page: connections that wait, and the chart of the benchmark."""
from __future__ import absolute_import, division, print_function

import collections
import io
import json
import math
import os

#: The record that the chart shows, and how many rounds it must have: the median of fewer is chance.
RECORD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "demos",
                      "benchmark", "results", "hello.json")
MIN_ROUNDS = 3
#: How many connections the drawing shows.
SEEDS = 233


def seeds():
    """Dots in the order in which a sunflower grows: each a turn by the golden angle further."""
    angle = math.pi * (3 - math.sqrt(5))
    dots = []
    for number in range(SEEDS):
        radius = 24 * math.sqrt(number + 0.5)
        dots.append(u'<circle cx="%d" cy="%d" r="%d"/>' % (
            round(radius * math.cos(number * angle)), round(radius * math.sin(number * angle)),
            5 + 3 * number // SEEDS))
    return (u'<svg id="seeds" viewBox="-384 -384 768 768" aria-hidden="true" focusable="false">%s'
            u"</svg>" % u"".join(dots))


#: A recorded run: its `date`, the machine and versions in words, and the `rows`, fastest first.
Chart = collections.namedtuple("Chart", "date machine rows")
#: A server: its name, version, requests a second of CPU time, that as a share of the fastest (0 to
#: 100), whether it is friendserve, and whether other programs disturbed the measurement.
Bar = collections.namedtuple("Bar", "name version figure share is_own is_rough")

#: The servers that a reader compares friendserve with. Its other forms, and the loop that does not
#: parse HTTP, are in the documentation.
_LEFT_OUT = ("friendserve ", "friendserve,", "bare ")
_ALWAYS = ("friendserve, PyPy",)
#: Below this share of its core, a server was not what limited its figure.
_BUSY = 0.9


def read_chart(path=RECORD):
    """The Chart of a record of demos/benchmark/hello.py, from its column "varied": requests that no
    server has seen before. None if there is no such record of MIN_ROUNDS or more."""
    if not os.path.exists(path):
        return None
    with io.open(path, encoding="utf-8") as source:
        record = json.load(source)
    if "varied" not in record["series"] or record["rounds"] < MIN_ROUNDS:
        return None
    column = record["series"].index("varied")
    measured = [(row["figures"][column], row["busy"][column], row["label"])
                for row in record["rows"] if row["figures"][column]
                and (row["label"] in _ALWAYS or not row["label"].startswith(_LEFT_OUT))]
    highest = max(figure for figure, _, _ in measured)
    rows = [Bar(label, record["versions"].get(label, u""), int(round(figure)),
                u"%.1f" % (100 * figure / highest), label.startswith("friendserve"),
                busy is not None and busy < _BUSY)
            for figure, busy, label in sorted(measured, reverse=True)]
    machine = u"%s, %d cores, %s, %s" % (
        record["processor"], record["cores"], record["machine"], record["python"])
    return Chart(record["date"], machine, rows)
