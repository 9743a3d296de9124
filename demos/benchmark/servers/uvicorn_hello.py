"""starlette under uvicorn with its two accelerators, uvloop and httptools.

A connection may stay idle for 75 seconds instead of 5; otherwise none would be left to measure.
"""
from __future__ import absolute_import, division, print_function

import sys

import uvicorn


def serve(target):
    uvicorn.run(target, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools",
                access_log=False, log_level="warning", timeout_keep_alive=75)


if __name__ == "__main__":
    serve("starlette_app:application")
