"""A loop over epoll, under its name in Tornado."""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop import PollIOLoop

__all__ = ["EPollIOLoop"]


class EPollIOLoop(PollIOLoop):
    """A `PollIOLoop` whose poller is epoll. Raises ImportError if the system lacks it."""

    def initialize(self, **kwargs):
        super(EPollIOLoop, self).initialize(impl="epoll", **kwargs)
