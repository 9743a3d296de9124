"""Tornado's name for the contract of a waker, in `friendserve.platform.pollers.interface`, and for
the clock."""
from __future__ import absolute_import, division, print_function

from friendserve.platform.pollers.clock import monotonic_time
from friendserve.platform.pollers.interface import Waker, set_close_exec

__all__ = ["Waker", "monotonic_time", "set_close_exec"]
