"""The tests, in the folders of the package. Collect them from the root of the project: with this
folder itself on the path, tests/platform would hide the standard module."""
from __future__ import absolute_import, division, print_function

import os

#: The root of the project.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

CERTS = os.path.join(ROOT, "tests", "certs")
CORPUS = os.path.join(ROOT, "tests", "corpus")
