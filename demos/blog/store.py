"""The blog's database: accounts, entries and comments.

Functions that take a connection (`db`) are run by the pool in one of its threads. Times are whole
seconds since 1970.
"""
from __future__ import absolute_import, division, print_function

import hashlib
import re
import time
import unicodedata
import uuid

from friendserve import database
from friendserve.escape import utf8

import markup
from accounts import hash_password, is_password

PAGE = 5
FEED = 20
MAX_NAME, MAX_TITLE, MAX_TEXT, MAX_LINES, MAX_COMMENT = 40, 150, 20000, 2000, 2000
MAX_COMMENTS = 500
#: How many entries with the same title get a number; further ones get a random slug.
MAX_SAME = 50

_TABLES = """
CREATE TABLE IF NOT EXISTS users (
    id {id}, name VARCHAR(40) NOT NULL, name_key VARCHAR(120) NOT NULL UNIQUE,
    password VARCHAR(200) NOT NULL, session VARCHAR(32) NOT NULL DEFAULT ''){options};
CREATE TABLE IF NOT EXISTS entries (
    id {id}, author INTEGER NOT NULL REFERENCES users (id), slug VARCHAR(120) NOT NULL UNIQUE,
    title VARCHAR(150) NOT NULL, text {text} NOT NULL, html {text} NOT NULL,
    published BIGINT NOT NULL, updated BIGINT NOT NULL){options};
CREATE TABLE IF NOT EXISTS comments (
    id {id}, entry INTEGER NOT NULL REFERENCES entries (id),
    author INTEGER NOT NULL REFERENCES users (id), text {text} NOT NULL,
    published BIGINT NOT NULL){options}
"""

#: By the scheme of the database's URL.
_DIALECTS = {
    "sqlite": {"id": "INTEGER PRIMARY KEY", "text": "TEXT", "options": ""},
    "postgresql": {"id": "SERIAL PRIMARY KEY", "text": "TEXT", "options": ""},
    "mysql": {"id": "INTEGER PRIMARY KEY AUTO_INCREMENT", "text": "MEDIUMTEXT",
              "options": " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"},
}
_DIALECTS["postgres"] = _DIALECTS["postgresql"]
_DIALECTS["mariadb"] = _DIALECTS["mysql"]

_ENTRIES = ("SELECT entries.*, users.name AS author_name, "
            "(SELECT COUNT(*) FROM comments WHERE comments.entry = entries.id) AS comments "
            "FROM entries JOIN users ON users.id = entries.author ")


def make_tables(url):
    """Create missing tables and columns. Blocks, so call it before the loop starts."""
    db = database.connect(url)
    dialect = _DIALECTS[url.partition(":")[0]]
    try:
        for statement in _TABLES.format(**dialect).split(";"):
            db.execute(statement)
        try:
            db.get("SELECT COUNT(session) FROM users")
        except database.Error:
            # A table of an earlier version. Its users stay signed in.
            db.execute("ALTER TABLE users ADD COLUMN session VARCHAR(32) NOT NULL DEFAULT ''")
    finally:
        db.close()


class NameTaken(Exception):
    """An account with this name already exists."""


# Accounts

def plain_name(name):
    """A name with its letters in their simplest form. It may be longer: one ligature can represent
    a whole sentence."""
    return unicodedata.normalize("NFKC", name)


def name_key(name):
    """A key that is equal for names that look the same; empty for an invisible one."""
    # Some scripts need format characters that join or part letters; ignore them in comparisons.
    plain = u"".join(one for one in plain_name(name) if unicodedata.category(one) != "Cf")
    # Not casefold, which Python 2 lacks. One letter becomes three at most.
    return plain.lower()


def make_account(db, name, password):
    """Create an account and return it. Raises NameTaken."""
    try:
        db.execute("INSERT INTO users (name, name_key, password, session) VALUES (%s, %s, %s, %s)",
                   name, name_key(name), hash_password(password), uuid.uuid4().hex)
    except database.IntegrityError:
        raise NameTaken(name)
    return _account(db, name)


def check_account(db, name, password):
    """The account with this name if the password is right, else None."""
    account = _account(db, name)
    right = is_password(password, account.password if account is not None else None)
    return account if right else None


def is_signed_in(pool, user, **options):
    """Call back with a true value if the session of `user` (id, session) has not ended."""
    return pool.get("SELECT id FROM users WHERE id = %s AND session = %s", user.id, user.session,
                    **options)


def sign_out_everywhere(pool, user, **options):
    """End all sessions of an account by changing what their cookies carry. One that has ended
    (another device was faster) ends no others."""
    pool.execute("UPDATE users SET session = %s WHERE id = %s AND session = %s", uuid.uuid4().hex,
                 user.id, user.session, **options)


def _account(db, name):
    return db.get("SELECT * FROM users WHERE name_key = %s", name_key(name))


# Entries

def latest(pool, before, count, **options):
    """The `count` newest entries, before the id `before` if it is not None; and one more if there
    are more."""
    if before is None:
        pool.query(_ENTRIES + "ORDER BY entries.id DESC LIMIT %s", count + 1, **options)
    else:
        pool.query(_ENTRIES + "WHERE entries.id < %s ORDER BY entries.id DESC LIMIT %s",
                   before, count + 1, **options)


def titles(pool, **options):
    """Slug, title, author and date of all entries, newest first."""
    pool.query("SELECT slug, title, published, users.name AS author_name FROM entries "
               "JOIN users ON users.id = entries.author ORDER BY entries.id DESC LIMIT 2000",
               **options)


def find_entry(pool, slug, **options):
    """The entry with this slug, or None."""
    pool.get(_ENTRIES + "WHERE slug = %s", slug, **options)


def find_comments(pool, entry, **options):
    """The comments of an entry, oldest first."""
    pool.query("SELECT comments.*, users.name AS author_name FROM comments "
               "JOIN users ON users.id = comments.author WHERE entry = %s "
               "ORDER BY comments.id LIMIT %s", entry.id, MAX_COMMENTS, **options)


def add_entry(db, author, title, text):
    """Store a new entry and return its slug."""
    html = markup.to_html(text)
    base = make_slug(title)
    for number in range(1, MAX_SAME + 1):
        slug = base if number == 1 else u"%s-%d" % (base, number)
        if db.get("SELECT id FROM entries WHERE slug = %s", slug) is None:
            try:
                return _insert_entry(db, author, slug, title, text, html)
            except database.IntegrityError:
                # Another thread or process took this slug in the meantime.
                continue
    return _insert_entry(db, author, u"%s-%s" % (base, uuid.uuid4().hex), title, text, html)


def _insert_entry(db, author, slug, title, text, html):
    now = int(time.time())
    db.execute("INSERT INTO entries (author, slug, title, text, html, published, updated) "
               "VALUES (%s, %s, %s, %s, %s, %s, %s)", author, slug, title, text, html, now, now)
    return slug


class ChangedMeanwhile(Exception):
    """An entry was changed since its author last saw it. `entry` is the current one."""
    def __init__(self, entry):
        super(ChangedMeanwhile, self).__init__(entry.slug)
        self.entry = entry


def version(entry):
    """A text that is different after each change of an entry."""
    return hashlib.sha256(utf8(u"%s\n%s" % (entry.title, entry.text))).hexdigest()[:32]


def change_entry(db, author, slug, title, text, seen=None):
    """Change an entry of this author. Its slug stays, so that links to it still work. Return
    whether there was such an entry. Raises ChangedMeanwhile if `seen` is given, and is not the
    `version` of the entry."""
    entry = db.get("SELECT * FROM entries WHERE slug = %s AND author = %s", slug, author)
    if entry is None:
        return False
    if seen is not None and seen != version(entry):
        raise ChangedMeanwhile(entry)
    # The condition on the text: another process may have changed it since.
    if not db.execute_rowcount(
            "UPDATE entries SET title = %s, text = %s, html = %s, updated = %s "
            "WHERE id = %s AND title = %s AND text = %s",
            title, text, markup.to_html(text), int(time.time()), entry.id, entry.title,
            entry.text):
        raise ChangedMeanwhile(db.get("SELECT * FROM entries WHERE id = %s", entry.id))
    return True


def add_comment(pool, entry, author, text, **options):
    pool.execute("INSERT INTO comments (entry, author, text, published) VALUES (%s, %s, %s, %s)",
                 entry.id, author, text, int(time.time()), **options)


_IN_SLUGS = frozenset(["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No", "Cs"])


def make_slug(title):
    """A title in the form for a URL's path: letters and digits of any script, and hyphens."""
    plain = unicodedata.normalize("NFKC", title).lower()
    # Marks are vowels in some scripts. ("Cs": Python 2 may have a letter as two surrogates.)
    slug = u"".join(one if unicodedata.category(one) in _IN_SLUGS else u"-" for one in plain)
    return re.sub(u"-+", u"-", slug)[:80].strip(u"-") or u"entry"
