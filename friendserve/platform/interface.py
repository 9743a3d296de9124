"""The contract of a waker, and the clock; see `friendserve.platform.pollers.interface`."""
from __future__ import absolute_import, division, print_function

from friendserve.platform.pollers.clock import monotonic_time
from friendserve.platform.pollers.interface import Waker, set_close_exec

__all__ = ["Waker", "monotonic_time", "set_close_exec"]
