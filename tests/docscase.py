"""Shared by the tests of the pages in website/docs: the programs in them."""
from __future__ import absolute_import, division, print_function

import io
import os
import re
import textwrap

import six

from tests import ROOT


DOCS = os.path.join(ROOT, "website", "docs")


def page_text(page):
    """The source of a page such as "how-to/gateway.rst"."""
    with io.open(os.path.join(DOCS, *page.split("/")), encoding="utf-8") as source:
        return source.read()


def programs(page):
    """The texts of all programs of a page, except those that are files, with a caption."""
    return [textwrap.dedent(block) for _, block in re.findall(
        u"^( *)\\.\\. code-block:: python\n\n((?:\\1    .*\n|\n)+)", page_text(page), re.M)]


def program_text(page, number=0):
    """A program of a page; by default, its first."""
    return programs(page)[number]


def page_files(page):
    """{name: text} of the files that a page shows: blocks with a caption."""
    blocks = re.findall(u"code-block:: [a-z+]+\n    :caption: (\\S+)\n\n((?:    .*\n|\n)+)",
                        page_text(page))
    return dict((name, textwrap.dedent(block).strip(u"\n") + u"\n") for name, block in blocks)


def program(page, number=0):
    """The names that a program of a page defines, by default the first."""
    namespace = {"__name__": "page"}
    six.exec_(program_text(page, number), namespace)
    return namespace
