"""Markdown of strangers, as HTML that harms nobody: no HTML of their own, and links that only lead
to other pages.
"""
from __future__ import absolute_import, division, print_function

import re

import markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
try:
    from html import unescape
except ImportError:  # version: py2
    from six.moves.html_parser import HTMLParser
    unescape = HTMLParser().unescape

#: What a link may begin with. Everything else goes, "javascript:" among it, however it is written.
_is_harmless = re.compile(r"(?:https?://|mailto:|/(?!/)|#)[^\s\"<>\\]*\Z", re.IGNORECASE).match


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
        # The last of all: what it has seen, nobody changes.
        md.treeprocessors.register(_LinkCleaner(md), "harmless", -100)


def to_html(text):
    """Markdown (text) as HTML (text)."""
    return markdown.markdown(text, extensions=[_Harmless(), "fenced_code", "tables", "sane_lists"],
                             output_format="html5" if markdown.__version__ < "3.2" else "html")
