"""Renders untrusted Markdown as safe HTML: HTML in it is text, and links can only lead to other
pages.
"""
from __future__ import absolute_import, division, print_function

import functools
import re

import markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import LinkInlineProcessor
from markdown.treeprocessors import Treeprocessor
try:
    from html import unescape
except ImportError:  # version: py2
    from six.moves.html_parser import HTMLParser
    unescape = HTMLParser().unescape

#: The allowed links. All others are removed, such as "javascript:" in any spelling.
_is_harmless = re.compile(r"(?:https?://|mailto:|/(?!/)|#)[^\s\"<>\\]*\Z", re.IGNORECASE).match


class TooMuch(ValueError):
    """The text would result in too large a page, or is nested too deeply."""


#: The most cells in all tables together (each row is filled up to the width of its head), and the
#: most characters of HTML per character of text.
_MAX_CELLS, _MAX_GROWTH = 20000, 20

#: How many characters may be searched in vain for the ends of links in a text; it takes about a
#: second. Without this limit, a text of nothing but open brackets would take a minute.
_ROOM = 4000000


def _find_link(find, room, match, data):
    """The result of `find` for a bracket, or nothing once `room` is used up: it stays text."""
    if room[0] <= 0:
        return None, None, None
    found = find(match, data)
    if found[0] is None:
        room[0] -= len(data) - match.start(0)
    return found


#: An entity in an attribute. Without a semicolon a name is not one: "&region=" is text.
_ENTITY = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|\w+;)")

#: Pictures must come from this site or over TLS, as the pages' Content-Security-Policy says.
_is_picture = re.compile(r"(?:https://|/(?!/))[^\s\"<>\\]*\Z", re.IGNORECASE).match


class _LinkCleaner(Treeprocessor):
    def run(self, root):
        for element in root.iter():
            for name in ("href", "src"):
                target = element.get(name)
                if target is None:
                    continue
                # A browser decodes entities in it.
                target = _ENTITY.sub(lambda match: unescape(match.group()), target)
                if not (_is_harmless if name == "href" else _is_picture)(target):
                    del element.attrib[name]
            if element.tag == "a":
                element.set("rel", "nofollow ugc noopener")


class _Harmless(Extension):
    def extendMarkdown(self, md, md_globals=None):
        # Without these two, tags are plain text.
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        # It writes each letter as an entity, which the cleaner would not recognise.
        md.inlinePatterns.deregister("automail")
        room = [_ROOM]
        for processor in md.inlinePatterns:
            if isinstance(processor, LinkInlineProcessor):
                processor.handleMatch = functools.partial(
                    _find_link, processor.handleMatch, room)
        # It comes last, so that nothing changes the output that it has checked.
        md.treeprocessors.register(_LinkCleaner(md), "harmless", -100)


def to_html(text):
    """Markdown (text) as HTML (text). Raises TooMuch."""
    lines = text.split("\n")
    if max(line.count("|") for line in lines) * len(lines) > _MAX_CELLS:
        raise TooMuch("tables")
    try:
        html = markdown.markdown(
            text, extensions=[_Harmless(), "fenced_code", "tables", "sane_lists"],
            output_format="html5" if markdown.__version__ < "3.2" else "html")
    except RuntimeError:    # RecursionError is one
        raise TooMuch("nesting")
    if len(html) > _MAX_GROWTH * len(text) + 1000:
        raise TooMuch("references")
    return html
