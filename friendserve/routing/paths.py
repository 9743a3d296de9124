"""Path patterns: from a path to the arguments in it, and back."""
from __future__ import absolute_import, division, print_function

import re

import six

from friendserve.escape import url_escape, url_unescape, utf8
from friendserve.protocol.urls import to_octets
from friendserve.util import re_unescape


class PathPattern(object):
    """A regular expression that matches whole paths, and can be filled in to make one."""
    __slots__ = ("regex", "_pattern", "_pieces")

    def __init__(self, pattern):
        if isinstance(pattern, six.string_types):
            self.regex = compile_whole(pattern)
        else:
            self.regex, pattern = pattern, pattern.pattern
        self._pattern = pattern
        self._pieces = None         # the text around the groups, once `reverse` was called
        named = len(self.regex.groupindex)
        if named and named != self.regex.groups:
            raise ValueError("either all groups of %r must have names, or none" % pattern)

    def match(self, path):
        """(args, kwargs) for the handler's methods, as unquoted bytes; one of the two is None, the
        other may be empty. None if `path` does not match."""
        match = self.regex.match(path)
        if match is None:
            return None
        if self.regex.groupindex:
            return None, dict((str(name), _unquote(value))
                              for name, value in match.groupdict().items())
        return [_unquote(value) for value in match.groups()], None

    def reverse(self, *args):
        """The path that this pattern matches, with `args` in place of its groups.

        Raises ValueError if the pattern contains anything but text and groups, and for the wrong
        number of arguments.
        """
        if self._pieces is None:
            self._pieces = _split_pattern(self._pattern, self.regex.groups)
        if len(args) != len(self._pieces) - 1:
            raise ValueError("%r takes %d arguments, not %d" % (
                self.regex.pattern, len(self._pieces) - 1, len(args)))
        path = self._pieces[0]
        for arg, text in zip(args, self._pieces[1:]):
            if not isinstance(arg, (six.text_type, bytes)):
                arg = str(arg)
            path += url_escape(utf8(arg), plus=False) + text
        return path


def _unquote(value):
    # The value of an optional group that did not match is None.
    if value is None:
        return None
    octets = to_octets(value)
    return url_unescape(octets, encoding=None, plus=False) if b"%" in octets else octets


_ends = re.compile(r"(?<!\\)(?:\\\\)*\$\Z").search
_match_flags = re.compile(r"\(\?[a-zA-Z]+\)").match


def compile_whole(pattern):
    """A regex whose `match` accepts only whole strings, whether or not `pattern` ends in "$"."""
    if not _ends(pattern):
        pattern += "$"
    if "|" in pattern:
        # Otherwise "$" would apply to the last alternative only. Flags must stay at the front.
        flags = _match_flags(pattern)
        start = flags.end() if flags is not None else 0
        pattern = "%s(?:%s)$" % (pattern[:start], pattern[start:])
    return re.compile(pattern)


def _split_pattern(whole_pattern, count):
    """The literal text before, between and after the `count` groups of a pattern."""
    pattern = whole_pattern[:-1] if _ends(whole_pattern) else whole_pattern
    if pattern.startswith("^"):
        pattern = pattern[1:]
    pieces = []
    position = 0
    for start, end in _groups(pattern):
        pieces.append(pattern[position:start])
        position = end
    pieces.append(pattern[position:])
    if len(pieces) != count + 1 or any(
            set(re.sub(r"\\.", "", piece)) & set("*+?[]{}|^$") for piece in pieces):
        raise ValueError("%r cannot be reversed: it must consist of text and simple groups"
                         % whole_pattern)
    return [re_unescape(piece) for piece in pieces]


def _groups(pattern):
    """(start, end) of each outermost pair of parentheses."""
    depth = start = position = 0
    in_class = False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            if not depth:
                start = position
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                yield start, position + 1
        position += 1
