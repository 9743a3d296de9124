"""Both sides of one HTTP/1.x connection, independent of server and client."""
from __future__ import absolute_import, division, print_function

from friendserve.http1connection.limits import HTTP1ConnectionParameters
from friendserve.http1connection.server import HTTP1ServerConnection
from friendserve.util import set_public_module

__all__ = ["HTTP1ConnectionParameters", "HTTP1ServerConnection"]

set_public_module(globals())
