"""Fetches the packages that tests of porting run, into a folder:

    python -m tests.interop.fetch FOLDER PYTHON

``FOLDER/packages`` holds the newest Tornado 6, msgpack-rpc-python and what they need, for PYTHON,
which is 3.10 or newer; ``FOLDER/tornado-2.4.1`` and ``FOLDER/tornado-1.2.1`` are the source
distributions with their demos. This Python must be 3.6 to 3.11, because pip runs the old setup.py.
Then set FRIENDSERVE_OLD to FOLDER, FRIENDSERVE_PEERS to PYTHON, and run the tests of tests/interop.
"""
from __future__ import absolute_import, division, print_function

import os
import subprocess
import sys
import tarfile

#: Exact releases, except of Tornado 6, of which every one must leave the alias alone.
PACKAGES = ("tornado>=6,<7", "msgpack-rpc-python==0.4.1", "msgpack-python==0.5.6", "six",
            "fissix", "appdirs")


def fetch_packages(folder, python):
    """Install PACKAGES for `python`."""
    subprocess.check_call((python, "-m", "pip", "install", "-q", "--no-deps", "--target",
                           os.path.join(folder, "packages")) + PACKAGES)


def fetch_source(folder, name, version):
    """Download the source distribution of an old release, and unpack it."""
    venv = os.path.join(folder, "venv")
    pip = [os.path.join(venv, "bin", "python"), "-m", "pip"]
    if not os.path.exists(venv):
        subprocess.check_call([sys.executable, "-m", "venv", venv])
        # The last setuptools that accepts a setup.py with use_2to3.
        subprocess.check_call(pip + ["install", "-q", "setuptools<58", "wheel"])
    subprocess.check_call(pip + [
        "download", "-q", "--no-deps", "--no-build-isolation", "--no-binary", ":all:",
        "--dest", folder, "%s==%s" % (name, version)])
    with tarfile.open(os.path.join(folder, "%s-%s.tar.gz" % (name, version))) as archive:
        archive.extractall(folder)


def main(folder, python):
    fetch_packages(folder, python)
    for version in ("1.2.1", "2.4.1"):
        fetch_source(folder, "tornado", version)


if __name__ == "__main__":
    main(*sys.argv[1:])
