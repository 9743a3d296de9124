"""Changing the imports of a program from Tornado to this package, and nothing else in it."""
from __future__ import absolute_import, division, print_function

import difflib
import os
import shutil
import subprocess
import tempfile
import tokenize

try:
    from fissix import refactor
except ImportError:
    refactor = None

from friendserve.porting.editor import Source, SourceError, rename_package

#: Fixers that find something only in programs for Python 2, and nothing in their own output. The
#: others are less certain: they mistake the d.items() that d.iteritems() became for that of Python
#: 2. So a program is left alone if neither these nor _OLD_NAMES find anything in it.
_SURE = ["fissix.fixes.fix_" + name for name in (
    "basestring", "except", "exec", "execfile", "getcwdu", "has_key", "imports", "imports2",
    "intern", "itertools", "itertools_imports", "long", "methodattrs", "ne", "numliterals",
    "print", "raise", "raw_input", "reduce", "repr", "standarderror", "sys_exc", "throw",
    "tuple_params", "types", "urllib", "xrange")]
_OLD_NAMES = frozenset((
    "iteritems", "iterkeys", "itervalues", "unichr", "unicode", "viewitems", "viewkeys",
    "viewvalues"))


class RewriteError(Exception):
    """Nothing was rewritten; the text says why, and what to do."""


def rewrite(source, python3=False):
    """The source with the names of Tornado's modules replaced, as bytes. With `python3`, also
    changed from Python 2 to 3 by the fixers of fissix. Raises SourceError."""
    data = rename_package(source, "tornado", "friendserve")[0]
    return _to_python3(Source(data, source.path)) if python3 else data


def require_fixers():
    """Raise RewriteError if fissix is not installed."""
    if refactor is None:
        raise RewriteError("--python3 needs the package fissix, on Python 3.8 or newer.\n"
                           "Install it: python -m pip install friendserve[py3]")


def _to_python3(source):
    # Where print is a statement, print (a, b) prints a tuple. It is a statement if the file does
    # not parse otherwise, or has a >> that would parse as a shift.
    for function in ([False] if _has_print_chevron(source) else [True, False]):
        try:
            if _fix(source, True, function) == source.text \
                    and not any(token.text in _OLD_NAMES for token in source.code):
                return source.replace([])
            text = _fix(source, False, function)
        except Exception as error:
            problem = error
            continue
        return source.replace([((0, len(source.text)), text)])
    raise SourceError("%s cannot be changed to Python 3: %s" % (source.path, problem))


def _fix(source, sure, function):
    # The parser wants a line end at the end.
    return str(_make_tool(sure, function).refactor_string(source.text + u"\n", source.path))[:-1]


def _make_tool(sure, function, made={}):
    """A tool with the sure fixers, or all; `function`: whether print is a function."""
    if (sure, function) not in made:
        made[sure, function] = refactor.RefactoringTool(
            _SURE if sure else refactor.get_fixers_from_package("fissix.fixes"),
            {"print_function": function})
    return made[sure, function]


def _has_print_chevron(source):
    return any(token.kind == tokenize.NAME and token.text == "print" and after.text == ">>"
               for token, after in zip(source.code, source.code[1:]))


def make_diff(path, before, after):
    """The unified diff of two versions of a file, as text."""
    lines = [_split(data) for data in (before, after)]
    return u"".join(
        line if line.endswith(u"\n") else line + u"\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(lines[0], lines[1], path, path))


def _split(data):
    """The lines of a file in any encoding, with their ends."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return [line + u"\n" for line in text.split(u"\n")[:-1]] + (
        [text.split(u"\n")[-1]] if not text.endswith(u"\n") and text else [])


def write_file(path, data):
    """Replace the contents of a file atomically. It keeps its mode, and links to it still work."""
    path = os.path.realpath(path)
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(data)
        shutil.copymode(path, temporary)
        getattr(os, "replace", os.rename)(temporary, path)  # version: py2
    except BaseException:
        os.unlink(temporary)
        raise


def require_clean(paths):
    """Raise RewriteError if one of these files is in a git tree with uncommitted changes. Files
    that git does not track count if they are among `paths`."""
    for top in sorted(set(filter(None, map(_find_top, paths)))):
        changed = _git(top, "status", "--porcelain", "-z", "-uall")
        ours = set(os.path.realpath(path) for path in paths)
        for entry in (changed or u"").split(u"\0"):
            path = os.path.join(top, entry[3:])
            if entry and (entry[:2] != u"??" or path in ours):
                raise RewriteError(
                    "%s has uncommitted changes.\n"
                    "Commit them, so that git can undo the rewriting, or use --force" % path)


def _find_top(path):
    """The root of the git tree that contains a file, or None."""
    top = _git(os.path.dirname(os.path.realpath(path)), "rev-parse", "--show-toplevel")
    return top and os.path.realpath(top.rstrip(u"\r\n"))


def _git(folder, *arguments):
    """The output of a git command, or None if there is no git or it fails."""
    try:
        process = subprocess.Popen(("git", "-C", folder) + arguments, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
    except EnvironmentError:
        return None
    output = process.communicate()[0]
    return output.decode("utf-8", "replace") if process.returncode == 0 else None
