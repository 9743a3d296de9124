"""A loop over kqueue, under its name in Tornado."""
from __future__ import absolute_import, division, print_function

from friendserve.ioloop import PollIOLoop

__all__ = ["KQueueIOLoop"]


class KQueueIOLoop(PollIOLoop):
    """A `PollIOLoop` whose poller is kqueue. Raises ImportError if the system lacks it."""

    def initialize(self, **kwargs):
        super(KQueueIOLoop, self).initialize(impl="kqueue", **kwargs)
