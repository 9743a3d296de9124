"""``python -m friendserve``: see `friendserve.serve.command`."""
from __future__ import absolute_import, division, print_function

import sys

from friendserve.serve.command import main

if __name__ == "__main__":
    sys.exit(main())
