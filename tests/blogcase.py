# coding: utf-8
"""Shared by the tests of the blog demo: its modules, imported from its folder."""
from __future__ import absolute_import, division, print_function

import os
import sys

from tests import ROOT

FOLDER = os.path.join(ROOT, "demos", "blog")
sys.path.insert(0, FOLDER)
try:
    import accounts
    import blog
    import markup
    import store
finally:
    sys.path.remove(FOLDER)

ATOM = "{http://www.w3.org/2005/Atom}"
PASSWORD = u"correct \u05d0 horse"

__all__ = ["ATOM", "FOLDER", "PASSWORD", "accounts", "blog", "markup", "store"]
