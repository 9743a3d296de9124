"""The timeline of a reader, read and written through the API of X, formerly Twitter.

    python demos/twitter/twitterdemo.py --port=8888

Without the credentials of an application the demo talks to a small stand-in that it starts itself,
FOR DEVELOPMENT ONLY. With them, it talks to X, which charges for each request:

    TWITTER_SECRET=... python demos/twitter/twitterdemo.py --twitter-consumer-key=...

The callback URI to register is https://HOST/auth/twitter. The application needs permission to read
and write.
"""
from __future__ import absolute_import, division, print_function

import binascii
import calendar
import os
import socket
import sys
import time
import zlib

from friendserve import locale
from friendserve.auth import TwitterMixin
from friendserve.escape import json_decode, json_encode, native_str, utf8
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.log import define_logging_options
from friendserve.netutil import bind_sockets
from friendserve.options import Error, OptionParser
from friendserve.web import (
    Application, HTTPError, RequestHandler, UIModule, asynchronous, authenticated, is_safe_next)

HERE = os.path.dirname(os.path.abspath(__file__))
LANGUAGES = ("en_US", "de", "he", "ja")
HUES = 8
MAX_TEXT = 280
#: What the page asks for: how many posts, and which fields of the posts and of their authors.
QUERY = {"max_results": "25", "expansions": "author_id", "tweet.fields": "created_at",
         "user.fields": "name,username"}

# No form-action: the form that signs in ends in a redirect to X.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
                               "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class BaseHandler(RequestHandler, TwitterMixin):
    """Knows the reader, a dict with `id`, `name`, `username` and `access_token`, from a signed
    cookie. The token is useless without the secret of the application."""

    def prepare(self):
        base = self.settings.get("twitter_url")
        if base:
            self._TWITTER_BASE_URL = base
            self._OAUTH_REQUEST_TOKEN_URL = base + "/oauth/request_token"
            self._OAUTH_ACCESS_TOKEN_URL = base + "/oauth/access_token"
            self._OAUTH_AUTHENTICATE_URL = base + "/oauth/authenticate"

    def set_default_headers(self):
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get_current_user(self):
        user = self.get_secure_cookie("twitter_user")
        return json_decode(user) if user else None

    def get_user_locale(self):
        code = self.get_cookie("language")
        return locale.get(code) if code in LANGUAGES else None

    def get_template_namespace(self):
        namespace = super(BaseHandler, self).get_template_namespace()
        namespace["languages"] = [locale.get(code) for code in LANGUAGES]
        namespace["development"] = bool(self.settings.get("twitter_url"))
        return namespace

    def fail(self, status):
        """Show why the last request to X failed."""
        self.set_status(status)
        self.render("problem.html", error=self.auth_error)


class TimelineHandler(BaseHandler):
    """The timeline, and a form to add to it."""

    @asynchronous
    @authenticated
    def get(self):
        user = self.current_user
        self.twitter_request("/2/users/%s/timelines/reverse_chronological" % user["id"],
                             self.on_timeline, access_token=user["access_token"], **QUERY)

    def on_timeline(self, reply):
        if reply is None:
            # The token is no longer valid, or X cannot be reached.
            return self.fail(502)
        authors = dict((author["id"], author)
                       for author in reply.get("includes", {}).get("users", []))
        self.render("timeline.html", max_text=MAX_TEXT, posts=[
            (post, authors.get(post.get("author_id"), {})) for post in reply.get("data", [])])

    @asynchronous
    @authenticated
    def post(self):
        text = self.get_argument("text")
        if not 1 <= len(text) <= MAX_TEXT:
            raise HTTPError(400, "text must have 1 to %d characters, not %d", MAX_TEXT, len(text))
        self.twitter_request("/2/tweets", self.on_posted, post_args=json_encode({"text": text}),
                             access_token=self.current_user["access_token"])

    def on_posted(self, reply):
        if reply is None:
            return self.fail(502)
        self.redirect("/")


class WelcomeHandler(BaseHandler):
    def get(self):
        self.render("welcome.html", next=self.get_argument("next", "/"))


class SignInHandler(BaseHandler):
    @asynchronous
    def get(self):
        if self.get_argument("oauth_token", None) or self.get_argument("denied", None):
            self.get_authenticated_user(self.on_user)
        else:
            self.authenticate_redirect(callback=self.on_redirect)

    def on_redirect(self):
        if self.auth_error is not None:
            self.fail(502)

    def on_user(self, user):
        if user is None:
            return self.fail(403)
        token = dict((name, user["access_token"][name]) for name in ("key", "secret"))
        self.set_secure_cookie("twitter_user", json_encode(
            {"id": user["id"], "name": user["name"], "username": user["username"],
             "access_token": token}), httponly=True, samesite="Lax",
            secure=self.request.protocol == "https")
        self.redirect(self.auth_next)


class SignOutHandler(BaseHandler):
    def post(self):
        self.clear_cookie("twitter_user")
        self.redirect("/welcome")


class LanguageHandler(BaseHandler):
    def post(self):
        code = self.get_argument("language")
        if code not in LANGUAGES:
            raise HTTPError(400, "language must be one of %s", ", ".join(LANGUAGES))
        self.set_cookie("language", code, expires_days=365, samesite="Lax")
        path = self.get_argument("next", "/")
        self.redirect(path if is_safe_next(path) else "/")


class Post(UIModule):
    """One post of the timeline and its author, dicts from the API."""

    def render(self, post, author):
        username = author.get("username", u"?")
        return self.render_string(
            "modules/post.html", post=post, name=author.get("name") or username,
            username=username, when=self.read_time(post.get("created_at", "")),
            hue=zlib.crc32(utf8(username)) % HUES)

    def read_time(self, text):
        """Seconds since 1970, from 2026-01-31T23:59:59 in UTC; None if it is not that."""
        try:
            return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
        except ValueError:
            return None


class TwitterApplication(Application):
    """The site. `twitter_url` is the URL of a stand-in, or None."""

    def __init__(self, key, secret, cookie_secret, twitter_url=None):
        locale.load_translations(os.path.join(HERE, "translations"))
        Application.__init__(self, [
            (r"/", TimelineHandler), (r"/welcome", WelcomeHandler),
            (r"/auth/twitter", SignInHandler), (r"/signout", SignOutHandler),
            (r"/language", LanguageHandler)],
            twitter_consumer_key=key, twitter_consumer_secret=secret, twitter_url=twitter_url,
            cookie_secret=cookie_secret, login_url="/welcome", xsrf_cookies=True,
            ui_modules={"Post": Post}, static_path=os.path.join(HERE, "static"),
            template_path=os.path.join(HERE, "templates"))


def make_options():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on; 0 for any free one")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    options.define("twitter_consumer_key", default="", help="the consumer key of the application "
                   "at X, whose secret is TWITTER_SECRET in the environment (default: a stand-in "
                   "that this program starts, for development only)")
    options.define("xheaders", default=False, help="trust the proxy's headers about the client "
                   "(X-Real-IP, X-Scheme)")
    define_logging_options(options)
    return options


def main():
    options = make_options()
    try:
        options.parse_program(arguments=False)
        key, secret, url = (options.twitter_consumer_key, os.environ.get("TWITTER_SECRET", ""),
                            None)
        if key and not secret:
            raise Error("TWITTER_SECRET is not set in the environment")
        sockets = bind_sockets(options.port, options.address)
        if not key:
            # Imported only here: in a program that talks to X, it must not even be loaded.
            from standin import start_stand_in
            key, secret = "demo", native_str(binascii.hexlify(os.urandom(16)))
            url = start_stand_in(key, secret)
    except (Error, ValueError) as error:
        sys.exit("twitterdemo.py: %s" % error)
    except socket.error as error:
        sys.exit("twitterdemo.py: %s" % error.strerror)
    cookie_secret = os.environ.get("COOKIE_SECRET") or binascii.hexlify(os.urandom(32))
    server = HTTPServer(TwitterApplication(key, secret, cookie_secret, url),
                        xheaders=options.xheaders)
    server.add_sockets(sockets)
    if url:
        print("A stand-in for X, for development only, at %s" % url)
    print("Open http://%s:%d/ (Ctrl-C to stop)" % (
        options.address, sockets[0].getsockname()[1]))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
