"""Builds the documentation.

    python -m pip install '.[docs]'
    python website/docs/build.py html --output FOLDER

`html` is a folder of pages, for any file server. `json` is what the website puts into its frame:
for each page a file NAME.fjson, with "title", "body", "toc", "parents", "prev", "next" and others.
`pdf` is FOLDER/friendserve.pdf, and `epub` is FOLDER/friendserve.epub. A warning is an error: the
exit status is 1. Takes 10 to 60 seconds, depending on the machine; the PDF takes a minute of CPU
time and 1.3 GB of memory.
"""
from __future__ import absolute_import, division, print_function

import argparse
import io
import logging
import os
import re
import shutil
import sys
import tempfile

from sphinx.cmd.build import build_main

HERE = os.path.dirname(os.path.abspath(__file__))


def run_sphinx(builder, output, doctrees, *options):
    """Run a builder of Sphinx; returns its exit status."""
    return build_main(["-b", builder, "-W", "--keep-going", "-n", "-q", "-d", doctrees, HERE,
                       output] + list(options))


#: The beginning of each page in the one file of all pages, with its title.
_PAGE = re.compile(u'<h([1-6])><span id="(document-[^"#]+)"></span>(.*?)'
                   u'(?:<a class="headerlink"|</h)', re.S)
_ANCHOR = re.compile(u'(<span id="document-[^"]+"></span>)(.*?<h[1-6]>)', re.S)


def with_own_anchors(html):
    """A file of all pages in which the anchors of each page begin with its own, as the links to
    them from other pages expect: "#document-reference/api/web#friendserve.web.url"."""
    parts = re.split(u'(?=<span id="document-)', html)
    for number, part in enumerate(parts[1:], 1):
        # Into the title: what precedes that may be on another sheet of paper.
        part = _ANCHOR.sub(u"\\2\\1", part, 1)
        anchor = re.search(u'<span id="(document-[^"]+)"', part).group(1)
        parts[number] = re.sub(u'( id="| href="#)(?!document-)([^"]+)"',
                               u'\\1%s#\\2"' % anchor, part)
    return u"".join(parts)


def contents(html):
    """The table of contents, in HTML, for a file of all pages: a line for each page. The numbers of
    the pages come from the style sheet."""
    lines = [u'<li class="level%s"><a href="#%s">%s</a></li>' % (level, anchor, title)
             for level, anchor, title in _PAGE.findall(html)]
    return u'<nav class="pages"><h2>Contents</h2><ul>\n%s\n</ul></nav>\n' % u"\n".join(lines)


def add_front_matter(html, version):
    """Put the version below the title of a file of all pages, and the contents after its
    introduction."""
    html = html.replace(u"</h1>", u'</h1>\n<p class="edition">Version %s</p>' % version, 1)
    start = html.index(u'<div class="toctree-wrapper')
    return html[:start] + contents(html) + html[start:]


class Complaints(logging.Handler):
    """What WeasyPrint logs about the pages, such as a link that leads nowhere."""
    def __init__(self):
        logging.Handler.__init__(self, logging.ERROR)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def print_pdf(source, target, version):
    """Write the PDF of a file of all pages; returns the status."""
    from weasyprint import CSS, HTML, LOGGER
    with io.open(source, encoding="utf-8") as file:
        html = add_front_matter(with_own_anchors(file.read()), version)
    complaints = Complaints()
    LOGGER.addHandler(complaints)
    try:
        HTML(string=html, base_url=source).write_pdf(
            target, pdf_variant="pdf/ua-1", stylesheets=[CSS(os.path.join(HERE, "print.css"))])
    finally:
        LOGGER.removeHandler(complaints)
    for text in complaints.texts:
        print("%s: %s" % (target, text), file=sys.stderr)
    return 1 if complaints.texts else 0


def build_pdf(folder, output, doctrees):
    from conf import release
    # Without the style sheet of the pages: with its flexible boxes the layout takes hours.
    status = run_sphinx("singlehtml", folder, doctrees, "-D", "html_style=basic.css")
    return status or print_pdf(os.path.join(folder, "index.html"),
                               os.path.join(output, "friendserve.pdf"), release)


def build_epub(folder, output, doctrees):
    status = run_sphinx("epub", folder, doctrees)
    if not status:
        shutil.copy(os.path.join(folder, "friendserve.epub"), output)
    return status


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Build the documentation.")
    parser.add_argument("format", choices=["html", "json", "epub", "pdf"])
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the result goes")
    options = parser.parse_args(arguments)
    if not os.path.isdir(options.output):
        os.makedirs(options.output)
    scratch = tempfile.mkdtemp()
    try:
        doctrees = os.path.join(scratch, "doctrees")
        if options.format in ("html", "json"):
            # Sphinx warns of one that an earlier build has left there.
            pickle = os.path.join(options.output, "environment.pickle")
            if os.path.exists(pickle):
                os.remove(pickle)
            return run_sphinx(options.format, options.output, doctrees)
        build = build_pdf if options.format == "pdf" else build_epub
        return build(os.path.join(scratch, "pages"), options.output, doctrees)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    sys.exit(main())
