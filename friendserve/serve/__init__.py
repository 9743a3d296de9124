"""Running an application as a service.

`python -m friendserve serve module:application` is the way to do that. `request_id` is for handlers
that tell others which request they answer, in the words of the access log.
"""
from __future__ import absolute_import, division, print_function

from friendserve.serve.accesslog import request_id
from friendserve.util import set_public_module

__all__ = ["request_id"]

set_public_module(globals())
