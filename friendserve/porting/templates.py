"""Names in the Python of templates, found and replaced. The rest of a template stays as it is."""
from __future__ import absolute_import, division, print_function

import re

from friendserve.porting.editor import Source, SourceError

#: Endings of files that may be templates.
SUFFIXES = (".html", ".htm", ".xml", ".txt", ".tpl", ".tmpl", ".template", ".js", ".css", ".svg")

# {{! and {%! are literal text, and {# begins a comment.
_DIRECTIVE = re.compile(u"{#.*?#}|{{(?!!)(.*?)}}|{%(?!!)(.*?)%}", re.S)


def rename_in_template(data, old, new):
    """The template with the package `old` replaced by `new`, as `editor.rename_package` does for a
    program: (bytes, number of edits)."""
    # Any encoding that contains ASCII will do: names are ASCII, and the other bytes are kept.
    text = data.decode("latin-1")
    pieces, binds = [], False
    for match in _DIRECTIVE.finditer(text):
        group = 1 if match.group(1) is not None else 2
        python = match.group(group)
        if python is None or not python.strip():
            continue
        skipped = len(python) - len(python.lstrip())
        try:
            source = Source(python.lstrip().encode("utf-8"))
        except SourceError:
            continue
        pieces.append((match.start(group) + skipped, source))
        binds = binds or any(
            statement.module is None and name.asname is None and name.name.split(".")[0] == old
            for statement in source.imports() for name in statement.names)
    spans = sorted(set((start + span[0], start + span[1]) for start, source in pieces
                       for span in _find_spans(source, old, binds)))
    for start, end in reversed(spans):
        text = text[:start] + new + text[end:]
    return text.encode("latin-1"), len(spans)


def _find_spans(source, old, binds):
    for statement in source.imports():
        if statement.module is None:
            heads = [(name.name, name.head) for name in statement.names]
        else:
            heads = [(statement.module, statement.head)]
        for name, head in heads:
            if head is not None and name.split(".")[0] == old:
                yield head
    if binds:
        for use in source.uses((old,)):
            yield use.span
