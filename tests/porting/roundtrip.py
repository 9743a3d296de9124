"""Cuts every imported name out of the files of a standard library, and puts it back.

    python -m tests.porting.roundtrip /usr/lib/python3.11 /usr/lib/python2.7

Prints the files that do not come out byte for byte as they were, and those that cannot be read,
with the reason; exits with 1 if there are any of the first kind.
"""
from __future__ import absolute_import, division, print_function

import os
import sys

from friendserve.porting.editor import Source, SourceError


def check(path):
    """Whether a file survives."""
    with open(path, "rb") as opened:
        data = opened.read()
    try:
        source = Source(data, path)
    except SourceError as error:
        print("not read: %s" % error)
        return True
    spans = []
    for statement in source.imports():
        spans.extend(name.head for name in statement.names)
        if statement.head is not None:
            spans.append(statement.head)
    return source.replace([((start, end), source.text[start:end]) for start, end in spans]) == data


def main(folders):
    total, changed = 0, []
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in sorted(names):
                if name.endswith(".py"):
                    total += 1
                    if not check(os.path.join(place, name)):
                        changed.append(os.path.join(place, name))
    print("%d files, %d changed" % (total, len(changed)))
    for path in changed:
        print(path)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
