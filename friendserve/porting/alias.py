"""`import tornado` as this package: everywhere in a process, or only inside some packages."""
from __future__ import absolute_import, division, print_function

import importlib
import logging
import os
import sys
import types

try:
    from importlib import machinery, util
except ImportError:  # version: py2
    import imp
    machinery = util = None

from friendserve import httpclient, netutil, util as own_util
from friendserve.porting.editor import Source, rename_package
from friendserve.porting.knowledge import GIVEN_UP
from friendserve.porting.older import settings
from friendserve.porting.private import RequestProxy, mask_in_python
from friendserve.tcpserver import TCPServer

#: The version that programs find by default: the last one whose whole interface this package has.
VERSION = "4.5.3"

#: Modules that differ from those of the same name here.
_ADAPTED = {"websocket": "porting.adapted"}

#: Names that old programs find in other modules than today's, or that are private.
_ADDED = (
    (httpclient, "_RequestProxy", RequestProxy),
    (netutil, "TCPServer", TCPServer),
    (own_util, "_websocket_mask_python", mask_in_python),
)

_LOGGERS = ("", ".access", ".application", ".general", ".curl_httpclient")


class Alias(object):
    """An alias in force; `remove` ends it. Also a context manager."""

    def __init__(self, finders, root, replaced=()):
        self._finders = finders
        self._root = root
        self._replaced = replaced

    def remove(self):
        """End the alias. Modules that were imported meanwhile keep working."""
        for finder in self._finders:
            if finder in sys.meta_path:
                sys.meta_path.remove(finder)
        for home, name, value in self._replaced:
            setattr(home, name, value)
        self._replaced = ()
        for name in list(sys.modules):
            if name == self._root or name.startswith(self._root + "."):
                del sys.modules[name]

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.remove()


def alias(packages=None, version=VERSION):
    """Make ``import tornado`` and ``import tornado.web`` mean this package.

    `packages`: a list of names of packages and modules; then it has this meaning only inside them
    and their subpackages, and elsewhere `tornado` is whatever is installed. Call it before any of
    these packages is imported, or without `packages`, before Tornado is; otherwise it raises
    RuntimeError. `version` is what ``tornado.version`` says. Returns an `Alias`.

    Without `packages`, friendserve then also does some things as the Tornado of that version did
    (`friendserve.porting.older`).

    Inside packages the import statements are changed as the source is read; a name in a string, as
    for ``IOLoop.configure("tornado...")``, is not.
    """
    if packages is None:
        if "tornado" in sys.modules and not isinstance(sys.modules["tornado"], _Root):
            raise RuntimeError("tornado was imported before the alias was made: call alias() first")
        finder = _AliasFinder("tornado", version)
        _share_loggers()
        sys.meta_path.insert(0, finder)
        return Alias([finder], "tornado", _set(settings(_version_info(version))))
    if isinstance(packages, (bytes, type(u""))):
        raise TypeError("packages must be a list of names, not one name: write [%r]" % (packages,))
    for package in packages:
        if package in sys.modules:
            raise RuntimeError("%s was imported before the alias was made: call alias() first"
                               % package)
    root = "_tornado_of_" + "_".join(packages).replace(".", "_")
    finders = [_AliasFinder(root, version), _ScopedFinder(packages, root)]
    sys.meta_path[:0] = finders
    return Alias(finders, root)


def alias_from_environment(environ=os.environ):
    """Make the alias that the environment variable FRIENDSERVE_ALIAS asks for: "1" for everywhere,
    or names of packages with commas between them. FRIENDSERVE_ALIAS_VERSION is the version. Returns
    an `Alias`, or None if the variable is not set.

    For a ``.pth`` file in site-packages, with this line::

        import friendserve.porting; friendserve.porting.alias_from_environment()
    """
    wanted = environ.get("FRIENDSERVE_ALIAS", "").strip()
    if not wanted or wanted == "0":
        return None
    packages = None if wanted == "1" else [name.strip() for name in wanted.split(",")]
    return alias(packages, environ.get("FRIENDSERVE_ALIAS_VERSION", VERSION))


def _share_loggers():
    """Make the loggers "tornado.access" and so on those of this package, unless the program has
    made some already."""
    known = logging.Logger.manager.loggerDict
    for suffix in _LOGGERS:
        known.setdefault("tornado" + suffix, logging.getLogger("friendserve" + suffix))


def _set(wanted):
    """Set the attributes in `wanted`; returns a list of those that were replaced."""
    # Not getattr, which would unwrap a static method.
    replaced = [(home, name, vars(home)[name]) for home, name, _ in wanted]
    for home, name, value in wanted:
        setattr(home, name, value)
    return replaced


def _version_info(version):
    numbers = [int(part) for part in version.split(".")]
    return tuple((numbers + [0, 0, 0, 0])[:4])


class _Root(types.ModuleType):
    """The package `tornado`."""


class _AliasFinder(object):
    """Finds `root` and its submodules: they are this package's."""

    def __init__(self, root, version):
        self._root = root
        self._version = version

    def _matches(self, name):
        return name == self._root or name.startswith(self._root + ".")

    def _load(self, name):
        if name == self._root:
            module = _Root(str(name))
            module.__path__ = []
            module.version = self._version
            module.version_info = _version_info(self._version)
            module.__doc__ = "friendserve, as Tornado %s" % self._version
            module.__loader__ = self
        else:
            module = self._find(name[len(self._root) + 1:])
        sys.modules[name] = module
        return module

    def _find(self, name):
        if name in GIVEN_UP:
            raise ImportError("friendserve has no %s: %s" % (name, GIVEN_UP[name]))
        for home, attribute, value in _ADDED:
            if not hasattr(home, attribute):
                setattr(home, attribute, value)
        name = _ADAPTED.get(name, name)
        try:
            return importlib.import_module("friendserve." + name)
        except ImportError as error:
            if "friendserve." + name in str(error) or name in str(error).split():
                raise ImportError("friendserve has no module %s, which Tornado has" % name)
            raise

    # Python 3

    def find_spec(self, name, path=None, target=None):
        if self._matches(name):
            return util.spec_from_loader(name, self, is_package=name == self._root)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self._load(module.__name__)

    # Python 2

    def find_module(self, name, path=None):
        return self if self._matches(name) else None

    def load_module(self, name):
        return sys.modules.get(name) or self._load(name)


class _ScopedFinder(object):
    """Finds the modules of some packages, whose source then names `root` in place of Tornado."""

    def __init__(self, packages, root):
        self._packages = tuple(packages)
        self._root = root

    def _matches(self, name):
        return any(name == package or name.startswith(package + ".")
                   for package in self._packages)

    def change(self, data, path):
        """The source to compile."""
        return rename_package(Source(data, path), "tornado", self._root)[0]

    # Python 3

    def find_spec(self, name, path=None, target=None):
        if not self._matches(name):
            return None
        spec = machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is machinery.SourceFileLoader:
            spec.loader = _make_loader(self, spec.loader)
        return spec

    # Python 2

    def find_module(self, name, path=None):
        if not self._matches(name):
            return None
        try:
            found = imp.find_module(name.rpartition(".")[2], path)
        except ImportError:
            return None
        return _OldLoader(self, name, found)


if machinery is not None:
    class _Loader(machinery.SourceFileLoader):
        """Compiles changed source. Its code is not cached in a file, which would belong to the
        original."""
        finder = None

        def get_code(self, fullname):
            path = self.get_filename(fullname)
            return compile(self.finder.change(self.get_data(path), path), path, "exec",
                           dont_inherit=True)

    def _make_loader(finder, original):
        loader = _Loader(original.name, original.path)
        loader.finder = finder
        return loader


class _OldLoader(object):  # version: py2
    def __init__(self, finder, name, found):
        self._finder = finder
        self._name = name
        self._found = found

    def load_module(self, name):
        if name in sys.modules:
            return sys.modules[name]
        source, path, (_, _, kind) = self._found
        if source is not None:
            source.close()
        if kind == imp.PKG_DIRECTORY:
            folder, path = path, os.path.join(path, "__init__.py")
        elif kind == imp.PY_SOURCE:
            folder = None
        else:
            raise ImportError("%s has no source that the alias could change: %s" % (name, path))
        module = sys.modules[name] = types.ModuleType(name)
        module.__file__, module.__loader__ = path, self
        module.__package__ = name if folder is not None else name.rpartition(".")[0]
        if folder is not None:
            module.__path__ = [folder]
        try:
            with open(path, "rb") as opened:
                data = self._finder.change(opened.read(), path)
            exec(compile(data, path, "exec", 0, True), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        return module
