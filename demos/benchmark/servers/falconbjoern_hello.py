"""falcon on bjoern: HTTP and WSGI in C, on libev."""
from __future__ import absolute_import, division, print_function

import sys

import bjoern
import falcon_app

if __name__ == "__main__":
    bjoern.run(falcon_app.application, "127.0.0.1", int(sys.argv[1]))
