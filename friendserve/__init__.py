"""friendserve: a callback-style reactor framework for Python 2.7 and 3.6 to 3.13."""
from __future__ import absolute_import, division, print_function

version = "0.1.0"
version_info = (0, 1, 0, 0)
