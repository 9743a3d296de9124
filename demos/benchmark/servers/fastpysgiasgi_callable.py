"""fastpysgi: HTTP and ASGI in C, on libuv."""
from __future__ import absolute_import, division, print_function

import sys

import asgi_app
import fastpysgi

if __name__ == "__main__":
    fastpysgi.run(asgi_app.asgi, host="127.0.0.1", port=int(sys.argv[1]))
