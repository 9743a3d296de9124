"""What the servers of websocket.py answer: the message, followed by the argument after the port."""
from __future__ import absolute_import, division, print_function

import sys

SUFFIX = "".join(sys.argv[2:])


def answer(message):
    if not SUFFIX:
        return message
    return message + (SUFFIX.encode("ascii") if isinstance(message, bytes) else SUFFIX)
