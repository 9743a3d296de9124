"""Draws the floors of the package, from its imports, into explanation/floors.svg.

    python website/docs/draw_floors.py

A box is a module or folder at the top level of friendserve/, with a folder's rooms in small print.
A line leads from a box down to what it imports; what it also reaches through another box is left
out.
"""
from __future__ import absolute_import, division, print_function

import io
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from tests.house import FLOORS, PACKAGE, own_imports, parse_tree  # noqa: E402

WIDTH = 1120
LEFT = 132              # where the boxes begin; the floor's name stands before them
GAP = 14                # between boxes
LINE = 13               # between lines of small print
TITLE = 26              # height of a box with a name alone
BETWEEN = 22            # between floors, for the lines
LETTER, SMALL = 7.4, 5.9    # mean widths of letters

STYLE = """
  svg { font: 12px system-ui, sans-serif; background: #fff; }
  .floor { fill: #f3f5f7; } .floor-name { fill: #5b6570; font-size: 12px; }
  .box { fill: #fff; stroke: #9aa5b1; } .name { fill: #12263a; font-weight: 600; }
  .rooms { fill: #5b6570; font-size: 10px; } .line { fill: none; stroke: #6d8fb3; opacity: .55; }
  @media (prefers-color-scheme: dark) {
    svg { background: #14181d; } .floor { fill: #1c2229; } .floor-name, .rooms { fill: #a3aeba; }
    .box { fill: #242c35; stroke: #56626f; } .name { fill: #e8edf2; }
    .line { stroke: #7fa6cf; }
  }"""


def door_of(room):
    """The box that a module is in: "web" for "web.handler"."""
    if room.startswith("platform.pollers"):
        return "platform/pollers"
    return room.split(".")[0]


class Box(object):
    """One door: its name, its rooms in lines, and where it is drawn."""
    def __init__(self, name, rooms, letters):
        self.name = name + "/" if rooms else name
        self.lines = wrap(rooms, letters)
        self.width = 20 + max([LETTER * len(self.name)] + [SMALL * len(line)
                                                           for line in self.lines])
        self.height = TITLE + LINE * len(self.lines) + (4 if self.lines else 0)
        self.x = self.y = 0


def wrap(words, size):
    lines = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= size:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def floors(modules):
    """[(floor, [Box])] from the ground up, of what exists."""
    found = []
    for floor, names in FLOORS:
        rooms = [name for name in names if name in modules and name not in ("", "platform")]
        doors = []
        for room in rooms:
            if door_of(room) not in doors:
                doors.append(door_of(room))
        boxes = []
        for door in doors:
            inside = [room.rpartition(".")[2] for room in rooms if door_of(room) == door
                      and room != door and room != "platform.pollers"]
            letters = 76 if len(doors) == 1 else 24
            boxes.append(Box(door, [room for room in inside if not room.startswith("_")], letters))
        if boxes:
            found.append((floor, boxes))
    return found


def arrows(modules):
    """{door: doors it imports}, without what it reaches through another."""
    graph = {}
    for module in modules.values():
        if module.name in ("", "platform"):
            continue
        below = graph.setdefault(door_of(module.name), set())
        below.update(door_of(room) for room, _ in own_imports(module, modules)
                     if room not in ("", "platform") and door_of(room) != door_of(module.name))

    def reach(door, seen):
        for below in graph[door]:
            if below not in seen:
                seen.add(below)
                reach(below, seen)
        return seen

    return dict((door, sorted(one for one in below if not any(
        one in reach(other, set()) for other in below if other != one)))
        for door, below in graph.items())


def place(rows):
    """Give each box its place; returns the bands [(floor, top, height)] and the whole height."""
    bands = []
    bottom = 0
    for floor, boxes in rows:
        lines = [[]]
        for box in boxes:
            used = sum(one.width + GAP for one in lines[-1])
            if used and used + box.width > WIDTH - LEFT - GAP:
                lines.append([])
            lines[-1].append(box)
        height = GAP
        for line in lines:
            free = WIDTH - LEFT - sum(box.width for box in line)
            space = free / (len(line) + 1)
            x = LEFT + space
            tallest = max(box.height for box in line)
            for box in line:
                box.x, box.y = x, bottom - height - box.height
                x += box.width + space
            height += tallest + GAP
        bands.append((floor, bottom - height, height))
        bottom -= height + BETWEEN
    top = bottom + BETWEEN
    for _, boxes in rows:
        for box in boxes:
            box.y -= top
    return [(floor, y - top, height) for floor, y, height in bands], -top


def draw():
    """The text of the SVG."""
    modules = parse_tree(os.path.join(os.path.dirname(os.path.dirname(HERE)), PACKAGE))
    rows = floors(modules)
    bands, height = place(rows)
    boxes = dict((box.name.rstrip("/"), box) for _, row in rows for box in row)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" '
           'aria-labelledby="title">' % (WIDTH, height),
           '<title id="title">The floors of friendserve: imports only go down</title>',
           "<style>%s\n</style>" % STYLE]
    for floor, y, size in bands:
        out.append('<rect class="floor" x="0" y="%d" width="%d" height="%d" rx="6"/>'
                   % (y, WIDTH, size))
        out.append('<text class="floor-name" x="12" y="%d">%s</text>' % (y + size / 2 + 4, floor))
    for door, below in sorted(arrows(modules).items()):
        for other in below:
            a, b = boxes[door], boxes[other]
            x, y, u, v = a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y
            if y > v:       # neighbours on one floor: along their upper edges
                y = a.y
                out.append('<path class="line" d="M%d %d C%d %d %d %d %d %d"/>' % (
                    x, y, x, y - 16, u, v - 16, u, v))
            else:
                middle = (y + v) / 2
                out.append('<path class="line" d="M%d %d C%d %d %d %d %d %d"/>' % (
                    x, y, x, middle, u, middle, u, v))
    for _, row in rows:
        for box in row:
            out.append('<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="4"/>'
                       % (box.x, box.y, box.width, box.height))
            out.append('<text class="name" x="%d" y="%d">%s</text>'
                       % (box.x + 10, box.y + 17, box.name))
            out.extend('<text class="rooms" x="%d" y="%d">%s</text>' % (
                box.x + 10, box.y + 17 + LINE * (number + 1), line)
                for number, line in enumerate(box.lines))
    return "\n".join(out) + "\n</svg>\n"


def main():
    path = os.path.join(HERE, "explanation", "floors.svg")
    with io.open(path, "w", encoding="utf-8") as target:
        target.write(u"%s" % draw())
    print(path)


if __name__ == "__main__":
    main()
