"""The IOLoop as a positional argument, as in Tornado up to 4.5."""
from __future__ import absolute_import, division, print_function

import functools
import numbers

from friendserve.ioloop.interface import IOLoop


def takes_loop_at(index, following):
    """A decorator for a function with an argument `io_loop` that may also be given by position.

    `index` is the position, and `following` the name of the argument that came next and has that
    position now. None counts as the loop if that argument is given as well; the one after it must
    then be a number or None.
    """
    def decorate(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            if len(args) > index and (isinstance(args[index], IOLoop) or args[index] is None and (
                    following in kwargs or not _is_number(args[index + 1:]))):
                kwargs["io_loop"] = args[index]
                args = args[:index] + args[index + 1:]
            return function(*args, **kwargs)
        return call
    return decorate


def _is_number(args):
    return not args or args[0] is None or isinstance(args[0], numbers.Number)
