"""A loop over select, under its name in Tornado."""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop import PollIOLoop

__all__ = ["SelectIOLoop"]


class SelectIOLoop(PollIOLoop):
    """A `PollIOLoop` whose poller is select. Raises ImportError if the system lacks it."""

    def initialize(self, **kwargs):
        super(SelectIOLoop, self).initialize(impl="select", **kwargs)
