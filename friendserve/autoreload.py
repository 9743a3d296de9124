"""Restarts the program when one of its files has changed. For development only.

No request is refused meanwhile: the server answers those it has accepted, the listening sockets
outlive the restart, and connections wait in the kernel. If the program cannot start, for instance
because of a syntax error, the browser shows the traceback until the error is fixed.

    python -m friendserve.autoreload program.py --port=8888
    python -m friendserve.autoreload -m package.module --port=8888

An Application with `debug` or `autoreload` does this itself as soon as it listens. The command also
survives programs that cannot start the first time, and waits for the next change.

The watched files are those of all imported modules, including modules imported later, loaded
translations, those passed to `watch`, and with an Application the templates and static files in its
settings that it would read only once. On Linux, with the package `inotify_simple` (which the extra
`autoreload` installs), the kernel reports changes; elsewhere the files are checked twice a second.
"""
from __future__ import absolute_import, division, print_function

import functools
import glob
import importlib
import logging
import numbers
import os
import runpy
import signal
import subprocess
import sys
import traceback
import types
import weakref

import six

try:
    from importlib.util import find_spec
except ImportError:  # version: py2
    from pkgutil import find_loader as find_spec
try:
    import resource
except ImportError:     # Windows, where a new program does not inherit files
    resource = None
try:
    import inotify_simple
except ImportError:
    inotify_simple = None

from friendserve.escape import to_unicode, utf8, xhtml_escape
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.iostream import IOStream
from friendserve.locale import loaded_files
from friendserve.log import enable_pretty_logging, gen_log
from friendserve.netutil import add_accept_handler
from friendserve.netutil.passedon import close_waiting, open_sockets, pass_on
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.stack_context import NullContext

__all__ = ["add_reload_hook", "main", "start", "wait", "watch"]

#: Milliseconds between two checks of the files, where the kernel does not report changes.
CHECK_TIME = 500

#: Seconds that requests in progress get before a restart.
_GRACE = 1.0

#: Seconds by which a program should have opened its sockets.
_TIME_TO_LISTEN = 5.0

#: Set if this module, not the user, started the program by its command.
_WRAPPED = "FRIENDSERVE_RELOADED"

_watched = set()
_patterns = set()
_reload_hooks = []
_servers = weakref.WeakSet()
_watcher = None         # the active one
_command = None         # the arguments of main()
_is_wrapped = False     # whether main() was not called by the user
_wraps = True           # whether a program that cannot start is left to main()
_is_over = False        # whether the user has ended the program

# The folder in which the program was started: relative paths in its command and of its modules
# refer to it. This is the earliest moment to ask.
try:
    _folder = os.getcwd()
except EnvironmentError:    # it has been deleted
    _folder = ""


def watch(filename):
    """Also restart when this file, which is not a module, changes. It may also be a pattern such as
    ``data/*.csv``; then also restart when a file that matches it appears or disappears."""
    path = os.path.abspath(filename)
    (_patterns if glob.has_magic(filename) and not os.path.exists(path) else _watched).add(path)
    if _watcher is not None:
        _watcher.refresh()


def add_reload_hook(fn):
    """Call `fn()` before the program is restarted, for instance to close files."""
    _reload_hooks.append(fn)


def drain_first(server):
    """Let a server answer what it has accepted before a restart. Called by each HTTPServer."""
    _servers.add(server)


def keep_command():
    """Restart the program by the command that started it, because that waits for changes itself if
    it fails."""
    global _wraps
    _wraps = False


def end():
    """Called when the user ends the program, which must not be started again."""
    global _is_over
    _is_over = True


def start(io_loop=None, check_time=CHECK_TIME):
    """Start watching on a loop; a later call with another loop moves the watcher there.

    `check_time` is in milliseconds, and is used only where the kernel does not report changes.
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
        io_loop.call_later(_TIME_TO_LISTEN, close_waiting)


def wait(failure=None):
    """Wait for a change, then restart the program, which has ended or failed. Meanwhile, show
    browsers the text of a `failure`."""
    io_loop = IOLoop()
    sockets = open_sockets() if failure else []
    for sock in sockets:
        add_accept_handler(sock, functools.partial(_show, io_loop, failure), io_loop)
    # A module that was missing may appear.
    for folder in _folder, os.curdir:
        watch(os.path.join(folder, "*.py"))
    start(io_loop)
    gen_log.info("Waiting for a file to change")
    try:
        io_loop.start()
    except KeyboardInterrupt:
        sys.exit(130)


_PAGE = u"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<meta name="viewport" content="width=device-width"><title>The program cannot start</title>
<style>
:root { color-scheme: light dark; background: #fff; color: #1c2330; }
@media (prefers-color-scheme: dark) { :root { background: #12161d; color: #e6eaf1; } }
:focus-visible { outline: 3px solid #c33; outline-offset: 2px; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; line-height: 1.3; }
pre { overflow-x: auto; padding: 1em; border-left: 4px solid #c33; background: #8882; }
</style>
<h1>The program cannot start</h1>
<pre>%s</pre>
<p>The program will start again, and replace this page, as soon as one of its files changes.</p>
"""


def _show(io_loop, failure, connection, address):
    """Answer any request with the text of a failure."""
    stream = IOStream(connection, io_loop=io_loop)
    # Time enough to read a request; then the connection is closed in any case.
    io_loop.call_later(_GRACE, stream.close)

    def answer(head):
        is_browser = b"text/html" in head
        body = utf8(_PAGE % xhtml_escape(failure) if is_browser else failure + u"\n")
        stream.write(utf8(
            "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/%s; charset=utf-8\r\n"
            "Content-Length: %d\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n" % (
                "html" if is_browser else "plain", len(body))) + body)

    stream.set_close_callback(lambda: None)
    stream.read_until(b"\r\n\r\n", answer, max_bytes=65536)


def _files():
    """The files of all modules, translations, and those passed to `watch`."""
    files = _watched.union(loaded_files())
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
        self._matches = {}
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
        for pattern in _patterns.difference(self._matches):
            self._matches[pattern] = set(glob.glob(pattern))
            for path in self._matches[pattern]:
                self._stamps.setdefault(path, _stamp(path))

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
        for pattern, before in self._matches.items():
            if set(glob.glob(pattern)) != before:
                gen_log.info("%s matches other files: restarting", pattern)
                _reload()
                return


class _SystemWatcher(_PollingWatcher):
    """Has the kernel report changes in the directories of the files."""

    def __init__(self, io_loop, check_time):
        self.io_loop = io_loop
        self._stamps = {}
        self._matches = {}
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
        for folder in set(os.path.dirname(path) for path in
                          list(self._stamps) + list(self._matches)) - self._folders:
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
    """Restart the program once its servers have answered what they have accepted."""
    watcher, io_loop = _watcher, _watcher.io_loop
    servers = [server for server in _servers if server.io_loop is io_loop]
    if not servers:
        return _restart()
    watcher.stop()
    left = [len(servers)]

    def on_drained():
        left[0] -= 1
        if not left[0]:
            _restart()

    with NullContext():
        for server in servers:
            server.drain(on_drained, idle=0.1, grace=_GRACE)


def _restart():
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
    pass_on()
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
    """The command that starts this program again."""
    if _command is not None:
        return [sys.executable] + subprocess._args_from_interpreter_flags() + _command
    original = getattr(sys, "orig_argv", None)
    if original:
        return [sys.executable] + _wrap(original[1:])
    return [sys.executable] + subprocess._args_from_interpreter_flags() + _wrap(
        _script_arguments(sys.modules["__main__"]))


def _wrap(words):
    """The words of a command, changed so that the command of this module runs the program: it
    survives a program that cannot start. Unchanged if it is not clear what the program is."""
    number = 0
    while number < len(words) and words[number].startswith("-") and words[number] != "-m":
        if words[number][1:2] not in "-WX" and set(words[number]).intersection("cm"):
            return words
        number += 2 if words[number] in ("-W", "-X", "--check-hash-based-pycs") else 1
    program = words[number:]
    if not _wraps or not program or program[0] != "-m" \
            and not os.path.isfile(os.path.join(_folder, program[0])):
        return words
    os.environ[_WRAPPED] = "1"
    return words[:number] + ["-m", "friendserve.autoreload"] + program


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
    global _command, _is_wrapped
    # Not on import, which happens twice.
    _is_wrapped = os.environ.pop(_WRAPPED, None) is not None
    arguments = sys.argv[1:]
    is_module = arguments[:1] == ["-m"]
    if len(arguments) < 1 + is_module or not is_module and arguments[0].startswith("-"):
        sys.stderr.write(_USAGE)
        sys.exit(0 if arguments[:1] in (["-h"], ["--help"]) else 2)
    _command = ["-m", "friendserve.autoreload"] + arguments
    if not _is_wrapped:
        enable_pretty_logging()
    sys.argv = arguments[is_module:]
    missing = _find_nothing(arguments[is_module], is_module)
    if missing and not _is_wrapped:
        sys.stderr.write("%s\n" % missing)
        sys.exit(2)
    try:
        if is_module:
            # run_module inserts the program's name as the first argument.
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
            watch(arguments[0])
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as error:
        if _is_over or _is_wrapped and error.code in (None, 0):
            raise
        _set_up_logging()
        gen_log.info("The program has ended: %s", error)
        _watch_traceback()
        wait(u"The program has ended: %s" % error)
    except Exception:
        _set_up_logging()
        gen_log.error("The program has failed", exc_info=_failure())
        wait_failed()
    if not _is_over and not _is_wrapped:
        gen_log.info("The program has ended")
        wait(u"The program has ended.")


def _find_nothing(name, is_module):
    """Why there is no program with this name, in one line; None if there may be one."""
    if not is_module:
        if os.path.isfile(name) or os.path.isfile(os.path.join(name, "__main__.py")):
            return None
        if os.path.isdir(name):
            return "%s is a folder without a __main__.py" % name
        return "there is no file %s%s" % (
            name, "" if os.path.isabs(name) else " in %s" % os.getcwd())
    try:
        spec = find_spec(name)
    except Exception:
        # A package that cannot be imported may be fixed.
        return None
    return None if spec is not None else "there is no module %s in %s or in sys.path" % (
        name, os.getcwd())


def wait_failed():
    """Like `wait`, after the exception that is being handled: browsers are shown its traceback, and
    its files are watched."""
    _watch_traceback()
    wait(to_unicode("".join(traceback.format_exception(*_failure()))))


def _failure():
    """The exception that is being handled, as from sys.exc_info, without the frames that started
    the program."""
    typ, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_globals.get("__name__") in (__name__, "runpy"):
        trace = trace.tb_next
    return typ, error, trace


def _set_up_logging():
    """Log to the terminal if the program does not log anywhere."""
    if not logging.getLogger().handlers:
        enable_pretty_logging()


def _watch_traceback():
    """Watch the files of the exception that is being handled, and of those that led to it: a module
    whose import failed is not in sys.modules."""
    _, error, trace = sys.exc_info()
    while error is not None:
        for frame in traceback.extract_tb(trace):
            watch(os.path.join(_folder, frame[0]))
        if isinstance(error, SyntaxError) and error.filename:
            watch(error.filename)
        error = getattr(error, "__context__", None)
        trace = getattr(error, "__traceback__", None)


if __name__ == "__main__":
    # Not as __main__: programs import this module by its name, and both must be the same.
    importlib.import_module("friendserve.autoreload").main()
