"""What the UI modules of a page need, put where the page wants it.

    resources = Resources(active_modules(handler.ui["modules"]))
    scripts = link('<script src="%s"></script>', resources.js_files, handler.static_url)
    html = insert(html, b"".join(resources.heads), utf8(scripts))
"""
from __future__ import absolute_import, division, print_function

from friendserve.escape import utf8, xhtml_escape

_STARTS_ELSEWHERE = ("/", "http:", "https:")


def is_absolute(path):
    """Whether a path is that of a host, or a URL, and so needs no `static_url`."""
    return path.startswith(_STARTS_ELSEWHERE)


class Resources(object):
    """What the modules of a page ask for, in the order in which they were first used."""
    __slots__ = ("js_files", "js_embed", "css_files", "css_embed", "heads", "bodies")

    def __init__(self, modules):
        self.js_files = []
        self.js_embed = []
        self.css_files = []
        self.css_embed = []
        self.heads = []
        self.bodies = []
        for module in modules:
            _add_files(self.js_files, module.javascript_files())
            _add_text(self.js_embed, module.embedded_javascript())
            _add_files(self.css_files, module.css_files())
            _add_text(self.css_embed, module.embedded_css())
            _add_text(self.heads, module.html_head())
            _add_text(self.bodies, module.html_body())


def _add_files(files, given):
    if given:
        for path in given if isinstance(given, (list, tuple)) else [given]:
            if path not in files:
                files.append(path)


def _add_text(texts, given):
    if given:
        texts.append(utf8(given))


def link(template, paths, static_url):
    """One element for each path; ``%s`` in `template` stands for its URL, escaped."""
    return "".join([template % xhtml_escape(path if is_absolute(path) else static_url(path))
                    for path in paths])


def insert(html, head, body):
    """`html` with `head` before the first ``</head>`` and `body` before the last ``</body>``.

    All are bytes. Where a page has no such tag, they stand at its beginning and its end.
    """
    if head:
        position = max(html.find(b"</head>"), 0)
        html = b"".join([html[:position], head, html[position:]])
    if body:
        position = html.rfind(b"</body>")
        position = len(html) if position < 0 else position
        html = b"".join([html[:position], body, html[position:]])
    return html
