"""Shared by the tests of the site: small pages as Sphinx writes them, and a server of the site."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import posixpath
import re

from six.moves.urllib.error import HTTPError
from six.moves.urllib.parse import unquote, urldefrag
from six.moves.urllib.request import ProxyHandler, Request, build_opener

from tests import PATIENCE, ROOT
from tests.demo_server import DemoServer, load_demo
from tests.localecase import LocaleCase

FOLDER = os.path.join(ROOT, "website")

website = load_demo(os.path.join(FOLDER, "website.py"))
build = load_demo(os.path.join(FOLDER, "build.py"))

#: What Sphinx's json builder writes, as far as the site reads it. The links are relative to the
#: address of a page with a slash at its end.
INDEX = {
    "title": "friendserve", "display_toc": False, "toc": "", "parents": [], "prev": None,
    "next": {"link": "how-to/waiting/", "title": "Waiting"},
    "body": u'<section id="documentation"><h1>friendserve<a class="headerlink" '
            u'href="#documentation" title="Link">\xb6</a></h1><p>Read about '
            u'<a href="how-to/waiting/#proxies">proxies</a>.</p>'
            u'<img alt="" style="width: 50%" src="_images/floors.svg"/></section>'}
WAITING = {
    "title": u"Waiting &amp; polling", "display_toc": True, "next": None,
    "toc": u'<ul>\n<li><a href="#">Waiting</a><ul>\n<li><a href="#proxies">Behind proxies</a></li>'
           u"\n</ul>\n</li>\n</ul>\n",
    "parents": [], "prev": {"link": "../../", "title": "Documentation"},
    "body": u'<section id="waiting"><h1>Waiting &amp; polling</h1><p>A request that waits.</p>'
            u'<table><tr><td>50</td></tr></table>'
            u'<section id="proxies"><h2>Behind proxies</h2><p>Set proxy_read_timeout.</p>'
            u'<div class="highlight"><pre>location / {}\n</pre></div>'
            u'<dl><dt class="sig" id="feed.wait">feed.wait(channel)</dt>'
            u"<dd><p>Calls back with news.</p></dd></dl>"
            u'<p>Back to <a href="../../">the start</a>.</p></section></section>'}


def write_pages(folder):
    for name, fields in (("index", INDEX), ("how-to/waiting", WAITING), ("search", {"title": "x"})):
        path = os.path.join(folder, name + ".fjson")
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with io.open(path, "wb") as target:
            target.write(json.dumps(fields).encode("ascii"))
    os.mkdir(os.path.join(folder, "_images"))
    with io.open(os.path.join(folder, "_images", "floors.svg"), "wb") as target:
        target.write(b"<svg/>")


class Answer(object):
    """An answer of the site: `status`, `headers`, `text`."""

    def __init__(self, response):
        self.status = response.getcode()
        self.headers = response.headers
        self.text = response.read().decode("utf-8")
        response.close()


class SiteCase(LocaleCase):
    """The site with the small pages, served from a thread."""

    def setUp(self):
        super(SiteCase, self).setUp()
        self.pages = os.path.join(self.folder, "pages")
        self.files = os.path.join(self.folder, "files")
        os.mkdir(self.files)
        write_pages(self.pages)

    def serve(self, **settings):
        server = DemoServer(lambda: website.Site(self.pages, self.files, **settings))
        self.addCleanup(server.application.close)
        self.addCleanup(server.stop)
        self.server = server
        return server

    def ask(self, path, data=None, **headers):
        request = Request(self.server.url + path, data, headers)
        try:
            response = build_opener(ProxyHandler({})).open(request, None, PATIENCE)
        except HTTPError as error:
            response = error
        return Answer(response)


def read_site(folder):
    """{path relative to the folder: bytes} of a whole folder."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with io.open(path, "rb") as source:
                found[os.path.relpath(path, folder).replace(os.sep, "/")] = source.read()
    return found


def broken_links(files):
    """The links of a built site that lead nowhere: [(page, address)]."""
    anchors, broken = {}, []
    for name, body in files.items():
        if name.endswith(".html"):
            anchors[name] = set(re.findall(r'\sid="([^"]*)"', body.decode("utf-8")))
    for name in sorted(anchors):
        text = files[name].decode("utf-8")
        for address in re.findall(r'<[^<>]*?\s(?:href|src|action)="([^"]*)"', text):
            if re.match("(?:https?|mailto|data):", address):
                continue
            path, fragment = urldefrag(address.replace("&amp;", "&"))
            path = path.partition("?")[0]
            target = name if not path else path[1:] if path.startswith("/") else (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), path)))
            if target not in files or fragment and unquote(fragment) not in anchors[target]:
                broken.append((name, address))
    return broken
