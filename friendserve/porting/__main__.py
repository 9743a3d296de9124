"""``python -m friendserve.porting``: see `command`."""
from __future__ import absolute_import, division, print_function

import sys

from friendserve.porting.command import main

sys.exit(main())
