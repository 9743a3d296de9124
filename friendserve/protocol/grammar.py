"""The lexical rules of RFC 9110 and RFC 9112, as regular expressions over native strings.

Text from the wire is decoded as latin-1, one character an octet, before it comes here: so no
rule below can be met by a character that only looks like the one it wants (a Kelvin sign for
a "k", an Arabic digit for a digit). Every pattern ends in ``\\Z``, for ``$`` also matches
before a last newline.
"""
from __future__ import absolute_import, division, print_function

import re

#: RFC 9110 5.6.2, the characters of a token, to build a class in a larger pattern.
TOKEN_CHARS = r"!#$%&'*+\-.^_`|~0-9A-Za-z"

#: RFC 9110 5.6.2: a method, a field name, a connection option.
is_token = re.compile(r"[%s]+\Z" % TOKEN_CHARS).match

#: RFC 9110 5.5: a field value, its surrounding whitespace taken off. Tab is the one control
#: character it may hold; octets above 0x7f are allowed and opaque.
is_field_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z").match

#: What must never stand inside one line of a message this side sends.
find_line_breaker = re.compile(r"[\r\n\x00]").search

#: The same for a field value from an application: every control character but tab.
find_control = re.compile(u"[\x00-\x08\x0a-\x1f\x7f]").search

#: RFC 9110 8.6 says 1*DIGIT. Nineteen digits hold any size there is, and keep int() cheap.
is_content_length = re.compile(r"[0-9]{1,19}\Z").match

#: RFC 9112 7.1, chunk-size: 1*HEXDIG. Sixteen digits are 2**64.
is_chunk_size = re.compile(r"[0-9a-fA-F]{1,16}\Z").match

#: RFC 9110 7.2 and RFC 3986 3.2.2: a registered name or IPv4 address, or a bracketed IPv6
#: address, and an optional port. An empty host is allowed by RFC 9112 3.2.
is_host = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+;=]*)(?::[0-9]{0,5})?\Z").match

#: RFC 9112 3: method SP request-target SP HTTP-version. A target holds no whitespace and no
#: control character; octets above 0x7f, which browsers send, are passed on.
match_request_line = re.compile(
    r"([%s]+) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])\Z" % TOKEN_CHARS).match

#: RFC 9112 4: HTTP-version SP status-code SP [reason-phrase]. Some servers leave out the
#: second space together with the phrase.
match_status_line = re.compile(
    r"HTTP/([0-9])\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\Z").match


def split_list(value):
    """The members of a comma-separated list, lowered and stripped, without empty ones.

    RFC 9110 5.6.1. Meant for lists of tokens, such as that of ``Connection``.
    """
    return [member for member in
            (part.strip(" \t").lower() for part in value.split(",")) if member]
