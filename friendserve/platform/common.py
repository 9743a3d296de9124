"""Tornado's name for `friendserve.platform.pollers.common`."""
from __future__ import absolute_import, division, print_function

from friendserve.platform.pollers.common import try_close

__all__ = ["try_close"]
