"""Tornado's own test suite on this package, as a measure of `friendserve.porting.alias`:

    python -m tests.interop.tornado_suite --python python3.6

Fetches the source distribution of Tornado 3.2.2 (or `--release`) from the package index with pip,
into a temporary folder (or ``--folder``, which is kept), runs its tests with the given Python on
that Tornado itself and then on friendserve under the alias, and compares: of the tests in callback
style (`tests.interop.callbackrule`) that pass on Tornado itself at least 92 % must pass here, and
for each of the others tornado_suite.txt has a reason. Takes about two minutes.

Nothing of Tornado is in this repository: a test is named by its module, class and method.
"""
from __future__ import absolute_import, division, print_function

import argparse
import glob
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading

from tests import ROOT
from tests.interop.callbackrule import Suite

RELEASE = "3.2.2"
REASONS = os.path.join(os.path.dirname(__file__), "tornado_suite.txt")
WORKER = os.path.join(os.path.dirname(__file__), "tornado_worker.py")

#: The share of tests that must pass, and how long one module of tests may take, in seconds.
NEEDED = 0.92
PATIENCE = 240


def fetch(release, folder, python=sys.executable):
    """Fetch the release into `folder`, unless it is there. Returns where its files are."""
    place = os.path.join(folder, "tornado-" + release)
    if not os.path.isdir(place):
        subprocess.check_call([
            python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
            "--no-build-isolation", "-d", folder, "tornado==" + release])
        with tarfile.open(place + ".tar.gz") as archive:
            archive.extractall(folder)
    return place


def read_suite(place):
    sources = {}
    for path in glob.glob(os.path.join(place, "tornado", "test", "*.py")):
        with io.open(path, encoding="utf-8") as source:
            sources[os.path.basename(path)[:-len(".py")]] = (
                source.read().replace("# -*- coding: utf-8 -*-", "").replace("coding: utf-8", ""))
    return sources


def run(place, python, mode, modules):
    """Run the modules of tests, each in a process. Returns a dictionary of the tests' names and
    (outcome, last line of the error)."""
    results = {}
    for module in modules:
        program = subprocess.Popen(
            [python, WORKER, mode, place, module], cwd=place, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="1"))
        limit = threading.Timer(PATIENCE, program.kill)
        limit.start()
        output = program.communicate()[0].decode("utf-8", "replace")
        limit.cancel()
        for line in output.split("\n"):
            if line.startswith("\x1e"):
                name, outcome, reason = json.loads(line[1:])
                results[name] = outcome, reason
        if program.returncode != 0:
            results["%s (module)" % module] = "broken", " ".join(output.split("\n")[-3:]).strip()
    return results


def read_reasons(path=REASONS):
    """The lines "release module.Class.test: reason", as a dictionary of (release, test)."""
    reasons = {}
    with io.open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, _, reason = line.strip().partition(": ")
                reasons[tuple(name.split(" "))] = reason
    return reasons


def split(name):
    module, case, test = name.split(".")
    return module, case, test


def compare(release, python, folder, only=None):
    """Run both and print the comparison. Returns whether it is good enough."""
    place = fetch(release, folder)
    sources = read_suite(place)
    suite = Suite(sources)
    modules = sorted(name for name in sources if name.endswith("_test") and
                     (not only or name in only))
    original = run(place, python, "original", modules)
    aliased = run(place, python, "alias", modules)
    passing = sorted(name for name, (outcome, _) in original.items() if outcome == "passed")
    measured = [name for name in passing if suite.is_callback_style(*split(name))]
    good = [name for name in measured if aliased.get(name, ("missing",))[0] == "passed"]
    all_good = [name for name in passing if aliased.get(name, ("missing",))[0] == "passed"]
    reasons = read_reasons()
    print("Tornado %s, on %s" % (release, python))
    unexplained = 0
    for name in measured:
        outcome, error = aliased.get(name, ("missing", ""))
        if outcome == "passed":
            continue
        reason = reasons.pop((release, name), None)
        if reason is None:
            unexplained += 1
        print("%s: %s: %s" % (outcome, name, reason or "NO REASON GIVEN. " + error))
    for name in passing:
        if name not in measured and name not in all_good:
            print("other style: %s: %s: %s" % ((name,) + aliased.get(name, ("missing", ""))))
    for (other, name) in sorted(reasons):
        if other == release and not only:
            print("a reason is given, but the test passes now, or is not measured: %s" % name)
    share = len(good) / max(len(measured), 1)
    print("passing on Tornado itself: %d, of these also here: %d" % (len(passing), len(all_good)))
    print("in callback style: %d, of these also here: %d (%.1f %%)" % (
        len(measured), len(good), 100 * share))
    return share >= NEEDED and not unexplained


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", default=RELEASE)
    parser.add_argument("--python", default="python3.6", help="the Python that runs the tests; it "
                        "needs what friendserve needs, and pycurl for the tests of that client")
    parser.add_argument("--folder", help="where the release is kept")
    parser.add_argument("modules", nargs="*", help="names such as web_test; otherwise all")
    options = parser.parse_args(arguments)
    folder = options.folder or tempfile.mkdtemp()
    return 0 if compare(options.release, options.python, folder, options.modules) else 1


if __name__ == "__main__":
    sys.exit(main())
