"""Carries out a form once, even if a double click or a reload sends it twice."""
from __future__ import absolute_import, division, print_function

import collections

from friendserve.ioloop import IOLoop
from friendserve.stack_context import wrap


class Once(object):
    """The outcomes of forms, by the random token in each; the newest `size` are kept.

        if once.begin(token, on_done):
            do_it()     # then call once.end(token, outcome)
    """
    def __init__(self, size=10000):
        self._size = size
        self._outcomes = collections.OrderedDict()  # token -> [outcome], or the waiting callbacks

    def begin(self, token, callback):
        """Whether the caller is the first with this token, and must carry out the form. For others,
        `callback(outcome)` is called when the outcome is known."""
        found = self._outcomes.get(token)
        if found is None:
            self._outcomes[token] = _Waiting()
            if len(self._outcomes) > self._size:
                self._outcomes.popitem(last=False)
            return True
        if isinstance(found, _Waiting):
            found.append(wrap(callback))
        else:
            IOLoop.current().add_callback(callback, *found)
        return False

    def end(self, token, outcome):
        """Note the outcome of a form. None means that it failed: then a form with this token may be
        sent again."""
        waiting = self._outcomes.pop(token, ())
        if outcome is not None:
            self._outcomes[token] = [outcome]
        for callback in waiting:
            IOLoop.current().add_callback(callback, outcome)


class _Waiting(list):
    pass
