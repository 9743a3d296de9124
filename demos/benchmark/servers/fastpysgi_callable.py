"""fastpysgi: HTTP and WSGI in C, on libuv."""
from __future__ import absolute_import, division, print_function

import sys

import callable_app
import fastpysgi

if __name__ == "__main__":
    fastpysgi.run(callable_app.wsgi, host="127.0.0.1", port=int(sys.argv[1]))
