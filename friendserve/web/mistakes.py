"""Errors in how a program uses this package, found early and explained in the program's terms."""
from __future__ import absolute_import, division, print_function

import inspect
import types

from friendserve.log import app_log

_warned = set()


def check_handler(rule):
    """Raise TypeError if the target of a rule is a handler that cannot be made with the arguments
    of the rule, or cannot answer requests at all."""
    target = rule.target
    pattern = rule.regex.pattern if hasattr(rule, "regex") else rule.matcher
    if isinstance(target, type):
        if not hasattr(target, "initialize") or not hasattr(target, "_execute"):
            raise TypeError("%s, the handler for %r, is not a subclass of RequestHandler"
                            % (target.__name__, pattern))
        # A class with a constructor may pass on what it likes.
        if not target.__init__.__module__.startswith("friendserve."):
            return
        if not isinstance(rule.target_kwargs, dict):
            raise TypeError("the third part of the rule for %r must be a dict of the arguments of "
                            "initialize, not %r; a name comes fourth, or as URLSpec(pattern, "
                            "handler, name=...)" % (pattern, rule.target_kwargs))
        try:
            inspect.getcallargs(target.initialize, None, **rule.target_kwargs)
        except TypeError as error:
            text = str(error)
            raise TypeError("%s, the handler for %r: %s%s" % (
                target.__name__, pattern, text,
                "" if text.startswith(target.__name__) else ". A rule is (pattern, handler, dict of"
                " the arguments of initialize)"))
    elif hasattr(type(target), "_execute"):
        raise TypeError("the handler for %r is a %s object; pass the class %s itself, since each"
                        " request gets its own object" % (
                            pattern, type(target).__name__, type(target).__name__))
    elif not callable(target) and not hasattr(target, "start_request"):
        raise TypeError("the handler for %r must be a subclass of RequestHandler, not %r"
                        % (pattern, target))


def returned(handler, result):
    """Called when the method of `handler` has returned something other than None. Raises TypeError
    if that would be lost; if the handler has responded, or will do so later, logs a warning, once
    for each method."""
    if isinstance(result, types.GeneratorType):
        what = "a generator, which does not run. If it is a coroutine, decorate it with" \
               " @gen.coroutine; to send pieces, call self.write and self.flush"
    elif hasattr(result, "__aiter__"):
        what = "an async generator, which does not run: call self.write and self.flush in" \
               " place of yield"
    elif isinstance(result, (dict, list)):
        what = "a %s, which is not sent: call self.write(...) with %s" % (
            type(result).__name__,
            "it to send it as JSON" if isinstance(result, dict) else "a dict that contains it")
    elif callable(result):
        what = "a function, which is not sent: call self.write(...) with what it returns"
    else:
        what = "%s %s, which is not sent: call self.write(...) with it" % (
            "an" if type(result).__name__[0] in "aeiou" else "a", type(result).__name__)
    name = handler.request.method.lower()
    text = "%s.%s returned %s" % (type(handler).__name__, name, what)
    if handler._auto_finish and not handler._finished:
        raise TypeError(text)
    if (type(handler), name) not in _warned:
        _warned.add((type(handler), name))
        app_log.warning("%s", text)
