"""Running an application as a service.

`python -m friendserve serve module:application` does that. With `request_id`, a handler can tell
other services which request it is answering, by the identifier in the access log.
"""
from __future__ import absolute_import, division, print_function

from friendserve.serve.accesslog import request_id
from friendserve.util import set_public_module

__all__ = ["request_id"]

set_public_module(globals())
