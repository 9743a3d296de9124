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


class _LinkCleaner(Treeprocessor):
    def run(self, root):
        for element in root.iter():
            for name in ("href", "src"):
                target = element.get(name)
                if target is None:
                    continue
                # A browser reads entities in it.
                target = unescape(target)
                if _is_harmless(target):
                    element.set(name, target)
                else:
                    del element.attrib[name]
            if element.tag == "a":
                element.set("rel", "nofollow ugc noopener")


class _Harmless(Extension):
    def extendMarkdown(self, md, md_globals=None):
        # Without these, tags are text like any other.
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        room = [_ROOM]
        for processor in md.inlinePatterns:
            if isinstance(processor, LinkInlineProcessor):
                processor.handleMatch = functools.partial(
                    _find_link, processor.handleMatch, room)
        # The last of all: what it has seen, nobody changes.
        md.treeprocessors.register(_LinkCleaner(md), "harmless", -100)


def to_html(text):
    """Markdown (text) as HTML (text)."""
    return markdown.markdown(text, extensions=[_Harmless(), "fenced_code", "tables", "sane_lists"],
                             output_format="html5" if markdown.__version__ < "3.2" else "html")
