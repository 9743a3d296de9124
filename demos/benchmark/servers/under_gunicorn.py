"""Runs the peers under gunicorn: one worker, of a class that keeps connections open."""
from __future__ import absolute_import, division, print_function

import os
import sys

WSGI = ["--worker-class", "gthread", "--threads", "4"]
ASGI = ["--worker-class", "asgi", "--asgi-loop", "uvloop"]


def serve(target, worker=WSGI):
    """Become a gunicorn that serves `target` ("module:name") on the port given as first argument.

    Keep-alive connections last 75 seconds instead of 2 and may be 10,000 instead of 1,000, so
    that idle ones can be counted. Its master does not end a worker that was stopped for a while.
    """
    os.execv(sys.executable, [
        sys.executable, "-m", "gunicorn",
        "--bind", "127.0.0.1:" + sys.argv[1],
        "--chdir", os.path.dirname(os.path.abspath(__file__)),
        "--workers", "1"] + worker + [
        "--keep-alive", "75", "--worker-connections", "10000", "--timeout", "0",
        "--log-level", "warning",
        target,
    ])
