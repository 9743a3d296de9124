"""Tornado's name for `friendserve.platform.pollers.auto`: the waker and poller of this system."""
from __future__ import absolute_import, division, print_function

from friendserve.platform.pollers.auto import (
    Waker, available_pollers, make_poller, set_close_exec)

__all__ = ["Waker", "available_pollers", "make_poller", "set_close_exec"]
