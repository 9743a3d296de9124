"""A small provider of OpenID Connect, which answers as it is told: also wrongly."""
from __future__ import absolute_import, division, print_function

import base64
import time

from six.moves.urllib.parse import urlencode

from friendserve.escape import utf8
from friendserve.protocol.jose import LOGOUT_EVENT
from friendserve.web import Application, RequestHandler
from tests.auth import keys


class Page(RequestHandler):
    def check_xsrf_cookie(self):
        pass

    @property
    def there(self):
        return self.application


class Metadata(Page):
    def get(self):
        self.there.count("metadata")
        url = self.there.url
        if self.there.status.get("metadata"):
            self.set_status(self.there.status["metadata"])
            return
        self.write(dict({
            "issuer": url, "authorization_endpoint": url + "/authorize",
            "token_endpoint": url + "/token", "jwks_uri": url + "/jwks",
            "userinfo_endpoint": url + "/userinfo", "end_session_endpoint": url + "/logout",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }, **self.there.metadata))


class Keys(Page):
    def get(self):
        self.there.count("jwks")
        if self.there.status.get("jwks"):
            self.set_status(self.there.status["jwks"])
            return
        self.write({"keys": self.there.public_keys()})


class Authorize(Page):
    """Sends the browser back at once."""
    def get(self):
        there = self.there
        there.asked = dict((name, self.get_argument(name)) for name in self.request.arguments)
        code = "code %d" % len(there.nonces)
        there.nonces[code] = self.get_argument("nonce")
        query = {"state": self.get_argument("state"), "code": code, "iss": there.url}
        query.update(there.response)
        self.redirect("%s?%s" % (self.get_argument("redirect_uri"), urlencode(
            dict((name, value) for name, value in query.items() if value is not None))))


class Token(Page):
    def post(self):
        there = self.there
        there.count("token")
        there.posted = dict((name, self.get_argument(name)) for name in self.request.arguments)
        there.authorization = self.request.headers.get("Authorization")
        how = there.token_answer
        if callable(how):
            return how(self)
        if how is not None:
            return self.write(how)
        self.write(self.tokens())

    def tokens(self):
        there = self.there
        reply = {"access_token": "the access token", "token_type": "Bearer", "expires_in": 3600,
                 "refresh_token": "refresh %d" % there.counts["token"]}
        if there.make_token is not None:
            reply["id_token"] = there.make_token(there.claims_now())
        return dict(reply, **there.token_fields)


class UserInfo(Page):
    def get(self):
        self.there.authorization = self.request.headers.get("Authorization")
        self.write(dict({"sub": "ann", "name": "Ann", "email": "ann@example.com",
                         "email_verified": True}, **self.there.userinfo))


class Provider(Application):
    """`claims`, `header` and others change what it says; a value None leaves a claim out."""

    def __init__(self):
        super(Provider, self).__init__([
            ("/.well-known/openid-configuration", Metadata), ("/jwks", Keys),
            ("/authorize", Authorize), ("/token", Token), ("/userinfo", UserInfo)])
        self.url = None
        self.key, self.kid = keys.rsa_key(), "1"
        self.counts, self.nonces = {}, {}
        self.metadata, self.response, self.userinfo, self.status = {}, {}, {}, {}
        self.claims, self.header, self.token_fields = {}, {}, {}
        self.token_answer = None
        self.make_token = lambda claims: keys.sign(self.key, claims, **dict(
            {"kid": self.kid}, **self.header))

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def public_keys(self):
        return [keys.public(self.key, kid=self.kid, use="sig", alg="RS256")]

    def claims_now(self):
        now = int(time.time())
        claims = dict({"iss": self.url, "sub": "ann", "aud": "site",
                       "nonce": self.nonces.get(self.posted.get("code")),
                       "iat": now, "exp": now + 300}, **self.claims)
        return dict((name, value) for name, value in claims.items() if value is not None)

    def logout_token(self, header=None, **claims):
        now = int(time.time())
        claims = dict({"iss": self.url, "aud": "site", "iat": now, "exp": now + 120, "jti": "j1",
                       "sid": "s1", "sub": "ann", "events": {LOGOUT_EVENT: {}}}, **claims)
        return keys.sign(self.key, dict(
            (name, value) for name, value in claims.items() if value is not None),
            **dict({"kid": self.kid, "typ": "logout+jwt"}, **(header or {})))


def basic(key, secret):
    return "Basic " + base64.b64encode(utf8("%s:%s" % (key, secret))).decode("ascii")
