"""The command line of ``python -m friendserve.porting``."""
from __future__ import absolute_import, division, print_function

import argparse
import io
import json
import sys

import six

from friendserve.porting.alias import VERSION
from friendserve.porting.checking import check_file, find_files, needs_hand
from friendserve.porting.editor import Source, SourceError
from friendserve.porting.installed import find_dependents
from friendserve.porting.knowledge import KINDS
from friendserve.porting.rewriting import (
    RewriteError, make_diff, require_clean, require_fixers, rewrite, write_file)
from friendserve.porting.running import run
from friendserve.porting.templates import SUFFIXES, rename_in_template

_PROGRAM = "python -m friendserve.porting"

_ABOUT = """\
Programs and libraries that were written for Tornado, on friendserve.

  run app.py            runs a program as it is: "import tornado" means friendserve
  check app/            says what differs for it, place by place
  check --installed     says which installed packages require which Tornado
  rewrite app/          shows the program with "import friendserve" in place of "import tornado"
  rewrite app/ --write  changes it
"""

_ABOUT_RUN = """\
Run a program under the alias: "import tornado" means friendserve, in the program and in all that
it imports. Arguments after the program, or after the name that follows -m, are the program's.

  %(program)s run app.py --port=8888
  %(program)s run --package msgpackrpc -m jobs.worker
""" % {"program": _PROGRAM}

_ABOUT_CHECK = """\
Say what in a program needs a hand before it runs on friendserve, one line for each place:

  path:line:column: FS301 tornado.web.RequestHandler._log: what differs, what to do

A comment "# fs: ok" silences its line. The exit status is 1 if something needs a hand, and 2 if
check failed.

%s
""" % "\n".join("  %sxx  %s" % kind for kind in KINDS)

_ABOUT_REWRITE = """\
Replace "tornado" by "friendserve" in import statements, and wherever a name that they bind is used,
in programs (*.py) and in the Python of templates (*.html, *.xml, *.txt and others). Not a byte of
the rest of a file changes; strings and comments stay (check reports the strings that name a
module). Without --write this prints a diff.
"""


def _add_parser(commands, name, summary, about):
    return commands.add_parser(name, help=summary, description=about,
                               formatter_class=argparse.RawDescriptionHelpFormatter)


def make_parser():
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=_ABOUT,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    runner = _add_parser(commands, "run", "run a program under the alias", _ABOUT_RUN)
    runner.add_argument("--version", metavar="V", default=VERSION,
                        help="what tornado.version says (default: %(default)s)")
    runner.add_argument("--package", metavar="NAME", action="append", dest="packages",
                        help="only inside this package; elsewhere, tornado is the installed one "
                             "(may be repeated)")
    runner.add_argument("-m", metavar="MODULE", dest="module",
                        help="run a module by its name, as python -m does")
    runner.add_argument("arguments", nargs="*", metavar="app.py ARGS",
                        help="the program and its arguments")

    checker = _add_parser(commands, "check", "say what needs a hand", _ABOUT_CHECK)
    checker.add_argument("paths", nargs="*", metavar="PATH", help="a file, or a folder of *.py")
    checker.add_argument("--installed", action="store_true",
                         help="look at the installed packages that require tornado")
    checker.add_argument("--alias", action="store_true",
                         help="leave out FS5xx: the program is to run under the alias")
    checker.add_argument("--json", action="store_true", help="print a JSON array")

    rewriter = _add_parser(commands, "rewrite", "change imports to friendserve", _ABOUT_REWRITE)
    rewriter.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a folder")
    rewriter.add_argument("--write", action="store_true", help="change the files")
    rewriter.add_argument("--python3", action="store_true",
                          help="also change them from Python 2 to 3, by the package fissix")
    rewriter.add_argument("--force", action="store_true",
                          help="write even if git has changes that are not committed")
    return parser


def _split_run(arguments):
    """(arguments of `run` itself, those of the program). The program's may look like options."""
    taken, index = [], 0
    while index < len(arguments):
        taken.append(arguments[index])
        index += 1
        if taken[-1] in ("-m", "--version", "--package") and index < len(arguments):
            taken.append(arguments[index])
            index += 1
        if "-m" in taken or not taken[-1].startswith("-") and (
                len(taken) < 2 or taken[-2] not in ("--version", "--package")):
            break
    return taken, arguments[index:]


def main(arguments=None):
    """Carry out a command line (default: that of this process). Return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = make_parser()
    rest = []
    if not arguments:
        parser.print_help()
        return 0
    if arguments[:1] == ["run"]:
        own, rest = _split_run(arguments[1:])
        arguments = ["run"] + own
    options = parser.parse_args(arguments)
    if options.command == "run":
        return _run(parser, options, rest)
    try:
        return _COMMANDS[options.command](parser, options)
    except (RewriteError, EnvironmentError) as error:
        sys.stderr.write("%s\n" % error)
        return 2


def _run(parser, options, rest):
    if options.module is None and not options.arguments:
        parser.error("run what? Give a program: %s run app.py" % _PROGRAM)
    try:
        return run(options.arguments + rest, options.module, options.packages, options.version)
    except (EnvironmentError, ImportError, RuntimeError, ValueError) as error:
        sys.stderr.write("The program was not started: %s\n" % error)
        return 2


def _check(parser, options):
    if options.installed == bool(options.paths):
        parser.error("check what? Give paths, or --installed: %s check app/" % _PROGRAM)
    if options.installed:
        return _check_installed(options)
    found = []
    for path in find_files(options.paths):
        found.extend(check_file(path, options.alias))
    if options.json:
        _print(json.dumps([dict(finding._asdict(), needs_hand=needs_hand(finding))
                           for finding in found], indent=1, sort_keys=True))
    else:
        for finding in found:
            _print("%s:%d:%d: %s %s: %s" % finding)
    return 1 if any(map(needs_hand, found)) else 0


def _check_installed(options):
    installed, dependents = find_dependents()
    if options.json:
        _print(json.dumps({"tornado": installed, "dependents": [
            dependent._asdict() for dependent in dependents]}, indent=1, sort_keys=True))
    else:
        _print("Tornado %s is installed." % installed if installed else
               "Tornado is not installed.")
        for dependent in dependents:
            _print(_describe(dependent))
    return 1 if any(dependent.conflicts and not (dependent.admits and not dependent.findings)
                    for dependent in dependents) else 0


def _describe(dependent):
    line = "%s %s: tornado%s%s" % (dependent.name, dependent.version, dependent.pin,
                                   ", which conflicts" if dependent.conflicts else "")
    if not dependent.admits:
        return line + "\n    needs Tornado 6 or newer, which friendserve does not replace"
    line += "\n    friendserve.porting.alias(packages=[%s])" % ", ".join(
        '"%s"' % package for package in dependent.packages)
    if dependent.findings:
        return line + "\n    needs a hand at %d place%s; check says which" % (
            dependent.findings, "s"[dependent.findings == 1:])
    return line + "\n    check finds nothing that needs a hand"


def _rewrite(parser, options):
    if options.python3:
        require_fixers()
    changes, status = [], 0
    for path in find_files(options.paths, (".py",) + SUFFIXES):
        with io.open(path, "rb") as opened:
            before = opened.read()
        try:
            if path.endswith(SUFFIXES):
                after = rename_in_template(before, "tornado", "friendserve")[0]
            else:
                after = rewrite(Source(before, path), options.python3)
        except SourceError as error:
            sys.stderr.write("%s; it stays as it is\n" % error)
            status = 1
            continue
        if after != before:
            changes.append((path, before, after))
    if options.write and not options.force:
        require_clean([path for path, _, _ in changes])
    for path, before, after in changes:
        if options.write:
            write_file(path, after)
            _print("%s is rewritten" % path)
        else:
            _print(make_diff(path, before, after), end="")
    return status


_COMMANDS = {"check": _check, "rewrite": _rewrite}


def _print(text, end="\n"):
    """Print text, whatever the encoding of standard output."""
    text = text + end
    if not isinstance(text, six.text_type):
        text = text.decode("utf-8", "replace")
    out = getattr(sys.stdout, "buffer", sys.stdout)
    out.write(text.encode("utf-8"))
    sys.stdout.flush()
