"""The documentation inside the site: what Sphinx made of website/docs, its order, and the search.

Sphinx's `json` builder writes each page as a file of JSON: the title, the body as HTML, the
contents, and the neighbours. `Docs` reads them all at the start; a page then costs a look-up.

    docs = Docs(build("/tmp/pages"))
    docs.pages["porting"].title
    docs.search("behind nginx")[0].path
"""
from __future__ import absolute_import, division, print_function

import collections
import io
import json
import os
import re
import subprocess
import sys

from six.moves.html_parser import HTMLParser
from six.moves.urllib.parse import urljoin

import search
from friendserve.log import gen_log

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "docs")
#: Where the pages are written to by default.
BUILT = os.path.join(HERE, "build", "pages")

#: Files beside the pages that their bodies show or link to.
ASSETS = ("_images", "_downloads")

_ADDRESS = re.compile(r'(<[^>]*?\s(?:href|src)=")([^"]*)"')
_STYLE = re.compile(r'(<[^>]*?) style="[^"]*"')
_PERMALINK = re.compile(u'<a class="headerlink"[^>]*>[^<]*</a>')
_SIGNATURE = re.compile(u"[(=]")


class Missing(Exception):
    """There are no pages, and this Python cannot make them."""


def newest(folder):
    """When the newest file of a folder was changed; 0 if there is none."""
    return max([os.path.getmtime(os.path.join(parent, name))
                for parent, _, names in os.walk(folder) for name in names] or [0])


def build(folder=BUILT):
    """Make the pages in a folder with docs/build.py, unless they are newer than their sources.
    Returns the folder. Warnings of Sphinx are printed. Raises Missing if there are no pages then,
    for example without Sphinx."""
    package = os.path.join(os.path.dirname(HERE), "friendserve")
    if newest(folder) <= max(newest(SOURCES), newest(package)):
        process = subprocess.Popen(
            [sys.executable, os.path.join(SOURCES, "build.py"), "json", "--output", folder],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.communicate()[0].decode("utf-8", "replace").strip()
        if not os.path.exists(os.path.join(folder, "index.fjson")):
            raise Missing("The documentation could not be built: %s" % output[-2000:])
        if output:
            gen_log.warning("%s", output)
    return folder


class Page(object):
    """A page: `name` ("howto/porting"), `path` ("/docs/howto/porting"), `title` as text, shorter
    for menus as `label`, `body` and `contents` as HTML, the names of the pages `above` it from the
    outermost, and its neighbours `before` and `after` or None."""

    def __init__(self, name, fields):
        self.name = name
        self.path = path_of(name)
        # The address for which Sphinx made the links of this page.
        self._base = "/docs/" if name == "index" else "/docs/%s/" % re.sub("/index$", "", name)
        self.title = text_of(fields["title"])
        self.label = re.sub(u"^friendserve[.]", u"", self.title)
        self.body = self._clean(fields["body"])
        toc = fields.get("toc", u"") if fields.get("display_toc") else u""
        # The outermost entry is the title of the page.
        inner = re.search(u"<ul>.*?(<ul>.*</ul>)\\s*</li>\\s*</ul>", toc, re.S)
        self.contents = self._clean(inner.group(1)) if inner else u""
        self.above = [self._name(one["link"]) for one in fields.get("parents") or ()]
        self.before, self.after = [fields.get(key) and self._name(fields[key]["link"])
                                   for key in ("prev", "next")]

    def _name(self, link):
        path = urljoin(self._base, link)[len("/docs/"):].strip("/")
        return path or "index"

    def _clean(self, html):
        """The HTML with addresses from the root of the site, without what its policy forbids."""
        def absolute(match):
            start, address = match.groups()
            if not re.match("[a-z]+:|#", address):
                path, mark, fragment = urljoin(self._base, address).partition("#")
                if path != "/docs/":
                    path = path.rstrip("/")
                address = path + mark + fragment
            return u'%s%s"' % (start, address)
        html = _STYLE.sub(r"\1", _ADDRESS.sub(absolute, html))
        # What is wider than a phone scrolls by itself, also by the keyboard.
        html = html.replace(u'role="heading"', u'role="heading" aria-level="2"')
        html = html.replace(u"<pre>", u'<pre tabindex="0">')
        html = html.replace(u"<table", u'<div class="wide" role="group" tabindex="0" '
                                       u'aria-label="Table"><table')
        return html.replace(u"</table>", u"</table></div>")


def path_of(name):
    """The address of a page; that of a folder's index is the folder."""
    if name == "index":
        return "/docs/"
    return "/docs/" + re.sub("/index$", "", name)


def text_of(html):
    """The text of a piece of HTML, in one line."""
    reader = _Sections()
    reader.feed(_PERMALINK.sub(u"", html))
    reader.close()
    return squeeze(u" ".join(u"".join(section.text) for section in reader.sections))


def squeeze(text):
    return u" ".join(text.split())


class _Section(object):
    def __init__(self, anchor):
        self.anchor = anchor
        self.heading = []
        self.text = []


class _Sections(HTMLParser):
    """Cuts a page into its sections, and the descriptions of names (dt with an id)."""

    HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")

    def __init__(self):
        HTMLParser.__init__(self)
        self.convert_charrefs = True
        self.sections = [_Section(None)]
        self._open = []             # (tag, section that continues after it)
        self._in_heading = False
        self._current = self.sections[0]

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "section" or tag == "dl":
            self._open.append((tag, self._current))
        if attributes.get("id") and tag in ("section", "dt"):
            self._current = _Section(attributes["id"])
            self.sections.append(self._current)
        if tag in self.HEADINGS or tag == "dt" and attributes.get("id"):
            self._in_heading = True

    def handle_endtag(self, tag):
        if tag in self.HEADINGS or tag == "dt":
            self._in_heading = False
        if self._open and self._open[-1][0] == tag:
            self._current = self._open.pop()[1]
        if tag in ("p", "li", "td", "th", "pre", "dd", "dt", "div"):
            self._current.text.append(u" ")

    def handle_data(self, data):
        (self._current.heading if self._in_heading else self._current.text).append(data)

    # Python 2 does not convert them.
    def handle_entityref(self, name):  # version: py2
        self.handle_data(self.unescape(u"&%s;" % name))

    def handle_charref(self, name):  # version: py2
        self.handle_data(self.unescape(u"&#%s;" % name))


#: Descriptions of single names are many, and guides are few: for words that both have, the guide is
#: meant. Who looks for a name finds it, because guides do not have it in a heading.
_RANKS = (("how-to/questions", 1.0), ("how-to/", 1.2), ("reference/api/", 0.7),
          ("reference/", 0.9), ("explanation/", 0.75), ("", 1.0))
_RANK_OF_NAME, _RANK_OF_PAGE = 0.8, 1.2


def places_of(page):
    """The Places of a page."""
    reader = _Sections()
    reader.feed(_PERMALINK.sub(u"", page.body))
    reader.close()
    found = []
    for section in reader.sections:
        heading, text = squeeze(u"".join(section.heading)), squeeze(u"".join(section.text))
        if heading == page.title:
            found.append((page.path, u"", text))
        elif heading or text:
            anchor = "" if section.anchor is None else "#" + section.anchor
            found.append((page.path + anchor, heading, text))
    whole = u" ".join(text for _, _, text in found)
    rank = [rank for folder, rank in _RANKS if page.name.startswith(folder)][0]
    places = []
    for path, heading, text in found:
        # The parameters of a function, and the value of a constant, are not what it is called.
        name = _SIGNATURE.split(heading, 1)[0].strip()
        factor = _RANK_OF_NAME if name != heading else 1 if heading else _RANK_OF_PAGE
        searched = heading + u" " + text if heading else whole
        places.append(search.Place(path, page.title, name, text, searched, rank * factor))
    return places


class Docs(object):
    """All pages of a folder: `pages` by name, `order` (their names, from first to last) and
    `chapters`, [(first page or None, [the others])]."""

    def __init__(self, folder):
        self.folder = folder
        self.pages = {}
        for parent, _, names in os.walk(folder):
            for name in names:
                if name.endswith(".fjson"):
                    path = os.path.relpath(os.path.join(parent, name), folder)[:-len(".fjson")]
                    self._read(path.replace(os.sep, "/"))
        if not self.pages:
            raise Missing("there are no pages in %s" % folder)
        self.order = self._sort()
        self.by_path = dict((page.path, page) for page in self.pages.values())
        self.chapters = self._chapters()
        self.places = [place for name in self.order for place in places_of(self.pages[name])]
        self.index = search.open_index(self.places)

    def _read(self, name):
        with io.open(os.path.join(self.folder, name + ".fjson"), encoding="utf-8") as source:
            fields = json.load(source)
        # Sphinx's own search and index have no body.
        if "body" in fields:
            self.pages[name] = Page(name, fields)

    def page_at(self, path):
        """The page with an address, or None."""
        return self.by_path.get(path)

    def neighbour(self, name):
        """The page of a link in another page, or None."""
        return self.pages.get(name) or self.pages.get((name or "") + "/index")

    def _sort(self):
        order = []
        page = self.pages.get("index")
        while page is not None and page.name not in order:
            order.append(page.name)
            page = self.neighbour(page.after)
        return order + sorted(set(self.pages) - set(order))

    def _chapters(self):
        chapters = collections.OrderedDict()
        for name in self.order:
            page = self.pages[name]
            head = self.neighbour(page.above[0]) if page.above else None
            if head is None and (name == "index" or name.endswith("/index")):
                head = page
            inside = chapters.setdefault(head, [])
            if page is not head:
                inside.append(page)
        return list(chapters.items())

    def menu(self, page):
        """[(first page of a chapter or None, [others])]: the others of the chapter of a page only,
        and of those what lies deeper only in the menu of the pages beside and above it."""
        here = page.above + [re.sub("/index$", "", page.name)]
        return [(head, [other for other in others if self._is_near(other, page, here)]
                 if head is None or head is page or self.neighbour(here[0]) is head else [])
                for head, others in self.chapters]

    @staticmethod
    def _is_near(other, page, here):
        return len(other.above) < 2 or other.above == page.above or other.above[-1] in here

    def search(self, question):
        """The Results for a question in words, best first; None without FTS5 in SQLite."""
        return None if self.index is None else search.find(self.index, question)

    def close(self):
        """Close the index; there is no `search` after that."""
        if self.index is not None:
            self.index.close()
            self.index = None
