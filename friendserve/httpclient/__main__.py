"""``python -m friendserve.httpclient URL``: see `command`."""
from __future__ import absolute_import, division, print_function

import sys

from friendserve.httpclient.command import main

sys.exit(main())
