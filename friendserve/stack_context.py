"""Contexts that follow callbacks, so that exceptions reach the code that scheduled them.

A ``try`` around the start of some asynchronous work does not see what its callbacks raise later,
when the loop runs them. A context from this module stays with every callback that is scheduled
inside it, and with those that they schedule in turn::

    from friendserve.stack_context import ExceptionStackContext

    def failed(type, value, tb):
        page.send_error(500)
        return True                        # handled: it goes no further

    with ExceptionStackContext(failed):
        client.fetch(url, page.on_fetch)   # exceptions of on_fetch reach failed()

The loop, the streams and the clients call `wrap` on the callbacks they are given; other code needs
to only if it stores callbacks and calls them itself. Work that outlives its caller (a shared
connection, a cache, a queue of jobs) is started under `NullContext`, so that the first caller's
contexts are not applied to later callers.
"""
from __future__ import absolute_import, division, print_function

import functools
import threading

try:
    import contextvars
except ImportError:  # version: py2, 3.6
    contextvars = None


class StackContextInconsistentError(Exception):
    """A context was exited while another one was active, or entered again before it was exited.

    Usually a generator has yielded inside ``with StackContext(...)``.
    """


class _State(threading.local):
    # A class attribute, so that a thread that never saw a context needs no initialization.
    contexts = ()


#: ``state.contexts`` is the tuple of the contexts active in this thread, outermost first, or
#: ``()``. Other modules read it; only a loop sets it, to ``()`` or `VARIABLES`.
state = _State()


class _Context(object):
    """A context that is active in the body of a with statement and in callbacks scheduled there.

    ``_manager()`` of a subclass returns the context manager to enter around each such call.
    """

    active = True
    _managers = ()  # those that `enter` has entered
    _entered = None  # (outer contexts, inner contexts, manager) inside the with block

    def enter(self):
        """Enter the context manager alone, as in Tornado 4."""
        manager = self._manager()
        manager.__enter__()
        self._managers += (manager,)

    def exit(self, type, value, traceback):
        """Exit the context manager that `enter` has entered."""
        manager, self._managers = self._managers[-1], self._managers[:-1]
        return manager.__exit__(type, value, traceback)

    def __enter__(self):
        if self._entered is not None:
            raise StackContextInconsistentError(
                "this %s has already been entered; make a new one" % type(self).__name__)
        manager = self._manager()
        manager.__enter__()
        outer = state.contexts
        inner = outer + (self,)
        self._entered = outer, inner, manager
        state.contexts = inner
        return self._deactivate

    def __exit__(self, type, value, traceback):
        (outer, inner, manager), self._entered = self._entered, None
        found = state.contexts
        if self in found:
            # Otherwise the active contexts belong to other code, and stay.
            state.contexts = outer
        handled = manager.__exit__(type, value, traceback)
        if found is not inner:
            raise StackContextInconsistentError(
                "the context that was exited is not the innermost one;"
                " was there a yield inside its with block?")
        return handled

    def _deactivate(self):
        """Drop this context from all callbacks that captured it, except those already running."""
        self.active = False


class StackContext(_Context):
    """Enters a new ``context_factory()`` around the body and around each callback.

    `context_factory` takes no argument and returns a context manager; it is called once for the
    with statement and once for every wrapped callback that runs in this context. The manager's
    ``__exit__`` sees the exceptions of that callback and may suppress them. While the factory or
    ``__exit__`` runs, the contexts outside this one are active.

    ``with StackContext(factory) as deactivate`` provides a function without arguments: once it has
    been called, callbacks scheduled before or after run without this context. An object may be
    entered again, but only after it was exited.
    """

    def __init__(self, context_factory):
        self.context_factory = context_factory

    def _manager(self):
        return self.context_factory()


class ExceptionStackContext(_Context):
    """Passes exceptions of the body and its callbacks to ``exception_handler(type, value, tb)``.

    If the handler returns True, the exception goes no further; otherwise the next outer context
    gets it. An exception raised by the handler replaces the first one. The handler runs in the
    contexts outside this one, so callbacks it schedules cannot come back to it. It is never called
    for KeyboardInterrupt, SystemExit and GeneratorExit, which always propagate. `delay_warning` is
    accepted for old callers, and ignored.

    ``as deactivate`` works as with `StackContext`.
    """

    def __init__(self, exception_handler, delay_warning=False):
        self.exception_handler = exception_handler
        self._guard = _Guard(exception_handler)

    def _manager(self):
        return self._guard


_NEVER_HANDLED = (KeyboardInterrupt, SystemExit, GeneratorExit)


class _Guard(object):
    """The context manager of ExceptionStackContext; calls do not change its state."""

    __slots__ = ("_handler",)

    def __init__(self, handler):
        self._handler = handler

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        if type is None or issubclass(type, _NEVER_HANDLED):
            return False
        return self._handler(type, value, traceback)


class _Variables(_Context):
    """While this is active, each callback that is wrapped also keeps the values of the context
    variables (PEP 567). It is always the outermost context, if it is active."""

    def _manager(self):
        return _NOTHING


_NOTHING = _Guard(lambda *exc_info: False)

#: The contexts in which a loop calls its callbacks if these keep the values of context variables.
VARIABLES = (_Variables(),)


class NullContext(object):
    """Sets all contexts aside in the body of the with statement, and restores them after it.

    As with the others, an object may be entered again only after it was exited.
    """

    def __init__(self):
        self._outer = None

    def __enter__(self):
        if self._outer is not None:
            raise StackContextInconsistentError("this NullContext has already been entered")
        self._outer = state.contexts
        state.contexts = ()

    def __exit__(self, type, value, traceback):
        state.contexts, self._outer = self._outer, None


def run_with_stack_context(context, func):
    """Call ``func()`` inside `context` (such as a StackContext), and return its result.

    For code that cannot use a with statement, such as a generator that yields.
    """
    with context:
        return func()


def wrap(fn):
    """A function that calls `fn` in exactly the contexts that are active now.

    The contexts of its caller are set aside during the call and restored after it, however it
    ends. An exception passes from the innermost context outwards; the wrapped function returns None
    if one of them handles it, and raises it otherwise.

    None is returned as None, and a wrapped function unchanged. Code on a hot path whose callbacks
    are called by the loop alone may skip this when ``state.contexts`` is empty. Raises TypeError if
    `fn` is not callable.
    """
    if fn is None:
        return None
    if type(fn) is functools.partial and (fn.func is _call or fn.func is _call_with):
        return fn
    if not callable(fn):
        raise TypeError("a callback must be a callable or None, not %r" % (fn,))
    contexts = _live(state.contexts)
    if contexts and contexts[0] is VARIABLES[0]:
        return functools.partial(_call_with, contexts, fn, contextvars.copy_context())
    return functools.partial(_call, contexts, fn)


def wrap_with_variables(fn):
    """Like `wrap`, but in `VARIABLES` instead of the active contexts: for a loop whose callbacks
    keep the values of context variables. Not on Python 2.7 and 3.6, which have none."""
    active = state.contexts
    state.contexts = VARIABLES
    try:
        return wrap(fn)
    finally:
        state.contexts = active


def wrap_step(fn):
    """Like `wrap`, but context variables are those of the caller: for the steps of a coroutine,
    which keeps its variables itself."""
    return functools.partial(_call, _live(state.contexts), fn)


def wrap_like(wrapped, fn):
    """A function that calls `fn` in the contexts of `wrapped`, if that is a wrapped function, or
    else `fn`."""
    if type(wrapped) is functools.partial:
        if wrapped.func is _call:
            return functools.partial(_call, wrapped.args[0], fn)
        if wrapped.func is _call_with:
            return functools.partial(_call_with, wrapped.args[0], fn, wrapped.args[2])
    return fn


def unwrap(fn):
    """The function inside wrappers and partials, for logs: their arguments may contain secrets."""
    while type(fn) is functools.partial:
        fn = fn.args[1] if fn.func is _call or fn.func is _call_with else fn.func
    return fn


def _live(contexts):
    """`contexts` without those that were deactivated."""
    for context in contexts:
        if not context.active:
            return tuple(context for context in contexts if context.active)
    return contexts


# The underscores keep these names apart from the callback's keyword arguments.
def _call(_contexts, _fn, *args, **kwargs):
    caller = state.contexts
    contexts = _live(_contexts)
    if not contexts and not caller:
        return _fn(*args, **kwargs)
    try:
        return _descend(contexts, 0, _fn, args, kwargs)
    finally:
        state.contexts = caller


def _call_with(_contexts, _fn, _variables, *args, **kwargs):
    # In a copy: one that is in use, by a callback that calls itself, cannot be entered again.
    run = _variables.copy().run
    if _contexts is VARIABLES is state.contexts:
        # The loop is calling.
        return run(_fn, *args, **kwargs)
    return run(_call, _contexts, _fn, *args, **kwargs)


def _descend(contexts, depth, fn, args, kwargs):
    """Enter the contexts from `depth` on and call `fn` inside them.

    Real, nested with statements keep the tracebacks correct on both Pythons, and leave no frame
    that refers to the exception it raised.
    """
    if depth == len(contexts):
        state.contexts = contexts
        return fn(*args, **kwargs)
    outside = state.contexts = contexts[:depth]
    with contexts[depth]._manager():
        try:
            return _descend(contexts, depth + 1, fn, args, kwargs)
        finally:
            state.contexts = outside
