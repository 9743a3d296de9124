"""Starts the program anew when one of its files has changed. For development only.

    python -m friendserve.autoreload program.py --port=8888
    python -m friendserve.autoreload -m package.module --port=8888

An Application with `debug` or `autoreload` does it by itself as soon as it listens; the command
also outlives programs that fail to start, with a syntax error for instance, and waits for the next
change.

Where the system can tell of changes (Linux, with the package `inotify_simple`, which the extra
`autoreload` installs) nothing is polled; elsewhere the files are looked at twice a second. All
files of imported modules count, also of those that are imported later, and those given to `watch`.
"""
from __future__ import absolute_import, division, print_function

import importlib
import os
import runpy
import subprocess
import sys
import traceback
import types

import six

try:
    import resource
except ImportError:     # Windows, where no file is passed on
    resource = None
try:
    import inotify_simple
except ImportError:
    inotify_simple = None

from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.log import enable_pretty_logging, gen_log
from friendserve.platform.pollers.auto import set_close_exec

__all__ = ["add_reload_hook", "main", "start", "wait", "watch"]

#: Milliseconds between two looks at the files, where the system does not tell.
CHECK_TIME = 500

_watched = set()
_reload_hooks = []
_watcher = None         # the one that runs
_command = None         # what main() was called with


def watch(filename):
    """Start anew also when this file, of no module, changes."""
    _watched.add(os.path.abspath(filename))
    if _watcher is not None:
        _watcher.refresh()


def add_reload_hook(fn):
    """Call `fn()` before the program is started anew: to close what would be left open."""
    _reload_hooks.append(fn)


def start(io_loop=None, check_time=CHECK_TIME):
    """Begin to watch, on a loop; a second call with another loop goes over to that.

    `check_time` is in milliseconds and counts where the files have to be looked at.
    """
    global _watcher
    io_loop = io_loop or IOLoop.current()
    if _watcher is not None:
        if _watcher.io_loop is io_loop:
            return
        _watcher.stop()
    watcher = _SystemWatcher if inotify_simple is not None else _PollingWatcher
    _watcher = watcher(io_loop, check_time)


def wait():
    """Wait for a change, then start the program anew: for one that has ended or failed."""
    io_loop = IOLoop()
    start(io_loop)
    gen_log.info("Waiting for a change of its files")
    io_loop.start()


def _files():
    """The files of all modules, and those that were given to `watch`."""
    files = set(_watched)
    for module in list(sys.modules.values()):
        # Some objects in there are no modules and answer to every name.
        path = module.__dict__.get("__file__") if isinstance(module, types.ModuleType) else None
        if path:
            path = os.path.abspath(path)
            files.add(path[:-1] if path.endswith((".pyc", ".pyo")) else path)
    return files


def _stamp(path):
    """What changes with a file; None for one that is not there."""
    try:
        status = os.stat(path)
    except EnvironmentError:
        return None
    return status.st_mtime, status.st_size, status.st_ino


class _PollingWatcher(object):
    """Looks at every file again and again."""

    def __init__(self, io_loop, check_time):
        self.io_loop = io_loop
        self._stamps = {}
        self.refresh()
        self._timer = PeriodicCallback(self.check, check_time, io_loop=io_loop)
        self._timer.start()

    def stop(self):
        """Watch no more."""
        self._timer.stop()

    def refresh(self):
        """Look at files that were not known."""
        for path in _files():
            if path not in self._stamps:
                self._stamps[path] = _stamp(path)

    def check(self):
        """Start anew if a file is not what it was."""
        self.refresh()
        for path, before in self._stamps.items():
            now = _stamp(path)
            # A file that is being replaced is gone for a moment: wait for the new one.
            if now != before and now is not None:
                gen_log.info("%s has changed: starting anew", path)
                _reload()
                return


class _SystemWatcher(_PollingWatcher):
    """Is told by the kernel of changes in the folders of the files."""

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
        io_loop.add_handler(self._inotify.fileno(), self._on_events, IOLoop.READ)
        # Asked for every module that is imported from now on; knows none.
        sys.meta_path.insert(0, self)

    def stop(self):
        sys.meta_path.remove(self)
        self.io_loop.remove_handler(self._inotify.fileno())
        self._inotify.close()

    def refresh(self):
        super(_SystemWatcher, self).refresh()
        self._asked = False
        for folder in set(os.path.dirname(path) for path in self._stamps) - self._folders:
            self._folders.add(folder)
            try:
                self._inotify.add_watch(folder, self._flags)
            except EnvironmentError as error:
                gen_log.debug("Cannot watch %s: %s", folder, error)

    def _on_events(self, fd, events):
        self._inotify.read(timeout=0)
        self.check()

    def find_spec(self, name, path=None, target=None):
        """As an import hook: there is a new module soon. Imports may come from any thread."""
        if not self._asked:
            self._asked = True
            self.io_loop.add_callback_from_signal(self.refresh)

    def find_module(self, name, path=None):  # version: py2
        """The same for Python 2."""
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
    command = _command_line()
    os.execv(command[0], command)


def _open_files():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for fd in range(3, limit if 0 < limit < 4096 else 4096):
        try:
            os.fstat(fd)
        except OSError:
            continue
        yield fd


#: On Python 2 a new program gets every file of the old one, unless it is told otherwise. Those that
#: the program was itself started with, it shall get again.
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

Runs the program, and starts it anew whenever one of its files has changed.
"""


def main():
    """Run the program that the command line names, and start it anew after each change."""
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
            # Its own name is put in front by what runs it.
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
    """A module that fails while it is imported is none: watch its file all the same."""
    for frame in traceback.extract_tb(sys.exc_info()[2]):
        watch(frame[0])


if __name__ == "__main__":
    # Not as __main__: programs import the module by its name, and there must be one of it.
    importlib.import_module("friendserve.autoreload").main()
