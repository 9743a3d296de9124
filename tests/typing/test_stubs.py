"""The type stubs beside the modules: complete, true to the code, and enough for an application."""
from __future__ import absolute_import, division, print_function

import os
import re
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

#: A checker must find a mistake in each of the lines that say so, and in no other.
WRONG = """
from friendserve import httpclient, ioloop, iostream, options, web, websocket

class Page(web.RequestHandler):
    def get(self) -> None:
        self.get_argument("page") + 1  # wrong
        self.get_argument("page", None).upper()  # wrong
        self.get_cookie("name").upper()  # wrong
        self.set_header("X-Rate", 1.5)  # wrong
        self.set_cookie("name", 5)  # wrong
        self.xsrf_token + "text"  # wrong
        self.write(["a list"])  # wrong

    def prepare(self) -> str:  # wrong
        return "lost"

    @web.authenticated
    def post(self, name: str) -> None:
        pass

class Socket(websocket.WebSocketHandler):
    def on_message(self, message: int) -> None:  # wrong
        self.write_message(5)  # wrong

def on_text(text: str) -> None:
    pass

def on_stream(stream: iostream.IOStream) -> None:
    stream.read_until(b"x", on_text)  # wrong
    stream.write("text")  # wrong

web.Application([("/", Page), 5])  # wrong
web.Application([("/", Page)], transforms=[Page])  # wrong
httpclient.AsyncHTTPClient().fetch("http://localhost/", on_text)  # wrong
httpclient.HTTPRequest("http://localhost/", headers=["Host"])  # wrong
ioloop.IOLoop.current().call_later("soon", print)  # wrong
ioloop.IOLoop.current().add_future(5, print)  # wrong
ioloop.IOLoop.current(instance=False).stop()  # wrong
options.parse_command_line("--port=8000")  # wrong
"""


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
            # mypy would take what has no stub from an installed copy of the package.
            self.private = set()
            for folder, _, names in os.walk(os.path.join(self.code, PACKAGE)):
                for name in names:
                    stub = os.path.join(self.folder, os.path.relpath(folder, self.code), name + "i")
                    if name.endswith(".py") and not os.path.exists(stub):
                        if not os.path.isdir(os.path.dirname(stub)):
                            os.makedirs(os.path.dirname(stub))
                        with open(stub, "w") as private:
                            private.write("def __getattr__(name: str) -> object: ...\n")
                        self.private.add(os.path.relpath(stub, self.folder)[:-4].replace(
                            os.sep, ".").replace(".__init__", ""))

        def run_here(self, *command):
            """Run a program in the folder of the stubs -> (status, output)."""
            process = subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=dict(os.environ, MYPYPATH=self.folder, PYTHONPATH=self.code))
            output, _ = process.communicate()
            return process.returncode, output.decode("utf-8")

        def test_stubs_agree_with_the_code(self):
            _, output = self.run_here(sys.executable, "-m", "mypy.stubtest", PACKAGE, "--concise")
            self.assertNotIn("build errors", output)
            lines = [line for line in output.splitlines() if line.startswith(PACKAGE)]
            self.assertTrue(lines, output)      # it has looked at the package
            self.assertEqual([], [line for line in lines if not self.is_private(line.split()[0])
                                  and not any(name in line for name in NOT_OURS)])

        def is_private(self, name):
            """Whether a dotted name belongs to a module without a stub."""
            while name and name not in self.private and not os.path.exists(
                    os.path.join(self.folder, name.replace(".", os.sep) + ".pyi")):
                if os.path.exists(os.path.join(self.folder, name.replace(".", os.sep),
                                               "__init__.pyi")):
                    break
                name = name.rpartition(".")[0]
            return name in self.private

        def test_mypy_accepts_an_application(self):
            status, output = self.run_here(sys.executable, "-m", "mypy", "--strict", "sample.py")
            self.assertEqual(0, status, output)

        def test_mypy_finds_mistakes(self):
            with open(os.path.join(self.folder, "wrong.py"), "w") as program:
                program.write(WRONG)
            status, output = self.run_here(sys.executable, "-m", "mypy", "wrong.py")
            self.assertEqual(1, status, output)
            found = [int(number) for number in re.findall(r"(?m)^wrong\.py:(\d+): error", output)]
            self.assertEqual([number for number, line in enumerate(WRONG.splitlines(), 1)
                              if line.endswith("# wrong")], sorted(set(found)), output)

        if os.path.exists(PYRIGHT):
            def test_pyright_accepts_an_application(self):
                status, output = self.run_here("node", PYRIGHT, "sample.py")
                self.assertEqual(0, status, output)
