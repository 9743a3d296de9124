"""``python -m friendserve.testing``: runs tests, with this package's options."""
from __future__ import absolute_import, division, print_function

import sys
import unittest

from friendserve.ioloop import IOLoop
from friendserve.options import define, options, parse_command_line

_FLAGS = (
    ("exception_on_interrupt", True, "end with a traceback on Ctrl-C"),
    ("verbose", False, "name each test"),
    ("quiet", False, "print only the outcome"),
    ("failfast", False, "stop at the first failure"),
    ("catch", False, "on Ctrl-C, finish the current test first"),
    ("buffer", False, "show what a test prints only if it fails"),
)


def main(**kwargs):
    """Run tests, and exit: 0 if all have passed.

        if __name__ == "__main__":
            friendserve.testing.main()

    Arguments of the command line that are not options name tests, as for unittest; without any, the
    function or suite `all` of the main module is run. Options of `friendserve.options`, such as
    ``--logging``, are accepted too. `kwargs` are those of unittest.main.
    """
    for name, default, help in _FLAGS:
        if name not in options:
            define(name, default, type=bool, help=help, group="tests")
    names = parse_command_line(sys.argv)
    if options.verbose:
        kwargs.setdefault("verbosity", 2)
    if options.quiet:
        kwargs.setdefault("verbosity", 0)
    if options.failfast:
        kwargs["failfast"] = True
    if options.catch:
        kwargs["catchbreak"] = True
    if options.buffer:
        kwargs["buffer"] = True
    kwargs.setdefault("module", None if names else "__main__")
    if not names:
        kwargs.setdefault("defaultTest", "all")
    try:
        unittest.main(argv=[sys.argv[0]] + names, **kwargs)
    except KeyboardInterrupt:
        if options.exception_on_interrupt:
            raise
        sys.exit("interrupted")
    finally:
        IOLoop.clear_current()
