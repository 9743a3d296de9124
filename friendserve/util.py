"""Small tools that all other modules use.

    class Cache(Configurable):
        @classmethod
        def configurable_base(cls):
            return Cache

        @classmethod
        def configurable_default(cls):
            return DictCache

    Cache.configure("myapp.caches.SharedCache", entries=500)
    cache = Cache()         # a SharedCache, initialized with entries=500
"""
from __future__ import absolute_import, division, print_function

import calendar
import datetime
import email.utils
import importlib
import inspect
import numbers
import re
import string
import sys
import time
import zlib

import six

if six.PY2:  # version: py2
    import imp

#: Whether this is PyPy, which compiles the loops of a program and does not count references.
IS_PYPY = "__pypy__" in sys.builtin_module_names

__all__ = ["ArgReplacer", "Configurable", "GzipDecompressor", "ObjectDict", "TimeoutError",
           "errno_from_exception", "format_timestamp", "import_object", "re_unescape"]


def remember(memo, limit, key, value):
    """Store `value` under `key` in a dict that serves as a memo, and return it. A memo with `limit`
    entries is emptied first, so that a client that sends a new key each time costs the memory of
    at most `limit` entries. Call it on a miss only; the look-up stays a bare ``memo.get(key)``.
    Never remember secrets: cookies, credentials, URLs with a password.

    Where varied traffic misses with each request or fetch, these statements are repeated in place,
    to save the call.
    """
    if len(memo) >= limit:
        memo.clear()
    memo[key] = value
    return value


def comes_again(seen, limit, key):
    """Whether `key` was passed before, so that it is worth remembering: most keys that clients make
    up never come back. The set `seen` holds only hashes, up to `limit`. Then it is emptied."""
    key = hash(key)
    if key in seen:
        return True
    if len(seen) >= limit:
        seen.clear()
    seen.add(key)
    return False


def set_public_module(namespace):
    """Make the package the `__module__` of the classes and functions in its `__all__`, so reprs
    and pickles show the path that users import: "friendserve.ioloop.IOLoop", not the module that
    defines it. Objects from outside the package do not change. `inspect.getsource` no longer finds
    such a class, but still its methods.

    The last line of an ``__init__.py``: ``set_public_module(globals())``.
    """
    inside = namespace["__name__"] + "."
    for name in namespace["__all__"]:
        obj = namespace[name]
        if (inspect.isclass(obj) or inspect.isfunction(obj)) and obj.__module__.startswith(inside):
            obj.__module__ = namespace["__name__"]


def raise_error(error):
    """Raise `error`: the default error callback of an operation. Wrap it in the stack context of
    the call and have the loop call it, so that the error surfaces there."""
    raise error


class TimeoutError(Exception):
    """An operation did not finish within its time limit."""


class ObjectDict(dict):
    """A dict whose items are also attributes: ``d.name`` is ``d["name"]``.

    Reading a missing attribute raises AttributeError.
    """
    def __getattr__(self, name):
        if name not in self:
            raise AttributeError("there is no item or attribute %r" % (name,))
        return self[name]

    __setattr__ = dict.__setitem__


class Configurable(object):
    """An interface whose constructor makes an object of the configured implementation.

    An interface is a subclass that overrides `configurable_base` and `configurable_default`. Its
    subclasses implement it, with `initialize` in place of ``__init__``. Calling an implementation's
    constructor makes that implementation, whatever is configured.
    """
    #: (class, keyword arguments), set on a base that is configured.
    _configuration = (None, {})

    def __new__(cls, *args, **kwargs):
        base = cls.configurable_base()
        if cls is base:
            implementation = cls.configured_class()
            kwargs = dict(base._own_configuration()[1], **kwargs)
            if implementation.configurable_base() is not base:
                # The implementation is itself an interface, with its own configuration.
                return implementation(*args, **kwargs)
        else:
            implementation = cls
        instance = super(Configurable, cls).__new__(implementation)
        instance.initialize(*args, **kwargs)
        return instance

    @classmethod
    def configurable_base(cls):
        """The interface: the class for which an implementation is chosen."""
        raise NotImplementedError("%s must override configurable_base" % cls.__name__)

    @classmethod
    def configurable_default(cls):
        """The implementation to use when none is configured."""
        raise NotImplementedError("%s must override configurable_default" % cls.__name__)

    def initialize(self):
        """Set up a new object. Called with the arguments of the constructor."""

    @classmethod
    def configure(cls, impl, **kwargs):
        """Choose the implementation: a class, its dotted name, or None for the default.

        `kwargs` are passed to every constructor call, whose explicit arguments take precedence.
        Existing objects do not change. Raises ValueError for a class that does not implement the
        interface, ImportError for a name that cannot be found.
        """
        base = cls.configurable_base()
        if isinstance(impl, (six.text_type, bytes)):
            impl = import_object(impl)
        if impl is not None and not (inspect.isclass(impl) and issubclass(impl, base)):
            raise ValueError("%r cannot be configured: it is not a subclass of %s"
                             % (impl, base.__name__))
        base._configuration = (impl, kwargs)

    @classmethod
    def configured_class(cls):
        """The implementation that the constructor of the interface uses now."""
        base = cls.configurable_base()
        return base._own_configuration()[0] or cls.configurable_default()

    # The names by which test suites keep what is configured while a test runs.

    @classmethod
    def _save_configuration(cls):
        return cls.configurable_base()._own_configuration()

    @classmethod
    def _restore_configuration(cls, saved):
        cls.configurable_base()._configuration = saved

    @classmethod
    def _own_configuration(cls):
        # If an interface inherits from another, it does not inherit its configuration.
        return cls.__dict__.get("_configuration", Configurable._configuration)


def import_object(name):
    """The module, or the object in a module, with this dotted name.

    ``import_object("os.path.join") is os.path.join``. Raises ImportError if there is none, and
    TypeError if `name` is neither text nor bytes.
    """
    if isinstance(name, bytes):
        name = name.decode("utf-8")
    if not isinstance(name, (str, six.text_type)):
        raise TypeError("a dotted name must be text, not %r" % (name,))
    if not all(name.split(".")):
        raise ImportError("%r is not a dotted name: one of its parts is empty" % (name,))
    name = str(name)
    parent, dot, last = name.rpartition(".")
    if not dot:
        return importlib.import_module(name)
    module = importlib.import_module(parent)
    try:
        return getattr(module, last)
    except AttributeError:
        if hasattr(module, "__path__"):
            return importlib.import_module(name)
        raise ImportError("module %s has no %s" % (parent, last))


_loaders = []


def load_with_loop(loader):
    """Have `loader()`, which imports modules, called when the next loop is made. A program that is
    being set up can still open files; one that needs a module for the first time under load may be
    unable to."""
    _loaders.append(loader)


def load_now():
    """Call the functions passed to `load_with_loop`. Each loop does this when it is made."""
    # On Python 2 a thread that imports waits for the main thread, which may be importing the
    # program and waiting for this thread.
    if _loaders and not (six.PY2 and imp.lock_held()):  # version: py2
        loaders, _loaders[:] = _loaders[:], []
        for loader in loaders:
            loader()


def errno_from_exception(e):
    """The error number of an exception raised by a system call, or None.

    Some exceptions have it as an attribute, others only as the first argument.
    """
    number = getattr(e, "errno", None)
    if number is None and e.args and isinstance(e.args[0], int):
        number = e.args[0]
    return number


#: The escapes that `re.escape` writes; on Python 2.7 and 3.6 NUL becomes \000.
_ESCAPED = re.compile(r"\\(000|.|\Z)", re.DOTALL)

_NEVER_ESCAPED = frozenset(string.ascii_letters + string.digits)


def re_unescape(s):
    """The text for which `re.escape` returns `s`.

    Raises ValueError if `s` has an escape that `re.escape` never writes, such as ``\\d``: such a
    pattern matches more than one text.
    """
    return _ESCAPED.sub(_unescape_one, s)


def _unescape_one(match):
    char = match.group(1)
    if char == "000":
        return "\0"
    if not char or char in _NEVER_ESCAPED:
        raise ValueError("%r cannot be unescaped: it matches more than one text"
                         % match.group())
    return char


def format_timestamp(ts):
    """A point in time as an HTTP date: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).

    `ts` is a number of seconds since 1970, a time tuple in UTC, or a datetime, which is also in UTC
    unless it has a time zone. Raises TypeError for anything else.
    """
    if isinstance(ts, datetime.datetime):
        seconds = calendar.timegm(ts.utctimetuple())
    elif isinstance(ts, (tuple, time.struct_time)):
        seconds = calendar.timegm(ts)
    elif isinstance(ts, numbers.Real) and not isinstance(ts, bool):
        seconds = ts
    else:
        raise TypeError("a time must be a number of seconds, a time tuple or a datetime, not %r"
                        % (ts,))
    return email.utils.formatdate(seconds, usegmt=True)


class ArgReplacer(object):
    """Finds and replaces an argument of `func`, whether it is passed by position or by name.

    `name` is the name of the parameter. For decorators that change an argument.
    """
    def __init__(self, func, name):
        code = getattr(func, "__code__", None)
        if code is None:
            raise TypeError("%r is not a Python function: the names of its parameters are unknown"
                            % (func,))
        names = code.co_varnames[:code.co_argcount]
        if getattr(func, "__self__", None) is not None:
            names = names[1:]
        self.name = name
        #: The index among the positional arguments; None for a keyword-only parameter.
        self.arg_pos = names.index(name) if name in names else None

    def get_old_value(self, args, kwargs, default=None):
        """The argument in a call with `args` and `kwargs`; `default` if it was not passed."""
        if self.arg_pos is not None and self.arg_pos < len(args):
            return args[self.arg_pos]
        return kwargs.get(self.name, default)

    def replace(self, new_value, args, kwargs):
        """(old value or None, args, kwargs) for the same call with `new_value` passed instead.

        `args` and `kwargs` themselves are not modified.
        """
        old_value = self.get_old_value(args, kwargs)
        if self.arg_pos is not None and self.arg_pos < len(args):
            args = list(args)
            args[self.arg_pos] = new_value
        else:
            kwargs = dict(kwargs)
            kwargs[self.name] = new_value
        return old_value, args, kwargs


class GzipDecompressor(object):
    """Decompresses gzip data (RFC 1952) that arrives in pieces, up to a given length at a time.

        decompressor = GzipDecompressor()
        while data:
            write(decompressor.decompress(data, max_length=65536))
            data = decompressor.unconsumed_tail or read()
        write(decompressor.flush())

    Consecutive members are decompressed as one, up to `MAX_MEMBERS`: each costs the sender 20
    bytes, and this process an allocation. Every method raises zlib.error for damaged data.
    """
    MAX_MEMBERS = 1000

    #: Bytes given to zlib at a time; it copies the data after a member.
    _STEP = 65536

    def __init__(self):
        self.decompressobj = _new_member()
        #: Input left over because of `max_length`; pass it to the next `decompress`.
        self.unconsumed_tail = b""
        self._members = 0       # members of which at least one byte was read

    def decompress(self, value, max_length=None):
        """The decompressed data of `value`, at most `max_length` bytes.

        The rest of `value` is then in `unconsumed_tail`.
        """
        if max_length is not None and max_length < 1:
            raise ValueError("max_length must be at least 1, or None for no limit")
        pieces = []
        room = max_length or 0      # for zlib, 0 means no limit
        position = 0
        while position < len(value):
            step = value[position:position + self._STEP]
            self._members = self._members or 1
            member = self.decompressobj
            piece = member.decompress(step, room)
            pieces.append(piece)
            # At the end of a member both attributes are the data after it.
            position += len(step) - len(member.unused_data or member.unconsumed_tail)
            if member.unused_data:
                self._next_member()
            if max_length is not None:
                room -= len(piece)
                if not room:
                    break
        self.unconsumed_tail = value[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _next_member(self):
        self._members += 1
        if self._members > self.MAX_MEMBERS:
            raise zlib.error("more than %d gzip members" % self.MAX_MEMBERS)
        self.decompressobj = _new_member()

    @property
    def eof(self):
        """Whether the input so far is complete, that is, ends at the end of a member.

        False before the first byte, and while there is an `unconsumed_tail`. Another member may
        still follow.
        """
        if not self._members or self.unconsumed_tail:
            return False
        if six.PY2:  # version: py2
            return _has_ended(self.decompressobj)
        return self.decompressobj.eof

    def flush(self):
        """Check that the input was complete; call it after all input. Returns b"".

        Raises zlib.error if the data ended too early, or if an `unconsumed_tail` was not passed
        on: nothing is decompressed here. Empty input is valid.
        """
        if self.unconsumed_tail:
            raise zlib.error("%d bytes have not been decompressed" % len(self.unconsumed_tail))
        if self._members and not self.eof:
            raise zlib.error("the compressed data ends too early")
        return b""


def _new_member():
    # 16 selects the gzip format instead of zlib's.
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _has_ended(member):  # version: py2
    # Python 2.7 has no attribute for this. A complete member does not consume another byte; an
    # incomplete one does, so try it on a copy.
    probe = member.copy()
    try:
        probe.decompress(b"\0", 1)
    except zlib.error:
        return False
    return bool(probe.unused_data)


# For programs written for Tornado, whose releases had these to run on Python 2 and 3 alike.

PY3 = not six.PY2
bytes_type = bytes
unicode_type = six.text_type
basestring_type = six.string_types[0]


def b(s):
    """A native string as bytes."""
    return s if isinstance(s, bytes) else s.encode("latin-1")


def u(s):
    """A native string as text; on Python 2 its escapes are replaced."""
    return s.decode("unicode_escape") if isinstance(s, bytes) else s


def raise_exc_info(exc_info):
    """Raise an exception again, with its traceback: `exc_info` is a tuple as from sys.exc_info."""
    try:
        six.reraise(*exc_info)
    finally:
        # The traceback refers to this frame.
        exc_info = None


def exec_in(code, glob, loc=None):
    """Execute Python, a string or code object, with these global and local variables."""
    if isinstance(code, six.string_types):
        # The __future__ imports of this file must not apply to it.
        code = compile(code, "<string>", "exec", 0, True)
    six.exec_(code, glob, loc)


def timedelta_to_seconds(td):
    """The seconds of a timedelta."""
    return td.total_seconds()


def is_finalizing():
    """Whether the interpreter is ending, when modules may be empty already."""
    return sys is None or getattr(sys, "is_finalizing", bool)()
