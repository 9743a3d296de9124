"""From "module:application" to the callable that a server calls for each request."""
from __future__ import absolute_import, division, print_function

import importlib
import inspect
import os
import sys
import traceback

from friendserve.httputil import HTTPServerConnectionDelegate
from friendserve.web import Application
from friendserve.wsgi import WSGIContainer


class LoadError(Exception):
    """The application cannot be loaded; the text says why, in a line or two."""

    #: A log line without a traceback is enough.
    is_explained = True


def load_application(name, factory=False):
    """The Application, or the WSGIContainer of a WSGI application, that `name` ("module:name")
    refers to. `factory`: it is a function that makes it. Raises LoadError."""
    if not name:
        raise LoadError("which application? Write MODULE:APPLICATION, such as hello:application")
    module_name, colon, attribute = name.partition(":")
    if not colon or not attribute:
        raise LoadError("%r is not MODULE:APPLICATION, such as hello:application" % name)
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module_name)
    except ImportError as error:
        if _place()[0] != __file__.replace(".pyc", ".py"):
            # The missing module is one that it imports.
            raise LoadError("cannot import %s: %s\n  File \"%s\", line %d: %s" % (
                (module_name, error) + _place()))
        raise LoadError("cannot import %s: %s\n(looked in %s and on Python's path; --chdir names "
                        "another folder)" % (module_name, error, os.getcwd()))
    except Exception:
        raise LoadError("%s cannot be loaded:\n%s" % (module_name, _last_lines()))
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise LoadError("%s has no %s; it has %s" % (
                module_name, attribute, ", ".join(sorted(
                    one for one in vars(found) if not one.startswith("_")))[:200] or "nothing"))
        found = getattr(found, part)
    if factory:
        try:
            found = found()
        except Exception:
            raise LoadError("%s() failed:\n%s" % (name, _last_lines()))
    return _to_callback(name, found)


def _to_callback(name, found):
    if isinstance(found, (Application, WSGIContainer, HTTPServerConnectionDelegate)):
        return found
    if isinstance(found, type) or not callable(found):
        raise LoadError("%s is %r, which is not an application%s" % (
            name, found, ": is it a function that makes one? Then add --factory"
            if isinstance(found, type) else ""))
    parameters = _count_parameters(found)
    if parameters == 2:
        return WSGIContainer(found)
    if parameters == 0:
        raise LoadError("%s takes no arguments: if it makes the application, add --factory" % name)
    return found


def _count_parameters(function):
    """How many arguments a callable needs, None if that is unknown."""
    call = function if inspect.isfunction(function) or inspect.ismethod(function) \
        else getattr(function, "__call__", None)
    try:
        code = call.__func__.__code__ if inspect.ismethod(call) else call.__code__
    except AttributeError:
        return None
    return code.co_argcount - (1 if inspect.ismethod(call) else 0)


def _place():
    """(file, line number, line) of the exception that is being handled."""
    _, value, tb = sys.exc_info()
    if isinstance(value, SyntaxError):
        return value.filename, value.lineno or 0, (value.text or "").strip()
    frames = traceback.extract_tb(tb)
    own = [frame for frame in frames if os.sep + "importlib" not in frame[0]
           and not frame[0].startswith("<frozen")] or frames
    return own[-1][0], own[-1][1], own[-1][3]


def _last_lines():
    """Where an exception was raised, and what it says."""
    typ, value, _ = sys.exc_info()
    return '  File "%s", line %d: %s\n  %s' % (
        _place() + (traceback.format_exception_only(typ, value)[-1].strip(),))
