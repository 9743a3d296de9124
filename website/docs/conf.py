"""Configuration of Sphinx for the documentation; `python website/docs/build.py` runs it."""
from __future__ import absolute_import, division, print_function

import io
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, ROOT]

with io.open(os.path.join(ROOT, "friendserve", "__init__.py"), encoding="utf-8") as source:
    release = version = re.search(u'^version = "(.+)"$', source.read(), re.M).group(1)

project = "friendserve"
author = "The friendserve authors"
copyright = "2026, The friendserve authors"
language = "en"

needs_sphinx = "9.0"
extensions = ["reference"]
toc_object_entries = False
add_module_names = False
root_doc = "index"
exclude_patterns = ["_build", "**/_*.rst"]
highlight_language = "text"
pygments_style = "friendly"
# A quotation mark, a dash or three dots in the text are what the reader may copy.
smartquotes = False
nitpicky = True
today_fmt = "%-d %B %Y"

html_theme = "basic"
html_title = "friendserve %s" % release
html_static_path = ["static"]
html_style = "docs.css"
html_copy_source = False
html_show_sphinx = False
html_domain_indices = False
html_sidebars = {"**": ["localtoc.html", "relations.html", "searchbox.html"]}

epub_basename = "friendserve"
# Both, because the second is an ID within the file that the first must match.
epub_identifier = epub_uid = "friendserve-documentation"
epub_scheme = "ID"
epub_show_urls = "no"
epub_css_files = ["epub.css"]
epub_exclude_files = ["search.html", "_static/print.css"]
