"""A small OpenID Connect provider, FOR DEVELOPMENT ONLY: anyone may sign in as anyone.

The demo starts it, so that you can try a sign-in without an account and without the network. It
does what a real provider does: discovery, the code flow with PKCE, ID tokens signed with Ed25519,
userinfo, the end of a session, and back-channel logout. It keeps everything in memory.
"""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import hashlib
import os
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from friendserve.escape import json_decode, json_encode, native_str, url_unescape, utf8
from friendserve.httpclient import AsyncHTTPClient
from friendserve.httputil import url_concat
from friendserve.log import gen_log
from friendserve.web import Application, HTTPError

#: The people to sign in as.
PEOPLE = (
    {"sub": "1", "name": u"Ada Lovelace", "preferred_username": u"ada",
     "email": u"ada@example.com", "email_verified": True, "locale": u"en"},
    {"sub": "2", "name": u"\u05e0\u05d5\u05e2\u05d4 \u05dc\u05d5\u05d9",
     "preferred_username": u"noa", "email": u"noa@example.com", "email_verified": True,
     "locale": u"he"},
    {"sub": "3", "name": u"\u4f50\u85e4\u82b1\u5b50", "preferred_username": u"hanako",
     "email": u"hanako@example.org", "email_verified": False, "locale": u"ja"},
)

#: Seconds for which a code and a token are valid.
CODE_AGE, TOKEN_AGE = 60, 3600


def base64url(data):
    return native_str(base64.urlsafe_b64encode(data).rstrip(b"="))


def decode_base64url(text):
    return base64.urlsafe_b64decode(utf8(text) + b"=" * (-len(text) % 4))


def make_id():
    return base64url(os.urandom(24))


class Client(object):
    """A site that is registered here. `logout_uri` receives back-channel logouts, or is None."""

    def __init__(self, secret, redirect_uris, post_logout_uris=(), logout_uri=None):
        self.secret = secret
        self.redirect_uris = frozenset(redirect_uris)
        self.post_logout_uris = frozenset(post_logout_uris)
        self.logout_uri = logout_uri


class ProviderHandler(object):
    """A part of every handler here; the pages get the look of the demo from their base class."""

    @property
    def provider(self):
        return self.application

    def check_xsrf_cookie(self):
        """Only the page of `AuthorizeHandler` uses the browser's cookies; it has a token."""

    def send_json(self, value, status=200):
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json_encode(value))

    def get_session(self):
        """The session of this browser, a dict with `sid`, `person` and `clients`; or None."""
        sid = self.get_secure_cookie(self.provider.cookie_name)
        return self.provider.sessions.get(native_str(sid)) if sid else None


class MetadataHandler(ProviderHandler):
    def get(self):
        issuer = self.provider.issuer
        self.send_json({
            "issuer": issuer, "authorization_endpoint": issuer + "/authorize",
            "token_endpoint": issuer + "/token", "userinfo_endpoint": issuer + "/userinfo",
            "jwks_uri": issuer + "/jwks", "end_session_endpoint": issuer + "/logout",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True})


class KeysHandler(ProviderHandler):
    def get(self):
        self.send_json({"keys": [self.provider.public_key]})


class AuthorizeHandler(ProviderHandler):
    """The page that asks who the user is; a user who has answered before is sent back at once."""

    def prepare(self):
        self.client_id = self.get_argument("client_id", "")
        self.client = self.provider.clients.get(self.client_id)
        self.redirect_uri = self.get_argument("redirect_uri", "")
        # Until both are known to be right, the browser must not be sent anywhere.
        if self.client is None:
            raise HTTPError(400, "client_id: no such client")
        if self.redirect_uri not in self.client.redirect_uris:
            raise HTTPError(400, "redirect_uri is not registered: %s", self.redirect_uri)

    def get(self):
        if self.get_argument("response_type", None) != "code":
            return self.answer(error="unsupported_response_type")
        if self.get_argument("code_challenge_method", None) != "S256" \
                or not self.get_argument("code_challenge", None):
            return self.answer(error="invalid_request", error_description="PKCE S256 is needed")
        session = self.get_session()
        prompts = self.get_argument("prompt", "").split()
        if session and "login" not in prompts and "select_account" not in prompts:
            return self.grant(session)
        if "none" in prompts:
            return self.answer(error="login_required")
        self.render("authorize.html", people=PEOPLE, provider=self.provider)

    def post(self):
        super(ProviderHandler, self).check_xsrf_cookie()
        if self.get_argument("person", None) is None:
            return self.answer(error="access_denied", error_description="cancelled by the user")
        person = [one for one in PEOPLE if one["sub"] == self.get_argument("person")]
        if not person:
            raise HTTPError(400, "person: there is no such person")
        session = {"sid": make_id(), "person": person[0], "clients": set(),
                   "time": int(time.time())}
        self.provider.sessions[session["sid"]] = session
        self.set_secure_cookie(self.provider.cookie_name, session["sid"], expires_days=None,
                               httponly=True, samesite="Lax")
        self.grant(session)

    def grant(self, session):
        session["clients"].add(self.client_id)
        code = make_id()
        self.provider.codes[code] = {
            "client_id": self.client_id, "redirect_uri": self.redirect_uri, "session": session,
            "challenge": self.get_argument("code_challenge"), "until": time.time() + CODE_AGE,
            "nonce": self.get_argument("nonce", None)}
        self.answer(code=code)

    def answer(self, **fields):
        fields["iss"] = self.provider.issuer
        if self.get_argument("state", None) is not None:
            fields["state"] = self.get_argument("state")
        self.redirect(url_concat(self.redirect_uri, fields))


class TokenHandler(ProviderHandler):
    def post(self):
        client_id = self.authenticate()
        if client_id is None:
            return self.send_json({"error": "invalid_client"}, 401)
        if self.get_argument("grant_type", None) != "authorization_code":
            return self.send_json({"error": "unsupported_grant_type"}, 400)
        # A code is used up by the first attempt.
        grant = self.provider.codes.pop(self.get_argument("code", None), None)
        verifier = self.get_argument("code_verifier", "")
        if grant is None or grant["until"] < time.time() or grant["client_id"] != client_id \
                or grant["redirect_uri"] != self.get_argument("redirect_uri", None) \
                or grant["challenge"] != base64url(hashlib.sha256(utf8(verifier)).digest()):
            return self.send_json({"error": "invalid_grant"}, 400)
        session = grant["session"]
        token = make_id()
        self.provider.tokens[token] = session["person"], time.time() + TOKEN_AGE
        claims = dict(sub=session["person"]["sub"], sid=session["sid"],
                      auth_time=session["time"])
        if grant["nonce"] is not None:
            claims["nonce"] = grant["nonce"]
        self.send_json({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_AGE,
                        "id_token": self.provider.sign(client_id, claims)})

    def authenticate(self):
        """The client_id, if the request has the right secret (RFC 6749 2.3.1); else None."""
        kind, _, value = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            pair = native_str(base64.b64decode(utf8(value))).split(":")
        except (TypeError, ValueError, binascii.Error):
            return None
        if len(pair) != 2:
            return None
        client_id, secret = [native_str(url_unescape(part)) for part in pair]
        client = self.provider.clients.get(client_id)
        return client_id if client is not None and client.secret == secret else None


class UserinfoHandler(ProviderHandler):
    def get(self):
        token = self.request.headers.get("Authorization", "").partition(" ")[2]
        person, until = self.provider.tokens.get(token, (None, 0))
        if until < time.time():
            self.set_header("WWW-Authenticate", 'Bearer error="invalid_token"')
            return self.send_json({"error": "invalid_token"}, 401)
        self.send_json(person)


class LogoutHandler(ProviderHandler):
    """Ends the session that the ID token names, here and at all sites it was used for."""

    def get(self):
        where = self.get_argument("post_logout_redirect_uri", None)
        try:
            claims = self.provider.read(self.get_argument("id_token_hint", ""))
        except ValueError as error:
            raise HTTPError(400, "id_token_hint: %s", error)
        client = self.provider.clients.get(claims["aud"])
        if client is None or where is not None and where not in client.post_logout_uris:
            raise HTTPError(400, "post_logout_redirect_uri is not registered")
        self.clear_cookie(self.provider.cookie_name)
        self.provider.end_session(claims["sid"])
        fields = {"state": self.get_argument("state")} if self.get_argument("state", "") else {}
        self.redirect(url_concat(where or "/", fields))


class ProviderApplication(Application):
    """A provider called `name`. `clients` is a dict of Clients by their ids; `base` is the handler
    class that gives the pages their look. It may be made before its port is known, and then needs
    its `issuer`, such as http://127.0.0.1:9000, before the first request."""

    def __init__(self, name, base, clients, **settings):
        self.name = name
        self.issuer = None
        self.clients = clients
        self.cookie_name = "provider_" + name.lower()
        self.sessions = {}
        self.codes = {}
        self.tokens = {}
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public_key = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                           "kid": make_id(), "x": base64url(public)}
        handlers = [(path, type(part.__name__, (part, base), {})) for path, part in (
            (r"/\.well-known/openid-configuration", MetadataHandler), (r"/jwks", KeysHandler),
            (r"/authorize", AuthorizeHandler), (r"/token", TokenHandler),
            (r"/userinfo", UserinfoHandler), (r"/logout", LogoutHandler))]
        Application.__init__(self, handlers, **settings)

    def sign(self, audience, claims, kind="JWT", age=300):
        """A signed token (RFC 7515) with these claims, and those of time and place."""
        now = int(time.time())
        claims = dict(claims, iss=self.issuer, aud=audience, iat=now, exp=now + age)
        header = {"alg": "EdDSA", "kid": self.public_key["kid"], "typ": kind}
        text = "%s.%s" % tuple(base64url(utf8(json_encode(part))) for part in (header, claims))
        return "%s.%s" % (text, base64url(self._key.sign(utf8(text))))

    def read(self, token):
        """The claims of a token that was signed here, however old. Raises ValueError."""
        text, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(decode_base64url(signature), utf8(text))
        except (InvalidSignature, TypeError, binascii.Error):
            raise ValueError("this token was not signed here")
        return json_decode(decode_base64url(text.partition(".")[2]))

    def end_session(self, sid):
        """End a session, and tell all sites that it was used for."""
        session = self.sessions.pop(sid, None)
        for client_id in sorted(session["clients"] if session else ()):
            client = self.clients[client_id]
            if client.logout_uri:
                token = self.sign(client_id, {
                    "sid": sid, "sub": session["person"]["sub"], "jti": make_id(),
                    "events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
                    kind="logout+jwt")
                AsyncHTTPClient().fetch(
                    client.logout_uri, self._on_told, method="POST",
                    body="logout_token=" + token)

    def _on_told(self, response):
        if response.error:
            gen_log.warning("A site could not be told that a session has ended: %s", response.error)
