"""A loop over select, under the name that Tornado gives it."""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop import PollIOLoop

__all__ = ["SelectIOLoop"]


class SelectIOLoop(PollIOLoop):
    """A `PollIOLoop` whose poller is select. ImportError where the system lacks it."""

    def initialize(self, **kwargs):
        super(SelectIOLoop, self).initialize(impl="select", **kwargs)
