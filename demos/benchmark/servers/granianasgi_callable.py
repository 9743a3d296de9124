"""granian with a bare ASGI callable."""
from __future__ import absolute_import, division, print_function

import granian_hello

if __name__ == "__main__":
    granian_hello.serve("asgi_app:asgi")
