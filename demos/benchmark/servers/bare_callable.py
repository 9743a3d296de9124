"""The ceiling, as in the other table."""
from __future__ import absolute_import, division, print_function

import sys

import bare_hello

if __name__ == "__main__":
    bare_hello.serve(int(sys.argv[1]))
