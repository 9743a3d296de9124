"""bjoern: HTTP and WSGI in C, on libev."""
from __future__ import absolute_import, division, print_function

import sys

import bjoern
import callable_app

if __name__ == "__main__":
    bjoern.run(callable_app.wsgi, "127.0.0.1", int(sys.argv[1]))
