"""Resources of UI modules, inserted into the page that renders them."""
from __future__ import absolute_import, division, print_function

import ast
import functools
import inspect
import os
import re
import unittest

from friendserve.ioloop import IOLoop
from friendserve.template import DictLoader
from friendserve.web import RequestHandler, UIModule, asynchronous
from friendserve.web import page
from friendserve.web.page import insert, link
from tests.webcase import WebCase

PAGE = "<html><head><title>x</title></head><body>%s</body></html>"


class InsertTest(unittest.TestCase):
    def test_places(self):
        for html, wanted in [
                (b"<head></head><body></body>", b"<head>H</head><body>B</body>"),
                (b"</head></head></body></body>", b"H</head></head></body>B</body>"),
                (b"text", b"HtextB"), (b"", b"HB"), (b"</body>", b"HB</body>")]:
            self.assertEqual(insert(html, b"H", b"B"), wanted)
            self.assertEqual(insert(html, b"", b""), html)

    def test_link(self):
        self.assertEqual(link("[%s]", ["a.js", "/b.js", "https://x/?a&b"], "/static/".__add__),
                         "[/static/a.js][/b.js][https://x/?a&amp;b]")


class ContractTest(unittest.TestCase):
    def test_the_docstring_names_all_that_a_page_uses_of_its_handler(self):
        used = set(node.attr for node in ast.walk(ast.parse(inspect.getsource(page.Page)))
                   if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
                   and isinstance(node.value, ast.Name) and node.value.id == "self")
        used -= set(vars(page.Page)) | set(["_locale", "__dict__"])
        provides = page.Page.__doc__.split("The handler provides ")[1].partition(", and calls")[0]
        self.assertEqual(sorted(used), sorted(re.findall("`(.*?)`", provides)))


class Folder(RequestHandler):
    """Shows the folder in which its template is looked for."""
    def create_template_loader(self, template_path):
        return DictLoader({"page.html": template_path})


class ByPartial(Folder):
    def get(self):
        functools.partial(self.render, "page.html")()


class ByLoop(Folder):
    @asynchronous
    def get(self):
        IOLoop.current().add_callback(self.render, "page.html")


class FolderTest(WebCase):
    def test_b470_the_folder_of_a_template_rendered_through_a_partial(self):
        self.serve_app([("/partial", ByPartial), ("/loop", ByLoop)])
        folder = os.path.dirname(os.path.abspath(__file__)).encode("utf-8")
        self.assertEqual([folder, folder], [self.ask(path).body for path in ("/partial", "/loop")])


class Rich(UIModule):
    def render(self, text):
        return text

    def javascript_files(self):
        return ["a.js", "/b.js", "a.js"]

    def embedded_javascript(self):
        return "start('</i>')"

    def css_files(self):
        return "a.css"

    def embedded_css(self):
        return u"b {}"

    def html_head(self):
        return b"<meta>"

    def html_body(self):
        return "<end>"


class Other(Rich):
    def javascript_files(self):
        return ("c.js", "/b.js")

    embedded_javascript = embedded_css = html_head = html_body = UIModule.html_head

    def css_files(self):
        return []


class Page(RequestHandler):
    def get(self):
        self.render("page.html")

    def static_url(self, path, **kwargs):
        return "/s/" + path


class PageTest(WebCase):
    def page(self, content, base=Page, **methods):
        page = type(str("Own"), (base,), dict(
            (str(name), method) for name, method in methods.items()))
        self.serve_app([("/", page)], ui_modules={"Rich": Rich, "Other": Other},
                       template_loader=DictLoader({
                           "page.html": PAGE % content,
                           "part.html": "{{ set_resources(css_files='p.css') }}part"}))
        return self.ask().body.decode("ascii")

    def test_nothing_to_add(self):
        self.assertEqual(self.page("text"), PAGE % "text")
        self.assertEqual(self.page("{% module linkify('x') %}"), PAGE % "x")

    def test_b161_everything_once(self):
        html = self.page("{% module Rich('1') %}{% module Other('2') %}{% module Rich('3') %}")
        self.assertEqual(
            html, '<html><head><title>x</title>'
            '<link href="/s/a.css" type="text/css" rel="stylesheet"/>'
            '<style>\nb {}\n</style><meta></head><body>123'
            '<script src="/s/a.js"></script><script src="/b.js"></script>'
            '<script src="/s/c.js"></script><script>\nstart(\'</i>\')\n</script><end>'
            '</body></html>')

    def test_template_modules(self):
        html = self.page("{% module Template('part.html') %}")
        self.assertIn('<link href="/s/p.css"', html)
        self.assertIn("<body>part</body>", html)

    def test_own_markup(self):
        html = self.page("{% module Rich('') %}",
                         render_linked_js=lambda self, files: "|".join(files),
                         render_embed_css=lambda self, texts: b"|".join(texts))
        self.assertIn("a.js|/b.js", html)
        self.assertIn('stylesheet"/>b {}<meta>', html)

    def test_render_string_adds_nothing(self):
        html = self.page("{% module Rich('1') %}",
                         get=lambda self: self.finish(self.render_string("page.html")))
        self.assertEqual(html, PAGE % "1")
