"""Shared by the tests of OpenID Connect: a provider that answers as a test wants it to, a program
that signs people in, and a browser without scripts."""
from __future__ import absolute_import, division, print_function

import json
import time

from six.moves.urllib.parse import parse_qs, urlsplit

from friendserve import auth
from friendserve.httpclient import AsyncHTTPClient, HTTPRequest
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.protocol.jose import LOGOUT_EVENT
from friendserve.testing import AsyncTestCase
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous
from tests import PATIENCE
from tests.josecase import encode, key, make_token

CLIENT, SECRET = "client/1", "s3cret:of+32~characters, or a few more"


class Provider(object):
    """A provider on loopback. A test changes its attributes to make it wrong.

    `metadata`, `claims`, `header`, `userinfo` and `tokens` are merged into the right ones; None
    leaves a member out. `answers` are functions of a handler that answer a path instead.
    """
    def __init__(self):
        sock, = bind_sockets(0, "127.0.0.1")
        self.issuer = "http://127.0.0.1:%d" % sock.getsockname()[1]
        self.keys = [key()]
        self.signer = key()
        self.metadata, self.claims, self.header = {}, {}, {}
        self.userinfo, self.tokens = {}, {}
        self.answers = {}
        self.asked = []             # the path of each request
        self.codes = {}             # code -> the query of its authorization request
        self.requests = []          # the HTTPServerRequests of the token endpoint
        self.refreshes = 0
        provider = self

        class Answer(RequestHandler):
            def check_xsrf_cookie(self):
                pass

            @asynchronous
            def get(self):
                path = self.request.path
                provider.asked.append(path)
                answer = provider.answers.get(path) or getattr(
                    provider, "answer_" + path.rpartition("/")[2].replace("-", "_"))
                answer(self)

            post = get

        self.server = HTTPServer(Application([("/.*", Answer)]))
        self.server.add_sockets([sock])

    def close(self):
        """Close all, so that it is down."""
        self.server.stop()
        self.server.close_all_connections()

    def send(self, handler, fields, *changes):
        for change in changes:
            fields.update(change)
        handler.set_header("Content-Type", "application/json")
        handler.finish(json.dumps(dict((name, value) for name, value in fields.items()
                                       if value is not None)))

    def answer_openid_configuration(self, handler):
        self.send(handler, dict(
            (name, self.issuer + path) for name, path in (
                ("issuer", ""), ("authorization_endpoint", "/authorize"),
                ("token_endpoint", "/token"), ("jwks_uri", "/jwks"),
                ("userinfo_endpoint", "/userinfo"), ("end_session_endpoint", "/end?a=b"))),
            self.metadata)

    def answer_jwks(self, handler):
        self.send(handler, {"keys": [pair.jwk for pair in self.keys]})

    def make_code(self, url):
        """A code for the URL that a sign-in redirected to."""
        query = dict((name, values[0]) for name, values in parse_qs(urlsplit(url).query).items())
        code = "code%d" % len(self.codes)
        self.codes[code] = query
        return code

    def id_token(self, query=None, code="", access_token=u"access"):
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "someone", "aud": CLIENT, "exp": now + 300,
                  "iat": now, "auth_time": now, "sid": "session"}
        if query:
            claims["nonce"] = query["nonce"]
        claims.update(self.claims)
        claims = dict((name, value) for name, value in claims.items() if value is not None)
        return make_token(claims, self.signer, self.header)

    def answer_token(self, handler):
        self.requests.append(handler.request)
        if handler.get_argument("grant_type") == "refresh_token":
            self.refreshes += 1
            query = None
        else:
            query = self.codes.get(handler.get_argument("code"))
        tokens = {"access_token": "access", "token_type": "Bearer", "expires_in": 60,
                  "refresh_token": "refresh%d" % self.refreshes, "id_token": self.id_token(query)}
        self.send(handler, tokens, self.tokens)

    def answer_userinfo(self, handler):
        self.send(handler, {"sub": "someone", "email": "someone@example.com",
                            "email_verified": True}, self.userinfo)

    def logout_token(self, header=None, **claims):
        now = int(time.time())
        members = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60,
                   "jti": "jti%d" % id(claims), "sid": "session", "events": {LOGOUT_EVENT: {}}}
        members.update(claims)
        return make_token(dict((name, value) for name, value in members.items()
                               if value is not None), self.signer, header)


class Login(RequestHandler, auth.OpenIDConnectMixin):
    """Signs people in with the provider of this path, in the setting `providers`. The setting
    `redirect` has options of the redirect."""

    def _oidc_client(self):
        return self.settings["providers"][self.request.path]

    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(self.on_user)
        elif self.get_argument("out", None):
            self.clear_cookie("user")
            self.end_session_redirect(self.get_argument("out"), state="over")
        else:
            self.authenticate_redirect(**self.settings.get("redirect", {}))

    post = get

    def check_xsrf_cookie(self):
        pass

    def on_user(self, user):
        self.settings["users"].append(user)
        if user is None:
            self.settings["errors"].append(self.auth_error)
            raise HTTPError(403, "%s", self.auth_error)
        self.set_secure_cookie("user", user["sub"])
        self.redirect(self.auth_next)


class Page(RequestHandler):
    def get(self):
        self.write({"user": (self.get_secure_cookie("user") or b"").decode("utf-8"),
                    "xsrf": self.xsrf_token.decode("ascii")})


class Refresh(RequestHandler, auth.OpenIDConnectMixin):
    """Answers with the new tokens for the argument `token`, or why there are none."""

    def _oidc_client(self):
        return self.settings["providers"]["/login"]

    @asynchronous
    def get(self):
        self.refresh(self.get_argument("token"), self.on_tokens,
                     subject=self.get_argument("subject", "someone"))

    def on_tokens(self, tokens):
        self.finish({"tokens": tokens,
                     "reason": None if tokens else self.auth_error.reason})


class Logout(auth.BackChannelLogoutHandler):
    def _oidc_client(self):
        return self.settings["providers"][self.get_argument("provider", "/login")]

    def on_logout(self, sid, sub):
        self.settings["ended"].append((sid, sub))


class OIDCCase(AsyncTestCase):
    """A program, `url`, and a Provider; the cookies of a browser are in `cookies`."""

    def setUp(self):
        super(OIDCCase, self).setUp()
        self.provider = Provider()
        self.cookies = {}
        self.settings = {"users": [], "errors": [], "ended": [], "providers": {
            "/login": {"issuer": self.provider.issuer, "key": CLIENT, "secret": SECRET}}}
        # Their tracebacks keep responses.
        self.addCleanup(self.settings["errors"].__delitem__, slice(None))
        sock, = bind_sockets(0, "127.0.0.1")
        self.url = "http://127.0.0.1:%d" % sock.getsockname()[1]
        self.login = Login
        self.app = Application(
            [("/login.*", Login), ("/logout", Logout), ("/refresh", Refresh), ("/.*", Page)],
            cookie_secret="a secret of thirty-two characters", **self.settings)
        self.settings = self.app.settings
        self.server = HTTPServer(self.app)
        self.server.add_sockets([sock])
        self.client = AsyncHTTPClient(force_instance=True, max_clients=100)

    def tearDown(self):
        self.client.close()
        self.server.stop()
        self.provider.close()
        super(OIDCCase, self).tearDown()

    def visit(self, url, callback=None, cookies=None, **options):
        """The response of the program, as to a browser that keeps cookies, without following
        redirects. With a callback, that is called with it."""
        jar = self.cookies if cookies is None else cookies
        headers = dict(options.pop("headers", {}))
        if jar:
            headers["Cookie"] = "; ".join("%s=%s" % pair for pair in sorted(jar.items()))
        request = HTTPRequest(url if url.startswith("http") else self.url + url, headers=headers,
                              follow_redirects=False, **options)
        done = []

        def got(response):
            for line in response.headers.get_list("Set-Cookie"):
                name, _, value = line.partition(";")[0].partition("=")
                if value.strip('"'):
                    jar[name] = value
                else:
                    jar.pop(name, None)
            (callback or done.append)(response)
            if callback is None:
                self.stop()

        self.client.fetch(request, got)
        if callback is None:
            self.wait(lambda: done, timeout=2 * PATIENCE)
            return done[0]

    def begin(self, path="/login", **options):
        """The URL at the provider that a sign-in redirects to."""
        response = self.visit(path, **options)
        self.assertEqual(302, response.code, response.body)
        return response.headers["Location"]

    def come_back(self, url, **query):
        """The response to the return from the provider. `query` changes what it says."""
        started = dict(self.query_of(url))
        answer = {"code": self.provider.make_code(url), "state": started["state"]}
        answer.update(query)
        where = started["redirect_uri"]
        return self.visit(where + "?" + auth.exchange.encode_form(answer).decode("ascii"))

    def query_of(self, url):
        return dict((name, values[0]) for name, values in parse_qs(urlsplit(url).query).items())

    def sign_in(self, path="/login", **query):
        return self.come_back(self.begin(path), **query)

    def refused(self, reason, words="", **query):
        """A sign-in must fail for this reason, with no session."""
        response = self.sign_in(**query)
        self.check_refused(response, reason, words)

    def check_refused(self, response, reason, words=""):
        self.assertEqual(403, response.code, (reason, words))
        error = self.settings["errors"].pop()
        self.assertEqual(reason, error.reason, error)
        self.assertIn(words, str(error))
        self.assertNotIn("user", self.cookies)
        self.assertEqual([None], self.settings["users"][-1:])

    def accepted(self, **query):
        response = self.sign_in(**query)
        self.assertEqual(302, response.code,
                         response.body if response.code == 200 else self.settings["errors"])
        self.assertIn("user", self.cookies)
        self.cookies.pop("user")
        return self.settings["users"][-1]

    def forget_keys(self):
        """Let a minute pass for what is known of the provider."""
        IOLoop.current().attachments.pop("friendserve.auth.discovery", None)


__all__ = ["CLIENT", "SECRET", "Login", "OIDCCase", "Provider", "encode", "key", "make_token"]
