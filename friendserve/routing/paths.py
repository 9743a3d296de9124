"""Path patterns: from a path to the arguments in it, and back."""
from __future__ import absolute_import, division, print_function

import re

import six

try:
    from re import _parser as sre_parse
except ImportError:  # before Python 3.11
    import sre_parse

from friendserve.escape import native_str, url_escape, url_unescape, utf8
from friendserve.protocol.urls import to_octets


class PathPattern(object):
    """A regular expression that matches whole paths, and can be filled in to make one."""
    __slots__ = ("regex", "folder", "is_literal", "_pattern", "_pieces", "_has_names")

    def __init__(self, pattern):
        if isinstance(pattern, six.string_types):
            try:
                self.regex = compile_whole(pattern)
            except re.error as error:
                raise ValueError("the pattern %r is not a regular expression: %s"
                                 % (pattern, error))
        elif not hasattr(pattern, "groupindex"):
            raise TypeError("the pattern of a rule must be a text or a compiled regular expression,"
                            " not %r" % (pattern,))
        else:
            self.regex, pattern = pattern, pattern.pattern
        self._pattern = pattern
        self._pieces = None         # what a path is made of, once `reverse` was called
        named = len(self.regex.groupindex)
        if named and named != self.regex.groups:
            raise ValueError("either all groups of %r must have names, or none" % pattern)
        beginning, is_literal = _literal_beginning(self.regex)
        #: Every path that matches begins with this: nothing, or a text that ends with a slash.
        self.folder = beginning[:beginning.rfind("/") + 1]
        #: Whether only one path matches, which is in `folder` itself.
        self.is_literal = is_literal
        self._has_names = bool(self.regex.groupindex)

    def match(self, path):
        """(args, kwargs) for the handler's methods, as unquoted bytes; one of the two is None, the
        other may be empty. None if `path` does not match."""
        match = self.regex.match(path)
        if match is None:
            return None
        if self._has_names:
            return None, dict((str(name), _unquote(value))
                              for name, value in match.groupdict().items())
        groups = match.groups()
        if not groups or str is bytes or "%" in path:  # version: py2
            return [_unquote(value) for value in groups], None
        # As `_unquote`, without a call: most paths are plain.
        return [value if value is None else value.encode("latin-1") for value in groups], None

    def reverse(self, *args):
        """A path that this pattern matches, with `args` in place of its groups.

        What the pattern does not need is left out, except a single optional character, such as
        the slash of ``/entry/([0-9]+)/?``; an optional group is left out if its argument is None.
        Raises ValueError for the wrong number of arguments, and if the pattern needs something
        beside the groups that may be one of several characters, as ``/[a-z]+/`` does.
        """
        if self._pieces is None:
            self._pieces = _Reversal(self._pattern, self.regex).pieces
        if len(args) != self.regex.groups:
            raise ValueError("%r takes %d arguments, not %d" % (
                self.regex.pattern, self.regex.groups, len(args)))
        return "".join(_fill(self._pieces, args))


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


#: The arguments of other frameworks: <name>, <int:name>, {name}, {name:int}.
_find_foreign_group = re.compile(
    r"(?<![\\?P])(?:<(?:\w+:)?([A-Za-z_]\w*)>|\{([A-Za-z_]\w*)(?::\w+)?\})").search


def _literal_beginning(regex):
    """(the literal characters with which every path that matches begins, whether only the path
    that consists of them matches).

    Raises ValueError for a pattern in the manner of another framework, and for one that no path
    matches: paths begin with a slash, and other characters than ASCII are percent-encoded in them.
    """
    pattern = regex.pattern
    foreign = _find_foreign_group(pattern)
    if foreign is not None:
        raise ValueError("%r matches only these characters: write (?P<%s>[^/]+) in place of %s" % (
            pattern, foreign.group(1) or foreign.group(2), foreign.group()))
    beginning, has_end = "", False
    for kind, value in sre_parse.parse(pattern, regex.flags & (re.VERBOSE | re.IGNORECASE)):
        kind = _name(kind)
        if kind == "at":
            # A regex that was compiled elsewhere may have none, and matches longer paths as well.
            has_end = has_end or _name(value) in ("at_end", "at_end_string")
            continue
        # "*" is the target of OPTIONS for a whole server; a proxy gets whole URLs.
        if kind == "literal" and not beginning and value not in (47, 42) \
                and not pattern.lstrip("^").lower().startswith("http"):
            raise ValueError("no path matches %r: paths begin with a slash, as in %r" % (
                pattern, "/" + pattern.lstrip("^")))
        if kind != "literal" or regex.flags & re.IGNORECASE:
            return beginning, False
        if value > 127 and isinstance(pattern, six.text_type):
            raise ValueError("no path matches %r: %r is percent-encoded in paths, as %s" % (
                pattern, six.unichr(value), url_escape(six.unichr(value), plus=False)))
        beginning += chr(value)
    return beginning, has_end


class PathTable(object):
    """URLSpecs by the folders of their patterns: however many there are, only those for the folder
    of a path and for the folders around it are tried."""
    __slots__ = ("_inside", "_below", "_longest")

    def __init__(self, specs):
        # Folder -> the positions of the specs whose patterns begin with it, by `is_literal`.
        positions = {"": ([], [])}
        for position, spec in enumerate(specs):
            pattern = spec.matcher.pattern
            positions.setdefault(pattern.folder, ([], []))[pattern.is_literal].append(position)
        # Folder -> the specs for the paths in it; and those for deeper paths, in folders that no
        # pattern names.
        self._inside, self._below = {}, {}
        for folder, (_, literal) in positions.items():
            ends = [0] + [end for end, char in enumerate(folder, 1) if char == "/"]
            below = [position for end in ends if folder[:end] in positions
                     for position in positions[folder[:end]][False]]
            self._below[folder] = [specs[position] for position in sorted(below)]
            self._inside[folder] = [specs[position] for position in sorted(below + literal)]
        self._longest = max(map(len, positions))

    def find(self, path):
        """The specs that may match `path`, in their order."""
        end = path.rfind("/", 0, self._longest) + 1
        found = self._inside.get(path[:end])
        while found is None:
            # There is a list for the empty folder, so this ends there.
            end = path.rfind("/", 0, end - 1) + 1
            found = self._below.get(path[:end])
        return found


def _name(kind):
    """The name of a kind of node in a parsed regular expression, such as "literal"."""
    # Not `str`, which on PyPy makes a number of it.
    return getattr(kind, "name", kind).lower()


def _fill(pieces, args):
    """The texts of `pieces`, as native strings; those of arguments are quoted."""
    texts = []
    for piece in pieces:
        if isinstance(piece, list):
            # Optional, with the argument that decides.
            if args[piece[0]] is not None:
                texts.extend(_fill(piece[1:], args))
            continue
        if isinstance(piece, int):
            piece = args[piece]
            if not isinstance(piece, (six.text_type, bytes)):
                piece = str(piece)
            piece = url_escape(utf8(piece), plus=False)
        texts.append(piece)
    return texts


class _Reversal(object):
    """What a path is made of that a pattern matches: `pieces` is a list of texts, of numbers of
    arguments, and of lists for optional parts, which begin with the number of an argument."""

    def __init__(self, pattern, regex):
        self._pattern = pattern
        # A flag that is not for this kind of string would be refused.
        tree = sre_parse.parse(pattern, regex.flags & (re.VERBOSE | re.IGNORECASE))
        self._groups = 0
        self.pieces = self._convert(tree)
        if self._groups != regex.groups:
            self._fail("it has alternatives, or groups inside groups")

    def _fail(self, reason):
        raise ValueError("%r cannot be reversed: %s" % (self._pattern, reason))

    def _convert(self, tree):
        pieces = []
        for kind, value in tree:
            name = _name(kind)
            if name == "literal":
                pieces.append(self._to_native(value))
            elif name == "subpattern":
                if value[0] is None:
                    pieces.extend(self._convert(value[-1]))
                else:
                    pieces.append(self._groups)
                    self._groups += 1
            elif name == "in" and all(_name(one[0]) == "literal" for one in value):
                # Also alternatives that are single characters.
                pieces.append(self._to_native(value[0][1]))
            elif name == "branch":
                pieces.extend(self._convert(value[1][0]))
            elif name in ("max_repeat", "min_repeat", "possessive_repeat"):
                pieces.extend(self._repeat(*value))
            elif name == "atomic_group":
                pieces.extend(self._convert(value))
            elif name not in ("at", "assert", "assert_not"):
                self._fail("it needs something that may be one of several characters")
        return pieces

    def _repeat(self, least, most, tree):
        first = self._groups
        if least:
            return self._convert(tree) * least
        if most == 1 and len(tree) == 1 and _name(tree[0][0]) == "literal":
            return self._convert(tree)
        try:
            pieces = self._convert(tree)
        except ValueError:
            pieces = []
        return [[first] + pieces] if self._groups > first else []

    def _to_native(self, code):
        if isinstance(self._pattern, six.text_type):
            return native_str(six.unichr(code))
        return chr(code)
