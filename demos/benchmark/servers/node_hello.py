"""Node: its own http module, without a framework."""
from __future__ import absolute_import, division, print_function

import os
import sys

if __name__ == "__main__":
    os.execvp("node", ["node", os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                            "node_hello.js"), sys.argv[1]])
