"""A service with one worker and no access log; further arguments are options of the command serve.

The port and, with metrics, "--metrics=/metrics" are the arguments.
"""
from __future__ import absolute_import, division, print_function

import sys

from friendserve.serve.command import main

if __name__ == "__main__":
    sys.exit(main(["serve", "--bind=127.0.0.1:" + sys.argv[1], "--processes=1", "--logging=error",
                   "--access-log=none"] + sys.argv[2:] + ["hello_app:application"]))
