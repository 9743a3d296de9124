"""The stream of a reader's friends, read and written through Facebook's Graph API.

    python demos/facebook/facebookdemo.py --port=8888

Without the credentials of an application the demo talks to a small stand-in that it starts itself,
FOR DEVELOPMENT ONLY. With them, it talks to Facebook:

    FACEBOOK_SECRET=... python demos/facebook/facebookdemo.py --facebook-api-key=...

The redirect URI to register is https://HOST/auth/facebook. Facebook gives an application the
permissions user_posts and publish only after a review.
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
from friendserve.auth import FacebookGraphMixin
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
MAX_TEXT = 2000
#: How many posts the page shows, and the fields that it asks for.
POSTS, FIELDS = 25, "id,from,message,created_time"

# No form-action: the form that signs in ends in a redirect to Facebook.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
                               "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class BaseHandler(RequestHandler, FacebookGraphMixin):
    """Knows the reader, a dict with `id`, `name` and `access_token`, from a signed cookie."""

    def prepare(self):
        base = self.settings.get("facebook_url")
        if base:
            self._FACEBOOK_BASE_URL = self._FACEBOOK_DIALOG_URL = base

    def set_default_headers(self):
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get_current_user(self):
        user = self.get_secure_cookie("facebook_user")
        return json_decode(user) if user else None

    def get_user_locale(self):
        code = self.get_cookie("language")
        return locale.get(code) if code in LANGUAGES else None

    def get_template_namespace(self):
        namespace = super(BaseHandler, self).get_template_namespace()
        namespace["languages"] = [locale.get(code) for code in LANGUAGES]
        namespace["development"] = bool(self.settings.get("facebook_url"))
        return namespace


class StreamHandler(BaseHandler):
    """The stream, and a form to add to it."""

    @asynchronous
    @authenticated
    def get(self):
        self.facebook_request("/me/feed", self.on_stream, fields=FIELDS, limit=str(POSTS),
                              access_token=self.current_user["access_token"])

    def on_stream(self, stream):
        if stream is None:
            # The token is no longer valid, or Facebook cannot be reached.
            self.set_status(502)
            return self.render("problem.html", error=self.auth_error)
        self.render("stream.html", posts=stream.get("data", []), max_text=MAX_TEXT)

    @asynchronous
    @authenticated
    def post(self):
        text = self.get_argument("message")
        if not 1 <= len(text) <= MAX_TEXT:
            raise HTTPError(400, "message must have 1 to %d characters, not %d", MAX_TEXT,
                            len(text))
        self.facebook_request("/me/feed", self.on_posted, post_args={"message": text},
                              access_token=self.current_user["access_token"])

    def on_posted(self, reply):
        if reply is None:
            self.set_status(502)
            return self.render("problem.html", error=self.auth_error)
        self.redirect("/")


class WelcomeHandler(BaseHandler):
    def get(self):
        self.render("welcome.html", next=self.get_argument("next", "/"))


class SignInHandler(BaseHandler):
    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(callback=self.on_user)
        else:
            self.authorize_redirect(scope=["public_profile", "user_posts"])

    def on_user(self, user):
        if user is None:
            self.set_status(403)
            return self.render("problem.html", error=self.auth_error)
        self.set_secure_cookie("facebook_user", json_encode(dict(
            (name, user[name]) for name in ("id", "name", "access_token"))), httponly=True,
            samesite="Lax", secure=self.request.protocol == "https")
        self.redirect(self.auth_next)


class SignOutHandler(BaseHandler):
    def post(self):
        self.clear_cookie("facebook_user")
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
    """One post of the stream, a dict from the Graph API."""

    def render(self, post):
        name = post.get("from", {}).get("name", u"?")
        return self.render_string("modules/post.html", post=post, name=name,
                                  when=self.read_time(post.get("created_time", "")),
                                  hue=zlib.crc32(utf8(name)) % HUES)

    def read_time(self, text):
        """Seconds since 1970, from 2026-01-31T23:59:59 in UTC; None if it is not that."""
        try:
            return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
        except ValueError:
            return None


class FacebookApplication(Application):
    """The site. `facebook_url` is the URL of a stand-in, or None."""

    def __init__(self, key, secret, cookie_secret, facebook_url=None):
        locale.load_translations(os.path.join(HERE, "translations"))
        Application.__init__(self, [
            (r"/", StreamHandler), (r"/welcome", WelcomeHandler),
            (r"/auth/facebook", SignInHandler), (r"/signout", SignOutHandler),
            (r"/language", LanguageHandler)],
            facebook_api_key=key, facebook_secret=secret, facebook_url=facebook_url,
            cookie_secret=cookie_secret, login_url="/welcome", xsrf_cookies=True,
            ui_modules={"Post": Post}, static_path=os.path.join(HERE, "static"),
            template_path=os.path.join(HERE, "templates"))


def make_options():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on; 0 for any free one")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    options.define("facebook_api_key", default="", help="the id of the application at Facebook, "
                   "whose secret is FACEBOOK_SECRET in the environment (default: a stand-in that "
                   "this program starts, for development only)")
    options.define("xheaders", default=False, help="trust the proxy's headers about the client "
                   "(X-Real-IP, X-Scheme)")
    define_logging_options(options)
    return options


def main():
    options = make_options()
    try:
        options.parse_program(arguments=False)
        key, secret, url = options.facebook_api_key, os.environ.get("FACEBOOK_SECRET", ""), None
        if key and not secret:
            raise Error("FACEBOOK_SECRET is not set in the environment")
        sockets = bind_sockets(options.port, options.address)
        if not key:
            # Imported only here: in a program that talks to Facebook, it must not even be loaded.
            from standin import start_stand_in
            key, secret = "demo", native_str(binascii.hexlify(os.urandom(16)))
            url = start_stand_in(key, secret)
    except (Error, ValueError) as error:
        sys.exit("facebookdemo.py: %s" % error)
    except socket.error as error:
        sys.exit("facebookdemo.py: %s" % error.strerror)
    cookie_secret = os.environ.get("COOKIE_SECRET") or binascii.hexlify(os.urandom(32))
    server = HTTPServer(FacebookApplication(key, secret, cookie_secret, url),
                        xheaders=options.xheaders)
    server.add_sockets(sockets)
    if url:
        print("A stand-in for Facebook, for development only, at %s" % url)
    print("Open http://%s:%d/ (Ctrl-C to stop)" % (
        options.address, sockets[0].getsockname()[1]))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
