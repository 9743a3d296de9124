"""Running a program under the alias, otherwise as ``python app.py`` would run it."""
from __future__ import absolute_import, division, print_function

import io
import os
import runpy
import subprocess
import sys
import types

from friendserve.porting.alias import VERSION, alias

#: Modules whose frames at the beginning of a traceback are not the program's.
_OURS = frozenset((os.path.splitext(os.path.abspath(__file__))[0],
                   os.path.splitext(runpy.__file__)[0]))

#: What Python exits with when the user interrupts it.
_INTERRUPTED = 130


def run(arguments, module=None, packages=None, version=None):
    """Run a program under the alias, as `__main__`. Return its exit status.

    `arguments`: the path of the program and its arguments, or only these if `module`, its dotted
    name, is given. `packages` and `version` as for `alias`. SystemExit passes through; the
    traceback of another exception is printed without the frames of this package, and the status is
    1. OSError or ImportError is raised if there is no such program.
    """
    alias(packages, version or VERSION)
    if module is None:
        path = arguments[0]
        with io.open(path, "rb") as opened:
            source = opened.read()
    _remember_command(arguments, module, packages, version)
    try:
        if module is not None:
            sys.argv[:] = [module] + arguments
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            sys.argv[:] = arguments
            _run_file(path, source)
    except SystemExit:
        raise
    except BaseException:
        kind, error, trace = sys.exc_info()
        trace = _skip_our_frames(trace)
        if trace is None and issubclass(kind, ImportError):
            raise       # there is no such module
        if hasattr(error, "__traceback__"):
            error.__traceback__ = trace
        sys.excepthook(kind, error, trace)
        return _INTERRUPTED if issubclass(kind, KeyboardInterrupt) else 1
    return 0


def _remember_command(arguments, module, packages, version):
    """Have `autoreload` also restart the program under the alias, on Pythons that do not keep the
    command line themselves."""
    if hasattr(sys, "orig_argv"):
        return
    command = ["-m", "friendserve.porting", "run"]
    for package in packages or ():
        command += ["--package", package]
    if version is not None:
        command += ["--version", version]
    if module is not None:
        command += ["-m", module]
    sys.orig_argv = [sys.executable] + subprocess._args_from_interpreter_flags() \
        + command + list(arguments)


def _run_file(path, source):
    if not getattr(sys.flags, "safe_path", False):
        # In place of the current folder, which `python -m` has put there.
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    main = types.ModuleType("__main__")
    main.__file__ = os.path.abspath(path) if sys.version_info >= (3, 9) else path
    main.__builtins__ = sys.modules["builtins" if sys.version_info[0] > 2 else "__builtin__"]
    # The code below may still need the module that is replaced.
    _run_file.kept = sys.modules["__main__"]
    sys.modules["__main__"] = main
    exec(compile(source, main.__file__, "exec", 0, True), main.__dict__)


def _skip_our_frames(trace):
    """The part of a traceback that begins in the program, or None if it never got there."""
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if os.path.splitext(os.path.abspath(path))[0] not in _OURS and "<frozen" not in path:
            break
        trace = trace.tb_next
    return trace
