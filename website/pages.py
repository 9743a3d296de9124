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
import math
import os
import re
import sqlite3
import subprocess
import sys

from six.moves.html_parser import HTMLParser
from six.moves.urllib.parse import urljoin

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "docs")
#: Where the pages are written to by default.
BUILT = os.path.join(HERE, "build", "pages")

#: Files beside the pages that their bodies show or link to.
ASSETS = ("_images", "_downloads")

#: Most results of a search.
MAX_RESULTS = 20
#: Characters of a question that are looked at, and of the text shown with a result.
MAX_QUESTION, EXCERPT = 200, 180

_ADDRESS = re.compile(r'(<[^>]*?\s(?:href|src)=")([^"]*)"')
_STYLE = re.compile(r'(<[^>]*?) style="[^"]*"')
_PERMALINK = re.compile(u'<a class="headerlink"[^>]*>[^<]*</a>')
_TAG = re.compile(r"<[^>]+>")


class Missing(Exception):
    """There are no pages, and this Python cannot make them."""


def newest(folder):
    """When the newest file of a folder was changed; 0 if there is none."""
    return max([os.path.getmtime(os.path.join(parent, name))
                for parent, _, names in os.walk(folder) for name in names] or [0])


def build(folder=BUILT):
    """Have Sphinx write the pages into a folder, unless they are newer than their sources. Returns
    the folder. Raises Missing if Sphinx is not installed or fails."""
    package = os.path.join(os.path.dirname(HERE), "friendserve")
    if newest(folder) <= max(newest(SOURCES), newest(package)):
        command = [sys.executable, "-m", "sphinx", "-q", "-b", "json", "-d",
                   os.path.join(folder, ".doctrees"), SOURCES, folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.communicate()[0].decode("utf-8", "replace")
        if process.returncode:
            raise Missing("Sphinx did not make the documentation: %s" % output.strip()[-2000:])
    return folder


class Page(object):
    """A page: `name` ("howto/porting"), `path` ("/docs/howto/porting"), `title` as text, `body` and
    `contents` as HTML, the names of the pages `above` it from the outermost, and its neighbours
    `before` and `after` or None."""

    def __init__(self, name, fields):
        self.name = name
        self.path = path_of(name)
        # The address for which Sphinx made the links of this page.
        self._base = "/docs/" if name == "index" else "/docs/%s/" % re.sub("/index$", "", name)
        self.title = text_of(fields["title"])
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
        html = html.replace(u"<pre>", u'<pre tabindex="0">')
        html = html.replace(u"<table", u'<div class="wide" role="region" tabindex="0" '
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


#: A place that a search finds: the `path` with its anchor, the titles of the page and of the
#: section (u"" for the beginning of a page), and the text of the section without its subsections.
Place = collections.namedtuple("Place", "path page heading text")


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


def places_of(page):
    """The Places of a page."""
    reader = _Sections()
    reader.feed(_PERMALINK.sub(u"", page.body))
    reader.close()
    places = []
    for number, section in enumerate(reader.sections):
        heading, text = squeeze(u"".join(section.heading)), squeeze(u"".join(section.text))
        first = heading == page.title
        if heading or text:
            path = page.path if first or section.anchor is None else (
                page.path + "#" + section.anchor)
            places.append(Place(path, page.title, u"" if first else heading, text))
    return places


class Docs(object):
    """All pages of a folder: `pages` by name, `order` (their names, from first to last) and
    `chapters`, [(title or None, [names])] for the menu."""

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
        self.index = open_index(self.places)

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
            top = self.neighbour(page.above[0]) if page.above else None
            head = top.name if top else name if name.endswith("/index") else None
            chapters.setdefault(head, []).append(name)
        return [(head and self.pages[head].title, names) for head, names in chapters.items()]

    def search(self, question):
        """The Results for a question in words, best first; None without FTS5 in SQLite."""
        return None if self.index is None else find(self.index, question[:MAX_QUESTION])


# -- Search. The words of a question are looked up in SQLite's FTS5 where it is compiled in. A static
# host has no SQLite: there, and with an SQLite without FTS5, static/search.js does it, with the index
# that `make_script` writes.

#: Words that say nothing about the subject of a question.
STOP = frozenset((
    "a about an and any are as at be but by can could do does for from get give has have how i if in "
    "into is it its like make may me my need of on one or should so some than that the their them "
    "then there they this to use using want was we what when where which who why will with without "
    "would you your").split())

_WORD = re.compile(r"[^\W_]+(?:_[^\W_]+)*", re.U)
_ENDING = re.compile(r"(?:ings?|ies|ed|es|s|ly|ions?|ers?|y|e)$")

#: A result of a search: where it is, its titles, and a piece of its text.
Result = collections.namedtuple("Result", "path page heading excerpt")

#: What a word counts in the title of a page, the heading of a section, and its text.
WEIGHTS = (6.0, 4.0, 1.0)


def words_of(text):
    """The words of a text as they are compared: lower case, without the commonest endings. A name
    such as set_cookie is found as a whole and by its parts."""
    found = []
    for word in _WORD.findall(text.lower()):
        parts = word.split("_")
        found.extend(stem(part) for part in (parts if len(parts) == 1 else parts + [word])
                     if part)
    return found


def stem(word):
    """A word without its ending, unless little is left: "deploying" and "deploys" are "deploy"."""
    short = _ENDING.sub(u"", word)
    return short if len(short) > 2 else word


def asked(question):
    """The words of a question that matter; all if none does."""
    kept = [word for word in _WORD.findall(question.lower()) if word not in STOP]
    return sorted(set(words_of(u" ".join(kept) or question)))


def open_index(places):
    """A connection to an index in memory; None if this SQLite has no FTS5."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (page, heading, text)")
    except sqlite3.OperationalError:
        connection.close()
        return None
    connection.execute("CREATE TABLE places (path, page, heading, text)")
    for number, place in enumerate(places):
        connection.execute("INSERT INTO words (rowid, page, heading, text) VALUES (?, ?, ?, ?)", (
            number, u" ".join(words_of(place.page)),
            u" ".join(words_of(place.heading or place.page)), u" ".join(words_of(place.text))))
        connection.execute("INSERT INTO places (rowid, path, page, heading, text) "
                           "VALUES (?, ?, ?, ?, ?)", (number,) + place)
    return connection


def find(connection, question):
    """The Results for a question. It takes a millisecond, so the loop may wait for it."""
    words = asked(question)
    if not words:
        return []
    query = u" OR ".join(u'"%s"' % word for word in words)
    rows = connection.execute(
        "SELECT places.path, places.page, places.heading, places.text FROM words "
        "JOIN places ON places.rowid = words.rowid WHERE words MATCH ? "
        "ORDER BY bm25(words, ?, ?, ?) LIMIT ?", (query,) + WEIGHTS + (MAX_RESULTS,))
    return [Result(path, page, heading, excerpt(text, words)) for path, page, heading, text in rows]


def excerpt(text, words):
    """The piece of a text around the first of the words."""
    for match in _WORD.finditer(text):
        if stem(match.group().lower()) in words:
            break
    else:
        return shorten(text, 0)
    return shorten(text, max(match.start() - EXCERPT // 3, 0))


def shorten(text, start):
    """EXCERPT characters of a text from about `start`, in whole words."""
    if start:
        start = text.find(u" ", start) + 1
    end = len(text)
    if end > start + EXCERPT:
        end = max(text.rfind(u" ", start, start + EXCERPT), start + EXCERPT // 2)
    return (u"\u2026" if start else u"") + text[start:end] + (u"\u2026" if end < len(text) else u"")


def make_script(places):
    """The index for static/search.js, as a script that sets `searchIndex`: `places`, [[path, page,
    heading, excerpt]]; `words`, {word: [place, weight, place, weight, ...]}; and the
    words to leave out. The weights are those of BM25, times 10."""
    count = float(len(places)) or 1.0
    lengths, found = [], collections.defaultdict(dict)
    for number, place in enumerate(places):
        length = 0
        for weight, text in zip(WEIGHTS, (
                place.page, place.heading or place.page, place.text)):
            words = words_of(text)
            length += len(words)
            for word in words:
                found[word][number] = found[word].get(number, 0.0) + weight
        lengths.append(length)
    mean = sum(lengths) / count or 1.0
    words = {}
    for word, hits in found.items():
        rarity = math.log(1 + (count - len(hits) + 0.5) / (len(hits) + 0.5))
        words[word] = []
        for number, often in sorted(hits.items()):
            weight = often * 2.2 / (often + 1.2 * (0.25 + 0.75 * lengths[number] / mean))
            words[word] += [number, int(round(10 * rarity * weight))]
    index = {"stop": sorted(STOP), "words": words, "places": [
        [place.path, place.page, place.heading, shorten(place.text, 0)]
        for place in places]}
    return u"searchIndex = %s;\n" % json.dumps(index, sort_keys=True, separators=(",", ":"))
