"""UI modules in the templates of a real handler."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve import locale
from friendserve.httputil import HTTPServerRequest
from friendserve.protocol.headers import HTTPHeaders
from friendserve.template import DictLoader
from friendserve.web import Application, RequestHandler, UIModule
from friendserve.web.uimodule import active_modules

TEMPLATES = {
    "page.html": "{% for x in items %}{% module Entry(x, mark='!') %}{% end %}",
    "entry.html": "<p>{{ text }}{{ mark }}</p>",
    "direct.html": "{% raw modules.Entry('a', mark='?') %}",
    "missing.html": "{% module Missing() %}",
    "parts.html": "{% module Template('part.html', n=1) %}{% module Template('part.html', n=2) %}"
                  "{% module Template('other.html') %}",
    "part.html": "{{ set_resources(css_files='a.css', embedded_css='p {}',"
                 " javascript_files=['a.js', 'b.js'], embedded_javascript='a()',"
                 " html_head='<h>', html_body='<b>') }}[{{ n }}]",
    "other.html": "{{ set_resources(css_files=('b.css',), embedded_css='q {}',"
                  " embedded_javascript='b()') }}other",
    "changing.html": "{% module Template('change.html', n=1) %}"
                     "{% module Template('change.html', n=2) %}",
    "change.html": "{{ set_resources(css_files=str(n)) }}",
}


class Entry(UIModule):
    made = 0

    def __init__(self, handler):
        super(Entry, self).__init__(handler)
        Entry.made += 1

    def render(self, text, mark):
        return self.render_string("entry.html", text=text, mark=mark)


class Empty(UIModule):
    """Defines nothing."""


class User(RequestHandler):
    locale = locale.get("en_US")

    def get_current_user(self):
        return "somebody"


class HandlerTestCase(unittest.TestCase):
    """A handler with templates and modules, without a connection."""

    def setUp(self):
        Entry.made = 0
        application = Application(
            template_loader=DictLoader(TEMPLATES), ui_modules={"Entry": Entry, "Empty": Empty})
        request = HTTPServerRequest("GET", "/", "HTTP/1.1", HTTPHeaders({"Host": "localhost"}))
        self.handler = User(application, request)

    def render(self, name, **kwargs):
        return self.handler.render_string(name, **kwargs)


class UIModuleTest(HandlerTestCase):
    def test_module_in_a_template(self):
        self.assertEqual(self.render("page.html", items=["a", "<"]), b"<p>a!</p><p>&lt;!</p>")
        self.assertEqual(self.render("direct.html"), b"<p>a?</p>")

    def test_made_once_for_a_response(self):
        self.render("page.html", items=["a", "b"])
        self.render("page.html", items=["c"])
        self.assertEqual(Entry.made, 1)
        self.assertEqual([type(module) for module in active_modules(self.handler.ui["modules"])],
                         [Entry])

    def test_missing_module(self):
        with self.assertRaises(AttributeError) as caught:
            self.render("missing.html")
        self.assertIn("Missing", str(caught.exception))

    def test_attributes_and_defaults(self):
        module = Empty(self.handler)
        self.assertIs(module.handler, self.handler)
        self.assertIs(module.request, self.handler.request)
        self.assertIs(module.ui, self.handler.ui)
        self.assertEqual((module.current_user, module.locale), ("somebody", User.locale))
        with self.assertRaises(NotImplementedError):
            module.render()
        for name in ("embedded_javascript", "javascript_files", "embedded_css", "css_files",
                     "html_head", "html_body"):
            self.assertIsNone(getattr(module, name)())


class TemplateModuleTest(HandlerTestCase):
    def test_templates_and_their_resources(self):
        self.assertEqual(self.render("parts.html"), b"[1][2]other")
        module, = active_modules(self.handler.ui["modules"])
        self.assertEqual(module.css_files(), ["a.css", "b.css"])
        self.assertEqual(module.javascript_files(), ["a.js", "b.js"])
        self.assertEqual(module.embedded_css(), "p {}\nq {}")
        self.assertEqual(module.embedded_javascript(), "a()\nb()")
        self.assertEqual((module.html_head(), module.html_body()), ("<h>", "<b>"))

    def test_resources_that_change(self):
        with self.assertRaises(ValueError) as caught:
            self.render("changing.html")
        self.assertIn("change.html", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
