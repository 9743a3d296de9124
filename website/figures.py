"""The drawings of the front page: connections that wait, and the chart of the benchmark."""
from __future__ import absolute_import, division, print_function

import math

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


def front_chart():
    return None
