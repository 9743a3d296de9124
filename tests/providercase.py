"""Shared by the tests of sign-in: a browser with cookies, an application, and providers made of
independent implementations: the server half of oauthlib, and the server of python-openid."""
from __future__ import absolute_import, division, print_function

import json
import unittest

from oauthlib.oauth1 import RequestValidator, WebApplicationServer
from openid.extensions import ax
from openid.server.server import Server
from openid.store.memstore import MemoryStore
from six.moves.urllib.parse import urlencode, urljoin, urlsplit

from friendserve.auth import OAuth2Mixin, OAuthMixin, OpenIdMixin
from friendserve.escape import native_str, to_unicode, xhtml_escape
from friendserve.httpclient import AsyncHTTPClient
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.netutil import bind_sockets
from friendserve.protocol.cookies import parse_cookie
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous
from tests import PATIENCE
from tests.loopcase import LogCatcher, LoopCase

SECRET = "the secret of the cookies"
CONSUMER = {"key": u"consumer", "secret": u"consumer secret /+~"}

_PAGE = """<!DOCTYPE html><title>Provider</title><form method="post" action="%s">
<button id="allow" name="answer" value="allow">Allow</button>
<button id="deny" name="answer" value="deny">Deny</button></form>"""


class Validator(RequestValidator):
    """What a provider of OAuth 1.0a remembers, for oauthlib."""
    client_key_length = request_token_length = access_token_length = (3, 60)
    nonce_length = verifier_length = (3, 60)
    enforce_ssl = False
    dummy_client = dummy_request_token = dummy_access_token = "dummy"

    def __init__(self):
        super(Validator, self).__init__()
        self.requests = {}      # request token -> its secret, callback and verifier
        self.accesses = {}      # access token -> its secret
        self.nonces = set()

    def validate_client_key(self, client_key, request):
        return client_key == CONSUMER["key"]

    def get_client_secret(self, client_key, request):
        return CONSUMER["secret"]

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request,
                                     request_token=None, access_token=None):
        is_new = (timestamp, nonce) not in self.nonces
        self.nonces.add((timestamp, nonce))
        return is_new

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return redirect_uri.startswith("http://127.0.0.1:")

    def validate_requested_realms(self, client_key, realms, request):
        return True

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True

    def get_default_realms(self, client_key, request):
        return []

    def get_realms(self, token, request):
        return []

    def verify_realms(self, token, realms, request):
        return True

    def save_request_token(self, token, request):
        self.requests[token["oauth_token"]] = {
            "secret": token["oauth_token_secret"], "callback": request.redirect_uri}

    def verify_request_token(self, token, request):
        return token in self.requests

    def validate_request_token(self, client_key, token, request):
        return token in self.requests

    def get_request_token_secret(self, client_key, token, request):
        return self.requests.get(token, {}).get("secret", u"none")

    def get_redirect_uri(self, token, request):
        return self.requests[token]["callback"]

    def save_verifier(self, token, verifier, request):
        self.requests[token]["verifier"] = verifier["oauth_verifier"]

    def validate_verifier(self, client_key, token, verifier, request):
        return self.requests.get(token, {}).get("verifier") == verifier

    def invalidate_request_token(self, client_key, request_token, request):
        del self.requests[request_token]

    def save_access_token(self, token, request):
        self.accesses[token["oauth_token"]] = token["oauth_token_secret"]

    def validate_access_token(self, client_key, token, request):
        return token in self.accesses

    def get_access_token_secret(self, client_key, token, request):
        return self.accesses.get(token, u"none")


class _ProviderHandler(RequestHandler):
    def initialize(self, provider):
        self.provider = provider

    def answer(self, headers, body, status):
        for name, value in dict(headers).items():
            self.set_header(str(name), native_str(value))
        self.set_status(status)
        self.finish(native_str(body or ""))

    def call(self, function, **options):
        request = self.request
        headers = dict(request.headers.get_all())
        self.answer(*function(to_unicode(request.full_url()), request.method,
                              to_unicode(request.body) or None, headers, **options))


class _RequestToken(_ProviderHandler):
    def post(self):
        self.call(self.provider.server.create_request_token_response)


class _AccessToken(_ProviderHandler):
    def post(self):
        self.call(self.provider.server.create_access_token_response)


class _Authorize(_ProviderHandler):
    def get(self):
        self.write(_PAGE % xhtml_escape(self.request.uri))

    def post(self):
        token = self.get_argument("oauth_token")
        if self.get_argument("answer") == "deny":
            callback = self.provider.validator.requests[token]["callback"]
            self.redirect(callback + "?denied=" + token)
        else:
            self.request.body = b""
            self.call(self.provider.server.create_authorization_response)


class _Resource(_ProviderHandler):
    def get(self):
        request = self.request
        valid, _ = self.provider.server.validate_protected_resource_request(
            to_unicode(request.full_url()), request.method, None, dict(request.headers.get_all()))
        if not valid:
            raise HTTPError(401)
        self.write({"id": "17", "name": u"Zo\xeb", "arguments": request.uri.count("&")})

    def post(self):
        request = self.request
        valid, _ = self.provider.server.validate_protected_resource_request(
            to_unicode(request.full_url()), request.method, to_unicode(request.body),
            dict(request.headers.get_all()))
        if not valid:
            raise HTTPError(401)
        self.write({"text": self.get_body_arguments("text", strip=False)})


class OAuthProvider(object):
    """A provider of OAuth 1.0a, which oauthlib runs."""

    def __init__(self):
        self.validator = Validator()
        self.server = WebApplicationServer(self.validator)

    def rules(self):
        return [(path, handler, {"provider": self}) for path, handler in (
            ("/request_token", _RequestToken), ("/authorize", _Authorize),
            ("/access_token", _AccessToken), ("/resource", _Resource))]


class _OpenId(_ProviderHandler):
    def respond(self, response):
        web = self.provider.server_at(self.request).encodeResponse(response)
        self.answer(web.headers, web.body, web.code)

    def decode(self):
        return self.provider.server_at(self.request).decodeRequest(dict(
            (name, native_str(values[-1])) for name, values in self.request.arguments.items()))

    def get(self):
        self.write(_PAGE % xhtml_escape("/decide?" + self.request.query))

    def post(self):
        self.provider.verifications += 1
        self.respond(self.provider.server_at(self.request).handleRequest(self.decode()))


class _Decide(_OpenId):
    def post(self):
        request = self.decode()
        if self.get_argument("answer") == "deny":
            return self.respond(request.answer(False))
        identity = "http://%s/id/alice" % self.request.host
        response = request.answer(True, identity=identity, claimed_id=identity)
        asked = ax.FetchRequest.fromOpenIDRequest(request)
        if asked is not None:
            values = ax.FetchResponse(asked)
            for info in asked.iterAttrs():
                if info.type_uri in self.provider.attributes:
                    values.addValue(info.type_uri, self.provider.attributes[info.type_uri])
            response.addExtension(values)
        self.respond(response)


class OpenIdProvider(object):
    """A provider of OpenID 2.0 with attribute exchange, which python-openid runs."""
    attributes = {"http://axschema.org/contact/email": "alice@example.com",
                  "http://axschema.org/namePerson/first": "Alice",
                  "http://axschema.org/namePerson/last": "Liddell"}

    def __init__(self):
        self.store = MemoryStore()
        self.verifications = 0

    def server_at(self, request):
        return Server(self.store, "http://%s/openid" % request.host)

    def rules(self):
        return [("/openid", _OpenId, {"provider": self}), ("/decide", _Decide, {"provider": self})]


class SignInHandler(RequestHandler):
    """Signs in with the mixin of a subclass. Its application has the last user as `user`, and the
    last AuthError as `error`."""
    def get_current_user(self):
        return self.get_secure_cookie("user")

    def on_user(self, user):
        self.application.user, self.application.error = user, self.auth_error
        if user is None:
            self.set_status(403)
            self.finish(self.auth_error.message)
        elif self.application.on_user is not None:
            self.application.on_user(self, user)
        else:
            self.set_secure_cookie("user", native_str(user["name"]))
            self.redirect(self.auth_next)


class OAuthSignIn(SignInHandler, OAuthMixin):
    def initialize(self, provider, **attributes):
        self._OAUTH_REQUEST_TOKEN_URL = provider + "/request_token"
        self._OAUTH_AUTHORIZE_URL = provider + "/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = provider + "/access_token"
        self.resource = provider + "/resource"
        vars(self).update(attributes)

    def _oauth_consumer_token(self):
        return CONSUMER

    def _oauth_get_user(self, access_token, callback):
        self._oauth_request(self.resource, callback, access_token, None, {})

    def on_redirect(self):
        self.application.error = self.auth_error
        if self.auth_error is not None:
            self.set_status(403)
            self.finish(self.auth_error.message)

    @asynchronous
    def get(self):
        if self.get_argument("oauth_token", None) or self.get_argument("denied", None):
            self.get_authenticated_user(self.on_user)
        else:
            self.authorize_redirect(callback=self.on_redirect)


class OAuth2SignIn(SignInHandler, OAuth2Mixin):
    def initialize(self, provider, **attributes):
        self._OAUTH_AUTHORIZE_URL = provider + "/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = provider + "/token"
        self.resource = provider + "/resource"
        vars(self).update(attributes)

    def _oauth_consumer_token(self):
        return CONSUMER

    def _oauth_get_user(self, access_token, callback):
        self.oauth2_request(self.resource, callback, access_token=access_token["access_token"])

    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(self.on_user)
        else:
            self.authorize_redirect(scope=["profile"])


class OpenIdSignIn(SignInHandler, OpenIdMixin):
    def initialize(self, provider, **attributes):
        self._OPENID_ENDPOINT = provider + "/openid"
        vars(self).update(attributes)

    @asynchronous
    def get(self):
        if self.is_authentication_response():
            self.get_authenticated_user(self.on_user)
        else:
            self.authenticate_redirect()


class HomeHandler(SignInHandler):
    def get(self):
        name = native_str(self.current_user or b"nobody")
        self.write('<!DOCTYPE html><title>Home</title><p id="who">%s</p>'
                   '<form method="post">%s<button id="out">Sign out</button></form>'
                   % (xhtml_escape(name), self.xsrf_form_html()))

    def post(self):
        self.clear_cookie("user")
        self.redirect("/")


def make_application(sign_in, provider, **attributes):
    """An application with the handler class `sign_in` at /login, for the provider at that URL."""
    attributes["provider"] = provider
    application = Application([("/", HomeHandler), ("/there", HomeHandler),
                               ("/login", sign_in, attributes)],
                              cookie_secret=SECRET, xsrf_cookies=True)
    application.user = application.error = application.on_user = None
    return application


class Browser(object):
    """A browser with cookies of one site (name -> (value, path, fields in lower case)), as far as
    these tests need them: it runs the loop of `case`."""
    def __init__(self, case):
        self.case = case
        self.cookies = {}

    def get(self, url, **options):
        """The response to one request, without following a redirect."""
        path = urlsplit(url).path
        cookie = "; ".join("%s=%s" % (name, value) for name, (value, where, _) in
                           sorted(self.cookies.items()) if path.startswith(where))
        headers = dict(options.pop("headers", {}), **({"Cookie": cookie} if cookie else {}))
        response = self.case.fetch(url, headers=headers, **options)
        for line in response.headers.get_list("Set-Cookie"):
            pair, _, fields = line.partition(";")
            (name, value), = parse_cookie(pair).items()
            fields = dict((field.strip().partition("=")[0].lower(), field.partition("=")[2])
                          for field in fields.split(";"))
            if "1970" in fields.get("expires", ""):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value, fields.get("path", "/"), fields
        return response

    def follow(self, url):
        """The response after all redirects."""
        for _ in range(5):
            response = self.get(url)
            if response.code not in (301, 302, 303):
                return response
            url = urljoin(url, response.headers["Location"])
        self.case.fail("too many redirects")

    def start(self, url):
        """Begin a sign-in; the URL of the provider's page."""
        response = self.get(url)
        self.case.assertEqual(302, response.code)
        return response.headers["Location"]

    def answer(self, page, answer="allow"):
        """Answer the provider's page; the URL to which it sends the browser."""
        parts = urlsplit(page)
        if parts.path == "/openid":
            page = page.replace("/openid?", "/decide?", 1)
        response = self.case.fetch(page, method="POST", body=urlencode({"answer": answer}))
        self.case.assertIn(response.code, (302, 303))
        return response.headers["Location"]

    def flows(self):
        return [name for name in self.cookies if name.startswith("fs_auth_")]


class AuthCase(LoopCase, unittest.TestCase):
    """A loop that is current, servers on loopback, and a client."""
    def setUp(self):
        self.loop = IOLoop()
        self.loop.make_current()
        self.addCleanup(self.end)
        self.servers = []
        self.client = AsyncHTTPClient(io_loop=self.loop, force_instance=True)
        self.log = LogCatcher()
        self.records = self.log.__enter__()
        self.addCleanup(self.log.__exit__, None, None, None)

    def end(self):
        for server in self.servers:
            server.stop()
        self.client.close()
        AsyncHTTPClient(io_loop=self.loop).close()
        self.loop.run_once(0)
        self.loop.close(all_fds=True)
        IOLoop.clear_current()

    def serve(self, application, **options):
        """Start a server for an application; its URL."""
        server = HTTPServer(application, io_loop=self.loop, **options)
        self.servers.append(server)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        return "http://127.0.0.1:%d" % sockets[0].getsockname()[1]

    def fetch(self, url, **options):
        responses = []
        self.client.fetch(url, responses.append, follow_redirects=False, request_timeout=PATIENCE,
                          **options)
        self.run_until(lambda: responses)
        return responses[0]

    def sign_in_at(self, sign_in, provider, **attributes):
        """Set `provider` to the URL of these rules, and `site` to that of an application."""
        self.provider = self.serve(Application(provider.rules()))
        self.application = make_application(sign_in, self.provider, **attributes)
        self.site = self.serve(self.application)
        self.browser = Browser(self)

    def assert_refused(self, reason, url, browser=None):
        """Check that the page at which a sign-in ends refuses it, for this reason, in words."""
        self.application.user = self.application.error = None
        response = (browser or self.browser).get(url)
        self.assertIsNotNone(self.application.error)
        self.assertEqual(reason, self.application.error.reason)
        self.assertEqual(403, response.code)

        self.assertNotIn("user", (browser or self.browser).cookies)
        self.assertIsNone(self.application.user)


class Script(RequestHandler):
    """A provider that answers each path of `replies` with (status, fields of the head, body), or a
    function of the handler; it notes the `requests`."""
    def initialize(self, script):
        self.script = script

    @asynchronous
    def get(self):
        self.script.requests.append(self.request)
        reply = self.script.replies[self.request.path]
        if callable(reply):
            return reply(self)
        status, headers, body = reply
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)

    post = get


class ScriptedProvider(object):
    def __init__(self, **replies):
        self.requests = []
        self.replies = dict(("/" + path, self.reply(reply)) for path, reply in replies.items())

    @staticmethod
    def reply(reply):
        if isinstance(reply, dict):
            return 200, {"Content-Type": "application/json"}, json.dumps(reply)
        return reply

    def rules(self):
        return [("/.*", Script, {"script": self})]
