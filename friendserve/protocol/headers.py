"""Header fields: a mapping that knows their rules, and the strict parsers of their lines.

Every head differs from the one before, but the names in it do not. So what is remembered is names:
one that is in the table has been checked, and has its normal form there. A head whose names are all
known takes one pass over its lines; any other is parsed line by line, by the functions that find
out what is wrong with it.
"""
from __future__ import absolute_import, division, print_function

import six

from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.grammar import (
    find_control, is_content_length, is_field_value, is_host, is_tolerable_value, is_token)

#: The names of fields that hold a secret; a head with one of them is never remembered.
SECRETS = frozenset(["Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie"])

# The names that clients, proxies and servers send most.
_COMMON = """
    Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Age Authorization
    Cache-Control Connection Content-Disposition Content-Encoding Content-Language Content-Length
    Content-Range Content-Security-Policy Content-Type Cookie Date Dnt Etag Expect Expires Forwarded
    Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive
    Last-Modified Link Location Origin Pragma Priority Proxy-Authorization Range Referer
    Referrer-Policy Retry-After Sec-Ch-Ua Sec-Ch-Ua-Mobile Sec-Ch-Ua-Platform Sec-Fetch-Dest
    Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-Gpc Sec-Websocket-Extensions
    Sec-Websocket-Key Sec-Websocket-Protocol Sec-Websocket-Version Server Set-Cookie
    Strict-Transport-Security Te Traceparent Tracestate Trailer Transfer-Encoding Upgrade
    Upgrade-Insecure-Requests User-Agent Vary Via Www-Authenticate X-Content-Type-Options
    X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Frame-Options X-Real-Ip
    X-Request-Id X-Requested-With X-Scheme X-Xsrftoken""".split()

#: Names as received -> their normal form. All of them are tokens.
NAMES = {}
_NAME_ENTRIES = 1000
_NAME_LENGTH = 64

_new = object.__new__


def _forget_names():
    """Empty the table, except for the common names: a client that sends a new name each time is not
    to make the heads of others unknown."""
    NAMES.clear()
    for name in _COMMON:
        NAMES[name] = NAMES[name.lower()] = name


_forget_names()


def normalize_name(name):
    """The spelling under which a field is kept: ``Content-Type`` for ``content-TYPE``."""
    try:
        return NAMES[name]
    except KeyError:
        # On Python 2 a unicode key would turn the whole head into unicode.
        normal = six.ensure_str("-".join([word.capitalize() for word in name.split("-")]),
                                "latin-1", "replace")
        if len(name) <= _NAME_LENGTH and is_token(name):
            if len(NAMES) >= _NAME_ENTRIES:
                _forget_names()
            NAMES[name] = normal
        return normal


class HTTPHeaders(six.moves.collections_abc.MutableMapping):
    """Header fields by name, in any case; several lines of one name are kept apart.

    ``headers["Accept"]`` is all values of that name joined by ", " (RFC 9110 5.3), and
    ``get_list`` returns them one by one. Setting an item replaces every value of the name, ``add``
    appends one. The constructor accepts nothing, another mapping, pairs (all values of a name are
    kept), or keywords.

    The mapping does not check names and values. The code that reads or writes a message refuses
    those that are not valid on the wire (`parse_line`, the web module, the server).
    """
    __slots__ = ("_values",)

    def __init__(self, *args, **kwargs):
        # Normalized name -> a str for one line, a list for several: the common case costs no list,
        # and values are joined only when they are read.
        self._values = {}
        if args or kwargs:
            if len(args) == 1 and not kwargs and isinstance(args[0], HTTPHeaders):
                self._values = args[0].copy()._values
            elif len(args) == 1 and not hasattr(args[0], "keys"):
                for name, value in args[0]:
                    self.add(name, value)
                self.update(**kwargs)
            else:
                self.update(*args, **kwargs)

    @classmethod
    def from_values(cls, values):
        """Headers over a dict whose names are already normalized. The dict is not copied."""
        headers = _new(cls)
        headers._values = values
        return headers

    def add(self, name, value):
        """Append one more value under `name`."""
        values = self._values
        name = normalize_name(name)
        if name not in values:
            values[name] = value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]

    def get_list(self, name):
        """Every value of `name`, in the order of the lines; [] if there is none."""
        value = self._values.get(normalize_name(name), [])
        return list(value) if isinstance(value, list) else [value]

    def get_all(self):
        """An iterator over (name, value), one for each line."""
        for name, value in self._values.items():
            if isinstance(value, list):
                for one in value:
                    yield name, one
            else:
                yield name, value

    def parse_line(self, line):
        """Add the field of one line, with or without its line end.

        Raises HTTPInputError for a line that RFC 9112 5 does not allow, such as a continuation
        line (obs-fold).
        """
        if line.endswith("\n"):
            line = line[:-2] if line.endswith("\r\n") else line[:-1]
        self.add(*parse_field_line(line))

    @classmethod
    def parse(cls, headers):
        """The headers in a native string of lines, each ended by CRLF or LF.

        This is for text from files and tests; text from the wire is parsed by `parse_fields`. A
        line that begins with whitespace continues the one before it (obs-fold, RFC 9112 5.2): the
        two are joined by a space.
        """
        lines = []
        for line in headers.split("\n"):
            if line.endswith("\r"):
                line = line[:-1]
            if lines and line[:1] in (" ", "\t"):
                lines[-1] += " " + line.strip(" \t")
            elif line:
                lines.append(line)
        result = cls()
        for line in lines:
            result.parse_line(line)
        return result

    def update(self, *args, **kwargs):
        """Set items as those of a dict: from a mapping, pairs or keywords. Each replaces every
        value of its name; the values of other HTTPHeaders stay apart."""
        if len(args) == 1 and isinstance(args[0], HTTPHeaders):
            self._values.update(args[0].copy()._values)
            args = ()
        super(HTTPHeaders, self).update(*args, **kwargs)

    def copy(self):
        """A copy that shares no list with this one."""
        return type(self).from_values(dict(
            (name, list(value) if isinstance(value, list) else value)
            for name, value in self._values.items()))

    __copy__ = copy

    def __deepcopy__(self, memo):
        return self.copy()

    def __setitem__(self, name, value):
        self._values[normalize_name(name)] = value

    def __getitem__(self, name):
        value = self._values[normalize_name(name)]
        return ", ".join(value) if isinstance(value, list) else value

    def __delitem__(self, name):
        del self._values[normalize_name(name)]

    def __contains__(self, name):
        return normalize_name(name) in self._values

    def get(self, name, default=None):
        """The value under `name`, or `default`."""
        value = self._values.get(normalize_name(name), default)
        return ", ".join(value) if isinstance(value, list) else value

    def __len__(self):
        return len(self._values)

    def __iter__(self):
        return iter(self._values)

    def __str__(self):
        return "".join(["%s: %s\n" % pair for pair in self.get_all()])

    __unicode__ = __str__

    def __repr__(self):
        return "HTTPHeaders(%r)" % (list(self.get_all()),)


def check_field(name, value):
    """`value` as a native string that is valid in a header this side sends.

    Integers become decimal digits, and bytes are decoded as latin-1. Raises ValueError for a name
    that is not a token, and for a value with a control character or a character above U+00FF: an
    application must not be able to end a line early (RFC 9110 5.5).
    """
    if not is_token(name):
        raise ValueError("%r cannot be a header name: only letters, digits and "
                         "!#$%%&'*+-.^_`|~ are allowed" % (name,))
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    elif isinstance(value, six.integer_types):
        return str(value)
    elif not isinstance(value, six.text_type):
        raise TypeError("the value of header %s must be a string, an integer or a datetime, "
                        "not %s" % (name, type(value).__name__))
    if find_control(value):
        raise ValueError("Unsafe header value, with a control character, in %s: %r"
                         % (name, value))
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("the value of header %s contains a character above U+00FF, which needs "
                         "an encoding such as RFC 8187: %r" % (name, value))
    return octets.decode("latin-1") if str is not bytes else octets  # version: py2


def parse_field_line(line):
    """One field line without its line end -> (normalized name, value).

    RFC 9112 5.1: no whitespace before the colon, none at the beginning of the line (which would
    continue the previous one), no control character in the value. Raises HTTPInputError.
    """
    name, colon, value = line.partition(":")
    if not colon or not is_token(name):
        raise HTTPInputError("malformed header line %r: it must be a name, a colon and a value"
                             % line[:80])
    value = value.strip(" \t")
    if not is_field_value(value):
        raise HTTPInputError("control character in header %s" % name)
    return normalize_name(name), value


def parse_response_field_line(line):
    """The same for a response, whose reader may be more tolerant: whitespace before the colon is
    taken off (RFC 9112 5.1), unless the field frames the message, and control characters other than
    CR, LF and NUL are kept (RFC 9110 5.5)."""
    name, colon, value = line.partition(":")
    bare = name.rstrip(" \t")
    if not colon or not is_token(bare) or (
            bare != name and normalize_name(bare) in ("Content-Length", "Transfer-Encoding")):
        raise HTTPInputError("malformed header line %r: it must be a name, a colon and a value"
                             % line[:80])
    value = value.strip(" \t")
    if not is_tolerable_value(value):
        raise HTTPInputError("CR, LF or NUL in header %s" % bare)
    return normalize_name(bare), value


def _is_transfer_encoding(value):
    # A proxy in front might interpret any other value differently, which lets requests be
    # smuggled past it (RFC 9112 6.1).
    return value.lower() == "chunked"


#: The fields that determine where a response ends, each of which may appear only once: (name,
#: predicate of its value, what is wrong if that is false).
_RESPONSE_CHECKS = (
    ("Content-Length", is_content_length, "malformed Content-Length %r: it must be a number"),
    ("Transfer-Encoding", _is_transfer_encoding,
     "Transfer-Encoding %r is not supported, only chunked"))

#: The same for a request, and where it goes. A Host in a response has no meaning.
_REQUEST_CHECKS = (("Host", is_host, "malformed Host %r"),) + _RESPONSE_CHECKS

#: For `parse_fields`, the rules of requests and of responses: (the strict parser of a line, the
#: fields that frame the message).
REQUEST = parse_field_line, _REQUEST_CHECKS
RESPONSE = parse_response_field_line, _RESPONSE_CHECKS


def parse_fields(lines, max_fields, rules=REQUEST, are_clean=False):
    """The field lines of a head, without line ends -> HTTPHeaders.

    `lines` is a list of native strings. `are_clean` says that there is no control character in any
    of them, which is quickest to find out for the whole head. Raises HTTPInputError: 431
    for more than `max_fields` lines, else 400, also for a Content-Length, a Transfer-Encoding or,
    in a request, a Host that is malformed or appears twice.
    """
    if len(lines) > max_fields:
        raise HTTPInputError("more than %d header lines" % max_fields, 431)
    parse, checks = rules
    values = {}
    if are_clean:
        names = NAMES
        try:
            for line in lines:
                name, value = line.split(":", 1)
                values[names[name]] = value.strip(" \t")
        except (KeyError, ValueError):
            # A name that is not in the table, or a line without a colon.
            values.clear()
    if len(values) != len(lines):
        values = _parse_each(lines, parse, checks)
    check_framing(values, checks)
    # As `HTTPHeaders.from_values`, without a call.
    headers = _new(HTTPHeaders)
    headers._values = values
    return headers


def check_framing(values, checks=_RESPONSE_CHECKS):
    """Refuse fields that frame a message and are malformed. `values` is the dict of HTTPHeaders in
    which none of them appears twice."""
    for name, is_valid, complaint in checks:
        if name in values and not is_valid(values[name]):
            raise HTTPInputError(complaint % values[name][:80])


def _parse_each(lines, parse, checks):
    """The values of the same lines, parsed one by one: for names that are new or appear twice, and
    for malformed lines."""
    headers = HTTPHeaders()
    for line in lines:
        headers.add(*parse(line))
    for name, _, _ in checks:
        if type(headers._values.get(name)) is list:
            raise HTTPInputError("more than one %s header" % name)
    return headers._values


def may_be_remembered(values):
    """Whether this dict of HTTPHeaders contains no secret, and only one value for each name."""
    return SECRETS.isdisjoint(values) and list not in map(type, values.values())
