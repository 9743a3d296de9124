"""A blog on a real database: entries in Markdown, comments, accounts, an archive, an Atom feed, and
four languages.

    python -m pip install . -r demos/blog/requirements.txt
    python demos/blog/blog.py --port=8888
    python demos/blog/blog.py --database=postgresql://me:secret@localhost/blog

Statements and password hashes run in the threads of the database pool; the loop only waits for
their callbacks. Everyone who signs up can write.
"""
from __future__ import absolute_import, division, print_function

import binascii
import os
import re
import sys
import time

from friendserve import database, gen, locale
from friendserve.escape import json_decode, json_encode, to_unicode, url_escape, xhtml_escape
from friendserve.ioloop import IOLoop
from friendserve.log import define_logging_options, gen_log
from friendserve.options import Error, OptionParser
from friendserve.web import (
    Application, ErrorHandler, HTTPError, RequestHandler, UIModule, asynchronous, authenticated,
    is_safe_next)

try:
    import store
except ImportError as missing:
    sys.exit("%s: python -m pip install -r demos/blog/requirements.txt" % missing)
from accounts import MAX_PASSWORD, MIN_PASSWORD, Allowance, Guard
from once import Once

HERE = os.path.dirname(os.path.abspath(__file__))
LANGUAGES = ("en_US", "de", "he", "ja")

HEADERS = {
    "Content-Security-Policy":
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language, Cookie",
}

#: Characters that a name must not contain: controls, blanks other than spaces, and marks that are
#: invisible or change the direction of text.
UNSEEN = re.compile(
    u"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    u"\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb]")


class BlogHandler(RequestHandler):
    """The base of all handlers: headers, accounts, languages, errors."""

    def set_default_headers(self):
        for name, value in HEADERS.items():
            self.set_header(name, value)

    @gen.coroutine
    def prepare(self):
        if self.current_user is not None:
            # The next user of this browser must not find the page by going back.
            self.set_header("Cache-Control", "private, no-store")
            if not (yield store.is_signed_in(self.pool, self.current_user)):
                self.current_user = None
                self.clear_cookie("user")
        super(BlogHandler, self).prepare()

    def head(self, *args):
        self.get(*args)

    @property
    def pool(self):
        return self.application.pool

    def get_current_user(self):
        """The {"id", "name", "session"} in the signed cookie. Until `prepare` has asked the
        database, that session may have ended on another device."""
        cookie = self.get_secure_cookie("user", max_age_days=30)
        # Cookies of earlier versions have no session.
        return database.Row(dict({"session": ""}, **json_decode(cookie))) if cookie else None

    def first(self, callback):
        """Whether the form of this request is sent for the first time. If not, `callback(outcome)`
        is called with the outcome that `done` gets the first time."""
        token = self.get_body_argument("once", None)
        self.once = token and (self.current_user.id, token)
        return not token or self.application.once.begin(self.once, callback)

    def done(self, outcome):
        """Note that the form has been carried out, with this outcome; None: it was not."""
        if self.once:
            self.application.once.end(self.once, outcome)

    def sign_in(self, account):
        user = {"id": account.id, "name": account.name, "session": account.session}
        self.set_secure_cookie("user", json_encode(user), httponly=True, samesite="Lax",
                               secure=self.request.protocol == "https")

    def get_user_locale(self):
        code = self.get_cookie("language")
        return locale.get(code) if code in LANGUAGES else None

    def get_template_namespace(self):
        namespace = super(BlogHandler, self).get_template_namespace()
        uri = self.request.uri
        is_here = self.request.method == "GET" and all(" " < one <= "~" for one in uri)
        namespace.update(languages=[locale.get(code) for code in LANGUAGES], entry_url=entry_url,
                         problem=None, here=uri if is_here else "/", least=MIN_PASSWORD,
                         random_token=lambda: binascii.hexlify(os.urandom(16)))
        return namespace

    def get_next(self):
        back = self.get_argument("next", "/")
        return back if is_safe_next(back) else "/"

    def get_text(self, name, most, least=1):
        """An argument of `least` to `most` characters. Raises Problem."""
        text = self.get_body_argument(name, "", strip=False).replace("\r\n", "\n")
        # Four blanks at the beginning of a line mark code: keep them.
        text = re.sub(r"\A(?:[ \t]*\n)+", "", text.rstrip())
        self.check_length(len(text) if text.strip() else 0, most, least)
        return text

    def check_length(self, count, most, least=1):
        if not least <= count <= most:
            raise Problem(self.locale.translate(
                "Please use %(least)d to %(most)d characters, not %(count)d.")
                % {"least": least, "most": most, "count": count})

    # Errors

    def log_exception(self, typ, value, tb):
        if isinstance(value, (database.Unavailable, database.OutcomeUnknown)):
            # The message says what is wrong; a traceback would add nothing.
            gen_log.error("%s: %s", self.request.path, value)
        else:
            super(BlogHandler, self).log_exception(typ, value, tb)

    def write_error(self, status_code, **kwargs):
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        text = TEXTS.get(status_code, TEXTS[400 if status_code < 500 else 500])
        if isinstance(error, (database.Unavailable, database.OutcomeUnknown)):
            status_code = 503
            text = TEXTS["unknown" if isinstance(error, database.OutcomeUnknown) else 503]
            self.set_status(503)
            self.set_header("Retry-After", "10")
        self.render("error.html", status=status_code, text=self.locale.translate(text))


#: The texts of error pages, by status; the translations have them too.
TEXTS = {
    400: "This request is not valid.",
    403: "You are not allowed to do this. If a form was open for a long time, reload it and try "
         "again.",
    404: "This page does not exist, or no longer does.",
    429: "Too many wrong passwords. Please wait a while.",
    500: "Something went wrong. The error was logged, and someone will look into it.",
    "changed":
        "This letter was changed elsewhere in the meantime. Your text is below; publishing it "
        "replaces the other version.",
    503: "The database is unavailable at the moment. Nothing was lost; please try again later.",
    "unknown":
        "The connection to the database was lost. Check whether your change was saved before you "
        "try again.",
}


class Problem(Exception):
    """An error in a form that its sender can correct."""


class NotFoundHandler(BlogHandler, ErrorHandler):
    pass


# Reading

class HomeHandler(BlogHandler):
    @asynchronous
    def get(self):
        before = self.get_argument("before", None)
        if before is not None and not re.match(r"[0-9]{1,9}\Z", before):
            raise HTTPError(404)
        store.latest(self.pool, before and int(before), store.PAGE, callback=self.on_entries)

    def on_entries(self, entries):
        if not entries and "before" in self.request.arguments:
            raise HTTPError(404)
        older = entries[store.PAGE - 1].id if len(entries) > store.PAGE else None
        self.render("home.html", entries=entries[:store.PAGE], older=older,
                    is_first="before" not in self.request.arguments)


class ArchiveHandler(BlogHandler):
    @asynchronous
    def get(self):
        store.titles(self.pool, callback=self.on_titles)

    def on_titles(self, entries):
        years = []
        for entry in entries:
            year = time.gmtime(entry.published).tm_year
            if not years or years[-1][0] != year:
                years.append((year, []))
            years[-1][1].append(entry)
        self.render("archive.html", years=years)


class EntryHandler(BlogHandler):
    """An entry with its comments; a POST adds one."""

    @asynchronous
    def get(self, slug):
        self.find(slug, lambda: self.show())

    @asynchronous
    @authenticated
    def post(self, slug):
        self.find(slug, self.add)

    def find(self, slug, callback):
        def on_entry(entry):
            if entry is None:
                raise HTTPError(404)
            self.entry = entry
            callback()
        if "\0" in slug:
            # Databases cannot store a NUL.
            raise HTTPError(404)
        store.find_entry(self.pool, slug, callback=on_entry)

    def show(self, problem=None, text=""):
        store.find_comments(self.pool, self.entry, callback=lambda comments: self.render(
            "entry.html", entry=self.entry, comments=comments, problem=problem, text=text))

    def add(self):
        try:
            text = self.get_text("text", store.MAX_COMMENT)
            if self.entry.comments >= store.MAX_COMMENTS:
                raise Problem(self.locale.translate("This letter cannot take any more comments."))
        except Problem as problem:
            self.set_status(400)
            self.show(str_of(problem), self.get_body_argument("text", "")[:store.MAX_COMMENT])
            return
        author = self.current_user.id
        if not self.first(self.on_added):
            return
        if not self.application.comments.take(author):
            self.done(None)
            self.set_status(429)
            self.show(self.locale.translate(
                "Too many comments in a short time. Please wait a few minutes."), text)
            return
        store.add_comment(self.pool, self.entry, author, text, callback=self.on_stored,
                          on_error=self.on_error)

    def on_stored(self, result):
        self.done(True)
        self.on_added(True)

    def on_error(self, error):
        self.done(None)
        raise error

    def on_added(self, outcome):
        self.redirect(entry_url(self.entry.slug) + "#comments")


class FeedHandler(BlogHandler):
    """The newest entries as Atom (RFC 4287)."""

    @asynchronous
    def get(self):
        store.latest(self.pool, None, store.FEED, callback=self.on_entries)

    def on_entries(self, entries):
        base = self.request.protocol + "://" + self.request.host
        self.set_header("Content-Type", "application/atom+xml; charset=UTF-8")
        self.render("feed.xml", entries=entries[:store.FEED], base=base, timestamp=timestamp,
                    clean=clean_xml)


# Writing

class ComposeHandler(BlogHandler):
    """A form for a new entry or, with the argument slug, for an existing one."""

    @asynchronous
    @authenticated
    def get(self):
        slug = self.get_argument("slug", None)
        if slug is None:
            self.show(None, "", "")
        else:
            store.find_entry(self.pool, slug, callback=self.on_entry)

    def on_entry(self, entry):
        if entry is None:
            raise HTTPError(404)
        if entry.author != self.current_user.id:
            raise HTTPError(403)
        self.show(entry.slug, entry.title, entry.text, seen=store.version(entry))

    def show(self, slug, title, text, problem=None, seen=None):
        self.render("compose.html", slug=slug, title=title, text=text, problem=problem,
                    seen=seen or self.get_body_argument("seen", ""))

    @asynchronous
    @authenticated
    def post(self):
        self.slug = self.get_body_argument("slug", None)
        author = self.current_user.id
        try:
            title = u" ".join(self.get_text("title", store.MAX_TITLE).split())
            text = self.get_text("text", store.MAX_TEXT)
            if text.count("\n") >= store.MAX_LINES:
                raise Problem(self.locale.translate("No more than %(most)d lines, please.")
                              % {"most": store.MAX_LINES})
        except Problem as problem:
            self.set_status(400)
            self.show(self.slug, self.get_body_argument("title", "")[:store.MAX_TITLE],
                      self.get_body_argument("text", "")[:2 * store.MAX_TEXT], str_of(problem))
            return
        self.title, self.text = title, text
        if self.slug is None:
            if not self.first(self.on_kept):
                return
            self.pool.run(lambda db: store.add_entry(db, author, title, text),
                          callback=self.on_stored, on_error=self.on_error)
        else:
            seen = self.get_body_argument("seen", None)
            self.pool.run(lambda db: store.change_entry(db, author, self.slug, title, text, seen),
                          callback=self.on_changed, on_error=self.on_error)

    def on_error(self, error):
        if self.slug is None:
            self.done(None)
        if isinstance(error, store.ChangedMeanwhile):
            self.set_status(409)
            self.show(self.slug, self.title, self.text,
                      self.locale.translate(TEXTS["changed"]), seen=store.version(error.entry))
            return
        if not isinstance(error, store.markup.TooMuch):
            raise error
        self.set_status(400)
        self.show(self.slug, self.title, self.text, self.locale.translate(
            "This is too much for one page: a table is too large, or lists are nested too deeply."))

    def on_stored(self, slug):
        self.done(slug)
        self.on_kept(slug)

    def on_kept(self, slug):
        if slug is None:
            raise HTTPError(503)
        self.redirect(entry_url(slug))

    def on_changed(self, was_there):
        if not was_there:
            raise HTTPError(403)
        self.redirect(entry_url(self.slug))


# Accounts

class AccountHandler(BlogHandler):
    """The form to sign in or, with the template join.html, to create an account."""
    template = None

    def get(self):
        self.show()

    def show(self, problem=None):
        self.render(self.template, next=self.get_next(), problem=problem,
                    name=self.get_argument("name", "")[:store.MAX_NAME])

    def refuse(self, problem, status=400):
        self.set_status(status)
        self.show(problem)

    @asynchronous
    def post(self):
        try:
            name = u" ".join(self.get_text("name", store.MAX_NAME).split())
            self.check_length(len(store.plain_name(name)), store.MAX_NAME)
            # Spaces are part of a password.
            password = self.get_body_argument("password", "", strip=False)
            if UNSEEN.search(name) or not store.name_key(name):
                raise Problem(self.locale.translate("The name contains invisible characters."))
            if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
                raise Problem(self.locale.translate(
                    "A password must have between %(least)d and %(most)d characters.")
                    % {"least": MIN_PASSWORD, "most": MAX_PASSWORD})
        except Problem as problem:
            self.refuse(str_of(problem))
            return
        self.carry_out(name, password)

    def guard_key(self, name):
        """The key by which wrong passwords for a name are counted: the name, or a browser in which
        its owner has signed in before. So guesses by others do not lock the owner out."""
        known = self.get_secure_cookie("known", max_age_days=365)
        owner, _, browser = (known or b"").decode("utf-8").rpartition(":")
        return (name, browser) if known and owner == name else name

    def on_account(self, account):
        name = store.name_key(account.name)
        if self.guard_key(name) == name:
            self.set_secure_cookie(
                "known", u"%s:%s" % (name, binascii.hexlify(os.urandom(8)).decode("ascii")),
                expires_days=365, httponly=True, samesite="Lax",
                secure=self.request.protocol == "https")
        self.sign_in(account)
        self.redirect(self.get_next())


class JoinHandler(AccountHandler):
    template = "join.html"

    def carry_out(self, name, password):
        self.application.accounts.run(lambda db: store.make_account(db, name, password),
                                      callback=self.on_account, on_error=self.on_error)

    def on_error(self, error):
        if not isinstance(error, store.NameTaken):
            raise error
        self.refuse(self.locale.translate("This name is already taken."), 409)


class LoginHandler(AccountHandler):
    template = "login.html"

    def carry_out(self, name, password):
        self.key = self.guard_key(store.name_key(name))
        seconds = self.application.guard.wait(self.key)
        if seconds:
            self.set_header("Retry-After", "%d" % (seconds + 1))
            self.refuse(self.locale.translate(TEXTS[429]), 429)
            return
        # Counted before the result is known; otherwise many guesses at once would be free.
        self.application.guard.failed(self.key)
        self.application.accounts.run(lambda db: store.check_account(db, name, password),
                                      callback=self.on_checked, on_error=self.on_error)

    def on_error(self, error):
        # The password was not checked.
        self.application.guard.forgive(self.key)
        raise error

    def on_checked(self, account):
        if account is None:
            self.refuse(self.locale.translate("The name or password is wrong."), 403)
        else:
            self.application.guard.succeeded(self.key)
            self.on_account(account)


class LogoutHandler(BlogHandler):
    """Ends the session in this browser or, with the argument everywhere, all of the user's."""

    def prepare(self):
        """Ask nothing: one can sign out here while the database is unavailable."""

    @asynchronous
    def post(self):
        if self.current_user is not None and self.get_body_argument("everywhere", None):
            store.sign_out_everywhere(self.pool, self.current_user, callback=self.on_ended)
        else:
            self.on_ended()

    def on_ended(self, result=None):
        self.clear_cookie("user")
        self.redirect("/")


class LanguageHandler(BlogHandler):
    def post(self):
        code = self.get_argument("language")
        if code not in LANGUAGES:
            raise HTTPError(400, "language must be one of %s", ", ".join(LANGUAGES))
        self.set_cookie("language", code, expires_days=365, samesite="Lax")
        self.redirect(self.get_next())


# Parts of pages

class Entry(UIModule):
    def render(self, entry, is_alone=False):
        return self.render_string("modules/entry.html", entry=entry, is_alone=is_alone,
                                  entry_url=entry_url)

    def css_files(self):
        return "entry.css"


class Comment(UIModule):
    def render(self, comment):
        return self.render_string("modules/comment.html", comment=comment)

    def css_files(self):
        return "entry.css"


def entry_url(slug):
    return "/entry/" + url_escape(slug, plus=False)


def str_of(problem):
    return to_unicode(problem.args[0])


def timestamp(seconds):
    """A time in the format of Atom (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def clean_xml(text):
    """The text, escaped, without the characters that are not allowed in XML."""
    return xhtml_escape(re.sub(u"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", u"", text)
                        if sys.maxunicode > 0xffff else text.replace(u"\ufffe", u""))


class BlogApplication(Application):
    def __init__(self, url, secret, threads=4):
        self.pool = database.Pool(url, threads=threads)
        # Hashing a password takes a while: many at once must not keep readers waiting.
        self.accounts = database.Pool(url, threads=2, max_queue=20)
        self.guard = Guard()
        self.comments = Allowance(10, 300)
        self.once = Once()
        super(BlogApplication, self).__init__([
            (r"/", HomeHandler), (r"/archive", ArchiveHandler), (r"/feed", FeedHandler),
            (r"/entry/([^/]+)", EntryHandler), (r"/compose", ComposeHandler),
            (r"/join", JoinHandler), (r"/login", LoginHandler), (r"/logout", LogoutHandler),
            (r"/language", LanguageHandler),
        ], template_path=os.path.join(HERE, "templates"), static_path=os.path.join(HERE, "static"),
            ui_modules={"Entry": Entry, "Comment": Comment}, cookie_secret=secret,
            login_url="/login", xsrf_cookies=True,
            xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
            default_handler_class=NotFoundHandler, default_handler_args={"status_code": 404})


def main():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    options.define("database", default="", help="the database: sqlite:///PATH, "
                   "mysql://USER:PASSWORD@HOST/NAME or postgresql://... (default: "
                   "friendserve-blog.db in your home folder)")
    options.define("threads", default=4, help="the number of connections to the database")
    options.define("cookie_secret", default="", help="the key that signs cookies (default: a new "
                   "one at each start, after which everyone has to sign in again)")
    define_logging_options(options)
    try:
        options.parse_program(arguments=False)
        locale.load_translations(os.path.join(HERE, "translations"))
        url = options.database or "sqlite:///" + os.path.expanduser("~/friendserve-blog.db")
        if url.endswith(":memory:"):
            raise Error("a database in memory does not work: each connection would have its own")
        store.make_tables(url)
        secret = options.cookie_secret or binascii.hexlify(os.urandom(32)).decode("ascii")
        application = BlogApplication(url, secret, options.threads)
    except (Error, ValueError, KeyError, ImportError, database.Error) as error:
        sys.exit("blog.py: %s" % error)
    try:
        application.listen(options.port, address=options.address, max_body_size=1 << 20)
    except EnvironmentError as error:
        sys.exit("blog.py: %s" % error.strerror)
    print("Open http://%s:%d/ (Ctrl-C to stop); entries are in %s" % (
        options.address, options.port, url.rpartition("@")[2]))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
