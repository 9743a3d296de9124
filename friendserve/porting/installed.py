"""Which installed distributions require Tornado, and whether they can run on this package."""
from __future__ import absolute_import, division, print_function

import collections
import os
import re
import sys

try:
    from importlib import metadata
except ImportError:     # version: py2, and 3.6 and 3.7
    metadata = None
try:
    import pkg_resources
except ImportError:
    pkg_resources = None

from friendserve.porting.checking import check_file, needs_hand
from friendserve.porting.knowledge import LAST

#: A distribution that requires Tornado: its `name` and `version`, the `pin` ("<5,>=3" or ""),
#: whether the pin `conflicts` with the installed Tornado, whether it `admits` a release with
#: callbacks, its importable `packages`, and the number of findings in its files that need a hand.
Dependent = collections.namedtuple(
    "Dependent", "name version pin conflicts admits packages findings")

_NAME = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_CLAUSE = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)*)(\.\*)?")
_PYTHON = re.compile(r"python_version\s*(==|!=|<=|>=|<|>)\s*['\"]([0-9.]+)['\"]")

#: Releases of Tornado with callbacks: some of each series.
_WITH_CALLBACKS = ((1, 2, 1), (2, 4, 1), (3, 0), (3, 2, 2), (4, 0), (4, 2, 1), (4, 5, 3), (5, 0),
                   (5, 1), LAST)


def _numbers(text):
    return tuple(int(part) for part in re.findall(r"[0-9]+", text))


def _fits(version, operator, wanted, wildcard):
    length = max(len(version), len(wanted))
    padded = version + (0,) * (length - len(version))
    whole = wanted + (0,) * (length - len(wanted))
    same = padded[:len(wanted)] == wanted if wildcard else padded == whole
    if operator in ("==", "==="):
        return same
    if operator == "!=":
        return not same
    if operator == "~=":
        return padded >= whole and padded[:len(wanted) - 1] == wanted[:-1]
    return {"<": padded < whole, "<=": padded <= whole,
            ">": padded > whole, ">=": padded >= whole}[operator]


def satisfies(version, pin):
    """Whether a version, a tuple of numbers, is one that a pin such as ">=3,<5" admits."""
    return all(_fits(version, operator, _numbers(wanted), bool(wildcard))
               for operator, wanted, wildcard in _CLAUSE.findall(pin))


def find_pin(requirements):
    """The pin of Tornado among requirements, "" if it has none, or None if it is not required.
    Requirements of extras only, or of other Pythons, do not count."""
    pins = []
    for requirement in requirements:
        match = _NAME.match(requirement)
        if match is None or match.group(1).lower() != "tornado":
            continue
        marker = match.group(3) or ""
        if "extra" in marker or not all(
                _fits(sys.version_info[:2], operator, _numbers(wanted), False)
                for operator, wanted in _PYTHON.findall(marker)):
            continue
        pins.append(match.group(2).strip().replace(" ", ""))
    return ",".join(filter(None, pins)) if pins else None


def _read_distributions():
    """(name, version, requirements, files) of each: the files are paths of its Python source."""
    if metadata is not None:
        for found in metadata.distributions():
            files = [(str(path), str(path.locate())) for path in found.files or ()]
            yield (found.metadata["Name"] or "?", found.version, found.requires or [],
                   _python_files(files))
    elif pkg_resources is not None:
        for found in pkg_resources.working_set:
            requires = [str(requirement) for requirement in found.requires()]
            yield found.project_name, found.version, requires, _python_files(_old_files(found))
    else:
        raise EnvironmentError("check --installed needs setuptools on this Python.\n"
                               "Install it: python -m pip install setuptools")


def _old_files(found):
    """(path in the distribution, path) of each file, according to the metadata."""
    for name in ("RECORD", "installed-files.txt"):
        if found.has_metadata(name):
            base = found.location if name == "RECORD" else found.egg_info
            for line in found.get_metadata_lines(name):
                path = os.path.normpath(os.path.join(base, line.split(",")[0]))
                yield os.path.relpath(path, found.location).replace(os.sep, "/"), path


def _python_files(files):
    return [(path, place) for path, place in files
            if path.endswith(".py") and not path.startswith("..")]


def find_dependents():
    """(the version of the installed Tornado or None, a list of `Dependent` by name)."""
    installed, found = None, []
    for name, version, requirements, files in _read_distributions():
        if name.lower() == "tornado":
            installed = installed or version
            continue
        pin = find_pin(requirements)
        if pin is not None and not any(other[0] == name for other in found):
            found.append((name, version, pin, files))
    return installed, sorted(_judge(installed, *dependent) for dependent in found)


def _judge(installed, name, version, pin, files):
    packages = sorted(set(path.split("/")[0].replace(".py", "") for path, _ in files) - {"setup"})
    findings = sum(1 for _, place in files if os.path.exists(place)
                   for finding in check_file(place, alias_only=True) if needs_hand(finding))
    return Dependent(
        name, version, pin, installed is not None and not satisfies(_numbers(installed), pin),
        any(satisfies(release, pin) for release in _WITH_CALLBACKS), packages, findings)
