"""The loops that another loop drives, for the tests of every loop; and a command that runs a
program on one of them, unchanged:

    python -m tests.bridges asyncio demos/chat/chatdemo.py --port=8888
    python -m tests.bridges uvloop -m pytest tests/web

There, tests that make loops over select or poll fail: no host can watch these.
"""
from __future__ import absolute_import, division, print_function

import functools
import importlib
import os
import runpy
import sys
import warnings

import six

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import available_pollers

#: Rows of the loop contract that are not about hosted loops: name of the test -> the reason.
ABOUT_POLLERS = {
    "test_loop_inside_a_select_loop":
        "a hosted loop has no fd for a second host; run_once works, as the other rows show",
    "test_b005_fd_that_select_cannot_watch": "only select and poll have that limit",
}

#: The same for one host.
ABOUT_THE_HOST = {
    "uvloop": {
        "test_b043_wakeup_fd_of_another_library":
            "uvloop takes the wakeup fd when it starts, and leaves none when it stops",
    },
}
if six.PY2:  # version: py2
    ABOUT_THE_HOST["twisted_epoll"] = {
        "test_b021_own_fds_are_not_inherited": "that of the epoll of Twisted is",
    }


def make_asyncio():
    return importlib.import_module("friendserve.platform.asyncio").AsyncIOLoop


def make_uvloop():
    return importlib.import_module("tests.platform.uvloop_bridge").UvloopIOLoop


def make_twisted(module, name):
    """A TwistedIOLoop that makes its reactor, of this class in twisted.internet, and closes it."""
    bridge = importlib.import_module("friendserve.platform.twisted").TwistedIOLoop
    reactor_class = getattr(importlib.import_module("twisted.internet." + module), name)

    class ReactorIOLoop(bridge):
        def initialize(self, impl=None, **kwargs):
            super(ReactorIOLoop, self).initialize(reactor_class(), impl=impl, **kwargs)

        def close(self, all_fds=False):
            # An epoll that is inherited is also the parent's.
            is_mine = not self._closed and os.getpid() == self._process
            super(ReactorIOLoop, self).close(all_fds)
            if is_mine:
                for reader in self.reactor._internalReaders:
                    self.reactor.removeReader(reader)
                    reader.connectionLost(None)
                self.reactor._internalReaders.clear()
                poller = getattr(self.reactor, "_poller", None)
                if hasattr(poller, "close"):
                    poller.close()
    return ReactorIOLoop


#: name -> a function that returns the class, and raises ImportError if the host is missing.
LOOPS = {
    "asyncio": make_asyncio,
    "uvloop": make_uvloop,
    "twisted_epoll": functools.partial(make_twisted, "epollreactor", "EPollReactor"),
    "twisted_poll": functools.partial(make_twisted, "pollreactor", "PollReactor"),
    "twisted_select": functools.partial(make_twisted, "selectreactor", "SelectReactor"),
}


def available_bridges():
    """{name: class} of the bridges whose host can be imported here, if this system has a poller
    with a fd."""
    found = {}
    if hosted_pollers():
        for name in sorted(LOOPS):
            try:
                found[name] = LOOPS[name]()
            except ImportError:
                pass
    return found


def hosted_pollers():
    """The names of the pollers that a host can watch."""
    return [name for name in available_pollers() if name in ("epoll", "kqueue")]


def rows_for(name):
    """A namespace for a TestCase of the loop contract on this bridge: it has no rows that are not
    about it."""
    rows = dict(ABOUT_POLLERS, **ABOUT_THE_HOST.get(name, {}))
    return dict((row, None) for row in rows)


def main(name, *command):
    # pytest imports the other modules of the tests, and wants to rewrite their assertions.
    warnings.filterwarnings("ignore", "Module already imported")
    IOLoop.configure(LOOPS[name]())
    if command[0] == "-m":
        sys.argv = list(command[1:])
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(command)
        sys.path.insert(0, command[0].rpartition("/")[0])
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
