"""Finding and replacing names in the source of a program, and nothing else.

A file is read as bytes, decoded as its first lines say, and taken apart by `tokenize`, which knows
the tokens of both Python 2 and 3, and the grammar of neither. Edits replace spans of the original
text, so that everything else stays as it is, byte for byte.
"""
from __future__ import absolute_import, division, print_function

import codecs
import collections
import io
import re
import tokenize

_CODING = re.compile(br"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(br"^[ \t\f]*(?:[#\r\n]|$)")
_LINES = re.compile(u"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")

_QUIET = frozenset((tokenize.COMMENT, tokenize.NL))
_INDENTS = frozenset((tokenize.INDENT, tokenize.DEDENT))


class SourceError(Exception):
    """The source of a file cannot be taken apart, or put together again."""


#: An import statement. `module`: the dotted name after ``from``, with leading dots, or None for a
#: plain ``import``. `names`: a list of `Name`. `line`, `column`: where it begins, both from 1.
#: `head`: the span of the first part of `module`, or None.
Import = collections.namedtuple("Import", "module names line column head")

#: An imported name: `name` (dotted, in a plain ``import``), the name that it is bound to, `asname`,
#: or None, the span of its first part, `head`, and that of `asname`, `tail`, or None.
Name = collections.namedtuple("Name", "name asname head tail")

#: A name in an expression that is not an attribute: `attributes` are the names that follow it,
#: each after a dot; `span` is its own.
Use = collections.namedtuple("Use", "name attributes span line column")

#: A class statement: `name`, `bases`, the dotted names of its bases, and `body`, the span of what
#: follows its colon.
Class = collections.namedtuple("Class", "name bases body")

#: A token: `start` and `end` are positions in the text.
_Token = collections.namedtuple("_Token", "kind text start end line column")


class Source(object):
    """The source of one file. `data` is bytes; raises SourceError."""

    def __init__(self, data, path="<source>"):
        self.path = path
        self._bom = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        body = data[len(self._bom):]
        self.encoding = self._find_encoding(body)
        try:
            self.text = body.decode(self.encoding)
            same = self.text.encode(self.encoding) == body
        except (UnicodeError, LookupError) as error:
            raise SourceError("%s cannot be decoded: %s" % (path, error))
        if not same:
            raise SourceError("%s would change if it were decoded and encoded again" % path)
        self.tokens = list(self._read_tokens())
        #: The tokens that have a meaning.
        self.code = [token for token in self.tokens if token.kind not in _QUIET]

    def _find_encoding(self, body):
        for line in re.split(br"\r\n|\n|\r", body, maxsplit=2)[:2]:
            match = _CODING.match(line)
            if match:
                return match.group(1).decode("ascii")
            if not _BLANK.match(line):
                break
        return "utf-8"

    def _read_tokens(self):
        lines = _LINES.findall(self.text)
        starts, position = [], 0
        for line in lines:
            starts.append(position)
            position += len(line)
        # Tokenizers disagree on whether a lone "\r" or a form feed ends a line. They all accept
        # "\n", and this replacement moves nothing else in a line.
        feed = io.StringIO(u"".join(re.sub(u"\r\n?$", u"\n", line) if not line.endswith(u"\n")
                                    or line.endswith(u"\r\n") else line for line in lines),
                           newline=u"\n")
        try:
            for token in tokenize.generate_tokens(feed.readline):
                kind, text, (row, column), (end_row, end_column) = tuple(token)[:4]
                if row > len(lines):
                    start = end = len(self.text)
                else:
                    start = starts[row - 1] + column
                    end = starts[end_row - 1] + end_column if end_row <= len(lines) \
                        else len(self.text)
                yield _Token(kind, text, start, end, row, column + 1)
        except (tokenize.TokenError, SyntaxError, IndentationError) as error:
            raise SourceError("%s cannot be taken apart: %s" % (self.path, error))

    # Finding

    def _statements(self):
        """Indexes in `code` of the tokens that begin a statement."""
        begins, depth = True, 0
        for index, token in enumerate(self.code):
            if begins and token.kind == tokenize.NAME:
                yield index
            if token.kind in _INDENTS:
                continue
            if token.kind == tokenize.OP:
                depth += (token.text in "([{") - (token.text in ")]}")
            begins = token.kind == tokenize.NEWLINE or \
                token.kind == tokenize.OP and not depth and token.text in ";:"

    def imports(self):
        """All import statements, a list of `Import`."""
        found, tokens = [], self.code
        for index in self._statements():
            if tokens[index].text == "import":
                names = _read_names(tokens, index + 1)
                found.append(Import(None, names, tokens[index].line, tokens[index].column, None))
            elif tokens[index].text == "from":
                found.extend(_read_from(tokens, index))
        return found

    def uses(self, names):
        """All places where one of `names` is used, except as an attribute, the keyword of an
        argument, and in import statements: a list of `Use`."""
        taken = set()
        for statement in self.imports():
            for name in statement.names:
                taken.update(span[0] for span in (name.head, name.tail) if span is not None)
            if statement.head is not None:
                taken.add(statement.head[0])
        found, depth = [], 0
        tokens = self.code
        for index, token in enumerate(tokens):
            if token.kind == tokenize.OP:
                depth += (token.text in "([{") - (token.text in ")]}")
            if token.kind != tokenize.NAME or token.text not in names or token.start in taken \
                    or index and tokens[index - 1].text == ".":
                continue
            after = tokens[index + 1]
            if after.text == "=" and depth and tokens[index - 1].text in ("(", ","):
                continue
            attributes, place = [], index + 1
            while tokens[place].text == "." and tokens[place + 1].kind == tokenize.NAME:
                attributes.append(tokens[place + 1].text)
                place += 2
            found.append(Use(token.text, attributes, (token.start, token.end), token.line,
                             token.column))
        return found

    def classes(self):
        """All class statements, outer ones first: a list of `Class`."""
        return [_read_class(self.code, index) for index in self._statements()
                if self.code[index].text == "class"
                and self.code[index + 1].kind == tokenize.NAME]

    # Replacing

    def replace(self, edits):
        """The source, as bytes, with the text of each span replaced: `edits` are pairs of a span
        and a text. Raises SourceError for spans that overlap and texts that cannot be encoded."""
        pieces, position = [], 0
        for (start, end), text in sorted(edits):
            if start < position:
                raise SourceError("%s: two edits overlap" % self.path)
            pieces.extend([self.text[position:start], text])
            position = end
        pieces.append(self.text[position:])
        try:
            return self._bom + u"".join(pieces).encode(self.encoding)
        except UnicodeError as error:
            raise SourceError("%s: %s" % (self.path, error))


def _read_dotted(tokens, index):
    """(dotted name, the span of its first part, index of the next token)."""
    first, parts = tokens[index], []
    while tokens[index].kind == tokenize.NAME:
        parts.append(tokens[index].text)
        index += 1
        if tokens[index].text != ".":
            break
        index += 1
    return ".".join(parts), (first.start, first.end), index


def _read_names(tokens, index):
    """The names of an import statement that begin at `index`."""
    names = []
    if tokens[index].text == "(":
        index += 1
    while tokens[index].kind == tokenize.NAME or tokens[index].text == "*":
        if tokens[index].text == "*":
            token = tokens[index]
            names.append(Name("*", None, (token.start, token.end), None))
            break
        name, head, index = _read_dotted(tokens, index)
        asname = tail = None
        if tokens[index].text == "as":
            asname = tokens[index + 1].text
            tail = (tokens[index + 1].start, tokens[index + 1].end)
            index += 2
        names.append(Name(name, asname, head, tail))
        if tokens[index].text != ",":
            break
        index += 1
    return names


def _read_from(tokens, index):
    """The Import of a ``from`` statement, in a list, or [] if it is not one."""
    first = tokens[index]
    dots, index = "", index + 1
    while tokens[index].text in (".", "..."):
        dots += tokens[index].text
        index += 1
    module, head = "", None
    if tokens[index].kind == tokenize.NAME and tokens[index].text != "import":
        module, head, index = _read_dotted(tokens, index)
    if tokens[index].text != "import":
        return []
    return [Import(dots + module, _read_names(tokens, index + 1), first.line, first.column,
                   head if not dots else None)]


def _read_class(tokens, index):
    """The Class that a statement defines."""
    name, bases, depth = tokens[index + 1].text, [], 0
    index += 2
    while depth or tokens[index].text != ":":
        token = tokens[index]
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        index += 1
        if depth == 1 and token.text in ("(", ",") and tokens[index].kind == tokenize.NAME:
            base, _, after = _read_dotted(tokens, index)
            if tokens[after].text in (",", ")"):
                bases.append(base)
    start, depth = tokens[index].end, 0
    if tokens[index + 1].kind != tokenize.NEWLINE:
        while tokens[index].kind != tokenize.NEWLINE:
            index += 1
    else:
        index += 2
        while True:
            depth += (tokens[index].kind == tokenize.INDENT) - (
                tokens[index].kind == tokenize.DEDENT)
            if not depth:
                break
            index += 1
    return Class(name, bases, (start, tokens[index].start))


def rename_package(source, old, new):
    """The source with the package `old` replaced by `new` in its import statements and wherever a
    plain ``import`` has bound its name, and the number of edits: (bytes, int)."""
    edits, binds = [], False
    for statement in source.imports():
        if statement.module is not None:
            if statement.head is not None and statement.module.split(".")[0] == old:
                edits.append((statement.head, new))
            continue
        for name in statement.names:
            if name.name.split(".")[0] == old:
                edits.append((name.head, new))
                binds = binds or name.asname is None
    if binds:
        edits.extend((use.span, new) for use in source.uses((old,)))
    return source.replace(edits), len(edits)
