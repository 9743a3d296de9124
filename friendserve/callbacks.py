"""Help with several callbacks: `after_all` waits for work done in parallel, `chain` runs one step
after another. They know no Futures.

    from functools import partial

    def get(self):
        feed, user = after_all(2, self.on_both)
        self.client.fetch(FEED_URL, feed)
        self.pool.get("SELECT * FROM users WHERE id = %s", 5, callback=user)

    def on_both(self, response, row):
        chain(partial(self.client.fetch, row.picture),
              lambda picture, callback: self.pool.execute(SAVE, picture.body, callback=callback),
              callback=self.on_saved)

All callbacks run in the stack context of the call of `after_all` or `chain`, so exceptions reach
the code that made it.
"""
from __future__ import absolute_import, division, print_function

import functools

from friendserve.ioloop import IOLoop
from friendserve.stack_context import wrap
from friendserve.util import raise_error

__all__ = ["after_all", "chain"]


def after_all(count, callback, on_error=None):
    """A list of `count` callbacks: when each has been called, `callback` is called once with their
    results, in the order of the list.

    A result is the argument of a callback, None if it got none, or a tuple if it got several. Each
    also has an ``on_error(error)``, to be passed on beside it: the first error is passed to
    `on_error`, or raised, and then `callback` is never called. With a `count` of 0, `callback` is
    called in the next turn of the loop. A callback that is called twice raises RuntimeError.
    """
    if count < 0:
        raise ValueError("after_all needs a count of 0 or more, not %r" % (count,))
    barrier = _Barrier(count, wrap(callback), wrap(on_error or raise_error))
    if not count:
        IOLoop.current().add_callback(callback)
    return [_Part(barrier, index) for index in range(count)]


class _Barrier(object):
    def __init__(self, count, callback, on_error):
        self.results = [None] * count
        self.left = set(range(count))   # indexes of the parts that have not been called
        self.callback = callback        # this and on_error: None once one of them was called
        self.on_error = on_error

    def call(self, index, result):
        if index not in self.left:
            raise RuntimeError("callback %d of after_all was called twice" % index)
        self.left.remove(index)
        self.results[index] = result
        if not self.left and self.callback is not None:
            callback, results = self.callback, self.results
            self.callback = self.on_error = self.results = None
            callback(*results)

    def fail(self, error):
        if self.on_error is not None:
            on_error, self.callback, self.on_error = self.on_error, None, None
            on_error(error)


class _Part(object):
    """One of the callbacks of `after_all`."""
    __slots__ = ("_barrier", "_index")

    def __init__(self, barrier, index):
        self._barrier = barrier
        self._index = index

    def __call__(self, *args):
        self._barrier.call(self._index, _result(args))

    def on_error(self, error):
        self._barrier.fail(error)


def _result(args):
    return args if len(args) > 1 else args[0] if args else None


def chain(*steps, **callbacks):
    """Call the functions `steps` one after another: each with what the one before passed to its
    callback, and with a keyword argument `callback`. The last one's results go to the `callback`
    given here, if any.

    With `on_error`, each step also gets a keyword argument `on_error`; the first that calls it ends
    the chain, and `on_error(error)` is called.
    """
    callback = callbacks.pop("callback", None)
    on_error = callbacks.pop("on_error", None)
    if callbacks:
        raise TypeError("unexpected arguments: %s" % ", ".join(sorted(callbacks)))
    if not steps:
        raise TypeError("chain needs at least one step")
    passed_on = {} if on_error is None else {"on_error": wrap(on_error)}
    _take_step(list(steps), callback, passed_on)


def _take_step(steps, callback, passed_on, *args):
    step = steps.pop(0)
    if steps:
        proceed = functools.partial(_take_step, steps, callback, passed_on)
    else:
        proceed = callback
    step(*args, callback=wrap(proceed), **passed_on)
