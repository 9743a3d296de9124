"""Parsers needed by all forms: for urlencoded fields (WHATWG URL 5.1), and for header values with
parameters.

    parse_urlencoded(b"a=1&a=2")                    # {"a": [b"1", b"2"]}
    parse_header_value('form-data; name="a"')       # ("form-data", {"name": "a"})

Malformed input raises HTTPInputError. The time taken is linear.
"""
from __future__ import absolute_import, division, print_function

import re

from friendserve.escape import parse_qs_bytes
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.grammar import TOKEN_CHARS

__all__ = ["MAX_FIELDS", "parse_header_value", "parse_urlencoded"]

#: The maximum number of fields in a query or a urlencoded body.
MAX_FIELDS = 1000


def parse_urlencoded(data, max_fields=MAX_FIELDS):
    """The fields of a query string or a urlencoded body: {name: [value, ...]}.

    `data` and the values are bytes, names native strings. Fields are separated by "&" alone,
    and blank values are kept. Raises HTTPInputError for more than `max_fields` fields.
    """
    if data.count(b"&") >= max_fields:
        raise HTTPInputError("more than %d arguments" % max_fields)
    return parse_qs_bytes(data, keep_blank_values=True)


# A backslash before the closing quote may belong to a file name that was not escaped.
_PARAMETER = re.compile(
    r';[ \t]*(?:([%s]+)=(?:"((?:[^"\\]|\\.)*\\?)"[ \t]*|([^";]*)))?(?=;|\Z)' % TOKEN_CHARS)
_QUOTED_PAIR = re.compile(r'\\([\\"])')


def parse_header_value(value):
    """A header value with parameters -> (value, {name: value}), both native strings.

    ``form-data; name="a"`` becomes ("form-data", {"name": "a"}). The first value and the names are
    converted to lower case (RFC 9110 5.6.6). In a quoted string a backslash is removed only from
    ``\\\\`` and ``\\"``: browsers do not escape it, and send "C:\\dir" unchanged. Raises
    HTTPInputError for malformed parameters and for a parameter that appears twice.
    """
    main = value.partition(";")[0]
    position = len(main)
    parameters = {}
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None:
            raise HTTPInputError("malformed parameters in %r" % value[:80])
        name, quoted, plain = match.groups()
        if name is not None:
            name = name.lower()
            if name in parameters:
                raise HTTPInputError("the parameter %s appears twice in %r"
                                     % (name[:80], value[:80]))
            parameters[name] = (plain.strip(" \t") if quoted is None
                                else _QUOTED_PAIR.sub(r"\1", quoted))
        position = match.end()
    return main.strip(" \t").lower(), parameters
