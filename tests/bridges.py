"""Runs a program on another loop, unchanged:

    python -m tests.bridges asyncio demos/chat/chat.py --port=8888
    python -m tests.bridges uvloop -m pytest tests/contract tests/ioloop
"""
from __future__ import absolute_import, division, print_function

import importlib
import runpy
import sys

from friendserve.ioloop import IOLoop


def uvloop_loop():
    bridge = importlib.import_module("friendserve.platform.asyncio")
    uvloop = importlib.import_module("uvloop")

    class UvloopIOLoop(bridge.AsyncIOLoop):
        """An AsyncIOLoop on a loop of uvloop."""
        def initialize(self, impl=None, **kwargs):
            super(UvloopIOLoop, self).initialize(
                impl, asyncio_loop=uvloop.new_event_loop(), **kwargs)
    return UvloopIOLoop


def asyncio_loop():
    return importlib.import_module("friendserve.platform.asyncio").AsyncIOLoop


LOOPS = {"asyncio": asyncio_loop, "uvloop": uvloop_loop}


def main(name, *command):
    IOLoop.configure(LOOPS[name]())
    if command[0] == "-m":
        sys.argv = list(command[1:])
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(command)
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
