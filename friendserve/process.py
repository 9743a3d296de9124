"""Child processes: on the loop, with their pipes as streams and a callback when they end; and
copies of this process that serve together, from `fork_processes`.

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
about, one by one, and never for just any child: each is reaped by the part that started it. A
Python handler for SIGCHLD that was installed before is called as well.
"""
from __future__ import absolute_import, division, print_function

import errno
import math
import multiprocessing
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time

from friendserve.awaitable import future_of
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.iostream import PipeIOStream
from friendserve.log import app_log
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.stack_context import NullContext, wrap

_SIGCHLD = getattr(signal, "SIGCHLD", None)

#: Milliseconds after which a loop outside the main thread looks for ended children by itself. Linux
#: sends SIGCHLD to the thread that started the child, but Python handles it in the main thread,
#: which does not notice it while it waits for a lock, for example.
_LOOK_INTERVAL = 100

#: A forked child that dies within this many seconds of its start is replaced after a pause, in
#: seconds: the first, and the longest. Each is twice as long as the one before.
QUICK_DEATH = 1.0
RESTART_PAUSES = (0.1, 5.0)

_task_id = None


def cpu_count():
    """How many CPUs this process may use: those of the machine, as far as the affinity mask of the
    process and the quotas of its control groups (Linux) allow, and at least 1. A quota of one and a
    half CPUs counts as two."""
    count = _allowed_cpus() or multiprocessing.cpu_count()
    quota = _cgroup_quota()
    return count if quota is None else max(1, min(count, int(math.ceil(quota))))


def _read(path):
    """The text of a file, "" if it cannot be read."""
    try:
        with open(path) as source:
            return source.read()
    except EnvironmentError:
        return ""


def _allowed_cpus():
    """The number of CPUs in the affinity mask; 0 where /proc does not tell."""
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("Cpus_allowed:"):
            return bin(int(line.split()[1].replace(",", ""), 16)).count("1")
    return 0


def _cgroup_quota(root="/"):
    """The smallest quota, in CPUs, of the control groups of this process and of those around them;
    None if there is no limit. `root` is the folder of proc/ and sys/."""
    quotas = []
    for line in _read(os.path.join(root, "proc/self/cgroup")).splitlines():
        controllers, path = line.split(":", 2)[1:]
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = os.path.join(root, "sys/fs/cgroup", "cpu" if controllers else "")
        # In a container, the path may be that of the host, and its own group is at the base.
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            folder = os.path.join(base, *parts[:depth])
            if controllers:
                limit = [_read(os.path.join(folder, name)).strip()
                         for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
            else:
                limit = _read(os.path.join(folder, "cpu.max")).split()
            if len(limit) == 2 and limit[0].isdigit() and limit[1].isdigit():
                quotas.append(int(limit[0]) / max(1, int(limit[1])))
    return min(quotas) if quotas else None


def task_id():
    """The number of this process among those made by `fork_processes`, from 0; None in others."""
    return _task_id


def fork_processes(num_processes, max_restarts=100):
    """Continue in `num_processes` copies of this process (None or 0: `cpu_count`).

    Returns in each of them, with its number from 0 as in `task_id` and with newly seeded random
    numbers. Never returns in the parent, which only waits. It replaces a child that was killed or
    ended with a status other than 0; the new one has the same number. When all have ended with 0,
    the parent ends by ``sys.exit(0)``. Children that die right after their start are replaced after
    pauses, see `RESTART_PAUSES`. When that would be more than `max_restarts` replacements in all,
    the others are stopped and RuntimeError is raised.

    SIGTERM to the parent is passed on to the children, and when they have ended, the parent ends by
    this signal too; a second SIGTERM kills them. An exception in the parent, as from Ctrl-C, stops
    them too. Other children of the parent are not waited for.

    Call it in the main thread, before there is a loop: raises RuntimeError if a loop was made, or
    in a child, and NotImplementedError on Windows.
    """
    if not hasattr(os, "fork"):
        raise NotImplementedError("this system has no fork: start several processes instead")
    if _task_id is not None:
        raise RuntimeError("this is already child %d of fork_processes" % _task_id)
    loop = IOLoop.current(instance=False)
    if loop is None and IOLoop.initialized():
        loop = IOLoop.instance()
    if loop is not None:
        raise RuntimeError(
            "a loop was made at %s, before the fork, and cannot be shared by several processes: "
            "call fork_processes, or start() with several processes, before anything that needs "
            "a loop" % getattr(loop, "_made_at", "an unknown place"))
    if num_processes is None or num_processes <= 0:
        num_processes = cpu_count()
    app_log.info("Starting %d processes", num_processes)
    return _Family(max_restarts).run(num_processes)


class _Family(object):
    """The parent of `fork_processes`, and its children."""

    def __init__(self, max_restarts):
        self._parent = os.getpid()
        self._restarts_left = max_restarts
        self._children = {}     # pid -> (number, start time)
        self._due = []          # (time, number) of those to start
        self._pauses = {}       # number -> the pause after its next quick death
        self._stopping = 0      # how many times SIGTERM arrived
        self._previous = {}     # signal -> handler
        # Its bytes end the wait: since PEP 475, `select` itself resumes after a signal.
        self._reader, self._writer = os.pipe()
        # Readable once SIGTERM has arrived; see `_begin_child`.
        self._stop_reader, self._stop_writer = os.pipe()
        for fd in self._fds():
            set_close_exec(fd)

    def _fds(self):
        return self._reader, self._writer, self._stop_reader, self._stop_writer

    def run(self, count):
        """Start the children, and return the number in each; never returns in the parent."""
        try:
            for signum in (_SIGCHLD, signal.SIGTERM):
                if signal.getsignal(signum) not in (signal.SIG_IGN, None) or signum == _SIGCHLD:
                    self._previous[signum] = signal.signal(signum, self._on_signal)
            self._due = [(0, number) for number in range(count)]
            while self._children or self._due and not self._stopping:
                number = self._start_due()
                if number is not None:
                    return number
                self._wait()
                self._look()
        except BaseException:
            if os.getpid() == self._parent:
                self._stop_all()
                self._leave()
            raise
        self._leave()
        if self._stopping:
            os.kill(self._parent, signal.SIGTERM)
        sys.exit(0)

    def _on_signal(self, signum, frame):
        if os.getpid() != self._parent:
            # A child that has just been forked, and still has the parent's handlers.
            self._leave()
            os.kill(os.getpid(), signum)
            return
        if signum == signal.SIGTERM:
            self._stopping += 1
            os.write(self._stop_writer, b".")
            self._tell(signal.SIGTERM if self._stopping == 1 else signal.SIGKILL)
        os.write(self._writer, b".")

    def _tell(self, signum):
        for pid in list(self._children):
            # Not yet reaped, so its number belongs to no other process.
            os.kill(pid, signum)

    def _leave(self):
        self._restore_handlers()
        if self._reader is not None:
            for fd in self._fds():
                os.close(fd)
            self._reader = None

    def _restore_handlers(self):
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _begin_child(self):
        # A signal that arrives just before its handler is replaced is lost with the old one.
        self._restore_handlers()
        is_stopping = self._reader is not None and select.select(
            [self._stop_reader], [], [], 0)[0]
        self._leave()
        if is_stopping:
            os.kill(os.getpid(), signal.SIGTERM)

    def _start_due(self):
        """Start the children that are due. Returns the number in a child, None in the parent."""
        global _task_id
        now = time.time()
        while self._due and not self._stopping and self._due[0][0] <= now:
            number = self._due.pop(0)[1]
            # Otherwise each child would write it.
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if not pid:
                self._begin_child()
                _task_id = number
                random.seed()
                return number
            self._children[pid] = number, now
            if self._stopping:
                os.kill(pid, signal.SIGTERM)
        return None

    def _wait(self):
        timeout = None
        if self._due and not self._stopping:
            timeout = max(0, self._due[0][0] - time.time())
        try:
            if select.select([self._reader], [], [], timeout)[0]:
                os.read(self._reader, 1024)
        except (EnvironmentError, select.error) as error:
            if error.args[0] != errno.EINTR:
                raise

    def _look(self):
        """Reap children that have ended, and plan their replacements."""
        for pid in list(self._children):
            ended, returncode = _reap(pid)
            if not ended:
                continue
            number, started = self._children.pop(pid)
            if returncode == 0 or self._stopping:
                app_log.info("Child %d (process %d) ended", number, pid)
                continue
            reason = ("for an unknown reason" if returncode is None
                      else "by signal %d" % -returncode if returncode < 0
                      else "with status %d" % returncode)
            if not self._restarts_left:
                raise RuntimeError("child %d (process %d) ended %s, and no restarts are left: "
                                   "giving up" % (number, pid, reason))
            self._restarts_left -= 1
            self._plan(number, pid, reason, time.time() - started)

    def _plan(self, number, pid, reason, age):
        pause = 0
        if age < QUICK_DEATH:
            pause = self._pauses.get(number, RESTART_PAUSES[0])
            self._pauses[number] = min(2 * pause, RESTART_PAUSES[1])
            app_log.error("Child %d (process %d) ended %s right after its start; the next one "
                          "starts in %g s", number, pid, reason, pause)
        else:
            self._pauses.pop(number, None)
            app_log.warning("Child %d (process %d) ended %s; it is replaced", number, pid, reason)
        self._due.append((time.time() + pause, number))
        self._due.sort()

    def _stop_all(self):
        """Stop the children, and wait for them; a second SIGTERM or Ctrl-C kills them."""
        self._stopping = max(1, self._stopping)
        self._tell(signal.SIGTERM)
        while self._children:
            try:
                self._wait()
                self._look()
            except KeyboardInterrupt:
                self._tell(signal.SIGKILL)


def add_child_handler(pid, callback, io_loop=None):
    """Call `callback(pid, returncode)` on `io_loop` (default: the current loop), once, after the
    child process `pid` of this process has ended, even if it has ended already.

    `returncode` is the exit status, or the negative number of the signal that killed the child; or
    None if it was reaped elsewhere, or is not a child. This reaps the child: do not also wait for
    it.

    Only for the loop's thread. If that is not the main thread, call `Subprocess.initialize` there
    first; otherwise this raises ValueError. It also raises that if `pid` has a handler on this
    loop. Raises RuntimeError if SIGCHLD is ignored, NotImplementedError on Windows.
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
        #: The exit status, or the negative number of a signal; None until the exit callback is
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
        """Call `callback(returncode)` after the process has ended. With `raise_error`, if the code
        is neither 0 nor unknown, call `on_error` instead, if given, with a
        subprocess.CalledProcessError. Without callbacks, return a Future. Raises as
        `add_child_handler` does."""
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
            # It belongs to the parent process; the next SIGCHLD would remove it here.
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
