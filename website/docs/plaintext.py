"""Docstrings as nodes of docutils.

The docstrings of this package are plain text: paragraphs, lists that begin with "- " or "1. ",
indented programs, and names in backticks. That is all that is recognized, so nothing in a docstring
can be an error.
"""
from __future__ import absolute_import, division, print_function

import ast
import re

from docutils import nodes

_ITEM = re.compile(r"(-|[0-9]+\.) +")
_CODE = re.compile(r"``(.+?)``|`([^`\n]+(?:\n[^`\n]+)?)`|\b(RFC [0-9]{3,5})\b")


def indent_of(line):
    return len(line) - len(line.lstrip())


def render(text, link=None):
    """The nodes for a text. `link(name)` returns a node for a name in backticks, or None."""
    return _render(text.expandtabs().splitlines(), link or (lambda name: None))


def _render(lines, link):
    found = []
    while lines:
        if not lines[0].strip():
            del lines[0]
        elif indent_of(lines[0]) >= 2:
            block = _take(lines, lambda line: not line.strip() or indent_of(line) >= 2)
            found.append(_program(block))
        elif _ITEM.match(lines[0]):
            found.append(_list(lines, link))
        else:
            paragraph = nodes.paragraph()
            paragraph += inline(" ".join(line.strip() for line in _take(
                lines, lambda line: line.strip() and indent_of(line) < 2)), link)
            found.append(paragraph)
    return found


def _take(lines, belongs):
    found = [lines.pop(0)]
    while lines and belongs(lines[0]):
        found.append(lines.pop(0))
    return found


def _program(lines):
    width = min(indent_of(line) for line in lines if line.strip())
    text = "\n".join(line[width:] for line in lines).strip("\n")
    try:
        ast.parse(text)
    except SyntaxError:
        language = "text"
    else:
        language = "python"
    return nodes.literal_block(text, text, language=language)


def _list(lines, link):
    marker = _ITEM.match(lines[0]).group(1)
    result = nodes.bullet_list(bullet="-") if marker == "-" else nodes.enumerated_list(
        enumtype="arabic", prefix="", suffix=".")
    while lines and _ITEM.match(lines[0]) and (_ITEM.match(lines[0]).group(1) == "-") == (
            marker == "-"):
        width = _ITEM.match(lines[0]).end()
        first = lines.pop(0)[width:]
        rest = []
        while lines and (indent_of(lines[0]) >= 2 or not lines[0].strip() and len(lines) > 1
                         and indent_of(lines[1]) >= 2):
            line = lines.pop(0)
            rest.append(line[min(width, indent_of(line)):])
        result += nodes.list_item("", *_render([first] + rest, link))
        while lines and not lines[0].strip():
            del lines[0]
    return result


def inline(text, link):
    """The nodes for the text of a paragraph."""
    found, end = [], 0
    for match in _CODE.finditer(text):
        if match.start() > end:
            found.append(nodes.Text(text[end:match.start()]))
        end = match.end()
        double, single, rfc = match.groups()
        if rfc:
            number = rfc[4:]
            found.append(nodes.reference(
                rfc, rfc, refuri="https://www.rfc-editor.org/rfc/rfc" + number))
        else:
            name = double or single
            found.append(link(name) or nodes.literal(name, name))
    if end < len(text):
        found.append(nodes.Text(text[end:]))
    return found
