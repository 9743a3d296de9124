"""Private names of Tornado that programs use, for the modules under the alias."""
from __future__ import absolute_import, division, print_function

from friendserve.protocol.masking import apply_mask_in_python


class RequestProxy(object):
    """``httpclient._RequestProxy``: an HTTPRequest, whose attributes that are None are those of the
    dict `defaults` (or None). Clients of other libraries wrap requests in it."""

    def __init__(self, request, defaults):
        self.defaults = defaults or {}
        self.request = request

    def __getattr__(self, name):
        own = getattr(self.request, name)
        return self.defaults.get(name) if own is None else own


def mask_in_python(mask, data):
    """``util._websocket_mask_python``: `data` masked, as bytes."""
    return bytes(apply_mask_in_python(data, mask))
