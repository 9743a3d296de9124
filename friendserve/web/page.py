"""Page, the part of a handler that makes pages; and the scripts, styles and markup that UI modules
add to a page.

    resources = Resources(active_modules(handler.ui["modules"]))
    scripts = link('<script src="%s"></script>', resources.js_files, handler.static_url)
    html = insert(html, b"".join(resources.heads), utf8(scripts))
"""
from __future__ import absolute_import, division, print_function

import functools
import os
import re
import sys
import threading

from friendserve import locale
from friendserve.escape import utf8, xhtml_escape
from friendserve.template import Loader, Template
from friendserve.util import ObjectDict, remember
from friendserve.web.uimodule import active_modules, bind_modules

_match_language = re.compile(
    r"[ \t]*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,8})[ \t]*"
    r"(?:;[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*)?\Z").match

#: Modules between a call of `render` and the template.
_PAGE_MODULES = ("friendserve.web.", "friendserve.template")

_STARTS_ELSEWHERE = ("/", "http:", "https:")


def is_absolute(path):
    """Whether a path is a URL or starts at the root of a host, so that `static_url` does not
    apply to it."""
    return path.startswith(_STARTS_ELSEWHERE)


class Resources(object):
    """The additions of a page's UI modules, in the order in which these were first used."""
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
    """One element for each path: `template` with its URL, escaped, for ``%s``."""
    return "".join([template % xhtml_escape(path if is_absolute(path) else static_url(path))
                    for path in paths])


def insert(html, head, body):
    """`html` with `head` before the first ``</head>`` and `body` before the last ``</body>``.

    All are bytes. Without such a tag, `head` goes at the beginning and `body` at the end.
    """
    if head:
        position = max(html.find(b"</head>"), 0)
        html = b"".join([html[:position], head, html[position:]])
    if body:
        position = html.rfind(b"</body>")
        position = len(html) if position < 0 else position
        html = b"".join([html[:position], body, html[position:]])
    return html


#: The number of languages read from an Accept-Language header; more are ignored.
MAX_LANGUAGES = 20

# Headers, of which browsers send few different ones -> their codes.
_languages = {}
_MAX_HEADERS = 500
_MAX_HEADER = 200


def accepted_languages(header):
    """The language codes of an Accept-Language header (RFC 9110 12.5.4), most preferred first.
    Malformed entries and those of weight 0 are left out."""
    known = _languages.get(header)
    if known is not None:
        return list(known)
    wanted = []
    for item in header.split(",", MAX_LANGUAGES)[:MAX_LANGUAGES]:
        match = _match_language(item)
        if match is not None:
            quality = float(match.group(2) or 1)
            if quality > 0:
                wanted.append((quality, match.group(1)))
    # sorted() is stable: among equals the first comes first.
    codes = [code for _, code in sorted(wanted, key=lambda pair: -pair[0])]
    if len(header) <= _MAX_HEADER:
        remember(_languages, _MAX_HEADERS, header, tuple(codes))
    return codes


class Page(object):
    """The part of a RequestHandler that makes pages: templates, UI modules, static URLs, and the
    language of the reader.

    The handler provides `application`, `request`, `settings`, `require_setting`, `current_user`,
    `reverse_url`, `xsrf_form_html`, `finish` and `_finished`, and calls `_release_ui` when it has
    finished.
    """
    _ui = None

    # Template loaders by folder, of all applications. Old programs empty it.
    _template_loaders = {}
    _template_loader_lock = threading.Lock()

    @property
    def locale(self):
        """The `friendserve.locale.Locale` of the reader: the user's, or else the browser's. It can
        be set."""
        known = self.__dict__.get("_locale")
        if known is None:
            known = self._locale = self.get_user_locale() or self.get_browser_locale()
        return known

    @locale.setter
    def locale(self, chosen):
        self._locale = chosen

    def get_user_locale(self):
        """The Locale that the user chose, for example from a cookie, or None. To be overridden."""

    def get_browser_locale(self, default="en_US"):
        """The Locale that best fits the languages the browser accepts; that of `default` if it
        names none."""
        codes = accepted_languages(self.request.headers.get("Accept-Language", ""))
        return locale.get(*codes or [default])

    def render(self, template_name, **kwargs):
        """Render a template, add what its UI modules need, and finish the response with it."""
        if self._finished:
            raise RuntimeError("render() after finish(): is this handler @asynchronous?")
        html = self.render_string(template_name, **kwargs)
        modules = active_modules(self.ui["modules"])
        if modules:
            html = self._add_resources(html, Resources(modules))
        self.finish(html)

    def _add_resources(self, html, resources):
        head, body = list(resources.heads), list(resources.bodies)
        # Embedded styles and scripts come after the files that they may build upon.
        for parts, given, markup in [
                (head, resources.css_embed, self.render_embed_css),
                (head, resources.css_files, self.render_linked_css),
                (body, resources.js_embed, self.render_embed_js),
                (body, resources.js_files, self.render_linked_js)]:
            if given:
                parts.insert(0, utf8(markup(given)))
        return insert(html, b"".join(head), b"".join(body))

    def render_linked_js(self, js_files):
        """The markup for the script files of UI modules. May be overridden."""
        return link('<script src="%s"></script>', js_files, self.static_url)

    def render_embed_js(self, js_embed):
        """The markup for the embedded scripts (bytes) of UI modules. May be overridden."""
        return b"<script>\n" + b"\n".join(js_embed) + b"\n</script>"

    def render_linked_css(self, css_files):
        """The markup for the style sheets of UI modules. May be overridden."""
        return link('<link href="%s" type="text/css" rel="stylesheet"/>', css_files,
                    self.static_url)

    def render_embed_css(self, css_embed):
        """The markup for the embedded styles (bytes) of UI modules. May be overridden."""
        return b"<style>\n" + b"\n".join(css_embed) + b"\n</style>"

    def render_string(self, template_name, **kwargs):
        """Render a template to bytes, with `kwargs` and `get_template_namespace` as its
        variables."""
        path = self.get_template_path() or self._find_folder()
        loader = self.application.get_template_loader(path, self)
        namespace = self.get_template_namespace()
        namespace.update(kwargs)
        return loader.load(template_name).generate(**namespace)

    def get_template_path(self):
        """The folder of the templates: the setting template_path, or None for the folder of the
        file that calls `render` or `render_string`. May be overridden."""
        return self.settings.get("template_path")

    def _find_folder(self):
        """The folder of the file that asks for a template; that of the handler's module if the loop
        does."""
        frame = sys._getframe(2)
        while frame is not None and (
                frame.f_globals.get("__name__", "").startswith(_PAGE_MODULES)
                # On PyPy, a partial has a frame.
                or frame.f_globals.get("__name__") == "functools"
                or isinstance(frame.f_globals.get("__loader__"), Template)):
            frame = frame.f_back
        if frame is None or frame.f_globals.get("__name__", "").startswith("friendserve."):
            path = sys.modules[type(self).__module__].__file__
        else:
            path = frame.f_code.co_filename
        return os.path.dirname(os.path.abspath(path))

    def create_template_loader(self, template_path):
        """A template loader for a folder; called once for each folder."""
        if "template_loader" in self.settings:
            return self.settings["template_loader"]
        options = dict((name, self.settings[setting]) for name, setting in
                       [("autoescape", "autoescape"), ("whitespace", "template_whitespace")]
                       if setting in self.settings)
        return Loader(template_path, **options)

    def get_template_namespace(self):
        """The variables of every template. UI methods replace others of the same name."""
        namespace = dict(handler=self, request=self.request, locale=self.locale,
                         _=self.locale.translate, pgettext=self.locale.pgettext,
                         current_user=self.current_user, static_url=self.static_url,
                         xsrf_form_html=self.xsrf_form_html, reverse_url=self.reverse_url)
        namespace.update(self.ui)
        return namespace

    @property
    def ui(self):
        """The UI methods of the application, and its UI modules under "modules"."""
        if self._ui is None:
            self._ui = ObjectDict(
                (name, functools.partial(method, self))
                for name, method in self.application.ui_methods.items())
            self._ui["modules"] = self._ui["_tt_modules"] = bind_modules(self)
        return self._ui

    def _release_ui(self):
        # It refers to this handler, so without this both would wait for the garbage collector.
        self._ui.clear()
        self._ui = None

    def static_url(self, path, include_host=None, **kwargs):
        """The URL of a static file, with a version that changes when its content does.

        `include_host` makes it absolute; it defaults to the handler's attribute of that name.
        """
        self.require_setting("static_path", "static_url")
        handler_class = self.settings.get("static_handler_class") or \
            self.application.static_handler_class
        if include_host is None:
            include_host = getattr(self, "include_host", False)
        base = self.request.protocol + "://" + self.request.host if include_host else ""
        return base + handler_class.make_static_url(self.settings, path, **kwargs)
