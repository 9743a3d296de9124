"""Every program in the README, in the documentation and in docstrings is valid, and runs.

Whole programs of docstrings, and the programs of a page one after another, run in children of one
process, each with a loop that stops soon. What a program does is the concern of other tests.
"""
from __future__ import absolute_import, division, print_function

import ast
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

from six.moves import builtins

from tests import ROOT, services
from tests.docscase import DOCS, page_files, programs
from tests.house import PACKAGE, parse_tree

#: Indented blocks of docstrings that are not Python.
NOT_PYTHON = ("autoreload", "feed.redis", "serve.accesslog", "serve.sockets")

#: What must be there for a program to run.
BEFORE = {
    "database.connection": """
from friendserve.database import connect
db = connect("sqlite:///blog.db")
db.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, author TEXT, title TEXT, views INTEGER)")
""",
    "gen": """
from friendserve.loopthread import LoopThread
from friendserve.web import Application, RequestHandler
class Page(RequestHandler):
    def get(self):
        pass
thread = LoopThread()
thread.start()
thread.call(Application([("/", Page)]).listen, 8888, "127.0.0.1")
""",
    "locale": "os.mkdir('translations')",
}

#: Pages whose programs run in these tests, as they need other loops or another Python.
ELSEWHERE = {
    "how-to/asyncio.rst": "platform/test_asyncio_demos.py",
    "how-to/glib.rst": "interop/test_glib.py",
    "how-to/porting.rst": "porting/test_page.py",
    "how-to/twisted.rst": "platform/test_twisted_loop.py",
}

#: Runs the programs {name: [texts]} of a file, and prints {name: what went wrong}.
RUNNER = u"""from __future__ import print_function
import json, os, signal, sys, traceback

from friendserve.ioloop import IOLoop

def run(name, texts):
    os.mkdir(name)
    os.chdir(name)
    output = os.open("output", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.path.insert(0, os.getcwd())
    signal.alarm(%(limit)d)
    status = 1
    try:
        loop = IOLoop.instance()
        if ".start()" in texts[-1]:
            loop.call_later(0.5, loop.stop)
        names = {"__name__": "page", "os": os}
        for text in texts:
            exec(compile(text, name, "exec"), names)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)

with open(sys.argv[1]) as source:
    programs = json.load(source)
children = {}
for name, texts in programs.items():
    pid = os.fork()
    if not pid:
        run(name, texts)
    children[pid] = name
found = {}
while children:
    pid, status = os.wait()
    name = children.pop(pid)
    if status:
        with open(os.path.join(name, "output")) as output:
            found[name] = "status %%d: %%s" %% (status, output.read())
print(json.dumps(found))
"""

LIMIT = 60


_blocks = []


def docstring_blocks():
    """Pairs (module, text) of the indented blocks of docstrings."""
    if not _blocks:
        _blocks.extend(_find_docstring_blocks())
    return _blocks


def _find_docstring_blocks():
    for module in parse_tree(os.path.join(ROOT, PACKAGE)).values():
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                for block in re.findall(r"(?:^|\n)\n((?:    .*(?:\n|$)|\n)+)",
                                        ast.get_docstring(node) or ""):
                    if block.strip():
                        yield module.name, textwrap.dedent(block).strip("\n")


def is_of_newer_pythons(text):
    return sys.version_info < (3, 6) and re.search(r"(?m)\b(async|await)\b|\.\.\.( *#.*)?$", text)


def unbound(text):
    """The names that a program uses and does not define: none, for a whole program."""
    bound, used = set(dir(builtins)), set()
    for node in ast.walk(compile(text, "text", "exec", ast.PyCF_ONLY_AST)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif hasattr(node, "arg") and isinstance(node.arg, str):
            bound.add(node.arg)
    return used - bound


def can_be_imported(module):
    """Whether the package that an optional module is for is installed."""
    try:
        importlib.import_module((PACKAGE + "." + module).rstrip("."))
    except ImportError:
        return False
    return True


def pages():
    found = []
    for place, _, names in os.walk(DOCS):
        found.extend(os.path.relpath(os.path.join(place, name), DOCS).replace(os.sep, "/")
                     for name in sorted(names) if name.endswith(".rst"))
    return [name for name in found if not name.startswith("reference/api/")]


class SamplesTest(unittest.TestCase):
    """B469"""
    longMessage = True

    def run_all(self, found):
        """Run {name: texts}; fails with what went wrong."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        ports = iter(services.free_ports(2 * len(found)))
        prepared = {}
        for name, texts in found.items():
            pair = str(next(ports)), str(next(ports))
            prepared[name.replace("/", "-")] = [
                text.replace("8888", pair[0]).replace("8889", pair[1]) for text in texts]
        with io.open(os.path.join(folder, "programs"), "wb") as target:
            target.write(json.dumps(prepared).encode("ascii"))
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER % {"limit": LIMIT}, "programs"], cwd=folder,
            stdout=subprocess.PIPE, stdin=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="1"))
        output = process.communicate()[0].decode("utf-8")
        found = json.loads(output)
        self.assertFalse(found, "\n".join("%s: %s" % pair for pair in sorted(found.items())))

    def test_b469_programs_of_docstrings_are_valid(self):
        count = 0
        for module, text in docstring_blocks():
            count += 1
            if is_of_newer_pythons(text):
                continue
            try:
                # Some are the body of a coroutine.
                compile("def sample():\n" + re.sub("(?m)^", "    ", text), module, "exec")
            except SyntaxError as error:
                self.assertIn(module, NOT_PYTHON, "%s\n%s" % (error, text))
        self.assertLessEqual(80, count)

    def test_b469_whole_programs_of_docstrings_run(self):
        found = {}
        for number, (module, text) in enumerate(docstring_blocks()):
            if module in NOT_PYTHON or is_of_newer_pythons(text) or unbound(text) or \
                    "import " not in text or not can_be_imported(module):
                continue
            found["%s-%d" % (module, number)] = [BEFORE.get(module, ""), text]
        self.assertLessEqual(18, len(found))
        self.run_all(found)

    def test_b469_programs_of_pages_run(self):
        found = {}
        for page in pages():
            texts = programs(page)
            for text in texts + [text for name, text in page_files(page).items()
                                 if name.endswith((".py", ".conf"))]:
                if not is_of_newer_pythons(text):
                    compile(text, page, "exec")
            if not texts:
                continue
            if page in ELSEWHERE:
                with io.open(os.path.join(ROOT, "tests", ELSEWHERE[page]),
                             encoding="utf-8") as source:
                    self.assertIn(page, source.read())
            else:
                found[page] = texts
        self.assertLessEqual(14, len(found))
        found["README"] = programs("../../README.rst")
        self.assertNotEqual([], found["README"])
        self.run_all(found)

    def test_b469_what_a_program_lacks_is_found(self):
        self.assertEqual(set(), unbound("import os\ndef f(a):\n    b = a\n    return os, b, len"))
        self.assertEqual(set(["self"]), unbound("self.write(1)"))


if __name__ == "__main__":
    unittest.main()
