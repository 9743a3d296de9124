"""The type stubs beside the modules: complete, true to the code, and enough for an application."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests import ROOT
from tests.house import PACKAGE

try:
    import mypy
except ImportError:
    mypy = None

#: Installed by npm, in the folder that FRIENDSERVE_NODE names.
PYRIGHT = os.path.join(os.environ.get("FRIENDSERVE_NODE", ""),
                       "node_modules", "pyright", "index.js")

#: Modules whose names come from elsewhere: `platform` has loops for porters, and two folders hold
#: only what other modules show.
WITHOUT_STUBS = {"friendserve.__main__", "friendserve.awaitable", "friendserve.platform",
                 "friendserve.protocol"}
#: zope.interface adds these to classes that say what they provide.
NOT_OURS = ("__implemented__", "__provides__")


def stubs():
    """Paths of the stubs, from the root."""
    for folder, _, names in os.walk(os.path.join(ROOT, PACKAGE)):
        for name in names:
            if name.endswith(".pyi"):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


class PresenceTest(unittest.TestCase):
    def test_every_public_module_has_a_stub(self):
        paths = set(stubs())
        missing = []
        for entry in sorted(os.listdir(os.path.join(ROOT, PACKAGE))):
            name, ending = os.path.splitext(entry)
            module = "%s.%s" % (PACKAGE, name)
            if ending == ".py" and module not in WITHOUT_STUBS and name != "__init__":
                missing += [entry] if os.path.join(PACKAGE, name + ".pyi") not in paths else []
            elif os.path.exists(os.path.join(ROOT, PACKAGE, entry, "__init__.py")):
                if module not in WITHOUT_STUBS:
                    face = os.path.join(PACKAGE, entry, "__init__.pyi")
                    missing += [entry] if face not in paths else []
        self.assertEqual([], missing)
        self.assertTrue(os.path.exists(os.path.join(ROOT, PACKAGE, "py.typed")))


# The checkers read the same files on every Python: one is enough.
if mypy is not None and not sys.flags.optimize:
    class CheckedTest(unittest.TestCase):
        def setUp(self):
            # The stubs and the code apart: the checkers read only the stubs, and stubtest imports
            # the code, which has no annotations.
            self.folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, self.folder)
            self.code = os.path.join(self.folder, "code")
            shutil.copytree(os.path.join(ROOT, PACKAGE), os.path.join(self.code, PACKAGE),
                            ignore=shutil.ignore_patterns("*.pyi", "py.typed", "__pycache__"))
            for path in stubs():
                target = os.path.join(self.folder, path)
                if not os.path.isdir(os.path.dirname(target)):
                    os.makedirs(os.path.dirname(target))
                shutil.copy(os.path.join(ROOT, path), target)
            shutil.copy(os.path.join(ROOT, "tests", "typing", "sample.py"), self.folder)
            # An installed copy of the package is not looked at.
            self.config = os.path.join(self.folder, "mypy.ini")
            with open(self.config, "w") as config:
                config.write("[mypy]\nno_site_packages = True\n")

        def run_here(self, *command):
            """Run a program in the folder of the stubs -> (status, output)."""
            process = subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=dict(os.environ, MYPYPATH=self.folder, PYTHONPATH=self.code))
            output, _ = process.communicate()
            return process.returncode, output.decode("utf-8")

        def test_stubs_agree_with_the_code(self):
            _, output = self.run_here(sys.executable, "-m", "mypy.stubtest", PACKAGE, "--concise",
                                      "--mypy-config-file", self.config)
            self.assertNotIn("build errors", output)
            self.assertEqual([], [
                line for line in output.splitlines()
                if line.startswith(PACKAGE) and not line.endswith("failed to find stubs")
                and not any(name in line for name in NOT_OURS)])
            self.assertIn("failed to find stubs", output)       # it has looked at the package

        def test_mypy_accepts_an_application(self):
            status, output = self.run_here(sys.executable, "-m", "mypy", "--strict", "sample.py")
            self.assertEqual(0, status, output)

        def test_mypy_finds_mistakes(self):
            with open(os.path.join(self.folder, "wrong.py"), "w") as program:
                program.write("from friendserve.ioloop import IOLoop\n"
                              "IOLoop.current().call_later('soon', print)\n")
            status, output = self.run_here(sys.executable, "-m", "mypy", "wrong.py")
            self.assertEqual(1, status, output)
            self.assertIn('Argument 1 to "call_later"', output)

        if os.path.exists(PYRIGHT):
            def test_pyright_accepts_an_application(self):
                status, output = self.run_here("node", PYRIGHT, "sample.py")
                self.assertEqual(0, status, output)
