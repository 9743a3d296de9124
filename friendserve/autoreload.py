"""Restarts the program when one of its files has changed. For development only.

    python -m friendserve.autoreload program.py --port=8888
    python -m friendserve.autoreload -m package.module --port=8888

An Application with `debug` or `autoreload` does this itself as soon as it listens. The command also
survives programs that fail to start, for instance with a syntax error, and waits for the next
change.

The watched files are those of all imported modules, including modules imported later, and those
passed to `watch`. On Linux, with the package `inotify_simple` (which the extra `autoreload`
installs), the kernel reports changes; elsewhere the files are checked twice a second.
"""
from __future__ import absolute_import, division, print_function

import importlib
import numbers
import os
import runpy
import signal
import subprocess
import sys
import traceback
import types

import six

try:
    import resource
except ImportError:     # Windows, where a new program does not inherit files
    resource = None
try:
    import inotify_simple
except ImportError:
    inotify_simple = None

from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.log import enable_pretty_logging, gen_log
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.stack_context import NullContext

__all__ = ["add_reload_hook", "main", "start", "wait", "watch"]

#: Milliseconds between two checks of the files, where the kernel does not report changes.
CHECK_TIME = 500

_watched = set()
_reload_hooks = []
_watcher = None         # the active one
_command = None         # the arguments of main()

# The folder in which the program was started, to which the relative paths in its command and of its
# modules refer. This is the earliest moment to ask.
try:
    _folder = os.getcwd()
except EnvironmentError:    # it has been deleted
    _folder = ""


def watch(filename):
    """Also restart when this file, which is not a module, changes."""
    _watched.add(os.path.abspath(filename))
    if _watcher is not None:
        _watcher.refresh()


def add_reload_hook(fn):
    """Call `fn()` before the program is restarted, for instance to close files."""
    _reload_hooks.append(fn)


def start(io_loop=None, check_time=CHECK_TIME):
    """Start watching on a loop; a later call with another loop moves the watcher there.

    `check_time` is in milliseconds, and is used only where the files have to be checked.
    """
    global _watcher
    if isinstance(io_loop, numbers.Real):
        # By position, as in Tornado 5.
        io_loop, check_time = None, io_loop
    io_loop = io_loop or IOLoop.current()
    if _watcher is not None:
        if _watcher.io_loop is io_loop:
            return
        _watcher.stop()
    watcher = _SystemWatcher if inotify_simple is not None else _PollingWatcher
    with NullContext():
        _watcher = watcher(io_loop, check_time)


def wait():
    """Wait for a change, then restart the program, which has ended or failed."""
    io_loop = IOLoop()
    start(io_loop)
    gen_log.info("Waiting for a file to change")
    io_loop.start()


def _files():
    """The files of all modules, and those passed to `watch`."""
    files = set(_watched)
    for module in list(sys.modules.values()):
        # Some objects in sys.modules are not modules, and have every attribute.
        path = module.__dict__.get("__file__") if isinstance(module, types.ModuleType) else None
        if path:
            path = os.path.abspath(os.path.join(_folder, path))
            files.add(path[:-1] if path.endswith((".pyc", ".pyo")) else path)
    return files


def _stamp(path):
    """A value that changes with a file; None if it does not exist."""
    try:
        status = os.stat(path)
    except EnvironmentError:
        return None
    return status.st_mtime, status.st_size, status.st_ino


class _PollingWatcher(object):
    """Checks every file periodically."""

    def __init__(self, io_loop, check_time):
        self.io_loop = io_loop
        self._stamps = {}
        self.refresh()
        self._timer = PeriodicCallback(self.check, check_time, io_loop=io_loop)
        self._timer.start()

    def stop(self):
        """Stop watching."""
        self._timer.stop()

    def refresh(self):
        """Add the files of new modules."""
        for path in _files():
            if path not in self._stamps:
                self._stamps[path] = _stamp(path)

    def check(self):
        """Restart if a file has changed."""
        self.refresh()
        for path, before in self._stamps.items():
            now = _stamp(path)
            # A file that is being replaced is missing for a moment: wait for the new one.
            if now != before and now is not None:
                gen_log.info("%s has changed: restarting", path)
                _reload()
                return


class _SystemWatcher(_PollingWatcher):
    """Has the kernel report changes in the directories of the files."""

    def __init__(self, io_loop, check_time):
        self.io_loop = io_loop
        self._stamps = {}
        self._folders = set()
        self._asked = False
        self._inotify = inotify_simple.INotify()
        flags = inotify_simple.flags
        self._flags = (flags.MODIFY | flags.CLOSE_WRITE | flags.CREATE | flags.MOVED_TO
                       | flags.ATTRIB)
        self.refresh()
        io_loop.add_handler(self._inotify, self._on_events, IOLoop.READ)
        # Called for each import from now on; never finds a module itself.
        sys.meta_path.insert(0, self)

    def stop(self):
        sys.meta_path.remove(self)
        self.io_loop.remove_handler(self._inotify)
        self._inotify.close()

    def refresh(self):
        super(_SystemWatcher, self).refresh()
        self._asked = False
        for folder in set(os.path.dirname(path) for path in self._stamps) - self._folders:
            self._folders.add(folder)
            try:
                self._inotify.add_watch(folder, self._flags)
            except (EnvironmentError, ValueError) as error:
                # ValueError: it was closed with its loop.
                gen_log.debug("Cannot watch %s: %s", folder, error)

    def _on_events(self, fd, events):
        self._inotify.read(timeout=0)
        self.check()

    def find_spec(self, name, path=None, target=None):
        """Called as an import hook, from any thread: a new module is about to be loaded."""
        if not self._asked:
            self._asked = True
            self.io_loop.add_callback_from_signal(self.refresh)

    def find_module(self, name, path=None):  # version: py2
        """`find_spec` for Python 2."""
        return self.find_spec(name, path)


def _reload():
    for hook in _reload_hooks:
        try:
            hook()
        except Exception:
            gen_log.error("Error in a reload hook", exc_info=True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if six.PY2:  # version: py2
        _keep_no_files()
    # Timers survive exec, but their signal handlers do not.
    for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"):
        if hasattr(signal, name):
            signal.setitimer(getattr(signal, name), 0)
    command = _command_line()
    try:
        os.chdir(_folder or os.curdir)
    except EnvironmentError as error:
        gen_log.warning("Cannot return to %s: %s", _folder, error)
    os.execv(command[0], command)


def _open_files():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for fd in range(3, limit if 0 < limit < 4096 else 4096):
        try:
            os.fstat(fd)
        except OSError:
            continue
        yield fd


#: On Python 2 a new program inherits all files that are not close-on-exec. Those that the program
#: was started with are passed on; the others are closed.
_given_files = frozenset(_open_files() if six.PY2 else ())  # version: py2


def _keep_no_files():  # version: py2
    for fd in _open_files():
        if fd not in _given_files:
            set_close_exec(fd)


def _command_line():
    """The command that started this program."""
    original = getattr(sys, "orig_argv", None)
    if original and _command is None:
        return [sys.executable] + original[1:]
    flags = subprocess._args_from_interpreter_flags()
    if _command is not None:
        return [sys.executable] + flags + _command
    return [sys.executable] + flags + _script_arguments(sys.modules["__main__"])


def _script_arguments(module):
    spec = getattr(module, "__spec__", None)
    if spec is not None:
        name = spec.name
    elif getattr(module, "__package__", None) is not None:  # version: py2
        name = os.path.splitext(os.path.basename(module.__file__))[0]
        name = module.__package__ + "." + name if module.__package__ else name
    else:
        return sys.argv
    return ["-m", name[:-len(".__main__")] if name.endswith(".__main__") else name] + sys.argv[1:]


_USAGE = """\
Usage: python -m friendserve.autoreload program.py [ARGUMENT ...]
       python -m friendserve.autoreload -m package.module [ARGUMENT ...]

Runs the program, and restarts it whenever one of its files changes.
"""


def main():
    """Run the program that the command line names, and restart it after each change."""
    global _command
    arguments = sys.argv[1:]
    is_module = arguments[:1] == ["-m"]
    if len(arguments) < 1 + is_module or not is_module and arguments[0].startswith("-"):
        sys.stderr.write(_USAGE)
        sys.exit(0 if arguments[:1] in (["-h"], ["--help"]) else 2)
    _command = ["-m", "friendserve.autoreload"] + arguments
    enable_pretty_logging()
    sys.argv = arguments[is_module:]
    try:
        if is_module:
            # run_module inserts the program's name as the first argument.
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
            watch(arguments[0])
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as error:
        gen_log.info("The program has ended: %s", error)
        _watch_traceback()
    except Exception as error:
        gen_log.error("The program has failed", exc_info=True)
        _watch_traceback()
        if isinstance(error, SyntaxError) and error.filename:
            watch(error.filename)
    else:
        gen_log.info("The program has ended")
    wait()


def _watch_traceback():
    """Watch the files of the traceback: a module whose import failed is not in sys.modules."""
    for frame in traceback.extract_tb(sys.exc_info()[2]):
        watch(os.path.join(_folder, frame[0]))


if __name__ == "__main__":
    # Not as __main__: programs import this module by its name, and both must be the same.
    importlib.import_module("friendserve.autoreload").main()
