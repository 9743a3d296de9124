"""The friendserve site: the front page with a chat, the demos, the downloads, the documentation.

    python website/website.py --port=8888

The documentation needs Sphinx (python -m pip install '.[docs]', on Python 3.11 or newer), which
runs when the pages are older than their sources; without it, the rest of the site works.
`python website/build.py` writes the same site as files for static hosting.
"""
from __future__ import absolute_import, division, print_function

import hashlib
import io
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, ROOT]

import figures  # noqa: E402
import listing  # noqa: E402
import pages  # noqa: E402
import room  # noqa: E402
import search  # noqa: E402
from friendserve import locale, version  # noqa: E402
from friendserve.log import define_logging_options, gen_log  # noqa: E402
from friendserve.options import Error, OptionParser  # noqa: E402
from friendserve.web import Application, HTTPError, RequestHandler, StaticFileHandler  # noqa: E402

#: The languages of the short pages: the beginning of their paths, and the codes of their locales.
LANGUAGES = (("", "en_US"), ("de", "de"), ("ja", "ja"), ("he", "he"))

#: The bodies of requests have a message of the chat at most.
MAX_BODY = 64 * 1024

HEADERS = {
    "Content-Security-Policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class PageHandler(RequestHandler):
    """A page in the frame of the site, in the language that its path begins with."""
    prefix = ""

    def set_default_headers(self):
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get_user_locale(self):
        return locale.get(dict(LANGUAGES)[self.prefix])

    def get_template_namespace(self):
        names = super(PageHandler, self).get_template_namespace()
        own = "/" + self.prefix if self.prefix else ""
        path = self.request.path
        names.update(
            site=self.application, version=version, path=path,
            to=lambda page: own + page,
            #: The paths of this page in every language; () if it is in English only.
            translations=[(one, locale.get(code), ("/" + one if one else "") + path[len(own):])
                          for one, code in LANGUAGES] if self.is_translated else ())
        return names

    is_translated = False

    def write_error(self, status_code, **kwargs):
        if self.settings.get("serve_traceback"):
            super(PageHandler, self).write_error(status_code, **kwargs)
        else:
            self.prefix, self.is_translated = "", False
            self.locale = locale.get("en_US")
            self.render("error.html", status=status_code, reason=self._reason)


class TranslatedHandler(PageHandler):
    """One of the short pages, which are in all languages."""
    is_translated = True

    def initialize(self, template):
        self.template = template

    def get(self, language=None):
        self.prefix = language or ""
        self.render(self.template)


class DocsHandler(PageHandler):
    def get(self, name):
        docs = self.application.docs
        if docs is None:
            self.set_status(503)
            self.render("unbuilt.html", reason=self.application.missing)
            return
        page = docs.page_at(self.request.path)
        if page is None and docs.page_at(self.request.path.rstrip("/")):
            self.redirect(self.request.path.rstrip("/"), permanent=True)
        elif page is None:
            raise HTTPError(404)
        else:
            self.render("docs.html", docs=docs, page=page)


class SearchHandler(PageHandler):
    """Results from SQLite; without FTS5 and on a static host, the page's script finds them."""

    def get(self):
        docs = self.application.docs
        question = self.get_argument("q", u"")[:search.MAX_QUESTION]
        results = docs.search(question) if docs and not self.settings["is_static"] else None
        self.render("search.html", docs=docs, question=question, results=results)


class IndexHandler(PageHandler):
    """The index for the script of the search page."""

    def get(self):
        if self.application.docs is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "text/javascript; charset=UTF-8")
        self.finish(self.application.search_script)


class NotFoundHandler(PageHandler):
    def prepare(self):
        raise HTTPError(404)


class Site(Application):
    """The whole site. `pages_folder` has the pages that Sphinx made, `files_folder` the files to
    download; either may be missing. With `is_static` it is what a host of static files can serve:
    without the chat, and with a search by script."""

    def __init__(self, pages_folder, files_folder, is_static=False, **settings):
        self.room = None if is_static else room.Room()
        self.docs, self.missing = None, ""
        try:
            self.docs = pages.Docs(pages_folder)
        except pages.Missing as error:
            self.missing = str(error)
        self.search_script = "" if self.docs is None else search.make_script(self.docs.places)
        self.chart = figures.read_chart()
        self.seeds = figures.seeds()
        self.contents = listing.CONTENTS
        self.commands = listing.commands()
        self.hello = listing.code(listing.hello())
        self.chat_source = listing.code(listing.source_of(room.MessagesHandler))
        self.demos = listing.DEMOS
        self.files = list_files(files_folder)
        locale.load_translations(os.path.join(HERE, "translations"))
        language = "(?:/(?P<language>%s))?" % "|".join(one for one, _ in LANGUAGES if one)
        handlers = [
            (language + "/", TranslatedHandler, {"template": "front.html"}),
            (language + "/demos", TranslatedHandler, {"template": "demos.html"}),
            (language + "/downloads", TranslatedHandler, {"template": "downloads.html"}),
            (r"/docs/((?:%s)/.*)" % "|".join(pages.ASSETS), StaticFileHandler,
             {"path": pages_folder}),
            (r"/docs/(.*)", DocsHandler),
            (r"/search", SearchHandler),
            (r"/search-index\.js", IndexHandler),
            (r"/files/(.*)", StaticFileHandler, {"path": files_folder}),
            (r"/docs", PathRedirect),
        ]
        if self.room is not None:
            handlers.append((r"/messages", room.MessagesHandler))
        settings.update(
            compress_response=True,
            cross_origin_protection=True,
            default_handler_class=NotFoundHandler,
            is_static=is_static,
            own_settings=["is_static"],
            static_path=os.path.join(HERE, "static"),
            template_path=os.path.join(HERE, "templates"))
        super(Site, self).__init__(handlers, **settings)

    def close(self):
        """Close what the documentation has open."""
        if self.docs is not None:
            self.docs.close()

    def link(self, name):
        """The address of a page of the documentation, or None without it."""
        page = self.docs and self.docs.pages.get(name)
        return page and page.path


class PathRedirect(PageHandler):
    def get(self):
        self.redirect("/docs/", permanent=True)


def list_files(folder):
    """The files to download: [(name, bytes, SHA-256 in hexadecimal)]."""
    files = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with io.open(os.path.join(folder, name), "rb") as source:
            content = source.read()
        files.append((name, len(content), hashlib.sha256(content).hexdigest()))
    return files


def make_options():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on; 0 for any free one")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    options.define("xheaders", default=False, help="trust the proxy's headers about the client "
                   "(X-Real-IP, X-Scheme)")
    options.define("pages", default=pages.BUILT, help="the folder for the pages made by Sphinx")
    options.define("files", default=os.path.join(HERE, "build", "files"),
                   help="the folder of files to download")
    define_logging_options(options)
    return options


def main():
    options = make_options()
    try:
        options.parse_program(arguments=False)
    except Error as error:
        sys.exit("website.py: %s" % error)
    try:
        pages.build(options.pages)
    except pages.Missing as error:
        gen_log.warning("%s", error)
    site = Site(options.pages, options.files)
    try:
        site.run(options.port, options.address, xheaders=options.xheaders, max_body_size=MAX_BODY)
    finally:
        site.close()


if __name__ == "__main__":
    main()
