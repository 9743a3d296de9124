"""The lexical rules of RFC 9110 and RFC 9112, as regular expressions over native strings.

Text from the wire is decoded as latin-1, one character per octet, before it is matched here. So a
character that only resembles the required one (a Kelvin sign for a "k", an Arabic digit for a
digit) cannot satisfy a rule. Every pattern ends in ``\\Z``, because ``$`` also matches before a
final newline.
"""
from __future__ import absolute_import, division, print_function

import re

#: RFC 9110 5.6.2: the characters of a token, for a character class in a larger pattern.
TOKEN_CHARS = r"!#$%&'*+\-.^_`|~0-9A-Za-z"

#: RFC 9110 5.6.2: a method, a field name, a connection option.
is_token = re.compile(r"[%s]+\Z" % TOKEN_CHARS).match

#: RFC 9110 5.5: a field value without its surrounding whitespace. Tab is the only control
#: character allowed; octets above 0x7f are allowed and opaque.
is_field_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z").match

#: RFC 9110 5.5: a field value that a recipient may keep although its sender broke the rule: other
#: control characters than CR, LF and NUL are harmless.
is_tolerable_value = re.compile(r"[^\0\r\n]*\Z").match

#: Characters that must not appear in a field value from an application: every control character
#: except tab.
find_control = re.compile(u"[\x00-\x08\x0a-\x1f\x7f]").search

#: RFC 9110 8.6 has 1*DIGIT. Nineteen digits suffice for any size, and keep int() cheap.
is_content_length = re.compile(r"[0-9]{1,19}\Z").match

#: RFC 9110 7.2 and RFC 3986 3.2.2: a registered name or IPv4 address, or a bracketed IPv6
#: address, and an optional port. RFC 9112 3.2 allows an empty host.
is_host = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+;=]*)(?::[0-9]{0,5})?\Z").match

#: The name in a URL of what to connect to. A percent-escape is refused: some programs decode it and
#: then connect to a host that no check has seen.
is_host_name = re.compile(r"[A-Za-z0-9\-._~!$&'()*+;=]+\Z").match

#: RFC 1035 2.3.4: the longest host name, as text. Check it before IDNA encoding, which takes time
#: quadratic in the length on old Pythons.
MAX_HOST_NAME = 253

#: RFC 9112 3: method SP request-target SP HTTP-version. A target contains no whitespace
#: and no control character; octets above 0x7f, which browsers send, are passed on.
match_request_line = re.compile(
    r"([%s]+) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])\Z" % TOKEN_CHARS).match

#: RFC 9112 4: HTTP-version SP status-code SP [reason-phrase]. Some servers omit the second
#: space together with the phrase.
match_status_line = re.compile(
    r"HTTP/([0-9])\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\Z").match


def split_list(value):
    """The members of a comma-separated list, in lower case and stripped, without empty ones.

    RFC 9110 5.6.1. For lists of tokens, such as the value of ``Connection``.
    """
    return [member for member in
            (part.strip(" \t").lower() for part in value.split(",")) if member]
