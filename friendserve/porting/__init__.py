"""Programs and libraries that were written for Tornado, on this package.

    import friendserve.porting
    friendserve.porting.alias()             # before the first import of tornado
    import tornado.web                      # this is friendserve.web

``alias(packages=["msgpackrpc"])`` does so only inside some packages, alongside an installed
Tornado. ``website/docs/how-to/porting.rst`` says what differs, and how to do without the alias.
"""
from __future__ import absolute_import, division, print_function

from friendserve.porting.alias import Alias, alias, alias_from_environment
from friendserve.util import set_public_module

__all__ = ["Alias", "alias", "alias_from_environment"]

set_public_module(globals())
