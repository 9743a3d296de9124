"""Markdown of strangers, as HTML that harms nobody: no HTML of their own, and links that only lead
to other pages.
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

#: What a link may begin with. Everything else goes, "javascript:" among it, however it is written.
_is_harmless = re.compile(r"(?:https?://|mailto:|/(?!/)|#)[^\s\"<>\\]*\Z", re.IGNORECASE).match


class TooMuch(ValueError):
    """A text that would become too large a page, or is nested too deeply."""


#: Cells of all tables together (each row is filled up to the width of its head), and characters of
#: the HTML for each of the text.
_MAX_CELLS, _MAX_GROWTH = 20000, 20

#: How many characters may be looked through in vain for the ends of links, in all of a text: about
#: a second. A text of open brackets alone would take a minute.
_ROOM = 4000000


def _find_link(find, room, match, data):
    """What `find` makes of a bracket, or nothing when there is no room left: it stays text."""
    if room[0] <= 0:
        return None, None, None
    found = find(match, data)
    if found[0] is None:
        room[0] -= len(data) - match.start(0)
    return found


#: An entity in an attribute: where the semicolon is missing, "&region=" is none.
_ENTITY = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|\w+;)")

#: Pictures come from here or over TLS, as the pages' policy wants it.
_is_picture = re.compile(r"(?:https://|/(?!/))[^\s\"<>\\]*\Z", re.IGNORECASE).match


class _LinkCleaner(Treeprocessor):
    def run(self, root):
        for element in root.iter():
            for name in ("href", "src"):
                target = element.get(name)
                if target is None:
                    continue
                # A browser reads entities in it.
                target = _ENTITY.sub(lambda match: unescape(match.group()), target)
                if not (_is_harmless if name == "href" else _is_picture)(target):
                    del element.attrib[name]
            if element.tag == "a":
                element.set("rel", "nofollow ugc noopener")


class _Harmless(Extension):
    def extendMarkdown(self, md, md_globals=None):
        # Without these, tags are text like any other.
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        # It writes each letter as an entity, which the cleaner would not know.
        md.inlinePatterns.deregister("automail")
        room = [_ROOM]
        for processor in md.inlinePatterns:
            if isinstance(processor, LinkInlineProcessor):
                processor.handleMatch = functools.partial(
                    _find_link, processor.handleMatch, room)
        # The last of all: what it has seen, nobody changes.
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
