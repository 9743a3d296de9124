"""Tornado's name for `friendserve.platform.pollers.windows`."""
from __future__ import absolute_import, division, print_function

from friendserve.platform.pollers.windows import Waker, set_close_exec

__all__ = ["Waker", "set_close_exec"]
