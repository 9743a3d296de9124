"""starlette under granian: HTTP and the event loop's input and output in Rust.

A connection may stay idle for 75 seconds instead of 30, and 10,000 may be open instead of 1,024;
otherwise few would be left to measure.
"""
from __future__ import absolute_import, division, print_function

import sys

import granian
import granian.http


def serve(target):
    granian.Granian(target, address="127.0.0.1", port=int(sys.argv[1]),
                    interface="asgi", workers=1, log_level="warning", backpressure=10000,
                    http1_settings=granian.http.HTTP1Settings(header_read_timeout=75000)).serve()


if __name__ == "__main__":
    serve("starlette_app:application")
