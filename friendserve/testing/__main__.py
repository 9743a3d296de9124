"""``python -m friendserve.testing NAME...``: see `command`."""
from __future__ import absolute_import, division, print_function

import sys

from friendserve.testing.command import main

if len(sys.argv) < 2:
    sys.exit("usage: python -m friendserve.testing [options] TEST...\n"
             "a TEST is the dotted name of a module, class or method; --help lists the options")
main()
