"""The search of the documentation.

The words of a question are looked up in SQLite's FTS5 where it is compiled in. A host of static
files has no SQLite: there, and with an SQLite without FTS5, static/search.js finds the places, with
the index that `make_script` writes.

    text = "A request that waits."
    index = open_index([Place("/docs/waiting", "Waiting", "", text, text, 1)])
    find(index, "Why do requests wait?")[0].path
"""
from __future__ import absolute_import, division, print_function

import collections
import json
import math
import re
import sqlite3

#: Most results of a search, and places among which they are chosen.
MAX_RESULTS, CANDIDATES = 20, 60
#: Characters of a question that are looked at, and of the text shown with a result.
MAX_QUESTION, EXCERPT = 200, 180

#: A place that a search finds: the `path` with its anchor, the titles of the page and of the
#: section (u"" for the beginning of a page), the `text` of which a result shows a piece, the text
#: that is `searched` (for the beginning of a page, that of the whole page), and a factor for its
#: rank.
Place = collections.namedtuple("Place", "path page heading text searched rank")

#: Words that say nothing about the subject of a question.
STOP = frozenset((
    "a about an and any are as at be but by can could do does for from get give has have how i if "
    "in into is it its like make may me my need of on one or should so some than that the their "
    "them then there they this to use using want was we what when where which who why will with "
    "without would you your").split())

#: What readers ask for, and what it is called here, both without endings.
SAME = dict(pair.split("=") for pair in (
    "login=sign authenticat=sign auth=sign downtim=restart sse=event unittest=test pytest=test "
    "gui=gtk await=coroutin async=coroutin sql=databas world=hello internal=architectur "
    "design=architectur tls=certificat ssl=certificat https=certificat").split())

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


def asked(question, parts):
    """The words of a question that matter; all if none does. A name such as set_cookie is taken as
    a whole, or by its `parts` too."""
    words = _WORD.findall(question.lower())
    words = [word for word in words if word not in STOP] or words
    found = words_of(u" ".join(words)) if parts else [stem(word) for word in words]
    return sorted(set(SAME.get(word, word) for word in found))


def titles_of(place):
    """The words of the title of a place's page, and of its file, which is named for its subject."""
    return words_of(place.page + u" " + place.path.partition("#")[0].rpartition("/")[2])


def open_index(places):
    """A connection to an index in memory; None if this SQLite has no FTS5."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (page, heading, text)")
    except sqlite3.OperationalError:
        connection.close()
        return None
    connection.execute("CREATE TABLE places (path, page, heading, text, rank)")
    for number, place in enumerate(places):
        connection.execute("INSERT INTO words (rowid, page, heading, text) VALUES (?, ?, ?, ?)", (
            number, u" ".join(titles_of(place)),
            u" ".join(words_of(place.heading or place.page)),
            u" ".join(words_of(place.searched))))
        connection.execute(
            "INSERT INTO places (rowid, path, page, heading, text, rank) VALUES (?, ?, ?, ?, ?, ?)",
            (number, place.path, place.page, place.heading, place.text, place.rank))
    return connection


def find(connection, question):
    """The Results for a question. It takes a few milliseconds, so the loop may wait for it."""
    question = question[:MAX_QUESTION]
    for parts in (False, True):
        words = asked(question, parts)
        rows = connection.execute(
            "SELECT places.path, places.page, places.heading, places.text, "
            "-bm25(words, ?, ?, ?) * places.rank AS score FROM words "
            "JOIN places ON places.rowid = words.rowid WHERE words MATCH ? "
            "ORDER BY score DESC LIMIT ?",
            WEIGHTS + (u" OR ".join(u'"%s"' % word for word in words), CANDIDATES)
        ).fetchall() if words else []
        if rows:
            break
    names = _WORD.findall(question.lower())
    rows.sort(key=lambda row: -row[4] * (1 + fit(words, names, row[1], row[2])))
    return [Result(path, page, heading, excerpt(text, words))
            for path, page, heading, text, _ in rows[:MAX_RESULTS]]


def fit(words, names, page, heading):
    """How well the titles of a place fit: the share of the words that are in them, and 3 more if
    the place describes one of the names, the words as they were asked."""
    titles = set(words_of(page + u" " + heading))
    name = heading.rpartition(u".")[2].lower()
    return len(titles.intersection(words)) / len(words) + (
        3 if u"." in heading and name in names else 0)


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
    """The index for static/search.js, as a script that sets `searchIndex`: `places`, [[path,
    page, heading, excerpt]]; `words`, {word: [place, weight, place, weight, ...]}; the words to
    leave out, and those that mean the same. The weights are those of BM25, times 10."""
    count = float(len(places)) or 1.0
    lengths, found = [], collections.defaultdict(dict)
    for number, place in enumerate(places):
        length = 0
        for weight, words in zip(WEIGHTS, (
                titles_of(place), words_of(place.heading or place.page),
                words_of(place.searched))):
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
            words[word] += [number, int(round(10 * rarity * weight * places[number].rank))]
    index = {"stop": sorted(STOP), "same": SAME, "words": words, "places": [
        [place.path, place.page, place.heading, shorten(place.text, 0)] for place in places]}
    return u"searchIndex = %s;\n" % json.dumps(index, sort_keys=True, separators=(",", ":"))
