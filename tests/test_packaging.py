# coding: utf-8
"""The metadata in setup.py, and whether the commands in the README work."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import re
import subprocess
import sys
import unittest

import friendserve

from tests import ROOT


def read(*path):
    with io.open(os.path.join(ROOT, *path), encoding="utf-8") as source:
        return source.read()


#: Runs setup.py with a setuptools that only records its arguments (newer Pythons have none), where
#: the packages to be installed cannot be imported.
SETUP = """
from __future__ import print_function
import json, sys, types
sys.modules["friendserve"] = sys.modules["six"] = None
told = {}
setuptools = sys.modules["setuptools"] = types.ModuleType("setuptools")
setuptools.setup = told.update
setuptools.find_packages = lambda include: sorted(include)
with open("setup.py", "rb") as source:
    code = compile(source.read(), "setup.py", "exec", 0, True)
exec(code, {"__file__": "setup.py", "__name__": "__main__"})
print(json.dumps(told))
"""


class SetupTest(unittest.TestCase):
    def test_what_setup_says(self):
        output = subprocess.check_output([sys.executable, "-c", SETUP], cwd=ROOT)
        told = json.loads(output.decode("utf-8"))
        self.assertEqual("friendserve", told["name"])
        self.assertEqual(friendserve.version, told["version"])
        self.assertEqual(["friendserve", "friendserve.*"], told["packages"])
        self.assertEqual(["six"], told["install_requires"])
        self.assertIn("pytest", told["extras_require"]["test"])


class VersionTest(unittest.TestCase):
    def test_version_info_agrees(self):
        numbers = tuple(int(part) for part in friendserve.version.split("."))
        self.assertEqual(numbers, friendserve.version_info[:3])

    def test_changes_tell_of_this_version(self):
        self.assertIn("\n%s" % friendserve.version, read("CHANGES.rst"))


class ReadmeTest(unittest.TestCase):
    def test_commands(self):
        commands = re.findall(r"^    (python .*)$", read("README.rst"), re.M)
        self.assertEqual(["python -m pip install . && python demos/chat/chatdemo.py",
                          "python -m pip install '.[test]' && python -m pytest"], commands)

    def test_hello_program_is_the_demo(self):
        readme = read("README.rst")
        shown = re.search(r"code-block:: python\n\n((?:    .*\n|\n)+)", readme).group(1)
        shown = re.sub("^    ", "", shown, flags=re.M).strip()
        demo = read("demos", "helloworld", "helloworld.py")
        self.assertEqual(shown, demo.split("print_function\n", 1)[1].strip())

    def test_what_it_names_is_there(self):
        for page in ("README.rst", "CONTRIBUTING.rst", "SECURITY.rst"):
            for path in re.findall(
                    r"``(?:python )?((?:demos|website|tests)/[a-zA-Z_./-]*[a-z/])[ `]", read(page)):
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)
        for name in re.findall(r"``friendserve\.([a-z]+)``", read("README.rst")):
            path = os.path.join(ROOT, "friendserve", name)
            self.assertTrue(os.path.exists(path + ".py") or os.path.isdir(path), name)


if __name__ == "__main__":
    unittest.main()
