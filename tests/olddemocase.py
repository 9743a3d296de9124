"""The demos of old releases of Tornado, as programs: FRIENDSERVE_OLD names the folder into which
tests/interop/fetch.py has fetched them."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import subprocess
import sys
import unittest

from tests import ROOT, services

OLD = os.environ.get("FRIENDSERVE_OLD")
PEERS = os.environ.get("FRIENDSERVE_PEERS")

needs_old = unittest.skipUnless(
    OLD and PEERS, "there are no programs written for Tornado: `python -m tests.interop.fetch "
    "FOLDER PYTHON` fetches them, and says what to set")


def environ(*folders):
    return dict(os.environ, PYTHONPATH=os.pathsep.join((ROOT,) + folders))


class OldDemo(services.Service):
    """A demo of a release of Tornado: as it is, under the alias, on Python 2; rewritten on
    Python 3, where the replacements `by_hand` in files follow the fixers, since the demos mix bytes
    and text."""
    version = "2.4.1"
    by_hand = {}

    def prepare(self):
        source = os.path.join(OLD, "tornado-" + self.version, "demos", self.name)
        self.program_folder = os.path.join(self.folder, self.name)
        shutil.copytree(source, self.program_folder)
        self.change()
        if sys.version_info[0] > 2:
            subprocess.check_call(
                [PEERS, "-m", "friendserve.porting", "rewrite", "--python3", "--write",
                 self.program_folder], env=environ(os.path.join(OLD, "packages")))
            for name, replacements in self.by_hand.items():
                self.replace(name, replacements)

    def change(self):
        """Change or add programs in `program_folder`, while they are written for Tornado."""

    def replace(self, name, replacements):
        """Replace bytes in a file."""
        path = os.path.join(self.program_folder, name)
        with open(path, "rb") as opened:
            data = opened.read()
        for before, after in replacements:
            assert before in data, before
            data = data.replace(before, after)
        with open(path, "wb") as opened:
            opened.write(data)

    def arguments(self):
        """The path of the program, and its arguments."""
        raise NotImplementedError()

    def command(self):
        words = ["env", "PYTHONPATH=" + os.pathsep.join([ROOT, self.program_folder]),
                 sys.executable]
        if sys.version_info[0] == 2:
            return words + ["-m", "friendserve.porting", "run", "--version", self.version] \
                + self.arguments()
        return words + self.arguments()
