"""An IOLoop on a loop of uvloop, with a name by which programs can be configured."""
from __future__ import absolute_import, division, print_function

import uvloop

from friendserve.platform.asyncio import AsyncIOLoop


class UvloopIOLoop(AsyncIOLoop):
    """An AsyncIOLoop on a new loop of uvloop."""

    def initialize(self, impl=None, **kwargs):
        super(UvloopIOLoop, self).initialize(impl, asyncio_loop=uvloop.new_event_loop(), **kwargs)
