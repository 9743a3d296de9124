"""A bar chart as SVG text: readable in light and dark, by eye and by screen reader."""
from __future__ import absolute_import, division, print_function

import math
from xml.sax.saxutils import escape

WIDTH = 760
LABELS = 190  # room for names on the left
VALUES = 96  # room for the figure after the longest bar
MARGIN = 28
BAR = 18
GAP = 14
TOP = 76
LEGEND = 22
FOOT = 16  # the height of a line below the axis
KINDS = (u"", u" second", u" third")

STYLE = u"""
.card { fill: #ffffff; stroke: #d5dbe3; }
text { font: 13px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1c2733; }
.title { font-size: 18px; font-weight: 600; }
.note, .tick { fill: #566372; }
.tick { font-size: 11px; }
.own { font-weight: 600; }
.value { font-variant-numeric: tabular-nums; }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 5; }
.grid { stroke: #e3e8ee; }
.bar { fill: #748395; }
.bar.own { fill: #0b6bcb; }
.bar.second { fill: #b4bdc8; }
.bar.own.second { fill: #7db8f2; }
.bar.third { fill: #465363; }
.bar.own.third { fill: #064887; }
@media (prefers-color-scheme: dark) {
  .card { fill: #16202b; stroke: #2d3a48; }
  text { fill: #e8edf3; }
  .value { stroke: #16202b; }
  .note, .tick { fill: #a3b1c2; }
  .grid { stroke: #2a3643; }
  .bar { fill: #8494a6; }
  .bar.own { fill: #58a6ff; }
  .bar.second { fill: #5a697a; }
  .bar.own.second { fill: #2f6fb8; }
  .bar.third { fill: #c3ccd6; }
  .bar.own.third { fill: #a8d1ff; }
}
"""


def marks_up_to(highest):
    """The marks of an axis from 0 to `highest` (> 0): three to six round numbers."""
    power = 10.0 ** math.floor(math.log10(highest / 5))
    step = [factor * power for factor in (1, 2, 5, 10) if factor * power * 5.001 >= highest][0]
    return [number * step for number in range(int(highest / step + 1e-9) + 1)]


def _number(value):
    """`value` as the label of a mark on an axis: 20,000 or 7.5."""
    whole = int(round(value))
    if abs(value - whole) < 1e-9:
        return u"{0:,d}".format(whole)
    return u"{0:.6f}".format(value).rstrip(u"0")


def _coordinate(value):
    return u"{0:.1f}".format(value)


def bars(title, note, series, rows, own, written, foot=()):
    """The chart as unicode.

    `note`: one line under the title: the unit, and which way is better. `series`: the names of
    one to three figures a row. `rows`: [(label, [figure or None, ...])] from top to bottom. `own`:
    the label of the row, or the name in `series`, to highlight. `written`: a function that turns a
    figure, with its label and its name in `series`, into text. `foot`: lines of small print below
    the chart.
    """
    values = [value for _, figures in rows for value in figures if value is not None]
    highest = max(values + [1e-6])
    marks = marks_up_to(highest)
    scale = (WIDTH - 2 * MARGIN - LABELS - VALUES) / highest
    group = BAR * len(series) + GAP
    top = TOP + (LEGEND if len(series) > 1 else 0)
    bottom = top + group * len(rows)
    height = bottom + 40 + FOOT * len(foot)
    lines = _opening(title, note, series, rows, written, height, foot)
    lines += _legend(series, own)
    lines += _axis(marks, scale, top, bottom)
    for number, (label, figures) in enumerate(rows):
        texts = _texts(label, figures, series, written)
        lines += _group(label, figures, texts, top + GAP / 2 + number * group, scale,
                        [own in (label, heading) for heading in series])
    for number, line in enumerate(foot):
        lines.append(_text(MARGIN, bottom + 44 + FOOT * number, line, u"tick"))
    return u"\n".join(lines + [u"</svg>", u""])


def _texts(label, figures, series, written):
    return [u"not measured" if value is None else written(value, label, heading)
            for value, heading in zip(figures, series)]


def _opening(title, note, series, rows, written, height, foot):
    """The frame, and the whole content in words for screen readers."""
    name = u"".join(c if c.isalnum() else u"-" for c in title.lower())
    sentences = [note + u"."]
    for label, figures in rows:
        parts = _texts(label, figures, series, written)
        if len(series) > 1:
            parts = [u"%s %s" % pair for pair in zip(series, parts)]
        sentences.append(u"%s: %s." % (label, u", ".join(parts)))
    sentences.extend(foot)
    return [
        u'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
        u'role="img" aria-labelledby="%s-title %s-desc">' % (
            WIDTH, height, WIDTH, height, name, name),
        u'<title id="%s-title">%s</title>' % (name, escape(title)),
        u'<desc id="%s-desc">%s</desc>' % (name, escape(u" ".join(sentences))),
        u"<style>%s</style>" % STYLE,
        u'<rect class="card" x="0.5" y="0.5" width="%d" height="%d" rx="10"/>'
        % (WIDTH - 1, height - 1),
        _text(MARGIN, 36, title, u"title"),
        _text(MARGIN, 58, note, u"note"),
    ]


def _text(x, y, text, kind, anchor=u"start"):
    return u'<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>' % (
        kind, _coordinate(x), _coordinate(y), anchor, escape(text))


def _bar(x, y, width, height, kind):
    return u'<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="3"/>' % (
        kind, _coordinate(x), _coordinate(y), _coordinate(width), _coordinate(height))


def _kind(number, own=False):
    # More than three bars in a group share the last shade.
    number = min(number, len(KINDS) - 1)
    return u"bar" + (u" own" if own else u"") + KINDS[number]


def _legend(series, own):
    """The legend: the names of the bars in a group, if there is more than one."""
    if len(series) < 2:
        return []
    lines = []
    x = MARGIN + LABELS
    for number, heading in enumerate(series):
        lines.append(_bar(x, TOP - 1, 14, 12, _kind(number, heading == own)))
        lines.append(_text(x + 20, TOP + 9.5, heading, u"note"))
        x += 20 + 8 * len(heading) + 20
    return lines


def _axis(marks, scale, top, bottom):
    lines = []
    for mark in marks:
        x = MARGIN + LABELS + mark * scale
        lines.append(u'<line class="grid" x1="%s" y1="%d" x2="%s" y2="%d"/>' % (
            _coordinate(x), top, _coordinate(x), bottom))
        lines.append(_text(x, bottom + 18, _number(mark), u"tick", u"middle"))
    return lines


def _group(label, figures, texts, y, scale, owns):
    """The bars of one row: its name on the left, its figures after the bars. `owns`: whether to
    highlight each."""
    left = MARGIN + LABELS
    middle = y + BAR * len(figures) / 2 + 4.5
    lines = [_text(left - 12, middle, label, u"own" if all(owns) else u"name", u"end")]
    for number, (value, text, own) in enumerate(zip(figures, texts, owns)):
        width = 0 if value is None else value * scale
        top = y + number * BAR
        if value is not None:
            lines.append(_bar(left, top + 1, max(width, 1), BAR - 2, _kind(number, own)))
        lines.append(_text(left + width + 8, top + 13.5, text, u"value own" if own else u"value"))
    return lines
