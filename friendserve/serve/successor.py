"""A new master in place of this one: the same command, with the same sockets.

The successor says that all of its workers are ready by writing a word to a pipe, which it then
closes.
"""
from __future__ import absolute_import, division, print_function

import os
import subprocess
import sys

from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.auto import set_close_exec

#: The environment variable with the descriptor of the pipe.
_VARIABLE = "FRIENDSERVE_PREDECESSOR"

_READY = b"READY"


class Successor(object):
    """Starts a new master in `folder`, which is where this one was started. `on_ready()` is called
    once its workers are ready. The process that made this has to wait for `pid`, and then call
    `close`. Raises EnvironmentError if it cannot be started."""
    def __init__(self, listeners, environ, folder, loop, on_ready):
        self.is_ready = False
        self._loop = loop
        self._on_ready = on_ready
        self._pipe, theirs = os.pipe()
        set_close_exec(self._pipe)
        environ = dict(environ)
        environ[_VARIABLE] = str(theirs)
        if hasattr(os, "set_inheritable"):
            os.set_inheritable(theirs, True)
        fds = [theirs] + listeners.hand_over(environ)
        options = {} if str is bytes else {"pass_fds": fds}
        try:
            self._process = subprocess.Popen(_command(), env=environ, cwd=folder, **options)
        except EnvironmentError:
            os.close(self._pipe)
            raise
        finally:
            for fd in fds:
                os.close(fd)
        self.pid = self._process.pid
        loop.add_handler(self._pipe, self._on_word, IOLoop.READ)

    def _on_word(self, fd, events):
        self.is_ready = os.read(fd, 100) == _READY
        self._stop_reading()
        if self.is_ready:
            self._on_ready()

    def _stop_reading(self):
        if self._pipe is not None:
            self._loop.remove_handler(self._pipe)
            os.close(self._pipe)
            self._pipe = None

    def close(self, status):
        """Called when the process has ended with this status and has been waited for."""
        self._process.returncode = status
        self._stop_reading()


class Predecessor(object):
    """The master that started this one, if `environ` names it; its variable is removed."""
    def __init__(self, environ):
        fd = environ.pop(_VARIABLE, "")
        self._fd = self._pid = None
        if fd.isdigit():
            self._fd, self._pid = int(fd), os.getppid()
            set_close_exec(self._fd)

    def waits(self):
        """Whether there is one that has not been told yet."""
        return self._fd is not None

    def is_alive(self):
        """Whether there is one that has not ended."""
        return self._pid == os.getppid()

    def tell_ready(self):
        """Tell it that the workers of this master are ready."""
        if self._fd is not None:
            try:
                os.write(self._fd, _READY)
            except EnvironmentError:
                # It has ended.
                pass
            self.close()

    def close(self):
        """Close the pipe without a word; called in workers."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _command():
    """How this program was started."""
    try:
        with open("/proc/self/cmdline", "rb") as source:
            words = source.read().split(b"\0")[:-1]
        return [os.fsdecode(word) if hasattr(os, "fsdecode") else word for word in words]
    except EnvironmentError:
        return getattr(sys, "orig_argv", None) or [sys.executable] + sys.argv
