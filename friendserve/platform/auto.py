"""What fits this system; see `friendserve.platform.pollers.auto`."""
from __future__ import absolute_import, division, print_function

from friendserve.platform.pollers.auto import (
    Waker, available_pollers, make_poller, set_close_exec)

__all__ = ["Waker", "available_pollers", "make_poller", "set_close_exec"]
