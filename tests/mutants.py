"""Breaks lines of the package, one at a time, to see whether the tests notice.

    python tests/mutants.py                     # the 100 mutants of the seed
    python tests/mutants.py --list              # only show them
    python tests/mutants.py --only 7 31         # two of them, by number
    python tests/mutants.py --seed 2 --count 30 --jobs 1

A mutant is a copy of the project with one change in a line that decides something: a comparison,
an `and`, an operand of one, a `not`, a constant in a condition, a returned boolean, a `raise` or
`return` under an `if`, a step of 1. Mutants are drawn from each folder in proportion to its number
of such lines. The draw depends on the seed and on the text of the lines, not on their numbers: a
change of the package replaces only the mutants of the lines that it changes.

Each mutant runs the tests in `TESTS` that concern its folder, first those named after its module,
until one fails. It is killed if one does, or if a step exceeds its time limit; otherwise it
survived: a test is missing, the line is redundant, or the change is equivalent, which `mutants.rst`
then explains. The program runs on Python 3.8 or newer, in about an hour, and changes nothing in
this tree. It exits with 1 if a mutant survived that `mutants.rst` does not explain, or if
`mutants.rst` explains a change that is no longer possible.
"""
from __future__ import absolute_import, division, print_function

import argparse
import ast
import concurrent.futures
import glob
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECORD = os.path.join(ROOT, "tests", "mutants.rst")

SEED = "friendserve"
COUNT = 100

#: Seconds for one step: the tests of one entry of `TESTS`.
LIMIT = 400

# A memo that no longer remembers makes trips longer.
_TRIPS = "tests/test_trips.py"
_CLIENTS = ("tests/httpclient tests/simple_httpclient", "tests/contract/test_httpclients*.py",
            "tests/interop/test_httpclient*.py tests/interop/test_kept*.py tests/demos/test_f*.py",
            _TRIPS)
_SERVER = "tests/http1connection tests/test_httpserver*.py"

#: The tests that concern a folder: steps, each of which is one run of pytest.
TESTS = {
    "protocol": ("tests/protocol", _TRIPS, _SERVER, "tests/web tests/routing tests/websocket",
                 " ".join(_CLIENTS[:3]), "tests/test_httputil.py tests/demos/test_blog.py"),
    "http1connection": (_SERVER, _TRIPS, " ".join(_CLIENTS[:3]), "tests/web tests/websocket"),
    "routing": ("tests/routing", "tests/web", "tests/demos tests/websocket"),
    "web": ("tests/web", _TRIPS, "tests/routing " + _SERVER, "tests/demos tests/websocket"),
    "httpclient": _CLIENTS,
    "simple_httpclient": _CLIENTS,
    "curl_httpclient": ("tests/curl_httpclient",) + _CLIENTS[1:],
    "feed": ("tests/contract/test_feeds.py tests/feed", _TRIPS + " tests/demos/test_chat.py"),
    "database": ("tests/test_database_values.py tests/contract/test_databases*.py",
                 "tests/demos/test_blog.py"),
}

_COMPARISONS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in")}


class Mutant(object):
    """One change: `path`, relative to the root, the `line` number, the `old` line or lines, and
    what replaces the bytes from `start` to `end` of the file."""

    def __init__(self, path, source, start, end, new):
        self.path = path
        self.line = source.count(b"\n", 0, start) + 1
        self._data = source[:start] + new + source[end:]
        first = source.rfind(b"\n", 0, start) + 1
        last = source.find(b"\n", end)
        self.old = _one_line(source[first:last])
        self.new = _one_line(source[first:start] + new + source[end:last])

    @property
    def folder(self):
        return self.path.split("/")[1]

    @property
    def change(self):
        return "%s: %s -> %s" % (self.path, self.old, self.new)

    def rank(self, seed):
        """What orders the mutants of a folder for a seed."""
        return hashlib.sha256((seed + " " + self.change).encode("utf-8")).digest()

    def is_valid(self):
        """Whether the change leaves Python that can be compiled."""
        try:
            compile(self._data, self.path, "exec")
        except SyntaxError:
            return False
        return True

    def apply(self, root):
        """Change the copy of the project at `root`."""
        with io.open(os.path.join(root, self.path), "wb") as target:
            target.write(self._data)


def _one_line(code):
    return re.sub(r"\s+", " ", code.decode("utf-8")).strip()


class Finder(ast.NodeVisitor):
    """Collects in `found` the mutants of one module."""

    def __init__(self, path, source):
        self.found = []
        self._path = path
        self._source = source
        self._starts = [0]
        for line in source.splitlines(True):
            self._starts.append(self._starts[-1] + len(line))
        self._conditions = 0        # how many conditions surround the node
        self.visit(ast.parse(source))

    def _start(self, node):
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node):
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def _line_of(self, node):
        return self._source[self._starts[node.lineno - 1]:self._starts[node.lineno]]

    def _add(self, start, end, new):
        self.found.append(Mutant(self._path, self._source, start, end, new.encode("utf-8")))

    def _replace(self, node, new):
        self._add(self._start(node), self._end(node), new)

    def _operator_between(self, left, right, old):
        """The span of an operator between two operands, which may be in parentheses."""
        start, end = self._end(left), self._start(right)
        match = re.search(br"(?<![\w<>=!])%s(?![\w=])" % old.replace(" ", r"\s+").encode("ascii"),
                          self._source[start:end])
        return (start + match.start(), start + match.end()) if match else None

    def _swap(self, left, right, old, new):
        span = self._operator_between(left, right, old)
        if span is not None:
            self._add(span[0], span[1], new)

    def _visit_condition(self, node):
        self._conditions += 1
        self.visit(node)
        self._conditions -= 1

    def visit_If(self, node):
        self._visit_condition(node.test)
        body, last = node.body, node.body[-1]
        if b"# version: py2" in self._line_of(node):
            # These statements are not executed here.
            body = []
        elif isinstance(node, ast.If) and isinstance(last, (ast.Raise, ast.Return)):
            self._replace(last, "pass")
        for statement in body + node.orelse:
            self.visit(statement)

    visit_While = visit_If

    def visit_IfExp(self, node):
        self._visit_condition(node.test)
        self.visit(node.body)
        self.visit(node.orelse)

    def visit_Compare(self, node):
        left = node.left
        for kind, right in zip(node.ops, node.comparators):
            self._swap(left, right, *_COMPARISONS[type(kind)])
            left = right
        self._conditions += 1
        self.generic_visit(node)
        self._conditions -= 1

    def visit_BoolOp(self, node):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]):
            self._swap(left, right, old, new)
            self._add(self._end(left), self._end(right), "")
        self._add(self._start(node.values[0]), self._start(node.values[1]), "")
        self.generic_visit(node)

    def visit_UnaryOp(self, node):
        if isinstance(node.op, ast.Not):
            self._add(self._start(node), self._start(node.operand), "")
        self.generic_visit(node)

    def visit_BinOp(self, node):
        one = getattr(node.right, "value", None)
        if isinstance(node.op, (ast.Add, ast.Sub)) and type(one) is int and one == 1:
            self._add(self._end(node.left), self._end(node.right), "")
        self.generic_visit(node)

    def visit_Return(self, node):
        if isinstance(node.value, ast.Constant) and type(node.value.value) is bool:
            self._replace(node.value, str(not node.value.value))
        self.generic_visit(node)

    def visit_Constant(self, node):
        value = node.value
        if not self._conditions:
            return
        if type(value) is bool:
            self._replace(node, str(not value))
        elif type(value) is int:
            self._replace(node, str(value + 1))
        elif isinstance(value, (bytes, str)) and value:
            self._replace(node, repr(value + type(value)(b"?" if type(value) is bytes else "?")))


def find_mutants():
    """{folder: its mutants}, in the order of the source."""
    found = {}
    for folder in sorted(TESTS):
        found[folder] = []
        for path in sorted(glob.glob(os.path.join(ROOT, "friendserve", folder, "*.py"))):
            with io.open(path, "rb") as source:
                finder = Finder(os.path.relpath(path, ROOT), source.read())
            found[folder].extend(finder.found)
    return found


def draw(seed, count):
    """`count` mutants, one for a line at most, shared among the folders by largest remainder."""
    found = find_mutants()
    lines = dict((folder, len(set((mutant.path, mutant.line) for mutant in mutants)))
                 for folder, mutants in found.items())
    shares = dict((folder, count * lines[folder] / sum(lines.values())) for folder in lines)
    left = count - sum(int(share) for share in shares.values())
    more = sorted(shares, key=lambda folder: int(shares[folder]) - shares[folder])[:left]
    drawn = []
    for folder in sorted(found):
        seen, wanted = set(), int(shares[folder]) + (folder in more)
        for mutant in sorted(found[folder], key=lambda mutant: mutant.rank(seed)):
            if len(seen) == wanted:
                break
            if (mutant.path, mutant.line) not in seen and mutant.is_valid():
                seen.add((mutant.path, mutant.line))
                drawn.append(mutant)
    return drawn


def steps_for(mutant):
    """Lists of test paths, the most specific first."""
    name = os.path.basename(mutant.path)[:-3].lstrip("_")
    steps = [[path for pattern in step.split() for path in sorted(glob.glob(
        os.path.join(ROOT, pattern)))] for step in TESTS[mutant.folder]]
    steps = [[os.path.relpath(path, ROOT) for path in step] for step in steps]
    named = sorted(glob.glob(os.path.join(ROOT, "tests", mutant.folder, "test_%s*.py" % name)))
    return [[os.path.relpath(path, ROOT) for path in named]] * bool(named) + steps


def run_step(root, paths, limit):
    """None if these tests pass in the tree at `root`; else the first that fails."""
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
        + paths, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = process.communicate(timeout=limit)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        # An interrupt lets the tests stop their servers.
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            pass
        return "no end within %d seconds" % limit
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            pass
        process.wait()
    if process.returncode == 0:
        return None
    match = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return match.group(1) if match else output.strip()[-200:]


def try_mutant(mutant, limit):
    """None if the mutant survives, else what killed it."""
    work = tempfile.mkdtemp(prefix="friendserve-mutant-")
    try:
        root = os.path.join(work, "project")
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".git", "__pycache__", "*.pyc"))
        mutant.apply(root)
        for paths in steps_for(mutant):
            killer = run_step(root, paths, limit)
            if killer is not None:
                return killer
        return None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def explained():
    """The changes that `mutants.rst` explains."""
    with io.open(RECORD, encoding="utf-8") as record:
        text = record.read()
    literals = re.findall(r"``((?:[^`]|`(?!`))+)``", text)
    return set(" ".join(literal.split()) for literal in literals if " -> " in literal)


def main():
    parser = argparse.ArgumentParser(description="Breaks lines, to see whether tests notice.")
    parser.add_argument("--seed", default=SEED)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds for each step")
    parser.add_argument("--list", action="store_true", help="only show the mutants")
    parser.add_argument("--only", type=int, nargs="+", help="the numbers of some mutants")
    arguments = parser.parse_args()
    drawn = list(enumerate(draw(arguments.seed, arguments.count), 1))
    if arguments.only:
        drawn = [pair for pair in drawn if pair[0] in arguments.only]
    known, killed, equivalent, survived = explained(), 0, 0, 0
    stale = known - set(mutant.change for mutants in find_mutants().values() for mutant in mutants)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        tries = [arguments.list or pool.submit(try_mutant, mutant, arguments.limit)
                 for _, mutant in drawn]
        for (number, mutant), outcome in zip(drawn, tries):
            print("%3d %s:%d\n    - %s\n    + %s" % (
                number, mutant.path, mutant.line, mutant.old, mutant.new))
            if arguments.list:
                continue
            killer = outcome.result()
            if killer is not None:
                killed += 1
            elif mutant.change in known:
                equivalent += 1
            else:
                survived += 1
            print("    %s" % ("killed by %s" % killer if killer is not None else
                              "equivalent" if mutant.change in known else "SURVIVED"))
            sys.stdout.flush()
    if not arguments.list:
        print("%d killed, %d equivalent, %d survived" % (killed, equivalent, survived))
    for change in sorted(stale):
        print("mutants.rst explains what is no longer possible: %s" % change)
    return 1 if survived or stale else 0


if __name__ == "__main__":
    sys.exit(main())
