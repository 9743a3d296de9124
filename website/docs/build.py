"""Builds the documentation.

    python -m pip install '.[docs]'
    python website/docs/build.py html --output FOLDER

`html` is a folder of pages, for any file server. `json` is what the website puts into its frame:
for each page a file NAME.fjson, with "title", "body", "toc", "parents", "prev", "next" and others.
`pdf` is FOLDER/friendserve.pdf, and `epub` is FOLDER/friendserve.epub. A warning is an error: the
exit status is 1. Takes 10 to 60 seconds, depending on the machine; the PDF takes several minutes.
"""
from __future__ import absolute_import, division, print_function

import argparse
import os
import shutil
import sys
import tempfile

from sphinx.cmd.build import build_main

HERE = os.path.dirname(os.path.abspath(__file__))


def run_sphinx(builder, output, doctrees, *options):
    """Run a builder of Sphinx; returns its exit status."""
    return build_main(["-b", builder, "-W", "--keep-going", "-n", "-q", "-d", doctrees, HERE,
                       output] + list(options))


def build_pdf(folder, output, doctrees):
    from weasyprint import CSS, HTML
    # Without the style sheet of the pages: with its flexible boxes the layout takes hours.
    status = run_sphinx("singlehtml", folder, doctrees, "-D", "html_style=basic.css")
    if not status:
        HTML(os.path.join(folder, "index.html")).write_pdf(
            os.path.join(output, "friendserve.pdf"), pdf_variant="pdf/ua-1",
            stylesheets=[CSS(os.path.join(HERE, "print.css"))])
    return status


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
