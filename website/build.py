"""Write the site as files that any static host can serve, and that a browser can open.

    python website/build.py --output=site

The program serves the site to itself, follows every link, and makes the links relative. A note that
says how to run the chat replaces it, and a script does the search. Before that, the program builds
the site's downloads: the source archive and the wheel, and the documentation as PDF and EPUB, with
the tools of the extra `docs`. --no-downloads leaves these out.
"""
from __future__ import absolute_import, division, print_function

import io
import os
import posixpath
import re
import shutil
import subprocess
import sys

from six.moves.urllib.parse import urljoin, urlsplit

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, ROOT]

import pages  # noqa: E402
import search  # noqa: E402
import website  # noqa: E402
from friendserve.httpclient import AsyncHTTPClient, HTTPError  # noqa: E402
from friendserve.httpserver import HTTPServer  # noqa: E402
from friendserve.loopthread import LoopThread  # noqa: E402
from friendserve.netutil import bind_sockets  # noqa: E402
from friendserve.options import Error, OptionParser  # noqa: E402

#: Seconds for one page.
PATIENCE = 30

#: Pages that no link leads to.
HIDDEN = ("/search", "/search-index.js")

_ADDRESS = re.compile(r'(<[^>]*?\s(?:href|src|action)=")(/[^"]*)"')


def file_of(path):
    """The file, relative to the output, in which the page or file of an address is written."""
    path = path.lstrip("/")
    if not path or path.endswith("/"):
        return path + "index.html"
    if "." in posixpath.basename(path) and not path.startswith("docs/") or path.startswith(
            tuple("docs/%s/" % folder for folder in pages.ASSETS)):
        return path
    return path + ".html"


def relative(address, page):
    """An address from the root of the site, as it is linked from a page (its address)."""
    parts = urlsplit(address)
    path = posixpath.relpath(file_of(parts.path), posixpath.dirname(file_of(page)) or ".")
    # The version in the address of a static file lets hosts cache it; a question is the reader's.
    return path + ("?" + parts.query if parts.query else "") + (
        "#" + parts.fragment if parts.fragment else "")


def make_downloads(folder):
    """Write the archives of the package and the documentation in one file into a folder."""
    os.makedirs(folder)
    copy = folder + ".source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(
        ".git", "build", "dist", "*.egg-info", "__pycache__"))
    try:
        call(copy, "setup.py", "-q", "sdist", "--dist-dir", folder)
        call(copy, "-m", "pip", "-q", "wheel", "--no-deps", "--wheel-dir", folder, ".")
        for kind in ("pdf", "epub"):
            call(copy, "website/docs/build.py", kind, "--output", folder)
    finally:
        shutil.rmtree(copy)


def call(folder, *arguments):
    print("$ python %s" % " ".join(arguments))
    subprocess.check_call((sys.executable,) + arguments, cwd=folder)


class Crawl(object):
    """Fetches every page that a link leads to, from the first page on."""

    def __init__(self, fetch):
        self._fetch = fetch
        self.found = {}             # address without query -> body

    def run(self, *addresses):
        waiting = list(addresses)
        while waiting:
            path = waiting.pop()
            if path in self.found:
                continue
            kind, body = self._fetch(path)
            self.found[path] = body
            if kind.startswith("text/html"):
                waiting.extend(self.links(body.decode("utf-8"), path))

    @staticmethod
    def links(text, page):
        for _, address in _ADDRESS.findall(text):
            yield urlsplit(urljoin(page, address)).path


def fetch_all(application):
    """{address: body} of every page and file of the site."""
    sockets = bind_sockets(0, "127.0.0.1")
    root = "http://127.0.0.1:%d" % sockets[0].getsockname()[1]
    with LoopThread() as thread:
        def start():
            server = HTTPServer(application())
            server.add_sockets(sockets)
            return AsyncHTTPClient()
        client = thread.call(start)

        def fetch(path, expected=200):
            response = thread.call_async(client.fetch, root + path, timeout=PATIENCE,
                                         raise_error=False)
            if response.code != expected:
                raise ValueError("a link leads to %s, which answers %d" % (path, response.code))
            return response.headers["Content-Type"], response.body
        crawl = Crawl(fetch)
        crawl.run("/", *HIDDEN)
        # Hosts show this file for every address that they do not have.
        return dict(crawl.found, **{"/404": fetch("/404", 404)[1]})


def write(found, output, places, base):
    """Write the files of the site. The page for what does not exist is shown at any depth, so its
    links begin with `base`."""
    def link(address, page):
        return base + relative(address, "/") if page == "/404" else relative(address, page)

    for path, body in sorted(found.items()):
        name = os.path.join(output, *file_of(path).split("/"))
        if not os.path.isdir(os.path.dirname(name)):
            os.makedirs(os.path.dirname(name))
        if path == "/search-index.js":
            body = search.make_script([place._replace(path=relative(place.path, "/search"))
                                       for place in places]).encode("utf-8")
        elif name.endswith(".html"):
            body = _ADDRESS.sub(
                lambda match: u'%s%s"' % (match.group(1), link(match.group(2), path)),
                body.decode("utf-8")).encode("utf-8")
        with io.open(name, "wb") as target:
            target.write(body)


def build(output, pages_folder, files_folder, base="/"):
    """Write the site from the pages of Sphinx and the files to download; return the number of
    files. `base` is the path under which it will be served."""
    sites = []

    def application():
        sites.append(website.Site(pages_folder, files_folder, is_static=True))
        return sites[0]
    try:
        found = fetch_all(application)
        write(found, output, sites[0].docs.places, base)
    finally:
        for site in sites:
            site.close()
    return len(found)


def main():
    options = OptionParser()
    options.define("output", default="", help="the folder for the site; it must not exist")
    options.define("base", default="/", help="the path under which the site will be served")
    options.define("downloads", default=True, help="make the archives, the PDF and the EPUB")
    try:
        options.parse_command_line()
        if not options.output:
            raise Error("--output is missing")
        if os.path.exists(options.output):
            raise Error("%s exists already" % options.output)
        files = os.path.join(HERE, "build", "files")
        if options.downloads:
            shutil.rmtree(files, ignore_errors=True)
            make_downloads(files)
        count = build(options.output, pages.build(), files, options.base)
    except (Error, pages.Missing, ValueError, subprocess.CalledProcessError, HTTPError) as error:
        sys.exit("build.py: %s" % error)
    print("%d files in %s" % (count, options.output))


if __name__ == "__main__":
    main()
