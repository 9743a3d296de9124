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


def compare(release, python, folder, only=None):
    """Run both and print the comparison. Returns the share of the tests in callback style that
    pass here as well, and a list of those that do not and have no reason in the file."""
    place = fetch(release, folder)
    sources = read_suite(place)
    suite = Suite(sources)
    modules = sorted(name for name in sources if name.endswith("_test") and
                     (not only or name in only))
    original = run(place, python, "original", modules)
    passing = sorted(name for name, (outcome, _) in original.items() if outcome == "passed")
    measured = [name for name in passing if suite.is_callback_style(*name.split("."))]
    reasons = dict((name, reason) for (of, name), reason in read_reasons().items()
                   if of == release and (not only or name.split(".")[0] in only))
    aliased = run(place, python, "alias", modules)
    # Some tests wait for hundredths of a second, too little on a busy machine: they get a second
    # chance.
    again = set(name.split(".")[0] for name in measured
                if not _passes(aliased, name) and name not in reasons)
    for name, result in run(place, python, "alias", sorted(again)).items():
        if not _passes(aliased, name):
            aliased[name] = result
    good = [name for name in measured if _passes(aliased, name)]
    unexplained = [name for name in measured if name not in good and name not in reasons]
    share = len(good) / max(len(measured), 1)
    print("Tornado %s, on %s" % (release, python))
    for name in passing:
        if not _passes(aliased, name):
            outcome, error = aliased.get(name, ("not run", ""))
            print("%s%s: %s: %s" % ("" if name in measured else "other style: ", outcome, name,
                                    reasons.get(name) or error))
    for name in sorted(set(reasons) - (set(measured) - set(good))):
        print("the file has a reason for a test that passes now, or is not measured: " + name)
    print("passing on Tornado itself: %d, of these also here: %d" % (
        len(passing), sum(_passes(aliased, name) for name in passing)))
    print("in callback style: %d, of these also here: %d (%.1f %%)" % (
        len(measured), len(good), 100 * share))
    for name in unexplained:
        print("no reason is given for " + name)
    return share, unexplained


def _passes(results, name):
    return results.get(name, ("", ""))[0] == "passed"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", default=RELEASE)
    parser.add_argument("--python", default="python3.6", help="the Python that runs the tests; it "
                        "needs what friendserve needs, and pycurl for the tests of that client")
    parser.add_argument("--folder", help="where the release is kept")
    parser.add_argument("modules", nargs="*", help="names such as web_test; otherwise all")
    options = parser.parse_args(arguments)
    folder = options.folder or tempfile.mkdtemp()
    share, unexplained = compare(options.release, options.python, folder, options.modules)
    return 0 if share >= NEEDED and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
