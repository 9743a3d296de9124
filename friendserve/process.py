"""Child processes on the loop: their pipes as streams, and a callback when they end.

    from friendserve.ioloop import IOLoop
    from friendserve.process import Subprocess

    def show(data):
        print(data.decode())
        child.set_exit_callback(lambda returncode: loop.stop())

    loop = IOLoop.instance()
    child = Subprocess(["sort"], stdin=Subprocess.STREAM, stdout=Subprocess.STREAM)
    child.stdout.read_until_close(show)
    child.stdin.write(b"pears\\napples\\n", child.stdin.close)
    loop.start()

Other parts of a program may have children too. So this module waits for the processes it was told
of, one by one, and never for any child: each is reaped by the part that has started it. A Python
handler for SIGCHLD that was installed before is called as well.
"""
from __future__ import absolute_import, division, print_function

import errno
import os
import signal
import subprocess
import threading

from friendserve.awaitable import future_of
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.iostream import PipeIOStream
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.stack_context import NullContext, wrap

_SIGCHLD = getattr(signal, "SIGCHLD", None)

#: Milliseconds after which a loop outside the main thread looks for ended children by itself. Linux
#: sends SIGCHLD to the thread that has started the child, but Python handles it in the main thread,
#: which does not notice it while it waits for a lock, for example.
_LOOK_INTERVAL = 100


def add_child_handler(pid, callback, io_loop=None):
    """Call `callback(pid, returncode)` on `io_loop` (default: the current loop), once, after the
    child process `pid` of this process has ended, also if it had ended before.

    `returncode` is the exit status, or the negative number of the signal that killed the child; or
    None if it was reaped elsewhere, or is no child. This reaps the child: do not also wait for it.

    Only for the loop's thread. If that is not the main thread, call `Subprocess.initialize` there
    first, otherwise this raises ValueError; so it does if `pid` has a handler on this loop. Raises
    RuntimeError if SIGCHLD is ignored, NotImplementedError on Windows.
    """
    _children_of(io_loop or IOLoop.current()).add(pid, callback)


def remove_child_handler(pid, io_loop=None):
    """No longer wait for the child `pid`, which is then reaped by the caller. Harmless if it has
    ended, or had no handler."""
    _children_of(io_loop or IOLoop.current()).remove(pid)


def _children_of(loop):
    children = loop.attachments.get(__name__)
    if children is None:
        children = loop.attachments[__name__] = _Children(loop)
    return children


class _Children(object):
    """The child processes that a loop waits for. It handles SIGCHLD while there are any."""

    def __init__(self, loop):
        self._loop = loop
        self._callbacks = {}    # pid -> callback
        self._handle = None
        self._looks = PeriodicCallback(self._check_all, _LOOK_INTERVAL, loop)

    def add(self, pid, callback):
        if pid in self._callbacks:
            raise ValueError("process %d already has a handler" % pid)
        if not callable(callback):
            raise TypeError("a callback must be a callable, not %r" % (callback,))
        _check_signal()
        callback = wrap(callback)
        with NullContext():
            if self._handle is None:
                self._handle = self._loop.add_signal_handler(_SIGCHLD, self._check_all)
            # It may have ended before there was a handler.
            self._loop.add_callback(self._check, pid)
            if not isinstance(threading.current_thread(), threading._MainThread):
                self._looks.start()
        self._callbacks[pid] = callback

    def remove(self, pid):
        self._callbacks.pop(pid, None)
        if not self._callbacks and self._handle is not None:
            self._loop.remove_signal_handler(self._handle)
            self._handle = None
            self._looks.stop()

    def _check_all(self):
        for pid in list(self._callbacks):
            self._check(pid)

    def _check(self, pid):
        callback = self._callbacks.get(pid)
        if callback is None:
            return
        ended, returncode = _reap(pid)
        if ended:
            self.remove(pid)
            self._loop.add_callback(callback, pid, returncode)


def _check_signal():
    if _SIGCHLD is None:
        raise NotImplementedError("this system does not signal the end of a child process")
    if signal.getsignal(_SIGCHLD) == signal.SIG_IGN:
        raise RuntimeError("SIGCHLD is ignored, so the system does not tell how a child ended; "
                           "set signal.signal(signal.SIGCHLD, signal.SIG_DFL)")


def _reap(pid):
    """Whether the child has ended, and its return code, None if unknown."""
    while True:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except EnvironmentError as error:
            if error.errno == errno.EINTR:
                continue
            if error.errno == errno.ECHILD:
                return True, None
            raise
        if not found:
            return False, None
        if os.WIFSIGNALED(status):
            return True, -os.WTERMSIG(status)
        return True, os.WEXITSTATUS(status)


def _ignore():
    pass


class Subprocess(object):
    """A `subprocess.Popen` whose pipes are streams.

    Takes the arguments of Popen, and `io_loop` (default: the current loop). `stdin`, `stdout` and
    `stderr`, given by keyword, may be `Subprocess.STREAM`: then the attribute of that name is a
    PipeIOStream, otherwise it is that of the Popen. Raises what Popen raises; then nothing is left
    open.
    """
    #: For `stdin`, `stdout`, `stderr`: a pipe with a stream on our side.
    STREAM = object()

    _sigchld = None

    def __init__(self, *args, **kwargs):
        self.io_loop = kwargs.pop("io_loop", None) or IOLoop.current()
        #: The exit status, or the negative number of a signal; None before the exit callback was
        #: called, and if the process was reaped elsewhere.
        self.returncode = None
        self._exit_callbacks = []
        self._command = kwargs.get("args", args[0] if args else None)
        ours, theirs = {}, []
        try:
            for name in ("stdin", "stdout", "stderr"):
                if kwargs.get(name) is self.STREAM:
                    ends = os.pipe()
                    theirs.append(ends[name != "stdin"])
                    ours[name] = ends[name == "stdin"]
                    kwargs[name] = theirs[-1]
                    for fd in ends:
                        set_close_exec(fd)
            #: The Popen. Do not wait for it or poll it if there is an exit callback.
            self.proc = subprocess.Popen(*args, **kwargs)
        except BaseException:
            for fd in ours.values():
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self.pid = self.proc.pid
        for name in ("stdin", "stdout", "stderr"):
            setattr(self, name, PipeIOStream(ours[name], self.io_loop) if name in ours
                    else getattr(self.proc, name))

    def set_exit_callback(self, callback):
        """Call `callback(returncode)` once, on the loop, after the process has ended; it may have
        ended before. Further calls add callbacks. Raises as `add_child_handler` does."""
        self._exit_callbacks.append(wrap(callback))
        if self.returncode is not None:
            self.io_loop.add_callback(self._call_back)
        elif len(self._exit_callbacks) == 1:
            try:
                with NullContext():
                    add_child_handler(self.pid, self._on_exit, self.io_loop)
            except BaseException:
                self._exit_callbacks.pop()
                raise

    def wait_for_exit(self, raise_error=True, callback=None, on_error=None):
        """Call `callback(returncode)` after the process has ended; or, with `raise_error` and
        unless that is 0 or unknown, `on_error` with a subprocess.CalledProcessError, if given.
        Without both, return a Future. Raises as `add_child_handler` does."""
        if callback is None and on_error is None:
            return future_of(self.wait_for_exit, raise_error)

        def ended(returncode):
            if returncode and raise_error:
                if on_error is not None:
                    on_error(subprocess.CalledProcessError(returncode, self._command))
            elif callback is not None:
                callback(returncode)
        self.set_exit_callback(ended)

    def _on_exit(self, pid, returncode):
        if returncode is None:
            # Unknown, unless this Popen was polled.
            returncode = self.proc.returncode
        self.returncode = self.proc.returncode = returncode
        self._call_back()

    def _call_back(self):
        callbacks, self._exit_callbacks = self._exit_callbacks, []
        for callback in callbacks:
            self.io_loop.add_callback(callback, self.returncode)

    @classmethod
    def initialize(cls, io_loop=None):
        """Handle SIGCHLD until `uninitialize`. Call it in the main thread if loops of other
        threads have children; otherwise it is not needed. `io_loop`: one that lives as long."""
        if cls._sigchld is not None and cls._sigchld[0].is_inherited():
            # That is the parent's, and the next SIGCHLD here takes it out.
            cls.uninitialize()
        if cls._sigchld is None:
            _check_signal()
            loop = io_loop or IOLoop.current()
            Subprocess._sigchld = loop, loop.add_signal_handler(_SIGCHLD, _ignore)

    @classmethod
    def uninitialize(cls):
        """Undo `initialize`."""
        if cls._sigchld is not None:
            loop, handle = cls._sigchld
            Subprocess._sigchld = None
            loop.remove_signal_handler(handle)
