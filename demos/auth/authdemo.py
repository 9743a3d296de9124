"""Sign in with other sites: any OpenID Connect provider by its URL, Facebook, X, Steam.

    python -m pip install "friendserve[oidc]"
    python demos/auth/authdemo.py --port=8888

Without a configuration the demo starts two small providers itself, with which anyone can sign in as
anyone: FOR DEVELOPMENT ONLY. With one, it uses real providers; users may sign in with several at
the same time:

    python demos/auth/authdemo.py --providers=providers.json --cookie-secret=...

    {"google": {"label": "Google", "issuer": "https://accounts.google.com",
                "key": "...", "secret": "..."},
     "work": {"label": "Keycloak", "issuer": "https://id.example.com/realms/work",
              "key": "...", "secret": "..."},
     "facebook": {"kind": "facebook", "label": "Facebook", "key": "...", "secret": "..."},
     "x": {"kind": "x", "label": "X", "key": "...", "secret": "..."},
     "steam": {"kind": "openid", "label": "Steam",
               "endpoint": "https://steamcommunity.com/openid/login"}}

The redirect URI to register with the provider NAME is https://HOST/auth/NAME, the URI after a
sign-out https://HOST/, and the URI of back-channel logout https://HOST/auth/NAME/ended.
"""
from __future__ import absolute_import, division, print_function

import binascii
import io
import json
import os
import re
import socket
import sys
import time
import zlib

from friendserve import locale
from friendserve.auth import (
    BackChannelLogoutHandler, FacebookGraphMixin, GoogleOAuth2Mixin, OpenIDConnectMixin,
    OpenIdMixin, TwitterOAuth2Mixin)
from friendserve.escape import native_str, utf8
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.log import define_logging_options
from friendserve.netutil import bind_sockets
from friendserve.options import Error, OptionParser
from friendserve.web import (
    Application, HTTPError, RequestHandler, asynchronous, is_safe_next)

HERE = os.path.dirname(os.path.abspath(__file__))
LANGUAGES = ("en_US", "de", "he", "ja")
HUES = 8

#: Seconds for which a session lasts without a request, and how many sessions are kept.
SESSION_AGE, MAX_SESSIONS = 7 * 86400, 10000

#: Names of providers, which appear in paths and in the names of cookies.
NAME = re.compile(r"[a-z0-9-]{1,20}\Z")
#: The keys that the configuration of each kind of provider must have.
NEEDED = {"oidc": ("issuer", "key"), "facebook": ("key", "secret"), "x": ("key", "secret"),
          "openid": ("endpoint",)}

# No form-action: a form that signs out ends in a redirect to the provider.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
                               "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

#: What the pages show about a user, in this order: a claim, and its label.
SHOWN = (("sub", "Identifier"), ("id", "Identifier"), ("claimed_id", "Identifier"),
         ("username", "User name"), ("preferred_username", "User name"), ("email", "E-mail"))


class Sessions(object):
    """The sessions of all browsers, in memory. A session is a dict of identities, each a dict that
    describes a user, by the name of the provider."""

    def __init__(self):
        self._sessions = {}     # id -> [time of the last use, session]

    def get(self, session_id):
        """The session, {} if there is none."""
        entry = self._sessions.get(session_id)
        if entry is None or time.time() - entry[0] > SESSION_AGE:
            return {}
        entry[0] = time.time()
        return entry[1]

    def replace(self, session_id, session):
        """Replace a session by another one. Return its id, "" for an empty session."""
        self._sessions.pop(session_id, None)
        if not session:
            return ""
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda one: self._sessions[one][0])]
        session_id = native_str(binascii.hexlify(os.urandom(24)))
        self._sessions[session_id] = [time.time(), session]
        return session_id

    def end(self, name, sid, sub):
        """End the sign-ins that belong to the provider's session `sid`, or to all sessions of its
        user."""
        for _, session in self._sessions.values():
            user = session.get(name)
            if user and (user.get("sid") == sid if sid is not None else user["sub"] == sub):
                del session[name]


class PageHandler(RequestHandler):
    """A page in one of the languages."""

    def set_default_headers(self):
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get_user_locale(self):
        code = self.get_cookie("language")
        return locale.get(code) if code in LANGUAGES else None

    def get_template_namespace(self):
        namespace = super(PageHandler, self).get_template_namespace()
        namespace["languages"] = [locale.get(code) for code in LANGUAGES]
        return namespace


class BaseHandler(PageHandler):
    """A page of the site itself, which knows who has signed in."""

    @property
    def session_id(self):
        return native_str(self.get_secure_cookie("session") or b"")

    def get_current_user(self):
        return self.application.sessions.get(self.session_id)

    def keep(self, session):
        """Give the browser a new session with these identities. The old id becomes invalid, so that
        one planted by an attacker is useless."""
        session_id = self.application.sessions.replace(self.session_id, session)
        if session_id:
            self.set_secure_cookie("session", session_id, httponly=True, samesite="Lax",
                                   secure=self.request.protocol == "https")
        else:
            self.clear_cookie("session")

    def show_error(self, error, name):
        self.set_status(403 if error.reason == "denied" else 400)
        self.render("problem.html", error=error, provider=self.application.providers[name],
                    name=name)


class HomeHandler(BaseHandler):
    """Shows who the user is, and the providers to sign in with."""

    def get(self):
        self.render("home.html", providers=self.application.providers, describe=describe,
                    identities=self.current_user, development=self.application.is_development)


def describe(user):
    """What a page shows about a user: a name, a colour, and rows of labels and values."""
    name = user.get("name") or user.get("username") or user.get("sub") or u"?"
    rows = [(label, user[claim]) for claim, label in SHOWN if user.get(claim)]
    return {"name": name, "hue": zlib.crc32(utf8(name)) % HUES, "rows": rows,
            "initial": name[:1].upper(), "verified": user.get("email_verified") is True}


class SignInHandler(BaseHandler):
    """The start of a sign-in, and its end: the provider sends the browser to the same path."""
    scope = None

    def initialize(self, name):
        self.name = name
        self.config = self.application.providers[name]

    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(callback=self.on_user)
        else:
            self.start(self.on_started)

    def start(self, callback):
        self.authorize_redirect(scope=self.scope, callback=callback)

    def on_started(self):
        # After a redirect there is nothing left to do.
        if self.auth_error is not None:
            self.show_error(self.auth_error, self.name)

    def on_user(self, user):
        if user is None:
            return self.show_error(self.auth_error, self.name)
        session = dict(self.current_user)
        session[self.name] = user
        self.keep(session)
        self.redirect(self.auth_next)

    def _oauth_consumer_token(self):
        return self.config


class OidcHandler(SignInHandler, OpenIDConnectMixin):
    def _oidc_client(self):
        return self.config

    def start(self, callback):
        self.authenticate_redirect(callback=callback)


class GoogleHandler(OidcHandler, GoogleOAuth2Mixin):
    """Like OidcHandler, with the other spelling of Google's issuer."""


class FacebookHandler(SignInHandler, FacebookGraphMixin):
    scope = ["public_profile", "email"]


class XHandler(SignInHandler, TwitterOAuth2Mixin):
    scope = ["tweet.read", "users.read"]


class OpenIdHandler(SignInHandler, OpenIdMixin):
    @property
    def _OPENID_ENDPOINT(self):
        return self.config["endpoint"]

    def start(self, callback):
        self.authenticate_redirect(ax_attrs=(), callback=callback)


HANDLERS = {"oidc": OidcHandler, "facebook": FacebookHandler, "x": XHandler,
            "openid": OpenIdHandler}


class EndedHandler(BackChannelLogoutHandler):
    """Called by a provider when a session has ended there."""

    def initialize(self, name):
        self.name = name

    def _oidc_client(self):
        return self.application.providers[self.name]

    def on_logout(self, sid, sub):
        self.application.sessions.end(self.name, sid, sub)


class SignOutHandler(BaseHandler, OpenIDConnectMixin):
    """Signs out here, and with `there` also at the provider."""

    def _oidc_client(self):
        return self.application.providers[self.get_argument("provider")]

    @asynchronous
    def post(self):
        name = self.get_argument("provider")
        session = dict(self.current_user)
        user = session.pop(name, None)
        self.keep(session)
        if user and self.get_argument("there", "") and "id_token" in user:
            self.end_session_redirect(user["id_token"], "/", callback=self.on_redirected)
        else:
            self.redirect("/")

    def on_redirected(self):
        if self.auth_error is not None:
            self.show_error(self.auth_error, self.get_argument("provider"))


class LanguageHandler(BaseHandler):
    def post(self):
        code = self.get_argument("language")
        if code not in LANGUAGES:
            raise HTTPError(400, "language must be one of %s", ", ".join(LANGUAGES))
        self.set_cookie("language", code, expires_days=365, samesite="Lax")
        path = self.get_argument("next", "/")
        self.redirect(path if is_safe_next(path) else "/")


class AuthApplication(Application):
    """The site. `providers` is a dict of dicts, as in the docstring of this module."""

    def __init__(self, providers, cookie_secret, is_development=False, **settings):
        self.providers = providers
        self.is_development = is_development
        self.sessions = Sessions()
        settings = dict(page_settings(cookie_secret), **settings)
        handlers = [(r"/", HomeHandler), (r"/signout", SignOutHandler),
                    (r"/language", LanguageHandler)]
        for name, config in sorted(providers.items()):
            handler = HANDLERS[config.get("kind", "oidc")]
            if config.get("issuer") == GoogleOAuth2Mixin._OIDC_ISSUER:
                handler = GoogleHandler
            handlers.append((r"/auth/" + name, handler, {"name": name}))
            handlers.append((r"/auth/%s/ended" % name, EndedHandler, {"name": name}))
        Application.__init__(self, handlers, **settings)


def page_settings(cookie_secret):
    locale.load_translations(os.path.join(HERE, "translations"))
    return dict(cookie_secret=cookie_secret, xsrf_cookies=True,
                static_path=os.path.join(HERE, "static"),
                template_path=os.path.join(HERE, "templates"))


def read_providers(path):
    """The configured providers. Raises ValueError for a wrong configuration."""
    with io.open(path, encoding="utf-8") as opened:
        providers = json.load(opened)
    for name, config in providers.items():
        if not NAME.match(name):
            raise ValueError("%s: the name of a provider has letters a to z, digits and dashes, at "
                             "most 20" % name)
        kind = config.get("kind", "oidc")
        if kind not in NEEDED:
            raise ValueError("%s: kind must be one of %s" % (name, ", ".join(sorted(NEEDED))))
        for key in NEEDED[kind]:
            if not config.get(key):
                raise ValueError("%s: %s is missing" % (name, key))
        config.setdefault("label", name)
    return providers


def start_development(port, cookie_secret):
    """Start two providers on loopback that know this site. Return them as `read_providers` does."""
    # Imported here, since other kinds of providers need no cryptography.
    try:
        from provider import Client, ProviderApplication
    except ImportError as error:
        raise Error('%s; python -m pip install "friendserve[oidc]"' % error)
    providers = {}
    sites = ["http://%s:%d/" % (host, port) for host in ("127.0.0.1", "localhost")]
    for label in (u"Harbour", u"Lighthouse"):
        name = native_str(label.lower())
        secret = native_str(binascii.hexlify(os.urandom(16)))
        client = Client(secret, [site + "auth/" + name for site in sites], sites,
                        "%sauth/%s/ended" % (sites[0], name))
        # Browsers send a cookie to all ports of a host.
        application = ProviderApplication(
            native_str(label), PageHandler, {"demo": client}, xsrf_cookie_name=name + "_xsrf",
            **page_settings(cookie_secret))
        sockets = bind_sockets(0, "127.0.0.1")
        application.issuer = "http://127.0.0.1:%d" % sockets[0].getsockname()[1]
        HTTPServer(application).add_sockets(sockets)
        providers[name] = {"label": label, "issuer": application.issuer, "key": "demo",
                           "secret": secret, "application": application}
    return providers


def make_options():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on; 0 for any free one")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    options.define("providers", default="", help="a JSON file with the providers (default: two "
                   "that this program starts, for development only)")
    options.define("cookie_secret", default="", help="the key that signs cookies (default: "
                   "AUTH_COOKIE_SECRET in the environment, or else a new one at each start, after "
                   "which everyone has to sign in again)")
    options.define("xheaders", default=False, help="trust the proxy's headers about the client "
                   "(X-Real-IP, X-Scheme)")
    define_logging_options(options)
    return options


def main():
    options = make_options()
    try:
        options.parse_program(arguments=False)
        secret = options.cookie_secret or os.environ.get("AUTH_COOKIE_SECRET", "") \
            or native_str(binascii.hexlify(os.urandom(32)))
        providers = read_providers(options.providers) if options.providers else None
        sockets = bind_sockets(options.port, options.address)
        port = sockets[0].getsockname()[1]
        is_development = providers is None
        if is_development:
            providers = start_development(port, secret)
    except (Error, ValueError, IOError) as error:
        sys.exit("authdemo.py: %s" % error)
    except socket.error as error:
        sys.exit("authdemo.py: %s" % error.strerror)
    server = HTTPServer(AuthApplication(providers, secret, is_development),
                        xheaders=options.xheaders)
    server.add_sockets(sockets)
    for name, config in sorted(providers.items()) if is_development else ():
        print("%s: a provider for development only, at %s" % (config["label"], config["issuer"]))
    print("Open http://%s:%d/ (Ctrl-C to stop)" % (options.address, port))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
