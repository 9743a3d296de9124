"""The tests, in the folders of the package. Collect them from the project root: with this folder
itself on the path, tests/platform would hide the standard module."""
from __future__ import absolute_import, division, print_function

import os
import time

#: The root of the project.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

CERTS = os.path.join(ROOT, "tests", "certs")
CORPUS = os.path.join(ROOT, "tests", "corpus")

#: The authority that the tests trust, and the certificate and key of their servers.
CA, CERT, KEY = [os.path.join(CERTS, name) for name in ("ca.crt", "server.crt", "server.key")]

#: Seconds after which a test that waits for a condition fails. Less than the time limits of the
#: package and of the demos, so that none of those can make a condition true by itself.
PATIENCE = 15

#: The CPU time of this process in seconds. For tests of what takes linear time: other load on the
#: machine hardly changes it.
cpu_time = getattr(time, "process_time", time.clock if str is bytes else None)  # version: py2


def missing(package):
    """The reason for which tests are skipped that need a Python package."""
    return "%s is not installed: python -m pip install '.[test]' installs it" % package
