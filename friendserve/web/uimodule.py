"""UI modules: parts of a page with their own markup, styles and scripts.

    class Entry(UIModule):
        def render(self, entry):
            return self.render_string("entry.html", entry=entry)

        def css_files(self):
            return "entry.css"

With the class in the setting ui_modules, a template uses it as ``{% module Entry(entry) %}``. A
page may render a module many times. The module object is made once for each response, and is asked
once for its styles and scripts.
"""
from __future__ import absolute_import, division, print_function


class UIModule(object):
    """A part of a page. Subclasses define `render`, and the styles and scripts the page needs.

    `handler` is the RequestHandler that renders the page, `request` its request, `ui` its UI
    methods and modules, and `locale` its locale.
    """

    def __init__(self, handler):
        self.ui = handler.ui
        self.request = handler.request
        self.handler = handler
        self.locale = handler.locale

    @property
    def current_user(self):
        """The handler's `current_user`."""
        return self.handler.current_user

    def render(self, *args, **kwargs):
        """The markup, as unicode or UTF-8 bytes, which is not escaped. To be overridden."""
        raise NotImplementedError("%s must define render()" % type(self).__name__)

    def render_string(self, path, **kwargs):
        """A template rendered to bytes, with the variables of all the handler's templates."""
        return self.handler.render_string(path, **kwargs)

    # Additions that the page needs besides the markup, or None. They are made once, however often
    # the module is rendered.

    def embedded_javascript(self):
        """A script to embed in the page."""

    def javascript_files(self):
        """The path or URL of a script, or a list of them."""

    def embedded_css(self):
        """Styles to embed in the page."""

    def css_files(self):
        """The path or URL of a style sheet, or a list of them."""

    def html_head(self):
        """Markup for the end of the page's <head>."""

    def html_body(self):
        """Markup for the end of the page's <body>."""


class TemplateModule(UIModule):
    """``{% module Template("entry.html", entry=entry) %}``: a template as a module.

    The template may call ``set_resources`` with keywords named after the methods of `UIModule`::

        {{ set_resources(css_files="entry.css", embedded_javascript="start()") }}

    Raises ValueError if a template passes different values when a page renders it again.
    """

    def __init__(self, handler):
        super(TemplateModule, self).__init__(handler)
        # One module serves all templates. Path -> keyword arguments of set_resources; `_paths` has
        # the order in which the page used them.
        self._resources = {}
        self._paths = []

    def render(self, path, **kwargs):
        """The template `path`, rendered with `kwargs`."""
        def set_resources(**resources):
            if path not in self._resources:
                self._resources[path] = resources
                self._paths.append(path)
            elif self._resources[path] != resources:
                raise ValueError("%s set different resources before: %r, now %r"
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
    """The modules of an application, by name, for one handler. Its own attributes are private, so
    that they do not hide modules."""

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
            raise AttributeError("no UI module is named %s" % name)
        return self[name]


def bind_modules(handler):
    """The variable ``modules`` of templates: ``modules.Name(...)`` renders the module `Name`."""
    return _BoundModules(handler)


def active_modules(modules):
    """The UIModule objects that a page has used so far, in the order of their first use; `modules`
    is the result of `bind_modules`."""
    return list(modules._order)
