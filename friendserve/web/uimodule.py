"""UI modules: pieces of a page that bring their own markup, styles and scripts.

    class Entry(UIModule):
        def render(self, entry):
            return self.render_string("entry.html", entry=entry)

        def css_files(self):
            return "entry.css"

Named in the setting ui_modules, it stands in a template as ``{% module Entry(entry) %}``. A page
may render a module many times; the module is made once for each response, and what its page
needs for it is asked for once.
"""
from __future__ import absolute_import, division, print_function


class UIModule(object):
    """A part of a page; subclasses define `render`, and what else the page needs for it.

    `handler` is the RequestHandler whose response it stands in, `request` that handler's
    request, and `ui` its UI methods and modules.
    """

    def __init__(self, handler):
        self.ui = handler.ui
        self.request = handler.request
        self.handler = handler

    @property
    def current_user(self):
        """Who is signed in, as the handler knows it."""
        return self.handler.current_user

    @property
    def locale(self):
        """The locale of the handler."""
        return self.handler.locale

    def render(self, *args, **kwargs):
        """The markup, unicode or UTF-8 bytes; it is not escaped again. To be overridden."""
        raise NotImplementedError("%s must define render" % type(self).__name__)

    def render_string(self, path, **kwargs):
        """A template rendered to bytes, with the variables that the handler gives to all."""
        return self.handler.render_string(path, **kwargs)

    # What the page needs besides the markup, None for nothing. The page holds each once,
    # however often the module is rendered.

    def embedded_javascript(self):
        """A script to stand in the page."""

    def javascript_files(self):
        """The path or URL of a script, or a list of them."""

    def embedded_css(self):
        """Styles to stand in the page."""

    def css_files(self):
        """The path or URL of a style sheet, or a list of them."""

    def html_head(self):
        """Markup for the end of the page's <head>."""

    def html_body(self):
        """Markup for the end of the page's <body>."""


class TemplateModule(UIModule):
    """``{% module Template("entry.html", entry=entry) %}``: a template as a module.

    Such a template calls ``set_resources`` with the names of the methods of `UIModule`::

        {{ set_resources(css_files="entry.css", embedded_javascript="start()") }}

    It must give the same each time it is rendered for one page, else ValueError is raised.
    """

    def __init__(self, handler):
        super(TemplateModule, self).__init__(handler)
        # One module stands for all templates: path -> keyword arguments of set_resources,
        # in the order in which the page asked for them.
        self._resources = {}
        self._paths = []

    def render(self, path, **kwargs):
        """The template `path`, filled in with `kwargs`."""
        def set_resources(**resources):
            if path not in self._resources:
                self._resources[path] = resources
                self._paths.append(path)
            elif self._resources[path] != resources:
                raise ValueError("%s gives other resources than before: %r, then %r"
                                 % (path, self._resources[path], resources))
            return ""

        return self.render_string(path, set_resources=set_resources, **kwargs)

    def _gather(self, name):
        return [self._resources[path][name] for path in self._paths
                if self._resources[path].get(name)]

    def _gather_files(self, name):
        files = []
        for given in self._gather(name):
            files.extend(given if isinstance(given, (list, tuple)) else [given])
        return files

    def embedded_javascript(self):
        return "\n".join(self._gather("embedded_javascript"))

    def javascript_files(self):
        return self._gather_files("javascript_files")

    def embedded_css(self):
        return "\n".join(self._gather("embedded_css"))

    def css_files(self):
        return self._gather_files("css_files")

    def html_head(self):
        return "".join(self._gather("html_head"))

    def html_body(self):
        return "".join(self._gather("html_body"))


class _BoundModules(object):
    """The modules of an application, by name, for one handler; names of its own are private."""

    def __init__(self, handler):
        self._handler = handler
        self._active = {}
        self._order = []

    def __getitem__(self, name):
        module = self._active.get(name)
        if module is None:
            module = self._class(name)(self._handler)
            self._active[name] = module
            self._order.append(module)
        return module.render

    def _class(self, name):
        return self._handler.application.ui_modules[name]

    def __getattr__(self, name):
        try:
            self._class(name)
        except KeyError:
            raise AttributeError("there is no UI module named %s" % name)
        return self[name]


def bind_modules(handler):
    """What templates know as ``modules``: ``modules.Name(...)`` renders the module `Name`."""
    return _BoundModules(handler)


def active_modules(modules):
    """The UIModule objects that a page has used so far, in the order of their first use.

    `modules` is what `bind_modules` returned.
    """
    return list(modules._order)
