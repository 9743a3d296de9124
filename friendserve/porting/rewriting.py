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

#: Fixers that are not applied: a second run would take the input() that the first one made of
#: raw_input() for that of Python 2.
_LEFT_OUT = frozenset(("fissix.fixes.fix_input",))


class RewriteError(Exception):
    """Nothing was rewritten: what stands against it, and what to do."""


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
    fixers = [name for name in refactor.get_fixers_from_package("fissix.fixes")
              if name not in _LEFT_OUT]
    # Where print is a statement, print (a, b) prints a tuple. That it is one shows: the file does
    # not parse otherwise, or has the >> that would parse as a shift.
    for function in ([False] if _has_print_chevron(source) else [True, False]):
        tool = refactor.RefactoringTool(fixers, {"print_function": function})
        try:
            # The parser wants a line end at the end.
            tree = tool.refactor_string(source.text + u"\n", source.path)
        except Exception as error:
            problem = error
            continue
        return source.replace([((0, len(source.text)), str(tree)[:-1])])
    raise SourceError("%s cannot be changed to Python 3: %s" % (source.path, problem))


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
    """Lines of a file of any encoding, with their ends."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return [line + u"\n" for line in text.split(u"\n")[:-1]] + (
        [text.split(u"\n")[-1]] if not text.endswith(u"\n") and text else [])


def write_file(path, data):
    """Replace the contents of a file at once. It keeps its mode, and links to it stay."""
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
    """Raise RewriteError if one of these files lies in a tree of git that has changes which are not
    committed. Files that git does not know count if they are among `paths`."""
    for top in sorted(set(filter(None, map(_find_top, paths)))):
        changed = _git(top, "status", "--porcelain", "-z", "-uall")
        ours = set(os.path.realpath(path) for path in paths)
        for entry in (changed or u"").split(u"\0"):
            path = os.path.join(top, entry[3:])
            if entry and (entry[:2] != u"??" or path in ours):
                raise RewriteError(
                    "%s has changes that are not committed.\n"
                    "Commit them, so that git can undo the rewriting, or use --force" % path)


def _find_top(path):
    """The root of the tree of git that contains a file, or None."""
    top = _git(os.path.dirname(os.path.realpath(path)), "rev-parse", "--show-toplevel")
    return top and os.path.realpath(top.rstrip(u"\r\n"))


def _git(folder, *arguments):
    """What a command of git prints, or None if there is no git or it fails."""
    try:
        process = subprocess.Popen(("git", "-C", folder) + arguments, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
    except EnvironmentError:
        return None
    output = process.communicate()[0]
    return output.decode("utf-8", "replace") if process.returncode == 0 else None
