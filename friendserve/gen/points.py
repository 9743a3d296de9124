"""The objects that coroutines yield in the older style: Callback, Wait, WaitAll."""
from __future__ import absolute_import, division, print_function

import collections


class KeyReuseError(Exception):
    """A Callback has the key of another one that nothing has waited for yet."""


class UnknownKeyError(Exception):
    """A Wait has a key that no Callback has."""


class LeakedCallbackError(Exception):
    """A generator ended without waiting for each of its Callbacks."""


class BadYieldError(Exception):
    """A coroutine has yielded something that cannot be waited for."""


#: What a callback was called with, as the result of a `Task` or `Wait` if it is not one positional
#: argument: `args` is a tuple, `kwargs` a dict.
Arguments = collections.namedtuple("Arguments", ["args", "kwargs"])


def adapt(deliver):
    """A callback for any arguments that calls `deliver` with one."""
    def callback(*args, **kwargs):
        if kwargs or len(args) > 1:
            deliver(Arguments(args, kwargs))
        else:
            deliver(args[0] if args else None)
    return callback


class YieldPoint(object):
    """Something that a coroutine may yield, in the older style. Subclass it to make others."""

    def start(self, runner):
        """Called with the Runner once it has been yielded."""
        raise NotImplementedError()

    def is_ready(self):
        """Whether `get_result` can be called."""
        raise NotImplementedError()

    def get_result(self):
        """The result of the ``yield``. Called once."""
        raise NotImplementedError()


class Callback(YieldPoint):
    """Its result is a callback; what that is called with is the result of `Wait` with the same
    `key`."""
    def __init__(self, key):
        self.key = key
        self._callback = None

    def start(self, runner):
        runner.register_callback(self.key)
        self._callback = runner.result_callback(self.key)

    def is_ready(self):
        return self._callback is not None

    def get_result(self):
        return self._callback


class WaitAll(YieldPoint):
    """Waits until all Callbacks with these `keys` are called; the result is a list in their order.
    """
    def __init__(self, keys):
        self.keys, self.runner = keys, None

    def is_ready(self):
        # Each of them, so that each key is checked.
        return False not in list(map(self.runner.is_ready, self.keys))

    def start(self, runner):
        self.runner = runner

    def get_result(self):
        return list(map(self.runner.pop_result, self.keys))


class Wait(WaitAll):
    """Waits until the Callback with this `key` is called; the result is its argument."""

    def __init__(self, key):
        super(Wait, self).__init__([key])
        self.key = key

    def get_result(self):
        return super(Wait, self).get_result()[0]
