"""Small tools that every other module may use.

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
import time
import zlib

import six

__all__ = ["ArgReplacer", "Configurable", "GzipDecompressor", "ObjectDict", "TimeoutError",
           "errno_from_exception", "format_timestamp", "import_object", "re_unescape"]


def remember(memo, limit, key, value):
    """Put `value` under `key` into a dict that serves as a memo, and return it. A memo that holds
    `limit` entries is emptied first, so that a stranger who sends a new key each time costs the
    memory of `limit` entries at most. Call it on a miss only; the look-up stays a bare
    ``memo.get(key)``. Never remember secrets: cookies, credentials, URLs with a password."""
    if len(memo) >= limit:
        memo.clear()
    memo[key] = value
    return value


def raise_error(error):
    """Raise `error`: the error callback of an operation that was given none. Wrap it in the stack
    context of the call and have the loop call it, so that the error appears there."""
    raise error


class TimeoutError(Exception):
    """An operation did not end within the time it was given."""


class ObjectDict(dict):
    """A dict whose items are attributes too: ``d.name`` is ``d["name"]``.

    Reading an attribute that is not there raises AttributeError.
    """
    def __getattr__(self, name):
        if name not in self:
            raise AttributeError("there is no item or attribute %r" % (name,))
        return self[name]

    __setattr__ = dict.__setitem__


class Configurable(object):
    """An interface whose constructor makes an object of the implementation chosen for it.

    A subclass that is such an interface overrides `configurable_base` and
    `configurable_default`; its own subclasses implement it, and do in `initialize` what others
    do in ``__init__``. To call the constructor of an implementation makes just that, whatever
    is configured.
    """
    #: (class, keyword arguments) on a base that is configured.
    _configuration = (None, {})

    def __new__(cls, *args, **kwargs):
        base = cls.configurable_base()
        if cls is base:
            implementation = cls.configured_class()
            kwargs = dict(base._own_configuration()[1], **kwargs)
            if implementation.configurable_base() is not base:
                # It is an interface itself, with a choice of its own.
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
        """The class that implements the interface when none is configured."""
        raise NotImplementedError("%s must override configurable_default" % cls.__name__)

    def initialize(self):
        """Set the new object up. Gets the arguments of the constructor."""

    @classmethod
    def configure(cls, impl, **kwargs):
        """Choose the implementation: a class, its dotted name, or None for the default.

        `kwargs` go to every constructor call; what such a call names itself comes first.
        Objects that exist already do not change. Raises ValueError for a class that does not
        implement the interface, ImportError for a name that cannot be found.
        """
        base = cls.configurable_base()
        if isinstance(impl, (six.text_type, bytes)):
            impl = import_object(impl)
        if impl is not None and not (inspect.isclass(impl) and issubclass(impl, base)):
            raise ValueError("%r cannot be configured: it is no subclass of %s"
                             % (impl, base.__name__))
        base._configuration = (impl, kwargs)

    @classmethod
    def configured_class(cls):
        """The implementation that the constructor of the interface makes now."""
        base = cls.configurable_base()
        return base._own_configuration()[0] or cls.configurable_default()

    @classmethod
    def _own_configuration(cls):
        # One interface may inherit from another; its choice is not inherited.
        return cls.__dict__.get("_configuration", Configurable._configuration)


def import_object(name):
    """The module, or the object in a module, that has this dotted name.

    ``import_object("os.path.join") is os.path.join``. Raises ImportError where there is none,
    and TypeError for what is neither text nor bytes.
    """
    if isinstance(name, bytes):
        name = name.decode("utf-8")
    if not isinstance(name, (str, six.text_type)):
        raise TypeError("a dotted name is text, not %r" % (name,))
    if not all(name.split(".")):
        raise ImportError("%r is no dotted name: a part of it is empty" % (name,))
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


def errno_from_exception(e):
    """The error number of an exception raised by a system call, or None.

    Some exceptions have it as an attribute, others only as their first argument.
    """
    number = getattr(e, "errno", None)
    if number is None and e.args and isinstance(e.args[0], int):
        number = e.args[0]
    return number


#: What `re.escape` writes; it turns NUL into \000 on Python 2.7 and 3.6.
_ESCAPED = re.compile(r"\\(000|.|\Z)", re.DOTALL)

_NEVER_ESCAPED = frozenset(string.ascii_letters + string.digits)


def re_unescape(s):
    """The text that `re.escape` made `s` from.

    Raises ValueError if `s` holds an escape that `re.escape` never writes, such as ``\\d``: such
    a pattern matches more than one text.
    """
    return _ESCAPED.sub(_unescape_one, s)


def _unescape_one(match):
    char = match.group(1)
    if char == "000":
        return "\0"
    if not char or char in _NEVER_ESCAPED:
        raise ValueError("%r does not stand for one text: it cannot be unescaped"
                         % match.group())
    return char


def format_timestamp(ts):
    """A point in time as an HTTP date: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).

    `ts` is a number of seconds since 1970, a time tuple in UTC, or a datetime, which is in UTC
    too unless it knows its zone. Raises TypeError for anything else.
    """
    if isinstance(ts, datetime.datetime):
        seconds = calendar.timegm(ts.utctimetuple())
    elif isinstance(ts, (tuple, time.struct_time)):
        seconds = calendar.timegm(ts)
    elif isinstance(ts, numbers.Real) and not isinstance(ts, bool):
        seconds = ts
    else:
        raise TypeError("a time is a number of seconds, a time tuple or a datetime, not %r"
                        % (ts,))
    return email.utils.formatdate(seconds, usegmt=True)


class ArgReplacer(object):
    """Finds and replaces one argument of `func`, whichever way a caller passes it.

    `name` is the name of the parameter. Used by decorators that must change an argument.
    """
    def __init__(self, func, name):
        code = getattr(func, "__code__", None)
        if code is None:
            raise TypeError("%r is no Python function, so the names of its parameters are unknown"
                            % (func,))
        names = code.co_varnames[:code.co_argcount]
        if getattr(func, "__self__", None) is not None:
            names = names[1:]
        self.name = name
        #: Where the argument stands among the positional ones; None if it only has a name.
        self.arg_pos = names.index(name) if name in names else None

    def get_old_value(self, args, kwargs, default=None):
        """The argument in a call with `args` and `kwargs`; `default` when it was not passed."""
        if self.arg_pos is not None and self.arg_pos < len(args):
            return args[self.arg_pos]
        return kwargs.get(self.name, default)

    def replace(self, new_value, args, kwargs):
        """(old value or None, args, kwargs) of the same call with `new_value` passed instead.

        `args` and `kwargs` themselves stay as they are.
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
    """Decompresses gzip data (RFC 1952) that comes in pieces, no more of it than wanted.

        decompressor = GzipDecompressor()
        while data:
            write(decompressor.decompress(data, max_length=65536))
            data = decompressor.unconsumed_tail or read()
        write(decompressor.flush())

    Several members in a row are decompressed as one, at most `MAX_MEMBERS` of them: each costs
    the sender 20 bytes and us an allocation. Every method raises zlib.error for damaged data.
    """
    MAX_MEMBERS = 1000

    #: Bytes given to zlib at a time; it copies what follows the end of a member.
    _STEP = 65536

    def __init__(self):
        self.decompressobj = _new_member()
        #: Input that was not used for lack of room; pass it to the next `decompress`.
        self.unconsumed_tail = b""
        self._members = 0       # of which at least one byte was seen

    def decompress(self, value, max_length=None):
        """The data in `value`, at most `max_length` bytes of it.

        What is left of `value` then is in `unconsumed_tail`.
        """
        if max_length is not None and max_length < 1:
            raise ValueError("max_length must be at least 1, or None for no limit")
        pieces = []
        room = max_length or 0      # to zlib 0 is no limit
        position = 0
        while position < len(value):
            step = value[position:position + self._STEP]
            self._members = self._members or 1
            member = self.decompressobj
            piece = member.decompress(step, room)
            pieces.append(piece)
            # After the end of a member both attributes hold what follows it.
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
        """Whether the input so far is complete: it ends where a member ends.

        False before the first byte, and as long as there is an `unconsumed_tail`. Another
        member may follow all the same.
        """
        if not self._members or self.unconsumed_tail:
            return False
        if six.PY2:  # version: py2
            return _has_ended(self.decompressobj)
        return self.decompressobj.eof

    def flush(self):
        """Check the end; call it after all the input. Returns b"", as `decompress` keeps nothing.

        Raises zlib.error if the data ended too early or `unconsumed_tail` was not used up:
        nothing is ever decompressed here. No input at all is no error.
        """
        if self.unconsumed_tail:
            raise zlib.error("%d bytes are still to be decompressed" % len(self.unconsumed_tail))
        if self._members and not self.eof:
            raise zlib.error("the compressed data ends too early")
        return b""


def _new_member():
    # 16 asks zlib for the gzip format instead of its own.
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _has_ended(member):  # version: py2
    # The objects of Python 2.7 do not tell. One that has ended does not use a byte that
    # follows; a copy is asked, because one that has not ended does use it.
    probe = member.copy()
    try:
        probe.decompress(b"\0", 1)
    except zlib.error:
        return False
    return bool(probe.unused_data)
